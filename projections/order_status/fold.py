"""From the facts of orders to rows. Each fact says which units it moves from where, so the fold needs no earlier state.

    OrderPlaced 3 × A        →  line: ordered +3, open +3
    LineAllocated 2 at WH1   →  line: open −2, allocated +2; at WH1: allocated +2
    ShipmentDispatched 2     →  line: allocated −2, shipped +2; at WH1: allocated −2, shipped +2

An order's counters are the sums of its lines'.
"""

import polars as pl

from projections.model import SEQUENCE, Deltas, FactBatch, Rows, together
from projections.order_status.tables import COUNTERS

#: 10^12 units at 10^12 minor units each do not fit into 64 bits. Such an order shows this value; its lines are exact.
VALUE_MINOR_MAX = 9 * 10**18

_LINE = ("order_id", "line_id", SEQUENCE)
_q = pl.col("quantity")


def fold(batch: FactBatch) -> Deltas:
    """Deltas for all tables of `order_status`."""
    return {
        "order_status": batch.made(_order_deltas),
        "order_holds": batch.made(_hold_deltas).select("order_id", "hold", "active"),
        "order_lines": batch.made(_line_deltas),
        "order_line_locations": batch.made(_location_deltas),
        "order_shipments": batch.made(_shipment_deltas),
        "order_shipment_lines": batch.made(_shipment_line_deltas),
        "order_returns": batch.made(_return_deltas),
        "order_return_lines": batch.made(_return_line_deltas),
        "order_amendments": batch.made(_amendment_deltas),
        "order_amendment_lines": batch.made(_amendment_line_deltas),
    }


def _line_deltas(batch: FactBatch) -> Rows:
    taken = {
        "open": -pl.col("from_open"),
        "backordered": -pl.col("from_backordered"),
        "allocated": -pl.col("from_allocated"),
    }
    grown = (pl.col("ordered") - pl.col("ordered_before")).clip(lower_bound=0)
    delivered = [
        batch.lines(name, "lines").select(*_LINE, delivered=_q, written_off=-pl.col("found"))
        for name in ("ShipmentDelivered", "DeliveryInferred")
    ]
    return together(
        batch.lines("OrderPlaced", "lines").select(
            *_LINE, "sku", "unit_price_minor", "cancel_after", "customised", ordered=_q, open=_q
        ),
        batch.lines("ExchangeLinesAdded", "lines").select(
            *_LINE,
            "sku",
            "unit_price_minor",
            "customised",
            ordered=_q,
            open=_q,
            exchange_for="return_id",
            awaits_return=pl.lit(True),
        ),
        batch.lines("ExchangeReleased", "lines").select(*_LINE, awaits_return=pl.lit(False)),
        batch.lines("OrderAmended", "lines").select(
            *_LINE,
            ordered=pl.col("ordered") - pl.col("ordered_before"),
            **{**taken, "open": grown - pl.col("from_open")},
        ),
        batch.lines("OrderCancelled", "lines").select(*_LINE, cancelled=_q, **taken),
        batch.facts("LineAllocated").select(
            *_LINE, open=-pl.col("from_open"), backordered=-pl.col("from_backordered"), allocated=_q
        ),
        batch.facts("LineBackordered").select(
            *_LINE,
            open=-_q,
            backordered=_q,
            # A line that waits only because another one does is in no queue and has no promise.
            promised=pl.when(pl.col("attempt") == 0).then(pl.lit(False)),
        ),
        batch.facts("LinePromised").select(
            *_LINE, promised=pl.col("expected_at").is_not_null(), told_expected_at="expected_at"
        ),
        batch.facts("BackorderReopened").select(*_LINE, open=_q, backordered=-_q),
        batch.facts("LineDeallocated").select(*_LINE, open=_q, allocated=-_q),
        batch.lines("AllocationRejected", "lines").select(*_LINE, open=_q, allocated=-_q),
        batch.lines("ShipmentDispatched", "lines").select(
            *_LINE, shipped=_q, cancelled=-pl.col("from_cancelled"), ordered=pl.col("from_removed"), **taken
        ),
        batch.lines("DispatchRetracted", "lines").select(
            *_LINE,
            shipped=-_q,
            open=pl.col("to_open"),
            allocated=pl.col("to_allocated"),
            cancelled=pl.col("to_cancelled"),
            ordered=-pl.col("to_removed") - pl.col("replaced"),
            replaced=-pl.col("replaced"),
            written_off=-pl.col("written_off"),
        ),
        batch.lines("ShipmentReplaced", "lines").select(*_LINE, "written_off", ordered=_q, open=_q, replaced=_q),
        *delivered,
        batch.lines("ReturnReceived", "lines").select(
            *_LINE,
            returned=_q,
            returned_by_customer=pl.when(pl.col("cause") == "customer").then(_q).otherwise(0),
        ),
    )


