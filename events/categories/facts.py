"""The facts of a category."""

from msgspec import Struct

from events.values import Buffer, CategoryRules, Id, Natural, Quantity


class CategoryPolicySet(Struct, frozen=True, kw_only=True):
    """What channels may sell of a category from now on, everywhere or at one location."""

    category_id: Id
    location_id: Id | None = None
    buffers: tuple[Buffer, ...]
    excluded_channels: tuple[Id, ...]
    policy_version: Quantity


class CategoryMembershipChanged(Struct, frozen=True, kw_only=True):
    """A SKU has joined or left the category."""

    category_id: Id
    sku: Id
    sku_version: Quantity
    member: bool


class CategoryPolicyApplied(Struct, frozen=True, kw_only=True):
    """The category's policy applies to one of its SKUs."""

    category_id: Id
    sku: Id
    policy_version: Natural
    rules: tuple[CategoryRules, ...]


CategoryFact = CategoryPolicySet | CategoryMembershipChanged | CategoryPolicyApplied
