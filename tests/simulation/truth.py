"""What must be so: the ledger as a pure function of its intake, and what every order and every SKU obeys.

    truth = Truth(codec, partitions=2)
    truth.commanded(message)      # each intake record is decided at once, by a ledger that never crashes
    truth.stated(message)         # each ledger record is read by the readers' rule: what counts must be those bytes

Because what counts must be the same bytes at every moment, the rules about orders and stock need to be checked on these
alone: after each decision, with the plain folds of `processors.verify`, which share no code with `events`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from events.catalogue import COMMANDS, FACTS, INTAKE_TOPICS, LEDGER_OF_INTAKE, LEDGER_TOPICS
from events.chain import ChainReader, Link
from events.envelope import INTERNAL_CHANNEL
from events.locations.decide import Location
from events.streams import StreamKey
from processors.ledger.partition import Decided, Forwarded, Parsed, PartitionLedger, SetAside
from processors.verify.facts import Fact
from processors.verify.movements import movement_rows
from processors.verify.orders import Orders
from processors.verify.stock import Stocks
from tests.simulation.failure import Broken, must
from tests.simulation.memory import Message, Place, RememberingCodec
from tests.support.promised import plainly_promised

#: An id that a SKU was sent so long ago is not recognised. What reactions repeat so late must do no harm all the same.
STOCK_IDS_KEPT = timedelta(days=30)

#: Decisions with one of these need not change a state: refusals, and reports of what happened.
_CHANGE_NOTHING = {"CommandRefused", "ReservationRefused", "ShipmentTracked", "ReturnTracked", "CaseNoteAdded"}

_UNITS = ("open", "backordered", "allocated", "shipped", "cancelled")
_LEVEL = ("on_hand", "reserved", "damaged", "quality_hold", "available", "safety", "registered")


class Truth:
    """Follows both logs. `facts`: what counts by now, per ledger partition; `decided`: what will count."""

    def __init__(self, codec: RememberingCodec, partitions: int) -> None:
        self._codec = codec
        self.ledgers: dict[Place, PartitionLedger] = {}
        for topic in INTAKE_TOPICS:
            for number in range(partitions):
                ledger = PartitionLedger(topic, number, partitions=partitions, codec=codec)
                self.ledgers[LEDGER_OF_INTAKE[topic], number] = ledger
        self.decided: dict[Place, list[bytes]] = {place: [] for place in self.ledgers}
        self.facts: dict[Place, list[Fact]] = {place: [] for place in self.ledgers}
        self.last_after: dict[Place, list[int]] = {place: [0] for place in self.ledgers}
        self._readers: dict[Place, ChainReader[bytes]] = {place: ChainReader() for place in self.ledgers}
        self.orders, self.stocks = Orders(), Stocks()
        self._handlers: dict[str, list[Callable[[Any, Any], None]]] = defaultdict(list)
        for part in (self.orders, self.stocks):
            for name, handler in part.handlers.items():
                self._handlers[name].append(handler)
        self._versions: Counter[StreamKey] = Counter()
        self._changed_at: Counter[StreamKey] = Counter()
        self._answers: dict[tuple[Any, ...], datetime] = {}
        self.answered: set[tuple[str, str]] = set()
        self.asides: set[Place3] = set()
        self.shipped: Counter[tuple[str, str]] = Counter()
        self.returned: Counter[tuple[str, str]] = Counter()
        self._credits: dict[tuple[str, str], int] = {}
        self.crossings: set[str] = set()
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.corrected: Counter[tuple[str, str]] = Counter()
        self._tombstones: dict[tuple[str, str, int], datetime] = {}
        # Movements as (moment, whether it goes by its turn, units); the latest count as (moment, units, moves so far).
        self._moves: dict[tuple[str, str], list[tuple[datetime, bool, int]]] = defaultdict(list)
        self._counts: dict[tuple[str, str], tuple[datetime, int, int]] = {}
        # Movements that were known when a count was told that waits for approval, by place and count_id.
        self._waiting: dict[tuple[str, str, str], int] = {}

    # What was asked, and what must follow from it

    def commanded(self, message: Message) -> None:
        """An intake record: decide it, and look at what follows."""
        place = (LEDGER_OF_INTAKE[message.topic()], message.partition())
        ledger = self.ledgers[place]
        parsed = ledger.parse(message.value())
        known = ledger.memory.streams.get(parsed.stream) if isinstance(parsed, Parsed) else None
        before = None if known is None else known.state
        try:
            outcome = ledger.decide(message.offset(), message.timestamp()[1], message.key(), message.value())
        except Exception as error:
            raise Broken("no_rule_raises", repr(error)) from error
        match outcome:
            case Decided(facts):
                self.decided[place] += [fact.value for fact in facts]
                named = [(contract.name, record) for contract, record in (self._codec.decode(f.value) for f in facts)]
                self._look_at(place[0], ledger, named)
                self._check_effect(ledger, before, named)
            case SetAside() | Forwarded():
                self.asides.add((message.topic(), message.partition(), message.offset()))

    def _look_at(self, topic: str, ledger: PartitionLedger, facts: list[tuple[str, dict[str, Any]]]) -> None:
        first = facts[0][1]
        self.answered.add((first["channel"], first["command_id"]))
        levels = self._levels(facts) if topic == "ledger.stock" else {}
        handed: dict[str, tuple[int, int, int]] = {}
        for name, record in facts:
            self._once(name, record)
            self._count(topic, name, record)
            if name == "StockReleased" and not record["data"]["for_order"]:
                self._hand_over(record["data"], handed)
            elif name == "StockReserved":
                self._check_promised(record, handed)
            elif name == "ReleaseTombstoned":
                self._tombstones[_attempt(record["data"])] = record["recorded_at"]
            for handler in self._handlers[name]:
                handler(record, record["data"])
            if name == "RefundIssued":
                self._check_money(record["data"]["order_id"])
            elif name == "StockShipped":
                self.shipped[record["data"]["order_id"], record["data"]["line_id"]] += record["data"]["quantity"]
            elif name == "StockRestored":
                self.shipped[record["data"]["order_id"], record["data"]["line_id"]] -= record["data"]["quantity"]
            elif name == "ExchangeLinesAdded":
                self._credits[record["data"]["order_id"], record["data"]["return_id"]] = record["data"]["credit_minor"]
            elif name == "ShipmentDispatched":
                self._check_held(record["data"], facts)
            elif name == "DispatchCrossed":
                self.crossings.add(record["data"]["case_id"])
            elif name == "AllocationRejected":
                for line in record["data"]["lines"]:
                    self.rejected[record["data"]["order_id"], line["line_id"]] += line["quantity"]
            elif name == "StockRejected":
                self.corrected[record["data"]["order_id"], record["data"]["line_id"]] += record["data"]["quantity"]
                self._check_rejected(record["data"], facts, levels)
            elif name == "StockReturned":
                self.returned[record["data"]["order_id"], record["data"]["line_id"]] += record["data"]["quantity"]
        for name, record in facts:
            if name == "StockRestored":
                place = (record["data"]["sku"], record["data"]["location_id"])
                short = self.stocks.stock.row(*place).available < min(0, levels.get(place[1], 0))
                must(not short, "what_is_held_again_is_promised_to_nobody_else", (record, levels))
        stream = ledger.memory.streams[key := StreamKey.of(first)]
        changed_at = self._changed_at[key]
        must(stream.state_version == changed_at, "a_refusal_makes_no_version_stale", (first, changed_at))
        state = stream.state
        if topic == "ledger.orders" and state is not None:
            self._check_order(state)
        elif topic == "ledger.stock":
            self._check_stock(state, facts, levels)
            if facts[0][0] != "CommandRefused":
                self._check_lapsed(state, first["recorded_at"])

    def _check_promised(self, record: dict[str, Any], handed: dict[str, tuple[int, int, int]]) -> None:
        """Units are held that are there, where goods are sold from, for somebody who still asks."""
        row = self.stocks.stock.row(record["data"]["sku"], record["data"]["location_id"])
        wanted = record["data"]["quantity"]
        must(row.registered is True, "nothing_is_promised_from_an_unregistered_place", record)
        if row.available < wanted and record["data"]["location_id"] in handed:
            # Units of the order's cart were promised before: not more of them than it held, and nothing of
            # others.
            available, held, released = handed.pop(record["data"]["location_id"])
            must(wanted <= available + held, "no_unit_is_promised_twice", record)
            must(wanted - released <= max(0, available), "no_unit_is_promised_twice", record)
        else:
            must(row.available >= wanted, "no_unit_is_promised_twice", record)
        buried = self._tombstones.get(_attempt(record["data"]))
        late = buried is None or record["recorded_at"] - buried >= STOCK_IDS_KEPT
        must(late, "what_was_let_go_is_not_held", record)

    def _check_effect(self, ledger: PartitionLedger, before: Any, facts: list[tuple[str, dict[str, Any]]]) -> None:
        """What a channel is told to be accepted has changed something, or is a report."""
        names = {name for name, _ in facts}
        if facts[0][1]["channel"] == INTERNAL_CHANNEL or names & _CHANGE_NOTHING or before is None:
            return
        after = ledger.memory.streams[StreamKey.of(facts[0][1])].state
        must(after != before, "no_effect_is_no_acceptance", facts)

    def _count(self, topic: str, name: str, record: dict[str, Any]) -> None:
        """Movements of on_hand at their business times, and the latest count of each place."""
        for row in movement_rows(Fact(topic, 0, 0, name, record)):
            happened_at, recorded_at = row[-2:]
            # What a count changes, and what is restated of it, is of the count's moment.
            in_turn = happened_at >= recorded_at and name not in ("StockCounted", "CountRestated")
            self._moves[row[0], row[1]].append((min(happened_at, recorded_at), in_turn, row[4]))
        data = record["data"]
        place = (data.get("sku", ""), data.get("location_id", ""))
        if name == "CountApprovalRequested":
            self._waiting[(*place, data["count_id"])] = len(self._moves[place])
        elif name == "CountRejected":
            del self._waiting[(*place, data["count_id"])]
        elif name == "StockCounted":
            must(data["counted_at"] <= record["recorded_at"], "nobody_counts_later_than_it_is_told", record)
            known = self._waiting.pop((*place, data["count_id"]), len(self._moves[place]))
            count = (data["counted_at"], data["counted"], known)
            # Of two counts at one moment the one told later is right.
            if place not in self._counts or self._counts[place][0] <= count[0]:
                self._counts[place] = count

    def _check_counted(self, sku: str, location_id: str, on_hand: int) -> None:
        """What was counted, with what moved after it, whenever either was told."""
        if (sku, location_id) not in self._counts:
            return
        counted_at, counted, known = self._counts[sku, location_id]
        # Of a clock that is ahead it is only known that it happened before it was told, in turn.
        since = sum(
            units
            for number, (at, in_turn, units) in enumerate(self._moves[sku, location_id])
            if at > counted_at or (at == counted_at and in_turn and number >= known)
        )
        must(on_hand == counted + since, "the_record_is_what_was_counted_and_moved_since", (sku, location_id, on_hand))

    def _hand_over(self, data: dict[str, Any], handed: dict[str, tuple[int, int, int]]) -> None:
        """By location: available and held by the cart before, let go of so far."""
        sku, location_id = data["sku"], data["location_id"]
        if location_id not in handed:
            held = sum(
                row.quantity
                for key, row in self.stocks.holds.rows.items()
                if (key[0], key[1], key[4]) == (sku, data["order_id"], location_id)
            )
            handed[location_id] = (self.stocks.stock.row(sku, location_id).available, held, 0)
        available, held, released = handed[location_id]
        handed[location_id] = (available, held, released + data["quantity"])

    def _once(self, name: str, record: dict[str, Any]) -> None:
        stream = StreamKey.of(record)
        self._versions[stream] += 1
        must(record["version"] == self._versions[stream], "versions_have_no_gap", record)
        told = COMMANDS[record["data"]["command"]] if name == "CommandRefused" else FACTS[name]
        must(record["stream_kind"] == told.kind, "a_fact_says_the_kind_of_its_stream", record)
        if name not in ("CommandRefused", "ReservationRefused"):
            self._changed_at[stream] = record["version"]
        # Not by event_id, in which the stream's version is: a command decided twice would have two of them.
        command = (*stream, *(record[name] for name in ("channel", "command_id", "command_digest", "index")))
        before = self._answers.get(command)
        if before is not None:
            forgotten = stream.kind == "stock" and record["recorded_at"] - before >= STOCK_IDS_KEPT
            must(forgotten, "a_command_is_decided_once", record)
        self._answers[command] = record["recorded_at"]

    def _levels(self, facts: list[tuple[str, dict[str, Any]]]) -> dict[str, int]:
        """Available units at each location before the decision."""
        sku = facts[0][1]["stream_id"]
        return {key[1]: row.available for key, row in self.stocks.stock.rows.items() if key[0] == sku}

    def _check_order(self, order: Any) -> None:
        for line_id, line in order.lines.items():
            row = self.orders.lines.rows[order.order_id, line_id]
            units = [getattr(row, name) for name in _UNITS]
            must(row.ordered == sum(units) and min(units) >= 0, "every_unit_of_a_line_is_in_one_place", row)
            must(0 <= row.delivered <= row.shipped, "delivered_and_returned_were_shipped", row)
            must(0 <= row.returned <= row.shipped, "delivered_and_returned_were_shipped", row)
            must(0 <= row.written_off <= row.shipped - row.delivered, "what_is_written_off_has_not_arrived", row)
            must(0 <= line.replacing <= line.unshipped, "what_is_to_be_sent_again_has_not_left", line)
            must(line.replacing <= row.replaced <= row.ordered, "what_replaces_others_is_ordered", (row, line))
            by_customer = row.returned_by_customer
            must(0 <= by_customer <= min(row.delivered, row.returned), "customers_send_back_what_they_got", row)
            counters = (*_UNITS, "delivered", "returned", "returned_by_customer", "replaced", "written_off")
            same = all(getattr(line, name) == getattr(row, name) for name in counters)
            must(same, "decider_and_plain_fold_agree", (row, line))

    def _check_stock(self, stock: Any, facts: list[tuple[str, dict[str, Any]]], before: dict[str, int]) -> None:
        short = {record["data"]["location_id"] for name, record in facts if name == "StockShortfallFound"}
        held: Counter[str] = Counter()
        for by_location in stock.reservations.values():
            for location_id, reservation in by_location.items():
                must(reservation.quantity > 0, "a_hold_holds_something", by_location)
                held[location_id] += reservation.quantity
        for location_id, level in stock.levels.items():
            row = self.stocks.stock.row(stock.sku, location_id)
            must(
                all(getattr(level, name) == getattr(row, name) for name in _LEVEL), "decider_and_plain_fold_agree",
                (row, level),
            )  # fmt: skip
            parts = row.available + row.reserved + row.safety + row.damaged + row.quality_hold
            must(row.on_hand == parts, "on_hand_is_the_sum_of_its_parts", row)
            self._check_counted(stock.sku, location_id, row.on_hand)
            must(row.reserved == held[location_id], "reserved_is_what_holds_say", (row, stock.reservations))
            must(min(row.reserved, row.damaged, row.quality_hold, row.safety) >= 0, "no_quantity_is_negative", row)
            coming = sum(one.quantity for source, one in stock.incoming.items() if source.location_id == location_id)
            must(row.incoming == coming >= 0, "incoming_is_what_is_expected", (row, stock.incoming))
            ruled = {key[2]: one for key, one in self.stocks.rules.rows.items() if key[:2] == (stock.sku, location_id)}
            for channel in ("web", "store", "till", None):
                rule = ruled.get(channel or "*")
                if rule is None or rule.buffer is None:
                    rule = ruled.get("*")
                buffer = 0 if rule is None else rule.buffer or 0
                none = not level.registered or (rule is not None and rule.excluded)
                sellable = 0 if none else max(0, row.available - buffer)
                must(
                    level.free(channel) == sellable >= row.sellable, "a_channel_sells_what_its_rule_leaves", (row, rule)
                )
            opened = isinstance(self.state("location", location_id), Location)
            must(opened or not level.registered, "nobody_joins_what_is_not_registered", (stock.sku, location_id))
            fell = row.available < min(0, before.get(location_id, 0))
            must(not fell or location_id in short, "a_shortfall_is_said", (row, before))

        told = dict(stock.promises)
        must(told == plainly_promised(stock), "promises_are_what_the_queue_and_what_comes_say", (stock, told))
        said = [_attempt(record["data"]) for name, record in facts if name == "BackorderPromised"]
        must(len(said) == len(set(said)), "a_promise_changes_once_in_a_decision", facts)
        on_their_way = {
            key[1]: row.on_their_way
            for key, row in self.stocks.transfers.rows.items()
            if key[0] == stock.sku and row.on_their_way
        }
        left = {number: one.sent - one.received for number, one in stock.transfers.items()}
        must(left == on_their_way, "what_left_arrived_or_is_on_its_way_or_is_missing", (left, on_their_way))
        rows = {key[1:]: row for key, row in self.stocks.expected.rows.items() if key[0] == stock.sku and row.quantity}
        expected = {key: (row.quantity, row.expected_at, row.overdue) for key, row in rows.items()}
        must(stock.incoming == expected, "decider_and_plain_fold_agree", (stock.incoming, expected))

    def _check_lapsed(self, stock: Any, now: datetime) -> None:
        """No decision counts a hold whose time has come; a refusal states nothing, so it is seen with the next one."""
        ends = {
            (attempt, location_id): reservation.expires_at
            for attempt, by_location in stock.reservations.items()
            for location_id, reservation in by_location.items()
            if reservation.expires_at is not None
        }
        must(all(end > now for end in ends.values()), "no_decision_counts_a_hold_that_lapsed", (now, ends))
        noted = {
            (hold.holder, hold.location_id): end
            for holds in stock.lapsing.seconds.values()
            for hold, end in holds.items()
        }
        must(ends == noted, "every_end_of_a_hold_is_noted", (ends, noted))

    def _check_rejected(
        self, data: dict[str, Any], facts: list[tuple[str, dict[str, Any]]], before: dict[str, int]
    ) -> None:
        """What a location could not find comes free for nobody, but for holds that lapsed by then."""
        here = [(name, one["data"]) for name, one in facts if one["data"].get("location_id") == data["location_id"]]
        granted = sum(one["quantity"] for name, one in here if name == "StockReserved")
        lapsed = sum(one["quantity"] for name, one in here if name == "ReservationExpired")
        # What a later count has found there is there.
        found = sum(one["variance"] - one["variance_before"] for name, one in here if name == "CountRestated")
        available = self.stocks.stock.row(data["sku"], data["location_id"]).available
        freed = available + granted - max(0, before.get(data["location_id"], 0))
        must(
            freed <= lapsed + max(0, found), "what_is_not_there_is_promised_to_nobody", (data, here, available, before)
        )

    def _check_held(self, data: dict[str, Any], facts: list[tuple[str, dict[str, Any]]]) -> None:
        """What left before the return that it is sent in exchange for is said to."""
        said = Counter[str]()
        for name, record in facts:
            if name == "DispatchDiffered":
                for line in record["data"]["lines"]:
                    said[line["line_id"]] += line["quantity"] if line["planned"] == "held" else 0
        for line in data["lines"]:
            row = self.orders.lines.rows[data["order_id"], line["line_id"]]
            early = line["quantity"] - line["from_cancelled"] - line["from_removed"] if row.awaits_return else 0
            must(said[line["line_id"]] == early, "an_exchange_that_left_early_is_said_to", (line, row, said))

    def _check_money(self, order_id: str) -> None:
        order = self.orders.orders.rows[order_id,]
        lines = [row for key, row in self.orders.lines.rows.items() if key[0] == order_id]
        worth: Counter[str] = Counter()
        for line in lines:
            # What is sent again was asked for and paid once.
            worth[line.exchange_for or ""] += (line.ordered - line.replaced) * (line.unit_price_minor or 0)
        value = worth.pop("", 0) + order.charges_minor
        # What is sent in exchange is paid with what comes back; only what it costs more was asked.
        value += sum(max(0, minor - self._credits[order_id, return_id]) for return_id, minor in worth.items())
        must(order.refunded_minor <= value, "no_more_is_paid_back_than_was_asked", order)

    # What was written, and what counts of it

    def stated(self, message: Message) -> None:
        """A ledger record: what counts with it must be what the intake says, to the byte."""
        place = (message.topic(), message.partition())
        value = message.value()
        assert value is not None, "writers write facts"
        _, record = self._codec.decode(value)
        reader = self._readers[place]
        for accepted in reader.read(link_of(record), value, message.offset()):
            facts = self.facts[place]
            number = len(facts)
            decided = self.decided[place]
            contract, record = self._codec.decode(accepted)
            must(number < len(decided), "facts_are_a_function_of_the_intake", (place, number, record))
            if accepted != decided[number]:
                wanted = self._codec.decode(decided[number])[1]
                raise Broken("facts_are_a_function_of_the_intake", f"{place} fact {number}: {record} not {wanted}")
            facts.append(Fact(*place, message.offset(), contract.name, record))
        self.last_after[place].append(reader.last)

    def complete(self, place: Place) -> bool:
        """Whether all that was asked of a partition has been answered on its log."""
        return len(self.facts[place]) == len(self.decided[place])

    def check_position(self, who: str, place: Place, next_offset: int, last_decision: int) -> None:
        """A reader that is at `next_offset` must hold what counts before it."""
        known = self.last_after[place]
        same = next_offset < len(known) and known[next_offset] == last_decision
        must(same, "readers_hold_one_history", (who, place, next_offset))

    def state(self, kind: str, stream_id: str) -> Any:
        """State of a stream after all that was asked; None where there is none."""
        for ledger in self.ledgers.values():
            if StreamKey(kind, stream_id) in ledger.memory.streams:
                return ledger.memory.streams[StreamKey(kind, stream_id)].state
        return None

    def states(self, kind: str) -> dict[str, Any]:
        """All streams of a kind."""
        return {
            key.id: stream.state
            for ledger in self.ledgers.values()
            for key, stream in ledger.memory.streams.items()
            if key.kind == kind and stream.state is not None
        }


Place3 = tuple[str, int, int]
"""(topic, partition, offset)."""

assert set(LEDGER_OF_INTAKE.values()) == set(LEDGER_TOPICS)


def _attempt(data: dict[str, Any]) -> tuple[str, str, int]:
    return data["order_id"], data["line_id"], data["attempt"]


def link_of(record: dict[str, Any]) -> Link:
    """A fact's place in the chain."""
    return Link(*(record[name] for name in Link._fields))
