"""The story of an order: facts in, sentences out."""

from __future__ import annotations

from typing import Any

import pytest

from events.catalogue import FACTS
from gateway.story import TOLD, as_text, tell
from gateway.story.words import listed, money, plural, units
from tests.projections.fact_rows import REFUSED

NOON = "2026-11-27T12:00:00Z"


def story(
    *facts: tuple[str, dict[str, Any]],
    when: str = NOON,
    channel: str = "web",
    actor: str | None = None,
    command_id: str = "c1",
) -> list[str]:
    """The sentences that some facts, all of one moment, channel and command, are told in."""
    about = {"occurred_at": when, "channel": channel, "actor": actor, "command_id": command_id}
    history = [{**about, "version": number, "fact": name, "data": data} for number, (name, data) in enumerate(facts, 1)]
    return [sentence.text for chapter in tell(history) for sentence in chapter.sentences]


def line(sku: str, quantity: int, **more: Any) -> dict[str, Any]:
    return {"line_id": "1", "sku": sku, "quantity": quantity, **more}


PLACED = {
    "customer_id": "C7",
    "currency": "GBP",
    "lines": [line("MUG", 2, unit_price_minor=500), line("TRAY", 1, unit_price_minor=2000)],
    "ship_to": {"country": "GB", "city": "Leeds", "region": None},
    "service_level": "standard",
    "promised_by": None,
    "allocation": "ship_available",
    "release_at": None,
    "charges": [],
}
POSTAGE = {"code": "POST", "amount_minor": 350, "description": "postage"}
PARCEL = {"shipment_id": "P1", "location_id": "WH1", "carrier": "DHL", "service": "parcel", "lines": [line("MUG", 2)]}

