"""The row of a worker. Each folder with a worker exports one, `WORKER`; `gateway.operating.workers` lists them.

    WORKER = Worker("projector", run="processors.projector.worker:run_projector", reads=LEDGER_TOPICS,
                    settles="unprojected")

A row is light: only the worker's own process imports the code that runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from runtime.settings import Settings

#: With this setting, memory used by a burst goes back to the operating system (decision 14 has the figures). Python's
#: own allocator stays, although it gives back less: the C library's took a fifth more time (decision 40).
GIVES_BACK: Mapping[str, str] = {
    # One heap for all threads: its free end goes back. `malloc_trim` does not free the ends of other heaps, and with
    # two cores there were 16: each death of Kafka woke threads that lengthened another one.
    "MALLOC_ARENA_MAX": "1",
}


def _always(_settings: Settings) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Worker:
    """One kind of worker: how to run it, and how to look after it."""

    #: Its name in `run --only`. Its consumer group and its positions (if it follows facts) have the same name.
    name: str
    #: `module:function`, called with settings, services and a stop event; returns an exit status or None.
    run: str
    #: The topics that it reads as a member of its group. Empty: it has no group.
    reads: Sequence[str] = ()
    #: Whether commands get no answer, or no effect, without it: then a waiting sender is told if none runs.
    needed: bool = True
    #: The name in `settle` for records that it has not handled yet. None: `settle` does not wait for it.
    settles: Literal["undecided", "unanswered", "unprojected"] | None = None
    #: Whether the settings have work for it. Only then `run` starts it and `status` shows it.
    wanted: Callable[[Settings], bool] = _always
    #: It handles signals itself, and does not get the event.
    own_signals: bool = False
    #: It creates missing topics itself, with retries.
    own_topics: bool = False
    #: The table or view with its positions, if it follows facts.
    positions: str = "follower_positions"
    #: `module:function`, more checks for `doctor` (`processors.checks`), run when both services answer.
    checks: str | None = None
    #: Libraries whose compiled part it needs: without it the worker is ten times as slow.
    libraries: frozenset[str] = frozenset({"fastavro", "psycopg"})
    #: More of its environment.
    environment: Mapping[str, str] = field(default_factory=lambda: GIVES_BACK)


def resolve(place: str) -> Any:
    """The object at `module:name`; imports the module."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
