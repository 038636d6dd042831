"""The figures and their edges, from a channel's command to `kpi --orders`; each journey has a month of its own."""

from __future__ import annotations

import calendar
from datetime import date
from typing import Any

import pytest

from projections.kpi.opening import behind
from projections.kpi.reader import kpis
from tests.support.shop import Shop, command, receive

pytestmark = pytest.mark.journey


def month(number: int) -> dict[str, date]:
    """The days of a month of 2024, as the readers take them."""
    return {"from_": date(2024, number, 1), "to": date(2024, number, calendar.monthrange(2024, number)[1])}


def order(order_id: str, sku: str, quantity: int, at: str, **data: Any) -> dict[str, Any]:
    line = {"line_id": "1", "sku": sku, "quantity": quantity, "unit_price_minor": 1_000}
    data = {"customer_id": "c-1", "currency": "EUR", "ship_to": {"country": "DE"}, **data}
    return command("PlaceOrder", at=at, order_id=order_id, lines=[line], **data)


def parcel(order_id: str, shipment_id: str, quantity: int, at: str, **data: Any) -> dict[str, Any]:
    data = {"location_id": "WH1", "carrier": "DHL", "service": "parcel", **data}
    lines = [{"line_id": "1", "quantity": quantity}]
    return command("DispatchShipment", at=at, order_id=order_id, shipment_id=shipment_id, lines=lines, **data)


def scan(order_id: str, shipment_id: str, at: str, status: str = "delivered") -> dict[str, Any]:
    return command("RecordTracking", at=at, order_id=order_id, shipment_id=shipment_id, status=status)


def cancel(order_id: str, at: str, by: str, *units: int) -> dict[str, Any]:
    lines = [{"line_id": "1", "quantity": quantity} for quantity in units]
    return command("CancelOrder", at=at, order_id=order_id, reason="r", by=by, lines=lines)


def opened(shop: Shop, name: str, number: int, **options: Any) -> dict[str, str]:
    """What is behind a figure in a month: id → why, what was left out in brackets; it adds up to the figure."""
    document = behind(shop.connection, name, **month(number), **options)
    read = kpis(shop.connection, **month(number))
    figure = {**read["kpis"], **read["perfect_order"]}[name]
    if not options:
        assert figure["denominator"] == len(document["rows"])
        assert figure["numerator"] == sum(row["good"] for row in document["rows"])
    counted = {row["id"]: row["why"] for row in document["rows"]}
    return counted | {row["id"]: f"({row['why']})" for row in document["left_out"]}


def test_a_customers_cancellation_before_it_left_is_not_counted_a_sellers_is_a_failure(shop: Shop) -> None:
    """Whether goods had been set aside by then is the ledger's own speed, and makes no difference."""
    shop.accepted(receive("k-mug", "WH1", 100))
    due = {"promised_by": "2024-01-20", "promise": "dispatch"}
    shop.accepted(
        order("k1-fine", "k-mug", 2, "2024-01-10T08:00:00Z", **due),
        order("k1-withdrawn", "k-none", 2, "2024-01-10T08:00:00Z", **due),
        order("k1-set-aside", "k-mug", 2, "2024-01-10T08:00:00Z", **due),
        order("k1-seller", "k-none", 2, "2024-01-10T08:00:00Z", **due),
        order("k1-seller-part", "k-mug", 2, "2024-01-10T08:00:00Z", **due),
        order("k1-amended", "k-mug", 2, "2024-01-10T08:00:00Z", **due),
        order("k1-part", "k-mug", 2, "2024-01-10T08:00:00Z", **due),
    )
    shop.accepted(
        parcel("k1-fine", "P1", 2, "2024-01-11T08:00:00Z"),
        cancel("k1-withdrawn", "2024-01-11T08:00:00Z", "customer"),
        cancel("k1-set-aside", "2024-01-11T08:00:00Z", "customer"),
        cancel("k1-seller", "2024-01-11T08:00:00Z", "seller"),
        cancel("k1-seller-part", "2024-01-11T08:00:00Z", "seller", 1),
        cancel("k1-part", "2024-01-11T08:00:00Z", "customer", 1),
        command(
            "AmendOrder",
            at="2024-01-11T08:00:00Z",
            order_id="k1-amended",
            by="seller",
            lines=[{"line_id": "1", "quantity": 1}],
        ),
    )
    shop.accepted(
        *(parcel(name, "P1", 1, "2024-01-12T08:00:00Z") for name in ("k1-seller-part", "k1-amended", "k1-part")),
    )
    assert opened(shop, "order_fulfillment_rate", 1) == {
        "k1-fine": "in time",
        "k1-part": "in time",
        "k1-seller": "cancelled by the seller",
        "k1-seller-part": "cancelled by the seller",
        "k1-amended": "cancelled by the seller",
        "k1-withdrawn": "(cancelled by the customer before it left)",
        "k1-set-aside": "(cancelled by the customer before it left)",
    }


