"""A fixed piece of work that resembles the flow: what one order costs it says how fast this machine is just now.

Documents go through Kafka, are parsed, change states, are written again, and their rows are copied to PostgreSQL. It is
never made faster: what is kept is the ledger's CPU divided by its CPU, in the same minute, on the same servers.
"""

from __future__ import annotations

import io
import json
import time
from random import Random

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from benchmarks.ours import Ours
from runtime.kafka import TopicSpec, create_topics
from runtime.postgres import connect

PARTITIONS = 6
TOPIC, OUT = "reference.in", "reference.out"
#: Documents of each kind that a parsed document leads to.
STEPS = 4
TABLE = """
CREATE TABLE IF NOT EXISTS reference (
  id bigint PRIMARY KEY, sku text NOT NULL, quantity bigint NOT NULL, state text NOT NULL, data jsonb
) WITH (autovacuum_enabled = false)
"""


class Reference:
    """The work, in this process, on the ledger's servers. It uses the clients directly, with fixed settings."""

    def __init__(self, ours: Ours) -> None:
        self._ours = ours
        services = ours.services
        self._topics = [services.topic(TOPIC), services.topic(OUT)]
        create_topics(services, [TopicSpec(name, PARTITIONS) for name in self._topics])
        self._connection = connect(services, "reference")
        self._connection.execute(TABLE)
        self._connection.commit()
        kafka = {"bootstrap.servers": services.bootstrap_servers}
        self._producer = Producer(kafka | {"linger.ms": 5, "compression.type": "lz4", "enable.idempotence": True})
        self._consumer = Consumer(kafka | {"group.id": services.group("reference"), "enable.auto.commit": False})
        self._consumer.assign([TopicPartition(self._topics[0], n, OFFSET_BEGINNING) for n in range(PARTITIONS)])
        self._random = Random(3)
        self._done = 0
        self._states: dict[str, dict[str, int]] = {}

    def round(self, orders: int) -> float:
        """CPU seconds of this process for so many documents."""
        documents = [self._document(number) for number in range(self._done, self._done + orders)]
        self._done += orders
        begun = time.process_time()
        for document in documents:
            self._producer.produce(self._topics[0], json.dumps(document).encode(), document["id"].encode())
            self._producer.poll(0)
        self._producer.flush()
        rows = io.StringIO()
        taken = 0
        while taken < orders:
            for message in self._consumer.consume(1_000, 0.05):
                value = message.value()
                if message.error() is None and value is not None:
                    self._work(json.loads(value), rows)
                    taken += 1
        self._producer.flush()
        with self._connection.cursor() as cursor, cursor.copy("COPY reference FROM STDIN") as copy:
            copy.write(rows.getvalue())
        self._connection.commit()
        return time.process_time() - begun

    def _document(self, number: int) -> dict[str, str]:
        lines = [{"sku": f"SKU-{self._random.randrange(1_000):05}", "quantity": n} for n in range(1, 4)]
        return {"id": f"{number}", "channel": "web", "customer": f"C{number % 997}", "lines": json.dumps(lines)}

    def _work(self, document: dict[str, str], rows: io.StringIO) -> None:
        lines = json.loads(document["lines"])
        for step in range(STEPS):
            for line in lines:
                state = dict(self._states.get(line["sku"], {}))
                state[f"step-{step}"] = state.get(f"step-{step}", 0) + line["quantity"]
                self._states[line["sku"]] = state
                said = {"step": step, "order": document["id"], **line, "state": state}
                self._producer.produce(self._topics[1], json.dumps(said).encode(), line["sku"].encode())
            self._producer.poll(0)
        data = json.dumps(lines)
        rows.write(f"{document['id']}\t{lines[0]['sku']}\t{lines[0]['quantity']}\tdone\t{data}\n")

    def close(self) -> None:
        self._consumer.close()
        self._connection.close()
