"""The process of the reactions: Faust fetches, a thread works, PostgreSQL remembers.

    status = run_reactions(settings, services)      # blocks until SIGTERM (0) or until something is wrong (1)

Any number of copies may run: the consumer group shares the partitions, and each position is moved on by a
compare-and-set.
"""

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
from aiokafka.errors import IllegalStateError
from confluent_kafka import KafkaException
from faust.types import TP

from events.catalogue import LEDGER_TOPICS
from processors import slow_paths
from processors.following.database import Database, StoredPositions
from processors.following.facts import FactDecoder
from processors.following.follower import Fetched
from processors.following.patience import Patience, StoppedWaitingError
from processors.following.positions import Partition, Positions, ensure_table
from processors.old_log import refuse_old_log
from processors.reactions.app import GROUP, reactions_app
from processors.reactions.engine import NAME, Engine
from processors.reactions.lookups import ProjectionLookups
from processors.reactions.sender import Sender
from processors.reactions.transport import ReactionsApp
from processors.reactions.wiring import REACTED_TO
from processors.subjects import codec_for
from runtime.errors import Fault
from runtime.instance import Instance, hold_instance
from runtime.kafka import topic_ids
from runtime.logging import log
from runtime.memory import AtRest
from runtime.services import Services
from runtime.settings import Settings
from runtime.watchdog import Signs, start_watchdog

#: Facts handled at once. Fewer pays the transaction and the flush more often; more makes one step longer, and a stop
#: waits for the step.
FACTS_TOGETHER_MAX = 8_000

#: The timers run in the copy that reads this partition: exactly one, whatever the number of copies.
TIMER_PARTITION = 0

#: How often to ask PostgreSQL whether the positions are still those that were saved: one that crashed or was restored
#: is behind. Shorter is a query more; longer leaves what waits for the positions waiting.
LOOK_BACK_SECONDS = 2.0

#: How long a stop waits for the step at hand, and for Faust to leave its group. A step takes well under a second
#: unless a service is away; waiting longer would meet the supervisor's SIGKILL.
DRAIN_SECONDS = 10.0
LEAVE_SECONDS = 5.0

#: How often the event loop shows the watchdog that it turns: more often than that looks, or it takes it for stuck.
BEAT_SECONDS = 0.2

#: How often to see whether Faust has crashed by itself.
CRASH_LOOK_SECONDS = 0.5


def run_reactions(settings: Settings, services: Services) -> int:
    """Run the reactions in this process, in its main thread, until SIGTERM or SIGINT. 0 after a stop, 1 after an
    error.
    """
    instance = hold_instance(settings.home, GROUP)
    try:
        return asyncio.run(_serve(settings, services, instance))
    finally:
        instance.release()


async def _serve(settings: Settings, services: Services, instance: Instance) -> int:
    topics = [services.topic(name) for name in LEDGER_TOPICS]
    patience = Patience(NAME)
    database = Database(services, NAME, patience)
    try:
        await asyncio.to_thread(topic_ids, services, topics)
    except KafkaException as error:
        raise Fault("the ledger's topics cannot be read", str(error), "`order-ledger up` creates them") from error
    rows = Positions(NAME, services.topic_prefix)
    positions = StoredPositions(database, rows, partial(topic_ids, services))
    codec = codec_for(services.schema_registry, services.topic_prefix)
    await asyncio.to_thread(refuse_old_log, services, codec)
    engine = Engine(
        FactDecoder(codec, REACTED_TO),
        positions,
        ProjectionLookups(database),
        Sender(services, codec),
        lambda misses: database.run(lambda connection: slow_paths.add(connection, NAME, misses)),
    )
    worker = Worker(engine, services.topic(LEDGER_TOPICS[0]), lambda: instance.ready(services.topic_prefix))
    app = reactions_app(services, worker.handle, worker.tick, instance.name)
    worker.app = app
    app.start_of = worker.start_of
    on_assigned: Any = worker.on_assigned  # Faust's type of a signal's receiver knows no names
    app.on_partitions_assigned.connect(on_assigned, weak=False)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.ended.set)
    await asyncio.to_thread(database.run, _make_tables)
    worker.beat()
    standing = patience.standing
    standing.placed = True  # Faust's client joins by itself: who has no partitions may wait for some
    standing.next_offsets, standing.signs = lambda: engine.next_offsets, worker.signs
    stop_watching = start_watchdog("reactions", standing, services, topics, settings.stall_seconds)
    # What stands now stays: set apart, it no longer counts as what makes full collections rare. There was one in
    # minutes, and each gives back a megabyte of cycles and of lists of free objects.
    gc.freeze()
    gc.collect()
    log.info("reactions_start", topics=topics)
    try:
        await app.start()
        while not worker.ended.is_set() and not app.crashed:
            await _wait(worker.ended, CRASH_LOOK_SECONDS)
        if app.crashed and worker.failure is None:
            worker.failure = app.crash_reason or RuntimeError("Faust crashed")
    finally:
        stop_watching()
        patience.stop()
        await _stop(worker, app)
        database.close()
    if worker.failure is not None:
        log.error("reactions_failed", error=str(worker.failure), exc_info=worker.failure)
        return 1
    log.info("reactions_stop", commands_sent=engine.commands_sent)
    return 0


def _make_tables(connection: psycopg.Connection[Any]) -> None:
    ensure_table(connection)
    slow_paths.ensure_table(connection)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


