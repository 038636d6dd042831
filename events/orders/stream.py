"""The entry of orders in the catalogue of streams."""

import msgspec

from events.orders import commands as c
from events.orders import facts as f
from events.orders.decide import conclude, decide
from events.orders.state import Order
from events.streams import StreamType, members, pack

STREAM: StreamType[Order | None, c.OrderCommand, f.OrderFact] = StreamType(
    kind="order",
    topic="orders",
    key="order_id",
    commands=members(c.OrderCommand),
    internal=(c.RecordAllocation, c.ReleaseOrder, c.QueueOrder, c.CancelOverdueLines, c.ExpireTracking),
    facts=members(f.OrderFact),
    begin=lambda _: None,
    decide=decide,
    conclude=conclude,
    evolve=f.evolve,
    encode=pack,
    decode=msgspec.msgpack.Decoder(Order | None).decode,
)
