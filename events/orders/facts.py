"""What can happen to an order: the facts, as they are kept."""

from typing import Literal

from msgspec import Struct

from events.values import Attribute, Charge, Consumed, CurrencyCode, Id, Natural, Quantity, ShipTo, Text, Total, UtcTime


class PlacedLine(Struct, frozen=True, kw_only=True):
    """One line of an order."""

    line_id: Id
    sku: Id
    quantity: Quantity
    unit_price_minor: Natural
    attributes: tuple[Attribute, ...]
    cancel_after: UtcTime | None = None
    customised: bool = False


class LineChanged(Struct, frozen=True, kw_only=True):
    """A line whose quantity was amended."""

    line_id: Id
    sku: Id
    ordered_before: Natural
    ordered: Natural
    from_open: Natural
    from_backordered: Natural
    from_allocated: Natural
    exchange: bool = False
    cancelled: Natural = 0


class Release(Struct, frozen=True, kw_only=True):
    """What a stock stream is to let go."""

    line_id: Id
    sku: Id
    attempt: Natural
    location_id: Text
    quantity: Quantity


class LineCancelled(Struct, frozen=True, kw_only=True):
    """What was cancelled of a line."""

    line_id: Id
    sku: Id
    quantity: Quantity
    from_open: Natural
    from_backordered: Natural
    from_allocated: Natural
    exchange: bool = False


class SourcingLine(Struct, frozen=True, kw_only=True):
    """Units of a line that need a location."""

    line_id: Id
    sku: Id
    quantity: Quantity


class Excluded(Struct, frozen=True, kw_only=True):
    """A location that is not to be asked for a line: it has just refused it, or looked and `rejected` it."""

    line_id: Id
    location_id: Id
    rejected: bool = False


class ShippedLine(Struct, frozen=True, kw_only=True):
    """What a shipment holds of a line. `ahead` of the open units left while stock was being asked (`events.ahead`)."""

    line_id: Id
    sku: Id
    quantity: Quantity
    from_open: Natural
    from_backordered: Natural
    from_allocated: Natural
    from_cancelled: Natural = 0
    from_removed: Natural = 0
    consumed: tuple[Consumed, ...]
    exchange: bool = False
    ahead: Natural = 0
    ahead_round: Natural = 0
    ahead_apart: Natural = 0


class DifferingLine(Struct, frozen=True, kw_only=True):
    """A line that left otherwise than planned."""

    line_id: Id
    sku: Id
    quantity: Quantity
    planned: Literal["elsewhere", "backordered", "open", "held"]
    exchange: bool = False


class CrossedLine(Struct, frozen=True, kw_only=True):
    """Units of a line that had been cancelled or amended away and left all the same."""

    line_id: Id
    sku: Id
    quantity: Quantity


class DeliveredLine(Struct, frozen=True, kw_only=True):
    """Units of a line that reached the customer."""

    line_id: Id
    sku: Id
    quantity: Quantity
    exchange: bool = False


class RequestedLine(Struct, frozen=True, kw_only=True):
    """A line that a customer wants to send back."""

    line_id: Id
    sku: Id
    quantity: Quantity
    reason: Text
    reason_code: Text | None = None
    exchange: bool = False


class ArrivedLine(Struct, frozen=True, kw_only=True):
    """A line that came back."""

    line_id: Id
    sku: Id
    quantity: Quantity
    disposition: Literal["restock", "damaged", "dispose", "inspect"]
    exchange: bool = False


class OrderPlaced(Struct, frozen=True, kw_only=True):
    """An order was placed."""

    order_id: Id
    customer_id: Id
    currency: CurrencyCode
    lines: tuple[PlacedLine, ...]
    ship_to: ShipTo
    service_level: Text
    promised_by: UtcTime | None = None
    allocation: Text
    release_at: UtcTime | None = None
    charges: tuple[Charge, ...]
    sourcing: bool
    cart_id: Id | None = None
    promise: Text = "delivery"


class OrderAmended(Struct, frozen=True, kw_only=True):
    """An order asks for something else from now on."""

    order_id: Id
    by: Text
    lines: tuple[LineChanged, ...]
    promised_by: UtcTime | None = None
    releases: tuple[Release, ...]
    amendment_id: Id | None = None
    due_by: UtcTime | None = None


class AmendmentLine(Struct, frozen=True, kw_only=True):
    """A line that shall have another quantity."""

    line_id: Id
    sku: Id
    ordered_before: Natural
    ordered: Natural
    cancelled: Natural = 0


class AmendmentRequested(Struct, frozen=True, kw_only=True):
    """More is wanted than was ordered: stock is asked first."""

    order_id: Id
    amendment_id: Id
    by: Text
    lines: tuple[AmendmentLine, ...]
    promised_by: UtcTime | None = None
    round: Quantity
    placed_at: UtcTime
    sales_channel: Text
    latitude: float | None = None
    longitude: float | None = None
    country: Text = ""
    service_level: Text = "standard"
    region: Text | None = None
    value_minor: Total = 0
    held_at: tuple[Id, ...] = ()
    excluded: tuple[Excluded, ...] = ()