async def _stop(worker: "Worker", app: ReactionsApp) -> None:
    """Let the step at hand finish, then leave the group."""
    try:
        await asyncio.wait_for(worker.drain(), DRAIN_SECONDS)
    except TimeoutError:
        log.error("reactions_drain_timeout", seconds=DRAIN_SECONDS)
        # The thread waits for a service that is away and cannot be ended. What it had at hand is read again.
        os._exit(1)
    try:
        await asyncio.wait_for(app.stop(), LEAVE_SECONDS)
    except TimeoutError:
        log.warning("reactions_leave_timeout", seconds=LEAVE_SECONDS)


class Worker:
    """Between Faust's event loop and the engine's thread: one step at a time.

    An error is not Faust's to handle, for it would go on with the next event: it is kept in `failure`, nothing more is
    acknowledged, and the process ends.
    """

    app: ReactionsApp

    def __init__(self, engine: Engine, timer_topic: str, ready: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._ready = ready
        self._timer_partition = (timer_topic, TIMER_PARTITION)
        self._step = asyncio.Lock()
        self._draining = False
        self._in_hand = 0
        self._fetched = 0
        self._beats = 0
        self._look_back_at = 0.0
        # Cycles and caches hold what lies among all that a burst needed, and a megabyte of its pages with it (decision
        # 14).
        self._at_rest = AtRest(set_apart=True)
        self.ended = asyncio.Event()
        self.failure: BaseException | None = None

    def signs(self) -> Signs:
        """For the watchdog, which is another thread. Timers do not count: they ring in a silent reader, too."""
        busy = self._in_hand > 0 or self._draining or self.app.rebalancing
        return Signs(busy=busy, fetched=self._fetched, beats=self._beats)

    def beat(self) -> None:
        """Count that the event loop comes round, from now on."""
        self._beats += 1
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self.beat)

    async def start_of(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Where to read the assigned partitions from: what PostgreSQL says, once the step at hand is finished."""
        async with self._step:
            try:
                starts = await asyncio.to_thread(self._engine.assign, partitions)
            except Exception as error:
                self._fail(error)
                raise
        log.info("reactions_assigned", partitions=len(starts))
        self._ready()
        return starts

    async def on_assigned(self, _app: Any, assigned: Collection[Any], **_: Any) -> None:
        """Faust does not ask for the start of no partitions: forget the old ones here."""
        if not assigned:
            async with self._step:
                self._engine.assign(())
            self._ready()

    async def handle(self, events: list[Any]) -> None:
        """One step for each `FACTS_TOGETHER_MAX` facts of these fetches; each is acknowledged when its step is done."""
        self._fetched += 1
        self._at_rest.came()
        self._in_hand += 1
        try:
            step: list[Any] = []
            facts = 0
            for event in events:
                step.append(event)
                facts += len(event.value[1])
                if facts >= FACTS_TOGETHER_MAX:
                    await self._handle(step)
                    step, facts = [], 0
            if step:
                await self._handle(step)
        finally:
            self._in_hand -= 1

    async def _handle(self, events: list[Any]) -> None:
        batch = [Fetched(e.message.topic, e.message.partition, e.value[0], e.value[1]) for e in events]
        async with self._step:
            if self._draining or self.failure is not None:
                return
            try:
                again = await asyncio.to_thread(self._engine.handle, batch)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is not Faust's to handle
                self._fail(error)
                return
        for event, fetched in zip(events, batch, strict=True):
            if (fetched.topic, fetched.partition) not in again:
                event.ack()
        if again:
            await self._seek(again)

    async def _seek(self, offsets: Mapping[Partition, int]) -> None:
        for partition, offset in offsets.items():
            log.info("reactions_read_again", topic=partition[0], partition=partition[1], next_offset=offset)
            try:
                await self.app.consumer.seek_wait({TP(*partition): offset})
            except (IllegalStateError, TimeoutError):
                # Taken away meanwhile: whoever gets it asks for its start.
                log.info("reactions_seek_gone", topic=partition[0], partition=partition[1])

    async def tick(self) -> None:
        """By the clock: see whether the saved positions still stand, and send what is due."""
        await self.look_back()
        await self.ring()

    async def look_back(self) -> None:
        """Read again what the saved positions say is not done: PostgreSQL crashed, or was restored to an older state.

        What that sends are repeats, which the ledger knows.
        """
        if time.monotonic() < self._look_back_at:
            return
        async with self._step:
            if self._draining or self.failure is not None:
                return
            try:
                again = await asyncio.to_thread(self._engine.look_back)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is not Faust's to handle
                self._fail(error)
                return
        self._look_back_at = time.monotonic() + LOOK_BACK_SECONDS
        self._at_rest.look()
        await self._seek(again)

    async def ring(self) -> None:
        """Send what timers have to send, in the one copy that is to."""
        async with self._step:
            if self._draining or self.failure is not None or self._timer_partition not in self._engine.next_offsets:
                return
            try:
                sent = await asyncio.to_thread(self._engine.ring, datetime.now(UTC), time.monotonic())
            except Exception as error:  # noqa: BLE001  # whatever it is, it is not Faust's to handle
                self._fail(error)
                return
        if sent:
            log.info("reactions_timers", commands=sent)

    async def drain(self) -> None:
        """Return when the step at hand is finished; no other begins."""
        self._draining = True
        async with self._step:
            return

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, StoppedWaitingError):  # that is how a stop reaches a step that waits for a service
            self.failure = self.failure or error
        self.ended.set()
