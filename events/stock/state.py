"""The state of one SKU, at all its locations, as decisions need it.

At each location, always: `on_hand = available + reserved + safety + damaged + quality_hold`. Reservations and
the queue are persistent maps: a SKU may have a hundred thousand entries, and a change must not copy them all.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import immutables
from msgspec import Struct
from msgspec.structs import replace

from events.ahead import Ahead
from events.stock.expected import Expected, Incoming, Source, Transfer, next_due
from events.stock.lapsing import NONE, Hold, Lapsing, lapsing_with
from events.stock.rules import NO_RULES, Rules, kept_back

#: How many answered attempts without a reservation or a wait a SKU remembers: at least this many, and up to half as
#: many again. They keep another command from using an attempt twice. (A repeated command is recognised by its id.) More
#: would cost memory for every SKU that sells: with 1,000, a state took 400 kB.
ATTEMPTS_KEPT = 250
#: How many days of log time a SKU remembers a release or a dispatch that came before its question.
TOMBSTONES_KEPT_DAYS = 30
#: How many movements a location remembers, for counts that are reported late. An older count is refused.
MOVES_KEPT = 256
#: How many counts a location remembers, for movements that are reported late. A movement from before all of them
#: restates the oldest one: the record stays right, but the variance of forgotten counts is not corrected.
COUNTS_KEPT = 16


class Attempt(NamedTuple):
    """One attempt for one line of one order."""

    order_id: str
    line_id: str
    attempt: int


class Moment(NamedTuple):
    """When something moved or was counted, by the channel's clock, but at most log time.

    `in_turn`: it happened no earlier than log time, so it comes after all that was recorded before, counts included.
    """

    at: datetime
    in_turn: bool

    def found_at(self, counted_at: datetime) -> bool:
        """Whether a count at that time already included the movement."""
        return self.at < counted_at or (self.at == counted_at and not self.in_turn)


def moment(occurred_at: datetime, recorded_at: datetime) -> Moment:
    """The moment of something that occurred and was recorded at these times."""
    return Moment(min(occurred_at, recorded_at), in_turn=occurred_at >= recorded_at)


class Move(NamedTuple):
    """A change of on_hand at its moment."""

    occurred_at: datetime
    delta: int


class CountApplied(Struct, frozen=True, kw_only=True):
    """A count that was applied. `expected` includes movements that were reported later."""

    count_id: str | None
    counted: int
    counted_at: datetime
    expected: int
    tolerance: int


class CountAsked(Struct, frozen=True, kw_only=True):
    """A count that is not applied yet. `counts` are the times of the counts that agree. `backdated` are units of
    movements that happened before the count and were reported after it. `expected` does not include them.
    """

    count_id: str
    counted: int
    counted_at: datetime
    expected: int
    tolerance: int
    counted_by: tuple[str, ...]
    counts: tuple[datetime, ...]
    reason: str | None = None
    document: str | None = None
    backdated: int = 0

    @property
    def variance(self) -> int:
        """The count's difference from the record when it was reported."""
        return self.counted - self.expected

    @property
    def variance_now(self) -> int:
        """The count's difference from the record, with the movements that were reported later."""
        return self.variance - self.backdated

    def agreed_with(self, before: "CountAsked", counted_by: tuple[str, ...]) -> "CountAsked":
        """This count together with an earlier one that had the same result."""
        return replace(self, counts=(*before.counts, *self.counts), counted_by=counted_by)


class Level(Struct, frozen=True, kw_only=True):
    """The quantities of a SKU at one location, in units.

    `recount` is a count that needs a second count: its variance is above `recount_above`. `approval` is a count that
    another person must approve: its variance is above `approval_above`. `counts` are the newest applied counts, by
    `counted_at`. `shared` are channel rules of the SKU and its category that also hold at other locations.
    `registered`: the location is known to be registered.
    """

    on_hand: int = 0
    reserved: int = 0
    damaged: int = 0
    quality_hold: int = 0
    safety_stock: int = 0
    reorder_point: int | None = None
    buffers: Mapping[str, int] = {}
    excluded: tuple[str, ...] = ()
    shared: tuple[Rules, ...] = ()
    moves: tuple[Move, ...] = ()
    counts: tuple[CountApplied, ...] = ()
    recount_above: int | None = None
    approval_above: int | None = None
    recount: CountAsked | None = None
    approval: CountAsked | None = None
    registered: bool = False

    @property
    def safety(self) -> int:
        """The planner's safety stock, as far as there are units for it."""
        return min(self.safety_stock, max(0, self.on_hand - self.reserved - self.damaged - self.quality_hold))

    @property
    def available(self) -> int:
        """Units that may be moved away. They may also be promised if the location is registered. Below 0 if more
        units are reserved or have left than were there.
        """
        units = self.on_hand - self.reserved - self.damaged - self.quality_hold
        return units - min(self.safety_stock, units) if units > 0 else units

    @property
    def low(self) -> bool:
        return self.reorder_point is not None and self.available <= self.reorder_point

    def free(self, channel: str | None) -> int:
        """Units that this channel may still promise: available less what is kept back from it, never below 0.

        0 at an unregistered location.
        """
        return self.could_sell(channel) if self.registered else 0

    def could_sell(self, channel: str | None) -> int:
        """Units that this channel may promise if the location is registered."""
        buffer = kept_back(self.chain, channel)
        return 0 if buffer is None else max(0, self.available - buffer)

    @property
    def own_rules(self) -> Rules:
        """The rules set for the SKU at this location."""
        return Rules(self.buffers, self.excluded)

    @property
    def chain(self) -> tuple[Rules, ...]:
        """All rules that apply here, the most specific first."""
        if self.buffers or self.excluded:
            return (Rules(self.buffers, self.excluded), *self.shared)
        return self.shared


