"""A category: which SKUs belong to it, and what channels may sell of them.

    decide(category of two SKUs, keep 5 back) -> [CategoryPolicySet(version 3), CategoryPolicyApplied for each SKU]

One stream decides both. So every SKU gets the newest policy, even if it joins while the policy changes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

from msgspec import Struct
from msgspec.structs import replace

from events.categories import commands as c
from events.categories import facts as f
from events.envelope import About, Command, Refused
from events.refusal import CommandRefused, already_so
from events.values import Buffer, CategoryRules


class Member(NamedTuple):
    """Whether a SKU belongs to the category, and the version of the SKU's stream that said so last."""

    sku_version: int
    belongs: bool


class Category(Struct, frozen=True, kw_only=True):
    """`rules` by location, "" for everywhere; `members` by SKU, including SKUs that left."""

    category_id: str
    policy_version: int = 0
    rules: Mapping[str, CategoryRules] = {}
    members: Mapping[str, Member] = {}


def decide(category: Category | None, command: Command[c.CategoryCommand]) -> Sequence[f.CategoryFact] | Refused:
    """The facts of the command in this state, or a refusal."""
    data = command.data
    known = category or Category(category_id=data.category_id)
    match data:
        case c.SetCategoryPolicy():
            return _set_policy(known, data)
        case c.JoinCategory():
            return _join(known, data)
        case _:
            assert_never(data)


def _set_policy(category: Category, data: c.SetCategoryPolicy) -> Sequence[f.CategoryFact] | Refused:
    if data.buffers is None and data.excluded_channels is None:
        return Refused(
            code="invalid",
            what=f"the policy of category {data.category_id} was not set",
            detail="it names neither buffers nor excluded_channels",
            hint="name at least one of them; an empty one removes the present values",
        )
    known = category.rules.get(data.location_id or "")
    buffers = known.buffers if known else ()
    excluded = known.excluded_channels if known else ()
    if data.buffers is not None:
        buffers = tuple(Buffer(channel=channel, quantity=kept) for channel, kept in sorted(data.buffers.items()))
    if data.excluded_channels is not None:
        excluded = tuple(sorted(set(data.excluded_channels)))
    if (buffers, excluded) == ((known.buffers, known.excluded_channels) if known else ((), ())):
        kept = {buffer.channel: buffer.quantity for buffer in buffers}
        return already_so(
            f"the policy of category {data.category_id} was not set",
            f"{data.location_id or 'everywhere'}: buffers are {kept or 'none'}, excluded channels are "
            f"{', '.join(excluded) or 'none'}",
        )
    policy = f.CategoryPolicySet(
        category_id=data.category_id,
        location_id=data.location_id,
        buffers=buffers,
        excluded_channels=excluded,
        policy_version=category.policy_version + 1,
    )
    changed = _ruled(category, policy)
    return (policy, *(_applied(changed, sku) for sku, member in sorted(changed.members.items()) if member.belongs))


def _join(category: Category, data: c.JoinCategory) -> Sequence[f.CategoryFact]:
    known = category.members.get(data.sku)
    if known is not None and known.sku_version >= data.sku_version:
        return ()
    changed = f.CategoryMembershipChanged(
        category_id=data.category_id, sku=data.sku, sku_version=data.sku_version, member=data.joins
    )
    return (changed, _applied(category, data.sku)) if data.joins else (changed,)


def _applied(category: Category, sku: str) -> f.CategoryPolicyApplied:
    return f.CategoryPolicyApplied(
        category_id=category.category_id,
        sku=sku,
        policy_version=category.policy_version,
        rules=tuple(rules for _, rules in sorted(category.rules.items())),
    )


def evolve(category: Category | None, fact: f.CategoryFact | CommandRefused, _: About) -> Category | None:
    """The category after the fact."""
    if isinstance(fact, CommandRefused):
        return category
    known = category or Category(category_id=fact.category_id)
    match fact:
        case f.CategoryPolicySet():
            return _ruled(known, fact)
        case f.CategoryMembershipChanged():
            return replace(known, members={**known.members, fact.sku: Member(fact.sku_version, fact.member)})
        case f.CategoryPolicyApplied():
            return known
        case _:
            assert_never(fact)


def _ruled(category: Category, fact: f.CategoryPolicySet) -> Category:
    here = fact.location_id or ""
    rules = {place: known for place, known in category.rules.items() if place != here}
    if fact.buffers or fact.excluded_channels:
        rules[here] = CategoryRules(
            location_id=fact.location_id, buffers=fact.buffers, excluded_channels=fact.excluded_channels
        )
    return replace(category, policy_version=fact.policy_version, rules=rules)
