"""Facts with good defaults: a test names only what it is about."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from events.orders import facts as orders
from events.refusal import CommandRefused
from events.stock import facts as stock
from events.values import Charge, ShipTo
from schemas.contracts import newest
from tests.support.chain import full_name_of


def order_placed(
    order_id: str = "o-1",
    lines: dict[str, int] | None = None,
    *,
    price: int = 100,
    sourcing: bool = True,
    promised_by: datetime | None = None,
    charges: tuple[Charge, ...] = (),
) -> orders.OrderPlaced:
    """`lines`: line → units, the SKU of line 1 being SKU-1."""
    return orders.OrderPlaced(
        order_id=order_id,
        customer_id="c-1",
        currency="EUR",
        lines=tuple(
            orders.PlacedLine(line_id=line, sku=f"SKU-{line}", quantity=units, unit_price_minor=price, attributes=())
            for line, units in (lines or {"1": 2}).items()
        ),
        ship_to=ShipTo(country="DE", region="BY"),
        service_level="standard",
        promised_by=promised_by,
        allocation="ship_available",
        charges=charges,
        sourcing=sourcing,
    )


def fact(name: str, /, **data: Any) -> tuple[str, dict[str, Any]]:
    """A fact as name and data, fields that are left out being null, 0, empty or false."""
    fields = newest(full_name_of(name)).schema["fields"][-1]["type"]["fields"]
    return name, {field["name"]: data.get(field["name"], _nothing(field["type"])) for field in fields}


def _nothing(avro: Any) -> Any:
    if isinstance(avro, list):
        return None
    kind = avro["type"] if isinstance(avro, dict) else avro
    return {"array": [], "string": "", "long": 0, "boolean": False, "double": 0.0}[kind]


def stock_received(sku: str = "SKU-1", location_id: str = "WH1", quantity: int = 5) -> stock.StockReceived:
    return stock.StockReceived(sku=sku, location_id=location_id, quantity=quantity)


def refused(command: str = "CancelOrder", code: str = "unknown") -> CommandRefused:
    return CommandRefused(command=command, code=code, what="No such order", detail="o-9", hint="check the number")


def consumed(location_id: str, quantity: int, attempt: int = 1) -> dict[str, Any]:
    return {"attempt": attempt, "location_id": location_id, "quantity": quantity}
