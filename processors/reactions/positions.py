"""How far the reactions have read, in PostgreSQL: one row per partition, moved on only by who knows where it stood.

    positions.load({("ledger.orders", 0)})                       -> {(topic, 0): Position(next_offset=120, ...)}
    positions.save({("ledger.orders", 0): Move(before=120, after=Position(150, ...))})  -> set() or who was overtaken

Kafka's committed offset is only a hint: it can be behind (repeats are harmless) but must never be ahead of the effects.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeVar

import psycopg

from processors import slow_paths
from processors.reactions.patience import Patience
from processors.reactions.reader import Position
from processors.slow_paths import Miss
from runtime.errors import Fault
from runtime.postgres import connect, let_go_when_still
from runtime.services import Services

Partition = tuple[str, int]
"""(full topic name, partition)."""

Result = TypeVar("Result")

REACTION = "reactions"

#: The server is not there, or let us go because we stood still in a transaction.
_CUT_OFF = (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout)

#: Or its tables are not there: the projector makes them when it starts first.
_AWAY = (*_CUT_OFF, psycopg.errors.UndefinedTable)

_TABLE = """
CREATE TABLE IF NOT EXISTS reaction_offsets (
    reaction      text   NOT NULL,           -- who reads
    topic         text   NOT NULL,           -- full name
    partition     integer NOT NULL,
    next_offset   bigint NOT NULL,           -- the commands for everything before it are in Kafka
    last_decision bigint NOT NULL,           -- the last decision accepted before it
    epoch         bigint NOT NULL,           -- of that decision
    intake_offset bigint NOT NULL,           -- of that decision
    topic_id      text,                      -- another id under the same name is another topic
    PRIMARY KEY (reaction, topic, partition)
)
"""

#: Any number that nobody else locks: two copies that start together must not both create the table.
_CREATE_LOCK = 0x0EAC7105


class Move(NamedTuple):
    """From the `next_offset` that is in the table to the position that shall stand there."""

    before: int
    after: Position


class Database:
    """One connection that comes back: a lost server is waited for, with growing pauses, until `patience` is told to
    stop.
    """

    def __init__(self, services: Services, application: str, patience: Patience) -> None:
        self._services = services
        self._application = application
        self._patience = patience
        self._connection: psycopg.Connection[Any] | None = None

    def run(self, work: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        """What `work` returns, done in one transaction; done again where the connection was lost, so it must be
        repeatable.
        """
        return self._patience.until_done("postgres", lambda: self._once(work), _AWAY)

    def _once(self, work: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._services, self._application)
            let_go_when_still(self._connection)
        connection = self._connection
        try:
            with connection.transaction():
                return work(connection)
        except _CUT_OFF:
            connection.close()
            self._connection = None
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Positions:
    """The table `reaction_offsets`. `topic_ids` are the ids that the broker gives the topics now."""

    def __init__(self, database: Database, topic_ids: Mapping[str, str]) -> None:
        self._database = database
        self._topic_ids = topic_ids

    def create_table(self) -> None:
        def create(connection: psycopg.Connection[Any]) -> None:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATE_LOCK])
            connection.execute(_TABLE)
            slow_paths.ensure_table(connection)

        self._database.run(create)

    def load(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        """Position of each partition, the beginning for one not read yet. Raises Fault for a topic that was made
        anew.
        """
        topics = [topic for topic, _ in partitions]
        numbers = [number for _, number in partitions]
        ids = [self._topic_ids.get(topic) for topic in topics]

        def read(connection: psycopg.Connection[Any]) -> list[Any]:
            start = Position()
            connection.execute(
                "INSERT INTO reaction_offsets SELECT %s, n.topic, n.partition, %s, %s, %s, %s, n.topic_id"
                " FROM unnest(%s::text[], %s::integer[], %s::text[]) AS n (topic, partition, topic_id)"
                " ON CONFLICT DO NOTHING",
                [REACTION, *start, topics, numbers, ids],
            )
            return connection.execute(
                "SELECT topic, partition, next_offset, last_decision, epoch, intake_offset, topic_id"
                " FROM reaction_offsets JOIN unnest(%s::text[], %s::integer[]) AS n (topic, partition)"
                " USING (topic, partition) WHERE reaction = %s",
                [topics, numbers, REACTION],
            ).fetchall()

        found: dict[Partition, Position] = {}
        for topic, number, *position, topic_id in self._database.run(read):
            if topic_id is not None and topic_id != self._topic_ids.get(topic):
                raise Fault(
                    f"topic {topic} is not the one that the reactions were reading",
                    f"its id was {topic_id} and is {self._topic_ids.get(topic)} now: it was deleted and made again",
                    "restore the topic, or begin a new ledger with another ORDER_LEDGER_TOPIC_PREFIX",
                )
            found[topic, number] = Position(*position)
        return found

    def save(self, moves: Mapping[Partition, Move]) -> set[Partition]:
        """Partitions that somebody else has moved on meanwhile (nothing is written for these); all others are saved."""
        if not moves:
            return set()
        rows = [(topic, number, move.before, *move.after) for (topic, number), move in moves.items()]
        columns = [list(column) for column in zip(*rows, strict=True)]

        def write(connection: psycopg.Connection[Any]) -> list[Any]:
            return connection.execute(
                "UPDATE reaction_offsets AS r SET next_offset = n.next_offset, last_decision = n.last_decision,"
                " epoch = n.epoch, intake_offset = n.intake_offset"
                " FROM unnest(%s::text[], %s::integer[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],"
                " %s::bigint[]) AS n (topic, partition, before, next_offset, last_decision, epoch, intake_offset)"
                # The second case is our own commit whose answer got lost with the connection.
                " WHERE r.reaction = %s AND r.topic = n.topic AND r.partition = n.partition"
                " AND (r.next_offset = n.before OR (r.next_offset, r.last_decision) = (n.next_offset, n.last_decision))"
                " RETURNING r.topic, r.partition",
                [*columns, REACTION],
            ).fetchall()

        saved = {(topic, number) for topic, number in self._database.run(write)}
        return set(moves) - saved

    def count(self, misses: Mapping[Miss, int]) -> None:
        """Add to what `doctor` shows; twice where the answer of the first time got lost."""
        self._database.run(lambda connection: slow_paths.add(connection, REACTION, misses))
