"""A ledger that a build wrote before the contracts were made anew is refused by all that read it, with what to do."""

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from events.catalogue import LEDGER_TOPICS
from gateway.operating.doctor import examine
from processors.ledger.writer import run_ledger
from processors.old_log import refuse_old_log
from processors.projector.span import end_offsets_of, fold_span
from processors.projector.worker import run_projector
from processors.projector.write import ensure_tables
from processors.reactions.run import run_reactions
from processors.topics import ensure_topics
from processors.verify import verify
from projections.catalogue import PROJECTIONS
from runtime.errors import Fault
from runtime.kafka import producer
from runtime.postgres import connect
from schemas.codec import Codec
from tests.support.chain import ChainLog
from tests.support.facts import stock_received

CODEC = Codec()
GOOD = ChainLog("ledger.stock").decide("SKU-1", stock_received())[0].value_bytes
#: As the builds before wrote `StockReceived`.
OLD = b"\0" + (1019).to_bytes(4, "big") + GOOD[5:]


def write(env: Any, *values: bytes) -> None:
    """A ledger partition that holds these records."""
    ensure_topics(env.services, env.settings)
    sender = producer(env.services)
    for value in values:
        sender.produce(env.services.topic("ledger.stock"), value, b"SKU-1", 0)
    assert sender.flush(30) == 0


def check(env: Any) -> None:
    with connect(env.services, "test") as connection:
        ensure_tables(connection, PROJECTIONS.values(), "public")
    verify(env.services, CODEC)


READERS: dict[str, Callable[[Any], object]] = {
    "ledger": lambda env: run_ledger(env.settings, env.services, threading.Event()),
    "projector": lambda env: run_projector(env.settings, env.services, threading.Event()),
    "reactions": lambda env: run_reactions(env.settings, env.services),
    "rebuild": lambda env: fold_span(env.services, "anew", end_offsets_of(env.services)),
    "verify": check,
}


@pytest.mark.parametrize("reader", READERS)
def test_an_old_ledger_is_refused_with_what_to_do(ledger_env: Any, reader: str) -> None:
    write(ledger_env, OLD, GOOD)
    with pytest.raises(Fault) as refused:
        READERS[reader](ledger_env)
    assert "an old version of the contracts" in refused.value.what
    assert f"{ledger_env.services.topic('ledger.stock')}/0" in refused.value.detail
    assert "schema id 1019" in refused.value.detail
    assert "ORDER_LEDGER_TOPIC_PREFIX" in refused.value.hint


def test_an_old_record_further_on_and_junk_at_the_beginning_stop_nobody(ledger_env: Any) -> None:
    ensure_topics(ledger_env.services, ledger_env.settings)
    refuse_old_log(ledger_env.services, CODEC)
    write(ledger_env, b"junk", GOOD, OLD)
    refuse_old_log(ledger_env.services, CODEC)


def test_an_old_ledger_is_found_in_any_of_its_topics_and_partitions(ledger_env: Any) -> None:
    write(ledger_env, GOOD)
    sender = producer(ledger_env.services)
    topic, partition = ledger_env.services.topic(LEDGER_TOPICS[-1]), ledger_env.settings.partitions - 1
    sender.produce(topic, OLD, b"C-1", partition)
    assert sender.flush(30) == 0
    with pytest.raises(Fault, match=f"{topic}/{partition}"):
        refuse_old_log(ledger_env.services, CODEC)


def test_who_starts_several_workers_says_so_before_any_of_them_and_so_does_the_doctor(
    ledger_env: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: `demo` on such a log waited for a minute, and said that no worker ran. Only their logs said why."""
    write(ledger_env, OLD)
    for name, value in ledger_env.env.items():
        monkeypatch.setenv(name, value)
    for command in (["run"], ["demo", "--orders", "5"]):
        program = [sys.executable, "-m", "gateway.cli", *command]
        done = subprocess.run(program, env=ledger_env.env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1, done
        assert "an old version of the contracts" in done.stderr
        assert "begin a new ledger" in done.stderr
    (told,) = [check for check in examine(ledger_env.settings) if check.name == "log"]
    assert told.verdict == "fail"
    assert "an old version of the contracts" in told.what
