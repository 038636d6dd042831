"""Children drain when asked, are killed when they do not, and never outlive their owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from runtime.process import Ended, Workers

ROOT = Path(__file__).parents[2]
WORKERS = {
    "polite": """
        import signal, sys, time
        def stop(*_):
            print("drained", flush=True); sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("ready", flush=True)
        while True: time.sleep(0.05)
    """,
    "stubborn": """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("ready", child.pid, flush=True)
        time.sleep(600)
    """,
    "failing": "import sys; sys.exit(3)",
    "owner": """
        import os, sys
        from pathlib import Path
        from runtime.process import Workers
        workers = Workers(drain_seconds=0.5)
        for name in sys.argv[2:]:
            workers.start(name, [], module=name, log=Path(sys.argv[1]) / f"{name}.log")
        print("ready", *workers.alive().values(), flush=True)
        workers.wait()
    """,
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Small worker modules that children can run."""
    import textwrap

    for name, code in WORKERS.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    return tmp_path


def wait_for(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail("waited in vain")


def ready(log):
    return wait_for(lambda: log.exists() and "ready" in (text := log.read_text()) and text.split())


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_worker_is_asked_to_drain_and_may_finish(modules):
    with Workers() as workers:
        workers.start("polite", [], module="polite", log=modules / "polite.log")
        ready(modules / "polite.log")
    assert (modules / "polite.log").read_text().split() == ["ready", "drained"]
    assert workers.ended() == [Ended("polite", 0)]


def test_a_worker_that_does_not_drain_is_killed_with_its_children(modules):
    with Workers(drain_seconds=0.3) as workers:
        workers.start("stubborn", [], module="stubborn", log=modules / "stubborn.log")
        grandchild = int(ready(modules / "stubborn.log")[1])
    assert workers.ended() == [Ended("stubborn", -signal.SIGKILL)]
    wait_for(lambda: gone(grandchild))


def test_a_worker_that_ends_by_itself_is_reported(modules):
    with Workers() as workers:
        workers.start("polite", [], module="polite", log=modules / "polite.log")
        workers.start("failing", [], module="failing")
        assert workers.wait() == [Ended("failing", 3)]
        assert set(workers.alive()) == {"polite"}


def test_a_signal_ends_the_wait_and_the_handlers_are_put_back(modules):
    before = signal.getsignal(signal.SIGTERM)
    with Workers() as workers:
        workers.start("polite", [], module="polite", log=modules / "polite.log")
        ready(modules / "polite.log")
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGTERM]).start()
        assert workers.wait() == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_no_child_outlives_an_owner_that_is_killed(modules):
    owner = subprocess.Popen(
        [sys.executable, "-m", "owner", str(modules), "polite", "stubborn"],
        stdout=subprocess.PIPE,
        text=True,
    )
    children = [int(word) for word in owner.stdout.readline().split()[1:]]
    grandchild = int(ready(modules / "stubborn.log")[1])
    ready(modules / "polite.log")
    owner.kill()
    owner.wait()
    owner.stdout.close()
    for pid in [*children, grandchild]:
        wait_for(lambda pid=pid: gone(pid))
    assert "drained" in (modules / "polite.log").read_text()
