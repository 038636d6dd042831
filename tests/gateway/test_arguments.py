"""What a person types wrongly is answered in three lines, before any service is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def refused(home: Path, *arguments: str | bytes) -> str:
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    env = {**os.environ, "ORDER_LEDGER_HOME": str(home)}  # where nothing runs
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return done.stderr


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    assert "an argument is not UTF-8" in refused(tmp_path, "inventory", "--sku", b"MUG\xff")


@pytest.mark.parametrize("time", ["2025-11-28", "2025-11-28T18:00"])
def test_what_the_hint_says_is_a_time(tmp_path: Path, time: str) -> None:
    hint = refused(tmp_path, "inventory", "--sku", "MUG", "--at", time).rpartition("write ")[2].split()[0]
    assert hint.startswith(time)
    assert "has no offset" not in refused(tmp_path, "inventory", "--sku", "MUG", "--at", hint)
    assert "is no time" not in refused(tmp_path, "inventory", "--sku", "MUG", "--at", hint)
