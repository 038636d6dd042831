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


def fold(batch: FactBatch) -> Mapping[str, pl.DataFrame]:
    """Rows for `answers`."""
    first = (pl.col("meta_index") == 1) & (pl.col("meta_channel") != INTERNAL_CHANNEL)
    envelope = [pl.col(META + name).alias(name) for name in _ENVELOPE]
    facts = pl.concat([batch.envelopes(topic) for topic in LEDGER_TOPICS]).filter(
        first & (pl.col("fact") != "CommandRefused")
    )
    refusals = batch.facts("CommandRefused").filter(first)
    answers = pl.concat(
        [
            facts.select(*envelope, "fact", outcome=pl.lit("accepted")),
            refusals.select(*envelope, *_WHY, fact=pl.lit("CommandRefused"), outcome=pl.lit("refused")),
        ],
        how="diagonal",
    )
    return {"answers": answers.sort("topic", "partition", "offset").drop("offset")}
