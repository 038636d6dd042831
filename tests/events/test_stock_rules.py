"""What channels may sell: the most specific rule that names a channel wins, and rules never add up."""

from __future__ import annotations

import pytest

from events.stock import facts as f
from events.stock.rules import Rules, kept_back, resolved
from events.values import ChannelRule
from tests.events.builders import channels, policy, receive, reserve, wait_for
from tests.support.given import Story, given, like


def free(story: Story, channel: str | None = "web", location: str = "WH1") -> int:
    units: int = story.state.level(location).free(channel)
    return units


def test_of_fifty_with_ten_for_the_sku_and_twenty_here_thirty_may_be_sold() -> None:
    story = given(receive(50), receive(50, location="WH2"), channels(buffers={"*": 10}), policy(buffers={"*": 20}))
    assert (free(story), free(story, location="WH2")) == (30, 40)
    story.when(channels(excluded_channels=("web",)))
    assert (free(story), free(story, "store")) == (0, 30)


CATEGORY, SKU, HERE = Rules({"*": 5}), Rules({"*": 10, "web": 1}), Rules({"store": 20})


@pytest.mark.parametrize(
    ("chain", "channel", "kept"),
    [
        ((CATEGORY,), "web", 5),
        ((SKU, CATEGORY), "web", 1),
        ((SKU, CATEGORY), "store", 10),
        ((HERE, SKU, CATEGORY), "store", 20),
        ((HERE, SKU, CATEGORY), "web", 1),
        ((HERE, SKU, CATEGORY), None, 10),
        ((HERE, CATEGORY), "till", 5),
        ((Rules({"web": 0}), CATEGORY), "web", 0),
        ((HERE, Rules({}, ("till",))), "till", None),
        ((HERE, SKU, Rules({}, ("*",))), "store", None),
        ((Rules({}, ("web",)), SKU), None, 10),
        ((), "web", 0),
    ],
)
def test_the_first_rule_that_names_the_channel_decides_alone(
    chain: tuple[Rules, ...], channel: str | None, kept: int | None
) -> None:
    assert kept_back(chain, channel) == kept
    everybody = resolved(chain)
    assert everybody.get(channel or "*", everybody.get("*", 0)) == kept


def test_what_comes_of_the_rules_is_stated_for_each_location() -> None:
    story = given(receive(5), receive(5, location="WH2"), policy(buffers={"web": 2})).when(channels(buffers={"*": 1}))
    web, other = (
        ChannelRule(channel="web", buffer=2, excluded=False),
        ChannelRule(channel="*", buffer=1, excluded=False),
    )
    story.then(
        f.ChannelPolicySet,
        f.SellingRulesResolved(sku="MUG", location_id="WH1", rules=(other, web)),
        f.SellingRulesResolved(sku="MUG", location_id="WH2", rules=(other,)),
    )
    gone = ChannelRule(channel="*", buffer=None, excluded=False)
    story.when(channels(buffers={})).then(
        f.ChannelPolicySet, like(f.SellingRulesResolved, rules=(gone, web)), like(f.SellingRulesResolved, rules=(gone,))
    )


def test_a_location_that_is_new_has_the_rules_of_the_sku() -> None:
    story = given(channels(buffers={"*": 2}, excluded_channels=("till",))).when(receive(5))
    story.then(f.StockReceived, like(f.SellingRulesResolved, location_id="WH1"))
    assert (free(story), free(story, "till")) == (3, 0)
    story.when(receive(1)).then(f.StockReceived)


def test_what_is_unset_stays_and_what_is_empty_is_taken_away() -> None:
    story = given(receive(5), channels("WH1", buffers={"web": 2}, excluded_channels=("till",)))
    story.when(channels("WH1", buffers={"web": 3}))
    story.then(like(f.ChannelPolicySet, excluded_channels=("till",)), f.SellingRulesResolved)
    story.when(channels("WH1", excluded_channels=()))
    story.then(like(f.ChannelPolicySet, excluded_channels=()), f.SellingRulesResolved)
    assert (free(story), free(story, "till")) == (2, 5)
    story.when(channels()).then_refused("invalid")


def test_a_channel_that_is_excluded_gets_nothing_and_its_queue_is_served_when_it_no_longer_is() -> None:
    story = given(receive(5), channels(excluded_channels=("web",))).when(reserve(1, for_channel="web"))
    story.then(like(f.ReservationRefused, available=0))
    story.when(wait_for(2, order="w", for_channel="web")).then(f.StockAwaited)
    story.when(channels(excluded_channels=()))
    story.then(f.ChannelPolicySet, like(f.StockReserved, order_id="w", quantity=2), f.SellingRulesResolved)
