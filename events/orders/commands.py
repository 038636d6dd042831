"""The commands of an order. Each is in its own module with its rule; `answer` calls the rule."""

from typing import assert_never

from events.envelope import Refused
from events.orders import (
    allocation,
    amending,
    cancelling,
    deallocating,
    deferring,
    dispatching,
    exchanging,
    goods,
    holding,
    queueing,
    refunding,
    rejecting,
    replacing,
    retracting,
)
from events.orders.amending import AmendedQuantity, AmendOrder
from events.orders.cancelling import CancelOrder, CancelOverdueLines
from events.orders.deallocating import Deallocated, DeallocateLines
from events.orders.decision import Decision
from events.orders.deferring import ExpireTracking
from events.orders.dispatching import DispatchShipment
from events.orders.exchanging import ExchangeLine, RequestReturn, ReturnLine, WithdrawReturn
from events.orders.goods import ReceivedLine, ReceiveReturn, RecordReturnTracking, RecordTracking
from events.orders.holding import HoldOrder, ReleaseHold
from events.orders.parts import Answer, LineQuantity
from events.orders.placing import OrderLine, PlaceOrder
from events.orders.queueing import QueueOrder, ResolveQueued
from events.orders.refunding import IssueRefund
from events.orders.rejecting import RejectAllocation
from events.orders.replacing import ReplaceShipment
from events.orders.retracting import RetractDispatch
from events.orders.sourcing import RecordAllocation, ReleaseOrder

#: Commands for an order that exists.
PlacedOrderCommand = (
    AmendOrder
    | CancelOrder
    | HoldOrder
    | ReleaseHold
    | DispatchShipment
    | RetractDispatch
    | ReplaceShipment
    | RecordTracking
    | RequestReturn
    | RecordReturnTracking
    | WithdrawReturn
    | ReceiveReturn
    | IssueRefund
    | DeallocateLines
    | RecordAllocation
    | ReleaseOrder
    | RejectAllocation
    | QueueOrder
    | ResolveQueued
    | CancelOverdueLines
    | ExpireTracking
)

OrderCommand = PlaceOrder | PlacedOrderCommand

__all__ = [
    "AmendOrder",
    "AmendedQuantity",
    "Answer",
    "CancelOrder",
    "CancelOverdueLines",
    "DeallocateLines",
    "Deallocated",
    "DispatchShipment",
    "ExchangeLine",
    "ExpireTracking",
    "HoldOrder",
    "IssueRefund",
    "LineQuantity",
    "OrderCommand",
    "OrderLine",
    "PlaceOrder",
    "PlacedOrderCommand",
    "QueueOrder",
    "ReceiveReturn",
    "ReceivedLine",
    "RecordAllocation",
    "RecordReturnTracking",
    "RecordTracking",
    "RejectAllocation",
    "ReleaseHold",
    "ReleaseOrder",
    "ReplaceShipment",
    "RequestReturn",
    "ResolveQueued",
    "RetractDispatch",
    "ReturnLine",
    "WithdrawReturn",
    "answer",
]


def answer(decision: Decision, data: PlacedOrderCommand) -> Refused | None:
    """Call the command's rule, which adds facts to the decision or refuses."""
    match data:
        case RecordAllocation():
            return allocation.record(decision, data)
        case DispatchShipment():
            return dispatching.dispatch(decision, data)
        case RetractDispatch():
            return retracting.retract(decision, data)
        case ReplaceShipment():
            return replacing.send_again(decision, data)
        case RecordTracking():
            return goods.track(decision, data)
        case CancelOrder():
            return cancelling.cancel(decision, data)
        case AmendOrder():
            return amending.amend(decision, data)
        case HoldOrder():
            return holding.hold(decision, data)
        case ReleaseHold():
            return holding.release_hold(decision, data)
        case ReleaseOrder():
            if not decision.order.released:
                decision.release()
            return None
        case DeallocateLines():
            return deallocating.deallocate(decision, data)
        case CancelOverdueLines():
            cancelling.cancel_overdue(decision)
            return None
        case ExpireTracking():
            deferring.expire(decision)
            return None
        case RequestReturn():
            return goods.request_return(decision, data)
        case RecordReturnTracking():
            return goods.track_return(decision, data)
        case WithdrawReturn():
            return exchanging.withdraw(decision, data)
        case ReceiveReturn():
            return goods.receive_return(decision, data)
        case IssueRefund():
            return refunding.refund(decision, data)
        case RejectAllocation():
            return rejecting.reject(decision, data)
        case QueueOrder():
            return queueing.queue(decision, data)
        case ResolveQueued():
            return queueing.resolve(decision, data)
        case _:
            assert_never(data)
