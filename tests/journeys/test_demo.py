"""The demo, as a stranger runs it, twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from gateway.cli.demo import _counts
from gateway.sending.scenarios import Run, simulate
from projections.kpi.opening import Scope
from projections.kpi.reader import kpis
from projections.order_history.reader import read_telling_order
from tests.support.shop import Shop, place, receive

pytestmark = [pytest.mark.journey, pytest.mark.slow]


def _demo(env: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "demo", "--orders", "60", "--json", *arguments],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ours(prefix: str) -> list[int]:
    """Processes that were started with this topic prefix."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ORDER_LEDGER_TOPIC_PREFIX") == prefix and process.pid != os.getpid():
                found.append(process.pid)
        except psutil.Error:  # not ours to look at, or gone meanwhile
            continue
    return found


def test_a_demo_tells_everything_and_a_second_one_changes_nothing(ledger_env: Any) -> None:
    shown = []
    for _ in range(2):
        process = _demo(ledger_env.env)
        out, err = process.communicate(timeout=250)
        assert process.returncode == 0, err
        shown.append(json.loads(out))
    first, second = shown
    assert first["verify"]["equal"]
    assert first["verify"]["tables"]["order_status"] == 60
    assert first["in"]["label"] == "simulated"
    assert first["out"]["orders"] == 60
    assert first["out"]["other_orders"] == second["out"]["other_orders"] == 0
    assert first["story"]
    for name, figure in first["kpi"]["kpis"].items():
        if name != "case_resolution_hours":  # sixty orders may do without a case
            assert figure["denominator"] > 0, name
    assert second["verify"]["equal"]
    assert second["out"]["orders_by_status"] == first["out"]["orders_by_status"]
    # Counted again, most of them just as before; those that had put a record right are counts of their own.
    counted = [one["kpi"]["kpis"]["inventory_accuracy"]["denominator"] for one in shown]
    assert counted[0] == counted[1]
    assert second["verify"]["tables"]["inventory"] == first["verify"]["tables"]["inventory"]
    assert _ours(ledger_env.settings.topic_prefix) == []


def test_a_demo_that_is_interrupted_leaves_no_process(ledger_env: Any) -> None:
    process = _demo(ledger_env.env)
    deadline = time.monotonic() + 60
    while len(_ours(ledger_env.settings.topic_prefix)) < 4 and time.monotonic() < deadline:
        time.sleep(0.1)  # itself and three workers
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert _ours(ledger_env.settings.topic_prefix) == []


@pytest.mark.long
def test_a_simulated_season_leaves_real_orders_alone(shop: Shop) -> None:
    shop.accepted(receive("real", "WH1", 1), place("real-1", ("real", 1)))
    run = Run(shop.env.settings, shop.env.services, shop.connection)
    simulate(run, orders=30, seed=7, surge=1)
    assert all(phase.commands for phase in run.phases[:3]), run.phases
    assert shop.line("real-1")["allocated"] == 1
    assert shop.order("real-1")["shipments"] == []


@pytest.mark.long
def test_a_run_tells_of_its_own_orders_and_says_that_there_are_others(shop: Shop) -> None:
    """Seen: a second demo of 50 orders reported all 4,363 of the place, and the story of an earlier run's."""
    shop.accepted(receive("earlier", "WH1", 1), place("earlier-1", ("earlier", 1)))
    run = Run(shop.env.settings, shop.env.services, shop.connection)
    simulate(run, orders=25, seed=8, surge=1)
    scope = run.scope()
    assert len(scope.orders) >= 25
    out = _counts(shop.connection, scope.orders)
    assert out["orders"] == 25
    assert out["other_orders"] >= 1
    assert read_telling_order(shop.connection, scope.orders) in scope.orders
    everything, ours = kpis(shop.connection), kpis(shop.connection, scope=scope)
    for name in ("order_processing_hours", "return_rate", "order_fulfillment_rate"):
        assert 0 < ours["kpis"][name]["denominator"] <= 25, name
    assert (
        ours["kpis"]["order_processing_hours"]["left_out"].get("not shipped yet", 0)
        < (everything["kpis"]["order_processing_hours"]["left_out"]["not shipped yet"])
    )
    counted = ours["kpis"]["inventory_accuracy"]["denominator"]
    assert 0 < counted == len(scope.counted)

    # Another season counts the same places at the same moment: each run tells of its own counts.
    other = Run(shop.env.settings, shop.env.services, shop.connection)
    simulate(other, orders=20, seed=9, surge=1)
    for one in (run.scope(), other.scope()):
        assert kpis(shop.connection, scope=one)["kpis"]["inventory_accuracy"]["denominator"] == len(one.counted)
    assert kpis(shop.connection, scope=Scope([]))["kpis"]["inventory_accuracy"]["denominator"] == 0
