"""KPI base rows: what the six figures are made of, one row per order, delivery, count, hold change and case.

    OrderPlaced (2 units), ShipmentDispatched (2 units)
        → kpi_orders: ordered 2, shipped 2, first_shipped_at = last_shipped_at = when it left

No figure is folded: a mean or a percentile of deltas cannot be added up, and a definition may change. `definitions.py`
says how a figure is made of these rows, and so each figure opens to the very rows it counted.

Figures have no wall clock. `kpi_watermarks` keeps per partition the latest moment that the log has seen, by the earlier
of the channel's and the broker's clock: a channel whose clock runs ahead cannot make orders due before their time.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from projections.model import SEQUENCE, Column, Deltas, FactBatch, Projection, Table

#: Carrier's words for a parcel that will not reach the customer: a fulfilment error, whatever is sent later instead.
PARCEL_FAILURES = ("lost", "returned_to_sender")

#: The hold that stops the clock of order_processing_hours; the others (payment, fraud …) are ours to be quick about.
CUSTOMER_HOLD = "customer"

ORDERS = Table(
    "kpi_orders",
    (
        Column("order_id", "text", "key"),
        Column("channel", "text", "first"),
        Column("country", "text", "first"),
        Column("region", "text", "first"),
        Column("placed_at", "timestamptz", "first"),
        Column("release_at", "timestamptz", "first"),
        Column("due_by", "timestamptz", "last"),
        Column("ordered", "bigint", "sum"),
        Column("cancelled", "bigint", "sum"),
        Column("cancelled_before_release", "bigint", "sum"),
        Column("cancelled_after_release", "bigint", "sum"),
        Column("removed_by_seller", "bigint", "sum"),
        Column("shipped", "bigint", "sum"),
        Column("delivered", "bigint", "sum"),
        Column("returned", "bigint", "sum"),
        Column("errors", "bigint", "sum"),
        Column("first_shipped_at", "timestamptz", "min"),
        Column("last_shipped_at", "timestamptz", "max"),
        Column("first_location_id", "text", "first"),
        Column("delivered_at", "timestamptz", "max"),
    ),
)

HOLDS = Table(
    "kpi_holds",
    (
        Column("order_id", "text", "key"),
        Column("version", "bigint", "key"),
        Column("changed_at", "timestamptz", "first"),
        Column("held", "boolean", "first"),
    ),
    insert_only=True,
)

DELIVERIES = Table(
    "kpi_deliveries",
    (
        Column("order_id", "text", "key"),
        Column("shipment_id", "text", "key"),
        Column("location_id", "text", "first"),
        Column("carrier", "text", "first"),
        Column("delivered_at", "timestamptz", "first"),
        Column("due_by", "timestamptz", "first"),
        Column("on_time", "boolean", "first"),
    ),
)

COUNTS = Table(
    "kpi_counts",
    (
        Column("sku", "text", "key"),
        Column("version", "bigint", "key"),
        Column("location_id", "text", "first"),
        Column("counted_at", "timestamptz", "first"),
        Column("counted", "bigint", "first"),
        Column("variance", "bigint", "first"),
        Column("tolerance", "bigint", "first"),
        Column("accurate", "boolean", "first"),
    ),
    insert_only=True,
)

CASES = Table(
    "kpi_cases",
    (
        Column("case_id", "text", "key"),
        Column("order_id", "text", "first"),
        Column("channel", "text", "first"),
        Column("topic", "text", "first"),
        Column("urgency", "text", "first"),
        Column("opened_at", "timestamptz", "first"),
        Column("resolved_at", "timestamptz", "last"),
        Column("resolved_version", "bigint", "max"),
        Column("reopened_version", "bigint", "max"),
        Column("reopened", "bigint", "sum"),
    ),
)

WATERMARKS = Table(
    "kpi_watermarks",
    (
        Column("topic", "text", "key"),
        Column("partition", "integer", "key"),
        Column("as_of", "timestamptz", "max"),
    ),
)


def fold(batch: FactBatch) -> Deltas:
    """Deltas for the six tables of this folder."""
    return {
        ORDERS.name: _orders(batch),
        HOLDS.name: _holds(batch),
        DELIVERIES.name: _deliveries(batch),
        COUNTS.name: _counts(batch),
        CASES.name: _cases(batch),
        WATERMARKS.name: _watermarks(batch),
    }


def _orders(batch: FactBatch) -> pl.DataFrame:
    return _together(
        _placed(batch),
        _amended(batch),
        _cancelled(batch),
        _dispatched(batch),
        _failed(batch),
        _delivered(batch),
        _returned(batch),
    )


def _placed(batch: FactBatch) -> pl.DataFrame:
    address = pl.col("ship_to").struct
    return batch.facts("OrderPlaced").select(
        "order_id",
        SEQUENCE,
        address.field("country").alias("country"),
        address.field("region").alias("region"),
        "release_at",
        channel="meta_channel",
        placed_at="meta_occurred_at",
        due_by="promised_by",
        ordered=_units("quantity"),
    )


def _amended(batch: FactBatch) -> pl.DataFrame:
    """A promise that the seller moves does not re-base; units that it takes out are as good as cancelled by it."""
    by_seller = pl.col("by") == "seller"
    grown = _units("ordered") - _units("ordered_before")
    taken_out = _sum_of(pl.max_horizontal(_field("ordered_before") - _field("ordered"), 0))
    return batch.facts("OrderAmended").select(
        "order_id",
        SEQUENCE,
        due_by=pl.when(~by_seller).then("promised_by"),
        ordered=grown,
        removed_by_seller=pl.when(by_seller).then(taken_out).otherwise(0),
    )


def _cancelled(batch: FactBatch) -> pl.DataFrame:
    by_seller = pl.col("by") == "seller"
    released = ~pl.col("before_allocation")
    units = _units("quantity")
    return batch.facts("OrderCancelled").select(
        "order_id",
        SEQUENCE,
        cancelled=units,
        cancelled_before_release=pl.when(~by_seller & ~released).then(units).otherwise(0),
        cancelled_after_release=pl.when(~by_seller & released).then(units).otherwise(0),
        removed_by_seller=pl.when(by_seller).then(units).otherwise(0),
    )


def _dispatched(batch: FactBatch) -> pl.DataFrame:
    return batch.facts("ShipmentDispatched").select(
        "order_id",
        SEQUENCE,
        shipped=_units("quantity"),
        first_shipped_at="meta_occurred_at",
        last_shipped_at="meta_occurred_at",
        first_location_id="location_id",
    )


def _failed(batch: FactBatch) -> pl.DataFrame:
    """Parcels that left otherwise than planned, were lost, or came back to the sender."""
    tracked = batch.facts("ShipmentTracked").filter(pl.col("status").is_in(PARCEL_FAILURES))
    error = pl.lit(1, pl.Int64).alias("errors")
    return _together(
        *(facts.select("order_id", SEQUENCE, error) for facts in (batch.facts("DispatchDiffered"), tracked))
    )


def _delivered(batch: FactBatch) -> pl.DataFrame:
    units = _units("quantity").alias("delivered")
    return _together(
        batch.facts("ShipmentDelivered").select("order_id", SEQUENCE, "delivered_at", units),
        batch.facts("DeliveryInferred").select("order_id", SEQUENCE, units, delivered_at="meta_occurred_at"),
    )


def _returned(batch: FactBatch) -> pl.DataFrame:
    return batch.facts("ReturnReceived").select("order_id", SEQUENCE, returned=_units("quantity"))


def _holds(batch: FactBatch) -> pl.DataFrame:
    changes = [
        batch.facts(name)
        .filter(pl.col("hold") == CUSTOMER_HOLD)
        .select("order_id", SEQUENCE, pl.lit(held).alias("held"), version="meta_version", changed_at="meta_occurred_at")
        for name, held in (("OrderHeld", True), ("HoldReleased", False))
    ]
    return _together(*changes)


def _deliveries(batch: FactBatch) -> pl.DataFrame:
    return batch.facts("ShipmentDelivered").select(
        "order_id", "shipment_id", SEQUENCE, "location_id", "carrier", "delivered_at", "due_by", "on_time"
    )


def _counts(batch: FactBatch) -> pl.DataFrame:
    return batch.facts("StockCounted").select(
        "sku",
        SEQUENCE,
        "location_id",
        "counted_at",
        "counted",
        "variance",
        "tolerance",
        "accurate",
        version="meta_version",
    )


def _cases(batch: FactBatch) -> pl.DataFrame:
    """Resolved or reopened last? Versions tell when read, so the fold needs no state."""
    opened = batch.facts("CaseOpened").select(
        "case_id", SEQUENCE, "order_id", "channel", "topic", "urgency", opened_at="meta_occurred_at"
    )
    resolved = batch.facts("CaseResolved").select(
        "case_id", SEQUENCE, resolved_at="meta_occurred_at", resolved_version="meta_version"
    )
    reopened = batch.facts("CaseReopened").select(
        "case_id", SEQUENCE, reopened_version="meta_version", reopened=pl.lit(1, pl.Int64)
    )
    return _together(opened, resolved, reopened)


def _watermarks(batch: FactBatch) -> pl.DataFrame:
    seen = [
        frame.group_by("topic", "partition").agg(as_of=pl.min_horizontal("occurred_at", "recorded_at").max())
        for frame in batch.frames.values()
    ]
    if not seen:
        return pl.DataFrame(schema={"topic": pl.String(), "partition": pl.Int32(), "as_of": pl.Datetime("us", "UTC")})
    return pl.concat(seen).group_by("topic", "partition").agg(pl.col("as_of").max())


def _field(name: str) -> pl.Expr:
    return pl.element().struct.field(name)


def _sum_of(expression: pl.Expr) -> pl.Expr:
    return pl.col("lines").list.eval(expression).list.sum()


def _units(field: str) -> pl.Expr:
    """Sum of a field over the lines of a fact; 0 for a fact without lines."""
    return _sum_of(_field(field))


def _together(*frames: pl.DataFrame) -> pl.DataFrame:
    several: Sequence[pl.DataFrame] = frames
    return pl.concat(several, how="diagonal")


PROJECTION = Projection("kpi", (ORDERS, HOLDS, DELIVERIES, COUNTS, CASES, WATERMARKS), fold)
