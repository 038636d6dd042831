"""The facts of a location."""

from msgspec import Struct

from events.values import Id, Natural, Text


class LocationRegistered(Struct, frozen=True, kw_only=True):
    """A place that holds stock, as it is from now on."""

    location_id: Id
    name: Text
    kind: Text
    latitude: float | None = None
    longitude: float | None = None
    country: Text | None = None
    daily_capacity: Natural | None = None
    cost_minor_per_parcel: Natural | None = None


class LocationPolicySet(Struct, frozen=True, kw_only=True):
    """Which channels the location does not serve from now on, whatever the SKU."""

    location_id: Id
    excluded_channels: tuple[Id, ...]
    served_again: tuple[Id, ...]


class LocationJoined(Struct, frozen=True, kw_only=True):
    """The location answers a SKU whether it is registered. If not, it answers again once it is registered."""

    location_id: Id
    sku: Id
    registered: bool


LocationFact = LocationRegistered | LocationPolicySet | LocationJoined
