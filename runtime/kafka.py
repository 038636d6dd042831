"""Kafka clients with the settings of this product, each with its reason, and the few queries that we send to a broker.

    client = producer(services, linger_ms=50)            # an override: dots of the librdkafka name become underscores
    reader = consumer(services, "projector")             # the group name gets the prefix of `services`
    create_topics(services, [TopicSpec(services.topic("intake.orders"), 12, 1, {"message.timestamp.type": …})])

Topic names are full names everywhere: `services.topic("ledger.orders")`.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]  # no __all__ there

from runtime.errors import Fault
from runtime.logging import client_logger
from runtime.services import Services

#: Callback for the broker's answer to a record: an error or None, and the record.
Delivered = Callable[[KafkaError | None, Message | None], None]

ADMIN_TIMEOUT_SECONDS = 30.0  # a controller election takes seconds; shorter fails on it, longer hides a dead cluster
ADMIN_POLL_SECONDS = 1.0  # shorter wakes idle processes, longer keeps more connection errors (`_Admin`)
ANSWER_SECONDS = 5.0  # to read a few records: shorter misses them on a busy broker, longer makes a person wait
ADMIN_GRACE_SECONDS = 5.0  # the client reports its own time-out within this; shorter reports in its place

_EVERY_CLIENT: dict[str, Any] = {
    # Without it a firewall forgets an idle connection, and the next request waits for TCP.
    "socket.keepalive.enable": True,
    "socket.nagle.disable": True,  # small requests (acks, heartbeats) leave at once, not 40 ms later
    # A broker restarts in 2-3 s; the default of up to 10 s between attempts would triple the gap. Less than 50 ms
    # floods a broker that is starting.
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1000,
    "log.connection.close": False,  # idle connections are closed all the time
}

_PRODUCER: dict[str, Any] = {
    # Java and Faust place keys by murmur2; librdkafka's default (CRC32) would send a key to another partition.
    "partitioner": "murmur2_random",
    "enable.idempotence": True,  # a retry after a lost answer must not make a second record, nor change the order
    "acks": "all",  # acknowledged means: on every in-sync replica
    # Measured on 97-byte Avro orders (bytes on disk with key and frame; records per second written, read by us, read
    # by aiokafka): none 139, 196 k, 714 k, 400 k; lz4 78, 323 k, 734 k, 515 k; zstd 51, 324 k, 612 k, 353 k; snappy
    # 78, 227 k, 636 k, 327 k. lz4 costs no reader anything. Override with zstd to save disk at the cost of a replay.
    "compression.type": "lz4",
    # Records wait 5 ms for others. 0 sends a request per record when callers send one at a time; 50 and more is right
    # for bulk only (override `linger_ms`), because each single command would wait for it.
    "linger.ms": 5,
    # 10 k records of 150 bytes fill the 1 MB batch. Smaller costs throughput, larger only holds more in one request.
    "batch.num.messages": 10_000,
    # 500 k records or 256 MB in the local queue. Smaller makes `produce` raise BufferError in bulk loads, larger lets
    # a process grow by a gigabyte while the broker is away.
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 262_144,
    # The topic limits the size of a record. The client's default of 1 MB would stop the ledger at a record that the
    # broker accepts; above 8 MB the broker refuses.
    "message.max.bytes": 8_000_000,
    # If the broker is away for longer than a minute, the caller (an HTTP request, a CLI) gets an error.
    # Shorter fails on every rolling restart, longer makes a person wait.
    "delivery.timeout.ms": 60_000,
}

_GAPLESS: dict[str, Any] = {
    # If one record of a partition fails for good, all after it fail too, so the chain of facts has no gap.
    "enable.gapless.guarantee": True,
    # Facts do not time out: the ledger waits for its broker for ever (0). A time-out would make a gap.
    "delivery.timeout.ms": 0,
    # Facts of a batch are handed over together, within about this time. 0 sends the first of them alone; more delays
    # every answer, three times for an order (5 ms, and 2 ms for commands: p50 119 instead of 96 ms), and saves nothing.
    "linger.ms": 1,
}

_CONSUMER: dict[str, Any] = {
    # Progress is what the reader has stored itself. Kafka's committed offset is a hint, written after that.
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",  # a new reader begins at the beginning of history, never silently at its end
    "check.crcs": True,  # a flipped bit is an error here, not a wrong quantity (2 % of CPU)
    # By default a partition is not fetched for 1000 ms whenever the local queue is full. Much below 5 spins.
    "fetch.queue.backoff.ms": 10,
    # Records ahead per partition: the default of 100 k drained a backlog at a third of the speed (measured). The next
    # line bounds the memory, not this one.
    "queued.min.messages": 1_000_000,
    # 64 MB over all partitions of the client. Smaller idles between fetches, larger costs memory in each worker.
    "queued.max.messages.kbytes": 65_536,
    # An empty fetch returns after 100 ms. Longer delays a stop and a seek, shorter polls a quiet broker too often.
    "fetch.wait.max.ms": 100,
    # Others take over a crashed worker's partitions after this. Below 6 s a busy machine loses healthy members; with
    # the default of 45 s nobody reads the partitions for 45 s after each crash.
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 2_000,
    # A worker whose batch takes longer counts as hung, and its partitions move. The largest rebuild batch takes
    # seconds. Shorter evicts slow but healthy workers, longer lets a hung one hold its partitions.
    "max.poll.interval.ms": 300_000,
    # A worker keeps reading its other partitions while some move. `on_assign`/`on_revoke` get only the difference, and
    # must use `incremental_assign`/`incremental_unassign` to assign by hand.
    "partition.assignment.strategy": "cooperative-sticky",
    "enable.partition.eof": False,
}

#: Settings that `group.protocol=consumer` (KIP-848) does not allow. The broker sets time-outs and assignor there, and
#: librdkafka refuses them. A killed static member keeps its name until its session is over: a restarted worker with
#: that name gets a fatal error (UNRELEASED_INSTANCE_ID, measured), while the classic protocol gives it its partitions
#: back at once. So with KIP-848 every start is a new member.
_OF_THE_CLASSIC_PROTOCOL = (
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "partition.assignment.strategy",
    "group.instance.id",
)


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it must be: full name, partitions (they never change), copies, broker-side settings."""

    name: str
    partitions: int
    replication: int = 1
    config: Mapping[str, str] = field(default_factory=dict)


