"""SKUs and the locations that they are at: each asks once whether the location is registered, and hears when it is.

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
    """The location's stream remembers the SKU until somebody registers it."""
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
    """Also where the answer is no: what waits for it is answered then."""
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
