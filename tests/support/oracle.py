"""An oracle that shares no code with the product: a consumer, Avro reader, chain rule and sums of its own.

    oracle = Oracle(env)
    oracle.check(connection)         # reads what is new on the topics, then compares; AssertionError says what is wrong

It reads bytes with a plain consumer, decodes them with fastavro by the contracts on disk, follows the chain, and keeps
the few sums that nobody may get wrong: units per order line, units per SKU and location, who answered which command.
To be asked when the ledger is at rest.
"""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

SCHEMAS = Path(__file__).parents[2] / "schemas"
INTAKE = ("intake.orders", "intake.stock", "intake.service")
LEDGER = ("ledger.orders", "ledger.stock", "ledger.service")
KINDS = {
    "ledger.orders": {"order"},
    "ledger.stock": {"stock"},
    "ledger.service": {"case", "location", "routing", "category"},
}
INTERNAL = "order-ledger"
LINE = (
    "open",
    "backordered",
    "allocated",
    "shipped",
    "cancelled",
    "ordered",
    "delivered",
    "returned",
    "returned_by_customer",
)
STOCK = ("on_hand", "reserved", "damaged", "quality_hold")


def contracts() -> dict[int, tuple[str, Any]]:
    """(short name, schema) by the id that stands in front of a record."""
    found = {}
    for full_name, versions in json.loads((SCHEMAS / "ids.json").read_text()).items():
        _, kind, name = full_name.split(".")
        for version, schema_id in versions.items():
            schema = json.loads((SCHEMAS / f"envelope.{kind.removesuffix('s')}.avsc").read_text())
            schema["name"] = name
            schema["fields"][-1]["type"] = json.loads((SCHEMAS / kind / f"{name}.v{version}.avsc").read_text())
            found[schema_id] = (name, fastavro.parse_schema(schema))
    return found


