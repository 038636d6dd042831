"""The loop of a follower on a Kafka consumer: batches that grow with the backlog, positions in PostgreSQL.

    follow(settings, services, host, stop)       # returns when `stop` is set; raises when it must not go on

Only the positions in PostgreSQL count; the offsets of the consumer group are a hint for lag monitors. While PostgreSQL
or Kafka is away, the loop waits and retries; it skips nothing. An exception of the host ends the loop, and nothing is
stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from events.catalogue import LEDGER_TOPICS
from processors.following.patience import PAUSE_SECONDS_FIRST, PAUSE_SECONDS_MAX, Patience, StoppedWaitingError
from processors.following.positions import Overtaken, Partition
from processors.following.reading import HoleError
from runtime import failpoints
from runtime.errors import Fault
from runtime.instance import Instance, as_member, hold_instance
from runtime.kafka import ShutOut, consumer, is_fatal, topic_ids
from runtime.logging import log
from runtime.memory import AtRest, empty_caches
from runtime.postgres import connect
from runtime.services import Services
from runtime.settings import Settings
from runtime.watchdog import start_watchdog

#: Records per batch. Larger batches reduce more facts to one row, but cost memory (about 1 kB per fact while folding);
#: below a few thousand the transaction costs more than the rows.
BATCH_RECORDS_MAX = 100_000

#: A batch this large grows the process by megabytes, which are given back afterwards. A lower number would reconnect
#: after small backlogs, too.
BACKLOG_RECORDS = 10_000

#: How long to wait for the first record. Longer delays a stop; shorter only spins on a quiet topic.
IDLE_SECONDS = 0.2

#: How long to wait for more records after the first. Longer delays each single fact; 0 makes batches of one.
LINGER_SECONDS = 0.001

#: A batch this large is no lone order: then the next one waits for more, as long as this one took, because a batch
#: costs 10 ms however few facts it has. Lower delays an order's own reactions; higher makes many batches of few facts.
FLOOD_RECORDS = 100

#: The longest such wait. Longer delays readers for batches that cost hardly less; shorter leaves a steady flood in
#: batches of a few hundred facts.
LINGER_SECONDS_MAX = 0.1

#: How often to check that PostgreSQL still has our positions. A database that crashed or was restored may be behind,
#: and on a quiet log no write would notice. Longer leaves old tables for longer; shorter costs queries.
LOOK_BACK_SECONDS = 2.0

#: librdkafka's own error codes begin with an underscore, but they are public.
_NOT_THE_SAME_LOG = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001


class Host(Protocol):
    """A program that follows. `name` is that of its positions and its log lines."""

    @property
    def name(self) -> str: ...

    @property
    def group(self) -> str:
        """Its consumer group, without prefix. Asked after `begin`."""
        ...

    @property
    def next_offsets(self) -> dict[Partition, int]:
        """The next offset of each placed partition. Also called from another thread."""
        ...

    def begin(self) -> None:
        """Create missing tables in PostgreSQL, refuse an old log. Called again if a service was away."""
        ...

    def place(self, topic_ids: Mapping[Partition, str]) -> dict[Partition, int]:
        """The offsets to read these partitions from. Replaces what was known of them."""
        ...

    def take(self, records: Sequence[Message]) -> Mapping[Partition, int]:
        """Handle a batch; returns the new offsets. Raises Overtaken or HoleError (the loop places the partitions anew
        and reads from there) and psycopg.OperationalError (the outcome is unknown: called again with no records).
        """
        ...

    def agrees(self) -> bool:
        """Whether PostgreSQL has the positions that we stored; if not, all partitions are placed anew."""
        ...

    def forget(self, partitions: Collection[Partition]) -> None:
        """These partitions now belong to another process."""
        ...

    def let_go(self) -> None:
        """Close connections; the next use opens new ones."""
        ...


def follow(settings: Settings, services: Services, host: Host, stop: threading.Event) -> None:
    """Keep the host up to date with the ledger until `stop` is set.

    Raises Fault for a topic that was recreated or lost its beginning, and any exception of the host.
    """
    instance = hold_instance(settings.home, host.name)
    patience = Patience(host.name, stop)
    topics = [services.topic(topic) for topic in LEDGER_TOPICS]
    stop_watching = start_watchdog(host.name, patience.standing, services, topics, settings.stall_seconds)
    try:
        patience.until_done("services", host.begin, (psycopg.OperationalError, KafkaException), host.let_go)
        as_member(lambda: _Loop(services, host, stop, instance, patience).run(), stop)
    except StoppedWaitingError:
        log.info(f"{host.name}_stopped_while_waiting")
    finally:
        stop_watching()
        host.let_go()
        instance.release()


class _Loop:
    def __init__(
        self, services: Services, host: Host, stop: threading.Event, instance: Instance, patience: Patience
    ) -> None:
        self._services = services
        self._host = host
        self._name = host.name
        self._stop = stop
        self._patience = patience
        self._standing = patience.standing
        self._instance = instance
        self._hints: dict[Partition, int] = {}
        # An offset below the log's beginning or above its end means that it is another log: fail instead of jumping.
        self._consumer = consumer(services, host.group, auto_offset_reset="error", **instance.config())

    def run(self) -> None:
        topics = [self._services.topic(topic) for topic in LEDGER_TOPICS]
        self._host.forget(list(self._host.next_offsets))  # a new member has no partitions yet
        self._standing.next_offsets = self._next_offsets
        try:
            self._consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
            looked_at = time.monotonic()
            after_backlog = False
            at_rest = AtRest()
            linger_seconds = LINGER_SECONDS
            while not self._stop.is_set():
                messages = read(self._consumer, self._name, BATCH_RECORDS_MAX, linger_seconds)
                began = time.monotonic()
                self._hint()
                if messages and not failpoints.reach(f"{self._name}.fetched"):
                    self._take(messages)
                    at_rest.came()
                linger_seconds = linger(len(messages), time.monotonic() - began)
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
        offsets = self._host.next_offsets
        return {(self._services.topic(topic), number): offset for (topic, number), offset in offsets.items()}

    def _take(self, messages: Sequence[Message]) -> None:
        with self._standing.excused() as wait_for:
            records: Sequence[Message] = messages
            pause = PAUSE_SECONDS_FIRST
            while True:
                try:
                    self._hints |= self._host.take(records)
                except (Overtaken, HoleError) as error:
                    log.warning(f"{self._name}_overtaken", detail=str(error))
                    self._place_anew()
                    return
                except psycopg.OperationalError as error:
                    # The transaction may have been committed or not. If it was, the next attempt raises Overtaken.
                    records = ()
                    log.warning(f"{self._name}_waits_for_postgres", detail=str(error).strip())
                    wait_for("postgres")
                    self._host.let_go()
                    self._patience.until_done("postgres", self._probe, psycopg.OperationalError)
                    # It answers again, but writes may still fail: its disk may be full.
                    self._patience.pause(pause)
                    pause = min(PAUSE_SECONDS_MAX, pause * 2)
                else:
                    return

    def _let_go(self) -> None:
        """Close connections after a backlog. Their prepared statements and caches lie between memory that is free by
        now, and only empty pages go back to the operating system. They are made anew when needed (decision 14).
        """
        self._host.let_go()
        empty_caches()

    def _look_back(self) -> None:
        try:
            agrees = self._host.agrees()
        except psycopg.OperationalError as error:  # the next check asks again
            log.warning(f"{self._name}_waits_for_postgres", detail=str(error).strip())
            self._host.let_go()
            return
        if not agrees:
            detail = "the positions in PostgreSQL are not the last ones that this process wrote"
            log.warning(f"{self._name}_overtaken", detail=detail)
            self._place_anew()

    def _probe(self) -> None:
        with connect(self._services, self._name) as connection:
            connection.execute("SELECT 1")

    def _hint(self) -> None:
        """Commit our offsets to the group, just after a read, which has told us which partitions we have lost.

        A member whose session has expired, and that does not know it yet, would commit without a name and be expelled.
        """
        hints, self._hints = self._hints, {}
        offsets = [
            TopicPartition(self._services.topic(topic), partition, offset)
            for (topic, partition), offset in hints.items()
        ]
        if not offsets:
            return
        failpoints.reach(f"{self._name}.before_hint")
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            # Only a hint: the position that counts is in PostgreSQL.
            log.debug(f"{self._name}_hint_not_committed", detail=str(error))

    def _assigned(self, client: Consumer, assigned: list[TopicPartition]) -> None:
        failpoints.reach(f"{self._name}.assigned")
        client.incremental_assign(self._placed(assigned))
        self._standing.placed = True
        self._instance.ready(self._services.topic_prefix)

    def _revoked(self, client: Consumer, revoked: list[TopicPartition]) -> None:
        self._standing.placed = False  # rejoining: each rebalance ends with an assignment, even an empty one
        gone = [self._partition(one) for one in revoked]
        self._host.forget(gone)
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
            return self._host.place({self._partition(one): ids[one.topic] for one in partitions})

        away = (psycopg.OperationalError, KafkaException)
        offsets = self._patience.until_done("postgres or kafka", place, away, self._host.let_go)
        self._hints |= offsets  # the previous owner may not have committed them
        return [TopicPartition(one.topic, one.partition, offsets[self._partition(one)]) for one in partitions]

    def _partition(self, one: TopicPartition) -> Partition:
        return one.topic.removeprefix(self._services.topic_prefix), one.partition


def linger(records: int, took_seconds: float) -> float:
    """How long the batch after one of so many records waits for more."""
    if records < FLOOD_RECORDS:
        return LINGER_SECONDS
    return min(max(took_seconds, LINGER_SECONDS), LINGER_SECONDS_MAX)


def read(client: Consumer, name: str, records_max: int, linger_seconds: float = LINGER_SECONDS) -> list[Message]:
    """Wait for a first record, then take all that are there: one on a quiet topic, a hundred thousand in a backlog. A
    batch that is not large yet waits for more until `linger_seconds` are over.

    Raises Fault if the log does not have the requested offset. librdkafka recovers from other errors by itself.
    """
    messages: list[Message] = client.consume(1, IDLE_SECONDS)
    if messages:
        messages += client.consume(records_max - 1, LINGER_SECONDS)
        if linger_seconds > LINGER_SECONDS and len(messages) < min(BACKLOG_RECORDS, records_max):
            messages += client.consume(records_max - len(messages), linger_seconds - LINGER_SECONDS)
    good = []
    for message in messages:
        error = message.error()
        if error is None:
            good.append(message)
        elif error.code() in _NOT_THE_SAME_LOG:
            raise Fault(
                f"The log of {message.topic()} partition {message.partition()} is not the one that was read before",
                error.str(),
                "ledger topics are kept for ever: was it recreated, or were records deleted? Restore the old log",
            )
        elif is_fatal(error):
            raise ShutOut(error)
        else:
            log.warning(f"{name}_waits_for_kafka", detail=error.str())
    return good
