"""The commands of stock, checked as they come in."""

from typing import Literal, TypeAlias

from msgspec import Struct, field

from events.values import CategoryRules, Consumed, Delta, Id, Integer, Natural, Quantity, Text, UtcTime

RejectionReason: TypeAlias = Literal["not_in_stock", "mismatch", "damaged"]


class ReceiveStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Goods arrived."""

    sku: Id
    location_id: Id
    quantity: Quantity
    purchase_order: Text | None = None
    reason: Text | None = None
    document: Text | None = None


class ExpectStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Set what is still expected of a purchase order line."""

    sku: Id
    location_id: Id
    purchase_order: Id
    quantity: Natural
    expected_at: UtcTime | None = None


class AdjustStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Correct a quantity on hand."""

    sku: Id
    location_id: Id
    quantity_delta: Delta
    reason: Text
    document: Text | None = None
    expected_on_hand: Integer | None = None


class MoveStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Move goods from one location to another."""

    sku: Id
    from_location_id: Id
    to_location_id: Id
    quantity: Quantity
    reason: Text | None = None
    document: Text | None = None


class StartTransfer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units leave a location for another one."""

    sku: Id
    transfer_id: Id
    from_location_id: Id
    to_location_id: Id
    quantity: Quantity
    expected_at: UtcTime | None = None


class ReceiveTransfer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All or some units of a transfer arrived."""

    sku: Id
    transfer_id: Id
    quantity: Natural
    damaged: Natural = 0
    close: bool = False


class AmendTransfer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A transfer is expected at another time."""

    sku: Id
    transfer_id: Id
    expected_at: UtcTime


class CountStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Report a stock count."""

    sku: Id
    location_id: Id
    counted: Natural
    counted_at: UtcTime | None = None
    tolerance: Natural = 0
    count_id: Id | None = None
    expected_on_hand: Integer | None = None
    reason: Text | None = None
    document: Text | None = None


class ApproveCount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Approve or reject a count that waits. Nobody may decide about their own count."""

    sku: Id
    location_id: Id
    count_id: Id
    approved: bool
    reason: Text | None = None


class MarkDamaged(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units on hand can no longer be sold."""

    sku: Id
    location_id: Id
    quantity: Quantity
    reason: Text | None = None
    document: Text | None = None


class HoldStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Put units into quality hold until their quality is known."""

    sku: Id
    location_id: Id
    quantity: Quantity
    reason: Text
    document: Text | None = None


class ReleaseQualityHold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Take units out of quality hold."""

    sku: Id
    location_id: Id
    quantity: Quantity
    disposition: Literal["restock", "damaged", "dispose"]
    reason: Text | None = None
    document: Text | None = None


class DisposeStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Remove units from stock for good, other than by sale."""

    sku: Id
    location_id: Id
    quantity: Quantity
    from_: Literal["available", "damaged", "quality_hold"] = field(name="from")
    reason: Text
    document: Text | None = None


class SetStockPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Set the planner's numbers for a SKU at a location. An unset number stays as it is."""

    sku: Id
    location_id: Id
    safety_stock: Natural | None = None
    reorder_point: Natural | None = None
    buffers: dict[Id, Natural] | None = None
    recount_above: Natural | None = None
    approval_above: Natural | None = None


class SetChannelPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What channels may sell of a SKU, everywhere or at one location. An unset part stays as it is."""

    sku: Id
    location_id: Id | None = None
    buffers: dict[Id, Natural] | None = None
    excluded_channels: tuple[Id, ...] | None = None


class AssignCategory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Put a SKU into a category, or take it out."""

    sku: Id
    category_id: Id | None = None


class ApplyCategoryPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Apply a category's policy to one of its SKUs."""

    sku: Id
    category_id: Id
    policy_version: Natural
    rules: tuple[CategoryRules, ...]


class ConfirmLocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Tell a SKU whether one of its locations is registered. If not, a second answer follows once it is."""

    sku: Id
    location_id: Id
    registered: bool


class ReserveStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Reserve units for an order line. If there are too few, ReservationRefused says so at once."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural
    expires_at: UtcTime | None = None
    for_channel: Id | None = None
    cart_id: Id | None = None


class ReleaseStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """End a reservation, or a wait for stock."""

    sku: Id
    location_id: Text
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural
    expires_at: UtcTime | None = None


class AwaitStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Queue a line for stock from any location. The oldest order is served first."""

    sku: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural
    placed_at: UtcTime
    mode: Literal["grant", "grant_there", "offer", "take"] = "grant"
    for_channel: Id | None = None
    locations: tuple[Id, ...] = ()
    cart_id: Id | None = None
    not_at: tuple[Id, ...] = ()


class ShipStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units have left with a shipment."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    shipment_id: Id
    consumed: tuple[Consumed, ...] = ()
    ahead: Natural = 0
    ahead_round: Natural = 0
    ahead_apart: Natural = 0
    cart_id: Id | None = None


class RestoreStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The dispatch of units was a mistake: they never left. `held` of them are to be reserved again."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    shipment_id: Id
    held: Natural = 0
    attempt: Natural = 0


class ReturnStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units of an order came back."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    return_id: Id
    disposition: Literal["restock", "damaged", "dispose", "inspect"]


class RejectStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A location rejected units reserved for an order: correct the record there."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    reason: RejectionReason
    note: Text | None = None
    consumed: tuple[Consumed, ...] = ()


class ExpireReservation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The expires_at of a reservation has come."""

    sku: Id
    location_id: Id
    order_id: Id
    line_id: Id
    attempt: Natural


class CheckExpected(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The expected time of incoming goods has come."""

    sku: Id


class ServeQueue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An order could not take the units it was offered: serve the rest of the queue."""

    sku: Id


StockCommand = (
    ReceiveStock
    | ExpectStock
    | AdjustStock
    | MoveStock
    | StartTransfer
    | ReceiveTransfer
    | AmendTransfer
    | CountStock
    | ApproveCount
    | MarkDamaged
    | HoldStock
    | ReleaseQualityHold
    | DisposeStock
    | SetStockPolicy
    | SetChannelPolicy
    | AssignCategory
    | ApplyCategoryPolicy
    | ConfirmLocation
    | ReserveStock
    | ReleaseStock
    | AwaitStock
    | ShipStock
    | RestoreStock
    | ReturnStock
    | RejectStock
    | ExpireReservation
    | CheckExpected
    | ServeQueue
)
