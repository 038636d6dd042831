"""The commands of a location, checked as they come in."""

from typing import Literal

from msgspec import Struct

from events.values import CountryCode, Id, Latitude, Longitude, Natural, Text


class RegisterLocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Register a place that holds stock, and what it can do."""

    location_id: Id
    name: Text
    kind: Literal["warehouse", "store", "third_party", "supplier"]
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    country: CountryCode | None = None
    daily_capacity: Natural | None = None
    cost_minor_per_parcel: Natural | None = None


class SetLocationPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which channels the location does not serve, whatever the SKU."""

    location_id: Id
    excluded_channels: tuple[Id, ...]


class JoinLocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A SKU is at the location for the first time. The location answers whether it is registered."""

    location_id: Id
    sku: Id


LocationCommand = RegisterLocation | SetLocationPolicy | JoinLocation
