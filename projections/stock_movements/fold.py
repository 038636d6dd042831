"""Rows for `stock_movements`: what each fact of stock adds to the quantities of a location.

    StockMoved 2 from WH1 to WH2 → (WH1, on_hand −2), (WH2, on_hand +2)
    StockCounted 37, expected 38 → (WH1, on_hand −1), at the time of the count
    CountRestated, variance −1 → 0 → (WH1, on_hand +1), at the time of the count

A fact that changes no quantity (a count that found what was expected) has no row.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

from projections.model import SEQUENCE, FactBatch

_QUANTITIES = ("on_hand", "reserved", "damaged", "quality_hold")
_SAID = ("reason", "order_id", "line_id", "shipment_id", "return_id")
#: What the movement stands on, the first that is there.
_DOCUMENTS = ("document", "purchase_order", "transfer_id")

_q = pl.col("quantity")


class Change(NamedTuple):
    """What a fact does at one location; `location` is the field that names it."""

    on_hand: pl.Expr | int = 0
    reserved: pl.Expr | int = 0
    damaged: pl.Expr | int = 0
    quality_hold: pl.Expr | int = 0
    location: str = "location_id"


def _if(field: str, *values: str, then: str = "quantity") -> pl.Expr:
    return pl.when(pl.col(field).is_in(values)).then(then).otherwise(0)


def _elsewhere(units: pl.Expr) -> pl.Expr:
    return pl.when(pl.col("from_location_id") != pl.col("to_location_id")).then(units).otherwise(0)


_CHANGES: Mapping[str, Sequence[Change]] = {
    "StockReceived": [Change(on_hand=_q)],
    "StockAdjusted": [Change(on_hand=pl.col("quantity_delta"))],
    "StockMoved": [
        Change(on_hand=-_elsewhere(_q), location="from_location_id"),
        Change(on_hand=_elsewhere(_q), location="to_location_id"),
    ],
    "TransferStarted": [Change(on_hand=-_q, location="from_location_id")],
    "TransferReceived": [Change(on_hand=_q, damaged=pl.col("damaged"))],
    "StockCounted": [Change(on_hand=pl.col("variance"))],
    "CountRestated": [Change(on_hand=pl.col("variance") - pl.col("variance_before"))],
    "StockMarkedDamaged": [Change(damaged=_q)],
    "StockHeld": [Change(quality_hold=_q)],
    "QualityHoldReleased": [
        Change(on_hand=-_if("disposition", "dispose"), damaged=_if("disposition", "damaged"), quality_hold=-_q)
    ],
    "StockDisposed": [
        Change(on_hand=-_q, damaged=-_if("taken_from", "damaged"), quality_hold=-_if("taken_from", "quality_hold"))
    ],
    "StockReserved": [Change(reserved=_q)],
    "StockReleased": [Change(reserved=-_q)],
    "ReservationExpired": [Change(reserved=-_q)],
    "StockShipped": [Change(on_hand=-_q, reserved=-pl.col("from_reserved"))],
    "StockReturned": [
        Change(
            on_hand=_if("disposition", "restock", "damaged", "inspect"),
            damaged=_if("disposition", "damaged"),
            quality_hold=_if("disposition", "inspect"),
        )
    ],
    "StockRejected": [
        Change(
            on_hand=-_if("reason", "not_in_stock", then="corrected"),
            reserved=-pl.col("from_reserved"),
            damaged=_if("reason", "damaged", then="corrected"),
            quality_hold=_if("reason", "mismatch", then="corrected"),
        )
    ],
}

#: Where the business time is not that of the command.
_WHEN = {
    "StockCounted": pl.col("counted_at"),
    "CountRestated": pl.col("counted_at"),
    "ReservationExpired": pl.coalesce("expires_at", "meta_occurred_at"),
}


def fold(batch: FactBatch) -> Mapping[str, pl.DataFrame]:
    """Rows in log order."""
    rows = [
        _rows(batch.facts(name), name, change)
        for name, changes in _CHANGES.items()
        if name in batch.frames
        for change in changes
    ]
    if not rows:
        return {}
    return {"stock_movements": pl.concat(rows).sort(SEQUENCE, "location_id")}


def _rows(facts: pl.DataFrame, name: str, change: Change) -> pl.DataFrame:
    documents = [one for one in _DOCUMENTS if one in facts.columns]
    nothing = pl.lit(None, pl.String)
    quantities = {
        column: (value if isinstance(value, pl.Expr) else pl.lit(value)).cast(pl.Int64)
        for column, value in zip(_QUANTITIES, change, strict=False)
    }
    return facts.select(
        SEQUENCE,
        sku="sku",
        location_id=change.location,
        version="meta_version",
        kind=pl.lit(name),
        **quantities,
        **{column: pl.col(column) if column in facts.columns else nothing for column in _SAID},
        document=pl.coalesce(documents) if documents else nothing,
        channel="meta_channel",
        actor="meta_actor",
        occurred_at=_WHEN.get(name, pl.col("meta_occurred_at")),
        recorded_at="meta_recorded_at",
    ).filter(pl.any_horizontal(pl.col(column) != 0 for column in _QUANTITIES))
