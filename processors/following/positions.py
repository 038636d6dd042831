"""The table `follower_positions`: how far each follower is. A move must name the position before it (compare-and-set).

    positions = Positions("projector")
    positions.place(connection, {("ledger.orders", 0): topic_id})    -> {("ledger.orders", 0): Position(120, ...)}
    positions.move(connection, {("ledger.orders", 0): Move(120, Position(150, ...))})   -> partitions others have moved

All of it runs in the caller's transaction. An overtaken move changes nothing. `move_all` raises, so that the host's
rows are rolled back, too.
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

#: Any number that nothing else locks: two processes that start together must not both create the table.
_CREATE_LOCK = 0x0EAC7105


class ChainState(NamedTuple):
    """The last accepted decision of a partition, and the intake offset of its command."""

    last: int = GENESIS
    epoch: int = 0
    intake_offset: int = -1


class Position(NamedTuple):
    """How far a partition was read: the next offset, and the chain up to it."""

    next_offset: int = 0
    chain: ChainState = ChainState()


class Move(NamedTuple):
    """From the `next_offset` in the table to the new position."""

    before: int
    after: Position


class Overtaken(Exception):
    """Another process has moved a partition since it was read. Nothing was written; read the positions again."""


def ensure_table(connection: Connection) -> None:
    """Create the table if it is missing, in the caller's transaction; safe when several workers start at once."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATE_LOCK])
    connection.execute((Path(__file__).parent / "table.sql").read_text(encoding="utf-8").encode())


class Positions:
    """The rows of one follower. Callers use topic names with `topic_prefix`; the table has them without."""

    def __init__(self, follower: str, topic_prefix: str = "") -> None:
        self.follower = follower
        self._prefix = topic_prefix

    def place(
        self,
        connection: Connection,
        topic_ids: Mapping[Partition, str],
        start: Mapping[Partition, Position] | None = None,
    ) -> dict[Partition, Position]:
        """The position of each partition. A partition without a row gets one, at `start` or at the beginning.

        `topic_ids` are the broker's present ids of the topics. Raises Fault if one is not the topic that was read.
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
                    f"The topic {topic} was recreated",
                    f"{self.follower} has read partition {number} up to offset {position.next_offset} of topic id"
                    f" {known}; now the id is {now}",
                    "restore the old topic, or begin with an empty database and another ORDER_LEDGER_TOPIC_PREFIX",
                )
        return {partition: position for partition, (position, _) in found.items()}

    def stored(self, connection: Connection, partitions: Collection[Partition]) -> dict[Partition, Position]:
        """The positions in the table now. A partition without a row is left out."""
        return {partition: position for partition, (position, _) in self._rows(connection, partitions).items()}

    def move(self, connection: Connection, moves: Mapping[Partition, Move]) -> set[Partition]:
        """Store the moves. Returns the partitions that are not where their move begins; these are not stored."""
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
        """Store all moves or raise Overtaken, which must leave the transaction so that nothing is written."""
        overtaken = self.move(connection, moves)
        if overtaken:
            raise Overtaken(f"{len(overtaken)} of {len(moves)} partitions were moved on by another process")

    def drop(self, connection: Connection) -> None:
        """Delete this follower's positions: it starts again at the beginning."""
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