def test_a_date_is_kept_until_midnight_at_the_address(shop: Shop) -> None:
    """31 March 2024 has 23 hours in Berlin; Los Angeles goes to summer time on the 10th."""
    shop.accepted(receive("k-date", "WH1", 100))
    angeles = {"country": "US", "region": "CA", "time_zone": "America/Los_Angeles"}
    addresses = {
        "berlin": ({"country": "DE"}, "2024-03-30", "2024-03-30T22:59:00Z", "2024-03-30T23:00:00Z"),
        "berlin-23-hours": ({"country": "DE"}, "2024-03-31", "2024-03-31T21:59:00Z", "2024-03-31T22:00:00Z"),
        "new-york": ({"country": "US"}, "2024-03-05", "2024-03-06T04:59:00Z", "2024-03-06T05:00:00Z"),
        "angeles": (angeles, "2024-03-05", "2024-03-06T07:59:00Z", "2024-03-06T08:00:00Z"),
        "angeles-summer": (angeles, "2024-03-12", "2024-03-13T06:59:00Z", "2024-03-13T07:00:00Z"),
        "auckland": ({"country": "NZ"}, "2024-03-05", "2024-03-05T10:59:00Z", "2024-03-05T11:00:00Z"),
    }
    placed, left, arrived = [], [], []
    for name, (ship_to, day, kept, broken) in addresses.items():
        for verdict, moment in (("kept", kept), ("broken", broken)):
            order_id = f"k3-{name}-{verdict}"
            placed.append(order(order_id, "k-date", 1, "2024-03-01T08:00:00Z", promised_by=day, ship_to=ship_to))
            left.append(parcel(order_id, "P1", 1, "2024-03-02T08:00:00Z"))
            arrived.append(scan(order_id, "P1", moment))
    shop.accepted(*placed)
    shop.accepted(*left)
    shop.accepted(*arrived)
    rows = behind(shop.connection, "on_time_delivery_rate", **month(3))["rows"]
    assert {row["order_id"]: row["good"] for row in rows} == {
        f"k3-{name}-{verdict}": verdict == "kept" for name in addresses for verdict in ("kept", "broken")
    }


def test_a_promise_is_moved_by_the_customer_only_and_one_late_parcel_makes_a_late_order(shop: Shop) -> None:
    shop.accepted(receive("k-move", "WH1", 100))
    names = ("k5-as-it-was", "k5-seller", "k5-customer", "k5-told-late")
    shop.accepted(*(order(name, "k-move", 2, "2024-05-01T08:00:00Z", promised_by="2024-05-06") for name in names))

    def moved(name: str, by: str) -> dict[str, Any]:
        return command("AmendOrder", at="2024-05-04T08:00:00Z", order_id=name, promised_by="2024-05-20", by=by)

    shop.accepted(moved("k5-seller", "seller"), moved("k5-customer", "customer"))
    shop.accepted(*(parcel(name, number, 1, "2024-05-05T08:00:00Z") for name in names for number in ("P1", "P2")))
    shop.accepted(*(scan(name, "P1", "2024-05-06T12:00:00Z") for name in names))
    shop.accepted(*(scan(name, "P2", "2024-05-08T22:00:00Z") for name in names))
    # What the customer had agreed to on the 4th reaches the ledger last of all.
    shop.accepted(moved("k5-told-late", "customer"))

    rows = behind(shop.connection, "on_time_parcel_rate", **month(5))["rows"]
    assert {row["id"] for row in rows if not row["good"]} == {"k5-as-it-was P2", "k5-seller P2"}
    rows = behind(shop.connection, "on_time_delivery_rate", **month(5))["rows"]
    assert {row["id"] for row in rows if not row["good"]} == {"k5-as-it-was", "k5-seller"}
    found = kpis(shop.connection, **month(5), by="carrier")
    orders, parcels = (found["kpis"][name] for name in ("on_time_delivery_rate", "on_time_parcel_rate"))
    assert (orders["numerator"], orders["denominator"], orders["late_hours"]) == (2, 4, 48.0)
    assert (parcels["numerator"], parcels["denominator"], parcels["late_hours"]) == (6, 8, 48.0)
    assert found["groups"]["DHL"]["on_time_parcel_rate"]["denominator"] == 8
    assert opened(shop, "order_fulfillment_rate", 5) == {
        "k5-as-it-was": "late",
        "k5-seller": "late",
        "k5-customer": "in time",
        "k5-told-late": "in time",
    }


