"""Base rows of the KPIs: one per order, parcel, count, complaint, and change of a hold or promise. The figures also
read cases, which have their own projection (`projections/cases/`).

    OrderPlaced (2 units), ShipmentDispatched (2 units)
        → kpi_orders: ordered 2, shipped 2
        → kpi_parcels: 2 units of that order, its carrier, location and time

No figure is folded: means and percentiles of deltas cannot be added up, and a definition may change. `definitions.py`
makes each figure from these rows, so a figure can list exactly the rows that it counted.

What can be taken back is a sum. A parcel whose dispatch was retracted has no units, and no figure counts it. So the
figures ask the parcels when the first one left.

No row has a time at which the ledger itself did something (allocate, backorder). So a history published at once gives
the same rows as one that came over months. Only `kpi_parcels.differed` compares with the ledger's own plan.

Figures use no wall clock. `kpi_watermarks` keeps the latest moment of each partition, by the earlier of the channel's
and the broker's clock, without refusals. So a channel whose clock is ahead cannot make orders due too early.
"""

from __future__ import annotations

import polars as pl

from events.catalogue import LEDGER_TOPICS
from projections.model import SEQUENCE, Column, Deltas, FactBatch, Projection, Rows, Table, together

#: What a replacement says of the parcel, as a complaint code. A lost parcel has its own column.
REPLACED_AS = {"damaged": "damaged", "wrong_goods": "wrong_item"}

#: The hold that stops the clock of order_processing_hours. Time on other holds (payment, fraud …) counts as ours.
CUSTOMER_HOLD = "customer"

ORDERS = Table(
    "kpi_orders",
    (
        Column("order_id", "text", "key", "the order"),
        Column("channel", "text", "first", "the channel that placed it"),
        Column("country", "text", "first", "country that it goes to, ISO 3166-1 alpha-2"),
        Column("region", "text", "first", "region that it goes to"),
        Column("placed_at", "timestamptz", "first", "when the order was placed, by the channel's clock"),
        Column("release_at", "timestamptz", "first", "not to be allocated before this time"),
        Column("promised_by", "timestamptz", "first", "the promise as placed (v_kpi_promises has later ones)"),
        Column("promise", "text", "first", "what is promised by then: delivery or dispatch"),
        Column("ordered", "bigint", "sum", "units asked for and not amended away"),
        Column("cancelled", "bigint", "sum", "units cancelled"),
        Column("removed_by_seller", "bigint", "sum", "units that the seller cancelled or amended away"),
        Column("removed_by_customer", "bigint", "sum", "units that the customer cancelled or amended away"),
        Column("shipped", "bigint", "sum", "units that left"),
        Column("delivered", "bigint", "sum", "units that arrived"),
        Column(
            "inferred", "bigint", "sum", "of the delivered units, those that came back without a scan of their delivery"
        ),
        Column("inferred_at", "timestamptz", "max", "when the last of these came back"),
        Column("returned", "bigint", "sum", "units that came back, for any cause"),
        Column("returned_by_customer", "bigint", "sum", "units that the customer sent back"),
        Column("crossed", "bigint", "sum", "parcels with units that had been cancelled or amended away"),
    ),
    "Base rows of the KPIs: orders, without lines that were added in exchange",
    stream="ledger.orders",
)

PROMISES = Table(
    "kpi_promises",
    (
        Column("order_id", "text", "key", "the order"),
        Column("amendment", "text", "key", "id of the amendment; without an id, the order's version after it"),
        Column("version", "bigint", "max", "version of the order at which the promise changed"),
        Column("moved_at", "timestamptz", "min", "when the new promise was asked for"),
        Column("by_seller", "boolean", "last", "whether the seller moved the promise"),
        Column("due_by", "timestamptz", "last", "the new promise; null if the amendment was not applied, or not yet"),
    ),
    "Base rows of the KPIs: promises that replaced the one given when the order was placed",
)

HOLDS = Table(
    "kpi_holds",
    (
        Column("order_id", "text", "key", "the order"),
        Column("version", "bigint", "key", "version of the order at which the hold changed"),
        Column("changed_at", "timestamptz", "first", "when the hold was set or released"),
        Column("held", "boolean", "first", "true: the customer's hold was set; false: it was released"),
    ),
    "Base rows of the KPIs: changes of the customer's own hold",
    insert_only=True,
)

