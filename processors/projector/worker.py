"""The projector as a worker: one consumer on all ledger topics, batches that grow with the backlog.

    run_projector(settings, services, stop)      # returns when `stop` is set; raises when it must not go on

PostgreSQL says where each partition goes on; what the consumer group remembers is a hint for lag monitors. While
PostgreSQL or Kafka is away the worker waits and tries again: nothing is skipped. A fold that raises ends the worker,
nothing stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from events.catalogue import DEAD_LETTERS, LEDGER_TOPICS
from processors.dead_letters import to_dead_letter
from processors.old_log import refuse_old_log
from processors.projector.projector import Projector, Record, SetAside
from processors.projector.write import Overtaken, Partition, Store, ensure_tables
from processors.slow_paths import report
from processors.subjects import codec_for
from projections.catalogue import PROJECTIONS
from projections.model import Projection
from runtime import failpoints
from runtime.errors import Fault
from runtime.instance import Instance, as_member, hold_instance
from runtime.kafka import ShutOut, consumer, is_fatal, producer, topic_ids
from runtime.logging import log
from runtime.memory import AtRest, empty_caches
from runtime.postgres import connect
from runtime.services import Services
from runtime.settings import Settings
from runtime.watchdog import Standing, start_watchdog

GROUP = "projector"

#: Records of one transaction at most. Larger batches reduce more facts to one row before writing, until their memory
#: (about 1 kB a fact while it is folded) hurts; below a few thousand the transaction costs more than the rows.
BATCH_RECORDS_MAX = 100_000

#: A batch of so many makes the process larger by megabytes. Fewer opens connections for backlogs that leave little.
BACKLOG_RECORDS = 10_000

#: How long to wait for the first record. Longer delays a stop by as much; shorter only spins on a quiet topic.
IDLE_SECONDS = 0.2

#: After the first record, so long for others to come along. Longer delays each single fact; 0 makes batches of one.
LINGER_SECONDS = 0.005

#: Pauses between attempts while a service is away: short enough that a restart is hardly noticed, long enough not to
#: hammer.
BACKOFF_SECONDS_MIN, BACKOFF_SECONDS_MAX = 0.1, 5.0

#: How often to ask PostgreSQL whether the partitions still stand where we left them: a database that crashed or was
#: restored is behind, and on a quiet log no write would notice. Longer leaves old tables for as long, shorter is a
#: query more.
LOOK_BACK_SECONDS = 2.0

#: A dead letter must be on the broker before its offset is passed. Shorter fails on a rolling restart.
SET_ASIDE_SECONDS = 90.0

#: librdkafka names its own error codes with a leading underscore; they are public all the same.
_NOT_THE_SAME_LOG = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001

Result = TypeVar("Result")


class Stopped(Exception):
    """The worker was asked to stop while it waited for a service."""


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
    instance = hold_instance(settings.home, GROUP)
    store = Store(lambda: connect(services, GROUP), schema)
    standing = Standing()
    topics = [services.topic(topic) for topic in LEDGER_TOPICS]
    stop_watching = start_watchdog(GROUP, standing, services, topics, settings.stall_seconds)
    try:
        patiently(lambda: _make_tables(services, projections, schema), stop, standing=standing)
        codec = codec_for(services.schema_registry, services.topic_prefix)
        patiently(lambda: refuse_old_log(services, codec), stop, standing=standing)

        def serve() -> None:
            projector = Projector(store, codec, projections, dead_letters(services), services.topic_prefix)
            _Worker(services, projector, store, stop, instance, standing).run()

        as_member(serve, stop)
    except Stopped:
        log.info("projector_stopped_while_waiting")
    finally:
        stop_watching()
        store.close()
        instance.release()


class _Worker:
    def __init__(  # noqa: PLR0917
        self,
        services: Services,
        projector: Projector,
        store: Store,
        stop: threading.Event,
        instance: Instance,
        standing: Standing,
    ) -> None:
        self._services = services
        self._projector = projector
        self._store = store
        self._stop = stop
        self._standing = standing
        self._instance = instance
        self._hints: dict[Partition, int] = {}
        # Below its beginning or above its end the log is another one than that which was read: never silently go
        # elsewhere.
        self._consumer = consumer(services, GROUP, auto_offset_reset="error", **instance.config())

    def run(self) -> None:
        topics = [self._services.topic(topic) for topic in LEDGER_TOPICS]
        self._standing.next_offsets = self._next_offsets
        try:
            self._consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
            looked_at = time.monotonic()
            after_backlog = False
            at_rest = AtRest()
            while not self._stop.is_set():
                messages = read(self._consumer, BATCH_RECORDS_MAX, IDLE_SECONDS)
                self._hint()
                if messages and not failpoints.reach("projector.fetched"):
                    self._take(messages)
                    at_rest.came()
                after_backlog = after_backlog or len(messages) >= BACKLOG_RECORDS
                if time.monotonic() - looked_at >= LOOK_BACK_SECONDS:
                    if after_backlog and len(messages) < BACKLOG_RECORDS:
                        self._let_go()
                        after_backlog = False
                    at_rest.look()
                    self._look_back()
                    looked_at = time.monotonic()
            self._hint()
        finally:
            self._standing.leave()
            self._consumer.close()

    def _next_offsets(self) -> dict[Partition, int]:
        offsets = self._projector.next_offsets
        return {(self._services.topic(topic), number): offset for (topic, number), offset in offsets.items()}

    def _take(self, messages: Sequence[Message]) -> None:
        with self._standing.excused() as wait_for:
            records: Sequence[Message] = messages
            pause = BACKOFF_SECONDS_MIN
            while True:
                try:
                    taken = self._projector.take(records)
                except Overtaken as error:
                    log.warning("projector_overtaken", detail=str(error))
                    self._place_anew()
                    return
                except psycopg.OperationalError as error:
                    # Whether the transaction went through is not known. The fence tells: if it did, the next attempt is
                    # overtaken.
                    records = ()
                    log.warning("projector_waits_for_postgres", detail=str(error).strip())
                    wait_for("postgres")
                    self._store.close()
                    patiently(self._probe, self._stop)
                    # It answers. That it takes what we write is not said: its disk may be full.
                    if self._stop.wait(pause):
                        raise Stopped from error
                    pause = min(BACKOFF_SECONDS_MAX, pause * 2)
                else:
                    report(GROUP, taken.misses)
                    log.debug("batch_written", facts=taken.facts, rows=taken.rows, skipped=taken.skipped)
                    self._hints |= taken.next_offsets
                    return

    def _let_go(self) -> None:
        """What was made in the middle of a backlog and is kept (prepared statements, caches) lies among what has gone
        since, and only pages in which nothing is left are given back. It is made anew where it is needed (decision 14).
        """
        self._store.close()
        empty_caches()

    def _look_back(self) -> None:
        try:
            agrees = self._projector.agrees()
        except psycopg.OperationalError as error:  # asked again with the next look
            log.warning("projector_waits_for_postgres", detail=str(error).strip())
            self._store.close()
            return
        if not agrees:
            log.warning("projector_overtaken", detail="the offsets in PostgreSQL are not those that were written last")
            self._place_anew()

    def _probe(self) -> None:
        with connect(self._services, GROUP) as connection:
            connection.execute("SELECT 1")

    def _hint(self) -> None:
        """Tell the group how far the tables are; just after a read, which has told us of what is no longer ours.

        A member whose session ran out and that does not know yet commits under no name, and is shut out for it.
        """
        hints, self._hints = self._hints, {}
        offsets = [
            TopicPartition(self._services.topic(topic), partition, offset)
            for (topic, partition), offset in hints.items()
        ]
        if not offsets:
            return
        failpoints.reach("projector.before_hint")
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            # Only a hint: the offset that counts stands in PostgreSQL.
            log.debug("projector_hint_not_committed", detail=str(error))

    def _assigned(self, client: Consumer, assigned: list[TopicPartition]) -> None:
        failpoints.reach("projector.assigned")
        client.incremental_assign(self._placed(assigned))
        self._standing.placed = True
        self._instance.ready(self._services.topic_prefix)

    def _revoked(self, client: Consumer, revoked: list[TopicPartition]) -> None:
        self._standing.placed = False  # joins anew: each rebalance ends with an assignment, be it of nothing
        gone = [self._partition(one) for one in revoked]
        self._projector.forget(gone)
        for partition in gone:
            self._hints.pop(partition, None)
        client.incremental_unassign(revoked)

    def _place_anew(self) -> None:
        for place in self._placed(self._consumer.assignment()):
            self._consumer.seek(place)

    def _placed(self, partitions: Collection[TopicPartition]) -> list[TopicPartition]:
        if not partitions:
            return []

        def place() -> dict[Partition, int]:
            ids = topic_ids(self._services, {one.topic for one in partitions})
            return self._projector.place({self._partition(one): ids[one.topic] for one in partitions})

        offsets = patiently(place, self._stop, self._store.close, self._standing)
        self._hints |= offsets  # who had them before may not have come to tell
        return [TopicPartition(one.topic, one.partition, offsets[self._partition(one)]) for one in partitions]

    def _partition(self, one: TopicPartition) -> Partition:
        return one.topic.removeprefix(self._services.topic_prefix), one.partition


def read(client: Consumer, records_max: int, idle_seconds: float) -> list[Message]:
    """Waits for a first record, then takes all that are there: one when it is quiet, a hundred thousand in a backlog.

    Raises Fault when the log does not hold the offset that was asked for. Other errors pass by themselves: librdkafka
    goes on.
    """
    messages: list[Message] = client.consume(1, idle_seconds)
    if messages:
        messages += client.consume(records_max - 1, LINGER_SECONDS)
    good = []
    for message in messages:
        error = message.error()
        if error is None:
            good.append(message)
        elif error.code() in _NOT_THE_SAME_LOG:
            raise Fault(
                f"The log of {message.topic()} partition {message.partition()} is not the one that was read before",
                error.str(),
                "ledger topics are kept for ever: was it made anew, or were records deleted? bring the log back",
            )
        elif is_fatal(error):
            raise ShutOut(error)
        else:
            log.warning("projector_waits_for_kafka", detail=error.str())
    return good


def patiently(
    action: Callable[[], Result],
    stop: threading.Event,
    between: Callable[[], None] | None = None,
    standing: Standing | None = None,
) -> Result:
    """What the action gives, tried again with growing pauses while PostgreSQL or Kafka is away. Raises Stopped."""
    with (standing or Standing()).excused() as wait_for:
        pause = BACKOFF_SECONDS_MIN
        while True:
            try:
                return action()
            except (psycopg.OperationalError, KafkaException) as error:
                log.warning("projector_waits", detail=str(error).strip())
            wait_for("postgres or kafka")
            if between is not None:
                between()
            if stop.wait(pause):
                raise Stopped
            pause = min(BACKOFF_SECONDS_MAX, pause * 2)


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
                f"{len(failed) + left} records that are no facts could not be set aside",
                failed[0] if failed else f"no answer within {SET_ASIDE_SECONDS:.0f} s",
                "is Kafka there, and the topic dead-letters? Started again, the projector goes on from the same place",
            )

    return set_aside


def _make_tables(services: Services, projections: Collection[Projection], schema: str) -> None:
    with connect(services, GROUP) as connection:
        ensure_tables(connection, projections, schema)
