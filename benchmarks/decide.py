"""What a command costs in the ledger: decode, decide, encode, through the writer itself but without a broker.

    python -m benchmarks.decide --orders 4000 --json

Orders of 3 lines are placed, reserved and recorded as allocated: the commands are those that channel and reactions send
for them. The writer gets them in batches as a consumer hands them out, and hands its facts to a producer that only
counts them. States stay in memory; no snapshot is made.
"""

from __future__ import annotations

import argparse
import gc
import json
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

from benchmarks.react import AT, PARTITIONS, Flow, sell, stock_up
from events.catalogue import INTAKE_TOPICS
from processors.ledger import writer as writer_module
from processors.ledger.owned import Owned
from processors.ledger.partition import PartitionLedger
from processors.ledger.writer import BATCH_RECORDS_MAX, LedgerWriter
from runtime.services import Services
from runtime.settings import Settings
from schemas.codec import Codec

TIMESTAMP = (1, int(AT.timestamp() * 1000))


class Command(NamedTuple):
    """A record of an intake topic, as a consumer hands it out."""

    topic_name: str
    partition_number: int
    position: int
    content: bytes

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return self.topic_name

    def partition(self) -> int:
        return self.partition_number

    def offset(self) -> int:
        return self.position

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP

    def value(self) -> bytes:
        return self.content


class Counting:
    """A producer that sends nothing."""

    def __init__(self) -> None:
        self.facts = 0

    def produce(self, *_: Any) -> None:
        self.facts += 1


def commands_of(orders: int) -> tuple[list[Command], list[Command]]:
    """The commands of the stock, and those of so many orders."""
    flow = Flow(Codec())
    stock_up(flow)
    before = len(flow.asked)
    sell(flow, orders)
    ends: dict[tuple[str, int], int] = {}
    found = []
    for place, value in flow.asked:
        found.append(Command(*place, ends.get(place, 0), value))
        ends[place] = ends.get(place, 0) + 1
    return found[:before], found[before:]


def measure(warm: Sequence[Command], commands: Sequence[Command], orders: int) -> dict[str, Any]:
    """The writer on these commands, after those of the stock."""
    counting = Counting()
    with patch.object(writer_module, "gapless_producer", lambda _: counting):
        writer = LedgerWriter(
            Settings(), Services({"bootstrap.servers": "nobody:1"}, "", "configured", "configured"), threading.Event()
        )
    codec = Codec()
    writer._owned |= {  # noqa: SLF001 - as a takeover of empty partitions leaves it
        (topic, number): Owned(PartitionLedger(topic, number, partitions=PARTITIONS, codec=codec), 0)
        for topic in INTAKE_TOPICS
        for number in range(PARTITIONS)
    }
    decide: Any = writer._decide  # noqa: SLF001 - what the loop does with a batch
    for first in range(0, len(warm), BATCH_RECORDS_MAX):
        decide(warm[first : first + BATCH_RECORDS_MAX])
    before = counting.facts
    gc.collect()
    gc.disable()  # as the writer does
    began = time.process_time()
    for first in range(0, len(commands), BATCH_RECORDS_MAX):
        decide(commands[first : first + BATCH_RECORDS_MAX])
    seconds = time.process_time() - began
    gc.enable()
    facts = counting.facts - before
    return {
        "commands": len(commands),
        "commands_an_order": round(len(commands) / orders, 2),
        "facts_an_order": round(facts / orders, 2),
        "us_a_command": round(seconds / len(commands) * 1e6, 1),
        "us_an_order": round(seconds / orders * 1e6, 1),
        "commands_per_second": round(len(commands) / seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warm, commands = commands_of(options.orders)
    for _ in range(options.rounds):
        found = measure(warm, commands, options.orders)
        print(json.dumps(found) if options.json else "  ".join(f"{key} {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
