"""Edges of the definitions: who cancelled when, and orders that are not counted."""

from __future__ import annotations

import pytest

from projections.kpi.opening import behind
from projections.kpi.reader import kpis
from tests.projections.fact_rows import (
    Fact,
    Log,
    allocated,
    amended,
    cancelled,
    dispatched,
    fact,
    placed,
)
from tests.projections.kpi_moments import (
    EVENING,
    LEAVING,
    MORNING,
    NEXT_DAY,
    NOON,
    time_passes,
    why,
)


def set_aside_and_gone_again(order_id: str) -> list[Fact]:
    """A unit was set aside, then the hold of it lapsed."""
    lost = fact(
        "LineDeallocated", order_id, NOON, line_id="1", sku="MUG", location_id="WH1", quantity=2, attempt=1,
        reason="expired", releases=[],
    )  # fmt: skip
    return [allocated(order_id, MORNING), lost]


# Facts, whether the order is counted, why. Whether the ledger had set goods aside by then makes no difference: that is
# its own speed, and nothing that anybody had picked.
CANCELLED: dict[str, tuple[list[Fact], str, str]] = {
    "customer, the whole, before it was set aside": (
        [LEAVING, cancelled("o1", NOON, by="customer")],
        "left_out",
        "cancelled by the customer before it left",
    ),
    "customer, the whole in two steps, before it was set aside": (
        [LEAVING, cancelled("o1", NOON, by="customer", units=1), cancelled("o1", NOON, by="customer", units=1)],
        "left_out",
        "cancelled by the customer before it left",
    ),
    "customer, one unit before and one after it was set aside": (
        [
            LEAVING,
            cancelled("o1", NOON, by="customer", units=1),
            allocated("o1", NOON, units=1),
            cancelled("o1", NOON, by="customer", units=1),
        ],
        "left_out",
        "cancelled by the customer before it left",
    ),
    "customer, after what was set aside is gone again": (
        [LEAVING, *set_aside_and_gone_again("o1"), cancelled("o1", EVENING, by="customer")],
        "left_out",
        "cancelled by the customer before it left",
    ),
    "customer amends all away before it was set aside": (
        [LEAVING, amended("o1", NOON, by="customer", after=0)],
        "left_out",
        "cancelled by the customer before it left",
    ),
    "customer amends all away after it was set aside": (
        [LEAVING, allocated("o1", MORNING), amended("o1", NOON, by="customer", after=0)],
        "left_out",
        "cancelled by the customer before it left",
    ),
    "customer, part before it was set aside, the rest shipped": (
        [LEAVING, cancelled("o1", MORNING, by="customer", units=1), dispatched("o1", NOON, units=1)],
        "rows",
        "in time",
    ),
    "customer, part after it was set aside, the rest shipped": (
        [
            LEAVING,
            allocated("o1", MORNING),
            cancelled("o1", MORNING, by="customer", units=1),
            dispatched("o1", NOON, units=1),
        ],
        "rows",
        "in time",
    ),
    "customer, the rest after a first parcel": (
        [LEAVING, dispatched("o1", NOON, units=1), cancelled("o1", NEXT_DAY, by="customer", units=1)],
        "rows",
        "in time",
    ),
    "seller, before it was set aside": (
        [LEAVING, cancelled("o1", NOON, by="seller")],
        "rows",
        "cancelled by the seller",
    ),
    "seller, one unit, the rest shipped": (
        [LEAVING, cancelled("o1", NOON, by="seller", units=1), dispatched("o1", NOON, units=1)],
        "rows",
        "cancelled by the seller",
    ),
    "seller amends a unit away, the customer cancels the rest": (
        [LEAVING, amended("o1", NOON, by="seller", after=1), cancelled("o1", NOON, by="customer", units=1)],
        "rows",
        "cancelled by the seller",
    ),
    "seller amends a unit away and gives it back": (
        [
            LEAVING,
            amended("o1", NOON, by="seller", after=1),
            amended("o1", NOON, by="seller", before=1, after=2),
            dispatched("o1", NOON),
        ],
        "rows",
        "cancelled by the seller",
    ),
    "customer cancels what is promised for next year": (
        [placed("o1", MORNING, due="2027-02-01T00:00Z"), cancelled("o1", NOON, by="customer")],
        "left_out",
        "cancelled by the customer before it left",
    ),
}


@pytest.mark.parametrize("case", CANCELLED)
@pytest.mark.parametrize("together", [True, False])
def test_who_cancelled_and_when(log: Log, connection, case: str, together: bool):
    facts, kind, reason = CANCELLED[case]
    (log.write if together else log.write_one_by_one)(*facts, time_passes())
    assert why(connection, "order_fulfillment_rate") == (kind, reason)


def test_an_order_that_is_not_counted_says_why(log, connection):
    log.write(
        placed("charges", MORNING, units=0, due=EVENING),
        placed("unpromised", MORNING),
        placed("later", MORNING, due="2027-02-01T00:00Z"),
        time_passes(),
    )
    found = kpis(connection)["kpis"]["order_fulfillment_rate"]
    assert found["left_out"] == {"nothing to ship": 1, "nothing promised": 2, "not due yet": 1}
    rows = {row["id"]: row["why"] for row in behind(connection, "order_fulfillment_rate")["left_out"]}
    assert rows == {
        "charges": "nothing to ship",
        "unpromised": "nothing promised",
        "someone-else": "nothing promised",
        "later": "not due yet",
    }
