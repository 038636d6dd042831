"""The facts of stock."""

from msgspec import Struct

from events.values import (
    Buffer,
    CategoryRules,
    ChannelRule,
    Consumed,
    Id,
    Integer,
    Natural,
    Quantity,
    Text,
    Total,
    UtcTime,
)


class StockReceived(Struct, frozen=True, kw_only=True):
    """Goods arrived."""

    sku: Id
    location_id: Id
    quantity: Quantity
    purchase_order: Text | None = None
    reason: Text | None = None
    document: Text | None = None


class StockExpected(Struct, frozen=True, kw_only=True):
    """What is still expected of a purchase order line, from now on."""

    sku: Id
    location_id: Id
    purchase_order: Id
    quantity: Natural
    quantity_before: Natural
    expected_at: UtcTime | None = None
    expected_before: UtcTime | None = None
    overdue: bool
    cause: Text


class ReceiptOverdue(Struct, frozen=True, kw_only=True):
    """Goods did not arrive when expected. Nothing is promised from them until somebody gives a new time."""

    sku: Id
    location_id: Id
    quantity: Quantity
    expected_at: UtcTime
    purchase_order: Id | None = None
    transfer_id: Id | None = None


class StockAdjusted(Struct, frozen=True, kw_only=True):
    """A quantity on hand was corrected."""

    sku: Id
    location_id: Id
    quantity_delta: Integer
    reason: Text
    document: Text | None = None


class StockMoved(Struct, frozen=True, kw_only=True):
    """Goods went from one location to another."""

    sku: Id
    from_location_id: Id
    to_location_id: Id
    quantity: Quantity
    reason: Text | None = None
    document: Text | None = None


class TransferStarted(Struct, frozen=True, kw_only=True):
    """Units left a location for another one."""

    sku: Id
    transfer_id: Id
    from_location_id: Id
    to_location_id: Id
    quantity: Quantity
    expected_at: UtcTime | None = None


class TransferReceived(Struct, frozen=True, kw_only=True):
    """Units of a transfer arrived."""

    sku: Id
    transfer_id: Id
    location_id: Id
    quantity: Quantity
    damaged: Natural
    left: Natural
    expected_at: UtcTime | None = None
    overdue: bool


class TransferDiffered(Struct, frozen=True, kw_only=True):
    """Less arrived than was sent, and nothing more will come. A person should look at it."""

    sku: Id
    transfer_id: Id
    from_location_id: Id
    to_location_id: Id
    sent: Quantity
    received: Natural
    missing: Quantity


class TransferAmended(Struct, frozen=True, kw_only=True):
    """A transfer is expected at another time."""

    sku: Id
    transfer_id: Id
    location_id: Id
    left: Quantity
    expected_at: UtcTime
    expected_before: UtcTime | None = None
    overdue: bool


class StockCounted(Struct, frozen=True, kw_only=True):
    """A count was applied: the record now agrees with it."""

    sku: Id
    location_id: Id
    counted: Natural
    counted_at: UtcTime
    expected: Total
    variance: Total
    tolerance: Natural
    accurate: bool
    count_id: Id | None = None
    reason: Text | None = None
    document: Text | None = None


class CountRestated(Struct, frozen=True, kw_only=True):
    """A movement was reported after a count was applied, but had happened before it. The count already included it.

    The record changes by `variance - variance_before`, at `counted_at`.
    """

    sku: Id
    location_id: Id
    counted: Natural
    counted_at: UtcTime
    expected: Total
    variance: Total
    variance_before: Total
    tolerance: Natural
    accurate: bool
    count_id: Id | None = None


class RecountRequested(Struct, frozen=True, kw_only=True):
    """A count differs so much that a second one must agree. It changes nothing yet."""

    sku: Id
    location_id: Id
    count_id: Id
    counted: Natural
    counted_at: UtcTime
    expected: Total
    variance: Total
    tolerance: Natural
    recount_above: Natural
    counted_by: tuple[Id, ...]
    reason: Text | None = None
    document: Text | None = None


