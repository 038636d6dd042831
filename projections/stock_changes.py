"""What each fact of stock does to the quantities of a location: written once, for `inventory` and `stock_movements`.

    StockMoved 2 from WH1 to WH2  → (WH1, on_hand −2), (WH2, on_hand +2)
    StockShipped 2, reserved here → (WH1, on_hand −2, reserved −2)

So the sum of all movements always equals the inventory. `processors/verify` computes it independently.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

QUANTITIES = ("on_hand", "reserved", "damaged", "quality_hold")

_q = pl.col("quantity")


class Change(NamedTuple):
    """What a fact does at one location; `location` is the field that names it."""

    on_hand: pl.Expr | int = 0
    reserved: pl.Expr | int = 0
    damaged: pl.Expr | int = 0
    quality_hold: pl.Expr | int = 0
    location: str = "location_id"

    def quantities(self) -> dict[str, pl.Expr]:
        """By name of the quantity."""
        return {
            name: (value if isinstance(value, pl.Expr) else pl.lit(value)).cast(pl.Int64)
            for name, value in zip(QUANTITIES, self, strict=False)
        }


def _if(field: str, *values: str, then: str = "quantity") -> pl.Expr:
    return pl.when(pl.col(field).is_in(values)).then(then).otherwise(0)


def _elsewhere(units: pl.Expr) -> pl.Expr:
    return pl.when(pl.col("from_location_id") != pl.col("to_location_id")).then(units).otherwise(0)


CHANGES: Mapping[str, Sequence[Change]] = {
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
    "StockRestored": [Change(on_hand=_q, reserved=pl.col("to_reserved"))],
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
