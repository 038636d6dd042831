"""The answer to each command from outside: accepted or refused, and why. One row per decision."""

from projections.answers.fold import fold
from projections.model import Column, Projection, Table

ANSWERS = Table(
    "answers",
    (
        Column("topic", "text", "key", "ledger topic, without prefix"),
        Column("partition", "integer", "key", "partition, the same in intake and ledger"),
        Column("epoch", "bigint", "key", "counter that goes up when the intake topics are created again"),
        Column("intake_offset", "bigint", "key", "offset of the command in its intake topic"),
        Column("channel", "text", "last", "the channel that sent it"),
        Column("command_id", "text", "last", "the command's id"),
        Column("stream_id", "text", "last", "the order, SKU, case or location that it is about"),
        Column("outcome", "text", "last", "accepted or refused"),
        Column("fact", "text", "last", "the first fact of the decision"),
        Column("command", "text", "last", "type of the command, if it was refused"),
        Column("code", "text", "last", "stable code for the reason"),
        Column("what", "text", "last", "what was refused, in words"),
        Column("detail", "text", "last", "why"),
        Column("hint", "text", "last", "what to do about it"),
        Column("at_most", "bigint", "last", "the number that would have been accepted, if there is one"),
        Column("recorded_at", "timestamptz", "last", "log time of the command"),
    ),
    "The answer to each command from outside, one row per decision. Rows are only added",
    insert_only=True,
)

PROJECTION = Projection("answers", (ANSWERS,), fold)

__all__ = ["PROJECTION"]
