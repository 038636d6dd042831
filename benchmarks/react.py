"""What the reactions cost: CPU µs a fact and an order, by step and by size of batch.

    python -m benchmarks.react --orders 3000 --batches 10,100,1000,8000 --json

Orders of 3 lines, 1,000 SKUs at 5 locations, plenty of stock. The facts are those that the deciders state for them: of
each order OrderPlaced, 3 StockReserved, 3 LineAllocated and OrderAllocated. The engine reads them in batches. Look-ups
are answered from memory, positions are kept in memory, and commands are encoded and not sent: no client of Kafka or
PostgreSQL counts, and no Faust.

`read`: decode and follow the chain. `react`: routing and the other reactions. `encode`: commands to bytes. `rest`:
structs of wanted facts, needs, positions.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

from events.catalogue import COMMANDS, LEDGER_OF_INTAKE
from events.locations.commands import RegisterLocation
from events.orders.commands import OrderLine
from events.orders.placing import PlaceOrder
from events.stock.commands import ReceiveStock
from events.values import ShipTo
from processors.following.facts import FactDecoder
from processors.following.follower import Fetched
from processors.following.positions import Move, Partition, Position
from processors.ledger.partition import Decided, PartitionLedger
from processors.reactions import engine as engine_module
from processors.reactions.asked import Asked
from processors.reactions.engine import Engine
from processors.reactions.rows import Due
from processors.reactions.sender import encode
from processors.reactions.sourcing import Lookups
from processors.reactions.wiring import REACTED_TO, react
from processors.routing.model import Place
from runtime.kafka import murmur2_partition
from schemas.codec import Codec

AT = datetime(2026, 11, 27, 18, tzinfo=UTC)
SKUS, LINES, PARTITIONS = 1_000, 3, 4
PLACES = {
    name: Place(name, 48.0 + number, 9.0 + number, 400 + 10 * number, "warehouse", "DE")
    for number, name in enumerate(("WH1", "WH2", "WH3", "WH4", "WH5"))
}
LOOKUPS = Lookups({f"S{n}": dict.fromkeys(PLACES, 1_000_000) for n in range(SKUS)}, PLACES)
#: Orders that are placed together: their facts lie among each other, as in a flood.
TOGETHER = 50

Stated = tuple[Partition, int, bytes, bytes]
"""(topic, partition), offset, key, value."""


class Flow:
    """Deciders and reactions in memory. `asked` are all commands and `stated` all facts, in their order."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._decoder = FactDecoder(codec, REACTED_TO)
        self._ledgers: dict[Partition, PartitionLedger] = {}
        self._offsets: Counter[Partition] = Counter()
        self.asked: list[tuple[Partition, bytes]] = []
        self.stated: list[Stated] = []

    def send(self, asked: Sequence[Asked]) -> list[bytes]:
        """Decide these commands. Returns the values of the facts."""
        values = []
        for one in asked:
            topic, key = COMMANDS[one.name].topic, one.key.encode()
            number = murmur2_partition(key, PARTITIONS)
            place = (topic, number)
            if place not in self._ledgers:
                self._ledgers[place] = PartitionLedger(topic, number, partitions=PARTITIONS, codec=self._codec)
            ledger = self._ledgers[place]
            value = encode(self._codec, one)
            self.asked.append((place, value))
            outcome = ledger.decide(ledger.next_intake, int(AT.timestamp() * 1000), key, value)
            assert isinstance(outcome, Decided), outcome
            out = (LEDGER_OF_INTAKE[topic], number)
            for fact in outcome.facts:
                self.stated.append((out, self._offsets[out], fact.key, fact.value))
                self._offsets[out] += 1
                values.append(fact.value)
        return values

    def settle(self, asked: Sequence[Asked]) -> None:
        """Decide these commands, and what the reactions ask for because of them, until nothing more is asked."""
        while asked:
            records = [self._decoder.read(value)[1] for value in self.send(asked)]
            asked = react([self._decoder.as_fact(record) for record in records if record is not None], LOOKUPS)


def stock_up(flow: Flow) -> None:
    """Stock of everything at all locations."""
    flow.settle([
        *(_asked(f"l-{one}", RegisterLocation(location_id=one, name=one, kind="warehouse")) for one in PLACES),
        *(
            _asked(f"r-{sku}-{place}", ReceiveStock(sku=sku, location_id=place, quantity=1_000_000))
            for sku in LOOKUPS.available
            for place in PLACES
        ),
    ])  # fmt: skip


