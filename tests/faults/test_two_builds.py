"""Fault 4, second half: two builds with different rules on the same partitions, on purpose.

The other build (`other_build.py`) books a unit more for each receipt. Whichever stands on the log first counts, for all
readers; the other's facts are passed over, it takes over anew, and both go on from the same history.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.ground import Ground, load, open_ground
from tests.support.shop import PATIENCE_SECONDS

pytestmark = [pytest.mark.faults]

WORKERS = ("ledger", "reactions", "projector")
OTHER = "other-build"


def test_readers_of_two_builds_follow_the_same_branch(fault_env: Any, tmp_path: Path) -> None:
    """Pass: equal to the oracle and to `verify`; both wrote, the loser took over; `doctor` and `verify` say where.

    Seen to fail: with a projector that counts every fact (`ok=True` in following/columns.py) it never settled: the
    projector had ended with "duplicate key value violates unique constraint answers_pkey".
    """
    with open_ground(fault_env, tmp_path, *WORKERS) as ground:
        shop = ground.shop
        shop.workers.start(
            OTHER, [], module="tests.faults.other_build", env=fault_env.env, log=shop.logs / f"{OTHER}.log"
        )
        for name in ("ledger", OTHER):
            shop.wait_for_line(name, "ledger_took_over")
        for draw in ground.rounds(lambda: _named(ground)):
            for part in range(
                5
            ):  # until both have written where the other counted; the first part is nearly always enough
                ground.send(load(draw, f"{ground.prefix}{'x' * part}", orders=40)).join()
                shop.settle()
                if "gap_or_other_rules" in _passed_over(ground):
                    break
            ground.notes["passed_over"] = _passed_over(ground)
            ground.notes["took_over"] = {name: _count(ground, name, "ledger_disturbed") for name in ("ledger", OTHER)}


def _passed_over(ground: Ground) -> dict[str, int]:
    rows = ground.shop.connection.execute("SELECT reason, sum(count)::bigint FROM skipped_facts GROUP BY 1").fetchall()
    return dict(rows)


def _count(ground: Ground, name: str, event: str) -> int:
    return (ground.shop.logs / f"{name}.log").read_text(errors="replace").count(event)


def _named(ground: Ground) -> None:
    """Whoever lost has taken over; `doctor` and `verify` say that the rules differed, and where."""
    passed_over = _passed_over(ground)
    assert passed_over.get("gap_or_other_rules"), passed_over
    assert _count(ground, "ledger", "ledger_disturbed") + _count(ground, OTHER, "ledger_disturbed") > 0
    doctor = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "doctor", "--json"],
        env=ground.shop.env.env,
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    checks = json.loads(doctor.stdout)["checks"]
    said = [check for check in checks if check["name"] == "skipped" and "gap_or_other_rules" in check["what"]]
    assert {check["verdict"] for check in said} == {"warn"}
    assert all("/" in check["detail"] and "verify" in check["hint"] for check in said), said
    report = ground.shop.verify()
    assert report.equal, report.first_difference
    other_rules = [
        place
        for reasons in report.skipped.values()
        for reason, skipped in reasons.items()
        if reason == "other_rules"
        for place in skipped["places"]
    ]
    assert other_rules, report.skipped
    for place in other_rules:
        topic, partition, offset = place.split("/")
        assert topic.startswith("ledger."), place
        assert (partition + offset).isdigit(), place
