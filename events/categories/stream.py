"""The entry of categories in the catalogue of streams."""

import msgspec

from events.categories import commands as c
from events.categories import facts as f
from events.categories.decide import Category, decide, evolve
from events.streams import StreamType, members, pack, step_by_step

STREAM: StreamType[Category | None, c.CategoryCommand, f.CategoryFact] = StreamType(
    kind="category",
    topic="service",
    key="category_id",
    commands=members(c.CategoryCommand),
    facts=members(f.CategoryFact),
    begin=lambda _: None,
    decide=decide,
    conclude=step_by_step(decide, evolve),
    evolve=evolve,
    encode=pack,
    decode=msgspec.msgpack.Decoder(Category | None).decode,
    internal=(c.JoinCategory,),
)