class CountApprovalRequested(Struct, frozen=True, kw_only=True):
    """A count waits until another person approves it. It changes nothing yet."""

    sku: Id
    location_id: Id
    count_id: Id
    counted: Natural
    counted_at: UtcTime
    expected: Total
    variance: Total
    tolerance: Natural
    approval_above: Natural
    counted_by: tuple[Id, ...]
    reason: Text | None = None
    document: Text | None = None


class CountRejected(Struct, frozen=True, kw_only=True):
    """A count was rejected and is not applied."""

    sku: Id
    location_id: Id
    count_id: Id
    variance: Total
    reason: Text | None = None


class StockMarkedDamaged(Struct, frozen=True, kw_only=True):
    """Units on hand can no longer be sold."""

    sku: Id
    location_id: Id
    quantity: Quantity
    reason: Text | None = None
    document: Text | None = None


class StockHeld(Struct, frozen=True, kw_only=True):
    """Units are in quality hold until their quality is known."""

    sku: Id
    location_id: Id
    quantity: Quantity
    reason: Text
    document: Text | None = None


class QualityHoldReleased(Struct, frozen=True, kw_only=True):
    """The quality of units is known."""

    sku: Id
    location_id: Id
    quantity: Quantity
    disposition: Text
    reason: Text | None = None
    document: Text | None = None


class StockDisposed(Struct, frozen=True, kw_only=True):
    """Units left the stock for good, other than by sale."""

    sku: Id
    location_id: Id
    quantity: Quantity
    taken_from: Text
    reason: Text
    document: Text | None = None


class StockPolicySet(Struct, frozen=True, kw_only=True):
    """All of the planner's numbers, as they are from now on."""

    sku: Id
    location_id: Id
    safety_stock: Natural
    reorder_point: Natural | None = None
    buffers: tuple[Buffer, ...]
    recount_above: Natural | None = None
    approval_above: Natural | None = None


class ChannelPolicySet(Struct, frozen=True, kw_only=True):
    """What channels may sell of a SKU from now on, everywhere or at one location."""

    sku: Id
    location_id: Id | None = None
    buffers: tuple[Buffer, ...]
    excluded_channels: tuple[Id, ...]


class StockLocated(Struct, frozen=True, kw_only=True):
    """The SKU is at a location for the first time. Nothing there can be reserved until LocationConfirmed."""

    sku: Id
    location_id: Id


class LocationConfirmed(Struct, frozen=True, kw_only=True):
    """A location answered whether it is registered. If so, the SKU's stock there may be reserved from now on."""

    sku: Id
    location_id: Id
    registered: bool


class SkuCategorised(Struct, frozen=True, kw_only=True):
    """The SKU belongs to a category from now on."""

    sku: Id
    category_id: Id | None = None
    previous: Id | None = None


class CategoryRulesSet(Struct, frozen=True, kw_only=True):
    """A category's rules apply to a SKU from now on."""

    sku: Id
    category_id: Id
    policy_version: Natural
    rules: tuple[CategoryRules, ...]


class SellingRulesResolved(Struct, frozen=True, kw_only=True):
    """What each channel may sell of a SKU at a location, by all rules together."""

    sku: Id
    location_id: Id
    rules: tuple[ChannelRule, ...]


class StockReserved(Struct, frozen=True, kw_only=True):
    """Units are reserved for a line."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural
    expires_at: UtcTime | None = None
    waited: bool
    for_order: bool


class ReservationRefused(Struct, frozen=True, kw_only=True):
    """There were not enough units."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural
    available: Total
    reason: Text
    for_order: bool


class ReservationPostponed(Struct, frozen=True, kw_only=True):
    """A line asks for units at a location that may not be registered. It is answered once that is known."""

    sku: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural
    placed_at: UtcTime
    mode: Text
    for_channel: Id | None = None
    locations: tuple[Id, ...]
    cart_id: Id | None = None
    not_at: tuple[Id, ...] = ()


class StockAwaited(Struct, frozen=True, kw_only=True):
    """A line is in the queue of its SKU."""

    sku: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural
    placed_at: UtcTime
    mode: Text
    for_channel: Id | None = None
    locations: tuple[Id, ...]
    not_at: tuple[Id, ...] = ()


