"""Orders, SKUs and reactions in memory: the real deciders and the real reactions, in an order that a seed chooses.

shop = Shop(seed=7)
shop.ask(receive(1, sku="A"), place(...))
shop.run()
shop.orders["o-1"].fully_allocated
"""

from __future__ import annotations

from collections import defaultdict, deque
from random import Random
from typing import Any

from events.catalogue import COMMANDS, STREAMS
from events.envelope import INTERNAL_CHANNEL, About, Command, Recorded, Refused
from events.orders.state import Order
from events.stock.rules import resolved
from events.stock.state import Stock
from events.streams import StreamKey
from processors.reactions.sourcing import Lookups
from processors.reactions.wiring import react
from tests.support.given import NOW, at_registered_places

#: Steps after which something must be going round in circles: the largest of these stories takes a few hundred.
STEPS_MAX = 2_000


class Shop:
    """Streams are served in any order, each in its own order; facts reach the reactions late and in any grouping.

    `joined`: all SKUs have joined all places of these stories before they begin.
    """

    def __init__(self, seed: int, *, joined: bool = True) -> None:
        self.random = Random(seed)
        self.states: dict[StreamKey, Any] = {}
        self.versions: dict[StreamKey, int] = defaultdict(int)
        self.waiting: dict[StreamKey, deque[tuple[str, str, Any]]] = defaultdict(deque)
        self.unread: dict[StreamKey, deque[Recorded[Any]]] = defaultdict(deque)
        self.seen: set[tuple[str, str]] = set()
        self.facts: list[Any] = []
        self.number = 0
        #: The projector is down: reactions look at tables that know of no stock.
        self.blind = False
        self.joined = joined

    @property
    def orders(self) -> dict[str, Order]:
        return {key: state for (kind, key), state in self.states.items() if kind == "order" and state}

    @property
    def skus(self) -> dict[str, Stock]:
        return {key: state for (kind, key), state in self.states.items() if kind == "stock"}

    def ask(self, *commands: Any) -> None:
        for data in commands:
            self.number += 1
            self._send("web", f"web-{self.number}", data)

    def run(self) -> None:
        """Until nothing is under way."""
        for _ in range(STEPS_MAX):
            work = [("decide", key) for key, queue in self.waiting.items() if queue]
            work += [("react", key) for key, facts in self.unread.items() if facts]
            if not work:
                return
            kind, key = self.random.choice(work)
            if kind == "decide":
                self._decide(key)
            else:
                self._react(key)
        raise AssertionError(f"no end after {STEPS_MAX} steps: {[type(one).__name__ for one in self.facts[-12:]]}")

    def _send(self, channel: str, command_id: str, data: Any) -> None:
        row = COMMANDS[type(data).__name__]
        self.waiting[StreamKey(row.kind, getattr(data, row.key))].append((channel, command_id, data))

    def _decide(self, key: StreamKey) -> None:
        channel, command_id, data = self.waiting[key].popleft()
        if (channel, command_id) in self.seen:
            return
        self.seen.add((channel, command_id))
        kind = STREAMS[key.kind]
        begun = kind.begin(key.id)
        state = self.states.setdefault(key, at_registered_places(begun) if self.joined else begun)
        answer = kind.decide(
            state, Command(id=command_id, channel=channel, occurred_at=NOW, recorded_at=NOW, data=data)
        )
        if isinstance(answer, Refused):
            # A release may come after its wait was over; everything else that is asked here can be done.
            assert channel == INTERNAL_CHANNEL and answer.at_most == 0, answer  # noqa: PT018
            return
        for fact in answer:
            self.states[key] = kind.evolve(self.states[key], fact, About(channel, NOW, NOW))
            self.versions[key] += 1
            self.facts.append(fact)
            self.unread[key].append(self._recorded(key, fact, channel, command_id))

    def _recorded(self, key: StreamKey, fact: Any, channel: str, command_id: str) -> Recorded[Any]:
        return Recorded(
            event_id=f"{key.id}.{self.versions[key]}",
            stream_id=key.id,
            stream_kind=key.kind,
            version=self.versions[key],
            decision=1,
            follows=0,
            index=1,
            count=1,
            epoch=0,
            intake_offset=0,
            occurred_at=NOW,
            recorded_at=NOW,
            command_id=command_id,
            command_digest=0,
            correlation_id=command_id,
            channel=channel,
            data=fact,
        )

    def _react(self, key: StreamKey) -> None:
        facts = [self.unread[key].popleft() for _ in range(self.random.randint(1, len(self.unread[key])))]
        available = {
            sku: {
                place: level.available
                for place, level in stock.levels.items()
                if level.registered and level.available > 0
            }
            for sku, stock in self.skus.items()
        }
        kept = {
            sku: {place: resolved(level.chain) for place, level in stock.levels.items()}
            for sku, stock in self.skus.items()
        }
        if self.blind:
            available = {}
        for asked in react(facts, Lookups(available, {}, kept)):
            self._send(INTERNAL_CHANNEL, asked.id, asked.data)
