"""The facts of an order. Each is in its own module with the function that changes the state; `evolve` calls it."""

from typing import assert_never

from msgspec.structs import replace

from events.envelope import About
from events.orders import (
    allocation,
    amending,
    cancelling,
    changing,
    deferring,
    dispatching,
    exchanging,
    goods,
    holding,
    placing,
    promising,
    queueing,
    refunding,
    rejecting,
    replacing,
    retracting,
    sourcing,
)
from events.orders.allocation import LineBackordered
from events.orders.amending import AmendmentAnswered, AmendmentDeclined, AmendmentLine, AmendmentRequested, DeclinedLine
from events.orders.cancelling import LineCancelled, OrderCancelled
from events.orders.changing import LineChanged, OrderAmended
from events.orders.deferring import TrackingDeferred, TrackingExpired
from events.orders.dispatching import (
    CrossedLine,
    DifferingLine,
    DispatchCrossed,
    DispatchDiffered,
    ShipmentDispatched,
    ShippedLine,
)
from events.orders.exchanging import (
    AddedLine,
    ExchangedLine,
    ExchangeLinesAdded,
    ExchangeReleased,
    ReturnWithdrawn,
    WithdrawnLine,
)
from events.orders.goods import (
    ArrivedLine,
    DeliveredLine,
    DeliveryInferred,
    RequestedLine,
    ReturnDiffered,
    ReturnReceived,
    ReturnRequested,
    ReturnTracked,
    ShipmentDelivered,
    ShipmentTracked,
)
from events.orders.holding import HoldReleased, OrderHeld
from events.orders.parts import Release
from events.orders.placing import OrderPlaced, PlacedLine
from events.orders.promising import LinePromised
from events.orders.queueing import OrderQueued, OrderUnqueued, QueuedLine
from events.orders.refunding import RefundIssued
from events.orders.rejecting import AllocationRejected, RejectedLine
from events.orders.replacing import ReplacedLine, ShipmentReplaced
from events.orders.retracting import DispatchRetracted, RetractedLine
from events.orders.sourcing import (
    AllocationAnswered,
    BackorderReopened,
    Excluded,
    LineAllocated,
    LineDeallocated,
    OrderAllocated,
    ReservationSurrendered,
    SourcingLine,
    SourcingRequested,
)
from events.orders.state import Order
from events.refusal import CommandRefused

OrderFact = (
    OrderPlaced
    | OrderAmended
    | AmendmentRequested
    | AmendmentAnswered
    | AmendmentDeclined
    | OrderCancelled
    | OrderHeld
    | HoldReleased
    | SourcingRequested
    | LineAllocated
    | LineBackordered
    | LinePromised
    | BackorderReopened
    | LineDeallocated
    | ReservationSurrendered
    | AllocationAnswered
    | OrderAllocated
    | ShipmentDispatched
    | DispatchDiffered
    | DispatchCrossed
    | DispatchRetracted
    | ShipmentReplaced
    | ShipmentTracked
    | ShipmentDelivered
    | DeliveryInferred
    | ReturnRequested
    | ReturnTracked
    | ReturnReceived
    | ReturnDiffered
    | RefundIssued
    | ExchangeLinesAdded
    | ExchangeReleased
    | ReturnWithdrawn
    | AllocationRejected
    | OrderQueued
    | OrderUnqueued
    | TrackingDeferred
    | TrackingExpired
)

