"""Ledger writers: the real shell (`processors.ledger.writer`) on a broker in memory, one step at a time.

    with shell_in_memory():
        process = WriterProcess(world, "w1", places)     # takes its partitions over
        process.step(5)                                  # consume up to 5 commands, decide, produce
        process.producer.advance(place, 2)               # the broker takes two of the facts
        process.die()                                    # what is on its way arrives in part, or not at all

Nothing of the shell is rewritten here: consuming, deciding, acknowledgements, takeovers, snapshots are its own methods.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest.mock import patch

from confluent_kafka import KafkaException, TopicPartition

from processors import slow_paths
from processors.following import follower
from processors.ledger import database, saving, snapshots, takeover
from processors.ledger import writer as shell
from processors.ledger.writer import LedgerWriter
from tests.simulation.choices import Dice
from tests.simulation.failure import Broken, Crash
from tests.simulation.memory import Broker, Consumer, Database, Place, Producer, RememberingCodec


class Services:
    """Stands for `runtime.services.Services`: where a process finds everything."""

    topic_prefix = ""
    schema_registry = None

    def __init__(self, broker: Broker, database: Database, codec: RememberingCodec) -> None:
        self.broker = broker
        self.database = database
        self.codec = codec

    def topic(self, name: str) -> str:
        return name


class _Log:
    """A rule that raises is a bug of ours: the shell keeps the record for a better build, a simulation must fail."""

    def error(self, event: str, **fields: Any) -> None:
        if event == "decision_failed":
            raise Broken("no_rule_raises", repr(fields.get("exc_info"))) from fields.get("exc_info")

    def _nothing(self, event: str, **fields: Any) -> None:
        """Nobody reads the log of a simulation."""

    info = warning = debug = _nothing


@contextmanager
def shell_in_memory() -> Iterator[None]:
    """The writer's shell meets the services in memory instead of the clients' libraries."""
    with (
        patch.object(follower, "log", _Log()),
        patch.object(snapshots, "log", _Log()),
        patch.object(slow_paths, "log", _Log()),
        patch.multiple(
            shell,
            gapless_producer=lambda services: Producer(services.broker),
            codec_for=lambda *_: _codec_of_the_run(),
            log=_Log(),
        ),
        patch.multiple(
            saving, connect=lambda services, *_, **__: services.database, log=_Log(), ThreadPoolExecutor=_Beside
        ),
        patch.multiple(database, connect=lambda services, *_, **__: services.database, log=_Log()),
        patch.multiple(
            takeover,
            consumer=lambda services, *_, **__: Consumer(services.broker),
            end_offsets=lambda services, topics: services.broker.ends(topics),
            start_offsets=lambda services, topics: dict.fromkeys(services.broker.places(topics), 0),
            log=_Log(),
        ),
    ):
        yield


_codec: list[RememberingCodec] = []


def _codec_of_the_run() -> RememberingCodec:
    return _codec[-1]


def use_codec(codec: RememberingCodec) -> None:
    """The codec that writers which start from now on have."""
    _codec[:] = [codec]


class _Later:
    """Work of a thread: it is done a round after it was asked for, so that commands are decided meanwhile."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work: Callable[[], Any] | None = work
        self._rounds = 0
        self._result: Any = None

    def done(self) -> bool:
        self._rounds += 1
        return self._rounds > 1

    def result(self) -> Any:
        if self._work is not None:
            self._result, self._work = self._work(), None
        return self._result


class _Beside:
    """Stands for a `ThreadPoolExecutor`."""

    def __init__(self, *_: Any) -> None:
        """There is no thread."""

    def submit(self, work: Callable[..., Any], *arguments: Any) -> _Later:
        return _Later(lambda: work(*arguments))

    def shutdown(self) -> None:
        """There is nothing to end."""


class WriterProcess:
    """A process of the ledger. `zombie`: another one believes to own its partitions, and it has not heard of it."""

    def __init__(self, services: Services, name: str, places: Iterable[Place]) -> None:
        self.name = name
        self.zombie = False
        # One lets all go that is saved, the next keeps all.
        settings: Any = SimpleNamespace(partitions=services.broker.partitions, epoch=0, ledger_memory_mb=len(name) % 2)
        self.writer = LedgerWriter(settings, services, threading.Event())  # type: ignore[arg-type]
        self.consumer = Consumer(services.broker)
        self.writer._consumer = self.consumer  # type: ignore[assignment]
        self.take(places)

    @property
    def producer(self) -> Producer:
        """The writer makes a new one after a failed delivery."""
        return self.writer._producer  # type: ignore[return-value]

    @property
    def places(self) -> list[Place]:
        return list(self.consumer.at)

    def take(self, places: Iterable[Place]) -> None:
        """The group gives these partitions to the process."""
        partitions = _partitions(place for place in places if place not in self.consumer.at)
        if partitions:
            self.writer._on_assign(self.consumer, partitions)  # type: ignore[arg-type]

    def give(self, places: Iterable[Place]) -> None:
        """The group takes them away, and the process knows in time."""
        self._call(self.writer._on_revoke, self.consumer, _partitions(places))

    def lose(self, places: Iterable[Place]) -> None:
        """The group has taken them away long ago; now the process hears of it."""
        self.writer._on_lost(self.consumer, _partitions(places))  # type: ignore[arg-type]

    def step(self, count: int) -> int:
        """One round of the writer's loop with up to `count` commands; how many there were. Raises Crash."""
        messages = self.consumer.consume(count)
        self._call(self.writer._decide, messages)
        self._call(self.producer.poll, 0)
        self._call(self.writer._take_over_disturbed)
        self._call(self.writer._heard, self.writer._saver.carry_on(self.writer._oldest_pending()))
        self._call(self.writer._let_go)
        return len(messages)

    def commit(self) -> None:
        self._call(self.producer.poll, 0)
        self.writer._commit(asynchronous=True)

    def snapshot(self) -> None:
        if not self.writer._saver.busy:
            self._call(self.writer._begin_saving, list(self.writer._owned))

    def die(self, dice: Dice | None = None) -> None:
        """The process is gone; of what was on its way a part arrives, per partition from the front."""
        for place, waiting in list(self.producer.waiting.items()):
            self.producer.advance(place, dice.between(0, len(waiting)) if dice is not None else 0)

    @property
    def busy(self) -> bool:
        """Something is on its way, or was not noticed yet."""
        disturbed = any(owned.disturbed for owned in self.writer._owned.values())
        return disturbed or any(self.producer.waiting.values())

    def _call(self, method: Any, *arguments: Any) -> None:
        try:
            method(*arguments)
        except KafkaException as error:  # a side record was lost: the shell lets the process end
            _crash(error)


def _crash(error: Exception) -> NoReturn:
    raise Crash(str(error)) from error


def _partitions(places: Iterable[Place]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for topic, partition in places]
