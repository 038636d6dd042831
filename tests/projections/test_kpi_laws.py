"""A figure is the sum of the rows that it opens to, and what plain Python says of the facts, whatever happened."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from projections.cases.projection import PROJECTION as CASES
from projections.kpi.definitions import OPENABLE, PERFECT_ORDER_INDEX
from projections.kpi.opening import behind
from projections.kpi.projection import PROJECTION as KPI
from projections.kpi.reader import kpis
from runtime.postgres import connect
from runtime.services import Services
from tests.projections.fact_rows import Fact, Log
from tests.projections.kpi_histories import history
from tests.projections.kpi_oracle import Figure, figures
from tests.simulation.running import moves_of
from tests.simulation.world import World
from tests.simulation.writers import shell_in_memory

#: So many that each reason of each figure comes many times (`test_the_histories_hold_every_case`); half a minute.
SEEDS = range(75)

NAMES = [name for name in OPENABLE if name != PERFECT_ORDER_INDEX.name]


@pytest.mark.parametrize("start", range(0, len(SEEDS), 15))
def test_a_figure_is_the_sum_of_its_rows_and_what_plain_python_says(kpi_database: Services, start: int) -> None:
    for seed in SEEDS[start : start + 15]:
        facts = history(seed)
        with connect(kpi_database, "test") as connection:
            log = Log(connection, [CASES, KPI])
            for at in range(0, len(facts), 20):
                log.write(*facts[at : at + 20])
            read, expected = kpis(connection), figures(facts)
            for name in NAMES:
                check(connection, name, read, expected[name], seed)
            connection.rollback()


def check(connection: psycopg.Connection[Any], name: str, read: dict[str, Any], expected: Figure, seed: int) -> None:
    document = behind(connection, name)
    rows, left_out = document["rows"], document["left_out"]
    figure = {**read["kpis"], **read["perfect_order"], **read}[name]
    counted, without = expected

    # The rows are those that plain Python finds, with the same verdicts and moments …
    if name != "inventory_accuracy":  # several counts of a SKU at a location have one name
        assert sorted(row["id"] for row in rows) == sorted(counted), (seed, name)
        assert {row["id"]: row["why"] for row in left_out} == without, (seed, name)
        for row in rows:
            case = counted[row["id"]]
            verdict = case.good if case.took is None else case.took / timedelta(seconds=1)
            assert row.get("good", row.get("seconds")) == verdict, (seed, name, row)
            assert row["at"] == case.at.astimezone(UTC).isoformat().replace("+00:00", "Z"), (seed, name, row)
    else:
        moments = Counter((case.at.astimezone(UTC), case.good) for case in counted.values())
        assert len(rows) == moments.total()
        assert sum(row["good"] for row in rows) == sum(1 for case in counted.values() if case.good)

    # … and add up to the figure exactly.
    assert figure["denominator"] == len(rows)
    if figure["unit"] == "ratio":
        assert figure["numerator"] == sum(row["good"] for row in rows)
        value = figure["numerator"] / len(rows) if rows else None
    else:
        seconds = sum(Decimal(str(row["seconds"])) for row in rows)
        assert figure["numerator"] == round(float(seconds / 3600), 6), (seed, name)
        value = float(seconds / 3600 / len(rows)) if rows else None
        for share, key in ((0.5, "p50"), (0.9, "p90")):
            hours = percentile([row["seconds"] for row in rows], share) / 3600 if rows else None
            assert figure[key] == (None if hours is None else pytest.approx(hours, abs=1e-6))
    assert figure["value"] == (None if value is None else pytest.approx(value, abs=1e-6))
    if "left_out" in figure:
        assert figure["left_out"] == Counter(row["why"] for row in left_out)


def percentile(values: list[float], share: float) -> float:
    """Interpolated between the two nearest, as PostgreSQL's percentile_cont does."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def test_so_it_is_for_whatever_the_simulator_makes_of_the_whole_ledger(kpi_database: Services) -> None:
    """Histories with stock, reactions and crashes in them; a command that the simulator learns comes in by itself."""
    for seed in range(1, 9):
        facts = of_the_simulator(seed)
        with connect(kpi_database, "test") as connection:
            Log(connection, [CASES, KPI]).write(*facts)
            read, expected = kpis(connection), figures(facts)
            for name in NAMES:
                check(connection, name, read, expected[name], seed)
            connection.rollback()


