"""The worker `effects`: a follower that writes calls into the outbox, and a loop that makes them.

    run_effects(settings, services, stop)      # returns when `stop` is set; raises when it must not go on

Facts from before an effect's first start cause no calls.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import Message

from events.catalogue import FACTS
from events.envelope import AnyRecorded
from processors.effects import outbox
from processors.effects.calling import Caller
from processors.effects.outbox import Row
from processors.effects.wiring import Configured, configured
from processors.following.consuming import follow
from processors.following.database import Database, StoredPositions
from processors.following.facts import FactDecoder, Record
from processors.following.follower import Fetched, Follower
from processors.following.patience import Patience, StoppedWaitingError
from processors.following.positions import Overtaken, Partition, Positions, ensure_table
from processors.reactions.sender import Sender
from processors.subjects import codec_for
from runtime import failpoints
from runtime.errors import Fault
from runtime.kafka import end_offsets
from runtime.services import Services
from runtime.settings import Settings

NAME = "effects"


def run_effects(settings: Settings, services: Services, stop: threading.Event) -> None:
    """Write calls and make them until `stop` is set. Raises Fault if no effect is configured."""
    effects = configured(settings)
    if not effects:
        raise Fault(
            "No effect is configured",
            "the worker `effects` has nothing to do",
            "set ORDER_LEDGER_WEBHOOK_URL and ORDER_LEDGER_WEBHOOK_SECRET (docs/effects.md)",
        )
    codec = codec_for(services.schema_registry, services.topic_prefix)
    calls = Database(services, "effects calls", Patience(NAME, stop))
    caller = Caller(effects, calls, Sender(services, codec).send, stop)
    host = _Writing(services, effects, Database(services, NAME, Patience(NAME, stop)), caller)
    failures: list[BaseException] = []

    def call() -> None:
        try:
            asyncio.run(caller.run())
        except StoppedWaitingError:
            return
        except BaseException as error:  # noqa: BLE001  # any error ends the process: it is raised again below
            failures.append(error)
            stop.set()

    try:
        host.begin()
    except StoppedWaitingError:
        return
    thread = threading.Thread(target=call, name="calls")
    thread.start()
    try:
        follow(settings, services, host, stop)
    finally:
        stop.set()
        thread.join()
        calls.close()
    if failures:
        raise failures[0]


class _Writing:
    """The outbox as a host of `follow`: facts become rows, in the transaction of the position."""

    name = group = NAME

    def __init__(self, services: Services, effects: Configured, database: Database, caller: Caller) -> None:
        self._services = services
        self._effects = effects
        self._database = database
        self._caller = caller
        self._positions = Positions(NAME)
        self._ids: Mapping[Partition, str] = {}
        self._begins: Mapping[tuple[str, str, int], int] = {}
        wanted = {fact for _, address in effects.values() for fact in address.facts}
        self._decoder = FactDecoder(codec_for(services.schema_registry, services.topic_prefix), wanted)
        stored = StoredPositions(database, self._positions, self._topic_ids)
        self._follower: Follower[Record] = Follower(NAME, self._decoder.read, stored)

    @property
    def next_offsets(self) -> dict[Partition, int]:
        return self._follower.next_offsets

    def begin(self) -> None:
        self._database.run(ensure_table)
        self._database.run(outbox.ensure_tables)

    def place(self, topic_ids: Mapping[Partition, str]) -> dict[Partition, int]:
        self._ids = topic_ids
        self._begins = self._beginnings(topic_ids)
        return self._follower.place(list(topic_ids))

    def take(self, records: Sequence[Message]) -> Mapping[Partition, int]:
        rows: list[Row] = []
        touched: set[Partition] = set()
        for fetched, live in self._fetched(records):
            read = self._follower.read([fetched])
            if read.again:
                raise Overtaken("records are missing; all partitions are read again from their positions")
            touched |= set(read.touched)
            rows += self._rows([self._decoder.as_fact(record) for record in read.facts], live)
        moves = self._follower.moves(touched)

        def write(connection: outbox.Connection) -> None:
            self._positions.move_all(connection, moves)
            outbox.put(connection, rows)
            failpoints.reach("effects.before_commit")

        if moves:
            self._database.run(write)
        self._follower.moved(touched, moves)
        if rows:
            self._caller.wake()
        return {partition: move.after.next_offset for partition, move in moves.items()}

    def agrees(self) -> bool:
        return not self._follower.strayed()

    def forget(self, partitions: Collection[Partition]) -> None:
        self._follower.forget(partitions)

    def let_go(self) -> None:
        self._database.close()

    def _topic_ids(self, topics: Any) -> dict[str, str]:
        return {topic: topic_id for (topic, _), topic_id in self._ids.items() if topic in topics}

    def _beginnings(self, partitions: Collection[Partition]) -> Mapping[tuple[str, str, int], int]:
        """Called before the first record is read: facts in the log by then are history."""
        known = self._database.run(lambda connection: outbox.begin(connection, ()))
        missing = [(name, *one) for one in partitions for name in self._effects if (name, *one) not in known]
        if not missing:
            return known
        ends = end_offsets(self._services, {self._services.topic(topic) for _, topic, _ in missing})
        rows = [(name, topic, number, ends[self._services.topic(topic), number]) for name, topic, number in missing]
        return self._database.run(lambda connection: outbox.begin(connection, rows))

    def _fetched(self, records: Sequence[Message]) -> list[tuple[Fetched, Collection[str]]]:
        """Records by partition, each with the effects for which they are not history: a batch may hold both."""
        by_place: dict[tuple[Partition, tuple[str, ...]], list[tuple[int, bytes | None]]] = defaultdict(list)
        for record in records:
            partition = (str(record.topic()).removeprefix(self._services.topic_prefix), int(record.partition() or 0))
            offset = int(record.offset() or 0)
            live = tuple(name for name in self._effects if offset >= self._begins.get((name, *partition), 0))
            value: Any = record.value()
            by_place[partition, live].append((offset, value))
        return [(Fetched(*partition, values[0][0], values), live) for (partition, live), values in by_place.items()]

    def _rows(self, facts: Sequence[AnyRecorded], live: Collection[str]) -> list[Row]:
        rows = []
        for fact in facts:
            kind = FACTS[type(fact.data).__name__]
            for effect, address in (self._effects[name] for name in live):
                if kind.data in address.facts:
                    body = effect.make_call(fact).body
                    stream = (fact.stream_kind, fact.stream_id, fact.version)
                    rows.append(Row(effect.name, fact.event_id, *stream, kind.data.__name__, body))
        return rows
