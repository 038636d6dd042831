"""The commands of a category, checked as they come in."""

from msgspec import Struct

from events.values import Id, Natural, Quantity


class SetCategoryPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What channels may sell of the SKUs of a category, everywhere or at one location. An unset part stays as it is."""

    category_id: Id
    location_id: Id | None = None
    buffers: dict[Id, Natural] | None = None
    excluded_channels: tuple[Id, ...] | None = None


class JoinCategory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A SKU has joined or left the category."""

    category_id: Id
    sku: Id
    sku_version: Quantity
    joins: bool


CategoryCommand = SetCategoryPolicy | JoinCategory
