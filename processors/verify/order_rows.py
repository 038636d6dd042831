"""The rows of the tables about orders, with what PostgreSQL derives from their columns."""

from dataclasses import dataclass
from datetime import datetime

from processors.verify.rows import Row


@dataclass(slots=True)
class Order(Row):
    version: int | None = None
    channel: str | None = None
    customer_id: str | None = None
    currency: str | None = None
    placed_at: datetime | None = None
    promised_by: datetime | None = None
    promise: str | None = None
    due_by: datetime | None = None
    country: str | None = None
    region: str | None = None
    service_level: str | None = None
    allocation: str | None = None
    release_at: datetime | None = None
    released: bool | None = None
    open: int = 0
    backordered: int = 0
    allocated: int = 0
    shipped: int = 0
    cancelled: int = 0
    ordered: int = 0
    delivered: int = 0
    returned: int = 0
    returned_by_customer: int = 0
    replaced: int = 0
    written_off: int = 0
    value_minor: int = 0
    charges_minor: int = 0
    refunded_minor: int = 0
    active_holds: int = 0
    updated_at: datetime | None = None

    @property
    def status(self) -> str:
        """The order's status, from its totals."""
        if self.ordered > 0 and self.cancelled == self.ordered:
            return "cancelled"
        if self.shipped > 0 and not self.open + self.backordered + self.allocated:
            if self.returned:
                return "returned" if self.returned == self.shipped else "partially_returned"
            # What was sent again is not waited for; but something must have arrived.
            missing = self.shipped - self.delivered - self.written_off
            return "delivered" if self.delivered and not missing else "shipped"
        if self.shipped > 0:
            return "partially_shipped"
        if self.active_holds > 0:
            return "held"
        if self.ordered == 0:
            return "placed"
        if self.allocated == self.ordered - self.cancelled:
            return "allocated"
        if self.allocated > 0:
            return "partially_allocated"
        return "backordered" if self.backordered > 0 and self.open == 0 else "placed"


@dataclass(slots=True)
class Hold(Row):
    active: int = 0


@dataclass(slots=True)
class Line(Row):
    sku: str | None = None
    unit_price_minor: int | None = None
    cancel_after: datetime | None = None
    customised: bool | None = None
    open: int = 0
    backordered: int = 0
    allocated: int = 0
    shipped: int = 0
    cancelled: int = 0
    ordered: int = 0
    delivered: int = 0
    returned: int = 0
    returned_by_customer: int = 0
    replaced: int = 0
    written_off: int = 0
    promised: bool | None = None
    told_expected_at: datetime | None = None
    exchange_for: str | None = None
    awaits_return: bool | None = None

    @property
    def expected_at(self) -> datetime | None:
        """When waiting units are expected, as the customer was told."""
        return self.told_expected_at if self.promised and self.backordered > 0 else None

    @property
    def held_for_return(self) -> str | None:
        """The return that must arrive before its units may leave."""
        left = self.open + self.backordered + self.allocated
        return self.exchange_for if self.awaits_return and left > 0 else None


@dataclass(slots=True)
class LineLocation(Row):
    allocated: int = 0
    shipped: int = 0


@dataclass(slots=True)
class Shipment(Row):
    location_id: str | None = None
    carrier: str | None = None
    service: str | None = None
    tracking_number: str | None = None
    scan: str | None = None
    expected_at: datetime | None = None
    dispatched_at: datetime | None = None
    delivered_at: datetime | None = None
    due_by: datetime | None = None
    on_time: bool | None = None

    @property
    def status(self) -> str | None:
        """Delivered stays, even if later scans follow."""
        return self.scan if self.delivered_at is None else "delivered"


@dataclass(slots=True)
class ShipmentLine(Row):
    sku: str | None = None
    quantity: int = 0
    replaced: int = 0


@dataclass(slots=True)
class Return(Row):
    rma: str | None = None
    resolution: str | None = None
    scan: str | None = None
    cause: str | None = None
    announced: bool | None = None
    requested_at: datetime | None = None
    received_at: datetime | None = None
    location_id: str | None = None

    @property
    def status(self) -> str | None:
        """Received stays, even if later scans follow."""
        return self.scan if self.received_at is None else "received"


@dataclass(slots=True)
class ReturnLine(Row):
    sku: str | None = None
    quantity: int = 0
    received: int = 0
    disposition: str | None = None
    reason: str | None = None
    reason_code: str | None = None


@dataclass(slots=True)
class Amendment(Row):
    status: str | None = None
    by: str | None = None
    reason: str | None = None
    promised_by: datetime | None = None
    requested_at: datetime | None = None
    answered_at: datetime | None = None


@dataclass(slots=True)
class AmendmentLine(Row):
    sku: str | None = None
    ordered_before: int | None = None
    ordered: int | None = None
    available: int | None = None
