"""What a kind of worker is. Each folder that has one exports its row, `WORKER`; `gateway.operating.workers` lists them.

    WORKER = Worker("projector", run="processors.projector.worker:run_projector", reads=LEDGER_TOPICS,
                    settles="unprojected")

A row is light: what runs the worker is imported in the worker's own process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from runtime.settings import Settings

#: What a burst borrowed goes back to the operating system (decision 14 has the figures).
GIVES_BACK: Mapping[str, str] = {
    # With one heap for all threads its free end goes back. `malloc_trim` leaves that of every other heap, and there
    # were 16 with two cores: each death of Kafka woke threads that left another end longer.
    "MALLOC_ARENA_MAX": "1",
    # Python's own allocator gives memory back in pieces of 1 MB, each only when all of it is free, the C library's in
    # pages of 4 kB.
    "PYTHONMALLOC": "malloc",
    # Each thread keeps seven freed pieces of each of 64 sizes for itself, and there are twenty threads. They lie
    # wherever they were when they were freed, `malloc_trim` does not reach them, and each may hold a page.
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
}


def _always(_settings: Settings) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Worker:
    """One kind of worker: how it is run, and how it is looked after."""

    #: What `run --only` calls it. Its consumer group and, where it follows facts, its positions have the same name.
    name: str
    #: `module:function`, called with settings, services and an event that asks it to stop; its exit status, or None.
    run: str
    #: The topics that it reads as a member of its group. Empty: it is a member of none.
    reads: Sequence[str] = ()
    #: Without it a command gets no answer, or no effect: who waits is told when none runs.
    needed: bool = True
    #: What `settle` calls the records that it has not handled yet. None: `settle` does not wait for it.
    settles: Literal["undecided", "unanswered", "unprojected"] | None = None
    #: Whether these settings have work for it: `run` starts it, and `status` shows it, only then.
    wanted: Callable[[Settings], bool] = _always
    #: It stops at signals by itself, and is not handed the event.
    own_signals: bool = False
    #: It makes missing topics itself, with more patience than a first look has.
    own_topics: bool = False
    #: `module:function`, more checks of `doctor` (`processors.checks`), made when both services answer.
    checks: str | None = None
    #: Libraries without whose compiled part it takes ten times as long.
    libraries: frozenset[str] = frozenset({"fastavro", "psycopg"})
    #: More of its environment.
    environment: Mapping[str, str] = field(default_factory=lambda: GIVES_BACK)


def resolve(place: str) -> Any:
    """What stands at `module:name`; imports the module."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
