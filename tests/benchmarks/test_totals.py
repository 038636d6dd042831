"""A run whose totals are wrong must fail: each subject's check, with everything right and with one thing wrong."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import psycopg
import pytest

from benchmarks import ours as ours_module
from benchmarks.ours import Ours
from benchmarks.peers.faust_agents.subject import FaustAgents
from benchmarks.peers.peer import RECEIPTS, TABLES
from benchmarks.traffic import LOCATIONS, UNITS_IN_STOCK, Traffic, receipts

ALL_UNITS = RECEIPTS * UNITS_IN_STOCK


def our_subject(monkeypatch, traffic, *, allocated=None, reserved=None, others=0, dead=0, equal=True):
    """The ledger as a subject, with these figures in its tables."""
    orders = traffic.orders if allocated is None else allocated
    stock = SimpleNamespace(on_hand=ALL_UNITS, reserved=traffic.units if reserved is None else reserved)
    monkeypatch.setattr(ours_module, "connect", lambda *_, **__: psycopg_stub())
    monkeypatch.setattr(ours_module, "Gauge", lambda *_: None)
    monkeypatch.setattr(ours_module, "settle", lambda *_: None)
    monkeypatch.setattr(ours_module, "read_stock_totals", lambda _: stock)
    monkeypatch.setattr(ours_module, "count_by_status", lambda *_: {"allocated": orders})
    monkeypatch.setattr(ours_module, "count_others", lambda *_: others)
    monkeypatch.setattr(ours_module, "verify", lambda *_: SimpleNamespace(equal=equal))
    subject = object.__new__(Ours)
    subject.connection, subject._asked, subject._codec = None, [], None
    subject.services = SimpleNamespace(topic=lambda name: name)
    subject.topics = lambda: {ours_module.DEAD_LETTERS: dead}
    return subject


def psycopg_stub():
    class Connection:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    return Connection()


def sold(orders=3):
    traffic = Traffic()
    return traffic, [traffic.order() for _ in range(orders)]


def test_right_totals_of_the_ledger_are_right(monkeypatch):
    traffic, _ = sold()
    assert our_subject(monkeypatch, traffic).wrong(traffic) == []


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"allocated": 2}, "allocated orders: 2, not 3"),
        ({"reserved": 1}, "units reserved: 1"),
        ({"others": 1}, "other orders: 1, not 0"),
        ({"dead": 1}, "dead letters: 1, not 0"),
        ({"equal": False}, "not the fold of the ledger"),
    ],
)
def test_a_wrong_total_of_the_ledger_is_named(monkeypatch, figures, said):
    traffic, _ = sold()
    (found,) = our_subject(monkeypatch, traffic, **figures).wrong(traffic)
    assert said in found


@pytest.fixture
def sink(monkeypatch):
    """The module of the Faust peer's sink: it is an app as soon as it is imported."""
    monkeypatch.setenv("PREFIX", "test.")
    monkeypatch.setenv("BOOTSTRAP", "127.0.0.1:1")
    from benchmarks.peers.faust_agents import sink

    return sink


@pytest.fixture
def peer(ledger_env, sink):
    """A peer's tables after three orders, and what was ordered."""
    traffic, orders = sold()
    connection = psycopg.connect(ledger_env.services.postgres, autocommit=True)
    connection.execute(TABLES)
    asyncio.run(fill(ledger_env.services.postgres, sink, orders))
    subject = object.__new__(FaustAgents)
    subject.connection = connection
    yield subject, traffic
    connection.close()


async def fill(conninfo, sink, orders):
    facts = [stated("StockReceived", f"r-{n}", 1, **receipt._asdict()) for n, receipt in enumerate(receipts())]
    for order in orders:
        rest = order._asdict() | {"currency": "EUR", "country": "DE", "lines": [line._asdict() for line in order.lines]}
        facts.append(stated("OrderPlaced", f"{order.order_id}-p", 1, **rest))
        for version, line in enumerate(order.lines, 2):
            of = {
                "order_id": order.order_id, "line_id": line.line_id, "sku": line.sku, "quantity": line.quantity,
                "location_id": LOCATIONS[0][0],
            }  # fmt: skip
            facts.append(stated("StockReserved", f"{order.order_id}-{version}-s", version, **of))
            facts.append(stated("LineAllocated", f"{order.order_id}-{version}", version, **of))
        facts.append(stated("OrderAllocated", f"{order.order_id}-a", len(order.lines) + 2, order_id=order.order_id))
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        for first in range(0, len(facts), 5_010):  # an order begins in one batch and ends in the next
            await sink.Batch(facts[first : first + 5_010]).write(connection)


def stated(name, event_id, version, **data):
    envelope = {"occurred_at": 1e9, "recorded_at": 1e9, "command_id": "c", "channel": "web", "correlation_id": "c"}
    return {"fact": name, "event_id": event_id, "version": version, **envelope, **data}


def test_right_totals_of_a_peer_are_right(peer):
    subject, traffic = peer
    assert subject.wrong(traffic) == []
    assert subject.visible() == traffic.orders
    assert subject.sees("o-00000001")
    assert not subject.sees("o-00000009")


SHELF = "sku = 'SKU-00000' AND location_id = 'L0'"


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("UPDATE peer_orders SET allocated = 1 WHERE order_id = 'o-00000001'", "allocated orders: 2, not 3"),
        ("DELETE FROM peer_lines WHERE order_id = 'o-00000001' AND line_id = '1'", "allocated lines: 8, not 9"),
        (f"UPDATE peer_stock SET on_hand = on_hand - 1 WHERE {SHELF}", "units on hand"),
        (f"UPDATE peer_stock SET reserved = reserved + 1 WHERE {SHELF}", "units reserved"),
        (f"UPDATE peer_stock SET reserved = on_hand + 1 WHERE {SHELF}", "oversold: 1"),
        ("INSERT INTO peer_history SELECT * FROM peer_history LIMIT 1", "rows of history"),
        ("DELETE FROM peer_history WHERE fact = 'OrderAllocated'", "orders with gaps in their history: 3"),
    ],
)
def test_a_wrong_total_of_a_peer_is_named(peer, harm, said):
    subject, traffic = peer
    subject.connection.execute(harm)
    assert any(said in one for one in subject.wrong(traffic))
