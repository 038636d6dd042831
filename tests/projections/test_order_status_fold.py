"""Facts of orders in, rows out."""

from datetime import timedelta

from events.values import Charge
from projections.order_status.projection import PROJECTION
from tests.support.chain import BEGINNING, ChainLog
from tests.support.facts import consumed, fact, order_placed, refused
from tests.support.folding import rows

LINE = {"order_id": "o-1", "line_id": "1"}


def line(quantity: int, line_id: str = "1", **more: object) -> dict[str, object]:
    zero = {"from_open": 0, "from_backordered": 0, "from_allocated": 0}
    return {"line_id": line_id, "sku": f"SKU-{line_id}", "quantity": quantity, **zero, **more}


def order(*decisions: object) -> dict[str, list[dict[str, object]]]:
    log = ChainLog()
    for one in decisions:
        log.decide("o-1", *one) if isinstance(one, list) else log.decide("o-1", one)
    return rows(PROJECTION, log)


def counters(tables: dict[str, list[dict[str, object]]], table: str = "order_lines") -> dict[str, object]:
    names = ("ordered", "open", "backordered", "allocated", "shipped", "cancelled", "delivered", "returned")
    (row,) = tables[table]
    return {name: row[name] for name in names if name in row}


def test_a_placed_order_is_open_and_knows_its_worth():
    placed = order_placed(
        lines={"1": 2, "2": 1}, price=250, charges=(Charge(code="POST", amount_minor=499),), promised_by=BEGINNING
    )
    tables = order(placed)
    (status,) = tables["order_status"]
    assert status["open"] == status["ordered"] == 3
    assert (status["value_minor"], status["charges_minor"], status["version"]) == (750, 499, 1)
    assert (status["channel"], status["country"], status["region"]) == ("web", "DE", "BY")
    assert status["placed_at"] == status["promised_by"] == status["due_by"] == BEGINNING
    assert status["released"] is True
    assert [row["unit_price_minor"] for row in tables["order_lines"]] == [250, 250]


def test_a_value_beyond_64_bits_is_capped_and_does_not_wrap():
    (status,) = order(order_placed(lines={"1": 10**12}, price=10**12))["order_status"]
    assert status["value_minor"] == 9 * 10**18


def test_allocation_takes_from_open_and_from_the_queue():
    tables = order(
        order_placed(lines={"1": 5}),
        fact("LineBackordered", **LINE, quantity=3),
        fact("LineAllocated", **LINE, location_id="WH1", quantity=4, from_open=2, from_backordered=2),
    )
    assert counters(tables) == counters(tables, "order_status") == {"ordered": 5, "backordered": 1, "allocated": 4}
    assert tables["order_line_locations"] == [{**LINE, "location_id": "WH1", "allocated": 4}]


def test_what_is_let_go_is_open_again():
    tables = order(
        order_placed(lines={"1": 2}),
        fact("LineAllocated", **LINE, location_id="WH1", quantity=2, from_open=2),
        fact("LineDeallocated", **LINE, location_id="WH1", quantity=2),
        fact("LineBackordered", **LINE, quantity=2),
        fact("BackorderReopened", **LINE, quantity=2),
    )
    assert counters(tables) == {"ordered": 2, "open": 2}
    assert tables["order_line_locations"] == [{**LINE, "location_id": "WH1"}]


def test_an_amendment_up_opens_and_one_down_takes_what_it_names():
    release = {"line_id": "1", "sku": "SKU-1", "attempt": 1, "location_id": "WH1", "quantity": 1}
    wait = {**release, "location_id": "", "quantity": 1}
    grown = {"line_id": "1", "sku": "SKU-1", "ordered_before": 2, "ordered": 5, "from_open": 0}
    shrunk = {**grown, "ordered_before": 5, "ordered": 2, "from_open": 1, "from_backordered": 1, "from_allocated": 1}
    tables = order(
        order_placed(lines={"1": 2}),
        fact("LineAllocated", **LINE, location_id="WH1", quantity=2, from_open=2),
        fact("OrderAmended", order_id="o-1", lines=[{**grown, "from_backordered": 0, "from_allocated": 0}]),
        fact("LineBackordered", **LINE, quantity=2),
        fact("OrderAmended", order_id="o-1", lines=[shrunk], releases=[release, wait]),
    )
    assert counters(tables) == {"ordered": 2, "backordered": 1, "allocated": 1}
    assert tables["order_line_locations"] == [{**LINE, "location_id": "WH1", "allocated": 1}]