class Chain:
    """One ledger partition: what counts, in order. `ignored` counts what does not."""

    def __init__(self) -> None:
        self.last = 0
        self.ignored = 0
        self._seen: dict[int, dict[int, Any]] = defaultdict(dict)

    def read(self, name: str, fact: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        if fact["follows"] != self.last:
            self.ignored += 1
            return []
        facts = self._seen[fact["decision"]]
        self.ignored += fact["index"] in facts
        facts.setdefault(fact["index"], (name, fact))
        if len(facts) < fact["count"]:
            return []
        self.last = fact["decision"]
        self.ignored += sum(len(others) for others in self._seen.values()) - len(facts)
        self._seen.clear()
        return [facts[index] for index in sorted(facts)]


class Oracle:
    """Knows what the tables must hold, from the bytes alone."""

    def __init__(self, env: Any) -> None:
        self._prefix = env.services.topic_prefix
        config = {
            **env.services.kafka_config,
            "group.id": f"{self._prefix}oracle",
            "enable.auto.commit": False,
            "log_level": 0,
        }
        self._consumer = Consumer(config)
        self._contracts = contracts()
        self._at: dict[tuple[str, int], int] = {}
        self._chains: dict[tuple[str, int], Chain] = defaultdict(Chain)
        self.intake: Counter[tuple[str, str]] = Counter()
        self.unreadable = 0
        self.answers: dict[tuple[str, str], set[tuple[str, int, int]]] = defaultdict(set)
        self.refused: dict[tuple[str, str], str] = {}
        self.versions: dict[tuple[str, str, str], int] = {}
        self.lines: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.stock: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.confirmed: set[tuple[str, str]] = set()
        self.holds: Counter[tuple[str, str, str]] = Counter()
        self.shortfalls: set[tuple[str, str]] = set()
        self.queued: dict[str, set[str]] = defaultdict(set)
        self.facts = 0
        self.wrong: list[str] = []

    def close(self) -> None:
        self._consumer.close()

    @property
    def ignored(self) -> int:
        """Facts that stand on the log and do not count: repeats, late writers, torn decisions."""
        return sum(chain.ignored for chain in self._chains.values())

    def last(self, topic: str, partition: int) -> int:
        """The decision that the next one of this ledger partition has to follow."""
        return self._chains[topic, partition].last

    # Reading

    def read(self) -> None:
        """Take in all that has come to the topics since."""
        topics = self._consumer.list_topics(timeout=30).topics
        ends: dict[tuple[str, int], int] = {}
        for name in (*INTAKE, *LEDGER):
            for number in topics[self._prefix + name].partitions:
                place = TopicPartition(self._prefix + name, number)
                ends[name, number] = self._consumer.get_watermark_offsets(place, timeout=30)[1]
        left = {place for place, end in ends.items() if self._at.get(place, 0) < end}
        if not left:
            return
        self._consumer.assign(
            [TopicPartition(self._prefix + n, p, self._at.get((n, p), OFFSET_BEGINNING)) for n, p in left]
        )
        while left:
            for message in self._consumer.consume(10_000, 0.5):
                assert message.error() is None, message.error()
                place = (message.topic().removeprefix(self._prefix), message.partition())
                if message.offset() >= self._at.get(place, 0):
                    self._take(place, message)
                    self._at[place] = message.offset() + 1
                if message.offset() + 1 >= ends[place]:
                    left.discard(place)
        self._consumer.unassign()

    def _take(self, place: tuple[str, int], message: Any) -> None:
        value = message.value()
        try:
            name, schema = self._contracts[int.from_bytes(value[1:5], "big")]
            assert value[0] == 0
            body = io.BytesIO(value[5:])
            record = fastavro.schemaless_reader(body, schema)
            assert not body.read(1), "bytes behind the record"
            assert ("follows" in record) == (place[0] in LEDGER), "a command among facts, or a fact among commands"
        except Exception:  # noqa: BLE001  # whatever makes bytes unreadable, they are unreadable
            self.unreadable += 1
            return
        if place[0] in INTAKE:
            self.intake[record["channel"], record["id"]] += 1
            return
        for accepted, fact in self._chains[place].read(name, record):
            self._count(place, accepted, fact)

    def _count(self, place: tuple[str, int], name: str, fact: dict[str, Any]) -> None:
        self.facts += 1
        asked = (fact["channel"], fact["command_id"])
        if name == "CommandRefused":
            self.refused[asked] = fact["data"]["code"]
        if name != "CommandRefused" or fact["data"]["code"] != "id_reused":
            self.answers[asked].add((*place, fact["intake_offset"]))
        stream = (place[0], fact["stream_kind"], fact["stream_id"])
        if fact["stream_kind"] not in KINDS[place[0]]:
            self.wrong.append(f"{stream}: {place[0]} holds no streams of this kind")
        version = self.versions.get(stream, 0) + 1
        if fact["version"] != version:
            self.wrong.append(f"{stream} goes from version {version - 1} to {fact['version']}")
        self.versions[stream] = fact["version"]
        handler = getattr(self, f"_{name}", None)
        if handler is not None:
            handler(fact["data"])

    # Units of an order's lines

    def _line(self, data: Any, line: Any, **units: int) -> None:
        self.lines[data["order_id"], line["line_id"]].update(units)

    def _taken(self, data: Any, line: Any, **units: int) -> None:
        places = {name: -line[f"from_{name}"] for name in ("open", "backordered", "allocated")}
        self._line(data, line, **{name: places.get(name, 0) + units.get(name, 0) for name in places | units})

    def _OrderPlaced(self, data: Any) -> None:  # noqa: N802
        for line in data["lines"]:
            self._line(data, line, ordered=line["quantity"], open=line["quantity"])

    def _OrderAmended(self, data: Any) -> None:  # noqa: N802
        for line in data["lines"]:
            change = line["ordered"] - line["ordered_before"]
            self._taken(data, line, ordered=change, open=max(0, change))

    def _OrderCancelled(self, data: Any) -> None:  # noqa: N802
        for line in data["lines"]:
            self._taken(data, line, cancelled=line["quantity"])

    def _LineAllocated(self, data: Any) -> None:  # noqa: N802
        self._line(
            data, data, open=-data["from_open"], backordered=-data["from_backordered"], allocated=data["quantity"]
        )

    def _LineBackordered(self, data: Any) -> None:  # noqa: N802
        self._line(data, data, open=-data["quantity"], backordered=data["quantity"])

    def _BackorderReopened(self, data: Any) -> None:  # noqa: N802
        self._line(data, data, open=data["quantity"], backordered=-data["quantity"])

    def _LineDeallocated(self, data: Any) -> None:  # noqa: N802
        self._line(data, data, open=data["quantity"], allocated=-data["quantity"])

    def _AllocationRejected(self, data: Any) -> None:  # noqa: N802
        for line in data["lines"]:
            self._line(data, line, open=line["quantity"], allocated=-line["quantity"])

    def _ExchangeLinesAdded(self, data: Any) -> None:  # noqa: N802
        for line in data["lines"]:
            self._line(data, line, ordered=line["quantity"], open=line["quantity"])

    def _ShipmentDispatched(self, data: Any) -> None:  # noqa: N802
        for line in data["lines"]:
            # What was called off and left all the same is ordered again, and no longer cancelled.
            back = {"ordered": line["from_removed"], "cancelled": -line["from_cancelled"]}
            self._taken(data, line, shipped=line["quantity"], **back)

    def _DispatchRetracted(self, data: Any) -> None:  # noqa: N802
        for line in data["lines"]:
            self._line(data, line, shipped=-line["quantity"], open=line["to_open"], allocated=line["to_allocated"])
            gone = line["to_removed"] + line["replaced"]
            self._line(data, line, cancelled=line["to_cancelled"], ordered=-gone)

    def _ShipmentReplaced(self, data: Any) -> None:  # noqa: N802
        for line in data["lines"]:
            self._line(data, line, ordered=line["quantity"], open=line["quantity"])

    def _ShipmentDelivered(self, data: Any) -> None:  # noqa: N802
        for line in data["lines"]:
            self._line(data, line, delivered=line["quantity"])

    _DeliveryInferred = _ShipmentDelivered

    def _ReturnReceived(self, data: Any) -> None:  # noqa: N802
        for line in data["lines"]:
            by_customer = line["quantity"] if data["cause"] == "customer" else 0
            self._line(data, line, returned=line["quantity"], returned_by_customer=by_customer)

    def _OrderQueued(self, data: Any) -> None:  # noqa: N802
        self.queued[data["order_id"]].add(data["queue"])

    def _OrderUnqueued(self, data: Any) -> None:  # noqa: N802
        self.queued[data["order_id"]].discard(data["queue"])

    # Units of a SKU at a location

    def _units(self, data: Any, **units: int) -> None:
        self.stock[data["sku"], data["location_id"]].update(units)

    def _LocationConfirmed(self, data: Any) -> None:  # noqa: N802
        if data["registered"]:
            self.confirmed.add((data["sku"], data["location_id"]))

    def _StockReceived(self, data: Any) -> None:  # noqa: N802
        self._units(data, on_hand=data["quantity"])

    def _StockAdjusted(self, data: Any) -> None:  # noqa: N802
        self._units(data, on_hand=data["quantity_delta"])

    def _StockCounted(self, data: Any) -> None:  # noqa: N802
        self._units(data, on_hand=data["variance"])

    def _CountRestated(self, data: Any) -> None:  # noqa: N802
        self._units(data, on_hand=data["variance"] - data["variance_before"])

    def _StockMarkedDamaged(self, data: Any) -> None:  # noqa: N802
        self._units(data, damaged=data["quantity"])

    def _StockHeld(self, data: Any) -> None:  # noqa: N802
        self._units(data, quality_hold=data["quantity"])

    def _QualityHoldReleased(self, data: Any) -> None:  # noqa: N802
        gone = data["quantity"] if data["disposition"] == "dispose" else 0
        damaged = data["quantity"] if data["disposition"] == "damaged" else 0
        self._units(data, quality_hold=-data["quantity"], on_hand=-gone, damaged=damaged)

    def _StockDisposed(self, data: Any) -> None:  # noqa: N802
        self._units(data, on_hand=-data["quantity"])
        if data["taken_from"] != "available":
            self._units(data, **{data["taken_from"]: -data["quantity"]})

    def _StockRejected(self, data: Any) -> None:  # noqa: N802
        part = {"damaged": "damaged", "mismatch": "quality_hold"}.get(data["reason"])
        self._units(data, reserved=-data["from_reserved"])
        self._units(data, **({part: data["corrected"]} if part else {"on_hand": -data["corrected"]}))
        self.holds[data["sku"], data["order_id"], data["line_id"]] -= data["from_reserved"]

    def _TransferStarted(self, data: Any) -> None:  # noqa: N802
        self.stock[data["sku"], data["from_location_id"]].update(on_hand=-data["quantity"])
        self.stock[data["sku"], data["to_location_id"]].update(on_hand=0)

    def _TransferReceived(self, data: Any) -> None:  # noqa: N802
        self._units(data, on_hand=data["quantity"], damaged=data["damaged"])

    def _StockMoved(self, data: Any) -> None:  # noqa: N802
        self.stock[data["sku"], data["from_location_id"]].update(on_hand=-data["quantity"])
        self.stock[data["sku"], data["to_location_id"]].update(on_hand=data["quantity"])

    def _StockReserved(self, data: Any) -> None:  # noqa: N802
        if (data["sku"], data["location_id"]) not in self.confirmed:
            self.wrong.append(f"{data['order_id']}: {data['sku']} is promised from {data['location_id']} too early")
        self._units(data, reserved=data["quantity"])
        if data["for_order"]:
            self.holds[data["sku"], data["order_id"], data["line_id"]] += data["quantity"]

    def _StockReleased(self, data: Any) -> None:  # noqa: N802
        self._units(data, reserved=-data["quantity"])
        if data["for_order"]:
            self.holds[data["sku"], data["order_id"], data["line_id"]] -= data["quantity"]

    _ReservationExpired = _StockReleased

    def _StockShipped(self, data: Any) -> None:  # noqa: N802
        self._units(data, on_hand=-data["quantity"], reserved=-data["from_reserved"])
        self.holds[data["sku"], data["order_id"], data["line_id"]] -= data["from_reserved"]

    def _StockRestored(self, data: Any) -> None:  # noqa: N802
        self._units(data, on_hand=data["quantity"], reserved=data["to_reserved"])
        self.holds[data["sku"], data["order_id"], data["line_id"]] += data["to_reserved"]

    def _StockReturned(self, data: Any) -> None:  # noqa: N802
        came = data["quantity"] if data["disposition"] in ("restock", "damaged", "inspect") else 0
        damaged = came if data["disposition"] == "damaged" else 0
        inspect = came if data["disposition"] == "inspect" else 0
        self._units(data, on_hand=came, damaged=damaged, quality_hold=inspect)

    def _StockShortfallFound(self, data: Any) -> None:  # noqa: N802
        self.shortfalls.add((data["sku"], data["location_id"]))

    # Judging

    def check(self, connection: Any, acknowledged: set[tuple[str, str]] = frozenset()) -> None:  # type: ignore[assignment]
        """Everything that must hold at rest. `acknowledged` are (channel, id) that their senders know to be taken."""
        self.read()
        wrong = [*self.wrong, *self._commands(acknowledged), *self._units_kept(), *self._tables(connection)]
        assert not wrong, f"{len(wrong)} things are wrong, the first: " + "\n".join(wrong[:8])

    def _commands(self, acknowledged: set[tuple[str, str]]) -> list[str]:
        lost = [f"{asked} was acknowledged and is not on the intake" for asked in acknowledged - self.intake.keys()]
        mute = [
            f"{asked} was never answered"
            for asked in self.intake.keys() - self.answers.keys()
            if asked[0] != INTERNAL and asked not in self.refused
        ]
        twice = [f"{asked} was decided at {sorted(at)}" for asked, at in self.answers.items() if len(at) > 1]
        return [*lost, *mute, *twice]

    def _units_kept(self) -> list[str]:
        wrong = []
        allocated: Counter[tuple[str, str]] = Counter()
        for (_, order_id, line_id), units in self.holds.items():
            allocated[order_id, line_id] += units
        for at, line in self.lines.items():
            if line["ordered"] != sum(line[name] for name in LINE[:5]):
                wrong.append(f"line {at} does not add up: {dict(line)}")
            most = min(line["delivered"], line["returned"])
            if not (
                line["returned_by_customer"] <= most and max(line["delivered"], line["returned"]) <= line["shipped"]
            ):
                wrong.append(f"line {at}: returned, delivered, shipped: {dict(line)}")
            if line["allocated"] != allocated[at]:
                wrong.append(f"line {at} is allocated {line['allocated']}, its SKU holds {allocated[at]}")
            if line["open"] and not self.queued[at[0]]:
                wrong.append(f"line {at} has {line['open']} open units at rest")
        wrong += [f"{at} is held by nobody's line: {n}" for at, n in allocated.items() if n and at not in self.lines]
        for place, units in self.stock.items():
            free = units["on_hand"] - units["reserved"] - units["damaged"] - units["quality_hold"]
            if free < 0 and place not in self.shortfalls:
                wrong.append(f"{place} is oversold and no fact says so: {dict(units)}")
        return wrong

    def _tables(self, connection: Any) -> list[str]:
        queries = {
            "order_lines": (("order_id", "line_id"), LINE, self.lines),
            "inventory": (("sku", "location_id"), STOCK, self.stock),
        }
        wrong = []
        for table, (keys, columns, ours) in queries.items():
            rows = connection.execute(f"SELECT {', '.join((*keys, *columns))} FROM {table}").fetchall()
            theirs = {row[:2]: dict(zip(columns, row[2:], strict=True)) for row in rows}
            for key in ours.keys() | theirs.keys():
                expected = {name: ours[key][name] for name in columns} if key in ours else dict.fromkeys(columns, 0)
                if theirs.get(key, dict.fromkeys(columns, 0)) != expected:
                    wrong.append(f"{table} {key}: the facts say {expected}, the table {theirs.get(key)}")
        return wrong