class AmendmentAnswered(Struct, frozen=True, kw_only=True):
    """A stock stream has answered for extra units of an amendment."""

    order_id: Id
    amendment_id: Id
    line_id: Id
    sku: Id
    location_id: Text
    attempt: Natural
    outcome: Text
    quantity: Natural
    available: Total | None = None
    stock_version: Quantity


class DeclinedLine(Struct, frozen=True, kw_only=True):
    """A line that keeps its quantity."""

    line_id: Id
    sku: Id
    ordered_before: Natural
    ordered: Natural
    available: Natural | None = None
    cancelled: Natural = 0


class AmendmentDeclined(Struct, frozen=True, kw_only=True):
    """An amendment was not made: the order stays as it was."""

    order_id: Id
    amendment_id: Id
    reason: Text
    lines: tuple[DeclinedLine, ...]
    releases: tuple[Release, ...]


class OrderCancelled(Struct, frozen=True, kw_only=True):
    """Units of an order are cancelled."""

    order_id: Id
    by: Text
    reason: Text
    lines: tuple[LineCancelled, ...]
    releases: tuple[Release, ...]
    before_allocation: bool


class OrderHeld(Struct, frozen=True, kw_only=True):
    """A hold was set."""

    order_id: Id
    hold: Text
    reason: Text | None = None
    stock: Text = "keep"
    open_skus: tuple[Id, ...] = ()


class HoldReleased(Struct, frozen=True, kw_only=True):
    """A hold was taken off."""

    order_id: Id
    hold: Text
    reason: Text | None = None


class SourcingRequested(Struct, frozen=True, kw_only=True):
    """Units of an order need a location."""

    order_id: Id
    round: Quantity
    lines: tuple[SourcingLine, ...]
    excluded: tuple[Excluded, ...]
    placed_at: UtcTime
    sales_channel: Text
    allocation: Text
    country: Text
    latitude: float | None = None
    longitude: float | None = None
    cart_id: Id | None = None
    service_level: Text = "standard"
    region: Text | None = None
    promised_by: UtcTime | None = None
    value_minor: Total = 0
    held_at: tuple[Id, ...] = ()


class LineAllocated(Struct, frozen=True, kw_only=True):
    """Units of a line are held at a location."""

    order_id: Id
    line_id: Id
    sku: Id
    location_id: Id
    quantity: Quantity
    attempt: Natural
    from_open: Natural
    from_backordered: Natural
    stock_version: Quantity | None = None


class LineBackordered(Struct, frozen=True, kw_only=True):
    """Units of a line wait for stock."""

    order_id: Id
    line_id: Id
    sku: Id
    quantity: Quantity
    attempt: Natural
    stock_version: Quantity | None = None


class LinePromised(Struct, frozen=True, kw_only=True):
    """What the customer is told: when units of a line that wait are expected."""

    order_id: Id
    line_id: Id
    sku: Id
    quantity: Quantity
    attempt: Natural
    expected_at: UtcTime | None = None
    previous: UtcTime | None = None
    cause: Text
    stock_version: Quantity | None = None


class BackorderReopened(Struct, frozen=True, kw_only=True):
    """Units that waited wait no more: stock was offered, or the order does not ask for stock now."""

    order_id: Id
    line_id: Id
    sku: Id
    quantity: Quantity
    releases: tuple[Release, ...]
    stock_version: Quantity | None = None
    reason: Text = "offered"


class LineDeallocated(Struct, frozen=True, kw_only=True):
    """Units of a line are no longer held."""

    order_id: Id
    line_id: Id
    sku: Id
    location_id: Id
    quantity: Quantity
    attempt: Natural
    reason: Text
    releases: tuple[Release, ...]
    stock_version: Quantity | None = None
    elsewhere: bool = False


class ReservationSurrendered(Struct, frozen=True, kw_only=True):
    """An answer came for units that are not wanted any more."""

    order_id: Id
    line_id: Id
    sku: Id
    quantity: Quantity
    attempt: Natural
    releases: tuple[Release, ...]
    stock_version: Quantity | None = None


class AllocationAnswered(Struct, frozen=True, kw_only=True):
    """A stock stream's answer that moved no unit by itself."""

    order_id: Id
    line_id: Id
    sku: Id
    attempt: Natural
    outcome: Text
    location_id: Text
    quantity: Natural
    stock_version: Quantity


class OrderAllocated(Struct, frozen=True, kw_only=True):
    """Every unit that is still wanted and not shipped is held."""

    order_id: Id
    units: Total
    parcels: Quantity


class ShipmentDispatched(Struct, frozen=True, kw_only=True):
    """A parcel left a location."""

    order_id: Id
    shipment_id: Id
    location_id: Id
    carrier: Id
    service: Text
    tracking_number: Text | None = None
    expected_at: UtcTime | None = None
    lines: tuple[ShippedLine, ...]
    cart_id: Id | None = None


