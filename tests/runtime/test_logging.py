"""What Kafka clients say in the log: each thing once in a while, however often it is said."""

from __future__ import annotations

import logging
import subprocess
import sys

from runtime.logging import FORGOTTEN_SECONDS, REPEATS_SECONDS, _Quiet


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _said(quiet: _Quiet, text: str) -> str | None:
    record = logging.LogRecord("kafka", logging.ERROR, "", 0, "%s", (text,), None)
    return record.getMessage() if quiet.filter(record) else None


def _refused(milliseconds: int, port: int = 9092) -> str:
    return f"FAIL [thrd:bootstrap]: Connect to 127.0.0.1:{port} failed (after {milliseconds}ms in state CONNECT)"


def test_what_is_said_over_and_over_comes_once_in_a_while_with_how_often_it_was() -> None:
    clock = Clock()
    quiet = _Quiet(clock)
    assert _said(quiet, _refused(0)) == _refused(0)
    for number in range(1, 400):
        clock.now = number * REPEATS_SECONDS / 400
        assert _said(quiet, _refused(number % 3)) is None
    clock.now = REPEATS_SECONDS
    assert _said(quiet, _refused(1)) == f"{_refused(1)} (399 more since the last such line)"
    clock.now = 3 * REPEATS_SECONDS
    assert _said(quiet, _refused(1)) == _refused(1)


def test_another_broker_is_another_thing_and_is_said_at_once() -> None:
    quiet = _Quiet(Clock())
    assert _said(quiet, _refused(0)) == _refused(0)
    assert _said(quiet, _refused(0, port=9093)) == _refused(0, port=9093)


def test_what_was_said_long_ago_takes_no_memory() -> None:
    clock = Clock()
    quiet = _Quiet(clock)
    for port in range(1_000):
        clock.now += FORGOTTEN_SECONDS / 100
        assert _said(quiet, _refused(0, port)) is not None
    assert len(quiet._said) <= 101


def test_what_nobody_can_act_on_is_not_said() -> None:
    assert _said(_Quiet(Clock()), "CONFWARN: a setting is experimental") is None


def test_the_client_of_the_reactions_says_each_thing_once_in_a_while_too() -> None:
    text = """
import logging
from runtime.logging import setup_logging
setup_logging()
for name in ("aiokafka", "aiokafka.consumer.fetcher", "another.library"):
    for _ in range(3):
        logging.getLogger(name).error("%s: node not ready", name)
"""
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    lines = [line for line in ended.stderr.splitlines() if "node not ready" in line]
    assert len(lines) == 1 + 1 + 3, ended.stderr
