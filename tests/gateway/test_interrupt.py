"""Ctrl-C gets through, whatever swallows it. Each in a process of its own: the timer is the test runner's, too."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

_BEGINNING = """
import contextlib, signal, time
from gateway.cli.interrupt import AGAIN_SECONDS, by_interrupt, interruptible
"""


def _python(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _BEGINNING + text], capture_output=True, text=True, check=False, timeout=60
    )


def test_one_that_is_swallowed_comes_again() -> None:
    began = time.monotonic()
    ended = _python("""
with interruptible():
    for number in range(2):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT) if number == 0 else time.sleep(20)
    time.sleep(50)
""")
    assert "KeyboardInterrupt" in ended.stderr
    assert ended.returncode == -signal.SIGINT
    assert time.monotonic() - began < 20


def test_it_does_not_disturb_its_own_way_out() -> None:
    ended = _python("""
with interruptible():
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        time.sleep(4 * AGAIN_SECONDS)
        print("cleaned up")
""")
    assert ended.stdout == "cleaned up\n"
    assert ended.returncode == -signal.SIGINT


def test_what_somebody_made_of_it_is_an_interrupt_again_and_other_errors_stay() -> None:
    ended = _python("""
for errors in (True, False):
    try:
        with interruptible():
            try:
                if errors:
                    signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise SystemError("returned a result with an exception set")
            raise ValueError
    except BaseException as error:
        print(type(error).__name__)
""")
    assert ended.stdout.split() == ["KeyboardInterrupt", "ValueError"], ended.stderr


@pytest.mark.parametrize("ignored", [True, False])
def test_a_signal_that_is_ignored_stays_ignored(ignored: bool) -> None:
    ended = _python(f"""
signal.signal(signal.SIGHUP, signal.SIG_IGN if {ignored} else signal.SIG_DFL)
with interruptible():
    by_interrupt(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)
    print("goes on")
""")
    assert (ended.stdout == "goes on\n") is ignored
