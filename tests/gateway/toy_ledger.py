"""A ledger in memory that believes every command, and allocates in the order of publication from whatever location has
most. It is there to check the generators of a season.

    ledger = ToyLedger()
    ledger.take(opening(SEED, ORDERS))
    views = ledger.shown()
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any


class ToyLedger:
    """Orders and stock as the real read side would show them."""

    def __init__(self) -> None:
        self.views: dict[str, dict[str, Any]] = {}
        self.on_hand: Counter[tuple[str, str]] = Counter()
        self.safety: dict[tuple[str, str], int] = {}
        self.reserved: Counter[tuple[str, str]] = Counter()
        self.seen: dict[tuple[str, str], bytes] = {}
        self.outcomes: Counter[str] = Counter()
        self.by_name: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.published: list[dict[str, Any]] = []
        self.dispatched_elsewhere = 0

    def take(self, commands: Iterable[dict[str, Any]]) -> None:
        for command in commands:
            key, body = (command["channel"], command["id"]), json.dumps(command["data"], sort_keys=True).encode()
            if key in self.seen:
                self.outcomes["duplicate" if self.seen[key] == body else "rejected"] += 1
                continue
            self.seen[key] = body
            self.outcomes["accepted"] += 1
            self.published.append(command)
            self.by_name[command["command"]].append(command)
            handler = getattr(self, re.sub("([A-Z])", r"_\1", command["command"]).lower(), None)
            if handler is not None:
                handler(command["occurred_at"], **command["data"])

    def shown(self) -> list[dict[str, Any]]:
        return [json.loads(json.dumps(view)) for view in self.views.values()]

    def inventory(self) -> list[dict[str, Any]]:
        return [{"sku": sku, "location_id": place, "on_hand": units} for (sku, place), units in self.on_hand.items()]

    def _set_stock_policy(self, at: str, sku: str, location_id: str, safety_stock: int, **_: Any) -> None:
        self.safety[sku, location_id] = safety_stock

    def _receive_stock(self, at: str, sku: str, location_id: str, quantity: int, **_: Any) -> None:
        self.on_hand[sku, location_id] += quantity
        for view in self.views.values():
            if any(line["sku"] == sku and line["open"] for line in view["lines"]):
                self._allocate(view)

    def _place_order(self, at: str, **data: Any) -> None:
        lines = [
            {
                **line,
                "ordered": line["quantity"],
                "open": line["quantity"],
                "cancelled": 0,
                "delivered": 0,
                "allocated_at": {},
            }
            for line in data["lines"]
        ]
        view = {**data, "lines": lines, "placed_at": at, "holds": [], "shipments": []}
        self.views[data["order_id"]] = view
        self._allocate(view)

    def _allocate(self, view: dict[str, Any]) -> None:
        if view["holds"]:
            return
        for line in view["lines"]:
            places = [place for sku, place in self.on_hand if sku == line["sku"]]
            for place in sorted(places, key=lambda place: (-self._sellable(line["sku"], place), place)):
                units = max(0, min(line["open"], self._sellable(line["sku"], place)))
                if units:
                    self.reserved[line["sku"], place] += units
                    line["allocated_at"][place] = line["allocated_at"].get(place, 0) + units
                    line["open"] -= units

    def _sellable(self, sku: str, place: str) -> int:
        return self.on_hand[sku, place] - self.reserved[sku, place] - self.safety[sku, place]

    def _let_go(self, line: dict[str, Any], wanted: int) -> None:
        while wanted < line["open"] + sum(line["allocated_at"].values()):
            if line["open"]:
                line["open"] -= 1
                continue
            place = max(line["allocated_at"])
            line["allocated_at"][place] -= 1
            self.reserved[line["sku"], place] -= 1
            if not line["allocated_at"][place]:
                del line["allocated_at"][place]

    def _cancel_order(self, at: str, order_id: str, reason: str, by: str, lines: Any = None) -> None:
        view = self.views[order_id]
        assert not view["shipments"], "cancelled after a parcel had left"
        gone = {line["line_id"] for line in lines or view["lines"]}
        for line in view["lines"]:
            if line["line_id"] in gone:
                self._let_go(line, 0)
                line["cancelled"] = line["ordered"]
        view["cancelled_by"] = by

    def _amend_order(self, at: str, order_id: str, lines: Any, promised_by: str | None = None) -> None:
        view = self.views[order_id]
        view["promised_by"] = promised_by or view["promised_by"]
        for line in view["lines"]:
            for amended in lines:
                if amended["line_id"] == line["line_id"]:
                    more = amended["quantity"] - line["ordered"]
                    line["ordered"] = amended["quantity"]
                    line["open"] += max(0, more)
                    self._let_go(line, line["ordered"])
        self._allocate(view)

    def _hold_order(self, at: str, order_id: str, hold: str) -> None:
        self.views[order_id]["holds"].append(hold)

    def _release_hold(self, at: str, order_id: str, hold: str) -> None:
        self.views[order_id]["holds"].remove(hold)
        self.views[order_id]["released_at"] = at
        self._allocate(self.views[order_id])

    def _dispatch_shipment(self, at: str, order_id: str, location_id: str, lines: Any, **data: Any) -> None:
        view = self.views[order_id]
        assert at > view["placed_at"]
        assert at >= view.get("released_at", "")
        assert data["shipment_id"] not in {shipment["shipment_id"] for shipment in view["shipments"]}
        by_id = {line["line_id"]: line for line in view["lines"]}
        elsewhere = any(part["quantity"] > by_id[part["line_id"]]["allocated_at"].get(location_id, 0) for part in lines)
        self.dispatched_elsewhere += elsewhere
        for part in lines:
            line = by_id[part["line_id"]]
            assert part["quantity"] <= sum(line["allocated_at"].values()), "ships more than is allocated"
            place = max(line["allocated_at"], key=line["allocated_at"].__getitem__) if elsewhere else location_id
            line["allocated_at"][place] -= part["quantity"]
            self.reserved[line["sku"], place] -= part["quantity"]
            self.on_hand[line["sku"], location_id] -= part["quantity"]
        shipped = {
            "location_id": location_id,
            "lines": lines,
            "dispatched_at": at,
            "delivered_at": None,
            "status": "dispatched",
        }
        view["shipments"].append({**data, **shipped})

    def _record_tracking(self, at: str, order_id: str, shipment_id: str, status: str) -> None:
        view = self.views[order_id]
        (shipment,) = [shipment for shipment in view["shipments"] if shipment["shipment_id"] == shipment_id]
        shipment["status"] = status
        if status == "delivered":
            shipment["delivered_at"] = at
            quantities = {part["line_id"]: part["quantity"] for part in shipment["lines"]}
            for line in view["lines"]:
                line["delivered"] += quantities.get(line["line_id"], 0)

    def _request_return(self, at: str, order_id: str, return_id: str, lines: Any, resolution: str) -> None:
        delivered = {line["line_id"]: line["delivered"] for line in self.views[order_id]["lines"]}
        assert all(0 < part["quantity"] <= delivered[part["line_id"]] for part in lines)
