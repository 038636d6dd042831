"""The table `follower_positions`: how far a follower is, moved on only by who knows where it stood.

    positions = Positions("projector")
    positions.place(connection, {("ledger.orders", 0): topic_id})    -> {("ledger.orders", 0): Position(120, ...)}
    positions.move(connection, {("ledger.orders", 0): Move(120, Position(150, ...))})   -> partitions others have moved

All of it runs in the caller's transaction. A move that comes back as overtaken has changed nothing; a host that writes
rows beside it rolls all of them back (`move_all`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from events.chain import GENESIS
from runtime.errors import Fault

Partition = tuple[str, int]
"""(ledger topic, partition)."""

Connection = psycopg.Connection[Any]

TABLE = "follower_positions"

#: Any number that nobody else locks: two processes that start together must not both create the table.
_CREATE_LOCK = 0x0EAC7105


class ChainState(NamedTuple):
    """The last accepted decision of a partition, and where its command stands in the intake."""

    last: int = GENESIS
    epoch: int = 0
    intake_offset: int = -1


class Position(NamedTuple):
    """How far a partition was read: the next offset, and the chain up to it."""

    next_offset: int = 0
    chain: ChainState = ChainState()


class Move(NamedTuple):
    """From the `next_offset` that is in the table to the position that shall stand there."""

    before: int
    after: Position


class Overtaken(Exception):
    """Another process moved a partition on since it was read. Nothing was written; positions must be read again."""


def ensure_table(connection: Connection) -> None:
    """Create the table where it is missing, in a transaction of the caller; safe when several workers start at once."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATE_LOCK])
    connection.execute((Path(__file__).parent / "table.sql").read_text(encoding="utf-8").encode())


class Positions:
    """The rows of one follower. Topics come and go with `topic_prefix`; the table has them without."""

    def __init__(self, follower: str, topic_prefix: str = "") -> None:
        self.follower = follower
        self._prefix = topic_prefix

    def place(
        self,
        connection: Connection,
        topic_ids: Mapping[Partition, str],
        start: Mapping[Partition, Position] | None = None,
    ) -> dict[Partition, Position]:
        """Where each partition is; those without a row get one, at `start` or at the beginning.

        `topic_ids` are the broker's ids of the topics now. Raises Fault where one is another than that which was read.
        """
        begins = [((start or {}).get(one, Position()), one, topic_id) for one, topic_id in sorted(topic_ids.items())]
        rows = [(self._bare(topic), number, at[0], *at.chain, id_) for at, (topic, number), id_ in begins]
        connection.execute(
            "INSERT INTO follower_positions SELECT %s, n.* FROM unnest(%s::text[], %s::integer[], %s::bigint[],"
            " %s::bigint[], %s::bigint[], %s::bigint[], %s::text[])"
            " AS n (topic, partition, next_offset, last_decision, epoch, intake_offset, topic_id)"
            " ON CONFLICT DO NOTHING",
            [self.follower, *_columns(rows, 7)],
        )
        found = self._rows(connection, topic_ids)
        for (topic, number), (position, known) in found.items():
            now = topic_ids[topic, number]
            if known != now:
                raise Fault(
                    f"The topic {topic} was made anew",
                    f"{self.follower} has read partition {number} up to offset {position.next_offset} of topic id"
                    f" {known}; now it is {now}",
                    "bring the old topic back, or begin with an empty database and another ORDER_LEDGER_TOPIC_PREFIX",
                )
        return {partition: position for partition, (position, _) in found.items()}

    def stored(self, connection: Connection, partitions: Collection[Partition]) -> dict[Partition, Position]:
        """What the table says now; nothing of a partition that has no row any more."""
        return {partition: position for partition, (position, _) in self._rows(connection, partitions).items()}

    def move(self, connection: Connection, moves: Mapping[Partition, Move]) -> set[Partition]:
        """Partitions that do not stand where the move begins: nothing is written of these, all others are moved."""
        rows = [
            (self._bare(topic), number, m.before, m.after[0], *m.after.chain) for (topic, number), m in moves.items()
        ]
        moved = connection.execute(
            "UPDATE follower_positions AS t SET next_offset = n.next_offset, last_decision = n.last_decision,"
            " epoch = n.epoch, intake_offset = n.intake_offset FROM unnest(%s::text[], %s::integer[], %s::bigint[],"
            " %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])"
            " AS n (topic, partition, before, next_offset, last_decision, epoch, intake_offset)"
            " WHERE t.follower = %s AND t.topic = n.topic AND t.partition = n.partition AND t.next_offset = n.before"
            " RETURNING t.topic, t.partition",
            [*_columns(sorted(rows), 7), self.follower],
        )
        return set(moves) - {(self._prefix + topic, number) for topic, number in moved}

    def move_all(self, connection: Connection, moves: Mapping[Partition, Move]) -> None:
        """All of them, or Overtaken: to be raised out of the transaction, which then writes nothing."""
        overtaken = self.move(connection, moves)
        if overtaken:
            raise Overtaken(f"{len(overtaken)} of {len(moves)} partitions were moved on by another process")

    def drop(self, connection: Connection) -> None:
        """Forget how far this follower is: it begins again at the beginning."""
        if connection.execute("SELECT to_regclass(%s)", [TABLE]).fetchone() != (None,):
            connection.execute("DELETE FROM follower_positions WHERE follower = %s", [self.follower])

    def _rows(self, connection: Connection, partitions: Collection[Partition]) -> dict[Partition, tuple[Position, str]]:
        rows = connection.execute(
            "SELECT topic, partition, next_offset, last_decision, epoch, intake_offset, topic_id"
            " FROM follower_positions JOIN unnest(%s::text[], %s::integer[]) AS n (topic, partition)"
            " USING (topic, partition) WHERE follower = %s",
            [*_columns([(self._bare(topic), number) for topic, number in partitions], 2), self.follower],
        )
        return {
            (self._prefix + topic, number): (Position(next_offset, ChainState(*chain)), topic_id)
            for topic, number, next_offset, *chain, topic_id in rows
        }

    def _bare(self, topic: str) -> str:
        return topic.removeprefix(self._prefix)


def _columns(rows: Collection[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[number] for row in rows] for number in range(width)]