def test_accurate_is_what_the_customer_notices(shop: Shop) -> None:
    """Another location than planned is nobody's business but the warehouse's; a complaint counts by its code."""
    shop.accepted(receive("k7-mug", "WH1", 100), receive("k7-mug", "WH2", 1))
    names = ("k7-fine", "k7-elsewhere", "k7-damaged", "k7-size", "k7-missing", "k7-late-case")
    shop.accepted(*(order(name, "k7-mug", 2, "2024-07-01T08:00:00Z", promised_by="2024-07-06") for name in names))
    shop.accepted(
        *(
            parcel(name, "P1", 2, "2024-07-02T08:00:00Z", location_id="WH2" if name == "k7-elsewhere" else "WH1")
            for name in names
        )
    )
    shop.accepted(*(scan(name, "P1", "2024-07-04T08:00:00Z") for name in names))

    def back(order_id: str, code: str) -> dict[str, Any]:
        lines = [{"line_id": "1", "quantity": 1, "reason": "see the code", "reason_code": code}]
        return command("RequestReturn", at="2024-07-08T08:00:00Z", order_id=order_id, return_id="R1", lines=lines)

    def case(order_id: str, code: str) -> dict[str, Any]:
        about = {"case_id": f"case-{order_id}", "order_id": order_id, "topic": "t", "urgency": "low"}
        opening = command("OpenCase", at="2024-07-08T08:00:00Z", reason_code=code, **about)
        opening["data"]["channel"] = "phone"
        return opening

    shop.accepted(back("k7-damaged", "damaged"), back("k7-size", "size"))
    shop.accepted(case("k7-missing", "missing"), case("k7-late-case", "late"))
    assert opened(shop, "order_fulfillment_rate", 7) == {
        "k7-fine": "in time",
        "k7-elsewhere": "in time",
        "k7-damaged": "inaccurate: damaged",
        "k7-size": "in time",
        "k7-missing": "inaccurate: missing",
        "k7-late-case": "in time",
    }
    otherwise = behind(shop.connection, "left_otherwise_than_planned", **month(7))["rows"]
    assert [row["id"] for row in otherwise if row["good"]] == ["k7-elsewhere P1"]


def test_hours_leave_out_what_the_customer_held_and_a_reopened_case_runs_on(shop: Shop) -> None:
    shop.accepted(receive("k-hold", "WH1", 100))
    shop.accepted(
        order("k6-held", "k-hold", 1, "2024-06-03T08:00:00Z"),
        order("k6-later", "k-hold", 1, "2024-06-03T08:00:00Z", release_at="2024-06-03T10:00:00Z"),
    )
    shop.accepted(command("HoldOrder", at="2024-06-03T09:00:00Z", order_id="k6-held", hold="customer"))
    shop.accepted(command("ReleaseHold", at="2024-06-03T10:30:00Z", order_id="k6-held", hold="customer"))
    shop.accepted(*(parcel(name, "P1", 1, "2024-06-03T12:00:00Z") for name in ("k6-held", "k6-later")))
    found = kpis(shop.connection, **month(6))["kpis"]["order_processing_hours"]
    assert (found["numerator"], found["denominator"]) == (4.5, 2)
    assert (found["elapsed_hours"], found["customer_hold_hours"], found["before_release_hours"]) == (4.0, 0.75, 1.0)

    case = {"case_id": "k6-case"}
    opening = command("OpenCase", at="2024-06-04T08:00:00Z", topic="where is it", urgency="high", **case)
    opening["data"]["channel"] = "phone"
    shop.accepted(opening)
    shop.accepted(command("ResolveCase", at="2024-06-04T09:00:00Z", resolution="sent again", **case))
    shop.accepted(command("ReopenCase", at="2024-06-05T08:00:00Z", reason="still missing", **case))
    assert kpis(shop.connection, **month(6))["kpis"]["case_resolution_hours"]["denominator"] == 0
    shop.accepted(command("ResolveCase", at="2024-06-05T10:00:00Z", resolution="refunded", **case))
    found = kpis(shop.connection, **month(6))["kpis"]["case_resolution_hours"]
    assert (found["value"], found["reopened"]) == (26.0, 1)


