"""Stock at a location that nobody has registered is recorded, and nothing of it is promised: a typo makes no warehouse.

    receive 5 at WH1, for the first time  -> StockReceived, StockLocated(WH1); free: 0
    confirm WH1                           -> LocationConfirmed(WH1); free: 5, and whoever waits is served

A SKU cannot know registrations, so it asks at the location's stream (`events/locations`), which answers when it knows.
What people and carriers do there is recorded as it happened: goods leave it, are counted, moved and disposed of.
"""

from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.state import Stock


def confirm(decision: Decision, data: c.ConfirmLocation) -> None:
    """A second answer says nothing new."""
    if not decision.stock.registered.get(data.location_id):
        decision.add(f.LocationConfirmed(sku=data.sku, location_id=data.location_id))


def state_locations(decision: Decision) -> None:
    """State each location that the SKU is at for the first time: with stock, with goods on their way, or by a rule."""
    before, stock = decision.before, decision.stock
    # No level ever goes. A SKU may be in a thousand stores, and most decisions bring it to no other one.
    if len(stock.levels) == len(before.levels) and stock.incoming is before.incoming:
        return
    places = {*stock.levels, *(source.location_id for source in stock.incoming)}
    for location_id in sorted(places - stock.registered.keys()):
        decision.add(f.StockLocated(sku=stock.sku, location_id=location_id))


def why_not(stock: Stock, location_id: str) -> str:
    """Why no units are held there. A SKU that was never there does not know whether anybody has registered it."""
    return "not_enough" if stock.registered.get(location_id, True) else "not_registered"
