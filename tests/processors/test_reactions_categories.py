"""SKUs and their categories: what a SKU says reaches the category, and the category's policy the SKU."""

from __future__ import annotations

from events.categories.facts import CategoryPolicyApplied
from events.stock.facts import SkuCategorised
from processors.reactions.categories import apply, join
from tests.processors.test_reactions import recorded


def test_a_sku_leaves_the_one_category_and_joins_the_other() -> None:
    left, joined = join(recorded(SkuCategorised(sku="MUG", category_id="china", previous="glass"), version=4))
    assert (left.data.category_id, left.data.joins, left.data.sku_version) == ("glass", False, 4)
    assert (joined.data.category_id, joined.data.joins, joined.data.sku_version) == ("china", True, 4)


def test_a_command_that_a_sku_decides_again_after_its_ids_were_forgotten_is_a_new_word() -> None:
    fact = SkuCategorised(sku="MUG", category_id="china")
    (first,), (again,) = (join(recorded(fact, version=version, event_id="e1")) for version in (1, 9))
    assert first.id != again.id


def test_a_policy_is_brought_to_its_sku() -> None:
    (asked,) = apply(recorded(CategoryPolicyApplied(category_id="china", sku="MUG", policy_version=3, rules=())))
    assert (asked.data.sku, asked.data.category_id, asked.data.policy_version) == ("MUG", "china", 3)
