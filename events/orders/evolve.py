"""What an order becomes through a fact. Total over all facts of an order; the past is never refused."""

from typing import assert_never

from msgspec.structs import replace

from events.envelope import About
from events.orders import (
    allocation,
    amending,
    cancelling,
    changing,
    dispatching,
    exchanging,
    goods,
    holding,
    placing,
    promising,
    queueing,
    refunding,
    rejecting,
    sourcing,
)
from events.orders import facts as f
from events.orders.state import Order
from events.refusal import CommandRefused


def evolve(order: Order | None, fact: f.OrderFact | CommandRefused, about: About) -> Order | None:
    """The order after the fact. Only placing needs the envelope."""
    if isinstance(fact, f.OrderPlaced):
        return placing.placed(fact, about)
    if isinstance(fact, CommandRefused):
        return order
    if order is None:
        raise ValueError(f"{type(fact).__name__} in a stream that has no order")
    match fact:
        case f.LineAllocated():
            return sourcing.allocated(order, fact)
        case (
            f.OrderAllocated()
            | f.DispatchDiffered()
            | f.DispatchCrossed()
            | f.ReturnDiffered()
            | f.ReturnTracked()
            | f.ShipmentTracked()
        ):
            return order
        case f.SourcingRequested():
            return sourcing.asked(order, fact)
        case f.ShipmentDispatched():
            return dispatching.dispatched(order, fact)
        case f.LineBackordered():
            return allocation.backordered(order, fact)
        case f.LinePromised():
            return promising.line_promised(order, fact)
        case f.BackorderReopened():
            return sourcing.reopened(order, fact)
        case f.LineDeallocated():
            return sourcing.deallocated(order, fact)
        case f.AllocationAnswered():
            return sourcing.answered(order, fact)
        case f.ReservationSurrendered():
            return sourcing.surrendered(order, fact)
        case f.OrderCancelled():
            return cancelling.cancelled(order, fact)
        case f.OrderAmended():
            return changing.amended(order, fact)
        case f.AmendmentRequested():
            return amending.amendment_requested(order, fact)
        case f.AmendmentAnswered():
            return amending.amendment_answered(order, fact)
        case f.AmendmentDeclined():
            return replace(order, amendment=None)
        case f.OrderHeld():
            return holding.held(order, fact)
        case f.HoldReleased():
            return holding.hold_released(order, fact)
        case f.ShipmentDelivered():
            return goods.shipment_delivered(order, fact)
        case f.DeliveryInferred():
            return goods.delivered(order, fact.lines)
        case f.ReturnRequested():
            return goods.return_requested(order, fact)
        case f.ReturnReceived():
            return goods.returned(order, fact)
        case f.RefundIssued():
            return refunding.refunded(order, fact)
        case f.ExchangeLinesAdded():
            return exchanging.exchanged(order, fact)
        case f.ExchangeReleased():
            return exchanging.exchange_released(order, fact)
        case f.ReturnWithdrawn():
            return exchanging.withdrawn(order, fact)
        case f.AllocationRejected():
            return rejecting.rejected(order, fact)
        case f.OrderQueued():
            return queueing.queued(order, fact)
        case f.OrderUnqueued():
            return queueing.unqueued(order, fact)
        case _:
            assert_never(fact)
