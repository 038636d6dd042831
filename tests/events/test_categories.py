"""Categories: their rules are the least specific, and each SKU has the newest of them, however things cross."""

from __future__ import annotations

from typing import Any

from events.categories import commands as cc
from events.categories import facts as cf
from events.stock import facts as f
from events.stock.commands import ApplyCategoryPolicy
from events.values import Buffer, CategoryRules
from tests.events.builders import assign, category_policy, channels, policy, receive
from tests.events.shop import Shop
from tests.support.given import given, like, sent


def join(version: int, *, sku: str = "MUG", joins: bool = True) -> cc.JoinCategory:
    return cc.JoinCategory(category_id="china", sku=sku, sku_version=version, joins=joins)


FIVE = CategoryRules(buffers=(Buffer(channel="*", quantity=5),), excluded_channels=())


def test_a_sku_that_joins_gets_the_policy_and_so_does_each_member_when_it_changes() -> None:
    story = given(category_policy(buffers={"*": 5})).when(join(3))
    story.then(
        like(cf.CategoryMembershipChanged, sku="MUG", member=True),
        cf.CategoryPolicyApplied(category_id="china", sku="MUG", policy_version=1, rules=(FIVE,)),
    )
    story.when(category_policy(location_id="WH1", excluded_channels=("web",)))
    story.then(like(cf.CategoryPolicySet, policy_version=2), like(cf.CategoryPolicyApplied, policy_version=2))
    story.when(join(4, joins=False)).then(like(cf.CategoryMembershipChanged, member=False))
    story.when(category_policy(buffers={})).then(cf.CategoryPolicySet)


def test_an_older_word_of_a_sku_does_not_undo_a_newer_one() -> None:
    story = given(join(5)).when(join(4, joins=False)).then_nothing()
    story.when(join(5)).then_nothing()


def test_a_category_without_a_policy_has_no_rules() -> None:
    given(join(1)).when(join(1, sku="CUP")).then(
        cf.CategoryMembershipChanged, like(cf.CategoryPolicyApplied, policy_version=0, rules=())
    )


def test_a_policy_that_says_nothing_is_refused() -> None:
    given(join(1)).when(category_policy()).then_refused("invalid")


def apply(version: int, *rules: CategoryRules, category_id: str = "china") -> Any:
    return sent(ApplyCategoryPolicy(sku="MUG", category_id=category_id, policy_version=version, rules=tuple(rules)))


def test_the_newest_policy_of_the_category_that_the_sku_belongs_to_counts() -> None:
    story = given(receive(50), assign("china")).when(apply(2, FIVE))
    story.then(f.CategoryRulesSet, f.SellingRulesResolved)
    assert story.state.level("WH1").free("web") == 45
    story.when(apply(1)).then_nothing()
    story.when(apply(9, category_id="glass")).then_nothing()


def test_what_the_old_category_kept_back_stays_so_until_the_new_policy_is_here() -> None:
    story = given(receive(50), assign("china"), apply(2, FIVE)).when(assign("glass")).then(f.SkuCategorised)
    assert story.state.level("WH1").free("web") == 45
    story.when(apply(0, category_id="glass")).then(f.CategoryRulesSet, f.SellingRulesResolved)
    assert story.state.level("WH1").free("web") == 50


def test_a_sku_without_a_category_has_none_of_its_rules() -> None:
    story = given(receive(50), assign("china"), apply(2, FIVE)).when(assign(None))
    story.then(like(f.SkuCategorised, category_id=None, previous="china"), f.SellingRulesResolved)
    assert story.state.level("WH1").free("web") == 50
    story.when(assign(None)).then_refused("conflict")


def test_of_fifty_the_location_leaves_thirty_and_an_exclusion_of_the_category_none() -> None:
    """Category 5, SKU 10, SKU at this location 20: through the category's stream and the reactions."""
    for seed in range(20):
        shop = Shop(seed)
        shop.ask(receive(50), category_policy(buffers={"*": 5}), assign("china"))
        shop.run()
        assert shop.skus["MUG"].level("WH1").free("web") == 45
        shop.ask(channels(buffers={"*": 10}))
        shop.run()
        assert shop.skus["MUG"].level("WH1").free("web") == 40
        shop.ask(policy(buffers={"*": 20}))
        shop.run()
        assert shop.skus["MUG"].level("WH1").free("web") == 30
        shop.ask(category_policy(excluded_channels=("web",)), category_policy(location_id="WH2", buffers={"*": 1}))
        shop.run()
        assert shop.skus["MUG"].level("WH1").free("web") == 0
        assert shop.skus["MUG"].level("WH1").free("store") == 30
