"""Facts as short dictionaries, folded by the real folds into the tables of a real PostgreSQL.

make_tables(connection, [KPI])
log = Log(connection, [KPI])
log.write(placed("o1", "2026-11-27T18:00Z", due="2026-11-28T18:00Z"), dispatched("o1", "2026-11-28T10:00Z"))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import polars as pl
import psycopg

from events.catalogue import FACTS
from projections.model import FactBatch, Projection, frame_schema
from projections.tables import as_json, fold, records, upsert
from tests.support.projecting import LIVE, make_live

Fact = dict[str, Any]

#: The data of a CommandRefused.
REFUSED = {
    "command": "CancelOrder",
    "code": "limit",
    "what": "order o1 was not cancelled",
    "detail": "everything has already shipped: 2 units ordered, 2 shipped, 0 cancelled; at most 0 can be cancelled",
    "hint": "shipped units come back with RequestReturn",
}


def at(text: str) -> datetime:
    """A time from ISO text with an offset."""
    return datetime.fromisoformat(text)


def fact(name: str, stream: str, when: str, /, *, channel: str = "web", actor: str | None = None, **data: Any) -> Fact:
    """One fact; `recorded_at` among the data is the broker's time, else it is when it happened."""
    recorded = data.pop("recorded_at", when)
    key = FACTS[name].key if name in FACTS else None
    return {
        "fact": name,
        "stream_id": stream,
        "occurred_at": at(when),
        "recorded_at": at(recorded),
        "channel": channel,
        "actor": actor,
        "data": {**({key: stream} if key else {}), **data},
    }


def make_tables(connection: psycopg.Connection[Any], projections: Sequence[Projection]) -> None:
    """The tables that a `Log` of these projections writes to, and their views."""
    make_live(connection, projections)


class Log:
    """Writes facts to the tables of some projections, numbering streams and places as the ledger does."""

    def __init__(self, connection: psycopg.Connection[Any], projections: Sequence[Projection]) -> None:
        self.connection = connection
        self._projections = projections
        self._versions: Counter[str] = Counter()
        self._written = 0

    def write(self, *facts: Fact) -> None:
        """All facts as one batch."""
        batch = FactBatch(self._frames(facts))
        self.connection.execute(f"SET LOCAL search_path TO {LIVE}".encode())
        for projection in self._projections:
            tables = {table.name: table for table in projection.tables}
            for name, rows in fold(projection, batch).items():
                table = tables[name]
                self.connection.execute(upsert(table, records(table)).encode(), [as_json(table, rows)])
        self.connection.execute("SET LOCAL search_path TO public")

    def write_one_by_one(self, *facts: Fact) -> None:
        """Each fact as a batch of its own: the tables must come out the same."""
        for one in facts:
            self.write(one)

    def _frames(self, facts: Iterable[Fact]) -> dict[str, pl.DataFrame]:
        rows: dict[str, list[dict[str, Any]]] = {}
        for seq, one in enumerate(facts):
            self._versions[one["stream_id"]] += 1
            version = self._versions[one["stream_id"]]
            topic = FACTS[one["fact"]].topic if one["fact"] in FACTS else "ledger.orders"
            row = dict.fromkeys(frame_schema(one["fact"]))
            row |= {name: value for name, value in one.items() if name in row}
            row |= {"topic": topic, "partition": 0, "offset": self._written, "seq": seq, "version": version}
            row |= {"command_id": f"c{self._written}", "event_id": f"e{self._written}", "correlation_id": "intent"}
            row |= {"index": 1, "count": 1, "epoch": 0, "intake_offset": self._written}
            rows.setdefault(one["fact"], []).append(row)
            self._written += 1
        return {name: pl.DataFrame(several, schema=frame_schema(name)) for name, several in rows.items()}


def placed(
    order_id: str,
    when: str,
    *,
    due: str | None = None,
    units: int = 2,
    channel: str = "web",
    region: str | None = None,
    release_at: str | None = None,
    **more: Any,
) -> Fact:
    """An order of one line."""
    lines = (
        [{"line_id": "1", "sku": "MUG", "quantity": units, "unit_price_minor": 500, "attributes": []}] if units else []
    )
    return fact(
        "OrderPlaced",
        order_id,
        when,
        channel=channel,
        customer_id="C1",
        currency="GBP",
        lines=lines,
        ship_to={"country": "GB", "region": region},
        service_level="standard",
        promised_by=at(due) if due else None,
        allocation="ship_available",
        release_at=at(release_at) if release_at else None,
        charges=[],
        sourcing=release_at is None,
        **more,
    )


def dispatched(
    order_id: str,
    when: str,
    *,
    units: int = 2,
    parcel: str = "P1",
    location: str = "WH1",
    carrier: str = "DHL",
    called_off: int = 0,
) -> Fact:
    """A parcel with units that were open, but for those that had been cancelled."""
    line = _line(units) | {"from_open": units - called_off, "from_backordered": 0, "from_allocated": 0, "consumed": []}
    line |= {"from_cancelled": called_off, "from_removed": 0}
    return fact(
        "ShipmentDispatched",
        order_id,
        when,
        shipment_id=parcel,
        location_id=location,
        carrier=carrier,
        service="parcel",
        lines=[line],
    )


