"""The entry of locations in the catalogue of streams."""

import msgspec

from events.locations import commands as c
from events.locations import facts as f
from events.locations.decide import State, Unregistered, decide, evolve
from events.streams import StreamType, members, pack, step_by_step

STREAM: StreamType[State, c.LocationCommand, f.LocationFact] = StreamType(
    kind="location",
    topic="service",
    key="location_id",
    commands=members(c.LocationCommand),
    facts=members(f.LocationFact),
    begin=lambda _: Unregistered(),
    decide=decide,
    conclude=step_by_step(decide, evolve),
    evolve=evolve,
    encode=pack,
    decode=msgspec.msgpack.Decoder(State).decode,
    internal=(c.JoinLocation,),
)
