"""Stock at an unregistered location is recorded, but not promised, because the location id may be a typing error.

    receive 5 at WH1, for the first time  -> StockReceived, StockLocated(WH1); free: 0
    a line asks for 2                     -> ReservationPostponed
    WH1 is registered                     -> LocationConfirmed(WH1); free: 5, and the line gets 2 of them
    WH1 is not registered                 -> LocationConfirmed(WH1, registered=False), and the line waits

A SKU does not know which locations are registered, so it asks the location's stream (`events/locations`). The stream
answers at once. If the answer is no, it answers again when the location is registered. A line that may need units of
the location gets its own answer only then, so the result does not depend on how fast the location answers.

What people and carriers do at an unregistered location is recorded as it happened: goods leave, are counted and moved.
"""

from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.state import Stock


def confirm(decision: Decision, data: c.ConfirmLocation) -> None:
    """Record the location's answer. A location stays registered, so a no after a yes is outdated and ignored."""
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
    """The reason of a refusal at this location. Of a location where the SKU never was, nothing is known."""
    return "not_enough" if stock.registered.get(location_id, True) else "not_registered"
