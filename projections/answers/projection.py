"""What became of each command from outside: accepted or refused, and why. One row per decision."""

from projections.answers.fold import fold
from projections.model import Column, Projection, Table

ANSWERS = Table(
    "answers",
    (
        Column("topic", "text", "key", "topic of the ledger, without prefix"),
        Column("partition", "integer", "key", "partition, the same in intake and ledger"),
        Column("epoch", "bigint", "key", "generation of the intake topics"),
        Column("intake_offset", "bigint", "key", "offset of the command in its intake topic"),
        Column("channel", "text", "last", "the channel that sent it"),
        Column("command_id", "text", "last", "the command's id"),
        Column("stream_id", "text", "last", "the order, SKU, case or location that it is about"),
        Column("outcome", "text", "last", "accepted or refused"),
        Column("fact", "text", "last", "the first fact of the decision"),
        Column("command", "text", "last", "type of the command, where it was refused"),
        Column("code", "text", "last", "stable word for the reason"),
        Column("what", "text", "last", "what was refused, in words"),
        Column("detail", "text", "last", "why"),
        Column("hint", "text", "last", "what to do about it"),
        Column("at_most", "bigint", "last", "what would have been accepted, where a number says it"),
        Column("recorded_at", "timestamptz", "last", "log time of the command"),
    ),
    "What became of each command from outside: one row per decision; rows are only added",
    insert_only=True,
)

PROJECTION = Projection("answers", (ANSWERS,), fold)

__all__ = ["PROJECTION"]
