"""A time named in the log has come: a timer only sends the command that says so; the ledger decides.

expire(ReservationDue(expires_at=12:00, ...)) -> ExpireReservation(...)

Each command says the due time and has an id that repeats with it, so a timer that rings twice asks for the same.
"""

from datetime import datetime
from typing import Any

from events.orders.commands import CancelOverdueLines, ExpireTracking, ReleaseOrder
from events.stock.commands import CheckExpected, ExpireReservation
from processors.reactions.asked import Asked, named
from processors.reactions.rows import Timer
from projections.deferred_tracking.reader import TrackingDue, read_tracking_due
from projections.inventory.reader import ReceiptDue, ReservationDue, read_receipts_due, read_reservations_due
from projections.order_status.reader import LineDue, OrderDue, read_lines_due, read_orders_due

ACTOR = "timers"


def expire(row: ReservationDue) -> Asked:
    """ExpireReservation, for a hold that still holds something."""
    return _at(
        row.expires_at,
        named("expire", row.order_id, row.line_id, row.attempt, row.location_id),
        ExpireReservation(
            sku=row.sku, location_id=row.location_id, order_id=row.order_id, line_id=row.line_id, attempt=row.attempt
        ),
    )


def release(row: OrderDue) -> Asked:
    """ReleaseOrder, for an order that waits for its `release_at`."""
    return _at(row.release_at, named("release-order", row.order_id), ReleaseOrder(order_id=row.order_id))


def check(row: ReceiptDue) -> Asked:
    """CheckExpected, once for all goods of a SKU that were expected at the same time."""
    command_id = named("check-expected", row.sku, f"{row.expected_at:%Y%m%dT%H%M%S%f}")
    return _at(row.expected_at, command_id, CheckExpected(sku=row.sku))


def cancel(row: LineDue) -> Asked:
    """CancelOverdueLines. Units may come to be open again after the time is over (a hold lapsed): then it is another
    version, another id.
    """
    command_id = named("auto-cancel", row.order_id, row.version)
    return _at(row.cancel_after, command_id, CancelOverdueLines(order_id=row.order_id))


def expire_tracking(row: TrackingDue) -> Asked:
    """ExpireTracking, once for all scans of an order whose time to wait for their dispatch ends together."""
    command_id = named("expire-tracking", row.order_id, f"{row.ends_at:%Y%m%dT%H%M%S%f}")
    return _at(row.ends_at, command_id, ExpireTracking(order_id=row.order_id))


def _at(due_at: datetime, command_id: str, data: Any) -> Asked:
    return Asked(command_id, data, ACTOR, due_at, correlation_id=None, causation_id=None)


TIMERS = (
    Timer(read_reservations_due, expire),
    Timer(read_orders_due, release),
    Timer(read_receipts_due, check),
    Timer(read_lines_due, cancel),
    Timer(read_tracking_due, expire_tracking),
)
