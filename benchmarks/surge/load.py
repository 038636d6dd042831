"""The channel of a surge: a load that follows a plan, and lone orders beside it whose wait is measured."""

from __future__ import annotations

import gc
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from random import Random

from benchmarks.ours import Ours
from benchmarks.place import Place
from benchmarks.sender import Sender
from benchmarks.subject import Connection, Record
from benchmarks.surge.plan import Plan
from benchmarks.traffic import Traffic
from projections.order_status.reader import those_with_status

#: The load is sent in steps of this length. Longer makes bursts, shorter only wakes the sender.
STEP_SECONDS = 0.02
#: Orders made at a time before the surge. More is memory.
MADE_AT_ONCE = 5_000
#: Between two lone orders, on average. More orders make a better 99th percentile, and are more load themselves.
LONE_SECONDS = 0.15
#: The tables are asked for the lone orders after this share of the oldest one's wait, so that a short wait is measured
#: to milliseconds and a long one costs few queries; and between these bounds.
LOOK_SHARE, LOOK_SECONDS_MIN, LOOK_SECONDS_MAX = 0.02, 0.005, 0.5


class Orders:
    """Makes the records of orders, for several threads."""

    def __init__(self, subject: Ours, traffic: Traffic) -> None:
        self._subject, self._traffic = subject, traffic
        self._lock = threading.Lock()

    def make(self, count: int) -> list[tuple[str, Record]]:
        """(order id, its record) of so many new orders."""
        with self._lock:
            orders = [self._traffic.order() for _ in range(count)]
            records = self._subject.records(orders)
        return [(order.order_id, record) for order, record in zip(orders, records, strict=True)]


class Load:
    """Sends orders as planned. Those up to the end of the peak are made beforehand: a channel's own work is not what is
    measured, and it shares the machine.
    """

    def __init__(self, place: Place, orders: Orders, plan: Plan) -> None:
        self._orders, self._plan = orders, plan
        self._ready: deque[Record] = deque()
        while (left := plan.due(plan.peak_ends) - len(self._ready)) > 0:
            self._ready += [record for _, record in orders.make(min(left, MADE_AT_ONCE))]
        gc.freeze()  # they live long: the collector need not look at them again and again
        self._sender = Sender(place.kafka, 5)
        self._stop = threading.Event()
        self.sent = 0

    def run(self, began: float) -> None:
        """Until stopped. `began` is a time of the monotonic clock."""
        while not self._stop.wait(STEP_SECONDS):
            due = self._plan.due(time.monotonic() - began) - self.sent
            while due > len(self._ready) and not self._stop.is_set():
                self._ready += [record for _, record in self._orders.make(due - len(self._ready))]
            for _ in range(due):
                self._sender.send(self._ready.popleft())
            self.sent += due
        for record in self._ready:  # they were counted when they were made
            self._sender.send(record)
        self.sent += len(self._ready)
        self._sender.finish()

    def stop(self) -> None:
        self._stop.set()


@dataclass
class Lone:
    """Sends one order after the other, and notes when each was sent and when PostgreSQL showed it as allocated."""

    place: Place
    orders: Orders
    connection: Connection
    #: (when sent, in seconds since the beginning; seconds until visible), in the order in which they got visible.
    waits: list[tuple[float, float]] = field(default_factory=list)
    sent: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _given_up: threading.Event = field(default_factory=threading.Event)

    def run(self, began: float) -> None:
        """Until stopped and all orders are visible. `began` is a time of the monotonic clock."""
        sender, draw = Sender(self.place.kafka, 0), Random(3)
        waiting: dict[str, float] = {}
        next_order = next_look = time.monotonic()
        while (waiting or not self._stop.is_set()) and not self._given_up.is_set():
            now = time.monotonic()
            if now >= next_order and not self._stop.is_set():
                ((order_id, record),) = self.orders.make(1)
                waiting[order_id] = time.monotonic()
                sender.send(record)
                self.sent += 1
                next_order = now + draw.uniform(0.0, 2 * LONE_SECONDS)
            if waiting and now >= next_look:
                for order_id in those_with_status(self.connection, waiting, "allocated"):
                    begun = waiting.pop(order_id)
                    self.waits.append((begun - began, time.monotonic() - begun))
                oldest = now - min(waiting.values(), default=now)
                next_look = time.monotonic() + min(LOOK_SECONDS_MAX, max(LOOK_SECONDS_MIN, oldest * LOOK_SHARE))
            time.sleep(0.002)
        sender.finish()

    def stop(self) -> None:
        self._stop.set()

    def give_up(self) -> None:
        """Wait no longer for orders that are not visible."""
        self._given_up.set()
