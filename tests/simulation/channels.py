"""What shops, warehouses, carriers and people ask for: commands that fit the state that the ledger will reach.

    channels = Channels(truth)
    document = channels.ask("dispatch", number=17, dice=dice, now=now)      # as JSON, or None where nothing fits

Most commands can be done; some ask for a unit too many, name what is not there or come from a place nobody planned.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from events.orders.commands import LineQuantity, QueueOrder
from events.values import ID_LENGTH_MAX
from tests.simulation.choices import Dice
from tests.simulation.shelves import PEOPLE, Shelves
from tests.simulation.truth import Truth

SKUS = ("apron", "bowl", "cup")
LOCATIONS = ("WH1", "WH2")
PURCHASE_ORDERS = ("PO-1", "PO-2")
CATEGORIES = ("china", "glass")
#: One has the id of a location: they are two streams, on one partition.
CASES = ("case-1", "WH1")
QUEUE = "routing_exceptions"
_HOLDS = ("payment", "fraud", "customer")
#: Mostly nobody says why goods came back, and the ledger has to find out.
_CAUSES = (None, None, None, "customer", "unclaimed", "refused", "recalled")
_SCANS = ("in_transit", "delivered", "delivered", "delivered", "delivery_failed", "lost", "returned_to_sender")

#: Rules that a planner publishes in the middle of things: few parcels, or cheap ones from nearby.
RULES = (
    'name = "few"\n[[rules]]\nname = "all"\ncriteria = ["parcels", "cost"]',
    """name = "near"
    [[rules]]
    name = "web"
    when = { channels = ["web"] }
    filters = { distance_km_max = 300, locations = ["WH1"] }
    objective = { cost = 1, distance = 0.5, stock_out = 2 }
    limits = { parcels_max = 1 }
    fallbacks = ["relax distance_km_max", "backorder"]
    [[rules]]
    name = "rest"
    criteria = ["late_days", "parcels", "distance"]
    limits = { split_from_minor = 400 }""",
)

Document = dict[str, Any]


def awkward(kind: str, number: int) -> str:
    """An id; some are as long as one may be, some have the colon that joins the parts of the ledger's own."""
    if number % 5 == 0:
        return f"{kind}-{number}-".ljust(ID_LENGTH_MAX, "x")
    return f"{kind}{':' if number % 5 == 1 else '-'}{number}"


def _shipped(order: Any) -> bool:
    return any(line.shipped > line.returned for line in order.lines.values())


def _still_to_come(order: Any) -> list[tuple[str, str]]:
    """(return, line) of what was announced and has not come."""
    return [
        (return_id, line_id)
        for return_id, back in order.returns.items()
        if not back.withdrawn
        for line_id, units in back.requested.items()
        if back.received.get(line_id, 0) < units
    ]


