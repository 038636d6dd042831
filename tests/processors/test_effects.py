"""Calls to the outside: the outbox in a real PostgreSQL, and a receiver that fails, hangs, dies or answers late."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from events.envelope import Recorded
from events.orders.commands import HoldOrder
from events.orders.facts import OrderHeld
from gateway.operating.workers import wanted
from processors.effects import WORKER, calling, outbox, worker
from processors.effects.calling import Caller
from processors.effects.checks import effects_checks
from processors.effects.outbox import Answer, Row, claim
from processors.effects.rows import Call, Effect
from processors.effects.webhook import EFFECT, FACTS_OF_ORDERS, address, make_call, sign
from processors.effects.wiring import EFFECTS, configured
from processors.following.database import Database
from processors.following.patience import Patience
from processors.following.positions import Overtaken
from processors.reactions.asked import Asked
from runtime.errors import Fault
from runtime.postgres import connect
from tests.support.chain import ChainLog
from tests.support.facts import order_placed
from tests.support.receiver import Receiver, receiver
from tests.support.waiting import wait_until

AT = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAGE = Path(__file__).parents[2] / "docs" / "effects.md"


def fact(order_id: str = "o-1", version: int = 1) -> Recorded[OrderHeld]:
    data = OrderHeld(order_id=order_id, hold="fraud", open_skus=())
    return Recorded(
        event_id=f"{order_id}-{version}",
        stream_id=order_id,
        stream_kind="order",
        version=version,
        decision=1,
        follows=0,
        index=1,
        count=1,
        epoch=0,
        intake_offset=0,
        occurred_at=AT,
        recorded_at=AT,
        command_id="c-1",
        command_digest=1,
        correlation_id="c-1",
        channel="web",
        data=data,
    )


def row(order_id: str = "o-1", version: int = 1, effect: str = "webhook") -> Row:
    made = fact(order_id, version)
    return Row(effect, made.event_id, "order", order_id, version, "OrderHeld", make_call(made).body)


def from_the_page() -> Any:
    """`verified` as docs/effects.md gives it to receivers."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["verified"]


