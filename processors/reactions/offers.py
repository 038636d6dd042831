"""What an order was offered and may not take is for whoever else waits.

An all-or-nothing order is offered units of one SKU and tries again as a whole. Where it then waits for another
SKU, is given up or put before a person, nothing of the first SKU moves: nobody would be served from what is free.

LineBackordered(TRAY, with its order) -> ServeQueue(TRAY)
"""

from events.envelope import AnyRecorded
from events.orders.allocation import WHOLE_ORDER
from events.orders.facts import (
    AllocationAnswered,
    LineBackordered,
    OrderAmended,
    OrderCancelled,
    OrderHeld,
    OrderQueued,
)
from events.stock.commands import ServeQueue
from processors.reactions.asked import Asked, named
from processors.reactions.rows import On

ACTOR = "offers"


def pass_on(fact: AnyRecorded) -> list[Asked]:
    """ServeQueue for each SKU that the order has stopped asking for."""
    return [
        Asked.because(fact, ACTOR, command_id=named("serve", fact.event_id, sku), data=ServeQueue(sku=sku))
        for sku in _given_up(fact.data)
    ]


def _given_up(data: object) -> list[str]:
    match data:
        case LineBackordered():
            return [data.sku] if data.attempt == WHOLE_ORDER else []
        case AllocationAnswered():
            return [data.sku] if data.outcome == "offered" else []
        case OrderCancelled() | OrderAmended():
            return sorted({line.sku for line in data.lines if line.from_open})
        case OrderHeld():
            return list(data.open_skus)
        case OrderQueued():
            return sorted({line.sku for line in data.lines})
        case _:
            raise TypeError(f"{type(data).__name__} gives up no offer")


REACTIONS = tuple(
    On(fact, pass_on)
    for fact in (OrderAmended, OrderCancelled, LineBackordered, AllocationAnswered, OrderHeld, OrderQueued)
)
