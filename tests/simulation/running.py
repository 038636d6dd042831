"""Seeds, one after another or on all cores; what a failure of one comes to when it is made small.

for outcome in run_seeds(range(10_000), processes=2): …      # in the order of the seeds
failure = examine(seed, outcome)                             # the shortest list of moves that still breaks the rule
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from typing import Any, NamedTuple

from tests.simulation.choices import Move, plan
from tests.simulation.failure import Broken
from tests.simulation.world import World
from tests.simulation.writers import shell_in_memory

#: The batch folds take ten times as long as all the rest of a run (polars is made for thousands of facts, not for
#: sixty), so one seed in so many has them. Fewer would hardly test them in a short run, more would slow all down.
TABLES_EVERY = 40

#: Runs that making a failure small may take. Fewer leave long traces; these are some 30 seconds.
SHRINK_RUNS_MAX = 1_500

#: Seeds that a process is handed at a time: small enough to stop soon after a failure, large enough to cost nothing.
SEEDS_AT_ONCE = 8


class Outcome(NamedTuple):
    """`broken`: the invariant, or None; `figures` are those of `World.run`."""

    seed: int
    broken: str | None
    step: str
    detail: str
    figures: Counter[str]


class Failure(NamedTuple):
    """A failure made small: the moves that are left, and what they did."""

    moves: Sequence[Move]
    step: str
    detail: str
    trace: Sequence[str]


def moves_of(seed: int, *, tables: bool | None = None) -> list[Move]:
    """The moves that `make simulate` makes for a seed."""
    return plan(seed, tables=seed % TABLES_EVERY == 0 if tables is None else tables)


def run_moves(moves: Sequence[Move], trace: list[str] | None = None) -> Outcome:
    """One run; the seed of the outcome is 0. Any exception that is not expected is a failure, too."""
    world: World | None = None
    try:
        world = World(trace=trace)
        return Outcome(0, None, "", "", world.run(moves))
    except Broken as broken:
        invariant, detail = broken.invariant, broken.detail
    except Exception as error:  # noqa: BLE001 - a bug anywhere in what runs here is what we are looking for
        invariant, detail = f"raises_{type(error).__name__}", repr(error)
    return Outcome(0, invariant, world.step if world else "the beginning", detail, Counter())


def run_seed(seed: int, *, tables: bool | None = None) -> Outcome:
    return run_moves(moves_of(seed, tables=tables))._replace(seed=seed)


def run_seeds(
    seeds: Iterable[int],
    *,
    processes: int = 1,
    planted: Callable[[], AbstractContextManager[Any]] = nullcontext,
    tables: bool | None = None,
) -> Iterator[Outcome]:
    """Outcomes in the order of the seeds; `planted` is entered in each process (see `planted`)."""
    if processes == 1:
        with shell_in_memory(), planted():
            for seed in seeds:
                yield run_seed(seed, tables=tables)
        return
    with shell_in_memory():
        pass  # what cannot be replaced must fail here: a pool starts its processes again and again when they fail
    with get_context("spawn").Pool(processes, initializer=_begin) as pool:
        yield from pool.imap(run_seed, seeds, chunksize=SEEDS_AT_ONCE)


_kept: list[AbstractContextManager[Any]] = []


def _begin() -> None:
    """In each process of the pool, for as long as it lives."""
    _kept.append(shell_in_memory())
    _kept[-1].__enter__()
    gc.freeze()


def make_small(moves: Sequence[Move], invariant: str) -> Failure:
    """Leave moves out, many at a time, then fewer, as long as the same invariant breaks (delta debugging).

    Runs where it is called, so inside the same `shell_in_memory` and with the same planted bug as the failure.
    """
    runs = 0

    def breaks(some: Sequence[Move]) -> bool:
        nonlocal runs
        runs += 1
        return run_moves(some).broken == invariant

    left = list(moves)
    size = len(left) // 2
    while size:
        start, shorter = 0, False
        while start < len(left) and runs < SHRINK_RUNS_MAX:
            some = left[:start] + left[start + size :]
            if breaks(some):
                left, shorter = some, True
            else:
                start += size
        size = size // 2 if not shorter or size > 1 else size
        if runs >= SHRINK_RUNS_MAX:
            break
    trace: list[str] = []
    outcome = run_moves(left, trace)
    return Failure(left, outcome.step, outcome.detail, trace)
