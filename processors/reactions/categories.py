"""SKUs and their categories: a SKU that joins asks for the policy, and a policy goes to each SKU that belongs to it.

SkuCategorised(MUG, from glass to china)  -> JoinCategory(glass, leaves), JoinCategory(china, joins)
CategoryPolicyApplied(china, MUG, rules)  -> ApplyCategoryPolicy(MUG, rules)
"""

from events.categories.commands import JoinCategory
from events.categories.facts import CategoryPolicyApplied
from events.envelope import Recorded
from events.stock.commands import ApplyCategoryPolicy
from events.stock.facts import SkuCategorised
from processors.reactions.asked import Asked, named
from processors.reactions.rows import On

ACTOR = "categories"


def join(fact: Recorded[SkuCategorised]) -> list[Asked]:
    """The SKU leaves the one and joins the other; the version of its stream says which word is newer.

    The ids are made of that version, too: a SKU forgets its channels' ids after 30 days, and what is decided again then
    has the event id that it had before.
    """
    sku = fact.data
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=named("join" if joins else "leave", sku.sku, fact.version),
            data=JoinCategory(category_id=category_id, sku=sku.sku, sku_version=fact.version, joins=joins),
        )
        for category_id, joins in ((sku.previous, False), (sku.category_id, True))
        if category_id is not None
    ]


def apply(fact: Recorded[CategoryPolicyApplied]) -> list[Asked]:
    """The policy as it was when the category stated this; an older one does not replace a newer one."""
    policy = fact.data
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=named("category-policy", policy.category_id, fact.version),
            data=ApplyCategoryPolicy(
                sku=policy.sku,
                category_id=policy.category_id,
                policy_version=policy.policy_version,
                rules=policy.rules,
            ),
        )
    ]


REACTIONS = (On(SkuCategorised, join), On(CategoryPolicyApplied, apply))
