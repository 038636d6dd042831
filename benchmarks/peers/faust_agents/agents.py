"""The flow in two Faust agents with tables in memory, as Faust's documentation shows it: place, reserve, allocated.

    PREFIX=faust. BOOTSTRAP=host:port python -m benchmarks.peers.faust_agents.agents

At least once: a table's change, what an agent sends and the offset of what it read are three things, so a crash between
them may repeat a fact. An event whose handler raises counts as handled.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.peers.faust_agents.app import app_of, run, topic_of

app = app_of("agents")
order_commands, stock_commands = topic_of(app, "orders.commands"), topic_of(app, "stock.commands")
order_facts, stock_facts = topic_of(app, "ledger.orders"), topic_of(app, "ledger.stock")
orders = app.Table("orders")
stock = app.Table("stock")
#: Command id → the location that it was given: a repeat gets the same answer.
outcomes = app.Table("outcomes")


def fact(name: str, command: dict[str, Any], version: int, **more: Any) -> dict[str, Any]:
    return {
        "fact": name,
        "event_id": f"{command['id']}/{version}",
        "command_id": command["id"],
        "version": version,
        "occurred_at": command["occurred_at"],
        "recorded_at": time.time(),
        "channel": command["channel"],
        "correlation_id": command["correlation_id"],
        **more,
    }


async def decide_orders(commands: AsyncIterator[dict[str, Any]]) -> None:
    async for command in commands:
        if command["command"] == "PlaceOrder":
            await place(command)
        else:
            await answer(command)


async def place(command: dict[str, Any]) -> None:
    order_id = command["order_id"]
    if order_id in orders:
        return
    orders[order_id] = {"version": 1, "open": [line["line_id"] for line in command["lines"]], "refused": False}
    wanted = {name: command[name] for name in ("order_id", "customer_id", "currency", "lines", "country", "postcode")}
    await order_facts.send(key=order_id, value=fact("OrderPlaced", command, 1, **wanted))
    for line in command["lines"]:
        reserve = {
            "command": "ReserveStock",
            "id": f"{order_id}:{line['line_id']}:reserve",
            "channel": "orders",
            "occurred_at": time.time(),
            "correlation_id": command["correlation_id"],
            "sku": line["sku"],
            "order_id": order_id,
            "line_id": line["line_id"],
            "quantity": line["quantity"],
        }
        await stock_commands.send(key=line["sku"], value=reserve)


async def answer(command: dict[str, Any]) -> None:
    order_id, line_id = command["order_id"], command["line_id"]
    order = orders.get(order_id)
    if order is None or line_id not in order["open"]:
        return
    name = "LineRefused" if command["location_id"] is None else "LineAllocated"
    state = {
        "version": order["version"] + 1,
        "open": [one for one in order["open"] if one != line_id],
        "refused": order["refused"] or name == "LineRefused",
    }
    done = {key: command[key] for key in ("order_id", "line_id", "sku", "quantity", "location_id")}
    await order_facts.send(key=order_id, value=fact(name, command, state["version"], **done))
    if not state["open"] and not state["refused"]:
        state["version"] += 1
        await order_facts.send(key=order_id, value=fact("OrderAllocated", command, state["version"], order_id=order_id))
    orders[order_id] = state


async def decide_stock(commands: AsyncIterator[dict[str, Any]]) -> None:
    async for command in commands:
        if command["command"] == "ReceiveStock":
            await receive(command)
        else:
            await reserve(command)


async def receive(command: dict[str, Any]) -> None:
    if command["id"] in outcomes:
        return
    sku, location_id = command["sku"], command["location_id"]
    state = stock.get(sku) or {"version": 0, "available": {}}
    state["version"] += 1
    state["available"][location_id] = state["available"].get(location_id, 0) + command["quantity"]
    stock[sku], outcomes[command["id"]] = state, location_id
    done = {"sku": sku, "location_id": location_id, "quantity": command["quantity"]}
    await stock_facts.send(key=sku, value=fact("StockReceived", command, state["version"], **done))


async def reserve(command: dict[str, Any]) -> None:
    sku, quantity = command["sku"], command["quantity"]
    if command["id"] in outcomes:
        location_id = outcomes[command["id"]]
    else:
        state = stock.get(sku) or {"version": 0, "available": {}}
        location_id = next((name for name, units in state["available"].items() if units >= quantity), None)
        state["version"] += 1
        if location_id is not None:
            state["available"][location_id] -= quantity
        stock[sku], outcomes[command["id"]] = state, location_id
        name = "ReservationRefused" if location_id is None else "StockReserved"
        done = {key: command[key] for key in ("sku", "order_id", "line_id", "quantity")}
        await stock_facts.send(key=sku, value=fact(name, command, state["version"], location_id=location_id, **done))
    said = {
        "command": "RecordReservation",
        "id": command["id"] + "d",
        "channel": "stock",
        "occurred_at": time.time(),
        "correlation_id": command["correlation_id"],
        "location_id": location_id,
        **{key: command[key] for key in ("sku", "order_id", "line_id", "quantity")},
    }
    await order_commands.send(key=command["order_id"], value=said)


app.agent(order_commands, name="decide-orders")(decide_orders)
app.agent(stock_commands, name="decide-stock")(decide_stock)

if __name__ == "__main__":
    run(app)