SENTENCES: list[tuple[str, dict[str, Any], str]] = [
    ("OrderPlaced", PLACED, "Customer C7 ordered 2 × MUG and 1 × TRAY on web for 30.00 GBP, to Leeds, GB."),
    (
        "OrderPlaced",
        PLACED
        | {
            "charges": [POSTAGE],
            "promised_by": "2026-11-29T00:59:59+01:00",
            "service_level": "same_day",
            "allocation": "all_or_nothing",
            "release_at": "2026-11-28T06:00:00Z",
        },
        (
            "Customer C7 ordered 2 × MUG and 1 × TRAY on web for 33.50 GBP (with postage), to Leeds, GB."
            " It is promised by 28 November 2026, 23:59 UTC. Service: same day. It is an all-or-nothing order."
            " Nothing is allocated before 28 November 2026, 06:00 UTC."
        ),
    ),
    (
        "OrderPlaced",
        PLACED | {"promised_by": "2026-11-28T18:00:00Z", "promise": "dispatch"},
        (
            "Customer C7 ordered 2 × MUG and 1 × TRAY on web for 30.00 GBP, to Leeds, GB."
            " It is promised to leave by 28 November 2026, 18:00 UTC."
        ),
    ),
    (
        "OrderCancelled",
        {"by": "seller", "reason": "auto_cancel", "lines": [line("MUG", 2, from_allocated=0)]},
        "The seller cancelled 2 × MUG: it was not allocated in time.",
    ),
    (
        "OrderAmended",
        {"by": "customer", "lines": [line("MUG", 0, ordered_before=2, ordered=3)], "promised_by": NOON},
        "The customer changed MUG from 2 to 3 and moved the promise to 27 November 2026, 12:00 UTC, through web.",
    ),
    (
        "OrderAmended",
        {"by": "seller", "lines": [], "promised_by": NOON},
        (
            "The seller moved the promise to 27 November 2026, 12:00 UTC, which does not count for the figures,"
            " through web."
        ),
    ),
    (
        "OrderCancelled",
        {"by": "customer", "reason": "too late", "lines": [line("MUG", 2, from_allocated=1)]},
        "The customer cancelled 2 × MUG: too late. 1 unit that was allocated went back to stock.",
    ),
    (
        "AmendmentRequested",
        {"by": "customer", "lines": [line("MUG", 0, ordered_before=2, ordered=5)]},
        "The customer wants MUG from 2 to 5, and stock is asked first, through web.",
    ),
    (
        "AmendmentDeclined",
        {"reason": "not_enough", "lines": [line("MUG", 0, ordered_before=2, ordered=5, available=3)]},
        "The order stays as it was, because there is not enough stock. Possible: MUG up to 3.",
    ),
    (
        "AmendmentDeclined",
        {"reason": "cancelled", "lines": [line("MUG", 0, ordered_before=2, ordered=5, available=None)]},
        "The order stays as it was, because units were cancelled meanwhile.",
    ),
    ("OrderHeld", {"hold": "payment", "reason": None}, "The order was put on hold (payment), through web."),
    (
        "OrderHeld",
        {"hold": "fraud", "reason": None, "stock": "release"},
        "The order was put on hold (fraud), through web. Its allocated stock was released.",
    ),
    (
        "BackorderReopened",
        line("MUG", 2, reason="hold", releases=[]),
        "While the order is held, it does not wait for 2 × MUG.",
    ),
    ("HoldReleased", {"hold": "payment", "reason": "paid"}, "The payment hold was lifted: paid, through web."),
    (
        "SourcingRequested",
        {"round": 2, "lines": [line("MUG", 1)], "excluded": [{"line_id": "1", "location_id": "WH1"}]},
        "Sourcing round 2 began for 1 × MUG, because WH1 could not provide the planned units.",
    ),
    (
        "LinePromised",
        line("MUG", 1, expected_at="2026-12-03T12:00:00Z", previous=None, cause="first"),
        "The customer is told: 1 × MUG is expected by 3 December 2026, 12:00 UTC.",
    ),
    (
        "LinePromised",
        line("MUG", 2, expected_at="2026-12-09T12:00:00Z", previous="2026-12-03T12:00:00Z", cause="late"),
        (
            "The customer is told: 2 × MUG now by 9 December 2026, 12:00 UTC, instead of by 3 December 2026, 12:00 UTC,"
            " because it is late."
        ),
    ),
    (
        "LinePromised",
        line("MUG", 2, expected_at=None, previous="2026-12-03T12:00:00Z", cause="short"),
        (
            "The customer is told: 2 × MUG at an unknown time,"
            " instead of by 3 December 2026, 12:00 UTC, because less comes than was announced."
        ),
    ),
    (
        "LineDeallocated",
        line("MUG", 1, location_id="WH1", reason="expired"),
        "No longer allocated, because the reservation expired: 1 × MUG at WH1.",
    ),
    (
        "OrderAllocated",
        {"units": 3, "parcels": 1},
        "With that, everything is allocated: 3 units in 1 parcel.",
    ),
    ("ShipmentDispatched", PARCEL, "Parcel P1 left WH1 with DHL (parcel): 2 × MUG."),
    (
        "DispatchDiffered",
        PARCEL | {"lines": [line("MUG", 2, planned="elsewhere")]},
        "That was not the plan, and somebody should look at it: 2 × MUG was allocated at another location.",
    ),
    (
        "ShipmentDelivered",
        PARCEL | {"on_time": False, "due_by": NOON},
        "Parcel P1 was delivered: 2 × MUG, late: it was promised by 27 November 2026, 12:00 UTC.",
    ),
    (
        "ShipmentDelivered",
        PARCEL | {"on_time": None},
        "Parcel P1 was delivered: 2 × MUG; no delivery was promised.",
    ),
    (
        "ReturnRequested",
        {"resolution": "refund", "rma": "RMA-1", "lines": [line("MUG", 1, reason="chipped")]},
        "The customer asks to return 1 × MUG for refund: chipped. RMA number RMA-1.",
    ),
    (
        "ReturnRequested",
        {
            "resolution": "refund",
            "rma": "RMA-1",
            "lines": [
                line("MUG", 1, reason="chipped", reason_code="damaged"),
                line("TRAY", 1, reason="not as described", reason_code="not_as_described"),
            ],
        },
        (
            "The customer asks to return 1 × MUG and 1 × TRAY for refund: chipped (damaged), not as described. "
            "RMA number RMA-1."
        ),
    ),
    (
        "ReturnTracked",
        {"return_id": "R1", "status": "returned_to_sender"},
        "The carrier reports return R1: sent back to the customer.",
    ),
    (
        "ReturnReceived",
        {
            "return_id": "R1",
            "location_id": "WH1",
            "announced": False,
            "cause": "customer",
            "lines": [line("MUG", 1, disposition="damaged"), line("TRAY", 1, disposition="restock")],
        },
        "Return R1 arrived unannounced at WH1: 1 × MUG damaged and 1 × TRAY back to stock.",
    ),
    (
        "ReturnReceived",
        {
            "return_id": "R1",
            "location_id": "WH1",
            "announced": False,
            "cause": "unclaimed",
            "lines": [line("MUG", 2, disposition="restock")],
        },
        "Return R1 arrived at WH1, not claimed by the customer: 2 × MUG back to stock.",
    ),
    (
        "RefundIssued",
        {"return_id": "R1", "cause": "refused", "amount_minor": 1250, "currency": "JPY", "reason": "goodwill"},
        "1,250 JPY was refunded for return R1 (refused): goodwill.",
    ),
    (
        "RefundIssued",
        {"return_id": "R1", "amount_minor": 1250, "currency": "JPY", "reason": "chipped"},
        "1,250 JPY was refunded for return R1: chipped.",
    ),
    (
        "ExchangeLinesAdded",
        {"return_id": "R1", "credit_minor": 1, "lines": [line("TRAY", 1)]},
        "In exchange the customer gets 1 × TRAY, which may leave when return R1 has arrived.",
    ),
    (
        "ExchangeReleased",
        {"return_id": "R1", "lines": [line("TRAY", 1)]},
        "All of return R1 has arrived: 1 × TRAY may leave in exchange.",
    ),
    (
        "ExchangeReleased",
        {"return_id": "R1", "lines": []},
        "All of return R1 has arrived; nothing is left to send in exchange.",
    ),
    (
        "ReturnWithdrawn",
        {"return_id": "R1", "by": "customer", "reason": "keeps it", "lines": [line("MUG", 1)]},
        "1 × MUG of return R1 will not come: the customer withdrew it: keeps it.",
    ),
    (
        "DispatchCrossed",
        {"case_id": "crossing-1", "lines": [line("MUG", 2)]},
        "2 × MUG left although cancelled: case crossing-1 was opened for a person to look at.",
    ),
    (
        "AllocationRejected",
        {"location_id": "WH1", "reason": "not_in_stock", "note": "empty shelf", "lines": [line("MUG", 2)]},
        "WH1 cannot provide 2 × MUG, because it is not there: empty shelf.",
    ),
    (
        "OrderQueued",
        {"queue": "routing_exceptions", "detail": "it may not be split.", "lines": [line("MUG", 2)]},
        "A person has to decide about 2 × MUG (queue routing exceptions): it may not be split.",
    ),
    (
        "OrderUnqueued",
        {"queue": "rejections", "resolution": "retry", "reason": "found it"},
        "It was decided (queue rejections): it is sourced again: found it, through web.",
    ),
    (
        "OrderUnqueued",
        {"queue": "rejections", "resolution": "over"},
        "No decision is needed any more (queue rejections): no unit is open.",
    ),
    (
        "CommandRefused",
        REFUSED,
        (
            "CancelOrder was refused, through web: order o1 was not cancelled;"
            " everything has already shipped: 2 units ordered, 2 shipped, 0 cancelled; at most 0 can be cancelled."
        ),
    ),
    ("SomethingNew", {}, "SomethingNew was recorded."),
]