class Reservation(NamedTuple):
    """Units reserved for an attempt at a location."""

    quantity: int
    expires_at: datetime | None
    for_order: bool

    @property
    def of_a_cart(self) -> bool:
        """Whether an order may take it over: a channel asked for it, and it expires."""
        return self.expires_at is not None and not self.for_order


class Waiting(NamedTuple):
    """What an attempt in the queue waits for. `not_at` are locations that have rejected its line."""

    quantity: int
    placed_at: datetime
    mode: str
    for_channel: str | None
    locations: tuple[str, ...]
    not_at: tuple[str, ...] = ()


class Postponed(NamedTuple):
    """A question that waits until a location answers whether it is registered."""

    waiting: Waiting
    cart_id: str | None


Reservations = immutables.Map[Attempt, Mapping[str, Reservation]]
Carts = immutables.Map[str, immutables.Map[Hold, None]]
#: A place in the queue. The queue is sorted by time of the order, then order, line and attempt.
Turn = tuple[datetime, Attempt]

Queue = immutables.Map[Attempt, Waiting]
Answered = immutables.Map[Attempt, int]
Tombstones = immutables.Map[Attempt, int]
Questions = immutables.Map[Attempt, Postponed]
Promises = immutables.Map[Attempt, datetime]
#: (order_id, line_id)
LineKey = tuple[str, str]
Holders = immutables.Map[LineKey, tuple[Attempt, ...]]


class LeftAhead(NamedTuple):
    """Units of a line that left before the question for them came, and the day of the newest such dispatch."""

    left: tuple[Ahead, ...]
    day: int


Aheads = immutables.Map[LineKey, LeftAhead]


class Stock(Struct, frozen=True, kw_only=True):
    """One SKU. `reservations`: attempt → location → units.

    - `answered`: attempt → its number, in the order in which the attempts came. `heard` is the newest number. Old
      attempts were last forgotten when the newest number was `forgot_at`.
    - `tombstones`: attempt → day, for attempts whose release came before their question. Old ones were last removed on
      `day`.
    - `lapsing`: the reservations that expire. `carts`: those of them that a channel asked for, by the id of the cart.
    - `incoming`: units on their way. At `next_due` some of them become overdue. `transfers`: transfers on their way.
    - `awaited`: how many units the queue waits for. `youngest`: the last place of the queue.
    - `promises`: the time that a waiting line was promised.
    - `rules`: what channels may sell, at any location. `category_rules`: the same for the category, by location; "" is
      any location.
    - `registered`: every location that the SKU was ever at, and whether it is registered; None until it has answered.
    - `postponed`: questions that wait for such an answer.
    - `holders`: a line's attempts with reservations or waits. `aheads`: a line's units that left before stock had
      answered for them.
    """

    sku: str
    levels: Mapping[str, Level]
    reservations: Reservations
    queue: Queue
    answered: Answered
    heard: int = 0
    forgot_at: int = 0
    tombstones: Tombstones = immutables.Map()
    day: int = 0
    incoming: Incoming = {}
    next_due: datetime | None = None
    lapsing: Lapsing = NONE
    carts: Carts = immutables.Map()
    transfers: Mapping[str, Transfer] = {}
    awaited: int = 0
    youngest: Turn | None = None
    promises: Promises = immutables.Map()
    rules: Rules = NO_RULES
    category: str | None = None
    category_version: int = -1
    category_rules: Mapping[str, Rules] = {}
    registered: Mapping[str, bool | None] = {}
    postponed: Questions = immutables.Map()
    holders: Holders = immutables.Map()
    aheads: Aheads = immutables.Map()

    def level(self, location_id: str) -> Level:
        found = self.levels.get(location_id)
        if found is not None:
            return found
        shared, registered = self.shared_rules(location_id), bool(self.registered.get(location_id))
        return Level(shared=shared, registered=registered) if shared or registered else NOTHING

    def shared_rules(self, location_id: str) -> tuple[Rules, ...]:
        """Rules that are not only for this location, the most specific first."""
        category = self.category_rules
        rules = (self.rules, category.get(location_id, NO_RULES), category.get("", NO_RULES))
        return tuple(one for one in rules if one)


def turn(item: tuple[Attempt, Waiting]) -> Turn:
    """The sort key of the queue."""
    return item[1].placed_at, item[0]


NOTHING = Level()


