"""The first fact of a decision is the answer to its command. The ledger's own commands are left out.

A decision may state first which reservations expired (ReservationExpired) and who got their units. These facts are no
answer, so the next one counts.
"""

import polars as pl

from events.catalogue import LEDGER_TOPICS
from events.envelope import INTERNAL_CHANNEL
from projections.model import META, Deltas, FactBatch, Rows, together

_ENVELOPE = (
    "topic",
    "partition",
    "offset",
    "epoch",
    "intake_offset",
    "channel",
    "command_id",
    "stream_id",
    "recorded_at",
)
_PLACE = ("meta_topic", "meta_partition", "meta_offset")
_DECISION = ("meta_topic", "meta_partition", "meta_epoch", "meta_intake_offset")
_REFUSALS = ("CommandRefused", "ReservationRefused")
_WHY = ("command", "code", "what", "detail", "hint", "at_most")


def _not_reserved(batch: FactBatch) -> Rows:
    """ReservationRefused as a refusal: the channel did not get the reservation that it asked for."""
    short = "{} asked at {}: at most {}"
    return batch.facts("ReservationRefused").with_columns(
        command=pl.lit("ReserveStock"),
        code=pl.col("reason"),
        what=pl.format("no {} was reserved", "sku"),
        detail=pl.when(pl.col("reason") == "not_enough")
        .then(pl.format(short, "quantity", "location_id", "available"))
        .when(pl.col("reason") == "not_registered")
        .then(pl.format("location {} is not known to be registered: at most 0", "location_id"))
        .otherwise(pl.lit("its release came before it")),
        hint=pl.when(pl.col("reason") == "not_enough")
        .then(pl.lit("ask for less, or at another location, as a new attempt"))
        .when(pl.col("reason") == "not_registered")
        .then(
            pl.lit("ask again in a moment as a new attempt; if that fails, check location_id and send RegisterLocation")
        )
        .otherwise(pl.lit("use a new attempt number")),
        at_most=pl.col("available"),
        fact=pl.lit("ReservationRefused"),
        outcome=pl.lit("refused"),
    )


def _answering(batch: FactBatch, facts: pl.DataFrame) -> pl.DataFrame:
    """The facts that answer their commands. `facts` are whole decisions about commands from outside."""
    first = facts.filter(pl.col("meta_index") == 1)
    if not batch.has("ReservationExpired"):
        return first
    lapsed = first.filter(pl.col("fact") == "ReservationExpired").select(_DECISION)
    if lapsed.is_empty():
        return first
    # Rare, so a second pass over the facts costs little.
    served = batch.facts("StockReserved").filter("waited").frame.select(_PLACE)
    after = facts.filter(~pl.col("fact").is_in(["ReservationExpired", "StockOffered"]))
    after = after.join(lapsed, on=_DECISION, how="semi").join(served, on=_PLACE, how="anti")
    after = after.filter(pl.col("meta_index") == pl.col("meta_index").min().over(_DECISION))
    return pl.concat([first.join(lapsed, on=_DECISION, how="anti"), after])


def fold(batch: FactBatch) -> Deltas:
    """Rows for `answers`."""
    outside = together(*(batch.envelopes(topic) for topic in LEDGER_TOPICS)).filter(
        pl.col("meta_channel") != INTERNAL_CHANNEL
    )
    answering = outside.then(lambda facts: _answering(batch, facts))
    envelope = [pl.col(META + name).alias(name) for name in _ENVELOPE]
    refusals, not_reserved = (
        rows.then(lambda refused: refused.join(answering.frame, on=_PLACE, how="semi"))
        for rows in (batch.facts("CommandRefused"), batch.made(_not_reserved))
    )
    accepted = answering.filter(~pl.col("fact").is_in(_REFUSALS)) if batch.has_any(_REFUSALS) else answering
    answers = together(
        accepted.select(*envelope, "fact", outcome=pl.lit("accepted")),
        refusals.select(*envelope, *_WHY, fact=pl.lit("CommandRefused"), outcome=pl.lit("refused")),
        not_reserved.select(*envelope, *_WHY, "fact", "outcome"),
    )
    return {"answers": answers.then(lambda rows: rows.sort("topic", "partition", "offset").drop("offset"))}
