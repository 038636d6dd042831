"""Every command that a document shows runs, on real services, and prints what the document says.

In one world, in the order of reading: README as a newcomer meets it, then the documents that go on from there.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from runtime.process import Workers
from tests.conftest import LedgerEnv
from tests.docs.guide import Step, missing, read_guide

ROOT = Path(__file__).resolve().parents[2]
#: In the order in which they are to be read.
GUIDES = (
    "README.md",
    "docs/for-channels.md",
    "docs/for-channels-kafka.md",
    "docs/for-analysts.md",
    "docs/kpis.md",
    "docs/for-consumers.md",
    "docs/operating.md",
    "docs/routing.md",
)
DEFAULT_API = "127.0.0.1:8085"
#: What the documents call the broker: the embedded one's port is another each time.
BROKER = "127.0.0.1:9092"
TOPIC_WORDS = ("intake.orders", "intake.stock", "ledger.orders", "ledger.stock")
#: The slowest block waits for decisions and reactions: seconds, on a machine that is busy with other tests a minute.
BLOCK_SECONDS_MAX = 120
#: From start to the API's first answer: imports and topics, a few seconds; on a machine that is very busy, a minute.
API_SECONDS_MAX = 180


class World(NamedTuple):
    """Running workers: the environment of a reader's terminal; `words`: what documents say, and what is meant here."""

    env: dict[str, str]
    words: dict[str, str]


@contextmanager
def opened(ledger_env: LedgerEnv, logs: Path) -> Iterator[World]:
    """The workers that README says to start in a second terminal."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    programs = Path(sys.executable).parent
    env = ledger_env.env | {
        "ORDER_LEDGER_API_PORT": str(port),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "160",
    }
    prefix = ledger_env.settings.topic_prefix
    words = {DEFAULT_API: f"127.0.0.1:{port}", BROKER: ledger_env.services.bootstrap_servers}
    words |= {f'"{topic}': f'"{prefix}{topic}' for topic in TOPIC_WORDS}
    with Workers() as workers:
        for name in ("ledger", "reactions", "projector", "api"):
            workers.start(name, ["run", "--only", name], env=env, log=logs / f"{name}.log")
        _wait_for_api(f"http://127.0.0.1:{port}/readyz", logs / "api.log")
        yield World(env, words)


def _wait_for_api(url: str, log: Path) -> None:
    deadline = time.monotonic() + API_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the API does not answer\n{log.read_text()[-2000:]}")


def run(step: Step, world: World) -> str:
    """Standard output and error of a block; the test fails where a command of it does."""
    code = step.code
    for word, meant in world.words.items():
        code = code.replace(word, meant)
    program = ["bash", "-euo", "pipefail", "-c", code] if step.language == "sh" else [sys.executable, "-c", code]
    done = subprocess.run(
        program,
        cwd=ROOT,
        env=world.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BLOCK_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, f"line {step.number}: exit status {done.returncode}\n{done.stdout}"
    return done.stdout


def follow(name: str, world: World) -> None:
    """Do what the document says, block by block."""
    for step in read_guide(ROOT / name):
        output = run(step, world)
        lost = missing(step.shown, output)
        assert not lost, f"{name}, line {step.number}: not in the output: {lost}\n{output}"


@pytest.mark.slow
@pytest.mark.journey
def test_whoever_follows_the_documents_sees_what_they_show(ledger_env: LedgerEnv, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the documents use curl, which this machine does not have")
    with opened(ledger_env, tmp_path) as world:
        for name in GUIDES:
            follow(name, world)