class StockOffered(Struct, frozen=True, kw_only=True):
    """There is enough stock for an order that waits as a whole. The order has left the queue, and tries again."""

    sku: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural


class BackorderPromised(Struct, frozen=True, kw_only=True):
    """The time at which all waiting units of a line are expected has changed."""

    sku: Id
    order_id: Id
    line_id: Id
    attempt: Natural
    quantity: Quantity
    expected_at: UtcTime | None = None
    previous: UtcTime | None = None
    cause: Text


class StockReleased(Struct, frozen=True, kw_only=True):
    """Units are no longer reserved. `shipped`: they had left before their order knew of the reservation."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural
    for_order: bool
    shipped: bool = False


class WaitEnded(Struct, frozen=True, kw_only=True):
    """Units of a line no longer wait or ask. `shipped`: their goods left before stock could answer."""

    sku: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural
    shipped: bool = False


class ReleaseTombstoned(Struct, frozen=True, kw_only=True):
    """A release came before its reservation. The reservation will be refused when it comes."""

    sku: Id
    order_id: Id
    line_id: Id
    attempt: Natural


class ReservationExpired(Struct, frozen=True, kw_only=True):
    """A reservation expired."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    attempt: Natural
    for_order: bool
    expires_at: UtcTime | None = None


class StockShipped(Struct, frozen=True, kw_only=True):
    """Units left with a parcel. `ahead` of them left before the order's question came (`events.ahead`)."""

    sku: Id
    location_id: Id
    quantity: Quantity
    from_reserved: Natural
    order_id: Id
    line_id: Id
    shipment_id: Id
    consumed: tuple[Consumed, ...]
    ahead: Natural = 0
    ahead_round: Natural = 0
    ahead_apart: Natural = 0


class StockRestored(Struct, frozen=True, kw_only=True):
    """The dispatch of units was a mistake: they never left. `to_reserved` of them are reserved again for their line."""

    sku: Id
    location_id: Id
    quantity: Quantity
    to_reserved: Natural
    order_id: Id
    line_id: Id
    shipment_id: Id
    attempt: Natural


class StockRejected(Struct, frozen=True, kw_only=True):
    """Reserved units were missing, damaged or the wrong goods."""

    sku: Id
    location_id: Id
    quantity: Quantity
    corrected: Natural
    from_reserved: Natural
    order_id: Id
    line_id: Id
    reason: Text
    note: Text | None = None
    consumed: tuple[Consumed, ...]


class StockReturned(Struct, frozen=True, kw_only=True):
    """Units of an order came back."""

    sku: Id
    location_id: Id
    quantity: Quantity
    order_id: Id
    line_id: Id
    return_id: Id
    disposition: Text


class StockShortfallFound(Struct, frozen=True, kw_only=True):
    """More is reserved or kept back than there is."""

    sku: Id
    location_id: Id
    available: Total
    cause: Text


class LowStockDetected(Struct, frozen=True, kw_only=True):
    """Available stock fell to the reorder point."""

    sku: Id
    location_id: Id
    available: Total
    reorder_point: Natural


IncomingFact = StockExpected | ReceiptOverdue | TransferStarted | TransferReceived | TransferDiffered | TransferAmended

StockFact = (
    StockReceived
    | IncomingFact
    | StockAdjusted
    | StockMoved
    | StockCounted
    | CountRestated
    | RecountRequested
    | CountApprovalRequested
    | CountRejected
    | StockMarkedDamaged
    | StockHeld
    | QualityHoldReleased
    | StockDisposed
    | StockPolicySet
    | ChannelPolicySet
    | StockLocated
    | LocationConfirmed
    | SkuCategorised
    | CategoryRulesSet
    | SellingRulesResolved
    | StockReserved
    | ReservationRefused
    | ReservationPostponed
    | StockAwaited
    | StockOffered
    | BackorderPromised
    | StockReleased
    | WaitEnded
    | ReleaseTombstoned
    | ReservationExpired
    | StockShipped
    | StockRestored
    | StockRejected
    | StockReturned
    | StockShortfallFound
    | LowStockDetected
)