def sell(flow: Flow, orders: int, seed: int = 1) -> None:
    """So many orders that take from it."""
    random = Random(seed)
    for first in range(0, orders, TOGETHER):
        placed = []
        for number in range(first, min(orders, first + TOGETHER)):
            lines = tuple(
                OrderLine(line_id=str(n), sku=f"S{s}", quantity=random.randint(1, 3), unit_price_minor=1_990)
                for n, s in enumerate(random.sample(range(SKUS), LINES), 1)
            )
            where = ShipTo(
                country="DE", postcode="10115", name="A. Person", street="Street 1", city="Berlin",
                latitude=round(random.uniform(48, 54), 4), longitude=round(random.uniform(7, 14), 4),
            )  # fmt: skip
            order = PlaceOrder(
                order_id=f"o-{number:06}", customer_id=f"c-{number % 997}", currency="EUR", lines=lines, ship_to=where
            )
            placed.append(_asked(f"p-{number:06}", order))
        flow.settle(placed)


def stated(codec: Codec, orders: int) -> tuple[list[Stated], list[Stated]]:
    """The facts of the stock, and those of the orders."""
    flow = Flow(codec)
    stock_up(flow)
    before = len(flow.stated)
    sell(flow, orders)
    return flow.stated[:before], flow.stated[before:]


def _asked(command_id: str, data: Any) -> Asked:
    return Asked(command_id, data, "shop", AT, None, None)


class Positions:
    """Positions in memory."""

    def __init__(self) -> None:
        self.at: dict[Partition, Position] = {}

    def load(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        return {one: self.at.setdefault(one, Position()) for one in partitions}

    def stored(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        return {one: self.at[one] for one in partitions}

    def save(self, moves: Mapping[Partition, Move]) -> set[Partition]:
        self.at |= {one: move.after for one, move in moves.items()}
        return set()


class Known:
    """Look-ups that are always the same: of the SKUs that are asked for, as the tables give them."""

    def read(self, skus: Collection[str], carts: Collection[str], moments: Collection[datetime]) -> Lookups:  # noqa: ARG002
        return LOOKUPS._replace(available={sku: LOOKUPS.available[sku] for sku in skus})

    def due(self, queries: Sequence[Due], now: datetime) -> list[Sequence[Any]]:  # noqa: ARG002
        return [()] * len(queries)


class Encoding:
    """A sender that encodes and sends nothing."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.commands: Counter[str] = Counter()

    def send(self, batch: Sequence[Asked]) -> None:
        for one in batch:
            encode(self._codec, one)
            self.commands[one.name] += 1


class Watch:
    """CPU seconds by step; steps do not nest."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def timed(self, step: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            began = time.thread_time()
            try:
                return work(*arguments)
            finally:
                self.seconds[step] += time.thread_time() - began

        return call


def batches(facts: Sequence[Stated], size: int) -> list[list[Fetched]]:
    """So many facts together, by partition, as fetches bring them."""
    found = []
    for first in range(0, len(facts), size):
        by_partition: dict[Partition, list[tuple[int, bytes | None]]] = {}
        for partition, offset, _, value in facts[first : first + size]:
            by_partition.setdefault(partition, []).append((offset, value))
        found.append([Fetched(*partition, values[0][0], values) for partition, values in by_partition.items()])
    return found


def measure(codec: Codec, stock: Sequence[Stated], facts: Sequence[Stated], orders: int, size: int) -> dict[str, Any]:
    """The engine on these facts, in batches of this size, after those of the stock."""
    watch = Watch()
    encoding = Encoding(codec)
    engine = Engine(FactDecoder(codec, REACTED_TO), Positions(), Known(), encoding)
    engine.assign({partition for partition, *_ in (*stock, *facts)})
    for batch in batches(stock, 8_000):
        engine.handle(batch)
    engine.commands_sent = 0
    engine_module.react = watch.timed("react", react)  # type: ignore[attr-defined]
    engine._sender = Timed(watch.timed("encode", encoding.send))  # noqa: SLF001
    engine._follower.read = watch.timed("read", engine._follower.read)  # type: ignore[method-assign]  # noqa: SLF001
    work = batches(facts, size)
    gc.collect()
    began = time.thread_time()
    for batch in work:
        assert engine.handle(batch) == {}
    seconds = time.thread_time() - began
    rest = seconds - sum(watch.seconds.values())
    steps = {**watch.seconds, "rest": rest}
    return {
        "batch": size,
        "us_per_fact": round(seconds / len(facts) * 1e6, 1),
        "us_per_order": round(seconds / orders * 1e6, 1),
        "commands_per_order": round(engine.commands_sent / orders, 2),
        **{step: round(value / len(facts) * 1e6, 1) for step, value in steps.items()},
    }


class Timed:
    """A sender around a function."""

    def __init__(self, send: Callable[..., Any]) -> None:
        self.send = send


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=3_000)
    parser.add_argument("--batches", default="10,100,1000,8000")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    codec = Codec()
    stock, facts = stated(codec, options.orders)
    lines = [measure(codec, stock, facts, options.orders, int(size)) for size in options.batches.split(",")]
    if options.json:
        print(json.dumps({"orders": options.orders, "facts": len(facts), "results": lines}))
        return
    for line in lines:
        print("  ".join(f"{key} {value}" for key, value in line.items()))


if __name__ == "__main__":
    main()
