"""Reactions: the real engine between a log, look-ups that may be old, positions that may be restored, and the intake.

view = View(truth)                           # the tables, as far as they have been projected
worker = ReactionWorker(world, "r1", places)
worker.handle(place, count=5)                # raises Crash where the simulation has ordered one
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from events.catalogue import COMMANDS
from events.routing.rules import read_rules
from processors.following.facts import FactDecoder
from processors.following.follower import Fetched
from processors.following.positions import Move, Position
from processors.reactions.asked import Asked
from processors.reactions.engine import Engine
from processors.reactions.rows import Due
from processors.reactions.sender import encode
from processors.reactions.sourcing import Lookups
from processors.routing.book import Router, default_router
from processors.routing.default import IN_FORCE
from processors.routing.model import Place as Location
from processors.verify.orders import Orders
from processors.verify.routing import Routing
from processors.verify.stock import Stocks
from processors.verify.tracking import Deferrals
from projections.deferred_tracking.reader import TrackingDue, read_tracking_due
from projections.inventory.reader import ReceiptDue, ReservationDue, read_receipts_due, read_reservations_due
from projections.order_status.reader import LineDue, OrderDue, read_lines_due, read_orders_due
from runtime.kafka import murmur2_partition
from tests.simulation.choices import Dice
from tests.simulation.failure import Crash
from tests.simulation.memory import Broker, Clock, Place, RememberingCodec
from tests.simulation.truth import Truth

_LOOKED_AT = ("ledger.orders", "ledger.stock", "ledger.service")


@cache
def _router(text: str, number: int) -> Router:
    return Router(read_rules(text), number)


class View:
    """What reactions look up, from plain folds over the first `at` facts that count of each partition."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._begin()

    def _begin(self) -> None:
        self._orders, self._stocks, self._routing = Orders(), Stocks(), Routing()
        self._deferrals = Deferrals()
        self._handlers: dict[str, list[Any]] = {}
        for part in (self._orders, self._stocks, self._routing, self._deferrals):
            for name, handler in part.handlers.items():
                self._handlers.setdefault(name, []).append(handler)
        self.at: dict[Place, int] = dict.fromkeys(self._truth.facts, 0)

    def project(self, place: Place, count: int) -> int:
        """Fold up to `count` facts more; how many there were."""
        facts = self._truth.facts[place][self.at[place] : self.at[place] + count]
        for fact in facts:
            for handler in self._handlers.get(fact.name, ()):
                handler(fact.record, fact.record["data"])
            if place[0] == "ledger.orders" and fact.name != "CommandRefused":
                self._orders.touched(fact.record)
        self.at[place] += len(facts)
        return len(facts)

    def go_back(self, share: tuple[int, int]) -> None:
        """A backup of the tables is restored: they are as they were at some part of the log."""
        ends = {place: at * share[0] // share[1] for place, at in self.at.items()}
        self._begin()
        for place, end in ends.items():
            self.project(place, end)

    def read(self, skus: Collection[str], carts: Collection[str] = (), moments: Collection[datetime] = ()) -> Lookups:
        available: dict[str, dict[str, int]] = {}
        for (sku, location_id), row in self._stocks.stock.rows.items():
            if sku in skus and row.registered and row.available > 0:
                available.setdefault(sku, {})[location_id] = row.available
        kept: dict[str, dict[str, dict[str, int | None]]] = {}
        for (sku, location_id, channel), rule in self._stocks.rules.rows.items():
            if sku in skus and rule.buffer is not None:
                here_kept = kept.setdefault(sku, {}).setdefault(location_id, {})
                here_kept[channel] = None if rule.excluded else rule.buffer
        places = {
            key[0]: Location(
                key[0], row.latitude, row.longitude, row.cost_minor_per_parcel, row.kind, row.country,
                row.daily_capacity, self._not_served_by(key[0]),
            )
            for key, row in self._stocks.locations.rows.items()
        }  # fmt: skip
        held: dict[str, dict[str, dict[str, int]]] = {}
        for (sku, order_id, _line, _attempt, location_id), row in self._stocks.holds.rows.items():
            if order_id in carts and row.expires_at is not None and row.quantity > 0:
                here = held.setdefault(order_id, {}).setdefault(sku, {})
                here[location_id] = here.get(location_id, 0) + row.quantity
        rules = self._routing.rules.get(IN_FORCE)
        router = default_router() if rules is None else _router(rules.text, rules.number)
        parcels = {(key[0], key[2]) for key, row in self._orders.locations.rows.items() if row.allocated > 0}
        waiting = Counter(location_id for _, location_id in parcels)
        return Lookups(available, places, kept, held, router, waiting)

    def _not_served_by(self, location_id: str) -> tuple[str, ...]:
        rows = self._stocks.location_channels.rows.items()
        return tuple(sorted(channel for (place, channel), row in rows if place == location_id and row.excluded))

    def due(self, queries: Sequence[Due], now: datetime) -> list[Sequence[Any]]:
        holds = [
            ReservationDue(*key, row.quantity, row.expires_at)
            for key, row in self._stocks.holds.rows.items()
            if row.expires_at is not None and row.quantity > 0 and row.expires_at <= now
        ]
        orders = [
            OrderDue(key[0], row.release_at)
            for key, row in self._orders.orders.rows.items()
            if row.release_at is not None and not row.released and row.release_at <= now and row.open > 0
        ]
        receipts = [
            ReceiptDue(key[0], row.expected_at)
            for key, row in self._stocks.expected.rows.items()
            if row.quantity > 0 and not row.overdue and row.expected_at is not None and row.expected_at <= now
        ]
        lines = [row for row in self._overdue_lines() if row.cancel_after <= now]
        scans = [row for row in self._waiting_scans() if row.ends_at <= now]
        rows: dict[Due, Sequence[Any]] = {
            read_reservations_due: holds,
            read_orders_due: orders,
            read_receipts_due: receipts,
            read_lines_due: lines,
            read_tracking_due: scans,
        }
        return [rows[query] for query in queries]

    def _overdue_lines(self) -> list[LineDue]:
        times: dict[str, datetime] = {}
        for (order_id, _), row in self._orders.lines.rows.items():
            if row.cancel_after is not None and row.open + row.backordered > row.replaced:
                times[order_id] = min(times.get(order_id, row.cancel_after), row.cancel_after)
        return [
            LineDue(order_id, self._orders.orders.rows[order_id,].version or 0, time)
            for order_id, time in times.items()
        ]

    def _waiting_scans(self) -> list[TrackingDue]:
        times: dict[str, datetime] = {}
        for (order_id, _), row in self._deferrals.scans.rows.items():
            if row.ended is None and row.ends_at is not None:
                times[order_id] = min(times.get(order_id, row.ends_at), row.ends_at)
        return [TrackingDue(order_id, time) for order_id, time in times.items()]

    def next_due(self) -> datetime | None:
        """When the next timer rings."""
        times = [row.expires_at for row in self._stocks.holds.rows.values() if row.expires_at and row.quantity > 0]
        times += [row.release_at for row in self._orders.orders.rows.values() if row.release_at and not row.released]
        times += [
            row.expected_at
            for row in self._stocks.expected.rows.values()
            if row.expected_at and row.quantity > 0 and not row.overdue
        ]
        times += [row.cancel_after for row in self._overdue_lines()]
        times += [row.ends_at for row in self._waiting_scans()]
        return min(times, default=None)


class StoredPositions:
    """What `follower_positions` holds of the reactions. `broken`: the process dies before or after the next save."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self.rows: dict[Place, Position] = {}
        self.backups: list[dict[Place, Position]] = []
        self.broken: str | None = None

    def load(self, partitions: Collection[Place]) -> dict[Place, Position]:
        return {partition: self.rows.setdefault(partition, Position()) for partition in partitions}

    def stored(self, partitions: Collection[Place]) -> dict[Place, Position]:
        return {partition: self.rows[partition] for partition in partitions if partition in self.rows}

    def save(self, moves: Mapping[Place, Move]) -> set[Place]:
        broken, self.broken = self.broken, None
        if broken == "before":
            raise Crash("before the position was saved")
        overtaken = set()
        for place, move in moves.items():
            self._truth.check_position("reactions", place, move.after.next_offset, move.after.chain.last)
            if self.rows[place].next_offset == move.before:
                self.rows[place] = move.after
            else:
                overtaken.add(place)
        if broken == "after":
            raise Crash("after the position was saved")
        return overtaken


class Intake:
    """Sends commands. `dies_after`: so many arrive, then the process is gone; the rest is `late`, or lost."""

    def __init__(self, broker: Broker, codec: RememberingCodec) -> None:
        self._broker = broker
        self._codec = codec
        self.dies_after: int | None = None
        self.rest_comes_late = False
        self.late: list[tuple[str, bytes, bytes]] = []

    def send(self, batch: Sequence[Asked]) -> None:
        dies_after, self.dies_after = self.dies_after, None
        records = [(COMMANDS[one.name].topic, one.key.encode(), encode(self._codec, one)) for one in batch]
        for topic, key, value in records[:dies_after]:
            self.put(topic, key, value)
        if dies_after is not None:
            if self.rest_comes_late:
                self.late += records[dies_after:]
            raise Crash("while commands were sent")

    def put(self, topic: str, key: bytes, value: bytes) -> None:
        self._broker.append(topic, murmur2_partition(key, self._broker.partitions), key, value)

    def deliver_late(self, dice: Dice, count: int) -> int:
        """Some of the late ones arrive, in any order."""
        for _ in range(min(count, len(self.late))):
            self.put(*self.late.pop(dice.below(len(self.late))))
        return count


class ReactionWorker:
    """One process of the reactions with the partitions that it believes to have."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        *,
        decoder: FactDecoder,
        positions: StoredPositions,
        view: View,
        intake: Intake,
        places: Collection[Place],
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._parts = (decoder, positions, view, intake)
        self.start(places)

    def start(self, places: Collection[Place]) -> None:
        """A new process takes these partitions."""
        self.engine = Engine(*self._parts)
        self.next = self.engine.assign(places)

    def share(self, places: Collection[Place]) -> None:
        """The same process has these partitions from now on."""
        self.next = self.engine.assign(places)

    def handle(self, place: Place, count: int, *, skip: int = 0) -> int:
        """Take up to `count` records; how many there were. `skip`: the client drops what it had buffered."""
        if place not in self.next:
            return 0
        first = self.next[place] + skip
        records = self._broker.logs[place][first : first + count]
        if not records:
            return 0
        try:
            again = self.engine.handle([Fetched(*place, first, [(one.offset(), one.value()) for one in records])])
        except Crash:
            self.start(list(self.next))
            return len(records)
        self.next[place] = records[-1].offset() + 1
        self.next |= again
        return len(records)

    def ring(self) -> int:
        """Timers that are due, by the world's clock."""
        try:
            return self.engine.ring(self._clock.now, self._clock.now.timestamp())
        except Crash:
            self.start(list(self.next))
            return 1
