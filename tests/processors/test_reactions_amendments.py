"""An increase is asked of stock whole, where the order's channel may have it, or declined with what there is."""

from __future__ import annotations

from typing import Any

from events.attempts import round_of
from events.envelope import Recorded
from events.orders import facts as o
from events.stock.commands import AwaitStock
from processors.reactions.sourcing import Lookups
from processors.reactions.wiring import needs_of, react
from tests.processors.test_reactions import AT, BERLIN, PLACES, recorded


def amendment_requested(*lines: tuple[str, int, int], **more: Any) -> Recorded[Any]:
    """(line, units before, units wanted); the SKU of line 1 is SKU-1."""
    return recorded(
        o.AmendmentRequested(
            order_id="o1",
            amendment_id="A1",
            by="customer",
            lines=tuple(
                o.AmendmentLine(line_id=line, sku=f"SKU-{line}", ordered_before=before, ordered=wanted)
                for line, before, wanted in lines
            ),
            round=4,
            placed_at=AT,
            sales_channel="web",
            **more,
        )
    )


def questions(fact: Recorded[Any], lookups: Lookups) -> list[tuple[str, int, str, tuple[str, ...], tuple[str, ...]]]:
    """SKU, units, mode, locations and those that are out of question, of each question to a stock stream."""
    asked = [row.data for row in react([fact], lookups)]
    assert all(isinstance(data, AwaitStock) and round_of(data.attempt) == 4 for data in asked)
    return [(data.sku, data.quantity, data.mode, data.locations, data.not_at) for data in asked]


def test_the_extra_units_of_an_amendment_are_asked_for_and_nothing_else() -> None:
    fact = amendment_requested(("1", 2, 5), ("2", 3, 1))
    assert needs_of([fact]).skus == {"SKU-1"}
    stock = {"SKU-1": {"BERLIN": 2, "MUNICH": 1}}
    assert questions(fact, Lookups(stock, PLACES)) == [("SKU-1", 3, "grant", ("MUNICH", "BERLIN"), ())]


def test_only_the_stream_of_a_sku_can_say_that_there_is_too_little() -> None:
    """The table of stock may be behind: what it does not know of may be there."""
    fact = amendment_requested(("1", 2, 5), ("2", 1, 2))
    stock = {"SKU-1": {"BERLIN": 2}}
    assert questions(fact, Lookups(stock, PLACES)) == [
        ("SKU-1", 3, "grant", ("BERLIN",), ()),
        ("SKU-2", 1, "grant", (), ()),
    ]


def test_an_amendment_does_not_ask_a_location_that_has_looked_and_rejected() -> None:
    rejected = (o.Excluded(line_id="1", location_id="BERLIN", rejected=True),)
    fact = amendment_requested(("1", 2, 3), excluded=rejected)
    there = questions(fact, Lookups({"SKU-1": {"BERLIN": 9, "MUNICH": 1}}, PLACES))
    assert there == [("SKU-1", 1, "grant", ("MUNICH",), ("BERLIN",))]
    assert questions(fact, Lookups({"SKU-1": {"BERLIN": 9}}, PLACES)) == [("SKU-1", 1, "grant", (), ("BERLIN",))]


def test_an_amendment_is_offered_what_its_channel_may_have_where_it_is_served() -> None:
    fact = amendment_requested(("1", 1, 2))
    channel = fact.data.sales_channel
    there = Lookups({"SKU-1": {"BERLIN": 1}}, PLACES)
    kept = there._replace(kept={"SKU-1": {"BERLIN": {f"not-{channel}": 1}}})
    assert questions(fact, kept) == [("SKU-1", 1, "grant", ("BERLIN",), ())]
    shut = {**PLACES, "BERLIN": BERLIN._replace(excluded_channels=(channel,))}
    assert questions(fact, there._replace(places=shut)) == [("SKU-1", 1, "grant", (), ("BERLIN",))]