@pytest.mark.parametrize(("name", "data", "sentence"), SENTENCES)
def test_a_fact_is_told_as_a_sentence(name, data, sentence):
    assert story((name, data)) == [sentence]


def test_every_fact_of_an_order_has_its_words():
    assert {name for name, row in FACTS.items() if row.topic == "ledger.orders"} | {"CommandRefused"} == TOLD


def allocated(sku: str, quantity: int, place: str) -> tuple[str, dict[str, Any]]:
    return "LineAllocated", line(sku, quantity, location_id=place)


def test_many_answers_of_stock_are_one_sentence_whatever_their_order():
    facts = [allocated(f"S{number}", 2, "WH1" if number % 3 else "WH2") for number in range(21)]
    facts.insert(3, ("LineBackordered", line("RARE", 4)))
    facts.insert(5, ("AllocationAnswered", {"outcome": "refused"}))
    assert story(*facts) == [
        "Allocated: 28 units of 14 SKUs at WH1 and 14 units of 7 SKUs at WH2; 4 × RARE has to wait for stock."
    ]


def test_scans_of_one_parcel_are_one_sentence_and_of_two_parcels_two():
    scans = [("ShipmentTracked", {"shipment_id": "P1", "status": status}) for status in ("picked_up", "in_transit")]
    scans.append(("ShipmentTracked", {"shipment_id": "P2", "status": "delivery_failed", "place": "Leeds"}))
    assert story(*scans) == [
        "The carrier reports parcel P1: picked up, then in transit.",
        "The carrier reports parcel P2: delivery failed (Leeds).",
    ]


