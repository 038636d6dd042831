"""The loop of a follower on a Kafka consumer: batches that grow with the backlog, positions that PostgreSQL keeps.

    follow(settings, services, host, stop)       # returns when `stop` is set; raises when it must not go on

PostgreSQL says where each partition goes on; what the consumer group remembers is a hint for lag monitors. While
PostgreSQL or Kafka is away the loop waits and tries again: nothing is skipped. A host that raises ends it, nothing
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

#: Records of one batch at most. Larger batches reduce more facts to one row before writing, until their memory (about
#: 1 kB a fact while it is folded) hurts; below a few thousand the transaction costs more than the rows.
BATCH_RECORDS_MAX = 100_000

#: A batch of so many makes the process larger by megabytes. Fewer opens connections for backlogs that leave little.
BACKLOG_RECORDS = 10_000

#: How long to wait for the first record. Longer delays a stop by as much; shorter only spins on a quiet topic.
IDLE_SECONDS = 0.2

#: After the first record, so long for others to come along. Longer delays each single fact; 0 makes batches of one.
LINGER_SECONDS = 0.005

#: How often to ask PostgreSQL whether the partitions still stand where we left them: a database that crashed or was
#: restored is behind, and on a quiet log no write would notice. Longer leaves old tables for as long, shorter is a
#: query more.
LOOK_BACK_SECONDS = 2.0

#: librdkafka names its own error codes with a leading underscore; they are public all the same.
_NOT_THE_SAME_LOG = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001


class Host(Protocol):
    """Who follows. `name` is that of its consumer group, its positions and its log lines."""

    @property
    def name(self) -> str: ...

    @property
    def next_offsets(self) -> dict[Partition, int]:
        """Of each partition that is placed. Asked from another thread, too."""
        ...

    def begin(self) -> None:
        """Make what is missing in PostgreSQL, refuse an old log. Called again where a service was away."""
        ...

    def place(self, topic_ids: Mapping[Partition, str]) -> dict[Partition, int]:
        """Where to read these partitions on from. Replaces what was known of them."""
        ...

    def take(self, records: Sequence[Message]) -> Mapping[Partition, int]:
        """Handle a batch; the new offsets. Raises Overtaken or HoleError (place anew, then read again from there) and
        psycopg.OperationalError (nothing is known to be written: called again with no records).
        """
        ...

    def agrees(self) -> bool:
        """Whether PostgreSQL is where we believe it to be; if not, all partitions are placed anew."""
        ...

    def forget(self, partitions: Collection[Partition]) -> None:
        """These partitions are somebody else's from now on."""
        ...

    def let_go(self) -> None:
        """Close connections; the next use opens others."""
        ...


def follow(settings: Settings, services: Services, host: Host, stop: threading.Event) -> None:
    """Keep the host up with the ledger until `stop` is set.

    Raises Fault for a topic that was made anew or lost its beginning, and whatever the host raises.
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
        # Below its beginning or above its end the log is another one than that which was read: never silently go
        # elsewhere.
        self._consumer = consumer(services, self._name, auto_offset_reset="error", **instance.config())

    def run(self) -> None:
        topics = [self._services.topic(topic) for topic in LEDGER_TOPICS]
        self._host.forget(list(self._host.next_offsets))  # a member that joins anew has nothing yet
        self._standing.next_offsets = self._next_offsets
        try:
            self._consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
            looked_at = time.monotonic()
            after_backlog = False
            at_rest = AtRest()
            while not self._stop.is_set():
                messages = read(self._consumer, self._name, BATCH_RECORDS_MAX, IDLE_SECONDS)
                self._hint()
                if messages and not failpoints.reach(f"{self._name}.fetched"):
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
                    # Whether the transaction went through is not known. The fence tells: if it did, the next attempt is
                    # overtaken.
                    records = ()
                    log.warning(f"{self._name}_waits_for_postgres", detail=str(error).strip())
                    wait_for("postgres")
                    self._host.let_go()
                    self._patience.until_done("postgres", self._probe, psycopg.OperationalError)
                    # It answers. That it takes what we write is not said: its disk may be full.
                    self._patience.pause(pause)
                    pause = min(PAUSE_SECONDS_MAX, pause * 2)
                else:
                    return

    def _let_go(self) -> None:
        """What was made in the middle of a backlog and is kept (prepared statements, caches) lies among what has gone
        since, and only pages in which nothing is left are given back. It is made anew where it is needed (decision 14).
        """
        self._host.let_go()
        empty_caches()

    def _look_back(self) -> None:
        try:
            agrees = self._host.agrees()
        except psycopg.OperationalError as error:  # asked again with the next look
            log.warning(f"{self._name}_waits_for_postgres", detail=str(error).strip())
            self._host.let_go()
            return
        if not agrees:
            detail = "the positions in PostgreSQL are not those that were written last"
            log.warning(f"{self._name}_overtaken", detail=detail)
            self._place_anew()

    def _probe(self) -> None:
        with connect(self._services, self._name) as connection:
            connection.execute("SELECT 1")

    def _hint(self) -> None:
        """Tell the group how far we are; just after a read, which has told us of what is no longer ours.

        A member whose session ran out and that does not know yet commits under no name, and is shut out for it.
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
            # Only a hint: the position that counts stands in PostgreSQL.
            log.debug(f"{self._name}_hint_not_committed", detail=str(error))

    def _assigned(self, client: Consumer, assigned: list[TopicPartition]) -> None:
        failpoints.reach(f"{self._name}.assigned")
        client.incremental_assign(self._placed(assigned))
        self._standing.placed = True
        self._instance.ready(self._services.topic_prefix)

    def _revoked(self, client: Consumer, revoked: list[TopicPartition]) -> None:
        self._standing.placed = False  # joins anew: each rebalance ends with an assignment, be it of nothing
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
        self._hints |= offsets  # who had them before may not have come to tell
        return [TopicPartition(one.topic, one.partition, offsets[self._partition(one)]) for one in partitions]

    def _partition(self, one: TopicPartition) -> Partition:
        return one.topic.removeprefix(self._services.topic_prefix), one.partition


def read(client: Consumer, name: str, records_max: int, idle_seconds: float) -> list[Message]:
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
            log.warning(f"{name}_waits_for_kafka", detail=error.str())
    return good
