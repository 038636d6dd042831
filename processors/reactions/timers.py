"""A time named in the log has come: a timer only sends the command that says so; the ledger decides.

due([ReservationDue(expires_at=12:00, ...)], [], [], [], now=12:01) -> [ExpireReservation(...)]
"""

from collections.abc import Iterable
from datetime import datetime

from events.orders.commands import CancelOverdueLines, ReleaseOrder
from events.stock.commands import CheckExpected, ExpireReservation
from processors.reactions.asked import Asked, named
from projections.inventory.reader import ReceiptDue, ReservationDue
from projections.order_status.reader import LineDue, OrderDue

ACTOR = "timers"


def due(
    reservations: Iterable[ReservationDue],
    orders: Iterable[OrderDue],
    receipts: Iterable[ReceiptDue],
    lines: Iterable[LineDue],
    now: datetime,
) -> list[Asked]:
    """ExpireReservation, ReleaseOrder, CheckExpected and CancelOverdueLines for what is due at `now`; each says the due
    time, so a repeat is the same.
    """
    expired = [
        _at(
            row.expires_at,
            named("expire", row.order_id, row.line_id, row.attempt, row.location_id),
            ExpireReservation(
                sku=row.sku,
                location_id=row.location_id,
                order_id=row.order_id,
                line_id=row.line_id,
                attempt=row.attempt,
            ),
        )
        for row in reservations
        if row.quantity > 0 and row.expires_at <= now
    ]
    released = [
        _at(row.release_at, named("release-order", row.order_id), ReleaseOrder(order_id=row.order_id))
        for row in orders
        if row.release_at <= now
    ]
    checked = [
        _at(
            row.expected_at,
            named("check-expected", row.sku, f"{row.expected_at:%Y%m%dT%H%M%S%f}"),
            CheckExpected(sku=row.sku),
        )
        for row in dict.fromkeys(receipts)
        if row.expected_at <= now
    ]
    # Units may come to be open again after the time is over (a hold lapsed): then it is another version, another id.
    cancelled = [
        _at(
            row.cancel_after,
            named("auto-cancel", row.order_id, row.version),
            CancelOverdueLines(order_id=row.order_id),
        )
        for row in lines
        if row.cancel_after <= now
    ]
    return expired + released + checked + cancelled


def _at(
    due_at: datetime, command_id: str, data: ExpireReservation | ReleaseOrder | CheckExpected | CancelOverdueLines
) -> Asked:
    return Asked(command_id, data, ACTOR, due_at, correlation_id=None, causation_id=None)
