"""The entry of customer service cases in the catalogue of streams."""

import msgspec

from events.cases import commands as c
from events.cases import facts as f
from events.cases.decide import Case, decide, evolve
from events.streams import StreamType, members, pack, step_by_step

STREAM: StreamType[Case | None, c.CaseCommand, f.CaseFact] = StreamType(
    kind="case",
    topic="service",
    key="case_id",
    commands=members(c.CaseCommand),
    facts=members(f.CaseFact),
    begin=lambda _: None,
    decide=decide,
    conclude=step_by_step(decide, evolve),
    evolve=evolve,
    encode=pack,
    decode=msgspec.msgpack.Decoder(Case | None).decode,
)
