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

from gateway.scenarios import Run, simulate
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
    assert first["story"]
    for name, figure in first["kpi"]["kpis"].items():
        if name != "case_resolution_hours":  # sixty orders may do without a case
            assert figure["denominator"] > 0, name
    assert second["verify"]["equal"]
    assert second["out"]["orders_by_status"] == first["out"]["orders_by_status"]
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


def test_a_simulated_season_leaves_real_orders_alone(shop: Shop) -> None:
    shop.accepted(receive("real", "WH1", 1), place("real-1", ("real", 1)))
    run = Run(shop.env.settings, shop.env.services, shop.connection)
    simulate(run, orders=30, seed=7, surge=1)
    assert all(phase.commands for phase in run.phases[:3]), run.phases
    assert shop.line("real-1")["allocated"] == 1
    assert shop.order("real-1")["shipments"] == []