CHANGE = {"line_id": "1", "sku": "SKU-1", "ordered_before": 2, "ordered": 5}


def test_an_amendment_that_stock_is_asked_for_is_requested_and_then_applied():
    taken = {"from_open": 0, "from_backordered": 0, "from_allocated": 0}
    asked = fact("AmendmentRequested", order_id="o-1", amendment_id="A1", by="customer", lines=[CHANGE], round=2)
    (row,) = order(order_placed(lines={"1": 2}), asked)["order_amendments"]
    assert (row["status"], row["by"]) == ("requested", "customer")
    tables = order(
        order_placed(lines={"1": 2}),
        asked,
        fact("OrderAmended", order_id="o-1", amendment_id="A1", by="customer", lines=[{**CHANGE, **taken}]),
    )
    (row,) = tables["order_amendments"]
    assert (row["status"], row["answered_at"] is None) == ("applied", False)
    assert counters(tables) == {"ordered": 5, "open": 5}


def test_an_amendment_that_is_declined_says_what_would_have_been_accepted_and_changes_no_unit():
    tables = order(
        order_placed(lines={"1": 2}),
        fact("AmendmentRequested", order_id="o-1", amendment_id="A1", by="customer", lines=[CHANGE], round=2),
        fact(
            "AmendmentDeclined",
            order_id="o-1",
            amendment_id="A1",
            reason="not_enough",
            lines=[{**CHANGE, "available": 3}],
        ),
    )
    (row,) = tables["order_amendments"]
    assert (row["status"], row["reason"]) == ("declined", "not_enough")
    (line,) = tables["order_amendment_lines"]
    assert (line["ordered_before"], line["ordered"], line["available"]) == (2, 5, 3)
    assert counters(tables) == {"ordered": 2, "open": 2}


def test_a_promise_moved_by_the_seller_moves_what_is_told_but_not_what_is_measured():
    later, latest = BEGINNING + timedelta(days=1), BEGINNING + timedelta(days=2)
    (status,) = order(
        order_placed(promised_by=BEGINNING),
        fact("OrderAmended", order_id="o-1", by="customer", promised_by=later, due_by=later),
        fact("OrderAmended", order_id="o-1", by="seller", promised_by=latest),
    )["order_status"]
    assert (status["promised_by"], status["due_by"]) == (latest, later)


def test_the_first_promise_is_measured_by_whoever_gave_it():
    (status,) = order(
        order_placed(),
        fact("OrderAmended", order_id="o-1", by="seller", promised_by=BEGINNING, due_by=BEGINNING),
        fact("OrderAmended", order_id="o-1", by="seller", promised_by=BEGINNING + timedelta(days=1)),
    )["order_status"]
    assert status["due_by"] == BEGINNING


def test_a_dispatch_from_elsewhere_ships_here_and_lets_go_there():
    tables = order(
        order_placed(lines={"1": 3}),
        fact("LineAllocated", **LINE, location_id="WH1", quantity=2, from_open=2),
        fact("LineBackordered", **LINE, quantity=1),
        fact(
            "ShipmentDispatched",
            order_id="o-1",
            shipment_id="s-1",
            location_id="WH2",
            carrier="dhl",
            lines=[line(3, from_allocated=2, from_backordered=1, consumed=[consumed("WH1", 2), consumed("", 1)])],
        ),
    )
    assert counters(tables) == {"ordered": 3, "shipped": 3}
    assert tables["order_line_locations"] == [
        {**LINE, "location_id": "WH1"},
        {**LINE, "location_id": "WH2", "shipped": 3},
    ]
    assert tables["order_shipment_lines"] == [
        {"order_id": "o-1", "shipment_id": "s-1", "line_id": "1", "sku": "SKU-1", "quantity": 3}
    ]


