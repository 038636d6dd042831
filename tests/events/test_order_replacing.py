"""What was lost, damaged or wrong is sent again: the same line, without new money, allocated like any other units."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from events.orders import facts as f
from events.orders.cancelling import CancelOverdueLines
from events.values import NUMBER_MAX
from tests.events.builders import (
    amend,
    answer,
    answers,
    ask_return,
    at,
    cancel,
    dispatch,
    hold,
    in_round,
    line_of,
    place,
    receive_return,
    refund,
    release_hold,
    reserved,
    retract,
    scan,
    send_again,
    waiting,
)
from tests.support.given import NOW, given, like, sent

SHIPPED = (place({"1": 2}), reserved(2), dispatch({"1": 2}))
LOST = (*SHIPPED, scan("lost"), send_again())
#: For tests/events/test_no_effect.py: what comes before the command, and the command.
EXAMPLES = {"ReplaceShipment": (SHIPPED, send_again())}


def test_a_lost_parcel_is_ordered_again_and_sourced_at_once() -> None:
    story = given(*SHIPPED, scan("lost")).when(send_again())
    line = f.ReplacedLine(line_id="1", sku="SKU-1", quantity=2, written_off=2)
    story.then(like(f.ShipmentReplaced, reason="lost", lines=(line,)), like(f.SourcingRequested, round=2))
    assert line_of(story.state) == {"ordered": 4, "open": 2, "shipped": 2, "replaced": 2, "written_off": 2}
    story.when(reserved(2, version=2, attempt=in_round(2)), dispatch({"1": 2}, shipment="s-2"), scan(shipment="s-2"))
    assert line_of(story.state) == {"ordered": 4, "shipped": 4, "delivered": 2, "replaced": 2, "written_off": 2}


def test_what_was_delivered_is_not_written_off() -> None:
    story = given(*SHIPPED, scan()).when(send_again({"1": 1}, reason="damaged"))
    assert line_of(story.state) == {"ordered": 3, "open": 1, "shipped": 2, "delivered": 2, "replaced": 1}


def test_no_more_is_sent_again_than_was_in_the_parcel() -> None:
    story = (
        given(place({"1": 2, "2": 1}), dispatch({"1": 2})).when(send_again({"1": 3})).then_refused("limit", at_most=2)
    )
    story.when(send_again({"2": 1})).then_refused("limit", at_most=0)
    story.when(send_again({"9": 1})).then_refused("unknown")
    story.when(send_again({"1": 1}), send_again({"1": 2})).then_refused("limit", at_most=1)
    story.when(send_again()).then(like(f.ShipmentReplaced), f.SourcingRequested)
    assert line_of(story.state)["replaced"] == 2
    story.when(send_again()).then_refused("conflict", at_most=0)
    story.when(send_again(shipment="s-2")).then_refused("unknown", says="s-1")


def test_a_parcel_that_never_left_is_not_replaced() -> None:
    given(*SHIPPED, retract()).when(send_again()).then_refused("conflict", says="never left")


def test_a_replacement_may_be_lost_and_replaced_too() -> None:
    story = given(*LOST, dispatch({"1": 2}, shipment="s-2"), send_again(shipment="s-2"))
    assert line_of(story.state) == {"ordered": 6, "open": 2, "shipped": 4, "replaced": 4, "written_off": 4}
    assert story.state.value_minor == 200
    story.when(retract("s-2"))
    assert line_of(story.state) == {"ordered": 4, "open": 2, "shipped": 2, "replaced": 2, "written_off": 2}
    assert story.state.lines["1"].replacing == 2


def test_nobody_orders_more_units_than_can_be_counted() -> None:
    story = given(place({"1": NUMBER_MAX}, price=0), dispatch({"1": 1}))
    story.when(send_again()).then_refused("limit", at_most=0)


def test_a_replacement_waits_like_any_other_units() -> None:
    story = given(*LOST).when(waiting(2, version=2, attempt=in_round(2, 999)))
    assert line_of(story.state) == {
        "ordered": 4, "backordered": 2, "shipped": 2, "replaced": 2, "written_off": 2
    }  # fmt: skip


def test_a_held_order_asks_for_its_replacement_after_the_hold() -> None:
    story = given(place({"1": 2, "2": 1}), hold(), dispatch({"1": 2})).when(send_again()).then(f.ShipmentReplaced)
    story.when(release_hold()).then(f.HoldReleased, f.SourcingRequested)


def test_an_all_or_nothing_order_sends_again_what_it_has_to() -> None:
    whole = place({"1": 1, "2": 1}, allocation="all_or_nothing")
    story = given(whole, reserved(1), reserved(1, line="2"), dispatch({"1": 1, "2": 1})).when(send_again())
    story.then(f.ShipmentReplaced, like(f.SourcingRequested, round=2))
    story.when(reserved(1, version=2, attempt=in_round(2))).then(f.LineAllocated, like(f.SourcingRequested, round=3))
    story.when(answers(answer("refused", 1, line="2", version=2, attempt=in_round(3))))
    assert not any(line.holds for line in story.state.lines.values()), "all or nothing"


def test_the_parcel_turns_up_after_all() -> None:
    story = (
        given(*LOST)
        .when(scan())
        .then(
            f.ShipmentTracked,
            like(f.ShipmentDelivered, lines=(f.DeliveredLine(line_id="1", sku="SKU-1", quantity=2, found=2),)),
        )
    )
    assert line_of(story.state) == {"ordered": 4, "open": 2, "shipped": 2, "delivered": 2, "replaced": 2}
    story.when(cancel())
    assert line_of(story.state) == {"ordered": 4, "cancelled": 2, "shipped": 2, "delivered": 2, "replaced": 2}


def test_a_customer_who_sends_back_more_than_arrived_otherwise_has_got_the_lost_parcel() -> None:
    story = given(*LOST, dispatch({"1": 2}, shipment="s-2"), scan(shipment="s-2")).when(receive_return({"1": 3}))
    story.then(
        like(f.DeliveryInferred, lines=(f.DeliveredLine(line_id="1", sku="SKU-1", quantity=1, found=1),)),
        f.ReturnReceived,
        f.ReturnDiffered,
    )
    assert line_of(story.state)["written_off"] == 1
    story.when(scan())
    assert line_of(story.state)["delivered"] == 4


def test_a_parcel_whose_units_came_back_unseen_does_not_stand_for_the_lost_one() -> None:
    story = given(*LOST, dispatch({"1": 2}, shipment="s-2"), receive_return({"1": 2}), scan(shipment="s-2"))
    assert (line_of(story.state)["delivered"], line_of(story.state)["written_off"]) == (2, 2)


def test_a_replacement_costs_nothing_and_money_is_paid_back_once() -> None:
    story = given(*LOST)
    assert story.state.value_minor == 200
    story.when(refund(201)).then_refused("limit", at_most=200)
    story.when(cancel(), refund(200)).then(f.RefundIssued)
    story.when(refund(1)).then_refused("limit", at_most=0)


def test_an_exchange_that_was_lost_is_sent_again_at_no_cost_too() -> None:
    story = given(*SHIPPED, replace(ask_return({"1": 2}), resolution="exchange"))
    story.when(receive_return({"1": 2}), dispatch({"r-1:1": 2}, shipment="s-2"), send_again(shipment="s-2"))
    assert line_of(story.state, "r-1:1") == {"ordered": 4, "open": 2, "shipped": 2, "replaced": 2, "written_off": 2}
    assert story.state.value_minor == 200


@pytest.mark.parametrize(("quantity", "ordered"), [(3, 5), (5, 7)])
def test_a_customer_amends_what_they_get_without_replacements(quantity: int, ordered: int) -> None:
    story = given(*LOST).when(amend({"1": quantity}), reserved(quantity - 2, version=2, attempt=in_round(3)))
    assert line_of(story.state)["ordered"] == ordered
    assert story.state.value_minor == quantity * 100


def test_what_is_to_be_sent_again_is_not_amended_away() -> None:
    story = given(*LOST)
    story.when(amend({"1": 2})).then_refused("conflict", at_most=0, says="2 wanted in all")
    story.when(amend({"1": 1})).then_refused("limit", at_most=0, says="CancelOrder")
    story.when(amend({"1": 0})).then_refused("conflict", at_most=0)
    story = (
        given(place({"1": 5}), dispatch({"1": 2}), send_again()).when(amend({"1": 1})).then_refused("limit", at_most=3)
    )
    story.when(amend({"1": 0}))
    assert line_of(story.state) == {"ordered": 4, "open": 2, "shipped": 2, "replaced": 2, "written_off": 2}
    assert story.state.value_minor == 200, "what has left was asked for"


def test_replacements_leave_first_and_what_remains_can_be_amended_away() -> None:
    story = given(place({"1": 3}), dispatch({"1": 2}), send_again(), dispatch({"1": 2}, shipment="s-2"))
    story.when(amend({"1": 2}))
    assert line_of(story.state) == {"ordered": 4, "shipped": 4, "replaced": 2, "written_off": 2}
    assert story.state.value_minor == 200


def test_an_amendment_that_is_being_asked_for_is_made_first() -> None:
    story = given(*SHIPPED, amend({"1": 3})).when(send_again({"1": 1}))
    story.then(like(f.OrderAmended, amendment_id="A1"), f.ShipmentReplaced, f.SourcingRequested)
    assert line_of(story.state) == {"ordered": 4, "open": 2, "shipped": 2, "replaced": 1, "written_off": 1}


def test_a_last_time_is_for_the_first_sending_only() -> None:
    placed = place({"1": 2})
    placed = replace(placed, lines=(replace(placed.lines[0], cancel_after=NOW),))
    late = sent(CancelOverdueLines(order_id="o-1"), at=at("20:00:00"))
    story = given(placed, dispatch({"1": 1}), send_again()).when(late)
    story.then(like(f.OrderCancelled, reason="auto_cancel"))
    assert line_of(story.state) == {
        "ordered": 3,
        "open": 1,
        "cancelled": 1,
        "shipped": 1,
        "replaced": 1,
        "written_off": 1,
    }
    story.when(late).then_nothing()