class DispatchDiffered(Struct, frozen=True, kw_only=True):
    """A parcel left otherwise than planned; for a person to look at."""

    order_id: Id
    shipment_id: Id
    location_id: Id
    lines: tuple[DifferingLine, ...]


class DispatchCrossed(Struct, frozen=True, kw_only=True):
    """Units left though they had been cancelled, or amended away; a person is to talk to the customer."""

    order_id: Id
    shipment_id: Id
    location_id: Id
    case_id: Id
    lines: tuple[CrossedLine, ...]


class ShipmentTracked(Struct, frozen=True, kw_only=True):
    """A carrier scanned a parcel."""

    order_id: Id
    shipment_id: Id
    status: Text
    expected_at: UtcTime | None = None
    place: Text | None = None
    exchange: bool = False


class ShipmentDelivered(Struct, frozen=True, kw_only=True):
    """A parcel reached the customer."""

    order_id: Id
    shipment_id: Id
    location_id: Id
    carrier: Id
    delivered_at: UtcTime
    due_by: UtcTime | None = None
    on_time: bool | None = None
    lines: tuple[DeliveredLine, ...]
    exchange: bool = False


class DeliveryInferred(Struct, frozen=True, kw_only=True):
    """Goods came back that no scan had shown as delivered: they must have arrived."""

    order_id: Id
    return_id: Id
    lines: tuple[DeliveredLine, ...]


class ReturnRequested(Struct, frozen=True, kw_only=True):
    """A customer wants to send something back."""

    order_id: Id
    return_id: Id
    rma: Id
    resolution: Text
    lines: tuple[RequestedLine, ...]


class ReturnTracked(Struct, frozen=True, kw_only=True):
    """A carrier scanned a return parcel."""

    order_id: Id
    return_id: Id
    status: Text
    place: Text | None = None


class ReturnReceived(Struct, frozen=True, kw_only=True):
    """A return was opened."""

    order_id: Id
    return_id: Id
    rma: Id
    location_id: Id
    announced: bool
    lines: tuple[ArrivedLine, ...]


class ReturnDiffered(Struct, frozen=True, kw_only=True):
    """What came back is not what was announced; for a person to look at."""

    order_id: Id
    return_id: Id
    detail: Text


class RefundIssued(Struct, frozen=True, kw_only=True):
    """Money was paid back."""

    order_id: Id
    return_id: Id | None = None
    amount_minor: Quantity
    currency: CurrencyCode
    reason: Text


class RejectedLine(Struct, frozen=True, kw_only=True):
    """Units of a line that a location cannot provide."""

    line_id: Id
    sku: Id
    quantity: Quantity
    rejections: Quantity
    consumed: tuple[Consumed, ...]


class AllocationRejected(Struct, frozen=True, kw_only=True):
    """A location cannot provide what was held there; the units are open again."""

    order_id: Id
    location_id: Id
    reason: Text
    note: Text | None = None
    lines: tuple[RejectedLine, ...]


class AddedLine(Struct, frozen=True, kw_only=True):
    """A line that is sent in exchange."""

    line_id: Id
    sku: Id
    quantity: Quantity
    unit_price_minor: Natural
    attributes: tuple[Attribute, ...]
    customised: bool = False


class ExchangeLinesAdded(Struct, frozen=True, kw_only=True):
    """Lines were added to an order in exchange for a return; they may leave when it has come."""

    order_id: Id
    return_id: Id
    credit_minor: Total
    lines: tuple[AddedLine, ...]


class ExchangedLine(Struct, frozen=True, kw_only=True):
    """Units of a line that may leave."""

    line_id: Id
    sku: Id
    quantity: Quantity


class ExchangeReleased(Struct, frozen=True, kw_only=True):
    """All that was announced of a return has come: what is sent in exchange may leave."""

    order_id: Id
    return_id: Id
    lines: tuple[ExchangedLine, ...]


class WithdrawnLine(Struct, frozen=True, kw_only=True):
    """Units of a line that do not come back."""

    line_id: Id
    sku: Id
    quantity: Quantity


class ReturnWithdrawn(Struct, frozen=True, kw_only=True):
    """What was announced of a return and has not come does not come."""

    order_id: Id
    return_id: Id
    by: Text
    reason: Text
    lines: tuple[WithdrawnLine, ...]


class QueuedLine(Struct, frozen=True, kw_only=True):
    """A line that cannot go on by itself."""

    line_id: Id
    sku: Id
    quantity: Quantity
    from_sourcing: Natural


class OrderQueued(Struct, frozen=True, kw_only=True):
    """Units of an order stand in a queue that a person works; nobody looks for a location for them."""

    order_id: Id
    queue: Id
    reason: Text
    detail: Text
    lines: tuple[QueuedLine, ...]


class OrderUnqueued(Struct, frozen=True, kw_only=True):
    """An order is no longer in a queue."""

    order_id: Id
    queue: Id
    resolution: Literal["retry", "cancel", "leave", "over"]
    reason: Text | None = None


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
