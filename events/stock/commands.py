"""What can be asked of stock: the commands, checked as they come in."""

from typing import Literal, TypeAlias

from msgspec import Struct, field

from events.values import CategoryRules, Consumed, Delta, Id, Integer, Natural, Quantity, Text, UtcTime

RejectionReason: TypeAlias = Literal["not_in_stock", "mismatch", "damaged"]


class ReceiveStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Goods have arrived."""

    sku: Id
    location_id: Id
    quantity: Quantity
    purchase_order: Text | None = None
    reason: Text | None = None
    document: Text | None = None


class ExpectStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is still expected of a purchase order line."""

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
    """Goods go from one location to another."""

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
    """Units of a transfer have arrived, all or some."""

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
    """Somebody counted."""

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
    """Somebody other than the counters says whether a count that waits is applied."""

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
    """Set units apart until their quality is known."""

    sku: Id
    location_id: Id
    quantity: Quantity
    reason: Text
    document: Text | None = None


class ReleaseQualityHold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Say what becomes of units whose quality is known."""

    sku: Id
    location_id: Id
    quantity: Quantity
    disposition: Literal["restock", "damaged", "dispose"]
    reason: Text | None = None
    document: Text | None = None


class DisposeStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units leave the stock for good, other than by sale."""

    sku: Id
    location_id: Id
    quantity: Quantity
    taken_from: Literal["available", "damaged", "quality_hold"] = field(name="from")
    reason: Text
    document: Text | None = None


class SetStockPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Set the planner's numbers for a SKU at a location; an unset one stays."""

    sku: Id
    location_id: Id
    safety_stock: Natural | None = None
    reorder_point: Natural | None = None
    buffers: dict[Id, Natural] | None = None
    recount_above: Natural | None = None
    approval_above: Natural | None = None


class SetChannelPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What channels may sell of a SKU, everywhere or at one location; what is unset stays."""

    sku: Id
    location_id: Id | None = None
    buffers: dict[Id, Natural] | None = None
    excluded_channels: tuple[Id, ...] | None = None


class AssignCategory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The SKU belongs to a category, or to none."""

    sku: Id
    category_id: Id | None = None


class ApplyCategoryPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The policy of its category is to count for the SKU."""

    sku: Id
    category_id: Id
    policy_version: Natural
    rules: tuple[CategoryRules, ...]


class ConfirmLocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The location tells the SKU whether it is registered; where not, it answers again when it is."""

    sku: Id
    location_id: Id
    registered: bool


class ReserveStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Hold units for a line of an order, or say at once that there are not enough."""

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
    """Let go of what an attempt holds or waits for."""

    sku: Id
    location_id: Text
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural
    expires_at: UtcTime | None = None


class AwaitStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Grant a line from any location as soon as there is stock, oldest order first."""

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


class ReturnStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units have come back from a customer."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    return_id: Id
    disposition: Literal["restock", "damaged", "dispose", "inspect"]


class RejectStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A location has rejected units that an order held."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    reason: RejectionReason
    note: Text | None = None
    consumed: tuple[Consumed, ...] = ()


class ExpireReservation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The time named in a reservation's expires_at has come."""

    sku: Id
    location_id: Id
    order_id: Id
    line_id: Id
    attempt: Natural


class CheckExpected(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The time at which goods were expected has come."""

    sku: Id


class ServeQueue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units were offered to an order that may not take them: whoever else waits is served."""

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
    | ReturnStock
    | RejectStock
    | ExpireReservation
    | CheckExpected
    | ServeQueue
)
