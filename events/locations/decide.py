"""A location. A new registration replaces the old one; a separate command says which channels it serves.

Stock may arrive before the location is registered. Each SKU asks once, and gets an answer at once. If the answer is no,
a second one follows when the location is registered:

    MUG joins WH1, which nobody has registered  -> LocationJoined(MUG, registered=False)
    register WH1                                -> LocationRegistered, LocationJoined(MUG, registered=True)
    CUP joins WH1                               -> LocationJoined(CUP, registered=True)
"""

from collections.abc import Sequence
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from events.envelope import About, Command, Refused
from events.locations import commands as c
from events.locations import facts as f
from events.refusal import CommandRefused, already_so


class Unregistered(Struct, frozen=True, tag=True):
    """An unregistered location, and the SKUs that wait until it is registered."""

    skus: tuple[str, ...] = ()


class Location(Struct, frozen=True, kw_only=True, tag=True):
    """A registered location."""

    location_id: str
    name: str
    kind: str
    latitude: float | None = None
    longitude: float | None = None
    country: str | None = None
    daily_capacity: int | None = None
    cost_minor_per_parcel: int | None = None
    excluded_channels: tuple[str, ...] = ()


State = Unregistered | Location


def decide(location: State, command: Command[c.LocationCommand]) -> Sequence[f.LocationFact] | Refused:
    """The facts of the command in this state, or a refusal."""
    data = command.data
    match data:
        case c.RegisterLocation():
            return _register(location, data)
        case c.SetLocationPolicy():
            return _set_policy(location, data)
        case c.JoinLocation():
            return _join(location, data)
        case _:
            assert_never(data)


def _register(location: State, data: c.RegisterLocation) -> Sequence[f.LocationFact] | Refused:
    if (data.latitude is None) != (data.longitude is None):
        return Refused(
            code="invalid",
            what=f"location {data.location_id} was not registered",
            detail="only one of latitude and longitude is given",
            hint="send both or neither",
        )
    registered = f.LocationRegistered(
        location_id=data.location_id,
        name=data.name,
        kind=data.kind,
        latitude=data.latitude,
        longitude=data.longitude,
        country=data.country,
        daily_capacity=data.daily_capacity,
        cost_minor_per_parcel=data.cost_minor_per_parcel,
    )
    if _registered(location, registered) == location:
        return already_so(
            f"location {data.location_id} was not registered", f"it is already registered as {data.name} ({data.kind})"
        )
    waiting = location.skus if isinstance(location, Unregistered) else ()
    return (registered, *(f.LocationJoined(location_id=data.location_id, sku=sku, registered=True) for sku in waiting))


def _join(location: State, data: c.JoinLocation) -> Sequence[f.LocationFact]:
    """Answer the SKU. If it asks again while it waits, there is nothing new to say."""
    if isinstance(location, Unregistered) and data.sku in location.skus:
        return ()
    registered = isinstance(location, Location)
    return (f.LocationJoined(location_id=data.location_id, sku=data.sku, registered=registered),)


def _set_policy(location: State, data: c.SetLocationPolicy) -> Sequence[f.LocationFact] | Refused:
    if isinstance(location, Unregistered):
        return Refused(
            code="unknown",
            what=f"the policy of location {data.location_id} was not set",
            detail="this location is not registered",
            hint="send RegisterLocation first; check location_id",
        )
    excluded = tuple(sorted(set(data.excluded_channels)))
    if excluded == location.excluded_channels:
        return already_so(
            f"the policy of location {data.location_id} was not set",
            f"the channels that it does not serve are already {', '.join(excluded) or 'none'}",
        )
    again = tuple(channel for channel in location.excluded_channels if channel not in excluded)
    return (f.LocationPolicySet(location_id=data.location_id, excluded_channels=excluded, served_again=again),)


def evolve(location: State, fact: f.LocationFact | CommandRefused, _: About) -> State:
    """The location after the fact."""
    match fact:
        case CommandRefused():
            return location
        case f.LocationRegistered():
            return _registered(location, fact)
        case f.LocationPolicySet():
            return (
                location
                if isinstance(location, Unregistered)
                else replace(location, excluded_channels=fact.excluded_channels)
            )
        case f.LocationJoined():
            if isinstance(location, Unregistered) and not fact.registered:
                return Unregistered((*location.skus, fact.sku))
            return location
        case _:
            assert_never(fact)


def _registered(location: State, fact: f.LocationRegistered) -> Location:
    return Location(
        location_id=fact.location_id,
        name=fact.name,
        kind=fact.kind,
        latitude=fact.latitude,
        longitude=fact.longitude,
        country=fact.country,
        daily_capacity=fact.daily_capacity,
        cost_minor_per_parcel=fact.cost_minor_per_parcel,
        excluded_channels=location.excluded_channels if isinstance(location, Location) else (),
    )
