"""The first fact of a decision says what became of its command; the product's own commands are left out."""

from collections.abc import Mapping

import polars as pl

from events.catalogue import LEDGER_TOPICS
from events.envelope import INTERNAL_CHANNEL
from projections.model import META, FactBatch

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
_WHY = ("command", "code", "what", "detail", "hint", "at_most")


def _not_reserved(batch: FactBatch) -> pl.DataFrame:
    """A channel that did not get the hold it asked for was refused, though there is a fact of its own for it."""
    short = "{} asked at {}: at most {}"
    return batch.facts("ReservationRefused").with_columns(
        command=pl.lit("ReserveStock"),
        code=pl.col("reason"),
        what=pl.format("no {} was reserved", "sku"),
        detail=pl.when(pl.col("reason") == "not_enough")
        .then(pl.format(short, "quantity", "location_id", "available"))
        .otherwise(pl.lit("its release came before it")),
        hint=pl.when(pl.col("reason") == "not_enough")
        .then(pl.lit("ask for less, or at another location, as a new attempt"))
        .otherwise(pl.lit("number a new attempt")),
        at_most=pl.col("available"),
        fact=pl.lit("ReservationRefused"),
        outcome=pl.lit("refused"),
    )


def fold(batch: FactBatch) -> Mapping[str, pl.DataFrame]:
    """Rows for `answers`."""
    first = (pl.col("meta_index") == 1) & (pl.col("meta_channel") != INTERNAL_CHANNEL)
    envelope = [pl.col(META + name).alias(name) for name in _ENVELOPE]
    facts = pl.concat([batch.envelopes(topic) for topic in LEDGER_TOPICS]).filter(
        first & ~pl.col("fact").is_in(["CommandRefused", "ReservationRefused"])
    )
    refusals = batch.facts("CommandRefused").filter(first)
    answers = pl.concat(
        [
            facts.select(*envelope, "fact", outcome=pl.lit("accepted")),
            refusals.select(*envelope, *_WHY, fact=pl.lit("CommandRefused"), outcome=pl.lit("refused")),
            _not_reserved(batch).filter(first).select(*envelope, *_WHY, "fact", "outcome"),
        ],
        how="diagonal",
    )
    return {"answers": answers.sort("topic", "partition", "offset").drop("offset")}
