"""The entry of routing rules in the catalogue of streams."""

import msgspec

from events.routing import commands as c
from events.routing import facts as f
from events.routing.decide import RoutingRules, decide, evolve
from events.streams import StreamType, members, pack, step_by_step

STREAM: StreamType[RoutingRules | None, c.RoutingCommand, f.RoutingFact] = StreamType(
    kind="routing",
    topic="service",
    key="rules_id",
    commands=members(c.RoutingCommand),
    facts=members(f.RoutingFact),
    begin=lambda _: None,
    decide=decide,
    conclude=step_by_step(decide, evolve),
    evolve=evolve,
    encode=pack,
    decode=msgspec.msgpack.Decoder(RoutingRules | None).decode,
)
