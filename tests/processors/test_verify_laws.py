"""The projector's folds and the plain folds of `verify` say the same of any facts, whatever they are and however they
are cut into batches.

No decider writes such facts together. Folds take what facts say and know no rules, so they are the harder test. The
simulation compares both on the histories that the real deciders write.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from processors.projector.projector import Projector
from processors.verify.acceptance import Acceptance
from processors.verify.books import Books
from processors.verify.facts import Fact, FactReader
from projections.catalogue import PROJECTIONS
from tests.processors.test_verify import Facts, random_logs
from tests.support.chain import BEGINNING, CODEC, ChainLog
from tests.support.memory_tables import MemoryStore, difference

#: A seed takes a second or two. Seeds 7 and 47 once differed.
SEEDS = [7, 47, *range(1_000, 1_000 + int(os.environ.get("ORDER_LEDGER_TEST_VERIFY_SEEDS", "4")))]
DECISIONS = 400
#: Records of a partition in a batch, at most. Some batches have one partition alone.
BATCH_RECORDS_MAX = 600


def books_of(logs: Sequence[ChainLog]) -> Books:
    """What `verify` makes of the logs."""
    reader, books = FactReader(CODEC), Books()
    counted: dict[tuple[str, int, int], Fact] = {}
    for log in logs:
        acceptance = Acceptance()
        for record in log.records:
            place = (record.topic_name, record.partition_number, record.position)
            for fact in acceptance.offer(reader.read(*place, record.value_bytes)):
                books.take(fact)
                counted[fact.topic, fact.partition, fact.offset] = fact
    books.fetch_with(lambda *place: counted[place])
    return books


def folded(logs: Sequence[ChainLog], random: Random) -> MemoryStore:
    """What the projector makes of the logs, in batches of any size."""
    store = MemoryStore()
    projector = Projector(store, CODEC, PROJECTIONS.values(), _nothing_aside)  # type: ignore[arg-type]
    left = {(log.topic, log.partition): list(log.records) for log in logs}
    projector.place(dict.fromkeys(left, "id"))
    while any(left.values()):
        batch = []
        for place, records in left.items():
            count = random.randrange(BATCH_RECORDS_MAX)
            batch += records[:count]
            left[place] = records[count:]
        projector.take(batch)
    return store


def _nothing_aside(aside: Sequence[Any]) -> None:
    raise AssertionError(aside)


@pytest.mark.parametrize("seed", SEEDS)
def test_verify_and_the_projector_agree_on_any_facts(seed: int) -> None:
    logs = random_logs(seed, DECISIONS)
    assert difference(books_of(logs), folded(logs, Random(seed)).rows) is None


def test_a_value_that_a_later_fact_leaves_out_stays() -> None:
    """Columns keep the newest value that is not null; a fact without one changes nothing."""
    facts = Facts(1)
    lines = [_line(facts, cancel_after=BEGINNING), _line(facts, cancel_after=None)]
    orders, stock = ChainLog("ledger.orders"), ChainLog("ledger.stock")
    orders.decide("o", ("OrderPlaced", facts.data("OrderPlaced", order_id="o", lines=lines)))
    for reorder_point in (5, None):
        policy = facts.data("StockPolicySet", sku="s", location_id="WH1", reorder_point=reorder_point)
        stock.decide("s", ("StockPolicySet", policy))
    store = folded([orders, stock], Random(1))
    assert difference(books_of([orders, stock]), store.rows) is None
    assert store.rows["order_lines"]["o", "1"]["cancel_after"] == BEGINNING
    assert store.rows["inventory"]["s", "WH1"]["reorder_point"] == 5


def test_a_retraction_without_lines_names_its_parcel() -> None:
    facts, log = Facts(1), ChainLog("ledger.orders")
    data = facts.data("DispatchRetracted", order_id="o", shipment_id="S1", lines=[], crossed=False)
    log.decide("o", ("DispatchRetracted", data))
    store = folded([log], Random(1))
    assert difference(books_of([log]), store.rows) is None
    assert store.rows["kpi_parcels"]["o", "S1"]["units"] == 0


def _line(facts: Facts, **fixed: Any) -> dict[str, Any]:
    lines: list[dict[str, Any]] = []
    while not lines:
        lines = facts.data("OrderPlaced")["lines"]
    return {**lines[0], "line_id": "1", **fixed}


def test_a_row_does_not_depend_on_where_a_batch_ends() -> None:
    """A count that never waited starts no row; a later one of the same name that waits is not decided by it."""
    facts, log = Facts(1), ChainLog("ledger.stock")
    count = {"sku": "s", "location_id": "WH1", "count_id": "C"}
    for name in ("StockCounted", "CountApprovalRequested"):
        log.decide("s", (name, facts.data(name, **count)))
    log.decide("s", ("RecountRequested", facts.data("RecountRequested", **count)))
    for size in (1, 2, 3):
        store = MemoryStore()
        projector = Projector(store, CODEC, PROJECTIONS.values(), _nothing_aside)  # type: ignore[arg-type]
        projector.place({(log.topic, log.partition): "id"})
        for start in range(0, len(log.records), size):
            projector.take(log.records[start : start + size])
        assert difference(books_of([log]), store.rows) is None, size
        assert store.rows["stock_counts"]["s", "WH1", "C"]["decided_at"] is None


@pytest.mark.parametrize("text", ["\x00", "\\u0000", "\\\x00", "\\\\u0000", "\\"])
def test_text_that_looks_like_an_escape_stays_as_it_is(text: str) -> None:
    facts, log = Facts(1), ChainLog("ledger.orders")
    log.decide("o", ("OrderPlaced", facts.data("OrderPlaced", order_id="o", customer_id=text, lines=[_line(facts)])))
    store = folded([log], Random(1))
    assert difference(books_of([log]), store.rows) is None
    data = json.loads(store.rows["order_history"]["o", 1]["data"])
    assert data["customer_id"] == text.replace("\x00", "\ufffd")