def test_the_signature_is_that_of_the_standard_webhooks_libraries() -> None:
    call = Call("msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}')
    assert sign(SECRET, call, 1614265330) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_code_for_receivers_takes_what_is_ours_and_nothing_else(ledger_env: Any) -> None:
    verified = from_the_page()
    call = make_call(fact())
    found = address(webhook_settings(ledger_env, "http://x/"))
    assert found is not None
    headers, body = dict(found.headers(call, int(time.time()))), call.body.encode()
    assert verified(SECRET, headers, body)
    assert verified(SECRET, headers | {"webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}, body)
    assert not verified(SECRET, headers, body + b" ")
    assert not verified(SECRET, headers | {"webhook-id": "another"}, body)
    assert not verified("whsec_" + "A" * 32, headers, body)
    assert not verified(SECRET, dict(found.headers(call, int(time.time()) - 301)), body)


def test_the_same_fact_makes_the_same_call() -> None:
    assert make_call(fact()) == make_call(fact())
    assert make_call(fact()).key == "o-1-1"
    assert '"type":"OrderHeld","timestamp":"2026-11-27T18:00:00Z","id":"o-1-1"' in make_call(fact()).body


def webhook_settings(env: Any, url: str, **more: Any) -> Any:
    return env.settings.model_copy(update={"webhook_url": url, "webhook_secret": SecretStr(SECRET), **more})


def test_all_facts_of_orders_are_sent_unless_some_are_named(ledger_env: Any) -> None:
    assert configured(ledger_env.settings) == {}
    found = configured(webhook_settings(ledger_env, "http://x/"))["webhook"][1]
    assert found.facts == FACTS_OF_ORDERS
    some = address(webhook_settings(ledger_env, "http://x/", webhook_facts="OrderHeld, StockReceived"))
    assert some is not None
    assert {one.__name__ for one in some.facts} == {"OrderHeld", "StockReceived"}
    with pytest.raises(Fault, match="OrderHold") as refused:
        address(webhook_settings(ledger_env, "http://x/", webhook_facts="OrderHold"))
    assert "OrderHeld" in refused.value.detail
    assert len({effect.name for effect in EFFECTS}) == len(EFFECTS)


@pytest.fixture
def connection(ledger_env: Any) -> Iterator[Any]:
    with connect(ledger_env.services, "test", autocommit=True) as opened:
        with opened.transaction():
            outbox.ensure_tables(opened)
            outbox.ensure_tables(opened)
        yield opened


def due(connection: Any, seconds: float = 60) -> list[str]:
    with connection.transaction():
        return sorted(one.event_id for one in claim(connection, ["webhook"], 10, seconds))


def put(connection: Any, *rows: Row) -> None:
    with connection.transaction():
        outbox.put(connection, rows)


def test_the_oldest_call_of_a_stream_is_due_and_the_next_one_when_it_is_closed(connection: Any) -> None:
    put(connection, row("a", 1), row("a", 2), row("b", 1))
    with connection.transaction():
        first = {one.event_id: one for one in claim(connection, ["webhook"], 10, 60)}
    assert sorted(first) == ["a-1", "b-1"]
    put(connection, row("a", 3))
    assert due(connection) == [], "claimed by another, or behind one that is open"
    with connection.transaction():
        assert outbox.bury(connection, first["a-1"], Answer(410, "", "HTTP status 410"))
    with connection.transaction():
        (second,) = claim(connection, ["webhook"], 10, 60)
        assert second.event_id == "a-2"
        assert outbox.retry(connection, second, Answer(error="away"), 0)
    assert due(connection) == ["a-2"], "tried again, before a-3"


def test_a_fact_that_is_read_again_makes_no_second_call(connection: Any) -> None:
    put(connection, row("a", 1), row("a", 2))
    with connection.transaction():
        (one,) = claim(connection, ["webhook"], 10, 60)
        outbox.deliver(connection, one, Answer(204, ""))
    put(connection, row("a", 1), row("a", 2))
    assert due(connection) == ["a-2"]
    assert connection.execute("SELECT count(*) FROM effect_calls").fetchone() == (2,)


def test_a_claim_ends_by_itself_and_a_late_answer_of_its_process_counts_no_more(connection: Any) -> None:
    put(connection, row("a", 1))
    with connection.transaction():
        (stalled,) = claim(connection, ["webhook"], 10, 0)
    with connection.transaction():
        (other,) = claim(connection, ["webhook"], 10, 60)
    assert (stalled.event_id, other.attempts) == (other.event_id, 2)
    with connection.transaction():
        assert not outbox.deliver(connection, stalled, Answer(204))
        assert not outbox.let_go(connection, stalled)
        assert outbox.let_go(connection, other)
    with connection.transaction():
        (again,) = claim(connection, ["webhook"], 10, 60)
    assert again.attempts == 2, "an attempt that a stop cut off is none"


def test_a_row_is_not_left_without_a_time_by_a_close_at_the_same_moment(ledger_env: Any, connection: Any) -> None:
    put(connection, row("a", 1))
    with connection.transaction():
        (one,) = claim(connection, ["webhook"], 10, 60)
    written = threading.Event()

    def close() -> None:
        with connect(ledger_env.services, "test") as other:
            assert outbox.deliver(other, one, Answer(204))
            written.set()

    with connection.transaction():
        outbox.put(connection, [row("a", 2)])
        closing = threading.Thread(target=close)
        closing.start()
        assert not written.wait(0.3), "it waits for the row behind it"
    closing.join()
    assert due(connection) == ["a-2"]


class Deaf:
    """Stands for the loop that calls."""

    def wake(self) -> None: ...


def written(connection: Any) -> list[tuple[str, str]]:
    return sorted(connection.execute("SELECT effect, stream_id FROM effect_calls").fetchall())


def test_what_was_there_before_an_effect_was_started_is_history_to_it_also_in_a_replay(
    ledger_env: Any, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ChainLog("ledger.orders", 0)
    for number in range(4):
        log.decide(f"o-{number}", order_placed(f"o-{number}"))
    services, place = ledger_env.services, ("ledger.orders", 0)
    services = dataclasses.replace(services, topic_prefix="")
    hook = configured(webhook_settings(ledger_env, "http://x/"))["webhook"]
    database = Database(services, "test writing", Patience("test"))

    def writing(effects: Any, end: int) -> Any:
        monkeypatch.setattr(worker, "end_offsets", lambda *_: {place: end})
        host = worker._Writing(services, effects, database, Deaf())  # type: ignore[arg-type]
        host.begin()
        assert host.place({place: "id"}) == {place: 0 if end == 1 else 3}
        return host

    first = writing({"webhook": hook}, end=1)
    assert first.take(log.records[:3]) == {place: 3}
    assert written(connection) == [("webhook", "o-1"), ("webhook", "o-2")]
    assert first.agrees()

    both = writing({"webhook": hook, "label": (hook[0]._replace(name="label"), hook[1])}, end=3)
    connection.execute("UPDATE follower_positions SET next_offset = 0, last_decision = 0, intake_offset = -1")
    assert not both.agrees()
    with pytest.raises(Overtaken):
        both.take(log.records[3:])
    assert both.place({place: "id"}) == {place: 0}
    both.take(log.records)
    assert written(connection) == [("label", "o-3"), ("webhook", "o-1"), ("webhook", "o-2"), ("webhook", "o-3")]
    database.close()


ASKED = Asked("hold:o-1", HoldOrder(order_id="o-1", hold="fraud"), "label", AT, None, None)


@contextmanager
def calling_to(env: Any, hook: Receiver, sent: list[Any], asks: Asked | None = None) -> Iterator[Caller]:
    """The loop in a thread, as the worker has it."""
    found = address(webhook_settings(env, hook.url))
    assert found is not None
    effect: Effect = EFFECT._replace(answer=lambda _call, _response: asks)
    stop = threading.Event()
    database = Database(env.services, "test calls", Patience("test", stop))
    caller = Caller({"webhook": (effect, found)}, database, sent.extend, stop)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(caller.run())
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield caller
    finally:
        stop.set()
        thread.join(30)
        database.close()
    assert not thread.is_alive()
    assert not raised, raised


def states(connection: Any) -> dict[str, tuple[str, int]]:
    rows = connection.execute("SELECT event_id, status, attempts FROM effect_calls").fetchall()
    return {event_id: (status, attempts) for event_id, status, attempts in rows}


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "DELAYS_SECONDS", (0.05,) * 5)
    monkeypatch.setattr(calling, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(calling, "LOOK_SECONDS", 0.05)


@pytest.mark.usefixtures("_quick")
def test_a_receiver_that_fails_hangs_and_dies_hears_each_fact_until_it_says_yes(
    ledger_env: Any, connection: Any
) -> None:
    with receiver() as hook, calling_to(ledger_env, hook, []) as caller:
        hook.script("bad", 500, "hang", "die", 302)
        put(connection, row("bad", 1), row("bad", 2), *(row("good", version) for version in range(1, 6)))
        caller.wake()
        wait_until(lambda: states(connection).get("bad-2", ("",))[0] == "delivered")
    assert hook.of("bad") == [1, 1, 1, 1, 1, 2]
    assert hook.of("good") == [1, 2, 3, 4, 5]
    assert states(connection)["bad-1"] == ("delivered", 5)
    assert len({one.headers["webhook-id"] for one in hook.heard if one.version == 1 and one.stream == "bad"}) == 1
    verified = from_the_page()
    assert all(verified(SECRET, one.headers, one.body) for one in hook.heard)


@pytest.mark.usefixtures("_quick")
def test_a_stream_that_hangs_holds_up_no_other(ledger_env: Any, connection: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(calling, "TIMEOUT_SECONDS", 20.0)
    with receiver() as hook, calling_to(ledger_env, hook, []) as caller:
        hook.script("slow", "hang")
        put(connection, row("slow", 1), row("slow", 2))
        put(connection, *(row(f"quick-{number}", 1) for number in range(50)))
        caller.wake()
        wait_until(lambda: sum(state == "delivered" for state, _ in states(connection).values()) == 50)
        assert states(connection)["slow-1"] == ("waiting", 1)
        hook.released.set()
        wait_until(lambda: states(connection)["slow-2"][0] == "delivered")
    assert hook.of("slow") == [1, 1, 2]


@pytest.mark.usefixtures("_quick")
def test_a_receiver_that_is_gone_or_never_answers_ends_in_dead_calls_that_can_be_made_again(
    ledger_env: Any, connection: Any
) -> None:
    with receiver() as hook, calling_to(ledger_env, hook, []):
        hook.script("gone", 410)
        hook.script("never", *[503] * 6)
        put(connection, row("gone", 1), row("gone", 2), row("never", 1), row("never", 2))
        wait_until(lambda: states(connection)["never-2"][0] == states(connection)["gone-2"][0] == "delivered")
        assert states(connection)["gone-1"] == ("dead", 1)
        assert states(connection)["never-1"] == ("dead", 6)
        settings = webhook_settings(ledger_env, hook.url)
        (check,) = effects_checks(ledger_env.services, settings)
        assert (check.verdict, check.what) == ("warn", "2 calls of webhook are dead")
        (again,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        connection.execute(again)
        wait_until(lambda: {state for state, _ in states(connection).values()} == {"delivered"})
        (check,) = effects_checks(ledger_env.services, settings)
        assert check.verdict == "ok"
    assert WORKER in wanted(settings)
    assert WORKER not in wanted(ledger_env.settings), "nothing where nobody is to be called"
    shown = connection.execute("SELECT fact, status, response_status FROM v_effect_calls").fetchall()
    assert set(shown) == {("OrderHeld", "delivered", 204)}


@pytest.mark.usefixtures("_quick")
def test_a_receiver_that_is_down_is_not_called_by_all_streams_at_once(
    ledger_env: Any, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "DELAYS_SECONDS", (0.05,) * 50)
    monkeypatch.setattr(calling, "BRAKE_SECONDS_MAX", 1.0)
    put(connection, *(row(f"o-{number}", 1) for number in range(500)))
    with receiver() as hook, calling_to(ledger_env, hook, []):
        hook.answer = 503
        wait_until(lambda: hook.heard)
        time.sleep(2)
        assert len(hook.heard) <= 3 * calling.CALLS_TOGETHER_MAX
        hook.answer = 204
        wait_until(lambda: {state for state, _ in states(connection).values()} == {"delivered"})


@pytest.mark.usefixtures("_quick")
def test_an_answer_becomes_a_command_and_one_that_was_not_sent_is_sent_without_a_second_call(
    ledger_env: Any, connection: Any
) -> None:
    sent: list[Any] = []
    put(connection, row("o-1", 1), row("o-2", 1))
    with connection.transaction():  # a process that died between the answer and its command
        (one, _) = sorted(claim(connection, ["webhook"], 10, 0))
        outbox.answered(connection, one, Answer(200, "label 7"))
    with receiver() as hook, calling_to(ledger_env, hook, sent, ASKED):
        wait_until(lambda: {state for state, _ in states(connection).values()} == {"delivered"})
    assert (hook.of("o-1"), hook.of("o-2")) == ([], [1])
    assert sent == [ASKED, ASKED]


@pytest.mark.usefixtures("_quick")
def test_a_stop_lets_go_of_calls_that_have_no_answer(
    ledger_env: Any, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "TIMEOUT_SECONDS", 20.0)
    monkeypatch.setattr(calling, "DRAIN_SECONDS", 0.1)
    with receiver() as hook:
        hook.answer = "hang"
        with calling_to(ledger_env, hook, []):
            put(connection, row("a", 1))
            wait_until(lambda: hook.heard)
    assert states(connection) == {"a-1": ("waiting", 0)}
    assert due(connection) == ["a-1"]
