"""Kafka clients with the settings this product needs, each with its reason; and the few questions we ask a broker.

    client = producer(services, linger_ms=50)            # an override: dots of the librdkafka name become underscores
    reader = consumer(services, "projector")             # group names get the prefix of `services` here
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

#: What is called with the broker's answer for a record: an error or None, and the record.
Delivered = Callable[[KafkaError | None, Message | None], None]

ADMIN_TIMEOUT_SECONDS = 30.0  # a controller election takes seconds; shorter fails on it, longer hides a dead cluster
ADMIN_POLL_SECONDS = 1.0  # shorter wakes idle processes, longer keeps words (below) of as many attempts to connect
ANSWER_SECONDS = 5.0  # for a look at a few records: shorter misses them on a busy broker, longer keeps a person waiting
ADMIN_GRACE_SECONDS = 5.0  # for the client to say itself that nobody answered; shorter says it in its place

_EVERY_CLIENT: dict[str, Any] = {
    "socket.keepalive.enable": True,  # else a firewall forgets an idle connection and the next request waits for TCP
    "socket.nagle.disable": True,  # small requests (acks, heartbeats) leave at once, not 40 ms later
    # A broker that restarts is back in 2-3 s: 10 s by default between attempts would triple the gap. Smaller than
    # 50 ms hammers a broker that is just coming up.
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1000,
    "log.connection.close": False,  # idle connections are closed all day; not news
}

_PRODUCER: dict[str, Any] = {
    # Java and Faust place keys by murmur2; librdkafka's default (CRC32) would send a key to another partition.
    "partitioner": "murmur2_random",
    "enable.idempotence": True,  # a retry after a lost answer must not make a second record, nor change the order
    "acks": "all",  # acknowledged means: on every copy that is in step
    # Measured here on 97-byte Avro orders (bytes on disk with key and frame; written, read by us, read by aiokafka a
    # second): none 139, 196 k, 714 k, 400 k; lz4 78, 323 k, 734 k, 515 k; zstd 51, 324 k, 612 k, 353 k; snappy 78,
    # 227 k, 636 k, 327 k. lz4 costs no reader anything; override with zstd where the disk is dearer than a replay.
    "compression.type": "lz4",
    # 5 ms wait for company. 0 sends a request per record when callers trickle; 50 and more is right for bulk only
    # (override `linger_ms`), as each single command would wait for it.
    "linger.ms": 5,
    # 10 k records of 150 bytes fill the 1 MB batch; smaller leaves throughput, larger only holds more in one request.
    "batch.num.messages": 10_000,
    # 500 k records or 256 MB in the local queue. Smaller makes `produce` raise BufferError in bulk loads, larger lets
    # a process grow by a gigabyte while the broker is away.
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 262_144,
    # How large a record may be is for its topic to say. The client's own limit of 1 MB would stop the ledger at a
    # record that its broker takes; above 8 MB the broker refuses.
    "message.max.bytes": 8_000_000,
    # A minute of broker absence is ridden out; then the caller (an HTTP request, a CLI) hears that it is not sent.
    # Shorter fails on every rolling restart, longer keeps a person waiting.
    "delivery.timeout.ms": 60_000,
}

_GAPLESS: dict[str, Any] = {
    # If one record of a partition fails for good, all after it fail too: the chain of facts has no hole in it.
    "enable.gapless.guarantee": True,
    # Facts do not time out: the ledger waits for its broker, however long (0 = for ever). A time-out would be a hole.
    "delivery.timeout.ms": 0,
    # A decision waits this long for company on its partition. 0 or 1 makes thousands of tiny requests a second under
    # load, and the broker's cores are then missing elsewhere; more is felt by whoever waits for the answer.
    "linger.ms": 5,
}

_CONSUMER: dict[str, Any] = {
    "enable.auto.commit": False,  # progress is what the sink made durable; Kafka's offset is a hint written after it
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",  # a new reader begins at the beginning of history, never silently at its end
    "check.crcs": True,  # a flipped bit is an error here, not a wrong quantity (2 % of CPU)
    # 1000 ms by default: a partition rests for a second whenever the local queue is full. Much below 5 spins.
    "fetch.queue.backoff.ms": 10,
    # Records ahead per partition: 100 k default gave a third of the speed of 1 M when draining a backlog (measured);
    # memory is bounded by the next line, not by this one.
    "queued.min.messages": 1_000_000,
    # 64 MB over all partitions of the client: a smaller one idles between fetches, a larger one is memory per worker.
    "queued.max.messages.kbytes": 65_536,
    # An empty fetch returns after 100 ms: longer delays a stop and a seek by as much, shorter polls a quiet broker.
    "fetch.wait.max.ms": 100,
    # A crashed worker's partitions are taken over after this. Below 6 s a busy machine loses healthy members;
    # the default 45 s is 45 s of silence for each crash.
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 2_000,
    # A batch that takes longer than this counts as hung and its partitions move: the largest rebuild batch takes
    # seconds. Shorter evicts slow but healthy workers, longer lets a hung one hold its partitions.
    "max.poll.interval.ms": 300_000,
    # Partitions that stay keep being read while others move. `on_assign`/`on_revoke` get the difference only, and use
    # `incremental_assign`/`incremental_unassign` where they assign by hand.
    "partition.assignment.strategy": "cooperative-sticky",
    "enable.partition.eof": False,
}

#: What does not go with `group.protocol=consumer` (KIP-848). Time-outs and the assignor are the broker's there, and
#: librdkafka refuses to be told. A static member that was killed keeps its name until its session is over: whoever
#: comes back under it gets a fatal error (UNRELEASED_INSTANCE_ID, measured), where the classic protocol gives it its
#: partitions back at once. So there every start is a new member.
_OF_THE_CLASSIC_PROTOCOL = (
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "partition.assignment.strategy",
    "group.instance.id",
)


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it must be: full name, partitions (for ever), copies, broker-side settings."""

    name: str
    partitions: int
    replication: int = 1
    config: Mapping[str, str] = field(default_factory=dict)


