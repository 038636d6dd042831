"""What the ledger knows of an order while it decides: its lines, holds, shipments, returns and money.

Per line always: `ordered = open + backordered + allocated + shipped + cancelled`, where open units are either `idle`
(nobody looks for a location) or `sourcing` (a stock stream has been asked and has not answered yet).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from events.ahead import Ahead
from events.orders.parts import Cause
from events.values import Attribute


class Hold(NamedTuple):
    """Units held at a location under an attempt."""

    attempt: int
    location_id: str
    quantity: int


class Wait(NamedTuple):
    """Units in the queue of their SKU, and when they are expected; attempt 0 has no place there (the order waits)."""

    attempt: int
    quantity: int
    expected_at: datetime | None = None


class Line(Struct, frozen=True, kw_only=True):
    """One line and where its units are. `answered` is the newest version of the SKU's stream taken into account.

    `exchange_for` is the return that it was added for, or empty. `removed` units were amended away: they are not
    `ordered` any more. `excluded` have just refused the line, `rejected_by` are locations that looked and could not
    provide it, or are not to. `told` is the time by which the customer was last told to expect units that wait.
    `returned` units came back for any cause; `returned_by_customer` are those of them that the customer sent back.
    `ahead` are shipped units that stock has not said anything of yet; `covers` is what stock has held for some of them,
    at an empty location what waits for them: it will say that this left with the parcel.
    """

    line_id: str
    sku: str
    unit_price_minor: int
    ordered: int
    idle: int = 0
    sourcing: int = 0
    holds: tuple[Hold, ...] = ()
    waits: tuple[Wait, ...] = ()
    shipped: int = 0
    cancelled: int = 0
    delivered: int = 0
    returned: int = 0
    returned_by_customer: int = 0
    answered: int = 0
    removed: int = 0
    excluded: tuple[str, ...] = ()
    rejected_by: tuple[str, ...] = ()
    rejections: int = 0
    told: datetime | None = None
    cancel_after: datetime | None = None
    customised: bool = False
    attributes: tuple[Attribute, ...] = ()
    exchange_for: str = ""
    ahead: tuple[Ahead, ...] = ()
    covers: tuple[Hold, ...] = ()

    @property
    def open(self) -> int:
        return self.idle + self.sourcing

    @property
    def allocated(self) -> int:
        return sum(hold.quantity for hold in self.holds)

    @property
    def backordered(self) -> int:
        return sum(wait.quantity for wait in self.waits)

    @property
    def unmade(self) -> int:
        """Units that are neither made nor allocated yet."""
        return self.open + self.backordered

    @property
    def in_exchange(self) -> bool:
        """Whether it was added in exchange for a return (`exchange_for`)."""
        return bool(self.exchange_for)

    @property
    def wanted(self) -> int:
        """What the customer is to get in all, shipped units in it."""
        return self.ordered - self.cancelled

    @property
    def unshipped(self) -> int:
        """Units that can still be shipped or cancelled."""
        return self.wanted - self.shipped


class Shipment(Struct, frozen=True, kw_only=True):
    """A parcel that left; `lines` is line → units. `to_sender`: its carrier brings it back, undelivered."""

    location_id: str
    carrier: str
    lines: Mapping[str, int]
    delivered: bool = False
    to_sender: bool = False


class Return(Struct, frozen=True, kw_only=True):
    """A return; `requested` and `received` are line → units. What is sent in exchange for it costs `credit_minor` less,
    and may leave once it is `exchanged`. `cause` says why the newest goods of it came back.
    """

    rma: str
    requested: Mapping[str, int]
    received: Mapping[str, int]
    cause: Cause | None = None
    credit_minor: int = 0
    exchanged: bool = False
    withdrawn: bool = False


class Queued(Struct, frozen=True, kw_only=True):
    """Lines that stand in a queue of people; `left`: somebody took them off the list and left them as they are."""

    reason: str
    lines: tuple[str, ...]
    left: bool = False


class AmendedLine(NamedTuple):
    """A line of a pending amendment; `got` counts the units allocated for it so far.

    `cancelled` units are in both numbers, as they were when it was asked for.
    """

    ordered_before: int
    ordered: int
    got: tuple[Hold, ...] = ()
    cancelled: int = 0

    @property
    def quantity(self) -> int:
        """What the customer is to get in all."""
        return self.ordered - self.cancelled

    @property
    def extra(self) -> int:
        """Units that would be added; below 0 where some would go."""
        return self.ordered - self.ordered_before

    @property
    def missing(self) -> int:
        """Extra units that no stock stream has reserved yet."""
        return max(0, self.extra) - sum(hold.quantity for hold in self.got)


class Amendment(Struct, frozen=True, kw_only=True):
    """An amendment that stock is asked for in `round`; the order is as it was meanwhile."""

    amendment_id: str
    round: int
    by: str
    promised_by: datetime | None
    lines: Mapping[str, AmendedLine]


class DeferredScan(Struct, frozen=True, kw_only=True):
    """A carrier's scan that waits until `ends_at` for the dispatch of its parcel."""

    number: int
    shipment_id: str
    status: str
    scanned_at: datetime
    ends_at: datetime
    expected_at: datetime | None = None
    place: str | None = None


