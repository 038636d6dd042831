"""Reads the ledger topics from their first record to given offsets, without a group and without commits.

    for place, value in read(services, {("ledger.orders", 0): 120}): …

Topic names have no prefix, as in the tables.
"""

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import KafkaException, TopicPartition

from runtime.errors import Fault
from runtime.kafka import consumer, end_offsets, start_offsets
from runtime.services import Services

Partition = tuple[str, int]

#: Records per call. More save nothing, fewer cost calls.
_BATCH_RECORDS_MAX = 10_000
#: `consume` waits this long for a full batch. Longer is idle time at the end, shorter gives many small batches.
_WAIT_SECONDS = 0.1
#: After this long without a record, the broker is away or the log has changed. A rolling restart takes a few seconds.
_SILENCE_SECONDS_MAX = 60.0


def read(services: Services, ends: Mapping[Partition, int]) -> Iterator[tuple[str, int, int, bytes | None]]:
    """Topic, partition, offset and value of every record before `ends`, in the order of each partition.

    Raises Fault if the log does not begin at offset 0, is shorter than `ends`, or sends nothing for too long.
    """
    topics = {services.topic(topic): topic for topic, _ in ends}
    _check_bounds(services, ends, topics)
    left = {partition: end for partition, end in ends.items() if end > 0}
    reader = consumer(services, "verify", enable_partition_eof=False)
    try:
        reader.assign([TopicPartition(services.topic(topic), number, 0) for topic, number in left])
        heard_at = time.monotonic()
        while left:
            messages = reader.consume(_BATCH_RECORDS_MAX, _WAIT_SECONDS)
            if messages:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > _SILENCE_SECONDS_MAX:
                raise Fault(
                    "Kafka no longer sends the log",
                    f"nothing came for {_SILENCE_SECONDS_MAX:.0f} s; still to read: {sorted(left)}",
                    "`order-ledger doctor` shows which services answer",
                )
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                partition = topics[str(message.topic())], int(message.partition() or 0)
                offset = int(message.offset() or 0)
                end = left.get(partition)
                if end is None or offset >= end:
                    continue
                yield *partition, offset, message.value()
                if offset == end - 1:
                    del left[partition]
                    full_name = services.topic(partition[0])
                    reader.incremental_unassign([TopicPartition(full_name, partition[1])])
    finally:
        reader.close()


def read_one(services: Services, topic: str, partition: int, offset: int) -> bytes | None:
    """The value of one record. Raises Fault if it cannot be read."""
    for _, _, found, value in _from(services, topic, partition, offset):
        if found == offset:
            return value
    raise Fault("A record cannot be read again", f"{topic}/{partition}/{offset}", "is the topic being changed?")


def _from(services: Services, topic: str, partition: int, offset: int) -> Iterator[tuple[str, int, int, bytes | None]]:
    reader = consumer(services, "verify")
    try:
        reader.assign([TopicPartition(services.topic(topic), partition, offset)])
        message = reader.poll(_SILENCE_SECONDS_MAX)
        if message is not None and not message.error():
            yield topic, partition, int(message.offset() or 0), message.value()
    finally:
        reader.close()


def _check_bounds(services: Services, ends: Mapping[Partition, int], topics: Mapping[str, str]) -> None:
    first = start_offsets(services, topics)
    last = end_offsets(services, topics)
    for (topic, number), end in ends.items():
        partition = services.topic(topic), number
        if end > last.get(partition, 0):
            raise Fault(
                "The log is shorter than the one that the tables were made from",
                f"{topic}/{number} ends at {last.get(partition, 0)}, the projector has read to {end}",
                "the topic was recreated, or the tables belong to another cluster; see `order-ledger doctor`",
            )
        if end > 0 and first.get(partition, 0) > 0:
            raise Fault(
                "The beginning of the log is missing",
                f"{topic}/{number} begins at offset {first[partition]}",
                "ledger topics must be kept for ever: set retention.ms=-1 and restore them from a copy",
            )
