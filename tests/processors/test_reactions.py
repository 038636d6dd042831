"""The reactions as plain functions: a fact and a small table in, commands out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from events.attempts import attempt_number
from events.catalogue import COMMANDS, FACTS
from events.envelope import INTERNAL_CHANNEL, Recorded
from events.orders import facts as o
from events.orders.commands import LineQuantity, QueueOrder, ReleaseOrder
from events.routing.rules import read_rules
from events.stock import facts as s
from events.stock.commands import AwaitStock, ExpireReservation, RejectStock, ReleaseStock, ReserveStock
from events.values import Consumed, ShipTo
from processors.reactions import allocation as allocation_module
from processors.reactions.allocation import allocation
from processors.reactions.asked import Asked
from processors.reactions.crossing import open_case
from processors.reactions.movements import restore, ship, take_back
from processors.reactions.offers import pass_on
from processors.reactions.rejections import correct
from processors.reactions.release import release
from processors.reactions.rows import On
from processors.reactions.sender import encode
from processors.reactions.sourcing import Lookups, source_again, source_placed
from processors.reactions.timers import cancel, check, expire, expire_tracking
from processors.reactions.timers import release as release_order
from processors.reactions.wiring import BY_FACT, REACTED_TO, needs_of, react
from processors.routing.book import Router
from processors.routing.model import Place
from projections.deferred_tracking.reader import TrackingDue
from projections.inventory.reader import ReceiptDue, ReservationDue
from projections.order_status.reader import LineDue, OrderDue
from schemas.codec import Codec

AT = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
BERLIN = Place("BERLIN", 52.5, 13.4, 500)
MUNICH = Place("MUNICH", 48.1, 11.6, 400)
PLACES = {"BERLIN": BERLIN, "MUNICH": MUNICH}


def recorded(
    data: Any, version: int = 1, channel: str = "web", event_id: str = "e1", at: datetime = AT
) -> Recorded[Any]:
    return Recorded(
        event_id=event_id,
        stream_id="s",
        stream_kind=FACTS[type(data).__name__].kind,
        version=version,
        decision=1,
        follows=0,
        index=1,
        count=1,
        epoch=0,
        intake_offset=0,
        occurred_at=at,
        recorded_at=at,
        command_id="c1",
        command_digest=1,
        correlation_id="intent-1",
        channel=channel,
        data=data,
    )


def placed(*lines: tuple[str, str, int], allocation: str = "ship_available", **more: Any) -> Recorded[Any]:
    return recorded(
        o.OrderPlaced(
            order_id="o1",
            customer_id="c1",
            currency="EUR",
            lines=tuple(
                o.PlacedLine(line_id=line_id, sku=sku, quantity=quantity, unit_price_minor=100, attributes=())
                for line_id, sku, quantity in lines
            ),
            ship_to=ShipTo(country="DE", latitude=52.4, longitude=13.0),
            service_level="standard",
            allocation=allocation,
            charges=(),
            sourcing=more.get("sourcing", True),
        )
    )


def again(
    *lines: tuple[str, str, int], excluded: tuple[tuple[str, str], ...] = (), allocation: str = "ship_available"
) -> Any:
    return recorded(
        o.SourcingRequested(
            order_id="o1",
            round=3,
            lines=tuple(o.SourcingLine(line_id=a, sku=b, quantity=c) for a, b, c in lines),
            excluded=tuple(o.Excluded(line_id=a, location_id=b) for a, b in excluded),
            placed_at=AT - timedelta(days=1),
            sales_channel="phone",
            allocation=allocation,
            country="DE",
        ),
        channel=INTERNAL_CHANNEL,
    )


def stock(**skus: dict[str, int]) -> Lookups:
    return Lookups(skus, PLACES)


def ask(line: int, part: int, location_id: str, quantity: int) -> str:
    """Id of what the first round asks of order o1."""
    return f"o1:{line}:{attempt_number(1, part, location_id, quantity)}"


def told(asked: list[Asked]) -> list[tuple[Any, ...]]:
    """What matters of sourcing commands."""
    return [
        (row.id, row.name, getattr(row.data, "location_id", row.data.__class__.__name__), row.data.quantity)
        for row in asked
    ]


def test_an_order_is_reserved_at_the_nearest_location_that_has_all_of_it() -> None:
    asked = source_placed(
        placed(("1", "MUG", 2), ("2", "CUP", 1)), stock(MUG={"MUNICH": 9, "BERLIN": 9}, CUP={"BERLIN": 1})
    )
    assert told(asked) == [
        (ask(1, 1, "BERLIN", 2), "ReserveStock", "BERLIN", 2),
        (ask(2, 1, "BERLIN", 1), "ReserveStock", "BERLIN", 1),
    ]
    assert asked[0] == Asked(
        id=ask(1, 1, "BERLIN", 2),
        data=ReserveStock(
            sku="MUG",
            location_id="BERLIN",
            quantity=2,
            order_id="o1",
            line_id="1",
            attempt=attempt_number(1, 1, "BERLIN", 2),
            for_channel="web",
        ),
        actor="sourcing",
        occurred_at=AT,
        correlation_id="intent-1",
        causation_id="e1",
    )


def test_a_line_is_split_and_the_rest_waits_where_there_is_not_enough() -> None:
    asked = source_placed(placed(("1", "MUG", 7)), stock(MUG={"MUNICH": 2, "BERLIN": 3}))
    assert told(asked) == [
        (ask(1, 1, "BERLIN", 3), "ReserveStock", "BERLIN", 3),
        (ask(1, 2, "MUNICH", 2), "ReserveStock", "MUNICH", 2),
        (ask(1, 999, "", 2), "AwaitStock", "AwaitStock", 2),
    ]
    assert asked[2].data == AwaitStock(
        sku="MUG",
        quantity=2,
        order_id="o1",
        line_id="1",
        attempt=attempt_number(1, 999, "", 2),
        placed_at=AT,
        mode="grant",
        for_channel="web",
        locations=("BERLIN", "MUNICH"),
    )


def test_an_all_or_nothing_order_reserves_all_or_lets_only_the_short_line_wait() -> None:
    lines = ("1", "MUG", 2), ("2", "CUP", 1)
    asked = source_placed(placed(*lines, allocation="all_or_nothing"), stock(MUG={"MUNICH": 9}, CUP={"BERLIN": 1}))
    assert [row.name for row in asked] == ["ReserveStock", "ReserveStock"]
    asked = source_placed(placed(*lines, allocation="all_or_nothing"), stock(MUG={"MUNICH": 9}))
    assert told(asked) == [(ask(2, 999, "", 1), "AwaitStock", "AwaitStock", 1)]
    assert asked[0].data.mode == "offer"


def test_an_order_that_acquires_line_by_line_takes_what_the_tables_do_not_know_of() -> None:
    (asked,) = source_again(again(("1", "MUG", 2), allocation="all_or_nothing"), stock())
    assert (asked.name, asked.data.mode, asked.data.quantity) == ("AwaitStock", "take", 2)
    both = again(("1", "MUG", 2), ("2", "CUP", 1), allocation="all_or_nothing")
    assert {row.data.mode for row in source_again(both, stock())} == {"offer"}


@pytest.mark.parametrize("allocation_word", ["ship_available", "all_or_nothing"])
def test_an_order_plans_with_what_its_own_channel_may_have(allocation_word: str) -> None:
    order = placed(("1", "MUG", 2), allocation=allocation_word)
    of_others = stock(MUG={"BERLIN": 2})._replace(kept={"MUG": {"BERLIN": {"store": 2}}})
    assert told(source_placed(order, of_others)) == [(ask(1, 1, "BERLIN", 2), "ReserveStock", "BERLIN", 2)]
    for kept in ({"web": 1}, {"*": 2, "store": 0}, {"web": None}):
        lookups = stock(MUG={"BERLIN": 2})._replace(kept={"MUG": {"BERLIN": kept}})
        assert source_placed(order, lookups)[-1].name == "AwaitStock"


def test_a_later_round_leaves_out_who_refused_and_keeps_the_orders_place_in_the_queue() -> None:
    asked = source_again(again(("1", "MUG", 2), excluded=(("1", "BERLIN"),)), stock(MUG={"BERLIN": 9, "MUNICH": 1}))
    assert [(row.name, row.data.quantity) for row in asked] == [("ReserveStock", 1), ("AwaitStock", 1)]
    assert [row.data.attempt for row in asked] == [attempt_number(3, 1, "MUNICH", 1), attempt_number(3, 999, "", 1)]
    assert asked[0].data.for_channel == "phone"
    assert asked[1].data.placed_at == AT - timedelta(days=1)
    assert asked[1].data.locations == (), "nobody knows what is near"


NO_SPLIT = Router(
    read_rules(
        'name = "t"\n[[rules]]\nname = "one"\ncriteria = ["cost"]\nlimits = { split = false }\nfallbacks = ["queue"]'
    )
)


def test_an_order_that_the_rules_know_no_way_for_is_put_before_a_person_with_the_reason() -> None:
    lookups = stock(MUG={"MUNICH": 9}, CUP={"BERLIN": 1})._replace(router=NO_SPLIT)
    for allocation_word in ("ship_available", "all_or_nothing"):
        (queued,) = source_placed(placed(("1", "MUG", 2), ("2", "CUP", 1), allocation=allocation_word), lookups)
        assert queued.id.startswith("queue:o1:1:")
        assert queued.data == QueueOrder(
            order_id="o1",
            queue="routing_exceptions",
            reason="no_split",
            detail='rule "one" allows no split, and no location has all of 2 × MUG, 1 × CUP; MUNICH lacks 1 × CUP',
            lines=(LineQuantity(line_id="1", quantity=2), LineQuantity(line_id="2", quantity=1)),
        )


def test_an_order_that_goes_whole_never_waits_for_what_is_there_and_not_allowed() -> None:
    router = Router(
        read_rules('name = "t"\n[[rules]]\nname = "own"\ncriteria = ["cost"]\nfilters = { locations = ["B*"] }')
    )
    lookups = stock(MUG={"MUNICH": 9})._replace(router=router)
    (queued,) = source_placed(placed(("1", "MUG", 2), allocation="all_or_nothing"), lookups)
    assert (queued.data.reason, queued.data.detail) == (
        "filtered",
        'rule "own" leaves no location for all of 2 × MUG: locations excludes MUNICH',
    )
    (waits,) = source_placed(placed(("1", "MUG", 2)), lookups)
    assert (waits.data.mode, waits.data.locations) == ("grant_there", ("BERLIN",))


def test_what_one_order_of_a_batch_takes_fills_the_location_for_the_next() -> None:
    small = {"BERLIN": BERLIN._replace(daily_capacity=1), "MUNICH": MUNICH}
    lookups = Lookups({"MUG": dict.fromkeys(small, 9)}, small)
    asked = react([placed(("1", "MUG", 1)), placed(("1", "MUG", 1))], lookups)
    assert [row.data.location_id for row in asked] == ["BERLIN", "MUNICH"]


def test_an_order_that_does_not_want_stock_yet_asks_for_nothing() -> None:
    fact = placed(("1", "MUG", 1), sourcing=False)
    assert source_placed(fact, stock(MUG={"BERLIN": 9})) == []
    assert needs_of([fact]).skus == set()
    assert needs_of([placed(("1", "MUG", 1), ("2", "CUP", 1))]).skus == {"MUG", "CUP"}


HOLD = {"sku": "MUG", "quantity": 2, "order_id": "o1", "line_id": "1", "attempt": 1001}


@pytest.mark.parametrize(
    ("data", "channel", "outcome"),
    [
        (s.StockReserved(**HOLD, location_id="B", waited=False, for_order=True), INTERNAL_CHANNEL, "reserved"),
        (s.StockReserved(**HOLD, location_id="B", waited=False, for_order=False), "wms", None),
        (
            s.ReservationRefused(**HOLD, location_id="B", available=-1, reason="short", for_order=True),
            INTERNAL_CHANNEL,
            "refused",
        ),
        (s.ReservationExpired(**HOLD, location_id="B", for_order=True), INTERNAL_CHANNEL, "expired"),
        (s.ReservationExpired(**HOLD, location_id="B", for_order=False), INTERNAL_CHANNEL, None),
        (s.StockReleased(**HOLD, location_id="B", for_order=True), "wms", "released"),
        (s.StockReleased(**HOLD, location_id="B", for_order=True), INTERNAL_CHANNEL, None),
        (s.StockAwaited(**HOLD, placed_at=AT, mode="grant", locations=()), INTERNAL_CHANNEL, "waiting"),
        (s.StockOffered(**HOLD), "wms", "offered"),
        (s.WaitEnded(**HOLD), INTERNAL_CHANNEL, None),
    ],
)
def test_an_answer_reaches_its_order_unless_the_order_knows_already(
    data: Any, channel: str, outcome: str | None
) -> None:
    asked = allocation([recorded(data, version=9, channel=channel)])
    assert [row.outcome for command in asked for row in command.data.answers] == ([] if outcome is None else [outcome])
    for command in asked:
        assert command.data.order_id == "o1"
        (answer,) = command.data.answers
        assert (answer.line_id, answer.attempt, answer.quantity, answer.stock_version) == ("1", 1001, 2, 9)
        assert answer.location_id == ("" if outcome in {"waiting", "offered"} else "B")
        assert answer.available == (-1 if outcome == "refused" else None)


def answers(order: str, *rows: tuple[str, int]) -> list[Recorded[Any]]:
    return [
        recorded(
            s.StockOffered(sku=sku, quantity=1, order_id=order, line_id=f"line-{sku}", attempt=1),
            version,
            event_id=f"{sku}{version}",
        )
        for sku, version in rows
    ]


def test_answers_for_an_order_travel_together_and_keep_the_order_of_their_stream() -> None:
    facts = answers("o1", ("A", 3), ("B", 7)) + answers("o2", ("A", 4)) + answers("o1", ("A", 5), ("B", 9))
    first, second = allocation(facts)
    assert [(row.line_id, row.stock_version) for row in first.data.answers] == [
        ("line-A", 3),
        ("line-A", 5),
        ("line-B", 7),
        ("line-B", 9),
    ]
    assert second.data.order_id == "o2"


def test_the_same_answers_make_the_same_command_however_the_partitions_were_interleaved() -> None:
    one = allocation(answers("o1", ("A", 3), ("A", 5), ("B", 7)))
    other = allocation(answers("o1", ("B", 7), ("A", 3), ("A", 5)))
    assert one == other
    assert allocation(answers("o1", ("A", 3)))[0].id != one[0].id


def test_very_many_answers_are_split_without_losing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation_module, "ANSWERS_PER_COMMAND_MAX", 2)
    commands = allocation(answers("o1", *[("A", version) for version in range(1, 6)]))
    assert [[row.stock_version for row in command.data.answers] for command in commands] == [[1, 2], [3, 4], [5]]
    assert len({command.id for command in commands}) == 3


def test_what_an_order_gives_up_is_released_at_each_location() -> None:
    held = o.Release(line_id="1", sku="MUG", attempt=1001, location_id="B", quantity=2)
    waits = o.Release(line_id="2", sku="CUP", attempt=1999, location_id="", quantity=1)
    cancelled = o.OrderCancelled(
        order_id="o1", by="customer", reason="", lines=(), releases=(held, waits), before_allocation=False
    )
    first, second = release(recorded(cancelled))
    assert first.id == "release:e1:1"
    assert first.data == ReleaseStock(sku="MUG", location_id="B", quantity=2, order_id="o1", line_id="1", attempt=1001)
    assert (second.id, second.data.location_id) == ("release:e1:2", "")


def test_a_dispatch_that_crossed_a_cancellation_becomes_a_case() -> None:
    line = o.CrossedLine(line_id="1", sku="MUG", quantity=2)
    crossed = o.DispatchCrossed(order_id="o1", shipment_id="s1", location_id="A", case_id="crossing-1", lines=(line,))
    (asked,) = open_case(recorded(crossed))
    assert (asked.id, asked.key) == ("crossing:o1:s1", "crossing-1")
    assert (asked.data.topic, asked.data.urgency) == ("dispatch_crossed_cancellation", "high")
    assert (asked.data.order_id, asked.data.sku) == ("o1", "MUG")
    assert "2 × MUG" in asked.data.text
    assert COMMANDS[asked.name].topic == "intake.service"


def test_what_a_location_rejects_is_corrected_there() -> None:
    used = (Consumed(attempt=1001, location_id="B", quantity=2),)
    line = o.RejectedLine(line_id="1", sku="MUG", quantity=2, rejections=1, consumed=used)
    rejected = o.AllocationRejected(order_id="o1", location_id="B", reason="damaged", note="wet", lines=(line,))
    (asked,) = correct(recorded(rejected))
    assert asked.id == "reject:e1:1"
    assert asked.data == RejectStock(
        sku="MUG",
        location_id="B",
        quantity=2,
        order_id="o1",
        line_id="1",
        reason="damaged",
        note="wet",
        consumed=used,
    )


def test_who_was_rejected_waits_for_other_locations_or_for_what_arrives() -> None:
    wanted = o.SourcingRequested(
        order_id="o1",
        round=2,
        lines=tuple(o.SourcingLine(line_id=line, sku="MUG", quantity=1) for line in ("1", "2")),
        excluded=(
            o.Excluded(line_id="1", location_id="A", rejected=True),
            o.Excluded(line_id="1", location_id="B"),
            o.Excluded(line_id="2", location_id="A", rejected=True),
        ),
        placed_at=AT,
        sales_channel="web",
        allocation="ship_available",
        country="DE",
    )
    asked = source_again(recorded(wanted), Lookups({}, {}))
    assert [one.data.not_at for one in asked] == [("A",), ("A",)]


def test_a_shipment_and_a_return_become_movements() -> None:
    used = (Consumed(attempt=1001, location_id="B", quantity=2),)
    line = o.ShippedLine(
        line_id="1", sku="MUG", quantity=2, from_open=0, from_backordered=0, from_allocated=2, consumed=used
    )
    shipment = o.ShipmentDispatched(
        order_id="o1", shipment_id="s1", location_id="M", carrier="x", service="y", lines=(line,)
    )
    (moved,) = ship(recorded(shipment))
    assert moved.id == "ship:o1:s1:1"
    assert (moved.data.location_id, moved.data.quantity, moved.data.consumed) == ("M", 2, used)
    arrived = tuple(o.ArrivedLine(line_id="1", sku="MUG", quantity=1, disposition=d) for d in ("restock", "damaged"))
    back = o.ReturnReceived(
        order_id="o1", return_id="r1", rma="R", location_id="M", announced=True, cause="customer", lines=arrived
    )
    assert [(row.id, row.data.disposition) for row in take_back(recorded(back))] == [
        ("return:e1:1", "restock"),
        ("return:e1:2", "damaged"),
    ]


def test_a_retracted_dispatch_becomes_stock_again_at_the_moment_of_the_dispatch() -> None:
    lines = (
        o.RetractedLine(line_id="1", sku="MUG", quantity=3, to_open=1, to_allocated=2, attempt=7),
        o.RetractedLine(line_id="2", sku="TRAY", quantity=1, to_cancelled=1),
    )
    hour = timedelta(hours=1)
    retracted = o.DispatchRetracted(
        order_id="o1", shipment_id="s1", location_id="M", dispatched_at=AT - hour, reason="gate", lines=lines
    )
    asked = restore(recorded(retracted))
    assert [(row.id, row.occurred_at) for row in asked] == [
        ("restore:o1:s1:1", AT - hour),
        ("restore:o1:s1:2", AT - hour),
    ]
    assert [(row.data.quantity, row.data.held, row.data.attempt) for row in asked] == [(3, 2, 7), (1, 0, 0)]


def test_timers_say_the_due_time_and_repeat_the_same_id() -> None:
    asked = [
        expire(ReservationDue("MUG", "o1", "1", 1, "B", 2, AT)),
        release_order(OrderDue("o9", AT - timedelta(hours=1))),
        check(ReceiptDue("MUG", AT)),
        cancel(LineDue("o8", 5, AT)),
        expire_tracking(TrackingDue("o7", AT)),
    ]
    assert [(row.id, row.occurred_at) for row in asked] == [
        ("expire:o1:1:1:B", AT),
        ("release-order:o9", AT - timedelta(hours=1)),
        (f"check-expected:MUG:{AT:%Y%m%dT%H%M%S%f}", AT),
        ("auto-cancel:o8:5", AT),
        (f"expire-tracking:o7:{AT:%Y%m%dT%H%M%S%f}", AT),
    ]
    assert asked[0].data == ExpireReservation(sku="MUG", location_id="B", order_id="o1", line_id="1", attempt=1)
    assert asked[1].data == ReleaseOrder(order_id="o9")


def test_every_fact_that_releases_something_is_wired_to_release() -> None:
    for row in FACTS.values():
        if "releases" in row.data.__struct_fields__:
            assert On(row.data, release) in BY_FACT[row.data], row.name
    known = {row.data for row in FACTS.values()}
    assert known >= REACTED_TO


def test_facts_of_a_batch_are_reacted_to_together_and_others_ask_for_nothing() -> None:
    offered = answers("o1", ("A", 3))
    low = recorded(s.LowStockDetected(sku="MUG", location_id="B", available=0, reorder_point=5))
    asked = react([*offered, low, placed(("1", "MUG", 1))], stock(MUG={"BERLIN": 1}))
    assert [row.name for row in asked] == ["ReserveStock", "RecordAllocation"]
    assert BY_FACT[type(offered[0].data)] == [*allocation_module.REACTIONS]


def test_every_command_can_be_encoded_and_read_back_as_the_ledger_reads_it() -> None:
    codec = Codec()
    asked = source_placed(placed(("1", "MUG", 7)), stock(MUG={"BERLIN": 3})) + allocation(answers("o1", ("A", 3)))
    asked += [
        expire(ReservationDue("MUG", "o1", "1", 1, "B", 2, AT)),
        release_order(OrderDue("o9", AT)),
        check(ReceiptDue("MUG", AT)),
        cancel(LineDue("o8", 5, AT)),
        expire_tracking(TrackingDue("o7", AT)),
    ]
    for row in asked:
        contract, record = codec.decode(encode(codec, row))
        assert contract.name == row.name
        assert (record["id"], record["channel"], record["occurred_at"]) == (row.id, INTERNAL_CHANNEL, row.occurred_at)
        assert msgspec.convert(record["data"], COMMANDS[row.name].data) == row.data
        assert row.key == record["data"][COMMANDS[row.name].key]


def test_another_plan_for_the_same_line_is_another_attempt() -> None:
    """After a crash between two parts of a plan, what is planned anew must not look like a repeat."""
    before = source_placed(placed(("1", "MUG", 5)), stock(MUG={"MUNICH": 2, "BERLIN": 3}))
    after = source_placed(placed(("1", "MUG", 5)), stock(MUG={"BERLIN": 5}))
    assert not {row.id for row in before} & {row.id for row in after}
    assert after == source_placed(placed(("1", "MUG", 5)), stock(MUG={"BERLIN": 5}))


def test_what_one_order_of_a_batch_asks_for_is_not_planned_for_the_next() -> None:
    lookups = stock(MUG={"BERLIN": 2, "MUNICH": 2})
    asked = react([placed(("1", "MUG", 2)), placed(("1", "MUG", 2)), placed(("1", "MUG", 2))], lookups)
    assert [(row.name, getattr(row.data, "location_id", "")) for row in asked] == [
        ("ReserveStock", "BERLIN"),
        ("ReserveStock", "MUNICH"),
        ("AwaitStock", ""),
    ]
    assert lookups == stock(MUG={"BERLIN": 2, "MUNICH": 2}), "the look-ups are the caller's"


def test_a_location_that_does_not_serve_the_channel_is_passed_over() -> None:
    closed = MUNICH._replace(excluded_channels=("web",))
    known = Lookups({"MUG": {"BERLIN": 1, "MUNICH": 9}}, {**PLACES, "MUNICH": closed})
    held, waits = source_placed(placed(("1", "MUG", 3)), known)
    assert (held.data.location_id, held.data.quantity) == ("BERLIN", 1)
    assert (waits.data.quantity, waits.data.not_at) == (2, ("MUNICH",))


def test_a_fact_may_have_several_reactions_and_each_file_exports_its_own() -> None:
    both = [row.react for row in BY_FACT[o.OrderCancelled] if isinstance(row, On)]
    assert both == [release, pass_on], "what an order held is free before others are called"
