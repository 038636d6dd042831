"""What can happen to an order: the facts, each from the file of its use case."""

from events.orders.allocation import LineBackordered
from events.orders.amending import AmendmentAnswered, AmendmentDeclined, AmendmentLine, AmendmentRequested, DeclinedLine
from events.orders.cancelling import LineCancelled, OrderCancelled
from events.orders.changing import LineChanged, OrderAmended
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
    "RequestedLine",
    "ReservationSurrendered",
    "ReturnDiffered",
    "ReturnReceived",
    "ReturnRequested",
    "ReturnTracked",
    "ReturnWithdrawn",
    "ShipmentDelivered",
    "ShipmentDispatched",
    "ShipmentTracked",
    "ShippedLine",
    "SourcingLine",
    "SourcingRequested",
    "WithdrawnLine",
]
