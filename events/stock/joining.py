"""Stock at an unregistered location is recorded, but not promised, so that a typing error does not make a warehouse.

    receive 5 at WH1, for the first time  -> StockReceived, StockLocated(WH1); free: 0
    a line asks for 2                     -> ReservationPostponed
    WH1 is registered                     -> LocationConfirmed(WH1); free: 5, and the line gets 2 of them
    WH1 is not                            -> LocationConfirmed(WH1, registered=False), and the line waits

A SKU cannot know registrations, so it asks the location's stream (`events/locations`). That answers at once, and again
when the location is registered. A line whose answer depends on it waits, so the speed of the answer decides nothing.
Actions of people and carriers there are recorded as they happened: goods leave, are counted, moved and disposed of.
"""

from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.state import Stock


def confirm(decision: Decision, data: c.ConfirmLocation) -> None:
    """Record the location's answer. A location stays registered, so "not registered" after "registered" is outdated."""
    known = decision.stock.registered.get(data.location_id)
    if known is None or data.registered > known:
        decision.add(f.LocationConfirmed(sku=data.sku, location_id=data.location_id, registered=data.registered))


def state_locations(decision: Decision) -> None:
    """State each location that the SKU is at for the first time: with stock, incoming goods or a rule."""
    before, stock = decision.before, decision.stock
    # Levels are never removed, so their number shows whether there are new ones. A SKU may be in a thousand stores, and
    # most decisions add no location.
    if len(stock.levels) == len(before.levels) and stock.incoming is before.incoming:
        return
    places = {*stock.levels, *(source.location_id for source in stock.incoming)}
    for location_id in sorted(places - stock.registered.keys()):
        decision.add(f.StockLocated(sku=stock.sku, location_id=location_id))


def why_not(stock: Stock, location_id: str) -> str:
    """Why no units are reserved there. A SKU that was never there does not know whether it is registered."""
    return "not_enough" if stock.registered.get(location_id, True) else "not_registered"
