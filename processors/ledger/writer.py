"""Moves commands into facts: reads the intake partitions it is given, decides, writes the ledger partitions of those
numbers.

What keeps it honest is not this process but the chain that every reader follows: whatever it writes late, twice or by
other rules is skipped by all. It only has to notice. Its records are acknowledged with their offsets; as long as these
follow each other without a gap, nobody else wrote, and what it wrote is what readers accept. A gap, or a delivery
error, ends in a takeover: forget the partition, read it again by the readers' rule, go on after the last accepted
decision.
"""

import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from events.catalogue import DEAD_LETTERS, INTAKE_TOPICS
from processors import slow_paths
from processors.dead_letters import to_dead_letter
from processors.ledger import snapshots
from processors.ledger.database import RETRY_SECONDS, Database
from processors.ledger.memory import BYTES_PER_STORED_BYTE
from processors.ledger.owned import Owned
from processors.ledger.partition import Decided, EncodedFact, Forwarded, Need, Parsed, PartitionLedger, SetAside
from processors.ledger.saving import Counts, Outcome, Saver
from processors.ledger.snapshots import SnapshotMovedError, Wanted
from processors.ledger.takeover import Hands, take_over
from processors.old_log import refuse_old_log
from processors.slow_paths import Miss, report
from processors.subjects import codec_for
from processors.topics import ensure_topics
from runtime import failpoints
from runtime.instance import Instance, as_member, hold_instance
from runtime.kafka import ShutOut, consumer, gapless_producer, is_fatal
from runtime.logging import log
from runtime.memory import empty_caches
from runtime.services import Services
from runtime.settings import Settings
from runtime.watchdog import Standing, start_watchdog
from schemas.codec import Codec

GROUP = "ledger"

# A batch is what has arrived, up to this many records. Its facts go out together: a request to the broker holds facts
# of one partition, so a smaller batch costs more requests under load. A larger one delays the first facts of a burst.
BATCH_RECORDS_MAX = 2_000
# Commands fetched ahead of deciding, over all partitions: seconds of work. The usual 64 MB are 290,000 commands, and
# each takes as much again in the client. Less would wait for each fetch.
AHEAD_KILOBYTES = 16_384
# How long to wait for a first command while facts are on their way: their acknowledgements are heard in between.
POLL_SECONDS = 0.01
# How long to wait when nothing is on its way. Longer delays a stop, shorter burns CPU at rest.
IDLE_SECONDS = 0.1
# How long to wait for more commands after the first. It is the delay of a lone command; 0 makes batches of one.
LINGER_SECONDS = 0.0005
# Facts on their way. Fewer leaves the broker idle while we decide, more is memory and a longer stop.
IN_FLIGHT_MAX = 100_000
# Kafka's committed offset is a hint for the next owner and the measure of progress for `settle`: told soon when nothing
# comes any more, and seldom while something does. Each is a record for each partition, and after a crash a broker reads
# all of them before it serves the group: at 0.1 s in any case there were 342,065 after 55 minutes of two ledgers.
COMMIT_SECONDS = 0.1
COMMIT_BUSY_SECONDS = 1.0
# A snapshot this often. Rarer makes a takeover read more of the log; more often stores a busy stream more often.
# Snapshots use at most 1/SNAPSHOT_SHARE of the time, as long as the pause is no longer than the maximum.
SNAPSHOT_SECONDS = 30.0
SNAPSHOT_SECONDS_MAX = 60.0
SNAPSHOT_SHARE = 20
# So many facts since the last snapshot make one at once: what they changed must stay in memory until then (an answer
# of a SKU 230 bytes, a fact of an order 600), and a takeover reads them again. Facts read during a takeover do not
# count: a snapshot first delayed going live from 12 s to 19 s (427,000 facts).
UNSAVED_FACTS_MAX = 150_000
# A snapshot also as soon as nothing has come for so long, however soon after the last one: nobody waits for it, and who
# takes over from a ledger at rest reads nothing. Shorter makes one in every gap of a load.
QUIET_SECONDS = 2.0
# With so many facts that no snapshot holds, deciding waits for PostgreSQL. Fewer would wait for a slow snapshot.
UNSAVED_FACTS_WAIT = 2 * UNSAVED_FACTS_MAX
# Of the budget so much is left when streams are let go. More lets them go more often, less lets more of them go.
BUDGET_LEFT = 0.9
# Waiting for the broker to take what is on its way, at a stop or before a snapshot; then it is left to the chain.
FLUSH_SECONDS = 15.0


