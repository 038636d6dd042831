"""A retailer's past orders, for `what-if`."""

from datetime import datetime

import msgspec

from events.locations.commands import RegisterLocation
from events.orders.commands import PlaceOrder
from gateway.connectors.connector import Request
from gateway.connectors.online_retail.mapping import map_rows, read_file
from gateway.connectors.online_retail.stock import late_deliveries, opening_stock
from gateway.reading.routing import History, Scenario, place_of, promised, scenario_order
from processors.routing.model import Place
from processors.routing.whatif import Past


def history(request: Request, promise_days: int | None) -> History:
    """The orders of an Online Retail file with the simulated stock that `import online-retail` sends around them."""
    mapping = map_rows(read_file(request.file), from_=request.from_, to=request.to, decimal=request.decimal)
    stock: dict[str, dict[str, int]] = {}
    places: dict[str, Place] = {}
    for command in (*opening_stock(mapping, seed=request.seed), *late_deliveries(mapping, seed=request.seed)):
        data = command["data"]
        if command["command"] == "RegisterLocation":
            places[data["location_id"]] = place_of(msgspec.convert(data, RegisterLocation))
        elif command["command"] == "ReceiveStock":
            held = stock.setdefault(data["sku"], {})
            held[data["location_id"]] = held.get(data["location_id"], 0) + data["quantity"]
    orders = []
    for command in mapping.commands():
        if command["command"] == "PlaceOrder" and command["data"]["lines"]:
            order = msgspec.convert(command["data"], PlaceOrder)
            scenario = Scenario(
                stock={}, order=order, channel=command["channel"], at=datetime.fromisoformat(command["occurred_at"])
            )
            wanted = scenario_order(scenario)
            assert wanted is not None
            orders.append(promised(wanted, promise_days))
    orders.sort(key=lambda one: (one.at, one.order_id))
    return History(Past(tuple(orders), frozenset(), stock, places), None, tuple(sorted(places)))