PARCELS = Table(
    "kpi_parcels",
    (
        Column("order_id", "text", "key", "the order"),
        Column("shipment_id", "text", "key", "the parcel"),
        Column("location_id", "text", "first", "location that it left"),
        Column("carrier", "text", "first", "the carrier"),
        Column("units", "bigint", "sum", "units in it; 0 where its dispatch was retracted"),
        Column("replaced", "bigint", "sum", "of these, units for which a replacement was ordered"),
        Column("dispatched_at", "timestamptz", "first", "when it left"),
        Column("differed", "bigint", "sum", "1 if it did not leave as planned"),
        Column("lost_at", "timestamptz", "max", "when it was last reported or replaced as lost"),
        Column("to_sender_at", "timestamptz", "max", "the carrier's newest scan of it as returned to sender"),
        Column("delivered_at", "timestamptz", "first", "when it arrived"),
    ),
    "Base rows of the KPIs: parcels",
    stream="ledger.orders",
)

COMPLAINTS = Table(
    "kpi_complaints",
    (
        Column("order_id", "text", "key", "the order"),
        Column("said_in", "text", "key", "return, case or replacement"),
        Column("said_id", "text", "key", "id of the return, the case or the replaced parcel"),
        Column("reason_code", "text", "key", "the code"),
        Column("said_at", "timestamptz", "min", "when it was first said"),
    ),
    "Base rows of the KPIs: what customers said of their orders, by code",
)

COUNTS = Table(
    "kpi_counts",
    (
        Column("sku", "text", "key", "the SKU"),
        Column("location_id", "text", "key", "the location"),
        Column("counted_at", "timestamptz", "key", "when it was counted"),
        Column("count_id", "text", "key", "name of the count; empty if the fact has none"),
        Column("counted", "bigint", "last", "units that were counted"),
        Column("variance", "bigint", "last", "units more (or less) than were expected"),
        Column("tolerance", "bigint", "last", "largest difference, in units, that still counts as accurate"),
        Column("accurate", "boolean", "last", "whether it was accurate"),
    ),
    "Base rows of the KPIs: counts of stock",
)

WATERMARKS = Table(
    "kpi_watermarks",
    (
        Column("topic", "text", "key", "topic of the ledger, without prefix"),
        Column("partition", "integer", "key", "its partition"),
        Column(
            "as_of", "timestamptz", "max", "the time, by the channel's clock or Kafka's clock, whichever is earlier"
        ),
    ),
    "Time of the newest fact in each partition, without refusals. KPIs are complete up to then",
)


def fold(batch: FactBatch) -> Deltas:
    """Deltas for the tables of this folder."""
    return {
        ORDERS.name: batch.made(_orders),
        PROMISES.name: batch.made(_promises),
        HOLDS.name: batch.made(_holds),
        PARCELS.name: batch.made(_parcels),
        COMPLAINTS.name: batch.made(_complaints),
        COUNTS.name: batch.made(_counts),
        WATERMARKS.name: batch.made(_watermarks),
    }


def _orders(batch: FactBatch) -> Rows:
    return together(*map(batch.made, _OF_ORDERS))


def _placed(batch: FactBatch) -> Rows:
    address = pl.col("ship_to").struct
    return batch.facts("OrderPlaced").select(
        "order_id",
        SEQUENCE,
        address.field("country").alias("country"),
        address.field("region").alias("region"),
        "release_at",
        "promised_by",
        "promise",
        channel="meta_channel",
        placed_at="meta_occurred_at",
        ordered=_units("quantity"),
    )


def _amended(batch: FactBatch) -> Rows:
    """Units that an amendment removes count as removed by whoever asked for it."""
    taken_out = _sum_of(pl.max_horizontal(_field("ordered_before") - _field("ordered"), 0))
    amended = _own(batch, "OrderAmended").with_columns(taken_out=taken_out)
    return amended.select(
        "order_id", SEQUENCE, *_removed("taken_out"), ordered=_units("ordered") - _units("ordered_before")
    )


def _cancelled(batch: FactBatch) -> Rows:
    cancelled = _own(batch, "OrderCancelled").with_columns(cancelled=_units("quantity"))
    return cancelled.select("order_id", SEQUENCE, "cancelled", *_removed("cancelled"))