class LedgerWriter:
    """Runs until `stop` is set.

    `on_batch` is called after each batch with the number of records in it. Another `group` than the usual one gives a
    writer that shares no partition with the others but takes them all: a rival, for tests of what then happens.
    """

    def __init__(
        self,
        settings: Settings,
        services: Services,
        stop: threading.Event,
        on_batch: Callable[[int], None] | None = None,
        group: str = GROUP,
    ) -> None:
        self._settings = settings
        self._services = services
        self._stop = stop
        self._on_batch = on_batch
        self._group = group
        self.standing = Standing()
        self._codec: Codec = codec_for(services.schema_registry, services.topic_prefix)
        self._name = {services.topic(name): name for name in INTAKE_TOPICS}
        self._owned: dict[tuple[str, int], Owned] = {}
        self._consumer: Consumer | None = None
        self._database = Database(services, GROUP, self.standing, stop)
        self._producer = gapless_producer(services)
        self._side_sent = 0
        self._side_pending: set[int] = set()
        self._held: list[tuple[Owned, Sequence[EncodedFact]]] = []
        self._forwarded: Counter[tuple[str, str]] = Counter()
        self._misses: Counter[Miss] = Counter()
        self._decided = 0
        self._unsaved_facts = 0
        self._saving_facts = 0
        self._began_saving_at = 0.0
        self._pause = SNAPSHOT_SECONDS
        self._saver = Saver(services, GROUP)
        self._budget = settings.ledger_memory_mb * 1_000_000 // BYTES_PER_STORED_BYTE
        self._instance: Instance | None = None

    def run(self) -> None:
        """Decide until stopped; then flush, commit, snapshot and leave."""
        ensure_topics(self._services, self._settings)
        refuse_old_log(self._services, self._codec)
        self._database.do(snapshots.ensure_tables)
        self._database.do(slow_paths.ensure_table)
        instance = hold_instance(self._settings.home, self._group)
        # States are trees of immutable values: nothing in them can be a cycle, and looking for cycles among millions of
        # them took a fifth of the time (measured). What little is left in cycles is collected with each snapshot.
        gc.disable()
        try:
            as_member(lambda: self._serve(instance), self._stop)
        except psycopg.OperationalError as error:
            if not self._stop.is_set():
                raise
            log.info("ledger_stopped_while_waiting", error=str(error).strip())
        finally:
            gc.enable()
            self._saver.close()
            self._database.close()
            instance.release()
        log.info("ledger_stopped", decided=self._decided)

    def _serve(self, instance: Instance) -> None:
        """Decide as a member of the group until stopped, and leave it. Raises ShutOut."""
        self._instance = instance
        few: Any = {"queued_max_messages_kbytes": AHEAD_KILOBYTES}
        self._consumer = reader = consumer(
            self._services, self._group, on_commit=self._on_commit, **few, **instance.config()
        )
        reader.subscribe(list(self._name), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)
        committed_at = arrived_at = self._began_saving_at = time.monotonic()
        try:
            while not self._stop.is_set():
                messages = reader.consume(1, POLL_SECONDS if self._waits_for_broker() else IDLE_SECONDS)
                if messages:
                    messages += reader.consume(BATCH_RECORDS_MAX - 1, LINGER_SECONDS)
                    arrived_at = time.monotonic()
                self._decide(messages)
                self._producer.poll(0)
                self._hold_back()
                self._take_over_disturbed()
                now = time.monotonic()
                busy = now - arrived_at < COMMIT_SECONDS
                if now - committed_at >= (COMMIT_BUSY_SECONDS if busy else COMMIT_SECONDS):
                    self._commit(asynchronous=True)
                    committed_at = now
                self._save(arrived_at)
                self._let_go()
                if messages and self._on_batch is not None:
                    self._on_batch(len(messages))
            self._leave(list(self._owned))
        except ShutOut:
            for gone in self._owned.values():
                gone.disturbed = "shut out"
            self._owned.clear()  # as lost: whoever gets them now begins from the log
            raise
        finally:
            self.standing.leave()
            reader.close()

    # Deciding

    def _decide(self, messages: Sequence[Message]) -> None:
        touched: set[Owned] = set()
        for message, owned, what in self._parse(messages):
            offset = message.offset() or 0
            if owned.disturbed or offset < owned.ledger.next_intake:
                continue
            if offset > owned.ledger.next_intake and owned.gap_seen != owned.ledger.next_intake:
                # Offsets have holes (markers of a channel's transactions, deleted records), but a client that is being
                # reassigned may drop what it had fetched, too. So a hole is believed when it is seen a second time.
                owned.gap_seen = owned.ledger.next_intake
                owned.disturbed = f"intake goes from {owned.ledger.next_intake} to {offset}"
                continue
            touched.add(owned)
            self._decide_one(owned, message, offset, what)
        for owned in touched:
            owned.marks.append((owned.sent, self._side_sent, owned.ledger.next_intake))
        self._send_held()

    def _parse(self, messages: Iterable[Message]) -> list[tuple[Message, Owned, Parsed | SetAside]]:
        """Each record that is ours as a command, and all streams that are needed for them in memory."""
        parsed: list[tuple[Message, Owned, Parsed | SetAside]] = []
        needs: dict[tuple[str, int], list[Need]] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                if is_fatal(error):
                    raise ShutOut(error)
                log.warning("intake_read_failed", error=str(error))
                continue
            place = (message.topic() or "", message.partition() or 0)
            owned = self._owned.get(place)
            if owned is None or owned.disturbed:
                continue
            value: Any = message.value()
            what = owned.ledger.parse(value)
            parsed.append((message, owned, what))
            need = owned.ledger.needs(what)
            if need is not None:
                needs.setdefault(place, []).append(need)
        while needs:
            try:
                self._fetch([(self._owned[place].ledger, all_of_it) for place, all_of_it in needs.items()])
                break
            except SnapshotMovedError as error:
                place = next(p for p in needs if self._place_of(self._owned[p].ledger) == error.place)
                self._owned[place].disturbed = str(error)
                del needs[place]
        return parsed

    def _fetch(self, needs: Iterable[tuple[PartitionLedger, Sequence[Need]]]) -> None:
        """Bring from the snapshots into memory what is needed. Raises SnapshotMovedError."""
        wanted = [
            Wanted(
                self._services.topic(ledger.ledger_topic),
                ledger,
                {need.stream for need in all_of_it if need.stream is not None},
                {need.command for need in all_of_it if need.command is not None},
            )
            for ledger, all_of_it in needs
        ]
        self._database.fetch(wanted)

    def _place_of(self, ledger: PartitionLedger) -> tuple[str, int]:
        return self._services.topic(ledger.ledger_topic), ledger.partition

    def _waits_for_broker(self) -> bool:
        """Whether something is on its way, or waits for what is."""
        on_the_way = any(owned.sent != owned.acked for owned in self._owned.values())
        return on_the_way or bool(self._side_pending) or self._saver.busy

    def _send_held(self) -> None:
        """Send the facts of the batch. Behind a record that was set aside or forwarded they wait until the broker has
        that one.

        A takeover goes on after the last decision on the log: a crash in between would lose what came before it.
        """
        if self._side_pending:
            self._producer.flush(FLUSH_SECONDS)
        held, self._held = self._held, []
        for owned, facts in held:
            if self._side_pending:
                owned.disturbed = owned.disturbed or "a dead letter is not acknowledged yet"
            if not owned.disturbed:
                self._send(owned, facts)

    def _send(self, owned: Owned, facts: Sequence[EncodedFact]) -> None:
        """The facts of one decision."""
        topic, partition = self._services.topic(owned.ledger.ledger_topic), owned.ledger.partition
        for number, (key, value) in enumerate(facts):
            failpoints.reach("ledger.before_fact")
            if number and failpoints.armed("ledger.torn_decision"):
                self._producer.flush(FLUSH_SECONDS)  # what a death here leaves behind is on the log, and cut
                failpoints.reach("ledger.torn_decision")
            self._produce(topic, partition, key, value, headers=None, delivered=owned.delivered)

    def _decide_one(self, owned: Owned, message: Message, offset: int, what: Parsed | SetAside) -> None:
        failed: Exception | None = None
        try:
            failpoints.reach("ledger.decide")
            outcome = owned.ledger.answer(offset, message.timestamp()[1], what)
        except Exception as error:  # noqa: BLE001 - our bug: the record is kept for a better build, the rest goes on
            outcome, failed = SetAside("rule_raised", f"{type(error).__name__}: {error}"), error
        if isinstance(outcome, Decided):
            self._held.append((owned, outcome.facts))
            owned.sent += len(outcome.facts)
            self._unsaved_facts += len(outcome.facts)
            self._decided += 1
            return
        value: Any = message.value()
        where: dict[str, Any] = {"topic": message.topic(), "partition": message.partition(), "offset": offset}
        if failed is not None:
            log.error("decision_failed", **where, exc_info=failed)
        if isinstance(outcome, SetAside):
            log.warning("record_set_aside", **where, reason=outcome.reason, detail=outcome.detail)
            dead_key, dead_value, headers = to_dead_letter(message, outcome.reason, outcome.detail)
            self._send_aside(owned, self._services.topic(DEAD_LETTERS), -1, dead_key, dead_value, headers=headers)
        elif isinstance(outcome, Forwarded):
            topic = message.topic() or ""
            self._forwarded[outcome.channel, topic] += 1
            self._send_aside(owned, topic, outcome.partition, outcome.key, value, headers=message.headers())

    def _send_aside(self, owned: Owned, topic: str, partition: int, key: Any, value: Any, *, headers: Any) -> None:
        """A record that is no fact. Its acknowledgement, too, comes before the command's offset is committed."""
        self._side_sent += 1
        number = self._side_sent
        self._side_pending.add(number)

        def delivered(error: KafkaError | None, _: Message | None) -> None:
            self._side_pending.discard(number)
            if error is not None:
                owned.disturbed = f"delivery failed: {error}"

        self._produce(topic, partition, key, value, headers=headers, delivered=delivered)

    def _produce(self, topic: str, partition: int, key: Any, value: Any, *, headers: Any, delivered: Any) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, delivered, headers)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _hold_back(self) -> None:
        """Wait for the broker when too much is on its way, and for PostgreSQL when too much is unsaved."""
        while not self._stop.is_set() and sum(o.sent - o.acked for o in self._owned.values()) > IN_FLIGHT_MAX:
            self._producer.poll(0.05)
        with self.standing.excused() as wait_for:
            while self._unsaved_facts + self._saving_facts >= UNSAVED_FACTS_WAIT and not self._stop.is_set():
                wait_for("snapshot")
                self._producer.poll(0.05)
                self._save(time.monotonic())

    # Progress

    def _commit(self, *, asynchronous: bool) -> None:
        offsets = []
        oldest_pending = self._oldest_pending()
        for (topic, partition), owned in self._owned.items():
            if owned.disturbed:
                continue
            while owned.marks and owned.acked >= owned.marks[0][0] and owned.marks[0][1] < oldest_pending:
                owned.acked_intake = owned.marks.popleft()[2]
            if owned.acked_intake > owned.committed:
                offsets.append(TopicPartition(topic, partition, owned.acked_intake))
                owned.committed = owned.acked_intake
        if not offsets or self._consumer is None:
            return
        failpoints.reach("ledger.before_commit")
        try:
            # Two calls, for their types differ: the client returns something only when it waits.
            if asynchronous:
                self._consumer.commit(offsets=offsets, asynchronous=True)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:  # only a hint: the truth is on the ledger partition
            log.warning("commit_failed", error=str(error))
        failpoints.reach("ledger.after_commit")

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """A commit that failed (the group was just being shared out anew) is made again in the next round.

        So is one after which an older one succeeds: that one was delayed, and may have undone it.
        """
        failed = [p for p in partitions if p.error is not None] if error is None else partitions
        if failed:
            log.warning("commit_failed", error=str(error or failed[0].error), partitions=len(failed))
        for p in partitions:
            owned = self._owned.get((p.topic, p.partition))
            if owned is not None and (p in failed or p.offset != owned.committed):
                owned.committed = -1

    def _save(self, arrived_at: float) -> None:
        """A round of snapshots: carry on with the one under way, or begin one when it is time."""
        self._heard(self._saver.carry_on(self._oldest_pending()))
        now = time.monotonic()
        since = now - self._began_saving_at
        quiet = self._began_saving_at < arrived_at <= now - QUIET_SECONDS
        much = self._unsaved_facts >= UNSAVED_FACTS_MAX and since >= RETRY_SECONDS
        if (quiet or much or since >= self._pause) and not self._saver.busy:
            self._begin_saving(self._owned)

    def _begin_saving(self, places: Iterable[tuple[str, int]]) -> None:
        """Note what has changed: it is written beside deciding."""
        failpoints.reach("ledger.before_flush")
        self._began_saving_at = time.monotonic()
        counts, self._forwarded, self._misses = Counts(self._forwarded, self._misses), Counter(), Counter()
        self._saving_facts, self._unsaved_facts = self._unsaved_facts, 0
        self._saver.begin([self._owned[place] for place in places], self._side_sent, counts)

    def _finish_saving(self) -> None:
        """Return when no snapshot is under way."""
        with self.standing.excused() as wait_for:
            wait_for("snapshot")
            self._heard(self._saver.finish(lambda: self._producer.flush(FLUSH_SECONDS), self._oldest_pending))

    def _heard(self, outcome: Outcome | None) -> None:
        """Take in that a snapshot has been stored, or that it could not be."""
        if outcome is None:
            return
        facts, streams, seconds, counts = outcome
        if counts is not None:
            self._forwarded.update(counts.forwarded)
            self._misses.update(counts.misses)
            self._unsaved_facts += self._saving_facts
        self._saving_facts = 0
        self._pause = min(SNAPSHOT_SECONDS_MAX, max(SNAPSHOT_SECONDS, seconds * SNAPSHOT_SHARE))
        if facts:  # a ledger that has only answered repeats, or is at rest, has nothing to tell
            log.info("ledger_snapshot", facts=facts, streams=streams, seconds=round(seconds, 2))
        empty_caches()

    def _oldest_pending(self) -> int:
        return min(self._side_pending, default=self._side_sent + 1)

    def _let_go(self) -> None:
        """Keep within the budget: each partition lets go the same part of what it has."""
        memories = [owned.ledger.memory for owned in self._owned.values()]
        total = sum(memory.stored_bytes for memory in memories)
        if total > self._budget:
            kept = self._budget * BUDGET_LEFT / total
            gone = sum(memory.let_go(int(memory.stored_bytes * kept)) for memory in memories)
            log.debug("ledger_let_go", streams=gone)

    def _leave(self, places: list[tuple[str, int]]) -> None:
        """Hand over in good order: what was decided is acknowledged, committed and remembered."""
        self._finish_saving()
        self._begin_saving(places)
        self._finish_saving()
        self._commit(asynchronous=False)
        for place in places:
            self._owned.pop(place, None)

    # Ownership

    def _on_assign(self, reader: Consumer, partitions: list[TopicPartition]) -> None:
        places = [(p.topic, p.partition) for p in partitions]
        failpoints.reach("ledger.assigned")
        self._take_over(places)
        self.standing.placed = True
        reader.incremental_assign(
            [
                TopicPartition(topic, partition, self._owned[topic, partition].ledger.next_intake)
                for topic, partition in places
            ]
        )
        if self._instance is not None:
            self._instance.ready(self._services.topic_prefix)

    def _on_revoke(self, reader: Consumer, partitions: list[TopicPartition]) -> None:
        self.standing.placed = False
        self._leave([(p.topic, p.partition) for p in partitions if (p.topic, p.partition) in self._owned])
        reader.incremental_unassign(partitions)

    def _on_lost(self, reader: Consumer, partitions: list[TopicPartition]) -> None:
        self.standing.placed = False
        log.warning("partitions_lost", count=len(partitions))
        for p in partitions:
            gone = self._owned.pop((p.topic, p.partition), None)
            if gone is not None:
                gone.disturbed = "lost"  # a snapshot that is not being written yet leaves it out
        reader.incremental_unassign(partitions)

    def _take_over_disturbed(self) -> None:
        if self._consumer is None or not any(owned.disturbed for owned in self._owned.values()):
            return
        self._finish_saving()
        self._producer.flush(FLUSH_SECONDS)
        gaps = {place: owned.gap_seen for place, owned in self._owned.items() if owned.disturbed}
        reasons = {place: str(self._owned[place].disturbed) for place in gaps}
        for (topic, partition), why in reasons.items():
            log.warning("ledger_disturbed", topic=topic, partition=partition, why=why)
        places = list(gaps)
        if any("delivery failed" in why for why in reasons.values()):
            # After a failure a gapless producer refuses all that follows: a new one begins a new sequence.
            self._producer = gapless_producer(self._services)
            self._side_pending.clear()  # decided again, and set aside again
            places = list(self._owned)
        # What they hold goes first: beside the states that are read now it would be memory that stays taken, twice.
        for place in places:
            del self._owned[place]
        self._take_over(places)
        for topic, partition in places:
            owned = self._owned[topic, partition]
            owned.gap_seen = gaps.get((topic, partition), -1)
            self._consumer.seek(TopicPartition(topic, partition, owned.ledger.next_intake))

    def _take_over(self, places: list[tuple[str, int]]) -> None:
        empty_caches()  # frames of the takeover before this one may be left in a cycle, with all that it read
        started = time.monotonic()
        names = {(topic, partition): self._name[topic] for topic, partition in places}
        hands = Hands(self._database.do, self._fetch, self._stop)
        taken = None
        while taken is None:
            try:
                # A long one is no standing still: it reads all that came after the last snapshot.
                with self.standing.excused() as wait_for:
                    wait_for("takeover")
                    taken = take_over(names, self._settings, self._services, self._codec, hands, group=self._group)
            except KafkaException as error:  # the broker went away in the middle: it is waited for
                if is_fatal(error.args[0]) or self._stop.wait(RETRY_SECONDS):
                    raise
                log.warning("takeover_begins_again", why=str(error.args[0]))
        for place, ledger in taken.ledgers.items():
            self._owned[place] = Owned(ledger, taken.ends[place])
        if places:
            seconds = time.monotonic() - started
            self._misses.update(taken.misses)
            report(GROUP, taken.misses)
            log.info("ledger_took_over", partitions=len(places), facts_read=taken.facts_read, seconds=round(seconds, 2))


def run_ledger(settings: Settings, services: Services, stop: threading.Event) -> None:
    """The ledger worker: decides until `stop` is set."""
    writer = LedgerWriter(settings, services, stop)
    # Only its place is looked at: what an intake partition ends with may be a channel's marker, which nobody reads.
    topics = [services.topic(name) for name in INTAKE_TOPICS]
    stop_watching = start_watchdog(GROUP, writer.standing, services, topics, settings.stall_seconds)
    try:
        writer.run()
    finally:
        stop_watching()
