"""Stock at a location that nobody has registered is recorded, and nothing of it is promised: a typo makes no warehouse.

    receive 5 at WH1, for the first time  -> StockReceived, StockLocated(WH1); free: 0
    a line asks for 2                     -> ReservationPostponed
    WH1 is registered                     -> LocationConfirmed(WH1); free: 5, and the line gets 2 of them
    WH1 is not                            -> LocationConfirmed(WH1, registered=False), and the line waits

A SKU cannot know registrations, so it asks at the location's stream (`events/locations`), which answers at once, and
again with its registration. How quick that is decides nothing: a line whose answer depends on it waits for it. What
people and carriers do there is recorded as it happened: goods leave it, are counted, moved and disposed of.
"""

from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.state import Stock


def confirm(decision: Decision, data: c.ConfirmLocation) -> None:
    """Nothing unregisters a location, so an answer that says less than an earlier one is an old one."""
    known = decision.stock.registered.get(data.location_id)
    if known is None or data.registered > known:
        decision.add(f.LocationConfirmed(sku=data.sku, location_id=data.location_id, registered=data.registered))


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