def _removed(units: str) -> tuple[pl.Expr, ...]:
    """Removed units as columns of the seller and the customer."""
    by_seller, count = pl.col("by") == "seller", pl.col(units)
    return (
        pl.when(by_seller).then(count).otherwise(0).alias("removed_by_seller"),
        pl.when(by_seller).then(0).otherwise(count).alias("removed_by_customer"),
    )


def _promises(batch: FactBatch) -> Rows:
    """Promises that were moved, by whom and when. Which one counts depends on the moment that is judged.

    If stock is asked first, the promise moves at the time of the request, even if the answer takes long. It has a
    `due_by` only if the amendment is made.
    """
    made = batch.facts("OrderAmended").select(
        "order_id",
        SEQUENCE,
        "promised_by",
        by_seller=pl.col("by") == "seller",
        amendment=pl.coalesce("amendment_id", pl.col("meta_version").cast(pl.String)),
        version="meta_version",
        moved_at="meta_occurred_at",
        due_by="promised_by",
    )
    asked_for = batch.facts("AmendmentRequested").select(
        "order_id", SEQUENCE, "promised_by", amendment="amendment_id", moved_at="meta_occurred_at"
    )
    return together(made, asked_for).filter(pl.col("promised_by").is_not_null()).drop("promised_by")


def _dispatched(batch: FactBatch) -> Rows:
    return _own(batch, "ShipmentDispatched").select(
        "order_id",
        SEQUENCE,
        shipped=_units("quantity"),
        # Units that left although cancelled or amended away no longer count as such.
        cancelled=-_units("from_cancelled"),
        ordered=_units("from_removed"),
    )


def _replaced(batch: FactBatch) -> Rows:
    """What is to be sent again is wanted once more: without it the order is not complete."""
    return _own(batch, "ShipmentReplaced").select("order_id", SEQUENCE, ordered=_units("quantity"))


def _retracted(batch: FactBatch) -> Rows:
    """The dispatch, and what was replaced of it, taken back."""
    return _own(batch, "DispatchRetracted").select(
        "order_id",
        SEQUENCE,
        shipped=-_units("quantity"),
        cancelled=_units("to_cancelled"),
        ordered=-_units("to_removed") - _units("replaced"),
    )


def _crossed(batch: FactBatch) -> Rows:
    """Parcels with units that had been cancelled or amended away."""
    return together(
        batch.facts("DispatchCrossed").select("order_id", SEQUENCE, crossed=_ONE),
        batch.facts("DispatchRetracted").filter("crossed").select("order_id", SEQUENCE, crossed=-_ONE),
    )


def _delivered(batch: FactBatch) -> Rows:
    units = _units("quantity")
    return together(
        _own(batch, "ShipmentDelivered").select("order_id", SEQUENCE, delivered=units),
        _own(batch, "DeliveryInferred").select(
            "order_id", SEQUENCE, delivered=units, inferred=units, inferred_at="meta_occurred_at"
        ),
    )


def _returned(batch: FactBatch) -> Rows:
    """Units that came back, and those of them that the customer sent back. Only these show what customers think."""
    units = _units("quantity")
    by_customer = pl.when(pl.col("cause") == "customer").then(units).otherwise(0)
    return _own(batch, "ReturnReceived").select("order_id", SEQUENCE, returned=units, returned_by_customer=by_customer)


def _holds(batch: FactBatch) -> Rows:
    changes = [
        batch.facts(name)
        .filter(pl.col("hold") == CUSTOMER_HOLD)
        .select("order_id", SEQUENCE, pl.lit(held).alias("held"), version="meta_version", changed_at="meta_occurred_at")
        for name, held in (("OrderHeld", True), ("HoldReleased", False))
    ]
    return together(*changes)


