"""The whole season against a toy ledger in memory: how often things go wrong, and that nothing impossible is asked for.

The toy ledger is there to check the generators; the real ledger has tests of its own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from events.attempts import attempt_number
from events.catalogue import COMMANDS, STREAMS
from events.envelope import INTERNAL_CHANNEL, About, Command, Refused
from events.orders.commands import Answer, RecordAllocation
from events.orders.facts import AmendmentRequested
from gateway.season import ACTOR, CHANNELS, SEASON, Season, counts, fulfil, opening, orders, restock, returns
from gateway.season.parcels import promise_of
from tests.gateway.toy_ledger import ToyLedger

SEED, ORDERS = 11, 6_000
RECORDED_AT = datetime(2026, 1, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def season() -> ToyLedger:
    ledger = ToyLedger()
    ledger.take(opening(SEED, ORDERS))
    ledger.take(orders(SEED, ORDERS))
    ledger.outcomes["backordered orders"] = sum(waits(view) for view in ledger.views.values())
    ledger.take(fulfil(ledger.shown(), SEED))
    ledger.take(restock(SEED, ORDERS))
    ledger.outcomes["still waiting"] = sum(waits(view) for view in ledger.views.values())
    ledger.take(fulfil(ledger.shown(), SEED, not_before=SEASON.restocked_at))
    ledger.take(returns(ledger.shown(), SEED))
    return ledger


def waits(view: dict[str, Any]) -> bool:
    return any(line["open"] for line in view["lines"])


def time_of(said: str) -> datetime:
    return datetime.fromisoformat(said)


def kept_until(promised_by: str) -> datetime:
    """The end of the promise; a date ends at midnight Central European time, which is near enough for shares."""
    if len(promised_by) > 10:
        return time_of(promised_by)
    return datetime.combine(date.fromisoformat(promised_by), datetime.min.time(), UTC) + timedelta(hours=23)


def last_delivery(view: dict[str, Any]) -> datetime | None:
    times = [shipment["delivered_at"] for shipment in view["shipments"]]
    return time_of(max(times)) if times and all(times) else None


def test_every_command_is_in_the_vocabulary(season: ToyLedger) -> None:
    season_of_all = [*season.published, *counts(season.inventory(), SEED, SEASON.counted_at)]
    for command in season_of_all:
        kind = COMMANDS[command["command"]]
        assert not kind.internal
        msgspec.json.decode(msgspec.json.encode(command["data"]), type=kind.data, strict=True)
        assert set(command) == {"command", "id", "channel", "actor", "occurred_at", "data"}
        assert len(command["id"]) <= 200
        # What another season says again, of a place or a policy, it says under the same id: then it is a duplicate.
        again = command["command"] in ("RegisterLocation", "SetStockPolicy")
        assert command["id"].startswith("sim-SIM-" if again else f"sim-{SEED}-")
        assert command["channel"] in CHANNELS
        assert command["channel"].startswith("simulated-")
        assert command["actor"] == ACTOR == "simulation"
    names = {command["command"] for command in season_of_all}
    assert names >= {
        "RegisterLocation", "ReceiveStock", "SetStockPolicy", "PlaceOrder", "AmendOrder", "CancelOrder", "HoldOrder",
        "ReleaseHold",
        "OpenCase", "AssignCase", "AddCaseNote", "ResolveCase", "ReopenCase", "DispatchShipment", "RecordTracking",
        "RequestReturn", "RecordReturnTracking", "ReceiveReturn", "IssueRefund", "CountStock",
    }  # fmt: skip


def test_the_real_rules_refuse_none_of_them(season: ToyLedger) -> None:
    """Each stream on its own, without reactions: what the toy believed, the deciders of the product accept. Only an
    increase needs an answer of stock, which the toy has always enough of.
    """
    states: dict[tuple[str, str], Any] = {}
    for command in season.published:
        kind = COMMANDS[command["command"]]
        streams, key = STREAMS[kind.kind], command["data"][kind.key]
        at = time_of(command["occurred_at"])
        data = msgspec.convert(command["data"], kind.data)
        asked: Command[Any] = Command(
            id=command["id"], channel=command["channel"], occurred_at=at, recorded_at=RECORDED_AT, data=data
        )
        state = states.get((kind.kind, key), streams.begin(key))
        answer = streams.decide(state, asked)
        assert not isinstance(answer, Refused), (command, answer)
        for fact in answer:
            state = streams.evolve(state, fact, About(command["channel"], at, RECORDED_AT))
            if isinstance(fact, AmendmentRequested):
                given = Command(
                    id=f"{command['id']}-given",
                    channel=INTERNAL_CHANNEL,
                    occurred_at=at,
                    recorded_at=RECORDED_AT,
                    data=_given(fact),
                )
                for answered in streams.decide(state, given):  # type: ignore[union-attr]
                    state = streams.evolve(state, answered, About(INTERNAL_CHANNEL, at, RECORDED_AT))
        states[kind.kind, key] = state


def _given(asked: AmendmentRequested) -> RecordAllocation:
    """The stock streams have all the extra units."""
    more = {line.line_id: line.ordered - line.ordered_before for line in asked.lines}
    return RecordAllocation(
        order_id=asked.order_id,
        answers=tuple(
            Answer(
                line_id=line_id,
                attempt=attempt_number(asked.round, 1, "WH", units),
                outcome="reserved",
                location_id="WH",
                quantity=units,
                stock_version=1,
            )
            for line_id, units in more.items()
            if units > 0
        ),
    )


def test_the_commands_of_one_order_come_in_time_order() -> None:
    ledger = ToyLedger()
    ledger.take(opening(3, 800))
    placing = list(orders(3, 800))
    ledger.take(placing)
    picking = list(fulfil(ledger.shown(), 3, returns=True))
    ledger.take(picking)
    for phase in (placing, picking, list(returns(ledger.shown(), 3))):
        latest: dict[str, str] = {}
        seen: set[str] = set()
        for command in phase:
            if command["id"] in seen:
                continue  # what a channel sends again keeps its time
            seen.add(command["id"])
            order_id = command["data"]["order_id"] if "order_id" in command["data"] else command["data"]["case_id"]
            assert command["occurred_at"] >= latest.get(order_id, ""), command
            latest[order_id] = command["occurred_at"]


def test_a_few_percent_of_the_orders_meet_an_empty_shelf_and_most_of_them_are_filled_later(season: ToyLedger) -> None:
    assert 0.015 <= season.outcomes["backordered orders"] / ORDERS <= 0.06
    assert season.outcomes["still waiting"] <= 0.25 * season.outcomes["backordered orders"]


def test_a_handful_of_commands_is_repeated_or_contradicts_itself(season: ToyLedger) -> None:
    assert season.outcomes["duplicate"] == 18
    assert season.outcomes["rejected"] == 5


def test_a_few_parcels_in_a_thousand_leave_from_another_place(season: ToyLedger) -> None:
    parcels = len(season.by_name["DispatchShipment"])
    assert 1 <= season.dispatched_elsewhere <= 0.006 * parcels


def test_on_time_delivery_lands_around_95_percent(season: ToyLedger) -> None:
    arrived = [(view, at) for view in season.views.values() if (at := last_delivery(view)) and "promise" not in view]
    kept = sum(at <= kept_until(view["promised_by"]) for view, at in arrived)
    assert len(arrived) > 0.75 * ORDERS
    assert 0.935 <= kept / len(arrived) <= 0.965


def test_fulfilment_lands_around_94_percent(season: ToyLedger) -> None:
    """Below the share of orders on time: what is lost, waits, or comes wrong or damaged is missing in both."""
    due = [view for view in season.views.values() if view.get("cancelled_by") != "customer"]
    wrong = {
        command["data"]["order_id"]
        for command in season.by_name["RequestReturn"]
        if command["data"]["lines"][0]["reason_code"] in {"wrong_item", "missing", "damaged", "not_as_described"}
    }

    def good(view: dict[str, Any]) -> bool:
        left = [time_of(shipment["dispatched_at"]) for shipment in view["shipments"]]
        kept = max(left, default=None) if view.get("promise") == "dispatch" else last_delivery(view)
        in_time = kept is not None and kept <= kept_until(view["promised_by"])
        return in_time and not waits(view) and view["order_id"] not in wrong

    assert 0.004 <= len(wrong) / len(due) <= 0.015
    assert 0.92 <= sum(map(good, due)) / len(due) <= 0.96


def test_orders_are_processed_within_a_day(season: ToyLedger) -> None:
    hours = sorted(
        (time_of(min(shipment["dispatched_at"] for shipment in view["shipments"])) - time_of(view["placed_at"]))
        / timedelta(hours=1)
        for view in season.views.values()
        if view["shipments"]
    )
    assert 6 <= sum(hours) / len(hours) <= 24
    assert hours[len(hours) * 9 // 10] < 24


def test_about_4_percent_of_delivered_orders_come_back(season: ToyLedger) -> None:
    delivered = sum(any(line["delivered"] for line in view["lines"]) for view in season.views.values())
    assert 0.03 <= len(season.by_name["ReceiveReturn"]) / delivered <= 0.05
    assert 0 < len(season.by_name["IssueRefund"]) <= len(season.by_name["ReceiveReturn"])


def test_cases_are_resolved_within_two_hours_on_average(season: ToyLedger) -> None:
    opened = {command["data"]["case_id"]: time_of(command["occurred_at"]) for command in season.by_name["OpenCase"]}
    resolved = {
        command["data"]["case_id"]: time_of(command["occurred_at"]) for command in season.by_name["ResolveCase"]
    }
    assert opened.keys() == resolved.keys()
    mean_hours = sum((resolved[case] - opened[case]) / timedelta(hours=1) for case in opened) / len(opened)
    assert 0.5 <= mean_hours < 2.0


def test_some_parcels_fail_at_the_door_and_few_are_lost_or_sent_back(season: ToyLedger) -> None:
    statuses = Counter(command["data"]["status"] for command in season.by_name["RecordTracking"])
    parcels = len(season.by_name["DispatchShipment"])
    ends = statuses["delivered"] + statuses["lost"] + statuses["returned_to_sender"]
    assert ends == parcels
    assert 0 < statuses["lost"] + statuses["returned_to_sender"] <= 0.01 * parcels
    assert 0.01 <= statuses["delivery_failed"] / parcels <= 0.04


def test_publishing_the_phases_again_changes_nothing(season: ToyLedger) -> None:
    before = dict(season.outcomes)
    season.take(opening(SEED, ORDERS))
    season.take(orders(SEED, ORDERS))
    season.take(fulfil(season.shown(), SEED))
    season.take(restock(SEED, ORDERS))
    season.take(fulfil(season.shown(), SEED, not_before=SEASON.restocked_at))
    season.take(returns(season.shown(), SEED))
    assert season.outcomes["accepted"] == before["accepted"]
    assert season.outcomes["rejected"] == 2 * before["rejected"]


def test_promises_are_told_from_dates_and_times() -> None:
    by_date = promise_of("2025-12-03")
    assert by_date is not None
    assert by_date == promise_of(date(2025, 12, 3))
    assert by_date.last_good < datetime(2025, 12, 3, 22, tzinfo=UTC)
    assert by_date.surely_late > datetime(2025, 12, 4, 1, tzinfo=UTC)
    by_time = promise_of("2025-12-03T20:00:00+01:00")
    assert by_time is not None
    assert by_time.last_good < datetime(2025, 12, 3, 19, tzinfo=UTC) < by_time.surely_late
    assert promise_of(None) is None


def test_what_an_order_gets_does_not_depend_on_the_order_of_the_views() -> None:
    ledger = ToyLedger()
    ledger.take(opening(3, 400))
    ledger.take(orders(3, 400))
    views = ledger.shown()
    shuffled = random.Random(1).sample(views, len(views))

    def by_id(commands: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {command["id"]: command for command in commands}

    assert by_id(fulfil(views, 3, returns=True)) == by_id(fulfil(shuffled, 3, returns=True))
    one_by_one = [command for view in views for command in fulfil([view], 3, returns=True)]
    assert one_by_one == list(fulfil(views, 3, returns=True))


def test_a_run_that_was_broken_off_says_the_same_again_and_goes_on() -> None:
    ledger, whole = ToyLedger(), ToyLedger()
    for each in (ledger, whole):
        each.take(opening(3, 400))
        each.take(orders(3, 400))
    said = list(fulfil(whole.shown(), 3))
    whole.take(said)
    ledger.take(said[: len(said) // 2])
    ledger.take(command for command in said[len(said) // 2 :] if command["command"] == "DispatchShipment")
    ledger.take(fulfil(ledger.shown(), 3))
    assert ledger.outcomes["rejected"] == whole.outcomes["rejected"]
    assert ledger.seen == whole.seen


def test_real_orders_get_simulated_parcels_too() -> None:
    view = {
        "order_id": "uci-536365",
        "placed_at": datetime(2010, 12, 1, 8, 26, tzinfo=UTC),
        "promised_by": None,
        "lines": [
            {
                "line_id": "1",
                "ordered": 6,
                "cancelled": 0,
                "unit_price_minor": 255,
                "allocated_at": {"SIM-WH-NORTH": 6},
            },
            {
                "line_id": "2",
                "ordered": 2,
                "cancelled": 0,
                "unit_price_minor": 339,
                "allocated_at": {"SIM-WH-NORTH": 2},
            },
        ],
        "shipments": [],
    }
    dispatch, delivered = fulfil([view], 7, scans="delivered")
    assert dispatch["id"] == "sim-7-uci-536365-S1-dispatch"
    assert dispatch["data"]["shipment_id"] == "uci-536365-S1"
    assert dispatch["data"]["location_id"] == "SIM-WH-NORTH"
    assert dispatch["data"]["lines"] == [{"line_id": "1", "quantity": 6}, {"line_id": "2", "quantity": 2}]
    assert delivered["data"]["status"] == "delivered"
    assert "2010-12-01T09:26:00Z" <= dispatch["occurred_at"] < delivered["occurred_at"]
    everyone_returns = Season(return_share=1.0, lost_share=0.0, unannounced_share=0.0, exchange_share=0.0)
    names = [
        command["command"] for command in fulfil([view], 7, scans="delivered", returns=True, season=everyone_returns)
    ]
    assert names == [
        "DispatchShipment", "RecordTracking", "RequestReturn", "RecordReturnTracking", "RecordReturnTracking",
        "ReceiveReturn",
        "IssueRefund",
    ]  # fmt: skip


def test_orders_on_hold_and_orders_without_stock_stay_where_they_are() -> None:
    held = {
        "order_id": "a",
        "placed_at": "2025-11-28T10:00:00Z",
        "holds": ["payment"],
        "lines": [{"line_id": "1", "allocated_at": {"W": 1}}],
    }
    empty = {"order_id": "b", "placed_at": "2025-11-28T10:00:00Z", "lines": [{"line_id": "1", "allocated_at": {}}]}
    assert list(fulfil([held, empty], 7)) == []


def test_what_a_view_shows_without_allocated_at_is_what_has_not_left_yet() -> None:
    """`order --json` prints units allocated or shipped per location; a parcel that left is taken off."""
    shipment = {
        "shipment_id": "a-S1",
        "location_id": "W",
        "carrier": "another",
        "status": "delivered",
        "lines": [{"line_id": "1", "quantity": 2}],
    }
    line = {"line_id": "1", "locations": {"W": 3, "V": 2}}
    view = {"order_id": "a", "placed_at": "2025-11-28T10:00:00Z", "lines": [line], "shipments": [shipment]}
    left = [command["data"] for command in fulfil([view], 7) if command["command"] == "DispatchShipment"]
    assert {(data["shipment_id"], data["location_id"], data["lines"][0]["quantity"]) for data in left} == {
        ("a-S2", "V", 2),
        ("a-S3", "W", 1),
    }


def test_goods_that_came_in_later_leave_later() -> None:
    view = {"order_id": "a", "placed_at": "2025-11-28T10:00:00Z", "lines": [{"line_id": "1", "allocated_at": {"W": 1}}]}
    dispatch, *_ = fulfil([view], 7, not_before=SEASON.restocked_at)
    assert time_of(dispatch["occurred_at"]) > SEASON.restocked_at


def test_a_view_without_an_offset_in_its_times_is_an_error() -> None:
    view = {"order_id": "a", "placed_at": "2025-11-28T10:00:00", "lines": [{"line_id": "1", "allocated_at": {"W": 1}}]}
    with pytest.raises(ValueError, match="no offset"):
        list(fulfil([view], 7))


def test_about_4_counts_in_a_thousand_are_beyond_the_tolerance() -> None:
    rows = [{"sku": f"SIM-{n:05d}", "location_id": "SIM-WH-LYON", "on_hand": n % 500} for n in range(20_000)]
    said = list(counts(rows, 7, SEASON.counted_at))
    off = sum(
        abs(command["data"]["counted"] - row["on_hand"]) > command["data"]["tolerance"]
        for command, row in zip(said, rows, strict=True)
    )
    assert len(said) == len(rows) == len({command["id"] for command in said})
    assert 0.003 <= off / len(rows) <= 0.005
    assert said == list(counts(rows, 7, SEASON.counted_at))
