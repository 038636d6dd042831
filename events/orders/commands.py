"""What can be asked of an order: the commands, each from the file of its use case."""

from events.orders.amending import AmendedQuantity, AmendOrder
from events.orders.cancelling import CancelOrder, CancelOverdueLines
from events.orders.deallocating import Deallocated, DeallocateLines
from events.orders.dispatching import DispatchShipment
from events.orders.exchanging import ExchangeLine, RequestReturn, ReturnLine, WithdrawReturn
from events.orders.goods import ReceivedLine, ReceiveReturn, RecordReturnTracking, RecordTracking
from events.orders.holding import HoldOrder, ReleaseHold
from events.orders.parts import Answer, LineQuantity
from events.orders.placing import OrderLine, PlaceOrder
from events.orders.queueing import QueueOrder, ResolveQueued
from events.orders.refunding import IssueRefund
from events.orders.rejecting import RejectAllocation
from events.orders.sourcing import RecordAllocation, ReleaseOrder

#: What can be asked of an order that there is.
PlacedOrderCommand = (
    AmendOrder
    | CancelOrder
    | HoldOrder
    | ReleaseHold
    | DispatchShipment
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
    "RequestReturn",
    "ResolveQueued",
    "ReturnLine",
    "WithdrawReturn",
]