def _parcels(batch: FactBatch) -> Rows:
    key = ("order_id", "shipment_id", SEQUENCE)
    # A deferred scan has its own time.
    scans = _not_in_exchange(batch, "ShipmentTracked").with_columns(at=pl.coalesce("scanned_at", "meta_occurred_at"))
    return together(
        _own(batch, "ShipmentDispatched").select(
            *key, "location_id", "carrier", units=_units("quantity"), dispatched_at="meta_occurred_at"
        ),
        _own(batch, "DispatchDiffered").select(*key, differed=_ONE),
        _own(batch, "DispatchRetracted").select(*key, units=-_units("quantity"), replaced=-_units("replaced")),
        _own(batch, "ShipmentReplaced").select(
            *key,
            replaced=_units("quantity"),
            lost_at=pl.when(pl.col("reason") == "lost").then("meta_occurred_at"),
        ),
        scans.filter(pl.col("status") == "lost").select(*key, lost_at="at"),
        scans.filter(pl.col("status") == "returned_to_sender").select(*key, to_sender_at="at"),
        _not_in_exchange(batch, "ShipmentDelivered").select(*key, "delivered_at"),
    )


def _complaints(batch: FactBatch) -> Rows:
    """What customers said of their orders, by code, in returns and cases, and why goods were sent again. The figures
    decide which codes count.
    """
    in_returns = _own(batch, "ReturnRequested").explode("lines").unnest("lines")
    in_cases = batch.facts("CaseOpened").filter(pl.col("order_id").is_not_null())
    said = (
        in_returns.select(
            "order_id", "reason_code", said_at="meta_occurred_at", said_in=pl.lit("return"), said_id="return_id"
        ),
        in_cases.select(
            "order_id", "reason_code", said_at="meta_occurred_at", said_in=pl.lit("case"), said_id="case_id"
        ),
        _own(batch, "ShipmentReplaced").select(
            "order_id",
            said_at="meta_occurred_at",
            reason_code=pl.col("reason").replace_strict(REPLACED_AS, default=None, return_dtype=pl.String),
            said_in=pl.lit("replacement"),
            said_id="shipment_id",
        ),
    )
    return together(*said).filter(pl.col("reason_code").is_not_null())


def _counts(batch: FactBatch) -> Rows:
    """One row per count. A movement from before the count that is reported late corrects its variance."""
    key = ("sku", SEQUENCE, "location_id", "counted_at")
    # Counts without a name.
    name = pl.col("count_id").fill_null("")
    return together(
        *(
            batch.facts(fact).select(*key, "counted", "variance", "tolerance", "accurate", count_id=name)
            for fact in ("StockCounted", "CountRestated")
        )
    )


def _watermarks(batch: FactBatch) -> Rows:
    """Refusals do not count: a channel's mistake must not make orders due."""
    seen = together(*(batch.envelopes(topic, refusals=False) for topic in LEDGER_TOPICS))
    as_of = pl.min_horizontal("meta_occurred_at", "meta_recorded_at").max().alias("as_of")
    place = (pl.col("meta_topic").alias("topic"), pl.col("meta_partition").alias("partition"))
    return seen.then(lambda facts: facts.group_by(*place).agg(as_of))


_OF_ORDERS = (
    _placed, _amended, _cancelled, _dispatched, _replaced, _retracted, _crossed, _delivered, _returned,
)  # fmt: skip
_ONE = pl.lit(1, pl.Int64)


def _field(name: str) -> pl.Expr:
    return pl.element().struct.field(name)


def _sum_of(expression: pl.Expr) -> pl.Expr:
    return pl.col("lines").list.eval(expression).list.sum()


def _not_in_exchange(batch: FactBatch, name: str) -> Rows:
    """Facts without those marked as only about exchange lines."""
    own = ~pl.col("exchange").fill_null(value=False)
    return batch.facts(name).then(lambda facts: facts.filter(own) if "exchange" in facts.columns else facts)


def _own(batch: FactBatch, name: str) -> Rows:
    """Facts without exchange lines, and without facts that were only about such lines: no figure counts exchanges."""
    facts = _not_in_exchange(batch, name)
    own = pl.col("lines").list.eval(pl.element().filter(~_field("exchange").fill_null(value=False)))
    none_of_its_own = (pl.col("lines").list.len() > 0) & (own.list.len() == 0)
    return facts.filter(~none_of_its_own).with_columns(lines=own)


def _units(field: str) -> pl.Expr:
    """Sum of a field over the lines of a fact; 0 for a fact without lines."""
    return _sum_of(_field(field))


PROJECTION = Projection("kpi", (ORDERS, PROMISES, HOLDS, PARCELS, COMPLAINTS, COUNTS, WATERMARKS), fold)
