"""The load of a long run: a season of orders without end, sent at a pace.

load = Load(env, seed=1)
load.go(per_second=800)
load.pause()
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

from gateway.sending.commands import check
from processors.subjects import codec_for
from runtime.kafka import producer
from tests.conftest import LedgerEnv
from tests.support.shop import command, dispatch, open_places, place, receive

#: So few that each has as much to remember (attempts, movements of all its locations) as it ever will when the warm-up
#: is over. With 400 the last of that comes after twenty minutes, and what fills looks like what leaks.
SKUS = 120
#: An order is dispatched, delivered and sometimes returned so many orders after it was placed.
ORDERS_UNTIL_DISPATCH, ORDERS_UNTIL_DELIVERY, ORDERS_UNTIL_RETURN = 300, 600, 900


def season(draw: Random) -> Iterator[dict[str, Any]]:
    """Orders without end, and what becomes of them; stock is refilled as it is sold."""
    yield from open_places("WH0", "WH1", "WH2")
    for number in range(SKUS):
        yield receive(f"s{number}", f"WH{number % 3}", 1_000)
    placed: deque[tuple[str, list[tuple[str, int]]]] = deque(maxlen=ORDERS_UNTIL_RETURN + 1)
    number = 0
    while True:
        number += 1
        order_id = f"o{number}"
        lines = [(f"s{sku}", draw.randint(1, 3)) for sku in draw.sample(range(SKUS), draw.randint(1, 3))]
        yield place(order_id, *lines, allocation=draw.choice(("ship_available", "ship_available", "all_or_nothing")))
        for sku, quantity in lines:
            if draw.random() < 0.1:
                yield receive(sku, f"WH{int(sku[1:]) % 3}", 10 * quantity)
        if draw.random() < 0.08:
            yield command("CancelOrder", order_id=order_id, reason="changed mind")
        placed.append((order_id, lines))
        yield from _fates(draw, placed)


def _fates(draw: Random, placed: deque[tuple[str, list[tuple[str, int]]]]) -> Iterator[dict[str, Any]]:
    count = len(placed)
    if count > ORDERS_UNTIL_DISPATCH:
        order_id, lines = placed[-1 - ORDERS_UNTIL_DISPATCH]
        goods = [(str(n), quantity) for n, (_, quantity) in enumerate(lines, start=1)]
        yield dispatch(order_id, f"{order_id}-p", f"WH{int(lines[0][0][1:]) % 3}", *goods)
    if count > ORDERS_UNTIL_DELIVERY:
        order_id, _ = placed[-1 - ORDERS_UNTIL_DELIVERY]
        yield command("RecordTracking", order_id=order_id, shipment_id=f"{order_id}-p", status="delivered")
    if count > ORDERS_UNTIL_RETURN and draw.random() < 0.05:
        order_id, lines = placed[0]
        back = [{"line_id": "1", "quantity": lines[0][1], "disposition": "restock"}]
        yield command("ReceiveReturn", order_id=order_id, return_id=f"{order_id}-r", location_id="WH0", lines=back)


class Load:
    """Sends a season at a pace, in a thread of its own. `acknowledged` are (channel, id) that Kafka has taken."""

    def __init__(self, env: LedgerEnv, seed: int) -> None:
        self._commands = season(Random(seed))
        self._services = env.services
        self._codec = codec_for(None, env.services.topic_prefix)
        self._producer = producer(env.services, linger_ms=20, delivery_timeout_ms=120_000)
        self.acknowledged: set[tuple[str, str]] = set()
        self.failed = 0
        self.sent = 0
        self.per_second = 0.0
        self._going = threading.Event()
        self._stopped = threading.Event()
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def burst(self, count: int) -> None:
        """So many at once; returns when all are acknowledged."""
        for _ in range(count):
            self._send()
        self._producer.flush(120)

    def go(self, per_second: float) -> None:
        self.per_second = per_second
        self._idle.clear()
        self._going.set()

    def pause(self) -> None:
        """Returns when all that was sent has its answer."""
        self._going.clear()
        self._idle.wait(150)
        self._producer.flush(120)

    def close(self) -> None:
        self._stopped.set()
        self._going.set()
        self._thread.join()

    def _send(self) -> None:
        document = next(self._commands)
        parsed = check(document)
        asked = (document["channel"], document["id"])

        def delivered(error: Any, _message: Any) -> None:
            if error is None:
                self.acknowledged.add(asked)
            else:
                self.failed += 1

        topic = self._services.topic(parsed.type.topic)
        self._producer.produce(topic, parsed.encode(self._codec), parsed.key, on_delivery=delivered)
        self.sent += 1

    def _run(self) -> None:
        while not self._stopped.is_set():
            if not self._going.is_set():
                self._idle.set()
                self._going.wait(0.2)
                continue
            begun = time.monotonic()
            for _ in range(max(1, round(self.per_second / 10))):
                try:
                    self._send()
                except BufferError:
                    break  # Kafka is away: what waits is enough
            self._producer.poll(0)
            time.sleep(max(0.0, begun + 0.1 - time.monotonic()))
