"""Orders, one fact at a time: lines, locations, holds, parcels, returns. An order is the sum of its lines."""

from collections.abc import Mapping
from typing import Any

from processors.verify.facts import Handler
from processors.verify.order_rows import (
    Amendment,
    AmendmentLine,
    Hold,
    Line,
    LineLocation,
    Order,
    Return,
    ReturnLine,
    Shipment,
    ShipmentLine,
)
from processors.verify.rows import Expected, Table

#: The largest value that the 64-bit column shows.
_VALUE_MINOR_MAX = 9 * 10**18


class Orders:
    """All tables about orders as they are now."""

    def __init__(self) -> None:
        order, line = ("order_id",), ("order_id", "line_id")
        self.orders = Table("order_status", order, Order)
        self.holds = Table("order_holds", ("order_id", "hold"), Hold)
        self.lines = Table("order_lines", line, Line)
        self.locations = Table("order_line_locations", (*line, "location_id"), LineLocation)
        self.shipments = Table("order_shipments", ("order_id", "shipment_id"), Shipment)
        self.shipment_lines = Table("order_shipment_lines", ("order_id", "shipment_id", "line_id"), ShipmentLine)
        self.returns = Table("order_returns", ("order_id", "return_id"), Return)
        self.return_lines = Table("order_return_lines", ("order_id", "return_id", "line_id"), ReturnLine)
        self.amendments = Table("order_amendments", ("order_id", "amendment_id"), Amendment)
        self.amendment_lines = Table("order_amendment_lines", ("order_id", "amendment_id", "line_id"), AmendmentLine)

    @property
    def tables(self) -> tuple[Expected, ...]:
        return (
            self.orders, self.holds, self.lines, self.locations, self.shipments, self.shipment_lines, self.returns,
            self.return_lines, self.amendments, self.amendment_lines,
        )  # fmt: skip

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By name of the fact. `touched` is called after each of them, and for facts that change no units."""
        return {
            "OrderPlaced": self.placed,
            "OrderAmended": self.amended,
            "AmendmentRequested": self.amendment_requested,
            "AmendmentDeclined": self.amendment_declined,
            "OrderCancelled": self.cancelled,
            "OrderHeld": self.held,
            "HoldReleased": self.hold_released,
            "SourcingRequested": self.sourcing_requested,
            "LineAllocated": self.line_allocated,
            "LineBackordered": self.line_backordered,
            "LinePromised": self.line_promised,
            "BackorderReopened": self.backorder_reopened,
            "LineDeallocated": self.line_deallocated,
            "AllocationRejected": self.allocation_rejected,
            "ExchangeLinesAdded": self.exchange_added,
            "ExchangeReleased": self.exchange_released,
            "ReturnWithdrawn": self.return_withdrawn,
            "ShipmentDispatched": self.dispatched,
            "DispatchRetracted": self.retracted,
            "ShipmentReplaced": self.shipment_replaced,
            "ShipmentTracked": self.tracked,
            "ShipmentDelivered": self.shipment_delivered,
            "DeliveryInferred": self.delivery_inferred,
            "ReturnRequested": self.return_requested,
            "ReturnTracked": self.return_tracked,
            "ReturnReceived": self.return_received,
            "RefundIssued": self.refunded,
        }

    def touched(self, fact: Mapping[str, Any]) -> None:
        """Every fact of an order except a refusal moves its version."""
        order = self.orders.get(fact["stream_id"])
        if order is None:
            return
        order.version = max(order.version or 0, fact["version"])
        if order.updated_at is None or fact["recorded_at"] > order.updated_at:
            order.updated_at = fact["recorded_at"]

    def move(self, order_id: str, line_id: str, **units: int) -> Line:
        """Add to the counters of a line and of its order."""
        line = self.lines.row(order_id, line_id)
        order = self.orders.get(order_id)
        for name, delta in units.items():
            setattr(line, name, getattr(line, name) + delta)
            if order is not None:
                setattr(order, name, getattr(order, name) + delta)
        return line

    def placed(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        order = self.orders.row(data["order_id"])
        for name in ("customer_id", "currency", "promised_by", "promise", "service_level", "allocation", "release_at"):
            setattr(order, name, data[name])
        order.channel = fact["channel"]
        order.placed_at = fact["occurred_at"]
        order.due_by = data["promised_by"]
        order.country = data["ship_to"]["country"]
        order.region = data["ship_to"]["region"]
        order.released = data["sourcing"]
        value_minor = 0
        for line in data["lines"]:
            row = self.move(data["order_id"], line["line_id"], ordered=line["quantity"], open=line["quantity"])
            row.sku = line["sku"]
            row.unit_price_minor = line["unit_price_minor"]
            row.customised = line["customised"]
            if line["cancel_after"] is not None:
                row.cancel_after = line["cancel_after"]
            value_minor += line["quantity"] * line["unit_price_minor"]
        order.value_minor = min(value_minor, _VALUE_MINOR_MAX)
        order.charges_minor = sum(charge["amount_minor"] for charge in data["charges"])

    def amendment_requested(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.amendments.row(data["order_id"], data["amendment_id"])
        row.status, row.by = "requested", data["by"]
        if data["promised_by"] is not None:
            row.promised_by = data["promised_by"]
        row.requested_at = fact["recorded_at"]
        self.amendment_wants(data)

    def amendment_wants(self, data: Mapping[str, Any]) -> None:
        """The amendment's lines, which are in its request and again in its decline."""
        for line in data["lines"]:
            item = self.amendment_lines.row(data["order_id"], data["amendment_id"], line["line_id"])
            item.sku = line["sku"]
            item.ordered_before = line["ordered_before"] - line["cancelled"]
            item.ordered = line["ordered"] - line["cancelled"]
            if line.get("available") is not None:
                item.available = line["available"]

    def amendment_declined(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.amendments.row(data["order_id"], data["amendment_id"])
        row.status, row.reason, row.answered_at = "declined", data["reason"], fact["recorded_at"]
        self.amendment_wants(data)

    def amended(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        if data["amendment_id"] is not None:
            row = self.amendments.row(data["order_id"], data["amendment_id"])
            row.status, row.answered_at = "applied", fact["recorded_at"]
        order = self.orders.get(data["order_id"])
        if order is not None:
            order.promised_by = data["promised_by"] or order.promised_by
            order.due_by = data["due_by"] or order.due_by
        for line in data["lines"]:
            change = line["ordered"] - line["ordered_before"]
            self.move(
                data["order_id"],
                line["line_id"],
                ordered=change,
                open=max(change, 0) - line["from_open"],
                backordered=-line["from_backordered"],
                allocated=-line["from_allocated"],
            )
        self.let_go(data)

    def cancelled(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        for line in data["lines"]:
            self.move(
                data["order_id"],
                line["line_id"],
                cancelled=line["quantity"],
                open=-line["from_open"],
                backordered=-line["from_backordered"],
                allocated=-line["from_allocated"],
            )
        self.let_go(data)

    def let_go(self, data: Mapping[str, Any]) -> None:
        for release in data["releases"]:
            if release["location_id"]:
                place = self.locations.row(data["order_id"], release["line_id"], release["location_id"])
                place.allocated -= release["quantity"]

    def held(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.hold(data, 1)

    def hold_released(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.hold(data, -1)

    def hold(self, data: Mapping[str, Any], change: int) -> None:
        self.holds.row(data["order_id"], data["hold"]).active += change
        order = self.orders.get(data["order_id"])
        if order is not None:
            order.active_holds += change

    def sourcing_requested(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        order = self.orders.get(data["order_id"])
        if order is not None:
            order.released = True

    def line_allocated(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        units = data["quantity"]
        taken = {"open": -data["from_open"], "backordered": -data["from_backordered"]}
        self.move(data["order_id"], data["line_id"], allocated=units, **taken)
        self.locations.row(data["order_id"], data["line_id"], data["location_id"]).allocated += units

    def line_backordered(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.move(data["order_id"], data["line_id"], open=-data["quantity"], backordered=data["quantity"])
        if data["attempt"] == 0:  # it waits only for another line: it is in no queue, so it has no promise
            self.lines.row(data["order_id"], data["line_id"]).promised = False

    def line_promised(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        line = self.lines.row(data["order_id"], data["line_id"])
        line.promised = data["expected_at"] is not None
        if line.promised:
            line.told_expected_at = data["expected_at"]

    def backorder_reopened(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.move(data["order_id"], data["line_id"], open=data["quantity"], backordered=-data["quantity"])

    def line_deallocated(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        units = data["quantity"]
        self.move(data["order_id"], data["line_id"], open=units, allocated=-units)
        self.locations.row(data["order_id"], data["line_id"], data["location_id"]).allocated -= units

    def allocation_rejected(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        for line in data["lines"]:
            units = line["quantity"]
            self.move(data["order_id"], line["line_id"], open=units, allocated=-units)
            self.locations.row(data["order_id"], line["line_id"], data["location_id"]).allocated -= units

    def exchange_added(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        for line in data["lines"]:
            row = self.move(data["order_id"], line["line_id"], ordered=line["quantity"], open=line["quantity"])
            row.sku = line["sku"]
            row.unit_price_minor = line["unit_price_minor"]
            row.customised = line["customised"]
            row.exchange_for = data["return_id"]
            row.awaits_return = True

    def exchange_released(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        for line in data["lines"]:
            self.lines.row(data["order_id"], line["line_id"]).awaits_return = False

    def return_withdrawn(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.returns.row(data["order_id"], data["return_id"]).scan = "withdrawn"
        for line in data["lines"]:
            item = self.return_lines.row(data["order_id"], data["return_id"], line["line_id"])
            item.sku = line["sku"]
            item.quantity -= line["quantity"]

    def dispatched(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        order_id = data["order_id"]
        shipment = self.shipments.row(order_id, data["shipment_id"])
        for name in ("location_id", "carrier", "service", "tracking_number", "expected_at"):
            if data[name] is not None:
                setattr(shipment, name, data[name])
        shipment.scan = "dispatched"
        shipment.dispatched_at = fact["occurred_at"]
        for line in data["lines"]:
            line_id, units = line["line_id"], line["quantity"]
            self.move(
                order_id,
                line_id,
                shipped=units,
                open=-line["from_open"],
                backordered=-line["from_backordered"],
                allocated=-line["from_allocated"],
                cancelled=-line["from_cancelled"],
                ordered=line["from_removed"],
            )
            self.locations.row(order_id, line_id, data["location_id"]).shipped += units
            for consumed in line["consumed"]:
                if consumed["location_id"]:
                    self.locations.row(order_id, line_id, consumed["location_id"]).allocated -= consumed["quantity"]
            parcel = self.shipment_lines.row(order_id, data["shipment_id"], line_id)
            parcel.sku = line["sku"]
            parcel.quantity += units

    def retracted(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        order_id, where = data["order_id"], data["location_id"]
        self.shipments.row(order_id, data["shipment_id"]).scan = "retracted"
        for line in data["lines"]:
            self.move(
                order_id,
                line["line_id"],
                shipped=-line["quantity"],
                open=line["to_open"],
                allocated=line["to_allocated"],
                cancelled=line["to_cancelled"],
                ordered=-(line["to_removed"] + line["replaced"]),
                replaced=-line["replaced"],
                written_off=-line["written_off"],
            )
            place = self.locations.row(order_id, line["line_id"], where)
            place.shipped -= line["quantity"]
            place.allocated += line["to_allocated"]
            self.sent_again(data, line, -line["replaced"])

    def shipment_replaced(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        for line in data["lines"]:
            units = line["quantity"]
            self.move(
                data["order_id"],
                line["line_id"],
                ordered=units,
                open=units,
                replaced=units,
                written_off=line["written_off"],
            )
            self.sent_again(data, line, units)

    def sent_again(self, data: Mapping[str, Any], line: Mapping[str, Any], units: int) -> None:
        parcel = self.shipment_lines.row(data["order_id"], data["shipment_id"], line["line_id"])
        parcel.sku = line["sku"]
        parcel.replaced += units

    def tracked(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        shipment = self.shipments.row(data["order_id"], data["shipment_id"])
        shipment.scan = data["status"]
        if data["expected_at"] is not None:
            shipment.expected_at = data["expected_at"]

    def shipment_delivered(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        shipment = self.shipments.row(data["order_id"], data["shipment_id"])
        shipment.scan = "delivered"
        for name in ("delivered_at", "due_by", "on_time"):
            if data[name] is not None:
                setattr(shipment, name, data[name])
        self.delivery_inferred(fact, data)

    def delivery_inferred(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        for line in data["lines"]:
            self.move(data["order_id"], line["line_id"], delivered=line["quantity"], written_off=-line["found"])

    def return_requested(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.returns.row(data["order_id"], data["return_id"])
        row.rma = data["rma"]
        row.resolution = data["resolution"]
        row.scan = "requested"
        row.announced = True if row.announced is None else row.announced
        row.requested_at = fact["occurred_at"] if row.requested_at is None else row.requested_at
        for line in data["lines"]:
            item = self.return_lines.row(data["order_id"], data["return_id"], line["line_id"])
            item.sku = line["sku"]
            item.quantity += line["quantity"]
            item.reason = line["reason"]
            item.reason_code = line["reason_code"] if line["reason_code"] is not None else item.reason_code

    def return_tracked(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.returns.row(data["order_id"], data["return_id"]).scan = data["status"]

    def return_received(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.returns.row(data["order_id"], data["return_id"])
        row.rma = data["rma"]
        row.location_id = data["location_id"]
        row.scan = "received"
        row.cause = data["cause"]
        row.announced = data["announced"] if row.announced is None else row.announced
        row.received_at = fact["occurred_at"]
        for line in data["lines"]:
            item = self.return_lines.row(data["order_id"], data["return_id"], line["line_id"])
            item.sku = line["sku"]
            item.received += line["quantity"]
            item.disposition = line["disposition"]
            by_customer = line["quantity"] if data["cause"] == "customer" else 0
            self.move(data["order_id"], line["line_id"], returned=line["quantity"], returned_by_customer=by_customer)

    def refunded(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        order = self.orders.get(data["order_id"])
        if order is not None:
            order.refunded_minor += data["amount_minor"]
