"""The ledger topics from their first record to given offsets, read by hand: no group, nothing committed.

    for place, value in read(services, {("ledger.orders", 0): 120}): …

Topics are named without prefix, as the tables name them.
"""

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import KafkaException, TopicPartition

from runtime.errors import Fault
from runtime.kafka import consumer, end_offsets, start_offsets
from runtime.services import Services

Partition = tuple[str, int]

#: Records per call: more saves nothing, fewer pays the call for each handful.
_BATCH_RECORDS_MAX = 10_000
#: `consume` waits this long for a full batch. Longer is idle time at the end, shorter gives many small batches.
_WAIT_SECONDS = 0.1
#: Without a record for so long the broker is away or the log is not what it was; a rolling restart takes a few seconds.
_SILENCE_SECONDS_MAX = 60.0


def read(services: Services, ends: Mapping[Partition, int]) -> Iterator[tuple[str, int, int, bytes | None]]:
    """Topic, partition, offset and value of every record before `ends`; the order is that of each partition.

    Raises Fault where the log does not begin at offset 0, is shorter than asked for, or falls silent.
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
                    "Kafka does not send the log any more",
                    f"nothing came for {_SILENCE_SECONDS_MAX:.0f} s; still to read: {sorted(left)}",
                    "`order-ledger doctor` shows what is reachable",
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
    """The value of one record. Raises Fault where it does not come."""
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
                "The log is shorter than what the tables were made from",
                f"{topic}/{number} ends at {last.get(partition, 0)}, the projector has read to {end}",
                "the topic was made anew, or the tables belong to another cluster; see `order-ledger doctor`",
            )
        if end > 0 and first.get(partition, 0) > 0:
            raise Fault(
                "The log does not begin at its beginning",
                f"{topic}/{number} begins at {first[partition]}",
                "ledger topics are kept for ever: set retention.ms=-1 and restore them from a copy",
            )
