"""A location: registering it again replaces what was said before."""

from collections.abc import Sequence

from msgspec import Struct

from events.envelope import Command, Refused
from events.locations import commands as c
from events.locations import facts as f
from events.refusal import CommandRefused


class Location(Struct, frozen=True, kw_only=True):
    """A registered place."""

    location_id: str
    name: str
    kind: str


def decide(_location: Location | None, command: Command[c.LocationCommand]) -> Sequence[f.LocationFact] | Refused:
    """The one fact of a registration; refused where only one of the two coordinates is given."""
    data = command.data
    if (data.latitude is None) != (data.longitude is None):
        return Refused(
            code="invalid",
            what=f"location {data.location_id} was not registered",
            detail="only one of latitude and longitude is given",
            hint="send both or neither",
        )
    return (
        f.LocationRegistered(
            location_id=data.location_id,
            name=data.name,
            kind=data.kind,
            latitude=data.latitude,
            longitude=data.longitude,
            country=data.country,
            daily_capacity=data.daily_capacity,
            cost_minor_per_parcel=data.cost_minor_per_parcel,
        ),
    )


def evolve(location: Location | None, fact: f.LocationFact | CommandRefused) -> Location | None:
    """The location after the fact."""
    if isinstance(fact, CommandRefused):
        return location
    return Location(location_id=fact.location_id, name=fact.name, kind=fact.kind)
