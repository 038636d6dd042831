"""The entry of SKUs' stock in the catalogue of streams."""

import msgspec

from events.stock import commands as c
from events.stock import facts as f
from events.stock.decide import conclude, decide
from events.stock.evolve import evolve
from events.stock.state import Stock, StoredStock, empty, from_stored, to_stored
from events.streams import StreamType, members, pack

_unpack = msgspec.msgpack.Decoder(StoredStock).decode

STREAM: StreamType[Stock, c.StockCommand, f.StockFact] = StreamType(
    kind="stock",
    topic="stock",
    key="sku",
    commands=members(c.StockCommand),
    internal=(
        c.ApplyCategoryPolicy,
        c.ConfirmLocation,
        c.AwaitStock,
        c.ShipStock,
        c.RestoreStock,
        c.ReturnStock,
        c.RejectStock,
        c.ExpireReservation,
        c.CheckExpected,
        c.ServeQueue,
    ),
    facts=members(f.StockFact),
    begin=empty,
    decide=decide,
    conclude=conclude,
    evolve=evolve,
    encode=lambda stock: pack(to_stored(stock)),
    decode=lambda stored: from_stored(_unpack(stored)),
    ids_kept_days=30,
)
