"""An increase is asked of stock whole, where the order's channel may have it, or declined with what there is."""

from __future__ import annotations

from typing import Any

from events.attempts import round_of
from events.envelope import Recorded
from events.orders import facts as o
from events.orders.commands import DeclineAmendment
from events.stock.commands import ReserveStock
from processors.reactions.sourcing import Lookups
from processors.reactions.wiring import react, skus_to_look_up
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


def test_the_extra_units_of_an_amendment_are_asked_for_and_nothing_else() -> None:
    fact = amendment_requested(("1", 2, 5), ("2", 3, 1))
    assert skus_to_look_up([fact]) == {"SKU-1"}
    stock = {"SKU-1": {"BERLIN": 2, "MUNICH": 1}}
    asked = react([fact], Lookups(stock, PLACES))
    assert [(row.data.location_id, row.data.quantity) for row in asked] == [("MUNICH", 1), ("BERLIN", 2)]
    assert all(isinstance(row.data, ReserveStock) and round_of(row.data.attempt) == 4 for row in asked)


def test_an_amendment_that_cannot_be_made_whole_is_declined_with_what_there_is_of_each_line() -> None:
    fact = amendment_requested(("1", 2, 5), ("2", 1, 2))
    stock = {"SKU-1": {"BERLIN": 2}, "SKU-2": {"BERLIN": 9}}
    (asked,) = react([fact], Lookups(stock, PLACES))
    assert isinstance(asked.data, DeclineAmendment)
    assert [(line.line_id, line.available) for line in asked.data.lines] == [("1", 2), ("2", 1)]


def test_an_amendment_does_not_ask_a_location_that_has_looked_and_rejected() -> None:
    rejected = (o.Excluded(line_id="1", location_id="BERLIN", rejected=True),)
    fact = amendment_requested(("1", 2, 3), excluded=rejected)
    (asked,) = react([fact], Lookups({"SKU-1": {"BERLIN": 9, "MUNICH": 1}}, PLACES))
    assert asked.data.location_id == "MUNICH"
    (asked,) = react([fact], Lookups({"SKU-1": {"BERLIN": 9}}, PLACES))
    assert isinstance(asked.data, DeclineAmendment)


def test_an_amendment_is_offered_what_its_channel_may_have_where_it_is_served() -> None:
    fact = amendment_requested(("1", 1, 2))
    channel = fact.data.sales_channel
    there = Lookups({"SKU-1": {"BERLIN": 1}}, PLACES)
    (asked,) = react([fact], there._replace(kept={"SKU-1": {"BERLIN": {f"not-{channel}": 1}}}))
    assert isinstance(asked.data, ReserveStock)
    shut = {**PLACES, "BERLIN": BERLIN._replace(excluded_channels=(channel,))}
    for closed in (there._replace(kept={"SKU-1": {"BERLIN": {channel: 1}}}), there._replace(places=shut)):
        (asked,) = react([fact], closed)
        assert isinstance(asked.data, DeclineAmendment)