def test_a_scan_before_the_dispatch_is_told_when_it_came_and_when_it_counts():
    waits = {"waits_for": "P1", "scanned_at": "2026-11-27T09:00:00Z", "ends_at": "2026-12-04T12:00:00Z"}
    early = [("TrackingDeferred", {**waits, "status": status}) for status in ("picked_up", "delivered")]
    assert story(*early) == [
        (
            "The carrier reports parcel P1: picked up, then delivered. The dispatch is not recorded yet: this waits for"
            " it until 4 December 2026, 12:00 UTC."
        )
    ]
    scan = {"shipment_id": "P1", "status": "delivered", "deferred": 2, "scanned_at": "2026-11-27T09:00:00Z"}
    delivered = ("ShipmentDelivered", PARCEL | {"on_time": None, "delivered_at": "2026-11-27T09:00:00Z"})
    assert story(("ShipmentTracked", scan | {"place": "Leeds"}), delivered) == [
        "The carrier reports parcel P1: delivered (Leeds, scanned 27 November 2026, 09:00 UTC).",
        "Parcel P1 was delivered: 2 × MUG, on 27 November 2026, 09:00 UTC; no delivery was promised.",
    ]
    assert story(("TrackingExpired", {**waits, "status": "delivered"})) == [
        (
            "The dispatch of parcel P1 did not come, and somebody should look at it: the carrier's reports (delivered)"
            " wait no longer."
        )
    ]


def test_a_parcel_that_never_left_and_one_that_is_sent_again():
    back = {"to_open": 0, "to_allocated": 0, "to_cancelled": 0, "to_removed": 0, "replaced": 0}
    parcel = {"shipment_id": "P1", "location_id": "WH1", "reason": "wrong gate"}
    lines = [
        line("MUG", 3, **{**back, "to_allocated": 2, "to_cancelled": 1}),
        line("TRAY", 1, **{**back, "to_open": 1}),
    ]
    assert story(("DispatchRetracted", parcel | {"lines": lines}), actor="anna") == [
        (
            "Parcel P1 never left WH1: its dispatch was a mistake: wrong gate, by anna through web. It held 2 × MUG"
            " that is allocated there again, 1 × TRAY for which a location is sought and 1 × MUG that was cancelled."
        )
    ]
    replaced = {"shipment_id": "P1", "reason": "lost", "lines": [line("MUG", 2, written_off=2)]}
    assert story(("ShipmentReplaced", replaced), channel="phone") == [
        "Parcel P1 is lost: 2 × MUG is sent again, at no cost, through phone."
    ]
    found = PARCEL | {"on_time": None, "lines": [line("MUG", 2, found=2)]}
    assert story(("ShipmentDelivered", found)) == [
        "Parcel P1 was delivered: 2 × MUG (2 × MUG of it had been replaced); no delivery was promised."
    ]


def test_a_delivery_is_told_once_unless_its_scan_says_more_or_delivers_nothing():
    scan = {"shipment_id": "P1", "status": "delivered"}
    delivered = ("ShipmentDelivered", PARCEL | {"on_time": None})
    assert len(story(("ShipmentTracked", scan), delivered)) == 1
    assert len(story(("ShipmentTracked", {**scan, "place": "at the door"}), delivered)) == 2
    assert len(story(("ShipmentTracked", scan))) == 1, "a second scan of what is delivered"


def test_the_same_refusal_again_and_again_is_told_once():
    assert story(*[("CommandRefused", REFUSED)] * 3, actor="anna")[0].startswith(
        "CancelOrder was refused (3 times), by anna through web: "
    )


@pytest.mark.parametrize(
    ("channel", "actor", "simulated"),
    [
        ("simulator", None, True),
        ("web", "simulated-carrier", True),
        ("web", "anna", False),
        ("order-ledger", None, False),
    ],
)
def test_what_is_simulated_says_so(channel, actor, simulated):
    (sentence,) = story(("ShipmentDispatched", PARCEL), channel=channel, actor=actor)
    assert sentence.endswith(" (simulated)") == simulated


def test_the_products_own_reactions_are_not_named():
    assert story(("HoldReleased", {"hold": "payment", "reason": None}), channel="order-ledger") == [
        "The payment hold was lifted."
    ]