def _hold_deltas(batch: FactBatch) -> Rows:
    one = pl.lit(1, pl.Int64)
    return together(
        batch.facts("OrderHeld").select("order_id", "hold", SEQUENCE, active=one),
        batch.facts("HoldReleased").select("order_id", "hold", SEQUENCE, active=-one),
    )


def _order_deltas(batch: FactBatch) -> Rows:
    def minor(per_unit: str) -> pl.Expr:
        # In 128 bits: the product of two allowed numbers may not fit into 64.
        total = pl.col("lines").list.eval(
            pl.element().struct.field("quantity").cast(pl.Int128) * pl.element().struct.field(per_unit).cast(pl.Int128)
        )
        return total.list.sum().clip(upper_bound=VALUE_MINOR_MAX).cast(pl.Int64)

    placed = batch.facts("OrderPlaced").select(
        "order_id",
        "customer_id",
        "currency",
        "promised_by",
        "promise",
        "service_level",
        "allocation",
        "release_at",
        SEQUENCE,
        channel="meta_channel",
        placed_at="meta_occurred_at",
        due_by="promised_by",
        country=pl.col("ship_to").struct.field("country"),
        region=pl.col("ship_to").struct.field("region"),
        released="sourcing",
        value_minor=minor("unit_price_minor"),
        charges_minor=pl.col("charges").list.eval(pl.element().struct.field("amount_minor")).list.sum(),
    )
    amended = batch.facts("OrderAmended").select("order_id", "promised_by", "due_by", SEQUENCE)
    released = batch.facts("SourcingRequested").select("order_id", SEQUENCE, released=pl.lit(True))
    refunded = batch.facts("RefundIssued").select("order_id", SEQUENCE, refunded_minor="amount_minor")
    # A refusal changes nothing: neither the version that channels rely on, nor the time of the last change.
    changes = batch.envelopes("ledger.orders", refusals=False)
    facts = changes.select(SEQUENCE, order_id="meta_stream_id", version="meta_version", updated_at="meta_recorded_at")
    counters = batch.made(_line_deltas).keep("order_id", SEQUENCE, *COUNTERS)
    held = batch.made(_hold_deltas).select("order_id", SEQUENCE, active_holds="active")
    return together(placed, amended, released, refunded, facts, counters, held)


def _location_deltas(batch: FactBatch) -> Rows:
    key = ("order_id", "line_id", "location_id")
    held = pl.col("location_id") != ""
    let_go = [
        batch.lines(name, "releases").filter(held).select(*key, allocated=-_q)
        for name in ("OrderAmended", "OrderCancelled")
    ]
    shipped = batch.lines("ShipmentDispatched", "lines")
    consumed = batch.lines("ShipmentDispatched", "lines", "consumed").filter(held)
    retracted = batch.lines("DispatchRetracted", "lines")
    return together(
        batch.facts("LineAllocated").select(*key, allocated=_q),
        batch.facts("LineDeallocated").select(*key, allocated=-_q),
        batch.lines("AllocationRejected", "lines").select(*key, allocated=-_q),
        *let_go,
        shipped.select(*key, shipped=_q),
        consumed.select(*key, allocated=-_q),
        retracted.select(*key, shipped=-_q, allocated="to_allocated"),
    )


