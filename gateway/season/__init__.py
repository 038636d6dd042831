"""A simulated peak season from a seed: two weeks around Black Friday 2025, as commands.

Nothing in here happened. The names of channels, carriers, locations and orders show it (`simulated-…`, `SIM-…`,
`sim-…`), the actor is always "simulation", and the first line of `describe` says it. Only the world outside the ledger
is simulated: customers, pickers, carriers, the service desk. The ledger's answers are real.

Every phase is a pure function without clock, file or connection. Each order has its own `random.Random`, seeded by a
text, so its commands do not depend on other orders or on the sequence of views. The same arguments give the same ids
and bodies, so publishing them twice changes nothing.

    publish(opening(7, 2000)); publish(orders(7, 2000)); settle()
    publish(fulfil(order_views(), 7))                              # allocated units leave and arrive
    publish(restock(7, 2000)); settle()
    publish(fulfil(order_views(), 7, not_before=SEASON.restocked_at))   # units that were backordered
    publish(returns(order_views(), 7)); settle()
    publish(counts(inventory_rows(), 7, SEASON.counted_at))

`fulfil` also simulates picking and carriers around real orders (`import online-retail`): it only reads order views.
"""

from gateway.season.baskets import orders
from gateway.season.cycle_counts import counts
from gateway.season.form import ACTOR, CHANNELS, Command, View, run_name
from gateway.season.parameters import SEASON, Season
from gateway.season.parcels import fulfil
from gateway.season.sending_back import returns
from gateway.season.shelves import opening, restock
from gateway.season.summary import describe
from gateway.season.world import SKU_PREFIX

__all__ = [
    "ACTOR",
    "CHANNELS",
    "SEASON",
    "SKU_PREFIX",
    "Command",
    "Season",
    "View",
    "counts",
    "describe",
    "fulfil",
    "opening",
    "orders",
    "restock",
    "returns",
    "run_name",
]
