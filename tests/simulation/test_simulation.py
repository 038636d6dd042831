"""Seeds of the whole system in memory, and that a seed is all there is to a run.

More of them: `make simulate SEED=1 RUNS=10000`. A seed that fails there is run again by its number.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest

from tests.simulation.__main__ import main
from tests.simulation.choices import ASKING, FAILING, WORKING
from tests.simulation.planted import PLANTED
from tests.simulation.running import make_small, moves_of, run_moves, run_seeds
from tests.simulation.writers import shell_in_memory

pytestmark = pytest.mark.simulation

#: Where a seed with something rare is looked for.
SEEDS = range(1, 241)
#: So many that each kind of fault comes a hundred times; `make test-all` runs 10,000.
RUN = SEEDS[:120]


def test_every_seed_keeps_every_rule() -> None:
    figures: Counter[str] = Counter()
    for outcome in run_seeds(RUN):
        again = f"python -m tests.simulation --seed {outcome.seed} --runs 1"
        assert outcome.broken is None, f"{outcome.broken} at {outcome.step}: {outcome.detail}\nagain: {again}"
        figures += outcome.figures
    # A simulation in which nothing happens would hold, too.
    assert figures["facts"] > 30 * len(RUN), figures
    assert figures["records"] > figures["facts"], "faults leave records that do not count"
    print(f"seeds {RUN}: {dict(figures)}")


def test_a_seed_is_all_there_is_to_a_run() -> None:
    with shell_in_memory():
        first: list[str] = []
        second: list[str] = []
        outcomes = [run_moves(moves_of(40), trace) for trace in (first, second)]
    assert outcomes[0] == outcomes[1]
    assert first == second


def test_every_kind_of_move_comes_to_pass() -> None:
    missing = {*ASKING, *WORKING, *FAILING}
    with shell_in_memory():
        for seed in SEEDS:
            trace: list[str] = []
            run_moves(moves_of(seed, tables=False), trace)
            missing -= {line.partition(":")[0].split()[1] for line in trace}
            if not missing:
                return
    raise AssertionError(f"never came to pass: {missing}")


def _first_to_forget() -> int:
    """The first seed in which a ledger that remembers no ids decides twice: another one whenever moves are added."""
    return next(seed for seed in SEEDS if run_moves(moves_of(seed, tables=False)).broken == "a_command_is_decided_once")


def test_a_failure_is_made_small_and_still_is_that_failure() -> None:
    with shell_in_memory(), PLANTED["ids_are_not_remembered"].plant():
        moves = moves_of(_first_to_forget(), tables=False)
        broken = "a_command_is_decided_once"
        failure = make_small(moves, broken)
        assert run_moves(failure.moves).broken == broken
        for left_out in range(len(failure.moves)):
            rest = [*failure.moves[:left_out], *failure.moves[left_out + 1 :]]
            assert run_moves(rest).broken != broken, "every move that is left is needed"
    assert len(failure.moves) <= 6, failure.trace


def test_the_program_says_the_seed_the_rule_and_the_shortest_story(capsys: pytest.CaptureFixture[str]) -> None:
    with shell_in_memory(), PLANTED["ids_are_not_remembered"].plant():
        seed = str(_first_to_forget())
    assert main(["--seed", seed, "--runs", "5", "--planted", "ids_are_not_remembered"]) == 1
    said = capsys.readouterr().out
    assert f"seed {seed} breaks a_command_is_decided_once" in said
    assert f"--seed {seed} --runs 1 --planted ids_are_not_remembered" in said
    assert "the shortest that still breaks it" in said
    assert main(["--seed", "1", "--runs", "3", "--processes", "1"]) == 0
    assert "3 seeds from 1 held" in capsys.readouterr().out


def test_plans_differ_from_seed_to_seed() -> None:
    assert len({tuple(move.chance for move in moves_of(seed)) for seed in range(1, 50)}) == 49
    assert set(chain(ASKING, WORKING, FAILING)).isdisjoint({"tables"})