def test_a_parcel_is_followed_to_the_door():
    shipment = {"order_id": "o-1", "shipment_id": "s-1"}
    tables = order(
        order_placed(),
        fact("ShipmentDispatched", **shipment, location_id="WH1", carrier="dhl", lines=[line(2, consumed=[])]),
        fact("ShipmentTracked", **shipment, status="in_transit"),
        fact("ShipmentDelivered", **shipment, delivered_at=BEGINNING, on_time=True, lines=[line(2)]),
        fact("ShipmentTracked", **shipment, status="out_for_delivery"),
    )
    (row,) = tables["order_shipments"]
    assert (row["scan"], row["delivered_at"], row["on_time"]) == ("out_for_delivery", BEGINNING, True)
    assert row["dispatched_at"] == BEGINNING + timedelta(seconds=1)
    assert counters(tables)["delivered"] == 2


def test_what_a_location_rejects_is_open_again():
    tables = order(
        order_placed(),
        fact("LineAllocated", **LINE, location_id="WH1", quantity=2, from_open=2, from_backordered=0),
        fact("AllocationRejected", order_id="o-1", location_id="WH1", lines=[line(1, rejections=1, consumed=[])]),
    )
    assert (counters(tables)["open"], counters(tables)["allocated"]) == (1, 1)
    assert tables["order_line_locations"][0]["allocated"] == 1


def test_a_dispatch_that_is_retracted_is_as_if_it_had_not_been():
    parcel = {"order_id": "o-1", "shipment_id": "s-1", "location_id": "WH1"}
    left = {**line(3), "from_open": 1, "from_allocated": 1, "from_cancelled": 1, "consumed": [consumed("WH1", 1)]}
    back = {**line(3), "to_open": 1, "to_allocated": 1, "to_cancelled": 1}
    before = [
        order_placed(lines={"1": 3}),
        fact("OrderCancelled", order_id="o-1", by="customer", lines=[{**line(1), "from_open": 1}]),
        fact("LineAllocated", **LINE, location_id="WH1", quantity=1, from_open=1),
    ]
    told = [
        fact("ShipmentDispatched", **parcel, carrier="dhl", lines=[left]),
        fact("DispatchRetracted", **parcel, lines=[back]),
    ]
    without, after = order(*before), order(*before, *told)
    assert counters(after) == counters(without) == {"ordered": 3, "open": 1, "allocated": 1, "cancelled": 1}
    assert after["order_line_locations"] == without["order_line_locations"]
    assert after["order_shipments"][0]["scan"] == "retracted"
    assert after["order_shipment_lines"][0]["quantity"] == 3


def test_a_parcel_that_is_sent_again_is_ordered_once_more_and_written_off_until_it_turns_up():
    parcel = {"order_id": "o-1", "shipment_id": "s-1"}
    told = [
        order_placed(lines={"1": 2}),
        fact(
            "ShipmentDispatched",
            **parcel,
            location_id="WH1",
            carrier="dhl",
            lines=[{**line(2), "from_open": 2, "consumed": []}],
        ),
        fact("ShipmentReplaced", **parcel, reason="lost", lines=[{**line(2), "written_off": 2}]),
    ]
    tables = order(*told)
    (row,) = tables["order_lines"]
    assert counters(tables) == {"ordered": 4, "open": 2, "shipped": 2}
    assert (row["replaced"], row["written_off"], tables["order_shipment_lines"][0]["replaced"]) == (2, 2, 2)
    (row,) = order(*told, fact("ShipmentDelivered", **parcel, lines=[{**line(2), "found": 2}]))["order_status"]
    assert (row["delivered"], row["replaced"], row.get("written_off", 0)) == (2, 2, 0)


