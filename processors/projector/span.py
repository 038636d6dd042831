"""A span of the ledger folded into a schema: a rebuild, the past, or an independent look. The live code, another start
and end.

    ends = end_offsets_of(services)
    fold_span(services, "rebuild_7", ends)                        # tables of schema rebuild_7 as of these offsets
    fold_span(services, "friday", ends, until=friday_evening)     # what was recorded by then, as far as `ends` has it
    fold_span(services, "then", ends, happened=friday_evening, …)   # what had occurred by then, as known at `ends`

It keeps its place in that schema's own `follower_positions`: when it is cut off, calling it again goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple, Self

import psycopg
from confluent_kafka import KafkaException, Message, TopicPartition

from events.catalogue import LEDGER_TOPICS
from processors.following.consuming import read
from processors.following.patience import PAUSE_SECONDS_FIRST, PAUSE_SECONDS_MAX, Patience
from processors.following.positions import Overtaken, Partition, Position
from processors.old_log import refuse_old_log
from processors.projector.bare import BareStore
from processors.projector.projector import Projector, SetAside
from processors.projector.stop import first_later
from processors.projector.write import Store, ensure_tables
from processors.slow_paths import report
from processors.subjects import codec_for
from projections.catalogue import PROJECTIONS
from projections.model import Projection
from projections.occurred import occurred_by
from runtime.errors import Fault
from runtime.kafka import consumer, end_offsets, topic_ids
from runtime.logging import log
from runtime.postgres import connect
from runtime.services import Services

_NAME = "replay"

#: Facts per batch. The live projector beside it needs its memory: 100,000 facts, its own limit, take five times as
#: much. Fewer write the same rows more often.
BATCH_RECORDS_MAX = 20_000

#: Records that wait in the client, for the same reason: a quarter of what a live worker keeps.
QUEUE_KILOBYTES = 16_384

#: After this long without a record, the broker is away or the log has changed. A rolling restart takes a few seconds.
SILENCE_SECONDS_MAX = 60.0


class Advance(NamedTuple):
    """After a batch: facts folded since the call, the offset reached in each partition, and the partitions that have
    come to the end of the time.
    """

    facts: int
    reached: Mapping[Partition, int]
    ended: Collection[Partition]


def end_offsets_of(services: Services) -> dict[Partition, int]:
    """(ledger topic without prefix, partition) → the offset after its last fact, now."""
    found = end_offsets(services, [services.topic(topic) for topic in LEDGER_TOPICS])
    return {
        (topic.removeprefix(services.topic_prefix), partition): offset for (topic, partition), offset in found.items()
    }


def fold_span(
    services: Services,
    schema: str,
    end: Mapping[Partition, int],
    *,
    until: datetime | None = None,
    happened: datetime | None = None,
    start: Mapping[Partition, Position] | None = None,
    projections: Collection[Projection] = tuple(PROJECTIONS.values()),
    stop: threading.Event | None = None,
    say: Callable[[Advance], None] = lambda _: None,
    misses_in: str | None = None,
) -> dict[Partition, int]:
    """Fold the facts from `start` (the beginning where there is none) up to, not including, the offsets of `end`, and
    of these only those recorded at `until` (UTC) or before. `happened`: the folds see only what had occurred by then.
    Comes out with each partition's next offset (`Span.up_to`).
    """
    with Span(
        services,
        schema,
        until=until,
        happened=happened,
        start=start,
        projections=projections,
        stop=stop,
        misses_in=misses_in,
    ) as span:
        return span.up_to(end, say)


class Span:
    """Folds the log into a schema, from where its tables are to where it is asked to, as often as it is asked.

    `misses_in`: the schema whose `slow_paths` counts misses, if not its own. `set_aside`: dead-letters what is no fact;
    only whoever keeps the live tables up does. `bare`: the tables are there, and have no keys yet
    (`processors.projector.bare`); a process may take some of the partitions.
    """

    def __init__(
        self,
        services: Services,
        schema: str,
        *,
        until: datetime | None = None,
        happened: datetime | None = None,
        start: Mapping[Partition, Position] | None = None,
        projections: Collection[Projection] = tuple(PROJECTIONS.values()),
        stop: threading.Event | None = None,
        set_aside: SetAside = lambda _: None,
        misses_in: str | None = None,
        bare: bool = False,
    ) -> None:
        self._services = services
        self._start = start
        self._patience = Patience(_NAME, stop or threading.Event())
        self._store = (BareStore if bare else Store)(lambda: connect(services, _NAME), schema, misses_in)
        self._end: Mapping[Partition, int] = {}
        self._reached: dict[Partition, int] = {}
        self._assigned: set[Partition] = set()
        if not bare:
            with connect(services, _NAME) as connection:
                ensure_tables(connection, projections, schema)
        codec = codec_for(services.schema_registry, services.topic_prefix)
        refuse_old_log(services, codec)
        ends = None if until is None else partial(first_later, until)
        sees = None if happened is None else partial(occurred_by, happened)
        self._projector = Projector(
            self._store, codec, projections, set_aside, services.topic_prefix, ends=ends, sees=sees
        )
        self._client = consumer(services, _NAME, auto_offset_reset="error", queued_max_messages_kbytes=QUEUE_KILOBYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._store.close()

    def up_to(
        self, end: Mapping[Partition, int], say: Callable[[Advance], None] = lambda _: None
    ) -> dict[Partition, int]:
        """Fold up to, not including, these offsets. Comes out with each partition's next offset: lower than its end
        where the last decision is cut by it, or where what follows was recorded later.

        Facts that do not decode are counted in the schema's `skipped_facts`. Raises StoppedWaitingError when `stop` is
        set before the end.
        """
        self._end = end
        facts = kept = 0
        self._place()
        heard_at, pause = time.monotonic(), PAUSE_SECONDS_FIRST
        while self._assigned or self._store.keeps:
            self._patience.pause(0)
            records = self._read() if self._assigned else []
            if records or not self._assigned:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > SILENCE_SECONDS_MAX:
                raise Fault(
                    "Kafka no longer sends the log",
                    f"nothing came for {SILENCE_SECONDS_MAX:.0f} s; still to read: {sorted(self._assigned)}",
                    "`order-ledger doctor` shows which services answer; the same call then goes on",
                )
            try:
                if not self._assigned:
                    self._store.flush()
                    break
                taken = self._projector.take(records)
            except (psycopg.OperationalError, Overtaken) as error:
                # Cut off: the transaction may have been committed or not, so ask where the tables are.
                log.warning("replay_waits_for_postgres", detail=str(error).strip())
                self._store.close()
                # It may answer, and still be unable to write: its disk may be full.
                self._patience.pause(pause)
                pause = min(PAUSE_SECONDS_MAX, pause * 2)
                self._place()
                heard_at, facts = time.monotonic(), kept
                continue
            pause = PAUSE_SECONDS_FIRST
            facts += taken.facts
            kept = kept if self._store.keeps else facts
            report(_NAME, taken.misses)
            say(Advance(facts, self._reached, self._projector.ended))
            self._let_go_of_what_is_done()
        return {one: self._projector.next_offsets[one] for one in end}

    def _place(self) -> None:
        """Read on from where the tables are."""
        services = self._services

        def place() -> dict[Partition, int]:
            ids = topic_ids(services, {services.topic(topic) for topic, _ in self._end})
            return self._projector.place({one: ids[services.topic(one[0])] for one in self._end}, self._start)

        away = (psycopg.OperationalError, KafkaException)
        self._reached = self._patience.until_done("postgres or kafka", place, away, self._store.close)
        self._assigned = {one for one, end in self._end.items() if self._reached[one] < end}
        self._client.assign([self._at(one) for one in sorted(self._assigned)])

    def _read(self) -> list[Message]:
        records = []
        for message in read(self._client, _NAME, BATCH_RECORDS_MAX):
            topic, number, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None, "a consumed record has a place"
            assert number is not None, "a consumed record has a place"
            assert offset is not None, "a consumed record has a place"
            one = (topic.removeprefix(self._services.topic_prefix), number)
            self._reached[one] = offset + 1
            if offset < self._end[one]:
                records.append(message)
        return records

    def _let_go_of_what_is_done(self) -> None:
        done = [one for one in self._assigned if one in self._projector.ended or self._reached[one] >= self._end[one]]
        if done:
            self._client.incremental_unassign([self._at(one) for one in done])
            self._assigned.difference_update(done)

    def _at(self, one: Partition) -> TopicPartition:
        return TopicPartition(self._services.topic(one[0]), one[1], self._reached[one])
