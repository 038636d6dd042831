"""The projector as a worker: a follower whose host folds facts into tables.

run_projector(settings, services, stop)      # returns when `stop` is set; raises when it must not go on

A fold that raises ends the worker, nothing stored.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, Message

from events.catalogue import DEAD_LETTERS
from processors.dead_letters import to_dead_letter
from processors.following.batches import Record
from processors.following.consuming import follow
from processors.following.positions import Partition
from processors.old_log import refuse_old_log
from processors.projector.projector import Projector, SetAside
from processors.projector.write import READER, Store, ensure_tables
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

#: A dead letter must be on the broker before its offset is passed. Shorter fails on a rolling restart.
SET_ASIDE_SECONDS = 90.0


def run_projector(
    settings: Settings,
    services: Services,
    stop: threading.Event,
    *,
    projections: Collection[Projection] = tuple(PROJECTIONS.values()),
    schema: str = "public",
) -> None:
    """Keep the tables up with the ledger until `stop` is set.

    Raises Fault for a topic that was made anew or lost its beginning, and whatever a fold raises.
    """
    follow(settings, services, _Folding(services, projections, schema), stop)


class _Folding:
    """The projector as `follow` takes it."""

    name = READER

    def __init__(self, services: Services, projections: Collection[Projection], schema: str) -> None:
        self._services = services
        self._projections = projections
        self._schema = schema
        self._store = Store(lambda: connect(services, READER), schema)
        self._codec = codec_for(services.schema_registry, services.topic_prefix)
        self._projector = Projector(
            self._store, self._codec, projections, dead_letters(services), services.topic_prefix
        )

    @property
    def next_offsets(self) -> dict[Partition, int]:
        return self._projector.next_offsets

    def begin(self) -> None:
        with connect(self._services, READER) as connection:
            ensure_tables(connection, self._projections, self._schema)
        refuse_old_log(self._services, self._codec)

    def place(self, topic_ids: Mapping[Partition, str]) -> dict[Partition, int]:
        return self._projector.place(topic_ids)

    def take(self, records: Sequence[Message]) -> Mapping[Partition, int]:
        taken = self._projector.take(records)
        report(READER, taken.misses)
        log.debug("batch_written", facts=taken.facts, rows=taken.rows, skipped=taken.skipped)
        return taken.next_offsets

    def agrees(self) -> bool:
        return self._projector.agrees()

    def forget(self, partitions: Collection[Partition]) -> None:
        self._projector.forget(partitions)

    def let_go(self) -> None:
        self._store.close()


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