def producer(services: Services, **overrides: Any) -> Producer:
    """An idempotent producer that gives up on a record after a minute; for commands, whose senders wait."""
    return Producer(_config(services, _PRODUCER, overrides))


def gapless_producer(services: Services, **overrides: Any) -> GaplessProducer:
    """The ledger's producer: waits for its broker for ever, and never leaves a hole before a later record."""
    return GaplessProducer(_config(services, _PRODUCER | _GAPLESS, overrides))


class GaplessProducer:
    """Every failure is told by the deliveries, and by nothing else; `message` is None for a record that was not taken.

    Where a broker lost a batch that it had acknowledged, the sequence is broken for good. The client then raises in
    whatever is called next, once, and in each `produce` after: a dozen places, for what deliveries say anyway.

    Where that error comes among deliveries, the client sets its exception and goes on calling: what a callback does
    then seems to have failed, with a SystemError out of any line of it. So each begins with catching that.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._producer = Producer(config)
        self._broke_among_deliveries = False

    def produce(  # noqa: PLR0917  # as the client's own
        self,
        topic: str,
        value: Any,
        key: Any,
        partition: int = -1,
        on_delivery: Delivered = lambda _error, _message: None,
        headers: Any = None,
    ) -> None:
        """Raises BufferError when the local queue is full, KafkaException for a record that cannot be sent."""
        more = {} if headers is None else {"headers": headers}

        def delivered(error: KafkaError | None, message: Message | None) -> None:
            try:
                format(error)  # looked at when it returns: the exception that was set before it comes out, in some form
            except Exception:  # noqa: BLE001  # SystemError, TypeError …: formatting itself does not fail
                self._broke_among_deliveries = True
            on_delivery(error, message)

        try:
            self._producer.produce(topic, value, key, partition, delivered, **more)
        except KafkaException as error:
            if not is_fatal(error.args[0]):
                raise
            on_delivery(error.args[0], None)

    def poll(self, timeout_seconds: float) -> int:
        """Deliver what the broker has said, waiting so long for it to say something."""
        return self._unless_fatal(lambda: self._producer.poll(timeout_seconds))

    def flush(self, timeout_seconds: float) -> int:
        """Wait so long until all is delivered or has failed; how many are still on their way."""
        return self._unless_fatal(lambda: self._producer.flush(timeout_seconds))

    def _unless_fatal(self, work: Callable[[], int]) -> int:
        try:
            return work()
        except KafkaException as error:
            if not is_fatal(error.args[0]):
                raise
        except SystemError:  # it has no exception left to raise: we took it
            if not self._broke_among_deliveries:
                raise
        return work()  # it is raised once only


def consumer(services: Services, group: str, **overrides: Any) -> Consumer:
    """A reader that commits nothing by itself; `group` without prefix."""
    config = _config(services, {**_CONSUMER, **services.consumer_config, "group.id": services.group(group)}, overrides)
    if config.get("group.protocol", "classic") == "consumer":
        for name in _OF_THE_CLASSIC_PROTOCOL:
            config.pop(name, None)
    else:
        session_ms = int(config["session.timeout.ms"])
        # Three heartbeats may get lost before a member counts as dead.
        config["heartbeat.interval.ms"] = min(config["heartbeat.interval.ms"], session_ms // 3)
    return Consumer(config)


def is_fatal(error: KafkaError) -> bool:
    """Whether the client that said so will never work again: another process has its name, or the broker will not have
    it. A consumer delivers this once, as an event whose own `fatal()` is False, and is silent from then on.
    """
    return bool(error.fatal()) or error.code() == KafkaError._FATAL  # noqa: SLF001  # its public name


class ShutOut(KafkaException):
    """A member's client will never work again; another one of the same process may (`runtime.instance.as_member`)."""


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
    """The broker URL as Faust wants it."""
    return ";".join(f"kafka://{address}" for address in services.bootstrap_servers.split(","))


