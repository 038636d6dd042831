"""What became of each command from outside: accepted or refused, and why. One row per decision."""

from projections.answers.fold import fold
from projections.model import Column, Projection, Table

ANSWERS = Table(
    "answers",
    (
        Column("topic", "text", "key"),
        Column("partition", "integer", "key"),
        Column("epoch", "bigint", "key"),
        Column("intake_offset", "bigint", "key"),
        Column("channel", "text", "last"),
        Column("command_id", "text", "last"),
        Column("stream_id", "text", "last"),
        Column("outcome", "text", "last"),
        Column("fact", "text", "last"),
        Column("command", "text", "last"),
        Column("code", "text", "last"),
        Column("what", "text", "last"),
        Column("detail", "text", "last"),
        Column("hint", "text", "last"),
        Column("at_most", "bigint", "last"),
        Column("recorded_at", "timestamptz", "last"),
    ),
    insert_only=True,
)

PROJECTION = Projection("answers", (ANSWERS,), fold)

__all__ = ["PROJECTION"]
