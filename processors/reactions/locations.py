"""SKUs and their locations: each SKU asks once whether a location is registered, and gets the answer, also later ones.

StockLocated(MUG, WH1)                -> JoinLocation(WH1, MUG)
LocationJoined(WH1, MUG, registered)  -> ConfirmLocation(MUG, WH1, registered)
"""

from events.envelope import Recorded
from events.locations.commands import JoinLocation
from events.locations.facts import LocationJoined
from events.stock.commands import ConfirmLocation
from events.stock.facts import StockLocated
from processors.reactions.asked import Asked, named
from processors.reactions.rows import On

ACTOR = "locations"


def join(fact: Recorded[StockLocated]) -> list[Asked]:
    """Ask the location. Its stream remembers the SKU until it is registered."""
    stock = fact.data
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=named("join-location", stock.sku, fact.version),
            data=JoinLocation(location_id=stock.location_id, sku=stock.sku),
        )
    ]


def confirm(fact: Recorded[LocationJoined]) -> list[Asked]:
    """Send the answer even if it is no: questions wait for it."""
    joined = fact.data
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=named("confirm-location", joined.location_id, fact.version),
            data=ConfirmLocation(sku=joined.sku, location_id=joined.location_id, registered=joined.registered),
        )
    ]


REACTIONS = (On(StockLocated, join), On(LocationJoined, confirm))