def of_the_simulator(seed: int) -> list[Fact]:
    with shell_in_memory():
        world = World()
        world.run(moves_of(seed, tables=False))
    return [
        {name: one.record[name] for name in ("stream_id", "occurred_at", "recorded_at", "channel", "actor", "data")}
        | {"fact": one.name}
        for facts in world.truth.facts.values()
        for one in facts
        if one.name != "CommandRefused"
    ]


#: What the ledger does by itself, sooner or later, when channels have said what they say.
OF_THE_LEDGERS_OWN = {
    "LineAllocated", "LineBackordered", "BackorderReopened", "LineDeallocated", "OrderAllocated", "SourcingRequested",
    "AllocationAnswered", "ReservationSurrendered", "LinePromised", "AmendmentAnswered",
}  # fmt: skip


def test_what_the_ledger_does_by_itself_and_when_changes_no_figure(kpi_database: Services) -> None:
    """A history that is published at once gives the same figures as one that came over months."""
    differ = 0
    for seed in SEEDS[:12]:
        facts = history(seed)
        without = [note(one) if one["fact"] in OF_THE_LEDGERS_OWN else one for one in facts]
        differ += without != facts
        read = []
        for told in (facts, without):
            with connect(kpi_database, "test") as connection:
                Log(connection, [CASES, KPI]).write(*told)
                read.append(kpis(connection, by="channel"))
                connection.rollback()
        assert read[0] == read[1], seed
    assert differ > 6


def note(one: Fact) -> Fact:
    """Something that counts nowhere, told at the same time: how far the log is stays the same."""
    data = {"case_id": "of no order", "note": "n"}
    return {**one, "fact": "CaseNoteAdded", "stream_id": "of no order", "data": data}


@pytest.mark.parametrize("seed", SEEDS[::15])
def test_groups_and_days_open_to_their_part_of_the_rows(kpi_database: Services, seed: int) -> None:
    with connect(kpi_database, "test") as connection:
        Log(connection, [CASES, KPI]).write(*history(seed))
        for by in ("channel", "region", "location", "carrier", "day"):
            read = kpis(connection, by=by)
            for name in NAMES:
                if by not in OPENABLE[name].applies_to:
                    continue
                whole = Counter(row["group"] for row in behind(connection, name, by=by)["rows"])
                for group, several in read["groups"].items():
                    part = behind(connection, name, by=by, group=group)
                    figure = {
                        **several,
                        **read["perfect_order"].get("groups", {}).get(group, {}),
                        "left_otherwise_than_planned": read["left_otherwise_than_planned"]["groups"].get(group),
                    }[name]
                    if figure is None:
                        assert part["rows"] == []
                        continue
                    assert figure["denominator"] == len(part["rows"]) == whole[group]
                    assert {row["group"] for row in (*part["rows"], *part["left_out"])} <= {group}
        connection.rollback()


def test_the_histories_hold_every_case() -> None:
    """Laws about histories in which nothing happens would hold, too."""
    seen: dict[str, Counter[Any]] = defaultdict(Counter)
    for seed in SEEDS:
        for name, (counted, left_out) in figures(history(seed)).items():
            seen[name].update(left_out.values())
            seen[name].update(case.good for case in counted.values())
    for name in NAMES:
        definition = OPENABLE[name]
        reasons = set(definition.left_out) - {"nothing to ship"}  # of charges only: see test_kpi.py
        verdicts = {True, False} if definition.unit == "ratio" else {None}
        assert reasons | verdicts <= set(seen[name]), (name, seen[name])