def test_a_return_of_the_next_year_changes_the_month_of_its_delivery_and_a_damage_the_perfect_order(shop: Shop) -> None:
    shop.accepted(receive("k-back", "WH1", 100))
    names = ("k12-kept", "k12-back", "k12-damaged", "k12-lost")
    shop.accepted(*(order(name, "k-back", 2, "2024-12-20T08:00:00Z", promised_by="2024-12-30") for name in names))
    shop.accepted(*(parcel(name, "P1", 1, "2024-12-21T08:00:00Z") for name in names))
    shop.accepted(*(parcel(name, "P2", 1, "2024-12-21T08:00:00Z") for name in names))
    shop.accepted(*(scan(name, "P1", "2024-12-23T08:00:00Z") for name in names))
    shop.accepted(*(scan(name, "P2", "2024-12-31T08:00:00Z") for name in names[:1]))
    shop.accepted(
        *(scan(name, "P2", "2024-12-24T08:00:00Z") for name in names[1:3]),
        scan("k12-lost", "P2", "2024-12-24T08:00:00Z", "lost"),
    )
    before = kpis(shop.connection, **month(12))["kpis"]["return_rate"]
    assert (before["numerator"], before["denominator"]) == (0, 4)

    def back(order_id: str, disposition: str) -> dict[str, Any]:
        lines = [{"line_id": "1", "quantity": 1, "disposition": disposition}]
        data = {"order_id": order_id, "return_id": "R1", "location_id": "WH1", "lines": lines}
        return command("ReceiveReturn", at="2025-01-10T08:00:00Z", **data)

    shop.accepted(
        command(
            "RequestReturn",
            at="2025-01-08T08:00:00Z",
            order_id="k12-damaged",
            return_id="R1",
            lines=[{"line_id": "1", "quantity": 1, "reason": "chipped", "reason_code": "damaged"}],
        )
    )
    shop.accepted(back("k12-back", "damaged"), back("k12-damaged", "damaged"))
    after = kpis(shop.connection, **month(12))["kpis"]["return_rate"]
    assert (after["numerator"], after["denominator"], after["units_returned"], after["units_delivered"]) == (2, 4, 2, 7)
    assert after["returns_seen_until"] >= "2025-01-10T08:00:00Z"
    assert (
        kpis(shop.connection, from_=date(2025, 1, 1), to=date(2025, 1, 31))["kpis"]["return_rate"]["denominator"] == 0
    )

    assert opened(shop, "perfect_order_rate", 12) == {
        "k12-kept": "not on time",
        "k12-back": "perfect",
        "k12-damaged": "damaged or lost",
        "k12-lost": "not complete, not on time, damaged or lost",
    }
    perfect = kpis(shop.connection, **month(12))["perfect_order"]
    assert {name: one["numerator"] for name, one in perfect["components"].items()} == {
        "complete": 3,
        "on_time": 2,
        "undamaged": 2,
        "accurate": 4,
    }
    assert perfect["perfect_order_index"]["value"] == 3 * 2 * 2 * 4 / 4**4


def test_all_of_it_is_equal_to_an_independent_fold(shop: Shop) -> None:
    shop.settle()
    report = shop.verify()
    assert report.equal, report.first_difference
    assert report.tables["kpi_parcels"] > 30
