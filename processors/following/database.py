"""PostgreSQL for followers: one connection that reconnects, and their positions on it.

database = Database(services, "reactions", patience)
database.run(lambda connection: connection.execute(...))         # in a transaction; repeated if the connection broke
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

#: The server is away, or it disconnected us because we were paused in a transaction.
_CUT_OFF = (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout)

#: Or its tables are missing: the projector creates them when it first starts.
_AWAY = (*_CUT_OFF, psycopg.errors.UndefinedTable)


class Database:
    """One connection that reconnects: it waits for a lost server, with back-off, until `patience` is told to stop."""

    def __init__(self, services: Services, application: str, patience: Patience) -> None:
        self._services = services
        self._application = application
        self._connection: psycopg.Connection[Any] | None = None
        self.patience = patience

    def run(self, work: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        """Run `work` in one transaction; returns its result. If the connection breaks it runs again, so it must be
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
        """Close the connection; the next use opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class StoredPositions:
    """A follower's positions on such a connection. `topic_ids` asks the broker for the topics' present ids."""

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
        """Position of each partition; the beginning if it was not read yet. Raises Fault for a recreated topic."""
        topics = {topic for topic, _ in partitions}
        ids = self._database.patience.until_done("kafka", lambda: self._topic_ids(topics), KafkaException)
        wanted = {(topic, number): ids[topic] for topic, number in partitions}
        return self._database.run(lambda connection: self._positions.place(connection, wanted))

    def stored(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        """The positions in the table now. A partition without a row is left out."""
        return self._database.run(lambda connection: self._positions.stored(connection, partitions))

    def save(self, moves: Mapping[Partition, Move]) -> set[Partition]:
        """Save the moves. Returns the partitions that are not where their move begins; these are not saved."""
        if not moves:
            return set()
        return self._database.run(lambda connection: self._positions.move(connection, moves))
