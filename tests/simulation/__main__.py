"""Run seeds of the whole system in memory until one breaks a rule: `make simulate SEED=1 RUNS=10000`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.simulation.planted import PLANTED
from tests.simulation.running import Outcome, make_small, moves_of, run_seeds
from tests.simulation.writers import shell_in_memory

#: A sign of life this often, in seconds: rarer looks like a hang, more often scrolls the log of a CI away.
SAY_EVERY_SECONDS = 2.0
#: Characters of a detail that are shown; the rest is the same record in full.
DETAIL_SHOWN = 1_500


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all seeds held; 1 when one broke a rule, which is then shown as small as it could be made."""
    asked = _parser().parse_args(arguments)
    planted = PLANTED[asked.planted] if asked.planted else None
    processes = 1 if planted is not None else min(asked.processes, asked.runs)
    # The processes are the parallelism: polars' own threads would only fight for the same cores.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    started = said = time.monotonic()
    figures: Counter[str] = Counter()
    seeds = range(asked.seed, asked.seed + asked.runs)
    arguments_of_run = {} if planted is None else {"planted": planted.plant, "tables": planted.tables}
    for done, outcome in enumerate(run_seeds(seeds, processes=processes, **arguments_of_run), start=1):
        figures += outcome.figures
        if outcome.broken is not None:
            _clear_line()
            return _tell(outcome, asked.planted)
        if time.monotonic() - said >= SAY_EVERY_SECONDS:
            said = time.monotonic()
            _say_progress(done, len(seeds), said - started)
    seconds = time.monotonic() - started
    _clear_line()
    print(f"{len(seeds)} seeds from {asked.seed} held, {len(seeds) / seconds:.1f} seeds/s in {seconds:.1f} s")
    print("per seed: " + ", ".join(f"{figures[name] / len(seeds):.1f} {name}" for name in sorted(figures)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--runs", type=int, default=1_000, help="how many seeds (default 1000)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--planted", choices=sorted(PLANTED), help="run with this bug planted, to see that it is found")
    return parser


def _say_progress(done: int, total: int, seconds: float) -> None:
    rate = done / seconds
    print(f"\r{done} of {total} seeds, {rate:.1f}/s, {(total - done) / rate:.0f} s left ", end="", file=sys.stderr)


def _clear_line() -> None:
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)


def _tell(outcome: Outcome, planted: str | None) -> int:
    more = f" --planted {planted}" if planted else ""
    print(f"seed {outcome.seed} breaks {outcome.broken} at {outcome.step}")
    print(f"again: python -m tests.simulation --seed {outcome.seed} --runs 1{more}", flush=True)
    print(outcome.detail[:DETAIL_SHOWN])
    print("making it small …", file=sys.stderr, flush=True)
    assert outcome.broken is not None
    bug = PLANTED[planted] if planted else None
    moves = moves_of(outcome.seed, tables=bug.tables if bug else None)
    with shell_in_memory():
        if bug is None:
            failure = make_small(moves, outcome.broken)
        else:
            with bug.plant():
                failure = make_small(moves, outcome.broken)
    print(f"\nthe shortest that still breaks it, {len(failure.moves)} of {len(moves)} moves:")
    print("\n".join(f"  {line}" for line in failure.trace))
    print(f"  {failure.step}: {outcome.broken}: {failure.detail[:DETAIL_SHOWN]}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
