"""PostgreSQL as followers need it to go on: one connection that comes back, and their positions on it.

database = Database(services, "reactions", patience)
database.run(lambda connection: connection.execute(...))         # in a transaction, again where it was cut off
StoredPositions(database, Positions("reactions"), topic_ids).load([("ledger.orders", 0)])
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

import psycopg
from confluent_kafka import KafkaException

from processors.following.patience import Patience
from processors.following.positions import Move, Partition, Position, Positions
from runtime.postgres import connect, let_go_when_still
from runtime.services import Services

Result = TypeVar("Result")

#: The server is not there, or let us go because we stood still in a transaction.
_CUT_OFF = (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout)

#: Or its tables are not there: the projector makes them when it starts first.
_AWAY = (*_CUT_OFF, psycopg.errors.UndefinedTable)


class Database:
    """One connection that comes back: it waits for a lost server, with back-off, until `patience` is told to
    stop.
    """

    def __init__(self, services: Services, application: str, patience: Patience) -> None:
        self._services = services
        self._application = application
        self._connection: psycopg.Connection[Any] | None = None
        self.patience = patience

    def run(self, work: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        """What `work` returns, done in one transaction; done again where the connection was lost, so it must be
        repeatable.
        """
        return self.patience.until_done("postgres", lambda: self._once(work), _AWAY)

    def _once(self, work: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._services, self._application)
            let_go_when_still(self._connection)
        connection = self._connection
        try:
            with connection.transaction():
                return work(connection)
        except _CUT_OFF:
            self.close()
            raise

    def close(self) -> None:
        """Let the connection go; the next use opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class StoredPositions:
    """A follower's positions on such a connection. `topic_ids` asks the broker which topics these are now."""

    def __init__(
        self,
        database: Database,
        positions: Positions,
        topic_ids: Callable[[Iterable[str]], Mapping[str, str]],
    ) -> None:
        self._database = database
        self._positions = positions
        self._topic_ids = topic_ids

    def load(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        """Position of each partition, the beginning for one not read yet. Raises Fault for a topic that was made
        anew.
        """
        topics = {topic for topic, _ in partitions}
        ids = self._database.patience.until_done("kafka", lambda: self._topic_ids(topics), KafkaException)
        wanted = {(topic, number): ids[topic] for topic, number in partitions}
        return self._database.run(lambda connection: self._positions.place(connection, wanted))

    def stored(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        """What the table says now; nothing of a partition that has no row any more."""
        return self._database.run(lambda connection: self._positions.stored(connection, partitions))

    def save(self, moves: Mapping[Partition, Move]) -> set[Partition]:
        """Partitions that do not stand where the move begins (nothing is written for these); all others are saved."""
        if not moves:
            return set()
        return self._database.run(lambda connection: self._positions.move(connection, moves))
