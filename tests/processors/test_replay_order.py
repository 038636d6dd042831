"""One order of the past: its rows of `order_history` give the folds the same facts as the log; no services."""

import json

import pytest

from processors.replay.order import _PROJECTIONS, _frames
from projections.catalogue import PROJECTIONS
from projections.model import FactBatch
from projections.order_history.reader import FactRow
from projections.tables import fold
from tests.processors.test_verify import random_logs
from tests.support.facts import fact
from tests.support.folding import batch_of, short


def rows_of(history, order_id):
    """The rows of an order as the reader has them: `data` as PostgreSQL's json gives it back."""
    rows = history.filter(history["order_id"] == order_id).sort("version").to_dicts()
    return [FactRow(row.pop("order_id"), row.pop("fact"), json.loads(row.pop("data")), row) for row in rows]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_orders_history_folds_to_what_its_facts_fold_to(seed: int) -> None:
    records = [one for log in random_logs(seed, 300) if log.topic == "ledger.orders" for one in log.records]
    batch = batch_of(records)
    history = fold(PROJECTIONS["order_history"], batch)["order_history"]
    orders = sorted(set(history["order_id"]))
    assert len(orders) > 4
    compared = 0
    for projection in _PROJECTIONS:
        every = {name: short(frame) for name, frame in fold(projection, batch).items()}
        one_by_one: dict[str, list[dict[str, object]]] = {name: [] for name in every}
        for order_id in orders:
            found = fold(projection, FactBatch(_frames(rows_of(history, order_id))))
            for name, frame in found.items():
                one_by_one[name] += short(frame)
        for name, rows in every.items():
            assert _sorted(one_by_one[name]) == _sorted(rows), name
            compared += len(rows)
    assert compared > 20


def test_a_field_that_came_later_has_its_default() -> None:
    line = {"line_id": "1", "sku": "MUG", "ordered_before": 1, "ordered": 2}
    at = "2026-11-27T18:00:00+00:00"
    name, data = fact("AmendmentRequested", order_id="o", amendment_id="a", by="customer", lines=[line], placed_at=at)
    for later in ("service_level", "value_minor"):
        del data[later]
    (frame,) = _frames([FactRow("o", name, data, {"version": 2})]).values()
    (found,) = frame["data"].to_list()
    assert (found["service_level"], found["value_minor"], found["lines"][0]["cancelled"]) == ("standard", 0, 0)


def _sorted(rows):
    return sorted(rows, key=str)