class Order(Struct, frozen=True, kw_only=True):
    """A placed order. Before it is placed there is no state (None). `releasing` are the holds that let go of stock.

    `amendments` were asked of stock so far; the units of the last one that was made came in `amended_round`. Locations
    were last looked for in `sourced_round`. `promise` is what is promised by `due_by`: delivery or dispatch.
    `sought` are lines that stock was being asked for when a hold was set: they are sought on.
    `deferrals` counts the scans that were ever `deferred`.
    """

    order_id: str
    currency: str
    channel: str
    placed_at: datetime
    allocation: str
    country: str
    time_zone: str | None
    latitude: float | None
    longitude: float | None
    promised_by: datetime | None
    due_by: datetime | None
    lines: Mapping[str, Line]
    charges_minor: int
    released: bool
    round: int = 1
    sourced_round: int = 1
    holds: tuple[str, ...] = ()
    releasing: tuple[str, ...] = ()
    sought: tuple[str, ...] = ()
    amendment: Amendment | None = None
    amendments: int = 0
    amended_round: int | None = None
    shipments: Mapping[str, Shipment] = {}
    returns: Mapping[str, Return] = {}
    refunded_minor: int = 0
    queues: Mapping[str, Queued] = {}
    cart_id: str | None = None
    service_level: str = "standard"
    region: str | None = None
    promise: str = "delivery"
    deferred: tuple[DeferredScan, ...] = ()
    deferrals: int = 0

    @property
    def as_a_whole(self) -> bool:
        """Whether it is allocated only all at once."""
        return self.allocation == "all_or_nothing"

    @property
    def held_at(self) -> tuple[str, ...]:
        """Locations that hold units for it now."""
        return tuple(sorted({hold.location_id for line in self.lines.values() for hold in line.holds}))

    @property
    def may_source(self) -> bool:
        """Whether locations may be looked for now, be it only for lines that were sought when a hold was set."""
        return self.released and (not self.holds or bool(self.sought))

    def may_source_line(self, line_id: str) -> bool:
        """Whether locations may be looked for now for the line."""
        return self.may_source and not self.stands_still(line_id)

    def stands_still(self, line_id: str) -> bool:
        """Whether a person is to decide about the line, or it was not being sought when a hold was set."""
        if self.in_a_queue(line_id):
            return True
        return bool(self.holds) and not (self.sought if self.as_a_whole else line_id in self.sought)

    def held_for_return(self, line: Line) -> str | None:
        """The return that has to come before the line may leave."""
        if not line.in_exchange or self.returns[line.exchange_for].exchanged:
            return None
        return line.exchange_for

    def in_a_queue(self, line_id: str) -> bool:
        """Whether a person is to decide about the line (about the whole order, where it goes as a whole)."""
        if self.as_a_whole:
            return bool(self.queues)
        return any(line_id in entry.lines for entry in self.queues.values())

    @property
    def fully_allocated(self) -> bool:
        """Every unit that is still wanted and not shipped is held."""
        held = False
        for line in self.lines.values():
            if line.idle or line.sourcing or line.waits:
                return False
            held = held or bool(line.holds)
        return held

    @property
    def value_minor(self) -> int:
        """Value of all units ordered and all charges, in minor units; of an exchange what it costs more than the return
        that it is for brings back.
        """
        value = self.charges_minor
        exchanged: dict[str, int] = {}
        for line in self.lines.values():
            worth = line.ordered * line.unit_price_minor
            if line.in_exchange:
                exchanged[line.exchange_for] = exchanged.get(line.exchange_for, 0) + worth
            else:
                value += worth
        return value + sum(
            max(0, worth - self.returns[return_id].credit_minor) for return_id, worth in exchanged.items()
        )