def test_a_story_has_a_heading_for_each_day_and_a_time_for_each_sentence():
    times = ("2026-11-27T23:59:00Z", "2026-11-28T01:10:00+01:00", "2026-11-28T09:00:00Z")
    history = [
        {"version": number, "fact": "OrderHeld", "occurred_at": when, "channel": "web", "actor": None, "data": data}
        for number, (when, data) in enumerate(zip(times, [{"hold": "fraud"}] * 3, strict=True), 1)
    ]
    chapters = tell(history)
    assert as_text(chapters).splitlines() == [
        "27 November 2026",
        "  23:59  The order was put on hold (fraud), through web.",
        "",
        "28 November 2026",
        "  00:10  The order was put on hold (fraud), through web.",
        "  09:00  The order was put on hold (fraud), through web.",
    ]
    text = "The order was put on hold (fraud), through web."
    assert chapters[1].as_json() == {
        "day": "2026-11-28",
        "sentences": [
            {"at": "2026-11-28T00:10:00Z", "text": text, "versions": [2, 2], "simulated": False},
            {"at": "2026-11-28T09:00:00Z", "text": text, "versions": [3, 3], "simulated": False},
        ],
    }


def _refused_at(when: str, version: int) -> dict[str, Any]:
    return {"version": version, "fact": "CommandRefused", "occurred_at": when, "channel": "web", "actor": None,
            "data": REFUSED}  # fmt: skip


def test_a_story_is_in_one_order_and_says_what_was_told_late():
    """Seen: a backdated refusal under a second "27 November", below what happened on the 30th."""
    days = ("2026-11-27T08:00:00Z", "2026-11-30T09:05:30Z")
    history = [
        {"version": number, "fact": "OrderHeld", "occurred_at": when, "channel": "order-ledger", "actor": None,
         "data": {"hold": hold}}
        for number, (when, hold) in enumerate(zip(days, ("fraud", "address"), strict=True), 1)
    ]  # fmt: skip
    history += [_refused_at("2026-11-27T10:00:00Z", 3), _refused_at("2026-11-27T10:00:00Z", 4)]
    chapters = tell(history)
    assert [chapter.day.isoformat() for chapter in chapters] == ["2026-11-27", "2026-11-30"]
    first, late = chapters[0].sentences
    assert first.text == "The order was put on hold (fraud)."
    assert late.text.startswith("CancelOrder was refused (2 times), through web: ")
    assert late.text.endswith(" (reported late, after events of 30 November 2026, 09:05 UTC)")
    assert late.as_json()["versions"] == [3, 4]
    assert [one.text for one in chapters[1].sentences] == ["The order was put on hold (address)."]


def test_clocks_that_differ_by_seconds_tell_nothing_late():
    history = [_refused_at("2026-11-27T10:00:30Z", 1), {**_refused_at("2026-11-27T10:00:10Z", 2), "actor": "anna"}]
    assert "reported late" not in as_text(tell(history))


def test_service_cases_are_part_of_the_story():
    """Seen: `order` showed cases that `story` left out."""
    placed = {"version": 1, "fact": "OrderPlaced", "occurred_at": NOON, "channel": "web", "actor": None, "data": PLACED}
    case = {"case_id": "K-1", "channel": "phone", "topic": "where is my order", "urgency": "high"}
    settled = {**case, "opened_at": "2026-11-27T15:00:00Z", "state": "resolved", "resolved_at": "2026-11-28T09:00:00Z"}
    waiting = {**case, "case_id": "K-2", "opened_at": "2026-11-28T08:00:00Z", "state": "open", "resolved_at": None}
    chapters = tell([placed], [{**settled, "reopened": 2}, {**waiting, "reopened": 0}])
    assert as_text(chapters).splitlines()[1:] == [
        "  12:00  Customer C7 ordered 2 × MUG and 1 × TRAY on web for 30.00 GBP, to Leeds, GB.",
        "  15:00  Case K-1 was opened (phone, urgency high): where is my order.",
        "",
        "28 November 2026",
        "  08:00  Case K-2 was opened (phone, urgency high): where is my order. It is open.",
        "  09:00  Case K-1 was resolved, after it had been reopened 2 times.",
    ]
    assert chapters[0].sentences[1].as_json()["versions"] == []
    simulated = tell([{**placed, "channel": "simulated-web"}], [{**waiting, "reopened": 1}])
    assert simulated[1].sentences[0].text.endswith("It was reopened 1 time and is open. (simulated)")


def test_words():
    assert [listed(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert (plural(1, "unit"), plural(1250, "unit")) == ("1 unit", "1,250 units")
    assert units([line("MUG", 1), line("TRAY", 2), line("MUG", 3)]) == "4 × MUG and 2 × TRAY"
    assert [money(-5, "GBP"), money(1_234_567, "JPY"), money(1001, "KWD")] == [
        "-0.05 GBP",
        "1,234,567 JPY",
        "1.001 KWD",
    ]
