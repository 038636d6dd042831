"""Scans that are told before their parcel's dispatch: they wait, count at their own time, and have an end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from events.orders import commands as c
from events.orders import facts as f
from events.orders.deferring import DEFERRED_FOR, DEFERRED_MAX
from tests.events.builders import cancel, dispatch, line_of, place, scan
from tests.support.given import NOW, ask, given, like, sent

HOUR = timedelta(hours=1)
EXPIRE = c.ExpireTracking(order_id="o-1")


def test_a_scan_before_the_dispatch_is_accepted_and_waits_for_it() -> None:
    story = given(place({"1": 2})).when(sent(scan(), occurred_at=NOW - HOUR))
    waits = {"number": 1, "waits_for": "s-1", "status": "delivered", "scanned_at": NOW - HOUR}
    story.then(like(f.TrackingDeferred, **waits, ends_at=NOW + DEFERRED_FOR))
    assert line_of(story.state) == {"ordered": 2, "open": 2}


def test_the_dispatch_states_the_scans_that_waited_as_they_came_and_at_their_own_time() -> None:
    story = given(
        place({"1": 2}, promised_by=NOW.isoformat()),
        sent(scan("in_transit"), occurred_at=NOW - HOUR),
        sent(scan(), occurred_at=NOW),
        sent(scan("lost", shipment="s-2"), occurred_at=NOW),
    )
    story.when(sent(dispatch({"1": 2}), at=NOW + HOUR))
    story.then(
        f.ShipmentDispatched,
        like(f.ShipmentTracked, status="in_transit", deferred=1, scanned_at=NOW - HOUR),
        like(f.ShipmentTracked, status="delivered", deferred=2, scanned_at=NOW),
        like(f.ShipmentDelivered, delivered_at=NOW, on_time=True),
    )
    assert line_of(story.state) == {"ordered": 2, "shipped": 2, "delivered": 2}
    assert [one.shipment_id for one in story.state.deferred] == ["s-2"], "the scan of another parcel waits on"


@pytest.mark.parametrize(
    "scans", [("delivered",), ("in_transit", "delivered", "lost"), ("lost", "delivered"), ("returned_to_sender",)]
)
def test_an_order_is_the_same_whichever_came_first_the_dispatch_or_its_scans(scans: tuple[str, ...]) -> None:
    told = [scan(status) for status in scans]
    early = given(place({"1": 2}), *told, dispatch({"1": 2})).state
    late = given(place({"1": 2}), dispatch({"1": 2}), *told).state
    assert (early.lines, early.shipments, early.deferred) == (late.lines, late.shipments, ())


def test_a_dispatch_that_is_refused_states_no_scan() -> None:
    story = given(place({"1": 2}), scan()).when(dispatch({"1": 3})).then_refused("limit", at_most=2)
    assert len(story.state.deferred) == 1


def test_a_scan_of_an_order_that_there_is_not_is_refused() -> None:
    ask(scan()).then_refused("unknown", says="PlaceOrder")


def test_a_wait_ends_by_log_time_and_not_a_microsecond_before() -> None:
    story = given(place(), scan(), sent(scan("lost", shipment="s-2"), at=NOW + HOUR))
    story.when(sent(EXPIRE, at=NOW + DEFERRED_FOR - timedelta(microseconds=1))).then_nothing()
    story.when(sent(EXPIRE, at=NOW + DEFERRED_FOR, id="again"))
    story.then(f.TrackingExpired(order_id="o-1", number=1, waits_for="s-1", status="delivered", scanned_at=NOW))
    assert [one.number for one in story.state.deferred] == [2]
    story.when(sent(EXPIRE, at=NOW + DEFERRED_FOR + HOUR, id="later")).then(like(f.TrackingExpired, number=2))
    story.when(dispatch({"1": 2})).then(f.ShipmentDispatched)


def test_a_dispatch_after_the_time_and_before_its_timer_still_finds_its_scan() -> None:
    story = given(place(), scan()).when(sent(dispatch({"1": 2}), at=NOW + DEFERRED_FOR + HOUR))
    story.then(f.ShipmentDispatched, f.ShipmentTracked, like(f.ShipmentDelivered, delivered_at=NOW))
    story.when(sent(EXPIRE, at=NOW + DEFERRED_FOR + HOUR)).then_nothing()


def test_so_many_scans_of_an_order_wait_and_no_more() -> None:
    early = [sent(scan("in_transit", shipment=f"s-{n}"), id=f"c-{n}") for n in range(DEFERRED_MAX)]
    story = given(place(), *early).when(scan()).then_refused("limit", says="s-0, s-1")
    story.when(dispatch({"1": 1}, shipment="s-0"))
    story.when(scan(shipment="s-99")).then(like(f.TrackingDeferred, number=DEFERRED_MAX + 1))


def test_a_scan_waits_for_an_order_of_which_everything_was_cancelled() -> None:
    given(place(), cancel()).when(scan()).then(f.TrackingDeferred)
