"""The projector as a worker: a follower whose host folds facts into the tables of its build.

run_projector(settings, services, stop)      # returns when `stop` is set; raises when it must not go on

A fold that raises ends the worker, nothing stored. Usually there is one generation of tables; after a switch there are
two for a while (`processors.projector.generations`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import psycopg
from confluent_kafka import KafkaError, Message

from events.catalogue import DEAD_LETTERS
from processors.dead_letters import to_dead_letter
from processors.following.batches import Record
from processors.following.consuming import follow
from processors.following.positions import Connection, Overtaken, Partition
from processors.old_log import refuse_old_log
from processors.projector.generations import PUBLIC, Generation, begin, build_of, kept, taken
from processors.projector.projector import Projector, SetAside
from processors.projector.write import READER, Store
from processors.slow_paths import report
from processors.subjects import codec_for
from projections.catalogue import PROJECTIONS
from projections.model import Projection
from runtime.errors import Fault
from runtime.kafka import producer
from runtime.logging import log
from runtime.postgres import connect
from runtime.services import Services
from runtime.settings import Settings

#: The group of projectors whose build has no live tables, only tables on standby.
STANDBY_GROUP = f"{READER}-standby"

#: A dead letter must be on the broker before its offset is passed. Shorter fails on a rolling restart.
SET_ASIDE_SECONDS = 90.0


def run_projector(
    settings: Settings,
    services: Services,
    stop: threading.Event,
    *,
    projections: Collection[Projection] = tuple(PROJECTIONS.values()),
) -> None:
    """Keep the tables of this build up with the ledger until `stop` is set.

    Raises Fault for a topic that was made anew or lost its beginning, if no tables are this build's, and whatever a
    fold raises.
    """
    while not stop.is_set():
        with contextlib.suppress(_OtherGroup):
            follow(settings, services, _Folding(services, projections), stop)
            return


class _OtherGroup(Exception):
    """The live tables became those of this build, or of another one: join the group again under the other name."""


class _Kept(NamedTuple):
    generation: Generation
    store: Store
    projector: Projector


class _Folding:
    """The projector as `follow` takes it: all generations of this build, from one consumer, the live one last."""

    name = READER

    def __init__(self, services: Services, projections: Collection[Projection]) -> None:
        self._services = services
        self._projections = projections
        self._build = build_of(projections)
        self._codec = codec_for(services.schema_registry, services.topic_prefix)
        self._dead_letters = dead_letters(services)
        self._kept: tuple[_Kept, ...] = ()
        self._is_live: bool | None = None

    @property
    def group(self) -> str:
        """The group's members share the partitions. Builds that keep up different tables need a group each."""
        return READER if self._is_live else STANDBY_GROUP

    @property
    def next_offsets(self) -> dict[Partition, int]:
        found: dict[Partition, int] = {}
        for one in self._kept:
            for partition, offset in one.projector.next_offsets.items():
                found[partition] = min(offset, found.get(partition, offset))
        return found

    def begin(self) -> None:
        with connect(self._services, READER) as connection:
            begin(connection, self._projections)
            self._meet(kept(connection, self._build))
        refuse_old_log(self._services, self._codec)

    def place(self, topic_ids: Mapping[Partition, str]) -> dict[Partition, int]:
        self._meet(self._look())
        for one in self._kept:
            one.projector.place(topic_ids)
        return {partition: offset for partition, offset in self.next_offsets.items() if partition in topic_ids}

    def take(self, records: Sequence[Message]) -> Mapping[Partition, int]:
        moved: set[Partition] = set()
        for one in self._kept:
            try:
                came = one.projector.take(records)
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
                if one.generation.state == "live":
                    raise
                raise Overtaken(f"the tables of {one.generation.schema} were dropped") from error
            except psycopg.OperationalError as error:
                if len(self._kept) == 1:
                    raise
                # Some of them have these records and others have not, so all are placed anew.
                raise Overtaken(str(error).strip()) from error
            moved |= came.next_offsets.keys()
            report(READER, came.misses)
            log.debug("batch_written", facts=came.facts, rows=came.rows, skipped=came.skipped)
        return {partition: offset for partition, offset in self.next_offsets.items() if partition in moved}

    def agrees(self) -> bool:
        if self._look() != [one.generation for one in self._kept]:
            return False
        placed = [one.projector.next_offsets.keys() for one in self._kept]
        return all(some == placed[0] for some in placed) and all(one.projector.agrees() for one in self._kept)

    def forget(self, partitions: Collection[Partition]) -> None:
        for one in self._kept:
            one.projector.forget(partitions)

    def let_go(self) -> None:
        for one in self._kept:
            one.store.close()

    def _look(self) -> list[Generation]:
        """The generations of this build now."""

        def question(connection: Connection) -> list[Generation]:
            found = kept(connection, self._build)
            taken(connection, found)
            return found

        return self._kept[-1].store.ask(question)

    def _meet(self, found: Sequence[Generation]) -> None:
        """Keep up these, from wherever they are; the projectors of those that have not changed stay as they are."""
        is_live = bool(found) and found[-1].state == "live"
        if not found:
            raise Fault(
                "the tables of this build were dropped",
                f"build {self._build} was on standby, and somebody gave it up",
                "stop this worker, and start the projector of the build that is live",
            )
        if self._is_live is not None and is_live != self._is_live:
            log.info("projector_changes_group", build=self._build, live=is_live)
            raise _OtherGroup
        self._is_live = is_live
        if [one.generation for one in self._kept] == list(found):
            return
        known = {one.generation.number: one for one in self._kept}
        self._kept = tuple(
            known.pop(one.number)._replace(generation=one) if one.number in known else self._opened(one)
            for one in found
        )
        for gone in known.values():
            gone.store.close()
        log.info("projector_keeps_up", tables=[f"{one.schema} ({one.state})" for one in found], build=self._build)

    def _opened(self, generation: Generation) -> _Kept:
        store = Store(lambda: connect(self._services, READER), generation.schema, PUBLIC)
        prefix = self._services.topic_prefix
        set_aside = partial(self._set_aside, generation.number)
        return _Kept(generation, store, Projector(store, self._codec, self._projections, set_aside, prefix))

    def _set_aside(self, number: int, records: Sequence[tuple[Record, str, str]]) -> None:
        """A record that is no fact is dead-lettered once: by the generation that readers see."""
        if any(one.generation.number == number and one.generation.state == "live" for one in self._kept):
            self._dead_letters(records)


def dead_letters(services: Services) -> SetAside:
    """Keeps records that are no facts in the topic `dead-letters`; has them on the broker when it returns."""
    client: Any = None

    def set_aside(records: Sequence[tuple[Record, str, str]]) -> None:
        nonlocal client
        client = producer(services) if client is None else client
        failed: list[str] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append(str(error))

        for record, reason, detail in records:
            key, value, headers = to_dead_letter(record, reason, detail)
            client.produce(services.topic(DEAD_LETTERS), value, key, headers=headers, on_delivery=delivered)
            client.poll(0)
        left = client.flush(SET_ASIDE_SECONDS)
        if left or failed:
            raise Fault(
                f"{len(failed) + left} records that are no facts could not be dead-lettered",
                failed[0] if failed else f"no answer within {SET_ASIDE_SECONDS:.0f} s",
                "are Kafka and the topic dead-letters there? After a restart the projector goes on from the same place",
            )

    return set_aside
