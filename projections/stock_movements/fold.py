"""Rows for `stock_movements`: what each fact of stock adds to the quantities of a location.

    StockMoved 2 from WH1 to WH2 → (WH1, on_hand −2), (WH2, on_hand +2)
    StockCounted 37, expected 38 → (WH1, on_hand −1), at the time of the count
    CountRestated, variance −1 → 0 → (WH1, on_hand +1), at the time of the count

A fact that changes no quantity (a count that found what was expected) has no row.
"""

import polars as pl

from projections.model import SEQUENCE, Deltas, FactBatch, Rows, together
from projections.occurred import MOMENTS
from projections.stock_changes import CHANGES, QUANTITIES, Change

_SAID = ("reason", "order_id", "line_id", "shipment_id", "return_id")
#: Fields with the movement's document; the first that is set counts.
_DOCUMENTS = ("document", "purchase_order", "transfer_id")


def fold(batch: FactBatch) -> Deltas:
    """Rows in log order."""
    rows = [
        _rows(batch.facts(name), name, change)
        for name, changes in CHANGES.items()
        if batch.has(name)
        for change in changes
    ]
    if not rows:
        return {}
    return {"stock_movements": together(*rows).then(lambda moved: moved.sort(SEQUENCE, "location_id"))}


def _rows(facts: Rows, name: str, change: Change) -> Rows:
    there = facts.columns
    documents = [one for one in _DOCUMENTS if one in there]
    nothing = pl.lit(None, pl.String)
    return facts.select(
        SEQUENCE,
        sku="sku",
        location_id=change.location,
        version="meta_version",
        kind=pl.lit(name),
        **change.quantities(),
        **{column: pl.col(column) if column in there else nothing for column in _SAID},
        document=pl.coalesce(documents) if documents else nothing,
        channel="meta_channel",
        actor="meta_actor",
        occurred_at=pl.coalesce(MOMENTS[name], "meta_occurred_at") if name in MOMENTS else "meta_occurred_at",
        recorded_at="meta_recorded_at",
    ).filter(pl.any_horizontal(pl.col(column) != 0 for column in QUANTITIES))
