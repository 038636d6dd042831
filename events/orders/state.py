"""The state of an order, as decisions need it: its lines, holds, shipments, returns and money.

Of each line, always: `ordered = open + backordered + allocated + shipped + cancelled`. Open units are either `idle`
(not asked for) or `sourcing` (a stock stream has been asked and has not answered yet).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from events.ahead import Ahead
from events.orders.parts import Cause
from events.values import Attribute


class Hold(NamedTuple):
    """Units allocated at a location under an attempt."""

    attempt: int
    location_id: str
    quantity: int


class Wait(NamedTuple):
    """Units in the queue of their SKU, and when they are expected. Attempt 0: they wait only with their order."""

    attempt: int
    quantity: int
    expected_at: datetime | None = None


class Line(Struct, frozen=True, kw_only=True):
    """One line, and in which state its units are.

    - `answered`: the newest version of the SKU's stream whose answer was used.
    - `exchange_for`: the return that the line was added for, or empty.
    - `removed`: units that were amended away, and are no longer `ordered`.
    - `excluded`: locations that have just refused the line. `rejected_by`: locations that could not provide it, or that
      must not.
    - `told`: the time that the customer was last told for waiting units.
    - `returned`: units that came back, for any cause. `returned_by_customer`: those that the customer sent back.
    - `replaced`: units that are ordered once more to replace others. `replacing`: those that have not shipped yet.
    - `written_off`: shipped units that were replaced and have not arrived.
    - `ahead`: shipped units that stock has not answered for yet. `covers`: reservations that count for these units; a
      cover without a location is a wait. Stock will say that they left with the parcel.
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
    replaced: int = 0
    replacing: int = 0
    written_off: int = 0
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
        """Units that are open or backordered."""
        return self.open + self.backordered

    @property
    def in_exchange(self) -> bool:
        """Whether it was added in exchange for a return (`exchange_for`)."""
        return bool(self.exchange_for)

    @property
    def wanted(self) -> int:
        """Units that the customer is to get in all, including shipped ones."""
        return self.ordered - self.cancelled

    @property
    def unshipped(self) -> int:
        """Units that can still be shipped or cancelled."""
        return self.wanted - self.shipped


class Origin(NamedTuple):
    """What units of a parcel were before they left.

    `held` were allocated at the location of the parcel. `cancelled` and `removed` had been cancelled or amended away.
    `resent` replaced others. `found`: all further units were allocated elsewhere or being sourced.
    """

    held: int = 0
    cancelled: int = 0
    removed: int = 0
    resent: int = 0
    found: bool = False


class Shipment(Struct, frozen=True, kw_only=True):
    """A parcel that left. `lines`, `replaced` and `written_off` are line → units.

    `to_sender`: the carrier is bringing the parcel back, undelivered. `seen`: what shows that it left, for example a
    scan; empty if nothing does. As long as it is empty, `origins` says what the units were before. `crossed`: some
    units had been cancelled or amended away. `retracted`: the dispatch was a mistake.
    """

    location_id: str
    carrier: str
    lines: Mapping[str, int]
    dispatched_at: datetime
    delivered: bool = False
    to_sender: bool = False
    seen: str = ""
    retracted: bool = False
    crossed: bool = False
    origins: Mapping[str, Origin] = {}
    replaced: Mapping[str, int] = {}
    written_off: Mapping[str, int] = {}


class Return(Struct, frozen=True, kw_only=True):
    """A return. `requested` and `received` are line → units. `credit_minor` is taken off the value of its
    exchange lines. These may leave once it is `exchanged`. `cause` says why the goods that arrived last came back.
    """

    rma: str
    requested: Mapping[str, int]
    received: Mapping[str, int]
    cause: Cause | None = None
    credit_minor: int = 0
    exchanged: bool = False
    withdrawn: bool = False


class Queued(Struct, frozen=True, kw_only=True):
    """Lines in a work queue. `left`: a person took them off the list and left them as they are."""

    reason: str
    lines: tuple[str, ...]
    left: bool = False


class AmendedLine(NamedTuple):
    """A line of a pending amendment. `got` are the extra units reserved for it so far.

    `ordered_before` and `ordered` include cancelled units and replacements; `cancelled` is how many these were.
    """

    ordered_before: int
    ordered: int
    got: tuple[Hold, ...] = ()
    cancelled: int = 0

    @property
    def quantity(self) -> int:
        """Units that the customer is to get in all."""
        return self.ordered - self.cancelled

    @property
    def extra(self) -> int:
        """Units that would be added; below 0 if units would be removed."""
        return self.ordered - self.ordered_before

    @property
    def missing(self) -> int:
        """Extra units that no stock stream has reserved yet."""
        return max(0, self.extra) - sum(hold.quantity for hold in self.got)


class Amendment(Struct, frozen=True, kw_only=True):
    """An amendment for which stock is asked in sourcing round `round`. The order does not change meanwhile."""

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
    """A placed order. Before it is placed there is no state (None). `releasing` are the holds that release stock.

    - `amendments`: how many amendments asked stock. `amended_round`: the round of the last one that was applied.
    - `sourced_round`: the round of the last sourcing.
    - `promise`: whether `due_by` is about the delivery or the dispatch.
    - `sought`: lines that were being sourced when a hold was set. Their sourcing goes on.
    - `deferrals`: how many scans were ever `deferred`.
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
        """Whether it is an all-or-nothing order."""
        return self.allocation == "all_or_nothing"

    @property
    def held_at(self) -> tuple[str, ...]:
        """Locations where units are allocated to it now."""
        return tuple(sorted({hold.location_id for line in self.lines.values() for hold in line.holds}))

    @property
    def may_source(self) -> bool:
        """Whether anything may be sourced now. Under a hold: whether there are lines whose sourcing goes on."""
        return self.released and (not self.holds or bool(self.sought))

    def may_source_line(self, line_id: str) -> bool:
        """Whether the line may be sourced now."""
        return self.may_source and not self.stands_still(line_id)

    def stands_still(self, line_id: str) -> bool:
        """Whether the line must not be sourced. It waits for a person, or a hold stops it."""
        if self.in_a_queue(line_id):
            return True
        return bool(self.holds) and not (self.sought if self.as_a_whole else line_id in self.sought)

    def held_for_return(self, line: Line) -> str | None:
        """The return that must arrive before the line may leave, or None."""
        if not line.in_exchange or self.returns[line.exchange_for].exchanged:
            return None
        return line.exchange_for

    def in_a_queue(self, line_id: str) -> bool:
        """Whether the line waits for a person's decision. An all-or-nothing order waits as a whole."""
        if self.as_a_whole:
            return bool(self.queues)
        return any(line_id in entry.lines for entry in self.queues.values())

    @property
    def fully_allocated(self) -> bool:
        """All units that are still wanted and not shipped are allocated."""
        held = False
        for line in self.lines.values():
            if line.idle or line.sourcing or line.waits:
                return False
            held = held or bool(line.holds)
        return held

    @property
    def value_minor(self) -> int:
        """Value of all ordered units and charges, in minor units. Replacements cost nothing. Of an exchange, only the
        part counts that exceeds the value of the goods that came back for it.
        """
        value = self.charges_minor
        exchanged: dict[str, int] = {}
        for line in self.lines.values():
            worth = (line.ordered - line.replaced) * line.unit_price_minor
            if line.in_exchange:
                exchanged[line.exchange_for] = exchanged.get(line.exchange_for, 0) + worth
            else:
                value += worth
        return value + sum(
            max(0, worth - self.returns[return_id].credit_minor) for return_id, worth in exchanged.items()
        )
