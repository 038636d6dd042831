"""What Kafka clients say in the log: each thing once in a while, however often it is said."""

from __future__ import annotations

import json
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
import json
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


def test_what_python_would_print_is_in_the_log_of_a_worker_too() -> None:
    """Seen: plain text between lines of JSON."""
    text = """
import threading, warnings
from runtime.logging import log, setup_logging
setup_logging(process="projector")
warnings.warn("this will go", DeprecationWarning, stacklevel=1)
thread = threading.Thread(target=lambda: log.info("from_a_thread") or 1 / 0)
thread.start()
thread.join()
class Unraisable:
    def __del__(self): raise ValueError("nobody can catch this")
Unraisable()
raise RuntimeError("nobody caught this")
"""
    ended = subprocess.run([sys.executable, "-W", "always", "-c", text], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert {line["process"] for line in lines} == {"projector"}
    told = " ".join(str(line) for line in lines)
    for words in ("this will go", "ZeroDivisionError", "nobody can catch this", "nobody caught this"):
        assert words in told


def test_who_stops_the_services_hears_no_more_of_their_clients() -> None:
    """Seen: a run of all tests ended with a client's FAIL after "passed"."""
    text = """
import json
import logging
from runtime.logging import client_logger, hush_clients
client_logger().error("FAIL: before")
hush_clients()
client_logger().error("FAIL: after")
logging.getLogger("psycopg.pool").warning("FAIL: after")
"""
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert ended.stderr == "FAIL: before\n"
