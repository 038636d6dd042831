"""Stock at a location that nobody has registered is on record, and nothing of it is promised until somebody does."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from events.envelope import INTERNAL_CHANNEL
from events.locations import facts as lf
from events.stock import facts as f
from events.stock.state import TOMBSTONES_KEPT_DAYS, Stock
from events.stock.stream import STREAM
from tests.events.builders import (
    amounts,
    at,
    cancel,
    confirm,
    count,
    dispatch,
    expect,
    in_round,
    join,
    move,
    place,
    policy,
    put_in_cart,
    receive,
    register,
    release,
    send,
    ship,
    wait_for,
)
from tests.events.shop import Shop
from tests.events.test_pace import check_agreed, outcome
from tests.support.given import NOW, Story, given, like, sent

#: A slip of the pen: no story has registered it.
SLIP = "WH-1"


def here(story: Story) -> dict[str, int]:
    return amounts(story.state.level(SLIP))


# The SKU


def test_goods_that_arrive_where_nobody_has_registered_a_place_are_on_record_and_promised_to_nobody() -> None:
    story = given(wait_for(2)).when(receive(5, location=SLIP))
    story.then(f.StockReceived, f.StockLocated(sku="MUG", location_id=SLIP))
    assert here(story) == {"on_hand": 5, "available": 5}
    assert story.state.level(SLIP).free(None) == 0
    story.when(receive(1, location=SLIP)).then(f.StockReceived)


def test_whoever_waits_is_served_when_the_location_is_confirmed() -> None:
    story = given(wait_for(2), receive(5, location=SLIP)).when(confirm(SLIP))
    story.then(
        f.LocationConfirmed(sku="MUG", location_id=SLIP, registered=True),
        like(f.StockReserved, location_id=SLIP, quantity=2, waited=True),
    )
    assert story.state.level(SLIP).free(None) == 3
    story.when(confirm(SLIP)).then_nothing()


def test_a_line_whose_answer_depends_on_a_location_waits_for_its_answer() -> None:
    story = given(receive(5, location=SLIP)).when(wait_for(2, order="o-2"))
    story.then(like(f.ReservationPostponed, order_id="o-2", quantity=2))
    story.when(wait_for(2, order="o-2")).then_refused("conflict")
    story.when(wait_for(9, order="o-1")).then(f.ReservationPostponed)
    story.when(confirm(SLIP)).then(
        f.LocationConfirmed,
        like(f.StockReserved, order_id="o-1", quantity=5, waited=False),
        like(f.StockAwaited, order_id="o-1", quantity=4),
        like(f.StockAwaited, order_id="o-2", quantity=2),
    )
    assert not story.state.postponed


def test_where_the_location_is_not_registered_the_line_waits_and_a_later_answer_serves_it() -> None:
    story = given(receive(5, location=SLIP), wait_for(2)).when(confirm(SLIP, registered=False))
    story.then(like(f.LocationConfirmed, registered=False), like(f.StockAwaited, quantity=2))
    story.when(confirm(SLIP, registered=False)).then_nothing()
    story.when(wait_for(1, order="o-2")).then(f.StockAwaited)
    story.when(confirm(SLIP)).then(f.LocationConfirmed, f.StockReserved, f.StockReserved)
    story.when(confirm(SLIP, registered=False)).then_nothing()
    assert story.state.level(SLIP).free(None) == 2


@pytest.mark.parametrize(
    "question",
    [
        wait_for(3),
        wait_for(6, not_at=(SLIP,)),
        wait_for(6, mode="grant_there", locations=("WH1",)),
        wait_for(6, mode="grant_there"),
    ],
    ids=["enough elsewhere", "rejected there", "only elsewhere", "nowhere"],
)
def test_a_line_that_gets_nothing_there_in_any_case_is_answered_at_once(question: Any) -> None:
    story = given(receive(5), receive(5, location=SLIP)).when(question)
    assert not [fact for fact in story.answer if isinstance(fact, f.ReservationPostponed)]
    assert not story.state.postponed


def test_it_waits_for_every_location_that_may_have_its_units_and_for_no_other_one() -> None:
    story = given(receive(1, location=SLIP), receive(1, location="ST-9"), receive(3, location="ST-8")).when(wait_for(5))
    story.then(f.ReservationPostponed)
    story.when(confirm("ST-8", registered=False)).then(f.LocationConfirmed)
    story.when(confirm(SLIP)).then(f.LocationConfirmed)
    story.when(confirm("ST-9")).then(
        f.LocationConfirmed, f.StockReserved, f.StockReserved, like(f.StockAwaited, quantity=3)
    )


def test_what_is_told_of_a_postponed_line_meanwhile_counts_as_for_a_question_that_comes_late() -> None:
    given(receive(5, location=SLIP), wait_for(2), release(2, location="")).when(confirm(SLIP)).then(f.LocationConfirmed)
    story = given(receive(5, location=SLIP), wait_for(2, attempt=in_round(1, 999))).when(
        ship(2, location=SLIP, ahead=2)
    )
    story.then(f.StockShipped)
    story.when(confirm(SLIP)).then(f.LocationConfirmed, like(f.WaitEnded, quantity=2, shipped=True))


def test_what_is_told_of_a_postponed_line_is_remembered_until_its_location_answers_however_late_that_is() -> None:
    """Seen in a simulation: the answer came after 40 days, and stock was reserved for goods that had left."""
    late = NOW + timedelta(days=TOMBSTONES_KEPT_DAYS + 10)
    left = given(receive(5, location=SLIP), wait_for(2, attempt=in_round(1, 999)), ship(2, location=SLIP, ahead=2))
    left.when(sent(release(1, order="o-9", attempt=9), at=late, channel=INTERNAL_CHANNEL))
    left.when(confirm(SLIP)).then(f.LocationConfirmed, like(f.WaitEnded, quantity=2, shipped=True))
    released = given(receive(5, location=SLIP), wait_for(2), release(2, location=""))
    released.when(sent(release(1, order="o-9", attempt=9), at=late, channel=INTERNAL_CHANNEL))
    released.when(confirm(SLIP)).then(f.LocationConfirmed)


def test_nobody_else_takes_the_attempt_of_a_postponed_line() -> None:
    given(receive(5, location=SLIP), wait_for(2)).when(put_in_cart(1, cart="o-1")).then_refused("conflict")


def test_a_channel_s_hold_is_refused_with_the_reason() -> None:
    story = given(receive(5, location=SLIP)).when(put_in_cart(1, location=SLIP))
    story.then(like(f.ReservationRefused, available=0, reason="not_registered"))
    story.when(put_in_cart(1, attempt=2, location="nowhere"))
    story.then(like(f.ReservationRefused, available=0, reason="not_enough"))
    story.when(confirm(SLIP), put_in_cart(1, attempt=3, location=SLIP)).then(f.StockReserved)


def test_what_people_do_there_is_recorded_as_it_happened() -> None:
    story = given(receive(5, location=SLIP)).when(ship(2, location=SLIP)).then(f.StockShipped)
    assert here(story) == {"on_hand": 3, "available": 3}
    story.when(ship(4, location="elsewhere"))
    story.then(f.StockShipped, f.StockShortfallFound, like(f.StockLocated, location_id="elsewhere"))


def test_goods_that_were_told_with_a_slip_can_be_moved_to_where_they_are() -> None:
    story = given(wait_for(2), receive(5, location=SLIP)).when(move(5, source=SLIP, target="WH1"))
    story.then(f.StockMoved, like(f.StockReserved, location_id="WH1", quantity=2))
    assert not here(story)


@pytest.mark.parametrize(
    "command",
    [policy(location=SLIP, safety_stock=1), expect(5, location=SLIP), send(1, target=SLIP), move(1, target=SLIP)],
    ids=lambda command: type(command).__name__,
)
def test_a_location_is_asked_once_whatever_is_told_of_it_first(command: Any) -> None:
    story = given(receive(3)).when(command)
    assert f.StockLocated(sku="MUG", location_id=SLIP) in story.answer
    story.when(receive(1, location=SLIP)).then(f.StockReceived)


def test_a_first_count_asks_too() -> None:
    story = Story(count(3))
    story.state = STREAM.begin("MUG")
    story.when(count(3)).then(f.StockCounted, like(f.StockLocated, location_id="WH1"))


def test_what_comes_to_an_unregistered_place_is_promised_for_no_time() -> None:
    story = given(wait_for(2)).when(expect(5, at("09:00:00", day=28), location=SLIP))
    story.then(f.StockExpected, f.StockLocated)
    story.when(wait_for(1, order="o-2")).then(f.StockAwaited)
    story.when(confirm(SLIP)).then(
        f.LocationConfirmed,
        like(f.BackorderPromised, order_id="o-1", cause="first"),
        like(f.BackorderPromised, order_id="o-2", cause="first"),
    )


def test_a_snapshot_knows_which_locations_have_answered() -> None:
    for story in (
        given(receive(5, location=SLIP), wait_for(2)),
        given(receive(5, location=SLIP), confirm(SLIP)),
        given(receive(5, location=SLIP), confirm(SLIP, registered=False)),
    ):
        assert STREAM.decode(STREAM.encode(story.state)) == story.state


# The location


def test_a_sku_hears_at_once_of_a_registered_location_and_else_when_it_is_registered() -> None:
    story = given(join("MUG")).when(join("CUP"))
    story.then(lf.LocationJoined(location_id="WH1", sku="CUP", registered=False))
    story.when(join("CUP")).then_nothing()
    story.when(register()).then(
        lf.LocationRegistered,
        lf.LocationJoined(location_id="WH1", sku="MUG", registered=True),
        lf.LocationJoined(location_id="WH1", sku="CUP", registered=True),
    )
    story.when(join("JAR")).then(lf.LocationJoined(location_id="WH1", sku="JAR", registered=True))


# Both, and the reactions


def told(random: Random) -> tuple[list[Any], list[Any]]:
    """Registrations and stock; orders that wait, leave and are given up. There is just enough for all of them."""
    stock, orders = [], []
    for number in range(random.randint(1, 5)):
        order_id, units, where = f"o-{number}", random.randint(1, 3), random.choice(("WH1", "WH2"))
        stock.append(receive(units, sku="A", location=where))
        steps: list[Any] = [place({"1": ("A", units)}, order_id=order_id)]
        if random.random() < 0.3:
            steps.append(dispatch({"1": units}, location=where))
        elif random.random() < 0.3:
            steps.append(cancel({"1": 1}))
        orders += [type(one)(**{name: getattr(one, name) for name in one.__struct_fields__} | {"order_id": order_id})
                   for one in steps]  # fmt: skip
    return [register("WH1"), register("WH2"), *stock], orders


@pytest.mark.parametrize("seed", range(24))
def test_whenever_a_location_is_registered_all_comes_to_the_same(seed: int) -> None:
    world, orders = told(Random(seed))
    places, stock = world[:2], world[2:]
    shops = []
    for number, sequence in enumerate((
        (*places, *stock, *orders),
        (*stock, *places, *orders),
        (*stock, *orders, *places),
        (*orders, *stock, *places),
    )):  # fmt: skip
        for pause in (False, True):
            shop = Shop(seed * 10 + number, joined=False)
            shop.blind = seed % 3 == 1
            for command in sequence:
                shop.ask(command)
                if pause:
                    shop.run()
            shop.run()
            check_agreed(shop)
            shops.append(shop)
    assert all(outcome(shop) == outcome(shops[0]) for shop in shops)
    assert all(level.registered for shop in shops for sku in shop.skus.values() for level in sku.levels.values())


@pytest.mark.parametrize("seed", range(12))
def test_an_order_takes_nothing_from_a_slip_of_the_pen_until_it_is_registered(seed: int) -> None:
    shop = Shop(seed, joined=False)
    shop.ask(receive(5, sku="A", location=SLIP), place({"1": ("A", 2)}))
    shop.run()
    sku: Stock = shop.skus["A"]
    assert (sku.level(SLIP).on_hand, sku.level(SLIP).reserved, len(sku.queue)) == (5, 0, 1)
    assert not shop.orders["o-1"].fully_allocated
    shop.ask(register(SLIP))
    shop.run()
    assert shop.orders["o-1"].fully_allocated
    assert shop.skus["A"].level(SLIP).reserved == 2
