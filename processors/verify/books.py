"""The whole log as rows of every table: each accepted fact goes once to every part that it concerns."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Protocol

from processors.verify.cases import Cases
from processors.verify.facts import Fact, Handler
from processors.verify.journals import Answering, Fetch, answers, history
from processors.verify.kpi import Kpis
from processors.verify.movements import Counts, movements
from processors.verify.orders import Orders
from processors.verify.queues import Queues
from processors.verify.routing import Routing
from processors.verify.rows import Expected
from processors.verify.stock import Stocks
from processors.verify.tracking import Deferrals

_REFUSAL = "CommandRefused"


class Part(Protocol):
    """Some tables, and the effect of facts on them."""

    @property
    def tables(self) -> tuple[Expected, ...]: ...

    @property
    def handlers(self) -> Mapping[str, Handler]: ...


class Books:
    """The independent fold of all projections."""

    def __init__(self) -> None:
        self._orders = Orders()
        self._kpis = Kpis()
        self._history = history()
        self._answers = answers()
        self._answering = Answering()
        self._movements = movements()
        self._stocks = Stocks()
        self._routing = Routing()
        self._handlers: dict[str, list[Handler]] = defaultdict(list)
        self._parts: tuple[Part, ...] = (
            self._orders,
            self._stocks,
            self._kpis,
            self._routing,
            Queues(),
            Counts(),
            Cases(),
            Deferrals(),
        )
        for part in self._parts:
            for name, handler in part.handlers.items():
                self._handlers[name].append(handler)

    @property
    def tables(self) -> dict[str, Expected]:
        """Every table that is checked, by name."""
        journals: tuple[Expected, ...] = (self._history, self._answers, self._movements)
        tables = (*(table for part in self._parts for table in part.tables), *journals)
        return {table.name: table for table in tables}

    def fetch_with(self, fetch: Fetch) -> None:
        """Set how to read a fact again, for the tables that keep only digests."""
        self._history.fetch = fetch
        self._answers.fetch = fetch
        self._movements.fetch = fetch

    def take(self, fact: Fact) -> None:
        """Add one accepted fact. Facts of one partition come in order."""
        record = fact.record
        for handler in self._handlers.get(fact.name, ()):
            handler(record, record["data"])
        if fact.name != _REFUSAL:
            self._kpis.seen(fact.topic, fact.partition, record)
        if fact.topic == "ledger.orders":
            if fact.name != _REFUSAL:
                self._orders.touched(record)
            self._history.add(fact)
        if fact.name == "ShipmentDispatched":
            self._routing.dispatched(fact.partition, record)
        elif fact.name == "DispatchRetracted":
            self._routing.retracted(fact.partition, record)
        if fact.topic == "ledger.stock":
            self._movements.add(fact)
        if self._answering.answers_command(fact):
            self._answers.add(fact)