class Channels:
    """`ask(kind, …)` makes one command of a kind of `choices.ASKING`."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self.orders: list[str] = []
        self._held: list[Document] = []
        self._carts: list[Document] = []
        self._shelves = Shelves(truth, SKUS, LOCATIONS)
        self._kinds: dict[str, Callable[[int, Dice, datetime], tuple[str, Document] | None]] = {
            "place": self._place, "place_whole": self._place_whole, "receive": self._receive,
            "adjust": self._adjust, "move": self._move,
            "count": self._shelves.count, "approve": self._shelves.approve, "set_apart": self._shelves.set_apart,
            "dispose": self._shelves.dispose, "damage": self._damage, "policy": self._policy,
            "cart": self._cart,
            "hold_for_other": self._hold_for_other, "let_go_for_other": self._let_go_for_other, "amend": self._amend,
            "cancel": self._cancel, "hold": self._hold, "unhold": self._unhold, "dispatch": self._dispatch,
            "scan": self._scan, "ask_return": self._ask_return, "take_return": self._take_return,
            "exchange": self._exchange, "return_part": self._return_part,
            "scan_return": self._scan_return, "refund": self._refund, "case": self._case, "location": self._location,
            "rules": self._rules,
            "resolve": self._resolve,
            "reject": self._reject, "deallocate": self._deallocate,
            "channel_policy": self._channel_policy, "location_policy": self._location_policy,
            "category_policy": self._category_policy, "category": self._category,
            "withdraw": self._withdraw, "replace": self._replace, "retract": self._retract,
            "expect": self._expect, "transfer": self._transfer, "arrive": self._arrive,
        }  # fmt: skip

    def ask(self, kind: str, number: int, dice: Dice, now: datetime) -> Document | None:
        """A command as `gateway.sending.commands.check` takes it; its clock may be off by a day."""
        asked = self._kinds[kind](number, dice, now)
        if asked is None:
            return None
        name, data = asked
        wrong_clock = timedelta(seconds=dice.between(-86_400, 86_400)) if dice.once_in(4) else timedelta(0)
        document = {
            "command": name,
            "id": f"c-{number}",
            "channel": dice.one(("web", "store")),
            "occurred_at": (now + wrong_clock).isoformat(),
            "data": data,
        }
        if name in ("CountStock", "ApproveCount"):
            document["actor"] = dice.one(PEOPLE)
        if dice.once_in(16):
            document["expected_version"] = 1 + dice.below(6)
        return document

    def opening(self, location_id: str, now: datetime) -> Document:
        """The location's registration, from whoever builds it."""
        return {
            "command": "RegisterLocation",
            "id": f"open-{location_id}",
            "channel": "web",
            "occurred_at": now.isoformat(),
            "data": {"location_id": location_id, "name": location_id, "kind": "warehouse"},
        }

    # Orders

    def _place(self, number: int, dice: Dice, now: datetime) -> tuple[str, Document]:
        order_id = awkward("o", number)
        self.orders.append(order_id)
        lines = [
            {"line_id": str(line), "sku": dice.one(SKUS), "quantity": dice.between(1, 4), "unit_price_minor": 100}
            for line in range(1, dice.between(1, 3) + 1)
        ]
        data: Document = {
            "order_id": order_id, "customer_id": "someone", "currency": "EUR", "lines": lines,
            "ship_to": {"country": "DE"},
            "allocation": dice.one(("ship_available", "ship_available", "all_or_nothing")),
        }  # fmt: skip
        if self._carts and dice.once_in(2):
            # Most become an order once; some, by mistake, twice.
            cart = self._carts.pop() if not dice.once_in(5) else dice.one(self._carts)
            data["cart_id"] = cart["order_id"]
            lines[0] |= {"sku": cart["sku"], "quantity": max(1, cart["quantity"] + dice.between(-1, 1))}
        if dice.once_in(5):
            line = dice.one(lines)
            line["cancel_after"] = (now + timedelta(seconds=dice.between(-60, 900))).isoformat()
        if dice.once_in(8):
            lines[-1]["customised"] = True
        if dice.once_in(6):
            data["release_at"] = (now + timedelta(seconds=dice.between(-60, 600))).isoformat()
        if dice.once_in(4):
            data["ship_to"] |= {"latitude": 52.5, "longitude": 13.4}
        if dice.once_in(6):
            data["charges"] = [{"code": "postage", "amount_minor": 50}]
        if dice.once_in(4):
            data["promised_by"] = "2026-12-01"
            # Not drawn: a die more would make other histories of all seeds.
            data["promise"] = "dispatch" if number % 2 else "delivery"
        return "PlaceOrder", data

    def _place_whole(self, number: int, dice: Dice, now: datetime) -> tuple[str, Document]:
        """An all-or-nothing order that wants several of the SKUs that everybody wants."""
        name, data = self._place(number, dice, now)
        first = dice.below(len(SKUS))
        data["lines"] = [
            {"line_id": str(line), "sku": sku, "quantity": dice.between(1, 2), "unit_price_minor": 100}
            for line, sku in enumerate((SKUS[first], SKUS[first - 1]), 1)
        ]
        return name, {**data, "allocation": "all_or_nothing"}

    def _order(self, dice: Dice, fits: Callable[[Any], bool] | None = None) -> Any:
        """An order that is placed, or about to be; where some fit, mostly one of these."""
        fitting = [] if fits is None or dice.once_in(4) else [order for order in self._orders() if fits(order)]
        if fitting:
            return dice.one(fitting)
        return self._truth.state("order", dice.one(self.orders)) if self.orders else None

    def _amend(self, _number: int, dice: Dice, now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice)
        if order is None:
            return None
        line = dice.one(list(order.lines.values()))
        lines = [{"line_id": line.line_id, "quantity": dice.between(0, 6)}]
        data: Document = {"order_id": order.order_id, "lines": lines, "by": dice.one(("customer", "seller"))}
        if dice.once_in(3):
            data["promised_by"] = (now + timedelta(days=dice.below(3))).date().isoformat()
        return "AmendOrder", data

    def _cancel(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice)
        if order is None:
            return None
        lines = []
        if dice.once_in(2):
            line = dice.one(list(order.lines.values()))
            lines = [{"line_id": line.line_id, "quantity": dice.between(1, max(1, line.unshipped))}]
        by = dice.one(("customer", "customer", "seller"))
        return "CancelOrder", {"order_id": order.order_id, "reason": "changed mind", "by": by, "lines": lines}

    def _hold(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice)
        if order is None:
            return None
        stock = dice.one(("keep", "keep", "release"))
        return "HoldOrder", {"order_id": order.order_id, "hold": dice.one(_HOLDS), "stock": stock}

    def _deallocate(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice)
        holds = [] if order is None else [(line, hold) for line in order.lines.values() for hold in line.holds]
        if not holds:
            return None
        line, hold = dice.one(holds)
        wanted = {"line_id": line.line_id, "quantity": dice.between(1, hold.quantity + dice.below(2))}
        if dice.once_in(2):
            wanted["location_id"] = hold.location_id
        data = {"order_id": order.order_id, "lines": [wanted], "reason": "not_picked"}
        return "DeallocateLines", {**data, "elsewhere": not dice.once_in(3)}

    def _unhold(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice, lambda order: bool(order.holds))
        if order is None:
            return None
        return "ReleaseHold", {"order_id": order.order_id, "hold": dice.one(order.holds or _HOLDS)}

    def _dispatch(self, number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice, lambda order: any(line.holds for line in order.lines.values()))
        if order is None:
            return None
        otherwise = dice.once_in(5)
        places = [hold.location_id for line in order.lines.values() for hold in line.holds]
        location_id = dice.one(LOCATIONS if otherwise or not places else places)
        lines = []
        for line in order.lines.values():
            here = sum(hold.quantity for hold in line.holds if hold.location_id == location_id)
            called_off = line.cancelled + line.removed if dice.once_in(2) else 0
            most = line.unshipped + called_off + dice.below(2) if otherwise else here
            if most > 0 and not dice.once_in(4):
                lines.append({"line_id": line.line_id, "quantity": dice.between(1, most)})
        if not lines:
            return None
        # A carrier may have been quicker than the warehouse: now comes the dispatch of what it scanned.
        scanned = [scan.shipment_id for scan in order.deferred]
        shipment_id = scanned[0] if scanned else awkward("s", number)
        # Not drawn: now and then a number that was taken back is used again, which is refused.
        retracted = [one for one, parcel in order.shipments.items() if parcel.retracted]
        shipment_id = retracted[0] if retracted and number % 5 == 0 else shipment_id
        data = {"order_id": order.order_id, "shipment_id": shipment_id, "location_id": location_id}
        return "DispatchShipment", {**data, "carrier": "carrier", "service": "standard", "lines": lines}

    def _scan(self, number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice, lambda order: bool(order.shipments))
        # Not drawn: a die more would make other histories of all seeds.
        early = number % 3 == 0
        if order is None or not (order.shipments or early):
            return None
        shipment_id = awkward("s", number) if early else dice.one(list(order.shipments))
        return "RecordTracking", {"order_id": order.order_id, "shipment_id": shipment_id, "status": dice.one(_SCANS)}

    def _replace(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        """What a parcel did not bring as it should is to be sent again; now and then more than was in it."""
        order = self._order(dice, lambda order: bool(order.shipments))
        if order is None or not order.shipments:
            return None
        shipment_id = dice.one(list(order.shipments))
        data: Document = {"order_id": order.order_id, "shipment_id": shipment_id}
        data["reason"] = dice.one(("lost", "lost", "damaged", "wrong_goods"))
        if dice.once_in(2):
            line_id, units = dice.one(list(order.shipments[shipment_id].lines.items()))
            data["lines"] = [{"line_id": line_id, "quantity": dice.between(1, units + dice.below(2))}]
        return "ReplaceShipment", data

    def _retract(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        """A dispatch was a mistake; now and then the parcel has been seen since, or was taken back before."""
        order = self._order(dice, lambda order: any(one.origins for one in order.shipments.values()))
        if order is None or not order.shipments:
            return None
        unseen = [shipment_id for shipment_id, one in order.shipments.items() if one.origins]
        shipment_id = dice.one(unseen if unseen and not dice.once_in(5) else list(order.shipments))
        return "RetractDispatch", {"order_id": order.order_id, "shipment_id": shipment_id, "reason": "wrong gate"}

    def _shipped_lines(self, order: Any, dice: Dice) -> list[tuple[str, int]]:
        return [
            (line.line_id, dice.between(1, line.shipped - line.returned))
            for line in order.lines.values()
            if line.shipped > line.returned and not dice.once_in(4)
        ]

    def _ask_return(self, number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice, _shipped)
        lines = [] if order is None else self._shipped_lines(order, dice)
        if not lines:
            return None
        code = ("size", "damaged", "wrong_item")[number % 3]
        wanted = [{"line_id": line, "quantity": units, "reason": "r", "reason_code": code} for line, units in lines]
        data: Document = {"order_id": order.order_id, "return_id": awkward("r", number), "lines": wanted}
        if dice.once_in(2):
            data["resolution"] = "exchange"
            if dice.once_in(2):
                line = {"line_id": f"x-{number}", "sku": dice.one(SKUS), "quantity": dice.between(1, 3)}
                data["exchange"] = [{**line, "unit_price_minor": dice.one((50, 100, 150))}]
        return "RequestReturn", data

    def _take_return(self, number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice, _shipped)
        lines = [] if order is None else self._shipped_lines(order, dice)
        if not lines:
            return None
        known = list(order.returns)
        return_id = dice.one(known) if known and not dice.once_in(3) else f"r-{number}"
        found = [
            {
                "line_id": line_id,
                "quantity": units,
                "disposition": dice.one(("restock", "damaged", "dispose", "inspect")),
            }
            for line_id, units in lines
        ]
        data = {"order_id": order.order_id, "return_id": return_id, "location_id": dice.one(LOCATIONS)}
        cause = dice.one(_CAUSES)
        if cause:
            data["cause"] = cause
        elif unclaimed := self._unclaimed(order, dice):
            found = unclaimed
        return "ReceiveReturn", {**data, "lines": found}

    def _unclaimed(self, order: Any, dice: Dice) -> list[Document]:
        """What is in a parcel that its carrier brings back, as far as it is not back yet; often nothing."""
        parcels = [parcel for parcel in order.shipments.values() if parcel.to_sender]
        if not parcels:
            return []
        lines = order.lines
        return [
            {"line_id": line_id, "quantity": min(units, lines[line_id].shipped - lines[line_id].returned)}
            | {"disposition": "restock"}
            for line_id, units in dice.one(parcels).lines.items()
            if lines[line_id].shipped > lines[line_id].returned
        ]

    def _exchange(self, number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        """All that has left is to come back, for other goods or the same."""
        order = self._order(dice, _shipped)
        if order is None or not _shipped(order):
            return None
        lines = [
            {"line_id": line.line_id, "quantity": line.shipped - line.returned, "reason": "too small"}
            for line in order.lines.values()
            if line.shipped > line.returned
        ]
        data = {"order_id": order.order_id, "return_id": awkward("r", number), "lines": lines, "resolution": "exchange"}
        if dice.once_in(2):
            line = {"line_id": f"x-{number}", "sku": dice.one(SKUS), "quantity": 1, "unit_price_minor": 100}
            data["exchange"] = [line]
        return "RequestReturn", data

    def _return_part(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        """One unit of what was announced comes back."""
        order = self._order(dice, lambda order: bool(_still_to_come(order)))
        missing = [] if order is None else _still_to_come(order)
        if not missing:
            return None
        return_id, line_id = dice.one(missing)
        data = {"order_id": order.order_id, "return_id": return_id, "location_id": dice.one(LOCATIONS)}
        return "ReceiveReturn", {**data, "lines": [{"line_id": line_id, "quantity": 1, "disposition": "restock"}]}

    def _withdraw(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice)
        if order is None or not order.returns:
            return None
        data = {"order_id": order.order_id, "return_id": dice.one(list(order.returns)), "reason": "keeps it"}
        return "WithdrawReturn", {**data, "by": dice.one(("customer", "seller"))}

    def _scan_return(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice, lambda order: bool(order.returns))
        if order is None or not order.returns:
            return None
        data = {"order_id": order.order_id, "return_id": dice.one(list(order.returns)), "status": "in_transit"}
        return "RecordReturnTracking", data

    def _refund(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        order = self._order(dice)
        if order is None:
            return None
        data = {"order_id": order.order_id, "amount_minor": dice.between(1, 500), "reason": "goodwill"}
        if order.returns and dice.once_in(2):
            data["return_id"] = dice.one(list(order.returns))
        return "IssueRefund", data

    def _resolve(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        """A person works a queue; now and then the order has just left it."""
        waiting = [(one, name) for one in self._orders() for name in one.queues]
        order, queue = dice.one(waiting) if waiting and not dice.once_in(6) else (self._order(dice), QUEUE)
        if order is None:
            return None
        return "ResolveQueued", {
            "order_id": order.order_id,
            "queue": queue,
            "resolution": dice.one(("retry", "retry", "cancel", "leave")),
        }

    def _reject(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        """A location cannot provide what is held there; now and then it says so of a unit too many."""
        held = [(one, line, hold) for one in self._orders() for line in one.lines.values() for hold in line.holds]
        if not held:
            return None
        order, line, hold = dice.one(held)
        units = dice.between(1, hold.quantity) + (1 if dice.once_in(8) else 0)
        return "RejectAllocation", {
            "order_id": order.order_id,
            "location_id": hold.location_id,
            "lines": [{"line_id": line.line_id, "quantity": units}],
            "reason": dice.one(("not_in_stock", "mismatch", "damaged")),
        }

    def _orders(self) -> list[Any]:
        found = (self._truth.state("order", order_id) for order_id in self.orders)
        return [order for order in found if order is not None]

    def without_a_way(self, dice: Dice) -> QueueOrder | None:
        """What a reaction says whose rules find no way for some units of an order, be it late or wrongly."""
        order = self._order(dice)
        if order is None:
            return None
        lines = [
            LineQuantity(line_id=line.line_id, quantity=dice.between(1, line.ordered))
            for line in order.lines.values()
            if line.ordered and dice.once_in(2)
        ]
        return QueueOrder(order_id=order.order_id, queue=QUEUE, reason="no_plan", detail="none", lines=tuple(lines))

    # Stock

    def _receive(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        data = {"sku": dice.one(SKUS), "location_id": dice.one(LOCATIONS), "quantity": dice.between(1, 8)}
        if dice.once_in(2):
            data["purchase_order"] = dice.one(PURCHASE_ORDERS)
        return "ReceiveStock", data

    def _expect(self, _number: int, dice: Dice, now: datetime) -> tuple[str, Document]:
        """A purchase order is announced, amended, called off; some should have come long ago."""
        data = {"sku": dice.one(SKUS), "location_id": dice.one(LOCATIONS), "quantity": dice.below(8)}
        data["purchase_order"] = dice.one(PURCHASE_ORDERS)
        if not dice.once_in(4):
            data["expected_at"] = (now + timedelta(seconds=dice.between(-300, 3000))).isoformat()
        return "ExpectStock", data

    def _transfer(self, number: int, dice: Dice, now: datetime) -> tuple[str, Document]:
        source, target = LOCATIONS if dice.once_in(2) else LOCATIONS[::-1]
        data: Document = {"sku": dice.one(SKUS), "transfer_id": f"t-{number % 7}", "from_location_id": source}
        data |= {"to_location_id": target, "quantity": dice.between(1, 4)}
        if dice.once_in(2):
            data["expected_at"] = (now + timedelta(seconds=dice.between(-60, 2000))).isoformat()
        return "StartTransfer", data

    def _arrive(self, number: int, dice: Dice, now: datetime) -> tuple[str, Document]:
        """A transfer arrives, in part, damaged or not at all, or is said to come at another time."""
        sku = dice.one(SKUS)
        stock = self._truth.state("stock", sku)
        known = [] if stock is None else list(stock.transfers)
        transfer_id = dice.one(known) if known else f"t-{number % 7}"
        data: Document = {"sku": sku, "transfer_id": transfer_id}
        if dice.once_in(5):
            expected_at = (now + timedelta(seconds=dice.between(-60, 2000))).isoformat()
            return "AmendTransfer", {**data, "expected_at": expected_at}
        return "ReceiveTransfer", {
            **data,
            "quantity": dice.below(5),
            "damaged": dice.below(2),
            "close": dice.once_in(3),
        }

    def _adjust(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        data = {"sku": dice.one(SKUS), "location_id": dice.one(LOCATIONS), "quantity_delta": dice.between(-4, 4)}
        if dice.once_in(4):
            data["expected_on_hand"] = dice.below(6)
        return "AdjustStock", {**data, "reason": "found", "document": "note"}

    def _move(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        source, target = LOCATIONS if dice.once_in(2) else LOCATIONS[::-1]
        data = {"sku": dice.one(SKUS), "from_location_id": source, "to_location_id": target}
        return "MoveStock", {**data, "quantity": dice.between(1, 3)}

    def _damage(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        return "MarkDamaged", {
            "sku": dice.one(SKUS),
            "location_id": dice.one(LOCATIONS),
            "quantity": dice.between(1, 2),
        }

    def _policy(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        data: Document = {"sku": dice.one(SKUS), "location_id": dice.one(LOCATIONS)}
        if dice.once_in(2):
            data["safety_stock"] = dice.below(4)
        if dice.once_in(2):
            data["reorder_point"] = dice.below(4)
        if dice.once_in(2):
            data["recount_above"] = dice.below(3)
        if dice.once_in(2):
            data["approval_above"] = dice.below(3)
        if dice.once_in(2):
            data["buffers"] = {dice.one(("*", "web")): dice.below(3)}
        return "SetStockPolicy", data

    def _cart(self, number: int, dice: Dice, now: datetime) -> tuple[str, Document]:
        """A customer puts units into a cart; a cart may hold several times."""
        again = self._carts and dice.once_in(4)
        cart_id = dice.one(self._carts)["order_id"] if again else f"cart-{number}"
        data: Document = {
            "sku": dice.one(SKUS), "location_id": dice.one(LOCATIONS), "quantity": dice.between(1, 3),
            "order_id": cart_id, "line_id": "1", "attempt": number,
            "expires_at": (now + timedelta(seconds=dice.between(60, 900))).isoformat(),
        }  # fmt: skip
        self._carts.append(data)
        return "ReserveStock", data

    def _location_policy(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        excluded = [dice.one(("web", "store"))] if dice.once_in(3) else []
        return "SetLocationPolicy", {"location_id": dice.one(LOCATIONS), "excluded_channels": excluded}

    def _category_policy(self, number: int, dice: Dice, now: datetime) -> tuple[str, Document]:
        _, data = self._channel_policy(number, dice, now)
        del data["sku"]
        return "SetCategoryPolicy", {**data, "category_id": dice.one(CATEGORIES)}

    def _category(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        data: Document = {"sku": dice.one(SKUS)}
        if not dice.once_in(5):
            data["category_id"] = dice.one(CATEGORIES)
        return "AssignCategory", data

    def _channel_policy(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        """Rules for all locations or one; most are taken away again, or nobody would sell anything in the end."""
        data: Document = {"sku": dice.one(SKUS)}
        if dice.once_in(2):
            data["location_id"] = dice.one(LOCATIONS)
        if dice.once_in(2):
            data["buffers"] = {dice.one(("*", "web", "store")): dice.below(3)} if dice.once_in(2) else {}
        data["excluded_channels"] = [dice.one(("*", "web", "store"))] if dice.once_in(3) else []
        return "SetChannelPolicy", data

    def _hold_for_other(self, number: int, dice: Dice, now: datetime) -> tuple[str, Document]:
        """Another system reserves for itself, some of it for a time only."""
        data: Document = {
            "sku": dice.one(SKUS), "location_id": dice.one(LOCATIONS), "quantity": dice.between(1, 3),
            "order_id": "other", "line_id": "1", "attempt": number,
        }  # fmt: skip
        if dice.once_in(2):
            data["expires_at"] = (now + timedelta(seconds=dice.between(1, 900))).isoformat()
        self._held.append(data)
        if dice.once_in(4):
            # It changed its mind before it was heard: the release comes first.
            return "ReleaseStock", {name: value for name, value in data.items() if name != "expires_at"}
        return "ReserveStock", data

    def _let_go_for_other(self, number: int, dice: Dice, now: datetime) -> tuple[str, Document] | None:
        """What another system holds, or will have asked for in a moment; now and then what an order holds."""
        order = self._order(dice)
        holds = [] if order is None else [(line, hold) for line in order.lines.values() for hold in line.holds]
        if holds and dice.once_in(3):
            line, hold = dice.one(holds)
            data = {"sku": line.sku, "location_id": hold.location_id, "quantity": dice.between(1, hold.quantity)}
            return "ReleaseStock", {
                **data,
                "order_id": order.order_id,
                "line_id": line.line_id,
                "attempt": hold.attempt,
            }
        if not self._held:
            return None
        held = dice.one(self._held)
        return "ReleaseStock", {name: value for name, value in held.items() if name != "expires_at"}

    # Service

    def _case(self, number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        data: Document = {"case_id": dice.one(CASES)}
        name = dice.one(("OpenCase", "AddCaseNote", "AssignCase", "ResolveCase", "ReopenCase"))
        more: dict[str, Document] = {
            "OpenCase": {"channel": "phone", "topic": "late", "urgency": "low"}, "AddCaseNote": {"note": f"{number}"},
            "AssignCase": {"assignee": "desk"}, "ResolveCase": {"resolution": "sent"},
            "ReopenCase": {"reason": "again"},
        }  # fmt: skip
        return name, data | more[name]

    def _location(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        data: Document = {"location_id": dice.one(LOCATIONS), "name": "a place", "kind": "warehouse"}
        if dice.once_in(2):
            data["daily_capacity"] = dice.below(4)
        return "RegisterLocation", {
            **data,
            "latitude": float(dice.between(48, 54)),
            "longitude": float(dice.between(8, 14)),
        }

    def _rules(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        """Rules that can be used, and now and then a text that cannot."""
        text = dice.one(RULES) if not dice.once_in(4) else "name = 1"
        return "SetRoutingRules", {"rules_id": dice.one(("routing", "draft")), "text": text}
