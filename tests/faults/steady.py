"""Orders at a steady rate from a process of its own, until its input ends; then it prints what was acknowledged.

    python -m tests.faults.steady r7 7 500 40     # prefix of the names, seed, orders a second, seconds at most

All is encoded before: two cores that are busy with everything else cannot encode 500 orders a second as well. Then it
says "ready", and begins when it is told a line.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from random import Random

from confluent_kafka import KafkaError, Message

from gateway.sending.commands import check
from processors.subjects import codec_for
from runtime.kafka import producer
from runtime.services import find_services
from runtime.settings import Settings
from tests.faults.ground import load

PIECES_A_SECOND = 5


def main(prefix: str, seed: int, rate: int, seconds: int) -> None:
    services = find_services(Settings())
    codec = codec_for(services.schema_registry, services.topic_prefix)
    draw, done = Random(seed), threading.Event()
    pieces = []
    for number in range(seconds * PIECES_A_SECOND):
        commands = load(draw, f"{prefix}-{number}", orders=rate // PIECES_A_SECOND)
        for one in commands:
            one["id"] = f"{prefix}-{one['id']}"  # the numbers begin anew in each process
        piece = []
        for one in commands:
            parsed = check(one)
            name = (one["channel"], one["id"])
            piece.append((services.topic(parsed.type.topic), parsed.encode(codec), parsed.key, name))
        pieces.append(piece)
    print("ready", flush=True)
    sys.stdin.readline()
    threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    client = producer(services, linger_ms=20)
    began, sent, acknowledged = time.monotonic(), 0, []
    for piece in pieces:
        for topic, value, key, name in piece:
            client.produce(topic, value, key, on_delivery=delivered)
            acknowledged.append(name)
        client.poll(0)
        sent += 1
        if done.wait(max(0.0, began + sent / PIECES_A_SECOND - time.monotonic())):
            break
    while client.flush(5.0):
        pass
    took = time.monotonic() - began
    if failed:
        sys.exit(f"{len(failed)} records were not acknowledged: {failed[0]}")
    orders = sent * (rate // PIECES_A_SECOND)
    done.wait()
    print(json.dumps({"orders": orders, "seconds": took, "acknowledged": acknowledged}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