__all__ = [
    "AddedLine",
    "AllocationAnswered",
    "AllocationRejected",
    "AmendmentAnswered",
    "AmendmentDeclined",
    "AmendmentLine",
    "AmendmentRequested",
    "ArrivedLine",
    "BackorderReopened",
    "CrossedLine",
    "DeclinedLine",
    "DeliveredLine",
    "DeliveryInferred",
    "DifferingLine",
    "DispatchCrossed",
    "DispatchDiffered",
    "DispatchRetracted",
    "ExchangeLinesAdded",
    "ExchangeReleased",
    "ExchangedLine",
    "Excluded",
    "HoldReleased",
    "LineAllocated",
    "LineBackordered",
    "LineCancelled",
    "LineChanged",
    "LineDeallocated",
    "LinePromised",
    "OrderAllocated",
    "OrderAmended",
    "OrderCancelled",
    "OrderFact",
    "OrderHeld",
    "OrderPlaced",
    "OrderQueued",
    "OrderUnqueued",
    "PlacedLine",
    "QueuedLine",
    "RefundIssued",
    "RejectedLine",
    "Release",
    "ReplacedLine",
    "RequestedLine",
    "ReservationSurrendered",
    "RetractedLine",
    "ReturnDiffered",
    "ReturnReceived",
    "ReturnRequested",
    "ReturnTracked",
    "ReturnWithdrawn",
    "ShipmentDelivered",
    "ShipmentDispatched",
    "ShipmentReplaced",
    "ShipmentTracked",
    "ShippedLine",
    "SourcingLine",
    "SourcingRequested",
    "TrackingDeferred",
    "TrackingExpired",
    "WithdrawnLine",
    "evolve",
]


def evolve(order: Order | None, fact: OrderFact | CommandRefused, about: About) -> Order | None:
    """The order after the fact. Only placing and dispatching need the envelope."""
    if isinstance(fact, OrderPlaced):
        return placing.placed(fact, about)
    if isinstance(fact, CommandRefused):
        return order
    if order is None:
        raise ValueError(f"{type(fact).__name__} in a stream that has no order")
    match fact:
        case LineAllocated():
            return sourcing.allocated(order, fact)
        case OrderAllocated() | DispatchDiffered() | DispatchCrossed() | ReturnDiffered() | ReturnTracked():
            return order
        case SourcingRequested():
            return sourcing.asked(order, fact)
        case ShipmentDispatched():
            return dispatching.dispatched(order, fact, about)
        case DispatchRetracted():
            return retracting.retracted(order, fact)
        case ShipmentReplaced():
            return replacing.replaced(order, fact)
        case LineBackordered():
            return allocation.backordered(order, fact)
        case LinePromised():
            return promising.line_promised(order, fact)
        case BackorderReopened():
            return sourcing.reopened(order, fact)
        case LineDeallocated():
            return sourcing.deallocated(order, fact)
        case AllocationAnswered():
            return sourcing.answered(order, fact)
        case ReservationSurrendered():
            return sourcing.surrendered(order, fact)
        case OrderCancelled():
            return cancelling.cancelled(order, fact)
        case OrderAmended():
            return changing.amended(order, fact)
        case AmendmentRequested():
            return amending.amendment_requested(order, fact)
        case AmendmentAnswered():
            return amending.amendment_answered(order, fact)
        case AmendmentDeclined():
            return replace(order, amendment=None)
        case OrderHeld():
            return holding.held(order, fact)
        case HoldReleased():
            return holding.hold_released(order, fact)
        case ShipmentTracked():
            return deferring.over(goods.tracked(order, fact), fact.deferred)
        case TrackingDeferred():
            return deferring.deferred(order, fact)
        case TrackingExpired():
            return deferring.over(order, fact.number)
        case ShipmentDelivered():
            return goods.shipment_delivered(order, fact)
        case DeliveryInferred():
            return goods.delivered(order, fact.lines)
        case ReturnRequested():
            return goods.return_requested(order, fact)
        case ReturnReceived():
            return goods.returned(order, fact)
        case RefundIssued():
            return refunding.refunded(order, fact)
        case ExchangeLinesAdded():
            return exchanging.exchanged(order, fact)
        case ExchangeReleased():
            return exchanging.exchange_released(order, fact)
        case ReturnWithdrawn():
            return exchanging.withdrawn(order, fact)
        case AllocationRejected():
            return rejecting.rejected(order, fact)
        case OrderQueued():
            return queueing.queued(order, fact)
        case OrderUnqueued():
            return queueing.unqueued(order, fact)
        case _:
            assert_never(fact)