def _shipment_deltas(batch: FactBatch) -> Rows:
    key = ("order_id", "shipment_id", SEQUENCE)
    return together(
        batch.facts("ShipmentDispatched").select(
            *key,
            "location_id",
            "carrier",
            "service",
            "tracking_number",
            "expected_at",
            scan=pl.lit("dispatched"),
            dispatched_at="meta_occurred_at",
        ),
        batch.facts("DispatchRetracted").select(*key, scan=pl.lit("retracted")),
        batch.facts("ShipmentTracked").select(*key, "expected_at", scan="status"),
        batch.facts("ShipmentDelivered").select(*key, "delivered_at", "due_by", "on_time", scan=pl.lit("delivered")),
    )


def _shipment_line_deltas(batch: FactBatch) -> Rows:
    """What is in a parcel is not changed by a retraction: it never left, and it holds what it holds."""
    key = ("order_id", "shipment_id", "line_id", "sku", SEQUENCE)
    return together(
        batch.lines("ShipmentDispatched", "lines").select(*key, "quantity"),
        batch.lines("ShipmentReplaced", "lines").select(*key, replaced=_q),
        batch.lines("DispatchRetracted", "lines").select(*key, replaced=-pl.col("replaced")),
    )


def _return_deltas(batch: FactBatch) -> Rows:
    key = ("order_id", "return_id", SEQUENCE)
    return together(
        batch.facts("ReturnRequested").select(
            *key,
            "rma",
            "resolution",
            scan=pl.lit("requested"),
            announced=pl.lit(True),
            requested_at="meta_occurred_at",
        ),
        batch.facts("ReturnTracked").select(*key, scan="status"),
        batch.facts("ReturnWithdrawn").select(*key, scan=pl.lit("withdrawn")),
        batch.facts("ReturnReceived").select(
            *key,
            "rma",
            "location_id",
            "cause",
            "announced",
            scan=pl.lit("received"),
            received_at="meta_occurred_at",
        ),
    )


def _return_line_deltas(batch: FactBatch) -> Rows:
    key = ("order_id", "return_id", "line_id", "sku", SEQUENCE)
    return together(
        batch.lines("ReturnRequested", "lines").select(*key, "quantity", "reason", "reason_code"),
        batch.lines("ReturnWithdrawn", "lines").select(*key, quantity=-_q),
        batch.lines("ReturnReceived", "lines").select(*key, "disposition", received=_q),
    )


def _amendment_deltas(batch: FactBatch) -> Rows:
    key = ("order_id", "amendment_id", SEQUENCE)
    made = batch.facts("OrderAmended").filter(pl.col("amendment_id").is_not_null())
    return together(
        batch.facts("AmendmentRequested").select(
            *key, "by", "promised_by", status=pl.lit("requested"), requested_at="meta_recorded_at"
        ),
        made.select(*key, status=pl.lit("applied"), answered_at="meta_recorded_at"),
        batch.facts("AmendmentDeclined").select(
            *key, "reason", status=pl.lit("declined"), answered_at="meta_recorded_at"
        ),
    )


def _amendment_line_deltas(batch: FactBatch) -> Rows:
    # Counted as in AmendOrder: without cancelled units.
    wanted = {name: pl.col(name) - pl.col("cancelled") for name in ("ordered_before", "ordered")}
    key = ("order_id", "amendment_id", "line_id", "sku", SEQUENCE)
    return together(
        batch.lines("AmendmentRequested", "lines").select(*key, **wanted),
        batch.lines("AmendmentDeclined", "lines").select(*key, "available", **wanted),
    )
