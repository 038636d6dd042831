"""A carrier's scan that comes before its parcel's dispatch waits for it: a warehouse may report later than a carrier.

    RecordTracking(S1, delivered)                -> TrackingDeferred(waits_for=S1, ends_at=in 7 days)
    DispatchShipment(S1)                         -> ShipmentDispatched, ShipmentTracked, ShipmentDelivered(scan's time)
    … or ExpireTracking, after 7 days            -> TrackingExpired: a person should look at it

Only scans of an existing order can wait. If the order is unknown, its number may simply be wrong.
"""

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from events.envelope import Refused
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder
from events.orders.state import DeferredScan, Order
from events.values import Id, Quantity, Text, UtcTime

#: How long a scan waits, in log time. A warehouse that was offline catches up within days, even over a long weekend.
#: Longer hides a wrong shipment_id from people who could correct it; shorter loses the scans of a slow warehouse.
DEFERRED_FOR = timedelta(days=7)
#: Scans of one order that may wait at a time: enough for several parcels with all their scans. More are a sender's
#: mistake, and every command of the order would have to load them all.
DEFERRED_MAX = 50


class ExpireTracking(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Deferred scans have waited too long for their parcel's dispatch."""

    order_id: Id


class TrackingDeferred(FactOfOrder, frozen=True, kw_only=True):
    """A carrier scanned a parcel that was not dispatched yet: the scan waits."""

    number: Quantity
    waits_for: Id
    status: Text
    scanned_at: UtcTime
    ends_at: UtcTime
    expected_at: UtcTime | None = None
    place: Text | None = None


class TrackingExpired(FactOfOrder, frozen=True, kw_only=True):
    """A scan waited in vain: its parcel was not dispatched in time."""

    number: Quantity
    waits_for: Id
    status: Text
    scanned_at: UtcTime


def defer(
    decision: Decision, shipment_id: str, status: str, expected_at: datetime | None, place: str | None
) -> Refused | None:
    """Keep a scan until its parcel is dispatched."""
    order = decision.order
    if len(order.deferred) >= DEFERRED_MAX:
        waited_for = ", ".join(list(dict.fromkeys(scan.shipment_id for scan in order.deferred))[:10])
        return Refused(
            code="limit",
            what=f"a scan of shipment {shipment_id} was not recorded",
            detail=f"it is not dispatched yet, and {len(order.deferred)} scans of order {order.order_id} already wait "
            f"for the dispatch of {waited_for}",
            hint="check shipment_id; send DispatchShipment, then the scan again with a new id",
        )
    decision.add(
        TrackingDeferred(
            order_id=order.order_id,
            number=order.deferrals + 1,
            waits_for=shipment_id,
            status=status,
            scanned_at=decision.command.occurred_at,
            ends_at=decision.command.recorded_at + DEFERRED_FOR,
            expected_at=expected_at,
            place=place,
        )
    )
    return None


def expire(decision: Decision) -> None:
    """Expire the scans that have waited too long."""
    for scan in decision.order.deferred:
        if scan.ends_at <= decision.command.recorded_at:
            decision.add(
                TrackingExpired(
                    order_id=decision.order.order_id,
                    number=scan.number,
                    waits_for=scan.shipment_id,
                    status=scan.status,
                    scanned_at=scan.scanned_at,
                )
            )


def deferred(order: Order, fact: TrackingDeferred) -> Order:
    scan = DeferredScan(
        number=fact.number,
        shipment_id=fact.waits_for,
        status=fact.status,
        scanned_at=fact.scanned_at,
        ends_at=fact.ends_at,
        expected_at=fact.expected_at,
        place=fact.place,
    )
    return replace(order, deferred=(*order.deferred, scan), deferrals=fact.number)


def over(order: Order, number: int | None) -> Order:
    """The order without this deferred scan; None means the scan was never deferred."""
    if number is None:
        return order
    return replace(order, deferred=tuple(scan for scan in order.deferred if scan.number != number))
