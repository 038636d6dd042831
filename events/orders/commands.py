"""What can be asked of an order: the commands, checked as they come in."""

from typing import Literal

from msgspec import Struct

from events.values import Charge, CurrencyCode, Id, Natural, Quantity, ReasonCode, ShipTo, Text, Total, UtcTime


class OrderLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of an order."""

    line_id: Id
    sku: Id
    quantity: Quantity
    unit_price_minor: Natural
    attributes: dict[Id, Text] = {}
    cancel_after: UtcTime | None = None
    customised: bool = False


class AmendedQuantity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The quantity that the customer gets of a line, in all."""

    line_id: Id
    quantity: Natural


class LineQuantity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A quantity of one line."""

    line_id: Id
    quantity: Quantity


class ReturnLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line that a customer wants to send back."""

    line_id: Id
    quantity: Quantity
    reason: Text
    reason_code: ReasonCode | None = None


class ExchangeLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line that is sent in exchange for a return."""

    line_id: Id
    sku: Id
    quantity: Quantity
    unit_price_minor: Natural
    attributes: dict[Id, Text] = {}
    customised: bool = False


class ReceivedLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A returned line as it was found on arrival."""

    line_id: Id
    quantity: Quantity
    disposition: Literal["restock", "damaged", "dispose", "inspect"]


class Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the stock stream said about one attempt for one line."""

    line_id: Id
    attempt: Natural
    outcome: Literal["reserved", "refused", "waiting", "offered", "expired", "released", "promised", "shipped"]
    location_id: Text
    quantity: Quantity
    available: Total | None = None
    stock_version: Quantity
    expected_at: UtcTime | None = None
    cause: Text | None = None


class PlaceOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A customer's order, as a channel took it."""

    order_id: Id
    customer_id: Id
    currency: CurrencyCode
    lines: tuple[OrderLine, ...] = ()
    ship_to: ShipTo
    service_level: Literal["standard", "express", "same_day"] = "standard"
    promised_by: Id | None = None
    allocation: Literal["ship_available", "all_or_nothing"] = "ship_available"
    release_at: UtcTime | None = None
    charges: tuple[Charge, ...] = ()
    cart_id: Id | None = None
    promise: Literal["delivery", "dispatch"] = "delivery"


class AmendOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Change what an order asks for."""

    order_id: Id
    lines: tuple[AmendedQuantity, ...] = ()
    promised_by: Id | None = None
    by: Literal["customer", "seller"] = "customer"


class CancelOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Cancel units that have not been shipped."""

    order_id: Id
    reason: Text
    by: Literal["customer", "seller"] = "customer"
    lines: tuple[LineQuantity, ...] = ()


class HoldOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Keep an order from being allocated."""

    order_id: Id
    hold: Literal["payment", "fraud", "address", "stock", "customer", "other"]
    reason: Text | None = None
    stock: Literal["keep", "release"] = "keep"


class ReleaseHold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Take one hold off an order."""

    order_id: Id
    hold: Literal["payment", "fraud", "address", "stock", "customer", "other"]
    reason: Text | None = None


class DispatchShipment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A parcel of an order has left a location."""

    order_id: Id
    shipment_id: Id
    location_id: Id
    carrier: Id
    service: Text
    tracking_number: Text | None = None
    lines: tuple[LineQuantity, ...]
    expected_at: UtcTime | None = None


class RecordTracking(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A carrier's scan of a parcel."""

    order_id: Id
    shipment_id: Id
    status: Literal[
        "picked_up", "in_transit", "out_for_delivery", "delivered", "delivery_failed", "returned_to_sender", "lost"
    ]
    expected_at: UtcTime | None = None
    place: Text | None = None


class RequestReturn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A customer asks to send something back."""

    order_id: Id
    return_id: Id
    lines: tuple[ReturnLine, ...]
    resolution: Literal["refund", "exchange"] = "refund"
    exchange: tuple[ExchangeLine, ...] = ()


class RecordReturnTracking(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A carrier's scan of a return parcel."""

    order_id: Id
    return_id: Id
    status: Literal[
        "picked_up", "in_transit", "out_for_delivery", "delivered", "delivery_failed", "returned_to_sender", "lost"
    ]
    place: Text | None = None


class WithdrawReturn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A return that was announced does not come, or not the rest of it."""

    order_id: Id
    return_id: Id
    reason: Text
    by: Literal["customer", "seller"] = "customer"


class ReceiveReturn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A returned parcel was opened at a location."""

    order_id: Id
    return_id: Id
    location_id: Id
    lines: tuple[ReceivedLine, ...]


class IssueRefund(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Pay money back."""

    order_id: Id
    return_id: Id | None = None
    amount_minor: Quantity
    reason: Text


class RecordAllocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Answers of the stock streams, brought back to the order by the allocation reaction."""

    order_id: Id
    answers: tuple[Answer, ...]


class ReleaseOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The time named in release_at has come."""

    order_id: Id


class RejectAllocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A location cannot provide what is held there for an order."""

    order_id: Id
    location_id: Id
    lines: tuple[LineQuantity, ...]
    reason: Literal["not_in_stock", "mismatch", "damaged"]
    note: Text | None = None


class QueueOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The rules know no way on for units of an order: a person is to decide."""

    order_id: Id
    queue: Id
    reason: Text
    detail: Text
    lines: tuple[LineQuantity, ...] = ()


class ResolveQueued(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person decides about an order in a queue."""

    order_id: Id
    queue: Id
    resolution: Literal["retry", "cancel", "leave"]
    reason: Text | None = None


class Deallocated(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units of a line that are not to be set aside any more."""

    line_id: Id
    quantity: Quantity
    location_id: Id | None = None


class DeallocateLines(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Let go of what is set aside; the units stay wanted and are sourced again."""

    order_id: Id
    lines: tuple[Deallocated, ...]
    reason: Text
    elsewhere: bool = True


class CancelOverdueLines(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The time named in cancel_after of a line has come."""

    order_id: Id


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