def retracted(
    order_id: str, when: str, *, units: int = 2, parcel: str = "P1", called_off: int = 0, replaced: int = 0
) -> Fact:
    """The parcel never left: its units are open again, but for those that had been cancelled or replaced."""
    line = _line(units) | {"to_open": units - called_off - replaced, "to_allocated": 0, "attempt": 0, "to_removed": 0}
    line |= {"to_cancelled": called_off, "replaced": replaced, "written_off": replaced}
    return fact(
        "DispatchRetracted",
        order_id,
        when,
        shipment_id=parcel,
        location_id="WH1",
        dispatched_at=at(when),
        reason="wrong gate",
        crossed=called_off > 0,
        lines=[line],
    )


def sent_again(order_id: str, when: str, reason: str = "lost", *, units: int = 2, parcel: str = "P1") -> Fact:
    """What was in a parcel is ordered once more."""
    line = _line(units) | {"written_off": units}
    return fact("ShipmentReplaced", order_id, when, shipment_id=parcel, reason=reason, lines=[line])


def allocated(order_id: str, when: str, *, units: int = 2, location: str = "WH1", attempt: int = 1) -> Fact:
    """Units that were open are set aside: the order is released."""
    return fact(
        "LineAllocated",
        order_id,
        when,
        **_line(units),
        location_id=location,
        attempt=attempt,
        from_open=units,
        from_backordered=0,
    )


def arriving(*facts: Fact) -> list[Fact]:
    """The same facts, and each parcel arrives at the moment at which it leaves."""
    told: list[Fact] = []
    for one in facts:
        told.append(one)
        if one["fact"] == "ShipmentDispatched":
            data = one["data"]
            when, units = one["occurred_at"].isoformat(), sum(line["quantity"] for line in data["lines"])
            arrived = delivered(one["stream_id"], when, units=units, parcel=data["shipment_id"])
            told.append(arrived | {"recorded_at": one["recorded_at"]})
    return told


def differing(order_id: str, when: str, planned: str = "elsewhere", *, parcel: str = "P1") -> Fact:
    """The parcel left otherwise than planned."""
    line = {"line_id": "1", "sku": "MUG", "quantity": 2, "planned": planned}
    return fact("DispatchDiffered", order_id, when, shipment_id=parcel, location_id="WH1", lines=[line])


def complained(order_id: str, when: str, code: str | None, *, return_id: str = "R1") -> Fact:
    """The customer asks to send a unit back, and says why."""
    line = _line(1) | {"reason": "see the code", "reason_code": code, "exchange": False}
    return fact("ReturnRequested", order_id, when, return_id=return_id, rma="RMA-1", resolution="refund", lines=[line])


def called(order_id: str | None, when: str, code: str | None, *, case_id: str = "c-1") -> Fact:
    """The customer writes about an order."""
    one = fact("CaseOpened", case_id, when, order_id=order_id, topic="t", urgency="low", reason_code=code)
    one["data"]["channel"] = "phone"
    return one


def scanned(order_id: str, when: str, status: str, *, parcel: str = "P1") -> Fact:
    """A carrier's scan that is no delivery."""
    return fact("ShipmentTracked", order_id, when, shipment_id=parcel, status=status)


def delivered(
    order_id: str,
    when: str,
    *,
    due: str | None = None,
    units: int = 2,
    parcel: str = "P1",
    location: str = "WH1",
    carrier: str = "DHL",
) -> Fact:
    """A parcel that arrived; whether in time the decider says, as here."""
    return fact(
        "ShipmentDelivered",
        order_id,
        when,
        shipment_id=parcel,
        location_id=location,
        carrier=carrier,
        delivered_at=at(when),
        due_by=at(due) if due else None,
        on_time=at(when) <= at(due) if due else None,
        lines=[_line(units)],
    )


def returned(
    order_id: str, when: str, *, units: int = 1, disposition: str = "restock", cause: str = "customer"
) -> Fact:
    """Goods came back and were opened; what a customer sent had been announced."""
    line = _line(units) | {"disposition": disposition}
    return fact(
        "ReturnReceived",
        order_id,
        when,
        return_id="R1",
        rma="RMA-1",
        location_id="WH1",
        announced=cause == "customer",
        cause=cause,
        lines=[line],
    )


def cancelled(order_id: str, when: str, *, by: str, units: int = 2) -> Fact:
    """Units are cancelled; whether before anything was set aside, the facts before this one say."""
    line = _line(units) | {"from_open": units, "from_backordered": 0, "from_allocated": 0}
    return fact(
        "OrderCancelled",
        order_id,
        when,
        by=by,
        reason="changed mind",
        lines=[line],
        releases=[],
        before_allocation=True,
    )


def amended(
    order_id: str, when: str, *, by: str, before: int = 2, after: int = 2, promised_by: str | None = None
) -> Fact:
    """Another quantity, another promise, or both."""
    change = {"line_id": "1", "sku": "MUG", "ordered_before": before, "ordered": after}
    change |= {"from_open": max(0, before - after), "from_backordered": 0, "from_allocated": 0}
    return fact(
        "OrderAmended",
        order_id,
        when,
        by=by,
        lines=[change] if before != after else [],
        promised_by=at(promised_by) if promised_by else None,
        releases=[],
    )


def _line(units: int) -> dict[str, Any]:
    return {"line_id": "1", "sku": "MUG", "quantity": units}
