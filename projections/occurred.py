"""When a fact happened, for tables of what had occurred by a moment, as known now.

    occurred_by(moment, frames)      # frames of the facts that had happened by then, whenever they were recorded

A fact happened when its command did, by the channel's clock (`occurred_at`), unless it tells of another moment itself:
a count tells of the moment when somebody counted, and a retraction says that a parcel never left.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl

#: The field with the moment that a fact itself tells of; where it is null, that of the command counts.
MOMENTS: Mapping[str, str] = {
    "StockCounted": "counted_at",
    "CountRestated": "counted_at",
    "ReservationExpired": "expires_at",
    "ShipmentTracked": "scanned_at",
    "ShipmentDelivered": "delivered_at",
    "DispatchRetracted": "dispatched_at",
}

_data = pl.col("data").struct
_REPLACED = _data.field("lines").list.eval(pl.element().struct.field("replaced")).list.sum()


def happened_at(name: str) -> pl.Expr:
    """The time at which a fact happened, over its frame (`occurred_at`, `data`)."""
    if name not in MOMENTS:
        return pl.col("occurred_at")
    moment = _data.field(MOMENTS[name])
    if name == "DispatchRetracted":
        # A retraction that takes back a replacement, too, counts at its own time: when the parcel was dispatched, the
        # replacement had not been ordered yet.
        moment = pl.when(_REPLACED == 0).then(moment)
    return pl.coalesce(moment, "occurred_at")


def occurred_by(until: datetime, frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The facts that had happened by `until` (UTC). Their `occurred_at` is the time at which they happened."""
    found = {
        name: frame.with_columns(occurred_at=happened_at(name)).filter(pl.col("occurred_at") <= until)
        for name, frame in frames.items()
    }
    return {name: frame for name, frame in found.items() if frame.height}
