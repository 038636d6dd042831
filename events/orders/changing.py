"""The change that an amendment makes, and its fact."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from events.orders import line_changes
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder, Release
from events.orders.state import AmendedLine, Order
from events.values import Id, Natural, Text, UtcTime


class LineChanged(Struct, frozen=True, kw_only=True):
    """A line whose quantity was amended."""

    line_id: Id
    sku: Id
    ordered_before: Natural
    ordered: Natural
    from_open: Natural
    from_backordered: Natural
    from_allocated: Natural
    exchange: bool = False
    cancelled: Natural = 0


class OrderAmended(FactOfOrder, frozen=True, kw_only=True):
    """Quantities or the promise of an order changed."""

    by: Text
    lines: tuple[LineChanged, ...]
    promised_by: UtcTime | None = None
    releases: tuple[Release, ...]
    amendment_id: Id | None = None
    due_by: UtcTime | None = None

    def changes_units(self) -> bool:
        return bool(self.lines)


def counts_as_due(order: Order, by: str) -> bool:
    """Whether KPIs measure by a promise that `by` gives now.

    For a seller, only the first promise of an order counts. Later ones by the seller do not.
    """
    return by == "customer" or order.due_by is None


def apply(
    decision: Decision,
    by: str,
    wanted: Mapping[str, AmendedLine],
    promised_by: datetime | None,
    amendment_id: str | None,
) -> None:
    changes: list[LineChanged] = []
    releases: list[Release] = []
    for line_id, amended in wanted.items():
        line = decision.order.lines[line_id]
        taken = decision.take(line, max(0, line.ordered - amended.ordered))
        releases += taken.releases
        changes.append(
            LineChanged(
                line_id=line_id,
                sku=line.sku,
                ordered_before=line.ordered,
                ordered=amended.ordered,
                from_open=taken.from_open,
                from_backordered=taken.from_backordered,
                from_allocated=taken.from_allocated,
                exchange=line.in_exchange,
                cancelled=line.cancelled,
            )
        )
    counts = counts_as_due(decision.order, by)
    decision.add(
        OrderAmended(
            order_id=decision.order.order_id,
            by=by,
            lines=tuple(changes),
            promised_by=promised_by,
            releases=tuple(releases),
            amendment_id=amendment_id,
            due_by=promised_by if counts else None,
        )
    )


def amended(order: Order, fact: OrderAmended) -> Order:
    asked = order.amendment.lines if order.amendment is not None and fact.amendment_id is not None else {}
    for change in fact.lines:
        line = line_changes.take(order.lines[change.line_id], change.from_open, change.from_backordered, fact.releases)
        grown = max(0, change.ordered - change.ordered_before)
        removed = max(0, line.removed + change.ordered_before - change.ordered)
        # Units that are not reserved yet count as being sourced, because stock has been asked for them.
        missing = asked[change.line_id].missing if change.line_id in asked else 0
        idle, sourcing = line.idle + grown - missing, line.sourcing + missing
        order = line_changes.with_line(
            order, replace(line, ordered=change.ordered, idle=idle, sourcing=sourcing, removed=removed)
        )
        order = _wanted_anyway(order, change.line_id)
    if fact.promised_by is not None:
        order = replace(order, promised_by=fact.promised_by, due_by=fact.due_by or order.due_by)
    if order.amendment is not None and fact.amendment_id is not None:
        order = replace(order, amendment=None, amended_round=order.amendment.round)
        order = line_changes.sought_on(order, line_changes.open_lines(order))
    return order


def _wanted_anyway(order: Order, line_id: str) -> Order:
    """A new quantity includes all shipped units, even those that had been cancelled or amended away before."""
    shipments = {
        shipment_id: replace(
            shipment,
            origins={**shipment.origins, line_id: shipment.origins[line_id]._replace(cancelled=0, removed=0)},
        )
        if shipment.crossed and line_id in shipment.origins
        else shipment
        for shipment_id, shipment in order.shipments.items()
    }
    return replace(order, shipments=shipments)