def create_topics(services: Services, specs: Iterable[TopicSpec]) -> None:
    """Return when all topics exist and can be used. Those that exist keep their settings as they are.

    Where all exist nothing is asked of the controller: a sender needs none, and it may just be gone.
    A topic with another partition count is a fault: keys would be looked for where they are not.
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
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # made by another process just now
                    raise Fault(
                        f"Topic {name} could not be made",
                        str(error.args[0]),
                        "check the broker's rights and that it has as many nodes as ORDER_LEDGER_REPLICATION asks for",
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
                    "the partition of a key is fixed when a topic is made, and must never move",
                    f"set ORDER_LEDGER_PARTITIONS={len(found.partitions)}, or begin with another topic prefix",
                )
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise Fault("Topics have no leader", ", ".join(waiting), "look at the broker's log; are all its nodes up?")
        time.sleep(0.02)


def _answered(answer: Any, timeout_seconds: float) -> Any:
    """What an admin client's question gave. The client gives up by itself; should it not, that is no wait for ever."""
    try:
        return answer.result(timeout_seconds + ADMIN_GRACE_SECONDS)
    except TimeoutError as error:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from error  # noqa: SLF001  # its public name


def topic_ids(services: Services, names: Iterable[str]) -> dict[str, str]:
    """The id that the broker gave each topic: another one under the same name is another topic."""
    client = admin(services)  # named: a client that is collected takes its unanswered requests with it
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
    """(topic, partition) → offset after the last record, of all partitions of these topics; `client` is used again."""
    return _offsets(services, names, OffsetSpec.latest(), client, timeout_seconds)  # type: ignore[no-untyped-call]  # the client ships no types here


def start_offsets(services: Services, names: Iterable[str]) -> dict[tuple[str, int], int]:
    """(topic, partition) → offset of the first record that is still kept."""
    return _offsets(services, names, OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # the same


def offsets_at(services: Services, names: Iterable[str], timestamp_ms: int) -> dict[tuple[str, int], int]:
    """(topic, partition) → first offset whose record is not older than the time; the end where there is none."""
    ends = end_offsets(services, names)
    found = _offsets(services, names, OffsetSpec.for_timestamp(timestamp_ms))
    return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}


def timestamps(
    services: Services, places: Iterable[tuple[str, int, int]], timeout_seconds: float = ANSWER_SECONDS
) -> dict[tuple[str, int, int], datetime]:
    """(topic, partition, offset) → when that record was written; without those that cannot be read in time."""
    wanted = {(topic, partition): offset for topic, partition, offset in places}
    found: dict[tuple[str, int, int], datetime] = {}
    # Never subscribes, and wants one record of each partition, which must be that one.
    reader = consumer(services, "timestamps", auto_offset_reset="error", queued_min_messages=1)
    try:
        reader.assign([TopicPartition(topic, partition, offset) for (topic, partition), offset in wanted.items()])
        deadline = time.monotonic() + timeout_seconds
        while len(found) < len(wanted) and (left := deadline - time.monotonic()) > 0:
            message = reader.poll(left)
            if message is None:
                continue
            topic, partition = message.topic() or "", message.partition() or 0
            if message.error():  # not there any more
                wanted.pop((topic, partition), None)
            elif message.offset() == wanted.get((topic, partition)):
                at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
                found[topic, partition, wanted[topic, partition]] = at
    finally:
        reader.close()
    return found


def first_values(services: Services, names: Iterable[str]) -> dict[tuple[str, int], bytes | None]:
    """(topic, partition) → value of its first record, where there is one. Raises Fault where Kafka does not send it."""
    topics = list(names)
    ends = end_offsets(services, topics)
    left = {place: first for place, first in start_offsets(services, topics).items() if first < ends[place]}
    found: dict[tuple[str, int], bytes | None] = {}
    if not left:
        return found
    # 64 kB hold most first batches: the default fetches 1 MB of each partition, for one record.
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
    client = admin(services) if client is None else client  # an AdminClient is false: it has a length, which is 0
    wanted = list(names)
    deadline = time.monotonic() + timeout_seconds
    while True:
        topics = client.list_topics(timeout=timeout_seconds).topics
        request: dict[TopicPartition, OffsetSpec] = {}
        for name in wanted:
            if name not in topics:
                raise Fault(f"There is no topic {name}", "", "`order-ledger up` makes the topics; check the prefix")
            request |= {TopicPartition(name, partition): spec for partition in topics[name].partitions}
        if not request:
            return {}
        try:
            answers = client.list_offsets(request, request_timeout=timeout_seconds)
            return {
                (tp.topic, tp.partition): _answered(answer, timeout_seconds).offset for tp, answer in answers.items()
            }
        except KafkaException as error:
            # A leader that has just been elected is not known everywhere yet; so much is worth waiting for.
            passing = error.args[0].retriable() or error.args[0].code() in _MOVING
            if not passing or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


#: What a broker answers while the leader of a partition changes.
_MOVING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,  # a broker that has just started is behind what it told of itself
        KafkaError.OFFSET_NOT_AVAILABLE,
    }
)


def _config(services: Services, defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Later wins: what every client needs, this kind's settings, the address, the caller's overrides."""
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
    """Kafka's 32-bit murmur2 (seed 0x9747b28c), as Java's `Utils.murmur2` but unsigned."""
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
    """The partition of a key, as Java's, Faust's and (with `murmur2_random`) librdkafka's producers choose it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
