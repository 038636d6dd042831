"""A seeded peak season, made up and labelled so: two weeks around Black Friday 2025 as commands of the vocabulary.

Nothing in here happened. Every channel, carrier, location and order says so by name (`simulated-…`, `SIM-…`,
`sim-…`), the actor is always "simulation", and `describe` heads its summary with the word. What is simulated is the
world outside the ledger: customers, pickers, carriers, the service desk. What the ledger answers is real.

Every phase is a pure function. It knows no clock, no file and no connection; each order draws from its own
`random.Random`, seeded by a text, so its commands depend neither on other orders nor on the order in which views come
in. The same arguments give the same ids and bodies: publishing them twice changes nothing.

    publish(opening(7, 2000)); publish(orders(7, 2000)); settle()
    publish(fulfil(order_views(), 7))                              # what was allocated leaves and arrives
    publish(restock(7, 2000)); settle()
    publish(fulfil(order_views(), 7, not_before=SEASON.restocked_at))   # what had to wait
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
