"""What no product can do without: reading the facts from Kafka, decoding them, and a COPY into PostgreSQL.

The facts are those that the ledger has just written, so they are the size and the mixture of the real ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import polars as pl
from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition

from benchmarks.ours import Ours
from benchmarks.place import Place
from events.catalogue import LEDGER_TOPICS
from processors.projector.decode import Decoder
from processors.subjects import codec_for
from runtime.kafka import consumer, end_offsets
from runtime.postgres import connect

#: Messages taken at a time: more is only memory, fewer calls the client more often.
TOGETHER = 10_000
COPIED = "CREATE TEMP TABLE copied (topic text, part int, position bigint, value bytea)"


def floors(place: Place, ours: Ours) -> dict[str, Any]:
    """Records a second, and CPU µs a record by process, of each floor."""
    found = {}
    messages: list[Message] = []
    found["consume"] = _timed(place, lambda: _consume(ours, messages.extend))
    decoder = Decoder(codec_for(None, ours.services.topic_prefix))
    found["consume and decode"] = _timed(place, lambda: _consume(ours, lambda some: _decode(decoder, some)))
    rows = [(one.topic(), one.partition(), one.offset(), one.value()) for one in messages]
    with connect(ours.services, "floor") as connection:
        connection.execute(COPIED)

        def copy() -> int:
            with connection.cursor().copy("COPY copied FROM STDIN (FORMAT binary)") as into:
                into.set_types(["text", "int4", "int8", "bytea"])
                for row in rows:
                    into.write_row(row)
            return len(rows)

        found["COPY"] = _timed(place, copy)
    return found


def _timed(place: Place, work: Callable[[], int]) -> dict[str, Any]:
    servers, own, begun = place.server_cpu(0), time.process_time(), time.monotonic()
    records = work()
    seconds, client = time.monotonic() - begun, time.process_time() - own
    spent = {name: seconds - servers[name] for name, seconds in place.server_cpu(0).items()} | {"client": client}
    return {
        "records": records,
        "records_per_second": round(records / seconds),
        "cpu_us_a_record": {name: round(value / records * 1e6, 2) for name, value in spent.items()},
    }


def _consume(ours: Ours, take: Callable[[list[Message]], Any]) -> int:
    ends = end_offsets(ours.services, [ours.services.topic(name) for name in LEDGER_TOPICS])
    wanted = sum(ends.values())
    reader = consumer(ours.services, "floor")
    reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for (topic, number), end in ends.items() if end])
    seen = 0
    try:
        while seen < wanted:
            some = [message for message in reader.consume(TOGETHER, 0.1) if message.error() is None]
            take(some)
            seen += len(some)
    finally:
        reader.close()
    return seen


def _decode(decoder: Decoder, messages: list[Message]) -> None:
    if messages:
        position = pl.DataFrame(
            {
                "topic": [message.topic() for message in messages],
                "partition": [message.partition() for message in messages],
                "offset": [message.offset() or 0 for message in messages],
            }
        )
        decoder.decode([message.value() for message in messages], position)
