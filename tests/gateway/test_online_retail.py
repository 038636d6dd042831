"""The mapping of Online Retail II, told on small invoices."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from gateway.connectors.online_retail.codes import service_code
from gateway.connectors.online_retail.mapping import MAIN_LOCATION, map_rows, peak_slice
from gateway.connectors.online_retail.rows import REFUSALS
from gateway.connectors.online_retail.stock import late_deliveries, opening_stock
from tests.gateway.online_retail_builders import (
    SALE,
    cancellation,
    frame,
    mapped,
    named,
    only_order,
    reasons,
    row,
)

# Orders


def test_an_invoice_becomes_an_order_in_the_form_of_the_vocabulary() -> None:
    (command,) = mapped(row(quantity=12, price=6.95)).orders()
    assert command == {
        "command": "PlaceOrder",
        "id": "uci-489434",
        "channel": "online-retail",
        "actor": "import",
        "occurred_at": "2009-12-01T07:45:00Z",
        "data": {
            "order_id": "uci-489434",
            "customer_id": "13085",
            "currency": "GBP",
            "lines": [{"line_id": "1", "sku": "85048", "quantity": 12, "unit_price_minor": 695}],
            "ship_to": {"country": "GB"},
        },
    }


def test_a_sku_that_repeats_in_an_invoice_keeps_a_line_per_row() -> None:
    order = only_order(mapped(row(quantity=2), row(sku="POST", price=18.0), row(quantity=3)))
    assert [(line["line_id"], line["sku"], line["quantity"]) for line in order["lines"]] == [
        ("1", "85048", 2),
        ("3", "85048", 3),
    ]


def test_a_row_without_customer_belongs_to_a_guest_of_that_invoice() -> None:
    assert only_order(mapped(row(customer=None)))["customer_id"] == "guest-489434"


def test_orders_come_by_time_whatever_their_place_in_the_file() -> None:
    mapping = mapped(row("500001", at="2010-02-02 10:00:00"), row("500002", at="2010-02-01 10:00:00"))
    assert [command["id"] for command in mapping.orders()] == ["uci-500002", "uci-500001"]


def test_an_invoice_that_runs_over_the_minute_is_placed_when_it_began() -> None:
    (command,) = mapped(row(at="2010-02-02 10:01:00"), row(at="2010-02-02 10:00:00")).orders()
    assert command["occurred_at"] == "2010-02-02T10:00:00Z"


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2010-01-15 12:00:00", "2010-01-15T12:00:00Z"),
        ("2010-07-15 12:00:00", "2010-07-15T11:00:00Z"),
        ("2010-07-01 00:30:00", "2010-06-30T23:30:00Z"),
        ("2010-10-31 01:30:00", "2010-10-31T00:30:00Z"),  # happens twice: the first
        ("2010-03-28 01:30:00", "2010-03-28T01:30:00Z"),  # never happens: a clock that still shows GMT
    ],
)
def test_london_wall_clock_becomes_utc(local: str, utc: str) -> None:
    (command,) = mapped(row(at=local)).orders()
    assert command["occurred_at"] == utc


def test_a_price_below_a_penny_is_rounded_half_to_even_and_reported() -> None:
    mapping = mapped(row(sku="PADS", price=0.001), row(sku="1", price=0.005), row(sku="2", price=0.015, quantity=10))
    assert [line["unit_price_minor"] for line in only_order(mapping)["lines"]] == [0, 0, 2]
    assert mapping.account.price_rounded_rows == 3
    assert float(mapping.account.price_rounding_minor) == pytest.approx(0.1 + 0.5 - 5.0)


@pytest.mark.parametrize(
    ("name", "ship_to"),
    [
        ("EIRE", {"country": "IE"}),
        ("RSA", {"country": "ZA"}),
        ("Channel Islands", {"country": "JE", "time_zone": "Europe/Jersey"}),
        ("Unspecified", {"country": "ZZ", "time_zone": "Europe/London"}),
        ("West Indies", {"country": "ZZ", "time_zone": "Europe/London"}),
        ("European Community", {"country": "EU", "time_zone": "Europe/Brussels"}),
    ],
)
def test_country_names_become_codes(name: str, ship_to: dict[str, str]) -> None:
    mapping = mapped(row(country=name))
    assert only_order(mapping)["ship_to"] == ship_to
    assert mapping.account.unknown_countries == {}


def test_a_country_that_nobody_listed_is_reported() -> None:
    mapping = mapped(row(country="Atlantis"))
    assert only_order(mapping)["ship_to"]["country"] == "ZZ"
    assert mapping.account.unknown_countries == {"Atlantis": 1}


# Charges


@pytest.mark.parametrize(
    "code", ["POST", "M", "m", "DOT", "C2", "D", "S", "B", "ADJUST", "ADJUST2", "BANK CHARGES", "AMAZONFEE"]
)
def test_service_codes_are_charges_not_lines(code: str) -> None:
    order = only_order(mapped(row(), row(sku=code, quantity=2, price=1.5, text="what it is")))
    assert [line["line_id"] for line in order["lines"]] == ["1"]
    assert order["charges"] == [{"code": code, "amount_minor": 300, "description": "what it is"}]


@pytest.mark.parametrize("code", ["85048", "79323P", "85123a", "DCGS0058", "DCGSSGIRL", "PADS", "SP1002"])
def test_goods_are_no_service(code: str) -> None:
    assert service_code(code) is None


def test_gift_vouchers_and_test_entries_are_services() -> None:
    assert all(service_code(code) for code in ("gift_0001_80", "GIFT", "TEST001"))


def test_an_invoice_of_charges_only_is_an_order_without_lines() -> None:
    mapping = mapped(row(sku="M", price=10.0))
    assert only_order(mapping)["lines"] == []
    assert mapping.account.orders_without_lines == 1


def test_free_postage_stays_with_its_order_but_makes_none() -> None:
    assert only_order(mapped(row(), row(sku="POST", price=0.0)))["charges"][0]["amount_minor"] == 0
    assert reasons(mapped(row(sku="POST", price=0.0))) == ["charge_without_amount"]


# Returns


def test_a_cancellation_is_matched_to_the_earlier_sale() -> None:
    mapping = mapped(SALE, cancellation(4))
    assert [(command["command"], command["id"]) for command in mapping.returns()] == [
        ("RequestReturn", "uci-C500099-1-request"),
        ("ReceiveReturn", "uci-C500099-1-receive"),
        ("IssueRefund", "uci-C500099-1-refund"),
    ]
    request, receive, refund = (command["data"] for command in mapping.returns())
    assert request["order_id"] == receive["order_id"] == refund["order_id"] == "uci-500001"
    assert request["return_id"] == receive["return_id"] == refund["return_id"] == "uci-C500099-1"
    assert request["lines"] == [{"line_id": "1", "quantity": 4, "reason": "cancellation C500099"}]
    assert receive["lines"] == [{"line_id": "1", "quantity": 4, "disposition": "restock"}]
    assert receive["location_id"] == MAIN_LOCATION
    assert refund["amount_minor"] == 800
    assert mapping.account.returns == {"matched": 1}


def test_rows_of_one_cancellation_against_one_order_are_one_return() -> None:
    sale = (SALE, row("500001", sku="22041", quantity=5, price=2.0, at="2010-02-01 10:00:00"))
    mapping = mapped(*sale, cancellation(4), cancellation(1), cancellation(2, sku="22041"))
    (request,) = named(list(mapping.returns()), "RequestReturn")
    assert [(line["line_id"], line["quantity"]) for line in request["lines"]] == [("1", 5), ("2", 2)]


def test_the_same_price_is_taken_before_the_most_recent_sale() -> None:
    newer = row("500002", quantity=10, price=3.0, at="2010-02-03 10:00:00")
    newest = row("500003", quantity=10, price=2.0, at="2010-02-04 10:00:00")
    (request,) = named(list(mapped(SALE, newer, cancellation(4)).returns()), "RequestReturn")
    assert request["order_id"] == "uci-500001"
    (request,) = named(list(mapped(SALE, newer, newest, cancellation(4)).returns()), "RequestReturn")
    assert request["order_id"] == "uci-500003"


def test_a_return_is_split_only_when_no_single_sale_has_enough() -> None:
    newer = row("500002", quantity=3, price=2.0, at="2010-02-03 10:00:00")
    mapping = mapped(SALE, newer, cancellation(12))
    requests = named(list(mapping.returns()), "RequestReturn")
    assert [(part["order_id"], part["lines"][0]["quantity"]) for part in requests] == [
        ("uci-500002", 3),
        ("uci-500001", 9),
    ]
    assert mapping.account.returns == {"split_over_lines": 1}
    (request,) = named(list(mapped(SALE, newer, cancellation(9)).returns()), "RequestReturn")
    assert request["order_id"] == "uci-500001"


def test_units_that_came_back_cannot_come_back_again() -> None:
    mapping = mapped(SALE, cancellation(8), cancellation(8, invoice="C500100", at="2010-02-06 10:00:00"))
    assert mapping.account.returns == {"matched": 1, "fallback_no_sale": 1}


@pytest.mark.parametrize(
    ("why", "rows"),
    [
        ("fallback_no_customer", (SALE, cancellation(4, customer=None))),
        ("fallback_no_sale", (SALE, cancellation(4, customer=17000.0))),
        ("fallback_no_sale", (SALE, cancellation(4, at="2010-01-31 10:00:00"))),
        ("fallback_no_sale", (SALE, cancellation(11))),
        ("fallback_no_sale", (SALE, cancellation(4, price=6.0))),  # 24.00 cannot be paid back from an order of 20.00
    ],
)
def test_goods_without_a_sale_go_back_on_the_shelf(why: str, rows: tuple[tuple[Any, ...], ...]) -> None:
    mapping = mapped(*rows)
    (command,) = mapping.returns()
    assert command["command"] == "AdjustStock"
    assert command["data"]["location_id"] == MAIN_LOCATION
    assert command["data"]["quantity_delta"] == -rows[1][3]
    assert command["data"]["reason"] == "unmatched return C500099"
    assert mapping.account.returns == {why: 1}


def test_a_return_of_free_goods_refunds_nothing() -> None:
    mapping = mapped(row("500001", price=0.0, at="2010-02-01 10:00:00"), cancellation(1, price=0.0))
    assert [command["command"] for command in mapping.returns()] == ["RequestReturn", "ReceiveReturn"]


def test_a_credit_for_a_service_is_paid_from_the_most_recent_order_that_can() -> None:
    small = row("500002", quantity=1, price=2.0, at="2010-02-03 10:00:00")
    mapping = mapped(SALE, small, cancellation(1, sku="D", price=5.0, text="Discount"))
    (refund,) = mapping.refunds()
    assert refund["id"] == "uci-C500099-row-1-refund"
    assert refund["data"] == {"order_id": "uci-500001", "amount_minor": 500, "reason": "credit C500099: Discount"}
    assert mapping.account.charges == {"credits": 1}


@pytest.mark.parametrize(
    ("why", "cells"),
    [
        ("credit_without_customer", {"customer": None}),
        ("credit_without_order", {"customer": 17000.0}),
        ("credit_without_order", {"price": 20.01}),
        ("charge_without_amount", {"price": 0.0}),
    ],
)
def test_a_credit_that_no_order_can_pay_is_refused(why: str, cells: dict[str, Any]) -> None:
    assert reasons(mapped(SALE, cancellation(1, sku="M", **cells))) == [why]


def test_no_order_pays_back_more_than_it_was_worth() -> None:
    mapping = mapped(SALE, cancellation(6), cancellation(1, sku="M", price=8.01))
    assert [
        command["data"]["amount_minor"] for command in mapping.commands() if command["command"] == "IssueRefund"
    ] == [1200]
    assert reasons(mapping) == ["credit_without_order"]


# Stock movements and refusals


@pytest.mark.parametrize(("text", "reason"), [("damages", "damages"), (None, "write-off")])
def test_a_negative_row_that_is_no_cancellation_writes_stock_off(text: str | None, reason: str) -> None:
    (command,) = mapped(row(quantity=-36, price=0.0, customer=None, text=text)).adjustments()
    assert command["id"] == "uci-489434-row-1-adjust"
    assert command["data"] == {"sku": "85048", "location_id": MAIN_LOCATION, "quantity_delta": -36, "reason": reason}


@pytest.mark.parametrize("text", [None, "?", "found", "Found", "22719"])
def test_a_free_row_of_nobody_with_a_note_is_stock_that_turned_up(text: str | None) -> None:
    mapping = mapped(row(quantity=8, price=0.0, customer=None, text=text))
    (command,) = mapping.adjustments()
    assert command["data"]["quantity_delta"] == 8
    assert mapping.account.adjustments == {"found": 1}


def test_free_goods_in_an_order_stay_a_line() -> None:
    assert only_order(mapped(row(price=0.0, text=None)))["lines"][0]["unit_price_minor"] == 0
    assert (
        len(
            only_order(mapped(row(customer=None), row(price=0.0, customer=None, text="POLYESTER PAD 40x40cm")))["lines"]
        )
        == 2
    )
    assert only_order(mapped(row(price=0.0, customer=None, text="RED SPOTS WRAP")))["lines"]


@pytest.mark.parametrize(
    ("why", "bad"),
    [
        ("bad_debt", row("A506401", sku="B", price=-53594.36, customer=None)),
        ("unknown_invoice", row("X1")),
        ("no_quantity", row(quantity=0)),
        ("negative_price", row(price=-1.0)),
        ("negative_price", row("C489434", quantity=-1, price=-1.0)),
        ("positive_cancellation", row("C489434")),
        ("positive_cancellation", row("C489434", sku="M")),
        ("unreadable_cell", row(invoice=None)),
        ("unreadable_cell", row(sku=" ")),
        ("unreadable_cell", row(quantity=None)),
        ("unreadable_cell", row(price=None)),
        ("unreadable_cell", row(price=float("nan"))),
        ("unreadable_cell", row(price=1e300)),
        ("unreadable_cell", row(quantity=2**62)),
        ("unreadable_cell", row(quantity=10**9, price=1_000_000.0)),
        ("unreadable_cell", row(at=None)),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(why: str, bad: tuple[Any, ...]) -> None:
    mapping = mapped(bad)
    (refused,) = mapping.refused_rows()
    assert (refused["row"], refused["why"], refused["reason"]) == (0, why, REFUSALS[why])
    assert list(mapping.commands()) == []


# Slices and the account


def test_a_slice_takes_both_of_its_dates_by_london_time() -> None:
    rows = [row(str(500000 + day), at=f"2010-07-{day:02} 00:30:00") for day in range(1, 6)]
    mapping = mapped(*rows, from_=date(2010, 7, 2), to=date(2010, 7, 4))
    assert [command["id"] for command in mapping.orders()] == ["uci-500002", "uci-500003", "uci-500004"]
    assert (mapping.account.rows_read, mapping.account.rows_outside_slice) == (3, 2)
    assert (mapping.first_date, mapping.last_date) == (date(2010, 7, 2), date(2010, 7, 4))


def test_a_return_whose_sale_lies_before_the_slice_falls_back() -> None:
    mapping = mapped(SALE, cancellation(4), cancellation(1, sku="M"), from_=date(2010, 2, 2))
    assert mapping.account.returns == {"fallback_sale_outside_slice": 1}
    assert reasons(mapping) == ["credit_order_outside_slice"]


def test_a_return_keeps_its_number_whatever_the_slice() -> None:
    early = row("500000", sku="22041", quantity=5, price=2.0, at="2010-01-05 10:00:00")
    rows = (early, SALE, cancellation(1, sku="22041"), cancellation(4))
    whole = {command["id"]: command for command in mapped(*rows).commands()}
    part = [
        command for command in mapped(*rows, from_=date(2010, 2, 1)).returns() if command["command"] != "AdjustStock"
    ]
    assert part
    assert all(whole[command["id"]] == command for command in part)


def test_mapping_twice_gives_the_same_commands() -> None:
    rows = (SALE, cancellation(4), row(quantity=-3, price=0.0, customer=None))
    assert list(mapped(*rows).commands()) == list(mapped(*rows).commands())


def test_commands_come_by_time_and_an_order_before_its_return() -> None:
    commands = list(mapped(SALE, cancellation(4, at="2010-02-01 10:00:00"), row(at="2010-03-01 10:00:00")).commands())
    assert [command["command"] for command in commands] == [
        "PlaceOrder", "RequestReturn", "ReceiveReturn", "IssueRefund", "PlaceOrder",
    ]  # fmt: skip


def test_an_empty_file_maps_to_nothing() -> None:
    mapping = map_rows(frame())
    assert list(mapping.commands()) == []
    assert mapping.as_dict()["rows_read"] == 0
    assert opening_stock(mapping, seed=1) == late_deliveries(mapping, seed=1) == []


def test_the_account_can_be_read_by_people_and_by_programs() -> None:
    mapping = mapped(SALE, cancellation(4), row("A1", sku="B", price=-1.0))
    account = msgspec.json.decode(msgspec.json.encode(mapping.as_dict()))
    assert account["returns"] == {"rows": 1, "units": -4, "value_minor": -800, "of_which": {"matched": 1}}
    assert account["refused"]["of_which"] == {"bad_debt": 1}
    assert (account["from"], account["to"]) == ("2009-12-01", "2010-02-05")
    assert "bad_debt" in mapping.render_account()


def test_the_peak_is_the_seven_days_with_most_sales_invoices() -> None:
    days = [1, 10, 12, 12, 16, 17, 30]
    sales = [row(str(500000 + number), at=f"2010-11-{day:02} 09:00:00") for number, day in enumerate(days)]
    taken_back = [row(f"C50010{number}", quantity=-1, at="2010-11-30 09:00:00") for number in range(9)]
    assert peak_slice(frame(*sales, *taken_back)) == (date(2010, 11, 10), date(2010, 11, 16))
