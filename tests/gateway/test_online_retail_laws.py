"""Laws of the mapping, on invoices that nobody would write."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.connectors.online_retail.mapping import map_rows
from gateway.connectors.online_retail.stock import late_deliveries, opening_stock
from gateway.sending.commands import check
from tests.gateway.online_retail_builders import (
    check_against_the_ledgers_types,
    frame,
    named,
    row,
)

ROWS = st.builds(
    row,
    invoice=st.sampled_from(["500001", "500002", "500003", "C500001", "C500002", "A500001", "X", None]),
    sku=st.sampled_from(["85048", "85048", "22041", "PADS", "POST", "M", "D", "odd code", "N\0L", "x" * 101, None]),
    quantity=st.one_of(st.integers(-12, 12), st.none(), st.just(2**63 - 1)),
    price=st.one_of(st.sampled_from([0.0, 2.0, 2.55, 0.001, -1.0]), st.floats(), st.none()),
    at=st.sampled_from(
        ["2010-02-01 10:00:00", "2010-02-02 10:00:00", "2010-03-28 01:30:00", "9999-12-31 23:59:59", None]
    ),
    customer=st.sampled_from([13085.0, 17000.0, None]),
    country=st.sampled_from(["United Kingdom", "EIRE", "Unspecified", "Atlantis"]),
    text=st.sampled_from(["GLASS BALL", "found", "N\0L", "\u202e\n\t", "long " * 900, None]),
)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(ROWS, max_size=25), from_=st.sampled_from([None, date(2010, 2, 2)]))
def test_every_row_ends_in_one_place_and_no_unit_or_penny_is_lost(
    rows: list[tuple[Any, ...]], from_: date | None
) -> None:
    mapping = map_rows(frame(*rows), from_=from_)
    account = mapping.account
    assert account.rows_read + account.rows_outside_slice == len(rows)
    assert account.rows_read == sum(account.rows.values())

    commands = list(mapping.commands())
    lines = [line for order in named(commands, "PlaceOrder") for line in order["lines"]]
    assert len(lines) == account.rows["lines"]
    assert sum(line["quantity"] for line in lines) == account.units["lines"]
    assert sum(line["quantity"] * line["unit_price_minor"] for line in lines) == account.value_minor["lines"]

    back = sum(line["quantity"] for part in named(commands, "RequestReturn") for line in part["lines"])
    moved = sum(part["quantity_delta"] for part in named(commands, "AdjustStock"))
    assert back + moved == account.units["adjustments"] - account.units["returns"]

    charged = sum(part["amount_minor"] for order in named(commands, "PlaceOrder") for part in order.get("charges", []))
    refunds = list(mapping.refunds())
    assert charged - sum(part["data"]["amount_minor"] for part in refunds) == account.value_minor["charges"]
    assert len(list(mapping.refused_rows())) == account.rows["refused"]


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(ROWS, max_size=25))
def test_every_command_is_one_the_ledger_takes_and_no_order_is_overdrawn(rows: list[tuple[Any, ...]]) -> None:
    mapping = map_rows(frame(*rows))
    commands = list(mapping.commands())
    ids = [command["id"] for command in commands]
    assert len(set(ids)) == len(ids)
    assert [command["occurred_at"] for command in commands] == sorted(command["occurred_at"] for command in commands)
    worth, sold = Counter[str](), Counter[tuple[str, str]]()
    for command in commands:
        check_against_the_ledgers_types(command)
        check(command)
        data = command["data"]
        if command["command"] == "PlaceOrder":
            worth[data["order_id"]] += sum(line["quantity"] * line["unit_price_minor"] for line in data["lines"])
            worth[data["order_id"]] += sum(charge["amount_minor"] for charge in data.get("charges", []))
            sold.update({(data["order_id"], line["line_id"]): line["quantity"] for line in data["lines"]})
        if command["command"] == "IssueRefund":
            worth[data["order_id"]] -= data["amount_minor"]
            assert worth[data["order_id"]] >= 0
        if command["command"] == "RequestReturn":
            sold.subtract({(data["order_id"], line["line_id"]): line["quantity"] for line in data["lines"]})
    assert all(left >= 0 for left in sold.values())
    for command in [*opening_stock(mapping, seed=1), *late_deliveries(mapping, seed=1)]:
        check_against_the_ledgers_types(command)