def producer(services: Services, **overrides: Any) -> Producer:
    """An idempotent producer that gives up on a record after a minute; for commands, because their senders wait."""
    return Producer(_config(services, _PRODUCER, overrides))


def gapless_producer(services: Services, **overrides: Any) -> GaplessProducer:
    """The ledger's producer: waits for its broker for ever, and never leaves a gap before a later record."""
    return GaplessProducer(_config(services, _PRODUCER | _GAPLESS, overrides))


class GaplessProducer:
    """Reports every failure through the delivery callbacks only; `message` is None for a record that was not queued.

    If a broker loses a batch that it has acknowledged, the sequence is broken for good. The client then raises once
    from the next call, and from each later `produce`: a dozen places, although the deliveries report the failure too.

    If that error comes between deliveries, the client sets its exception and continues to call callbacks. A callback
    then fails with a SystemError at any of its lines. So each callback first provokes and catches that error.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._producer = Producer(config)
        self._broke_among_deliveries = False

    def produce(  # noqa: PLR0917  # as in the client
        self,
        topic: str,
        value: Any,
        key: Any,
        partition: int = -1,
        on_delivery: Delivered = lambda _error, _message: None,
        headers: Any = None,
    ) -> None:
        """Raises BufferError if the local queue is full, KafkaException for a record that cannot be sent."""
        more = {} if headers is None else {"headers": headers}

        def delivered(error: KafkaError | None, message: Message | None) -> None:
            try:
                format(error)  # on its return Python raises the exception that the client has set, in some form
            except Exception:  # noqa: BLE001  # SystemError, TypeError …; formatting itself does not fail
                self._broke_among_deliveries = True
            on_delivery(error, message)

        try:
            self._producer.produce(topic, value, key, partition, delivered, **more)
        except KafkaException as error:
            if not is_fatal(error.args[0]):
                raise
            on_delivery(error.args[0], None)

    def poll(self, timeout_seconds: float) -> int:
        """Call the delivery callbacks for the broker's answers, after waiting for some up to the time-out."""
        return self._unless_fatal(lambda: self._producer.poll(timeout_seconds))

    def flush(self, timeout_seconds: float) -> int:
        """Wait until all records are delivered or have failed, up to the time-out. The number of records left."""
        return self._unless_fatal(lambda: self._producer.flush(timeout_seconds))

    def _unless_fatal(self, work: Callable[[], int]) -> int:
        try:
            return work()
        except KafkaException as error:
            if not is_fatal(error.args[0]):
                raise
        except SystemError:  # the client has no exception left to raise, because we caught it
            if not self._broke_among_deliveries:
                raise
        return work()  # the client raises only once


