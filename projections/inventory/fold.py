"""From the facts of stock to quantities per SKU and location.

    StockReceived 5   → on_hand +5
    StockReserved 2   → reserved +2
    StockShipped 2    → on_hand −2, reserved −2 (the units that were reserved there)

Available units are never written: the table derives them, so the identity always holds.
"""

import polars as pl

from projections.model import SEQUENCE, Deltas, FactBatch, Rows, together
from projections.stock_changes import CHANGES

_KEY = ("sku", "location_id", SEQUENCE)
_q = pl.col("quantity")


def fold(batch: FactBatch) -> Deltas:
    """Deltas for the tables of `inventory`."""
    return {
        "inventory": batch.made(_inventory),
        "expiring_reservations": batch.made(_expiring),
        "expected_receipts": batch.made(_expected),
        "transfers": batch.made(_transfers),
        "location_channels": batch.made(_location_channels),
        "channel_rules": batch.made(_channel_rules),
    }


def _channel_rules(batch: FactBatch) -> Rows:
    return batch.lines("SellingRulesResolved", "rules").select(*_KEY, "channel", "buffer", "excluded")


def fold_quantities(batch: FactBatch) -> Deltas:
    """What movements add up to: deltas for `inventory`, without what else is known of a SKU at a location."""
    changed = _changed(batch)
    return {"inventory": together(*changed)} if changed else {}


def _inventory(batch: FactBatch) -> Rows:
    return together(*_changed(batch), batch.made(_set))


def _changed(batch: FactBatch) -> list[Rows]:
    return [
        batch.facts(name).select("sku", SEQUENCE, location_id=change.location, **change.quantities())
        for name, changes in CHANGES.items()
        if batch.has(name)
        for change in changes
    ]


def _set(batch: FactBatch) -> Rows:
    """What rarer facts say of a SKU at a location, beside its quantities."""
    started = batch.facts("TransferStarted")
    largest_buffer = pl.col("buffers").list.eval(pl.element().struct.field("quantity")).list.max().fill_null(0)
    return together(
        batch.facts("StockExpected").select(*_KEY, incoming=_q - pl.col("quantity_before")),
        started.select("sku", SEQUENCE, location_id="to_location_id", incoming=_q),
        batch.facts("TransferReceived").select(*_KEY, incoming=-_q),
        batch.facts("TransferDiffered").select(
            "sku", SEQUENCE, location_id="to_location_id", incoming=-pl.col("missing")
        ),
        batch.facts("StockPolicySet").select(*_KEY, "safety_stock", "reorder_point", buffer=largest_buffer),
        batch.facts("SellingRulesResolved").select(
            *_KEY,
            buffer=pl.col("rules").list.eval(pl.element().struct.field("buffer")).list.max().fill_null(0),
            excluded=pl.col("rules").list.eval(pl.element().struct.field("excluded")).list.any(),
        ),
        batch.facts("StockLocated").select(*_KEY, registered=pl.lit(False), located_at="meta_recorded_at"),
        batch.facts("LocationConfirmed").select(*_KEY, "registered"),
        batch.facts("LowStockDetected").select(*_KEY, low_detected_at="meta_recorded_at"),
    )


def _expiring(batch: FactBatch) -> Rows:
    key = ("sku", "order_id", "line_id", "attempt", "location_id", SEQUENCE)
    # Reservations at other locations for goods that left here end with their own StockReleased facts.
    used = batch.lines("StockShipped", "consumed").filter(pl.col("location_id") == pl.col("outer_location_id"))
    return together(
        batch.facts("StockReserved").filter(pl.col("expires_at").is_not_null()).select(*key, "expires_at", quantity=_q),
        batch.facts("StockReleased").select(*key, quantity=-_q),
        batch.facts("ReservationExpired").select(*key, quantity=-_q),
        used.select(*key, quantity=-_q),
        batch.lines("StockRejected", "consumed").select(*key, quantity=-_q),
    )


def _expected(batch: FactBatch) -> Rows:
    orders = {"source": pl.lit("purchase_order"), "reference": pl.col("purchase_order")}
    transfers = {"source": pl.lit("transfer"), "reference": pl.col("transfer_id")}
    is_transfer = pl.col("transfer_id").is_not_null()
    key = ("sku", SEQUENCE)
    when = ("expected_at", "overdue")
    late, on_time = pl.lit(True), pl.lit(False)
    return together(
        batch.facts("StockExpected").select(*_KEY, *when, "quantity", **orders),
        batch.facts("ReceiptOverdue").select(
            *_KEY,
            "quantity",
            "expected_at",
            overdue=late,
            source=pl.when(is_transfer).then(pl.lit("transfer")).otherwise(pl.lit("purchase_order")),
            reference=pl.coalesce("transfer_id", "purchase_order"),
        ),
        batch.facts("TransferStarted").select(
            *key, "quantity", "expected_at", overdue=on_time, location_id="to_location_id", **transfers
        ),
        batch.facts("TransferReceived").select(*_KEY, *when, quantity="left", **transfers),
        batch.facts("TransferAmended").select(*_KEY, *when, quantity="left", **transfers),
        batch.facts("TransferDiffered").select(
            *key, quantity=pl.lit(0, pl.Int64), overdue=on_time, location_id="to_location_id", **transfers
        ),
    ).filter(pl.col("reference").is_not_null())  # the contract allows an overdue receipt without either; it has no row


def _location_channels(batch: FactBatch) -> Rows:
    policies = batch.facts("LocationPolicySet")
    return together(
        *(
            policies.select("location_id", SEQUENCE, channel=channels, excluded=pl.lit(excluded))
            .filter(pl.col("channel").list.len() > 0)
            .explode("channel")
            for channels, excluded in (("excluded_channels", True), ("served_again", False))
        )
    )


def _transfers(batch: FactBatch) -> Rows:
    key = ("sku", "transfer_id", SEQUENCE)
    return together(
        batch.facts("TransferStarted").select(
            *key, "from_location_id", "to_location_id", started_at="meta_occurred_at", sent=_q
        ),
        batch.facts("TransferReceived").select(*key, "damaged", received=_q),
        batch.facts("TransferDiffered").select(*key, "missing"),
    )
