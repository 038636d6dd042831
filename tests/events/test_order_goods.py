"""What happens to the goods of an order is recorded as it happened; only the impossible is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from events.orders import commands as c
from events.orders import facts as f
from events.values import TEXT_MAX, Consumed
from tests.events.builders import (
    ask_return,
    dispatch,
    in_round,
    line_of,
    place,
    receive_return,
    refund,
    reserved,
    scan,
    scan_return,
    waiting,
)
from tests.support.given import NOW, given, like, sent

# Dispatch


def shipped(units: int, *consumed: Consumed, **parts: int) -> f.ShippedLine:
    origin = {"from_open": 0, "from_backordered": 0, "from_allocated": 0} | parts
    return f.ShippedLine(line_id="1", sku="SKU-1", quantity=units, consumed=consumed, **origin)


def differing(units: int, planned: str) -> tuple[f.DifferingLine, ...]:
    return (f.DifferingLine(line_id="1", sku="SKU-1", quantity=units, planned=planned),)  # type: ignore[arg-type]


def used(units: int, location: str = "WH1", attempt: int = in_round(1)) -> Consumed:
    return Consumed(attempt=attempt, location_id=location, quantity=units)


def test_a_dispatch_uses_up_what_was_held_for_it() -> None:
    story = given(place({"1": 3}), reserved(3)).when(dispatch({"1": 2}))
    story.then(like(f.ShipmentDispatched, lines=(shipped(2, used(2), from_allocated=2),)))
    assert line_of(story.state) == {"ordered": 3, "allocated": 1, "shipped": 2}


def test_a_dispatch_leaves_the_holds_that_it_does_not_need() -> None:
    story = given(place({"1": 2}), reserved(1), reserved(1, version=2, attempt=in_round(1, 2))).when(dispatch({"1": 1}))
    story.then(like(f.ShipmentDispatched, lines=(shipped(1, used(1), from_allocated=1),)))
    assert [held.attempt for held in story.state.lines["1"].holds] == [in_round(1, 2)]


def test_a_dispatch_from_another_location_is_recorded_and_the_difference_stated() -> None:
    story = given(place({"1": 2}), reserved(2, location="WH1")).when(dispatch({"1": 2}, location="WH2"))
    story.then(
        like(f.ShipmentDispatched, location_id="WH2", lines=(shipped(2, used(2, "WH1"), from_allocated=2),)),
        like(f.DispatchDiffered, lines=differing(2, "elsewhere")),
    )
    assert line_of(story.state) == {"ordered": 2, "shipped": 2}


def test_a_dispatch_of_a_backordered_line_ends_its_wait() -> None:
    story = given(place({"1": 2}), waiting(2)).when(dispatch({"1": 2}))
    story.then(
        like(f.ShipmentDispatched, lines=(shipped(2, used(2, "", in_round(1, 999)), from_backordered=2),)),
        like(f.DispatchDiffered, lines=differing(2, "backordered")),
    )


def test_a_dispatch_of_a_line_that_is_still_asked_for_is_its_allocation() -> None:
    story = given(place({"1": 2})).when(dispatch({"1": 2}))
    story.then(like(f.ShipmentDispatched, lines=(shipped(2, from_open=2, ahead=2, ahead_round=1),)))
    assert line_of(story.state) == {"ordered": 2, "shipped": 2}


def test_a_dispatch_of_a_line_that_nobody_asks_for_differs_from_the_plan() -> None:
    later = given(place({"1": 2}, release_at=NOW + timedelta(days=1))).when(dispatch({"1": 2}))
    later.then(
        like(f.ShipmentDispatched, lines=(shipped(2, from_open=2),)),
        like(f.DispatchDiffered, lines=differing(2, "open")),
    )


def test_a_dispatch_uses_what_is_held_here_before_what_is_held_elsewhere_or_waits_or_is_open() -> None:
    story = given(
        place({"1": 9}), reserved(2, location="WH1"), reserved(2, location="WH2", version=2), waiting(2, version=3)
    )
    story.when(dispatch({"1": 8}, location="WH2"))
    parts = shipped(
        8,
        used(2, "WH2"),
        used(2, "WH1"),
        used(2, "", in_round(1, 999)),
        from_allocated=4,
        from_backordered=2,
        from_open=2,
        ahead=2,
        ahead_round=1,
    )
    assert story.answer[0].lines == (parts,)
    assert [(line.quantity, line.planned) for line in story.answer[1].lines] == [
        (2, "elsewhere"),
        (2, "backordered"),
    ]
    assert line_of(story.state) == {"ordered": 9, "open": 1, "shipped": 8}


def test_more_than_was_ordered_cannot_have_left() -> None:
    given(place({"1": 2})).when(dispatch({"1": 3})).then_refused("limit", at_most=2)


def test_a_shipment_number_is_used_once_in_an_order() -> None:
    given(place({"1": 2}), dispatch({"1": 1})).when(dispatch({"1": 1})).then_refused("conflict")


def test_a_dispatch_of_the_open_rest_completes_the_allocation() -> None:
    story = given(place({"1": 2, "2": 1}), reserved(2)).when(dispatch({"2": 1}))
    story.then(f.ShipmentDispatched, like(f.OrderAllocated, units=2))


# Tracking and delivery


def test_the_first_scan_that_says_delivered_states_the_delivery_and_whether_it_was_on_time() -> None:
    story = given(place({"1": 2}, promised_by=NOW.isoformat()), dispatch({"1": 2}))
    story.when(scan("in_transit")).then(like(f.ShipmentTracked, status="in_transit"))
    story.when(scan()).then(f.ShipmentTracked, like(f.ShipmentDelivered, on_time=True, due_by=NOW))
    assert line_of(story.state) == {"ordered": 2, "shipped": 2, "delivered": 2}
    story.when(scan()).then(f.ShipmentTracked)


def test_a_delivery_a_microsecond_after_the_promise_is_late() -> None:
    story = given(place({"1": 2}, promised_by=NOW.isoformat()), dispatch({"1": 2}))
    story.when(sent(scan(), occurred_at=NOW + timedelta(microseconds=1)))
    story.then(f.ShipmentTracked, like(f.ShipmentDelivered, on_time=False))


def test_without_a_promise_a_delivery_is_neither_late_nor_on_time() -> None:
    story = given(place(), dispatch({"1": 2})).when(scan())
    story.then(f.ShipmentTracked, like(f.ShipmentDelivered, on_time=None))


def test_where_only_the_dispatch_was_promised_a_delivery_is_neither_late_nor_on_time() -> None:
    story = given(place(promised_by=NOW.isoformat(), promise="dispatch"), dispatch({"1": 2}))
    story.when(sent(scan(), occurred_at=NOW + timedelta(days=3)))
    story.then(f.ShipmentTracked, like(f.ShipmentDelivered, on_time=None, due_by=None))


# Returns


def test_a_return_is_announced_with_a_number_that_is_always_the_same() -> None:
    story = given(place(), dispatch({"1": 2})).when(ask_return({"1": 1}))
    story.then(like(f.ReturnRequested, rma="RMA-" + story.answer[0].rma[4:], resolution="refund"))
    again = given(place(), dispatch({"1": 2})).when(ask_return({"1": 1}))
    assert story.answer[0].rma == again.answer[0].rma


def test_a_return_says_by_code_what_is_wrong_and_whether_its_line_was_sent_in_exchange() -> None:
    line = c.ReturnLine(line_id="1", quantity=1, reason="chipped", reason_code="damaged")
    swap = c.RequestReturn(order_id="o-1", return_id="r-1", resolution="exchange", lines=(line,))
    story = given(place(), dispatch({"1": 2})).when(swap)
    assert story.answer[0].lines[0].reason_code == "damaged"
    assert not story.answer[0].lines[0].exchange
    story.when(dispatch({"r-1:1": 1}, shipment="s-2"))
    story.when(ask_return({"r-1:1": 1}, return_id="r-2"))
    assert story.answer[0].lines[0].exchange
    assert story.answer[0].lines[0].reason_code is None


def test_no_more_can_be_announced_than_was_shipped_and_is_not_announced_or_back_already() -> None:
    story = given(place({"1": 9}), dispatch({"1": 7}), ask_return({"1": 3}), receive_return({"1": 2}))
    story.when(ask_return({"1": 5}, return_id="r-2")).then_refused("limit", at_most=4)
    story.when(ask_return({"1": 4}, return_id="r-2")).then(f.ReturnRequested)
    story.when(ask_return({"1": 1}, return_id="r-3")).then_refused("limit", at_most=0)


def test_a_return_number_is_used_once() -> None:
    story = given(place(), dispatch({"1": 2}), ask_return({"1": 1}))
    story.when(ask_return({"1": 1})).then_refused("conflict")


def test_a_scan_of_a_return_parcel_is_recorded_and_of_an_unknown_one_refused() -> None:
    story = given(place(), dispatch({"1": 2}), ask_return({"1": 1}))
    story.when(scan_return()).then(like(f.ReturnTracked, status="in_transit"))
    story.when(scan_return(return_id="r-9")).then_refused("unknown", says="r-1")


def test_an_announced_return_of_a_delivered_unit_is_received() -> None:
    story = given(place(), dispatch({"1": 2}), scan(), ask_return({"1": 1})).when(receive_return({"1": 1}))
    story.then(like(f.ReturnReceived, announced=True))
    counters = {"ordered": 2, "shipped": 2, "delivered": 2, "returned": 1, "returned_by_customer": 1}
    assert line_of(story.state) == counters


def test_what_comes_back_without_a_delivery_must_have_been_delivered() -> None:
    story = given(place(), dispatch({"1": 2}), ask_return({"1": 1})).when(receive_return({"1": 1}))
    story.then(like(f.DeliveryInferred, return_id="r-1"), f.ReturnReceived)
    story.when(scan()).then(
        f.ShipmentTracked,
        like(f.ShipmentDelivered, lines=(f.DeliveredLine(line_id="1", sku="SKU-1", quantity=1),)),
    )


def test_a_delivery_of_what_has_come_back_already_adds_nothing() -> None:
    story = given(place(), dispatch({"1": 2}), receive_return({"1": 2})).when(scan())
    story.then(f.ShipmentTracked, like(f.ShipmentDelivered, lines=()))


def test_a_return_that_nobody_announced_is_received_and_looked_at() -> None:
    story = given(place(), dispatch({"1": 2}), scan()).when(receive_return({"1": 1}))
    story.then(
        like(f.ReturnReceived, announced=False), like(f.ReturnDiffered, detail="this return had not been announced")
    )
    # Its second parcel is as little announced as the first was.
    story.when(receive_return({"1": 1})).then(like(f.ReturnReceived, announced=False), f.ReturnDiffered)


def test_a_return_of_more_than_was_announced_is_received_and_looked_at() -> None:
    story = given(place(), dispatch({"1": 2}), scan(), ask_return({"1": 1})).when(receive_return({"1": 2}))
    story.then(like(f.ReturnReceived, announced=True), like(f.ReturnDiffered, detail="line 1: 1 more than announced"))


def test_a_line_may_come_back_in_different_conditions() -> None:
    story = given(place(), dispatch({"1": 2}), scan(), ask_return({"1": 2}))
    found = tuple(c.ReceivedLine(line_id="1", quantity=1, disposition=how) for how in ("restock", "damaged"))
    story.when(c.ReceiveReturn(order_id="o-1", return_id="r-1", location_id="WH1", lines=found))
    story.then(f.ReturnReceived)
    assert [line.disposition for line in story.answer[0].lines] == ["restock", "damaged"]


def test_more_than_was_shipped_cannot_come_back() -> None:
    given(place(), dispatch({"1": 1})).when(receive_return({"1": 2})).then_refused("limit", at_most=1)


@pytest.mark.parametrize("lines", [2, 400])
def test_what_is_said_of_a_return_fits_into_a_fact_however_many_lines_differ(lines: int) -> None:
    order = {str(line): 2 for line in range(lines)}
    announced = dict.fromkeys(order, 1)
    story = given(place(order), dispatch(order), scan(), ask_return(announced)).when(receive_return(order))
    assert len(story.answer[-1].detail) <= TEXT_MAX


# Goods that come back without having been the customer's


def test_a_parcel_that_its_carrier_returned_to_sender_was_not_delivered_and_no_customer_sent_it_back() -> None:
    story = given(place(), dispatch({"1": 2}), scan("returned_to_sender"), scan("in_transit"))
    story.when(receive_return({"1": 2})).then(like(f.ReturnReceived, announced=False, cause="unclaimed"))
    assert line_of(story.state) == {"ordered": 2, "shipped": 2, "returned": 2}


@pytest.mark.parametrize("cause", ["unclaimed", "refused", "recalled"])
def test_goods_that_no_customer_sent_back_show_no_delivery_whatever_the_scans_say(cause: str) -> None:
    story = given(place(), dispatch({"1": 2})).when(receive_return({"1": 1}, cause=cause))
    story.then(like(f.ReturnReceived, cause=cause))
    story.when(receive_return({"1": 1}, return_id="r-2", cause="customer"))
    story.then(like(f.DeliveryInferred, return_id="r-2"), like(f.ReturnReceived, cause="customer"), f.ReturnDiffered)
    counters = {"ordered": 2, "shipped": 2, "delivered": 1, "returned": 2, "returned_by_customer": 1}
    assert line_of(story.state) == counters
    story.when(receive_return({"1": 1}, return_id="r-3", cause=cause)).then_refused("limit", at_most=0)


def test_a_cause_that_is_told_counts_more_than_the_scans() -> None:
    story = given(place(), dispatch({"1": 2}), scan("returned_to_sender"))
    story.when(receive_return({"1": 1}, cause="refused")).then(like(f.ReturnReceived, cause="refused"))
    story.when(receive_return({"1": 1}, return_id="r-2", cause="customer"))
    story.then(f.DeliveryInferred, like(f.ReturnReceived, cause="customer"), f.ReturnDiffered)


def test_a_parcel_that_found_its_customer_after_all_is_no_longer_on_its_way_back() -> None:
    story = given(place(), dispatch({"1": 2}), scan("returned_to_sender"), scan("delivered"))
    story.when(receive_return({"1": 2})).then(like(f.ReturnReceived, cause="customer"), f.ReturnDiffered)


def test_of_two_parcels_what_the_one_on_its_way_back_does_not_explain_the_customer_sent() -> None:
    story = given(place({"1": 3}), dispatch({"1": 1}), scan(), dispatch({"1": 2}, shipment="s-2"))
    story.when(scan("returned_to_sender", shipment="s-2"))
    story.when(receive_return({"1": 2})).then(like(f.ReturnReceived, cause="unclaimed"))
    story.when(receive_return({"1": 1}, return_id="r-2"))
    story.then(like(f.ReturnReceived, cause="customer"), f.ReturnDiffered)


def test_what_the_customer_has_and_announced_is_what_came_though_another_parcel_is_on_its_way_back() -> None:
    story = given(place(), dispatch({"1": 1}), scan(), dispatch({"1": 1}, shipment="s-2"), ask_return({"1": 1}))
    story.when(scan("returned_to_sender", shipment="s-2"))
    story.when(receive_return({"1": 1})).then(like(f.ReturnReceived, announced=True, cause="customer"))
    story.when(receive_return({"1": 1}, return_id="r-2")).then(like(f.ReturnReceived, cause="unclaimed"))


def test_a_return_that_was_announced_for_a_parcel_nobody_claimed_is_unclaimed() -> None:
    story = given(place(), dispatch({"1": 2}), scan("returned_to_sender"), ask_return({"1": 2}))
    story.when(receive_return({"1": 2})).then(like(f.ReturnReceived, announced=True, cause="unclaimed"))


def test_a_refund_says_why_the_goods_that_it_pays_back_came_back() -> None:
    story = given(place(), dispatch({"1": 2}), scan("returned_to_sender"), receive_return({"1": 2}))
    story.when(refund(1, return_id="r-1")).then(like(f.RefundIssued, cause="unclaimed"))
    story.when(refund(1)).then(like(f.RefundIssued, cause=None))
