"""A span of the ledger folded into a schema: a rebuild, the past, or an independent look. The live code, another start
and end.

    ends = end_offsets_of(services)
    fold_span(services, "rebuild_7", ends)        # tables of schema rebuild_7 as of these offsets

It keeps its place in that schema's own `follower_positions`: when it is cut off, calling it again goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

import psycopg
from confluent_kafka import TopicPartition

from events.catalogue import LEDGER_TOPICS
from processors.following.consuming import BATCH_RECORDS_MAX, read
from processors.following.patience import Patience, StoppedWaitingError
from processors.following.positions import Partition, Position
from processors.old_log import refuse_old_log
from processors.projector.projector import Projector
from processors.projector.write import Store, ensure_tables
from processors.slow_paths import report
from processors.subjects import codec_for
from projections.catalogue import PROJECTIONS
from projections.model import Projection
from runtime.kafka import consumer, end_offsets, topic_ids
from runtime.postgres import connect
from runtime.services import Services

_NAME = "replay"


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
    start: Mapping[Partition, Position] | None = None,
    projections: Collection[Projection] = tuple(PROJECTIONS.values()),
    stop: threading.Event | None = None,
) -> dict[Partition, int]:
    """Fold the facts from `start` (the beginning where there is none) up to, not including, the offsets of `end`.

    Comes out with each partition's next offset: lower than its end where the last decision is cut by it. Facts that do
    not decode are counted in the schema's `skipped_facts`; dead letters are the live projector's business. Raises
    StoppedWaitingError when `stop` is set before the end.
    """
    stop = stop or threading.Event()
    patience = Patience(_NAME, stop)
    store = Store(lambda: connect(services, _NAME), schema)
    client = consumer(services, _NAME, auto_offset_reset="error")
    try:
        with connect(services, _NAME) as connection:
            ensure_tables(connection, projections, schema)
        codec = codec_for(services.schema_registry, services.topic_prefix)
        refuse_old_log(services, codec)
        projector = Projector(store, codec, projections, lambda _: None, services.topic_prefix)
        ids = topic_ids(services, {services.topic(topic) for topic, _ in end})
        reached = projector.place({one: ids[services.topic(one[0])] for one in end}, start)
        next_offsets = dict(reached)
        client.assign([TopicPartition(services.topic(topic), number, at) for (topic, number), at in reached.items()])
        while any(reached[one] < offset for one, offset in end.items()):
            if stop.is_set():
                raise StoppedWaitingError
            records = []
            for message in read(client, _NAME, BATCH_RECORDS_MAX):
                topic, number, offset = message.topic(), message.partition(), message.offset()
                assert topic is not None, "a consumed record has a place"
                assert number is not None, "a consumed record has a place"
                assert offset is not None, "a consumed record has a place"
                one = (topic.removeprefix(services.topic_prefix), number)
                reached[one] = offset + 1
                if offset < end[one]:
                    records.append(message)
            if not records:
                continue
            try:
                taken = projector.take(records)
            except psycopg.OperationalError:
                store.close()
                patience.until_done("postgres", lambda: store.positions({}), psycopg.OperationalError, store.close)
                taken = projector.take(())
            report(_NAME, taken.misses)
            next_offsets.update(taken.next_offsets)
        return next_offsets
    finally:
        client.close()
        store.close()
