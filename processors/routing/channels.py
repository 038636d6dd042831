"""The stock that a channel may use: without units kept back from it, and without locations that do not serve it.

kept = {"MUG": {"WH1": {"web": 3, "*": 0}}}
offered({"MUG": {"WH1": 5, "WH2": 1}}, places, kept, "web", ["MUG"]).stock  -> {"MUG": {"WH1": 2, "WH2": 1}}
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from events.stock.rules import EVERY
from processors.routing.model import Availability, Place

KeptBack = Mapping[str, Mapping[str, Mapping[str, int | None]]]
"""Units kept back by SKU, location and channel (`*`: every channel not named there); None: all units."""

NOTHING_KEPT: KeptBack = {}


class Offered(NamedTuple):
    """Stock and locations for one channel; `closed` are the locations that do not serve it."""

    stock: Availability
    places: Mapping[str, Place]
    closed: frozenset[str]


def offered(
    stock: Availability, places: Mapping[str, Place], kept: KeptBack, channel: str, skus: Collection[str]
) -> Offered:
    """The channel's part of the stock of these SKUs. If nothing is kept back, the arguments themselves."""
    closed = frozenset(key for key, place in places.items() if place.excluded_channels and serves_not(place, channel))
    if not closed and kept.keys().isdisjoint(skus):
        return Offered(stock, places, closed)
    free = {
        sku: {
            place: _left(units, kept.get(sku, {}).get(place), channel)
            for place, units in stock.get(sku, {}).items()
            if place not in closed
        }
        for sku in skus
    }
    return Offered(free, {key: place for key, place in places.items() if key not in closed}, closed)


def serves_not(place: Place, channel: str) -> bool:
    """Whether the location does not serve this channel."""
    return channel in place.excluded_channels or EVERY in place.excluded_channels


def _left(units: int, kept: Mapping[str, int | None] | None, channel: str) -> int:
    if kept is None:
        return units
    buffer = kept[channel] if channel in kept else kept.get(EVERY, 0)
    return 0 if buffer is None else max(0, units - buffer)