def test_a_return_that_was_announced_comes_back():
    back = {"order_id": "o-1", "return_id": "r-1", "rma": "RMA-1"}
    tables = order(
        order_placed(),
        fact("ReturnRequested", **back, resolution="refund", lines=[{**line(2), "reason": "too small"}]),
        fact("ReturnTracked", order_id="o-1", return_id="r-1", status="in_transit"),
        fact(
            "ReturnReceived",
            **back,
            location_id="WH1",
            announced=True,
            cause="customer",
            lines=[{**line(1), "disposition": "restock"}],
        ),
        fact("RefundIssued", order_id="o-1", return_id="r-1", amount_minor=100, currency="EUR"),
    )
    (row,) = tables["order_returns"]
    assert (row["resolution"], row["announced"], row["scan"]) == ("refund", True, "received")
    (item,) = tables["order_return_lines"]
    assert (item["quantity"], item["received"], item["reason"]) == (2, 1, "too small")
    assert item["disposition"] == "restock"
    assert tables["order_status"][0]["refunded_minor"] == 100


def test_goods_that_nobody_announced_must_have_been_delivered():
    tables = order(
        order_placed(),
        [
            fact("DeliveryInferred", order_id="o-1", return_id="r-1", lines=[line(2)]),
            fact(
                "ReturnReceived",
                order_id="o-1",
                return_id="r-1",
                rma="X",
                cause="customer",
                lines=[{**line(2), "disposition": "damaged"}],
            ),
        ],
    )
    assert counters(tables)["delivered"] == counters(tables)["returned"] == 2
    assert tables["order_lines"][0]["returned_by_customer"] == tables["order_status"][0]["returned_by_customer"] == 2
    assert tables["order_returns"][0]["announced"] is False


def test_goods_that_nobody_claimed_came_back_and_no_customer_sent_them():
    came = {"return_id": "r-1", "rma": "X", "cause": "unclaimed", "lines": [{**line(2), "disposition": "restock"}]}
    tables = order(order_placed(), fact("ReturnReceived", order_id="o-1", **came))
    assert counters(tables)["returned"] == 2
    assert not counters(tables).get("delivered")
    assert not tables["order_lines"][0].get("returned_by_customer")
    assert tables["order_returns"][0]["cause"] == "unclaimed"


def test_holds_are_counted_and_named():
    tables = order(
        order_placed(),
        fact("OrderHeld", order_id="o-1", hold="payment"),
        fact("OrderHeld", order_id="o-1", hold="fraud"),
        fact("HoldReleased", order_id="o-1", hold="payment"),
    )
    assert tables["order_status"][0]["active_holds"] == 1
    assert tables["order_holds"] == [
        {"order_id": "o-1", "hold": "fraud", "active": 1},
        {"order_id": "o-1", "hold": "payment"},
    ]


def test_a_cancellation_moves_units_and_says_where_from():
    cancelled = line(2, from_open=1, from_allocated=1)
    release = {"line_id": "1", "sku": "SKU-1", "attempt": 1, "location_id": "WH1", "quantity": 1}
    tables = order(
        order_placed(),
        fact("LineAllocated", **LINE, location_id="WH1", quantity=1, from_open=1),
        fact("OrderCancelled", order_id="o-1", by="customer", lines=[cancelled], releases=[release]),
    )
    assert counters(tables) == {"ordered": 2, "cancelled": 2}
    assert tables["order_line_locations"] == [{**LINE, "location_id": "WH1"}]


def test_a_refusal_moves_neither_the_version_nor_anything_else():
    (status,) = order(order_placed(), refused())["order_status"]
    assert (status["version"], status["updated_at"]) == (1, BEGINNING)
    (status,) = order(order_placed(), refused(), fact("OrderHeld", order_id="o-1", hold="fraud"))["order_status"]
    assert status["version"] == 3


def test_an_order_that_is_released_later_says_so():
    (status,) = order(order_placed(sourcing=False))["order_status"]
    assert status["released"] is False
    (status,) = order(order_placed(sourcing=False), fact("SourcingRequested", order_id="o-1", placed_at=BEGINNING))[
        "order_status"
    ]
    assert status["released"] is True