def consumer(services: Services, group: str, **overrides: Any) -> Consumer:
    """A reader that commits nothing by itself; `group` comes without the prefix."""
    config = _config(services, {**_CONSUMER, **services.consumer_config, "group.id": services.group(group)}, overrides)
    if config.get("group.protocol", "classic") == "consumer":
        for name in _OF_THE_CLASSIC_PROTOCOL:
            config.pop(name, None)
    else:
        session_ms = int(config["session.timeout.ms"])
        # A member counts as dead only after three lost heartbeats.
        config["heartbeat.interval.ms"] = min(config["heartbeat.interval.ms"], session_ms // 3)
    return Consumer(config)


def is_fatal(error: KafkaError) -> bool:
    """Whether the client will never work again: another process has its name, or the broker does not accept it. A
    consumer delivers this once, as an event whose own `fatal()` is False, and then delivers nothing more.
    """
    return bool(error.fatal()) or error.code() == KafkaError._FATAL  # noqa: SLF001  # its public name


class ShutOut(KafkaException):
    """A member's client will never work again; a new client of the same process may (`runtime.instance.as_member`)."""


class _Admin(AdminClient):
    """An admin client that discards connection errors while the broker is down.

    librdkafka queues an error for each attempt to connect, until the client is polled. Code that only waits for answers
    never polls, so the queue grew by up to a megabyte in half a minute. A thread polls the client as long as it lives.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        threading.Thread(target=_poll, args=[weakref.ref(self)], name="admin-poll", daemon=True).start()


def _poll(client: weakref.ref[_Admin]) -> None:
    while (held := client()) is not None:
        held.poll(0)
        del held  # this thread ends when nobody else holds the client
        time.sleep(ADMIN_POLL_SECONDS)


def admin(services: Services, **overrides: Any) -> AdminClient:
    return _Admin(_config(services, {}, overrides))


def faust_broker(services: Services) -> str:
    """The broker URL in Faust's format."""
    return ";".join(f"kafka://{address}" for address in services.bootstrap_servers.split(","))


def create_topics(services: Services, specs: Iterable[TopicSpec]) -> None:
    """Return when all topics exist and can be used. Existing topics keep their settings.

    If all exist, this does not ask the controller: a sender does not need it, and it may be down.
    A topic with another partition count is a fault: readers would look for keys on the wrong partition.
    """
    wanted = {spec.name: spec for spec in specs}
    client = admin(services)
    existing = client.list_topics(timeout=ADMIN_TIMEOUT_SECONDS).topics
    new = [
        NewTopic(s.name, num_partitions=s.partitions, replication_factor=s.replication, config=dict(s.config))
        for s in wanted.values()
        if s.name not in existing
    ]
    if new:
        for name, result in client.create_topics(new, operation_timeout=ADMIN_TIMEOUT_SECONDS).items():
            try:
                result.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process has just created it
                    raise Fault(
                        f"Topic {name} could not be created",
                        str(error.args[0]),
                        "check the rights on the broker, and that it has at least ORDER_LEDGER_REPLICATION nodes",
                    ) from error
    _wait_for_leaders(client, wanted)


def _wait_for_leaders(client: AdminClient, wanted: Mapping[str, TopicSpec]) -> None:
    deadline = time.monotonic() + ADMIN_TIMEOUT_SECONDS
    while True:
        topics = client.list_topics(timeout=ADMIN_TIMEOUT_SECONDS).topics
        waiting = []
        for name, spec in wanted.items():
            found = topics.get(name)
            if found is None or any(p.leader < 0 for p in found.partitions.values()) or not found.partitions:
                waiting.append(name)
            elif len(found.partitions) != spec.partitions:
                raise Fault(
                    f"Topic {name} has {len(found.partitions)} partitions, {spec.partitions} are configured",
                    "the number is fixed when a topic is created, because a key must never move",
                    f"set ORDER_LEDGER_PARTITIONS={len(found.partitions)}, or start with another topic prefix",
                )
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise Fault("Topics have no leader", ", ".join(waiting), "are all nodes up? See the broker's log")
        time.sleep(0.02)


def _answered(answer: Any, timeout_seconds: float) -> Any:
    """The result of an admin client's request. The client times out by itself; if it does not, we do."""
    try:
        return answer.result(timeout_seconds + ADMIN_GRACE_SECONDS)
    except TimeoutError as error:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from error  # noqa: SLF001  # its public name


def topic_ids(services: Services, names: Iterable[str]) -> dict[str, str]:
    """The broker's id of each topic. Another id under the same name means another topic."""
    client = admin(services)  # a name keeps it alive: a collected client drops its unanswered requests
    answers = client.describe_topics(TopicCollection(list(names)), request_timeout=ADMIN_TIMEOUT_SECONDS)
    return {name: str(_answered(answer, ADMIN_TIMEOUT_SECONDS).topic_id) for name, answer in answers.items()}


def topic_id(services: Services, name: str) -> str:
    return topic_ids(services, [name])[name]


def end_offsets(
    services: Services,
    names: Iterable[str],
    client: AdminClient | None = None,
    timeout_seconds: float = ADMIN_TIMEOUT_SECONDS,
) -> dict[tuple[str, int], int]:
    """(topic, partition) → offset after the last record, for all partitions of these topics; may reuse a `client`."""
    return _offsets(services, names, OffsetSpec.latest(), client, timeout_seconds)  # type: ignore[no-untyped-call]  # the client ships no types here


def start_offsets(services: Services, names: Iterable[str]) -> dict[tuple[str, int], int]:
    """(topic, partition) → offset of the first record that is still kept."""
    return _offsets(services, names, OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # the same


def offsets_at(services: Services, names: Iterable[str], timestamp_ms: int) -> dict[tuple[str, int], int]:
    """(topic, partition) → first offset whose record is not older than the time; the end if there is none."""
    ends = end_offsets(services, names)
    found = _offsets(services, names, OffsetSpec.for_timestamp(timestamp_ms))
    return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}


def timestamps(
    services: Services, places: Iterable[tuple[str, int, int]], timeout_seconds: float = ANSWER_SECONDS
) -> dict[tuple[str, int, int], datetime]:
    """(topic, partition, offset) → when that record was written; records that cannot be read in time are left out."""
    wanted = {(topic, partition): offset for topic, partition, offset in places}
    found: dict[tuple[str, int, int], datetime] = {}
    # It never subscribes. It wants exactly one record of each partition: an error instead of another record.
    reader = consumer(services, "timestamps", auto_offset_reset="error", queued_min_messages=1)
    try:
        reader.assign([TopicPartition(topic, partition, offset) for (topic, partition), offset in wanted.items()])
        deadline = time.monotonic() + timeout_seconds
        while len(found) < len(wanted) and (left := deadline - time.monotonic()) > 0:
            message = reader.poll(left)
            if message is None:
                continue
            topic, partition = message.topic() or "", message.partition() or 0
            if message.error():  # the record is gone
                wanted.pop((topic, partition), None)
            elif message.offset() == wanted.get((topic, partition)):
                at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
                found[topic, partition, wanted[topic, partition]] = at
    finally:
        reader.close()
    return found


def first_values(services: Services, names: Iterable[str]) -> dict[tuple[str, int], bytes | None]:
    """(topic, partition) → value of its first record, if there is one. Raises Fault if Kafka does not send it."""
    topics = list(names)
    ends = end_offsets(services, topics)
    left = {place: first for place, first in start_offsets(services, topics).items() if first < ends[place]}
    found: dict[tuple[str, int], bytes | None] = {}
    if not left:
        return found
    # 64 kB hold most first batches. The default fetches 1 MB of each partition for one record.
    few: dict[str, Any] = {"queued_min_messages": 1, "fetch_message_max_bytes": 65_536}
    reader = consumer(services, "first-values", enable_partition_eof=True, **few)
    try:
        reader.assign([TopicPartition(*place, first) for place, first in left.items()])
        deadline = time.monotonic() + ADMIN_TIMEOUT_SECONDS
        while left:
            for message in reader.consume(10_000, 0.1):
                place = message.topic() or "", message.partition() or 0
                error = message.error()
                if error is None:
                    found.setdefault(place, message.value())
                elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public name
                    continue  # the client tries again by itself
                left.pop(place, None)
            if left and time.monotonic() > deadline:
                raise Fault("Kafka does not send the log", f"still to read: {sorted(left)}", "`order-ledger doctor`")
    finally:
        reader.close()
    return found


def _offsets(
    services: Services,
    names: Iterable[str],
    spec: OffsetSpec,
    client: AdminClient | None = None,
    timeout_seconds: float = ADMIN_TIMEOUT_SECONDS,
) -> dict[tuple[str, int], int]:
    client = admin(services) if client is None else client  # not `or`: an AdminClient is falsy (its length is 0)
    wanted = list(names)
    deadline = time.monotonic() + timeout_seconds
    while True:
        topics = client.list_topics(timeout=timeout_seconds).topics
        request: dict[TopicPartition, OffsetSpec] = {}
        for name in wanted:
            if name not in topics:
                raise Fault(f"There is no topic {name}", "", "`order-ledger up` creates the topics; check the prefix")
            request |= {TopicPartition(name, partition): spec for partition in topics[name].partitions}
        if not request:
            return {}
        try:
            answers = client.list_offsets(request, request_timeout=timeout_seconds)
            return {
                (tp.topic, tp.partition): _answered(answer, timeout_seconds).offset for tp, answer in answers.items()
            }
        except KafkaException as error:
            # After an election not every broker knows the new leader yet, so try again.
            passing = error.args[0].retriable() or error.args[0].code() in _MOVING
            if not passing or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


#: Errors that a broker returns while the leader of a partition changes.
_MOVING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,  # a broker that has just started is behind its own metadata
        KafkaError.OFFSET_NOT_AVAILABLE,
    }
)


def _config(services: Services, defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The later wins: settings of every client, settings of this kind, the address, the caller's overrides."""
    config = {
        "client.id": "order-ledger",
        "logger": client_logger(),
        **_EVERY_CLIENT,
        **defaults,
        **services.kafka_config,
    }
    for name, value in overrides.items():
        is_callback = name.endswith("_cb") or name in {"on_delivery", "on_commit", "logger"}
        config[name if is_callback else name.replace("_", ".")] = value
    return config


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 (seed 0x9747b28c), like Java's `Utils.murmur2` but unsigned."""
    length = len(data)
    h = (0x9747B28C ^ length) & 0xFFFFFFFF
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * 0x5BD1E995 & 0xFFFFFFFF
        k = (k ^ k >> 24) * 0x5BD1E995 & 0xFFFFFFFF
        h = h * 0x5BD1E995 & 0xFFFFFFFF ^ k
    if whole < length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return h ^ h >> 15


def murmur2_partition(key: bytes, partitions: int) -> int:
    """The partition of a key, as the producers of Java, Faust and (with `murmur2_random`) librdkafka choose it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