def empty(sku: str) -> Stock:
    """A new SKU."""
    return Stock(sku=sku, levels={}, reservations=immutables.Map(), queue=immutables.Map(), answered=immutables.Map())


class StoredStock(Struct, frozen=True, array_like=True):
    """`Stock` in a form that msgspec can write to a snapshot."""

    sku: str
    levels: dict[str, Level]
    reservations: list[tuple[Attempt, dict[str, Reservation]]]
    queue: list[tuple[Attempt, Waiting]]
    answered: list[tuple[Attempt, int]]
    heard: int
    forgot_at: int
    tombstones: list[tuple[Attempt, int]]
    day: int
    incoming: list[tuple[Source, Expected]] = []
    transfers: dict[str, Transfer] = {}
    youngest: Turn | None = None
    promises: list[tuple[Attempt, datetime]] = []
    rules: Rules = NO_RULES
    category: str | None = None
    category_version: int = -1
    category_rules: dict[str, Rules] = {}
    aheads: list[tuple[LineKey, LeftAhead]] = []
    registered: dict[str, bool | None] = {}
    postponed: list[tuple[Attempt, Postponed]] = []


def to_stored(stock: Stock) -> StoredStock:
    """The SKU as plain lists, in a fixed order."""
    return StoredStock(
        stock.sku,
        dict(stock.levels),
        sorted(((attempt, dict(held)) for attempt, held in stock.reservations.items()), key=_by_attempt),
        sorted(stock.queue.items(), key=_by_attempt),
        sorted(stock.answered.items()),
        stock.heard,
        stock.forgot_at,
        sorted(stock.tombstones.items()),
        stock.day,
        sorted(stock.incoming.items()),
        dict(sorted(stock.transfers.items())),
        stock.youngest,
        sorted(stock.promises.items()),
        stock.rules,
        stock.category,
        stock.category_version,
        dict(stock.category_rules),
        sorted(stock.aheads.items()),
        dict(stock.registered),
        sorted(stock.postponed.items(), key=_by_attempt),
    )


def from_stored(stored: StoredStock) -> Stock:
    """The inverse of `to_stored`. Computes what is not stored: `lapsing`, `carts`, `holders`, `awaited`, `next_due`."""
    incoming = dict(stored.incoming)
    lapsing: Lapsing = NONE
    carts: Carts = immutables.Map()
    holders: Holders = immutables.Map()
    for attempt in sorted({attempt for attempt, _ in (*stored.reservations, *stored.queue)}):
        holders = holders_with(holders, attempt)
    for attempt, by_location in stored.reservations:
        for location_id, reservation in by_location.items():
            if reservation.expires_at is not None:
                lapsing = lapsing_with(lapsing, Hold(attempt, location_id), reservation.expires_at)
            if reservation.of_a_cart:
                carts = carts_with(carts, Hold(attempt, location_id))
    return Stock(
        sku=stored.sku,
        levels=stored.levels,
        reservations=immutables.Map(stored.reservations),
        queue=immutables.Map(stored.queue),
        answered=immutables.Map(stored.answered),
        heard=stored.heard,
        forgot_at=stored.forgot_at,
        tombstones=immutables.Map(stored.tombstones),
        day=stored.day,
        incoming=incoming,
        next_due=next_due(incoming),
        lapsing=lapsing,
        carts=carts,
        transfers=stored.transfers,
        awaited=sum(waiting.quantity for _, waiting in stored.queue),
        # A snapshot of an older build may lack it.
        youngest=stored.youngest or max(map(turn, stored.queue), default=None),
        promises=immutables.Map(stored.promises),
        rules=stored.rules,
        category=stored.category,
        category_version=stored.category_version,
        category_rules=stored.category_rules,
        holders=holders,
        aheads=immutables.Map(stored.aheads),
        registered=stored.registered,
        postponed=immutables.Map(stored.postponed),
    )


def holders_with(holders: Holders, attempt: Attempt) -> Holders:
    """`holders` with one more attempt."""
    known = holders.get(attempt[:2])
    if known is None:
        return holders.set(attempt[:2], (attempt,))
    return holders if attempt in known else holders.set(attempt[:2], tuple(sorted((*known, attempt))))


def holders_without(holders: Holders, attempt: Attempt) -> Holders:
    """`holders` without this attempt."""
    left = tuple(one for one in holders[attempt[:2]] if one != attempt)
    return holders.set(attempt[:2], left) if left else holders.delete(attempt[:2])


def carts_with(carts: Carts, hold: Hold) -> Carts:
    """`carts` with one more reservation."""
    cart_id = hold.holder[0]
    holds: immutables.Map[Hold, None] = carts.get(cart_id, immutables.Map())
    return carts.set(cart_id, holds.set(hold, None))


def carts_without(carts: Carts, hold: Hold) -> Carts:
    """`carts` without this reservation."""
    cart_id = hold.holder[0]
    holds = carts[cart_id].delete(hold)
    return carts.set(cart_id, holds) if holds else carts.delete(cart_id)


def _by_attempt(item: tuple[Attempt, Any]) -> Attempt:
    return item[0]
