"""The types of routing: what an order wants, what routing knows, and the plan.

World(stock={"MUG": {"WH1": 5}}, places={"WH1": Place("WH1", 52.5, 13.4, 400)})
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

Coordinates = tuple[float, float]
"""Degrees north and east."""

Availability = Mapping[str, Mapping[str, int]]
"""Units by SKU and location. Zero or less counts as none."""


class Need(NamedTuple):
    """Units of a line that need a location."""

    line_id: str
    sku: str
    quantity: int


class Place(NamedTuple):
    """A location: degrees, cost of a parcel from there in minor units (None: unknown, counts as 0), parcels a day
    (None: unlimited).
    """

    location_id: str
    latitude: float | None = None
    longitude: float | None = None
    cost_minor_per_parcel: int | None = None
    kind: str | None = None
    country: str | None = None
    daily_capacity: int | None = None
    excluded_channels: tuple[str, ...] = ()


class Part(NamedTuple):
    """Units of a line from one location."""

    line_id: str
    sku: str
    location_id: str
    quantity: int


class Plan(NamedTuple):
    """`parts` in the order of the lines, best location first; `short` are units without a location.

    `gap` is 0 if the plan is proved to be the best. Otherwise it is the most that the plan may cost too much, in the
    problem's own numbers (see `optimum`).
    """

    parts: tuple[Part, ...]
    short: tuple[Need, ...]
    gap: int = 0


class Wanted(NamedTuple):
    """An order, or the rest of it, to be routed. `at` is the moment of the plan, by the channel's clock.

    `excluded` are (line_id, location_id) that have just refused. The location is left out for the whole SKU, because
    other lines of the SKU would be served from the same shelf. `held_at`: locations that already have units allocated
    to the order; more units travel in the same parcel.
    """

    order_id: str
    needs: tuple[Need, ...]
    at: datetime
    channel: str = ""
    service_level: str = "standard"
    country: str = ""
    region: str | None = None
    value_minor: int = 0
    destination: Coordinates | None = None
    due_by: datetime | None = None
    excluded: tuple[tuple[str, str], ...] = ()
    held_at: tuple[str, ...] = ()


class World(NamedTuple):
    """What routing knows. It may be a little out of date: the stock streams decide from the true numbers.

    `waiting`: parcels that are planned and have not left, by location. `sent`: parcels that left, by location and day.
    `weekly`: units that leave in a week, by SKU and location.
    """

    stock: Availability
    places: Mapping[str, Place]
    waiting: Mapping[str, int] = {}
    sent: Mapping[tuple[str, date], int] = {}
    weekly: Mapping[str, Mapping[str, float]] = {}


class Problem(NamedTuple):
    """The problem: which locations to use. All numbers are whole.

    `stock[s][l]`: units of SKU s at location l, at most `demand[s]`. `fixed[l]`: cost of using l at all.
    `per_unit[s][l]`: cost of each unit, or None if units cost the same everywhere. At most `parcels_max` locations.
    Locations are sorted by (fixed, name): the first is the best.
    """

    locations: tuple[str, ...]
    skus: tuple[str, ...]
    demand: tuple[int, ...]
    stock: tuple[tuple[int, ...], ...]
    fixed: tuple[int, ...]
    per_unit: tuple[tuple[int, ...], ...] | None = None
    parcels_max: int | None = None


class Solution(NamedTuple):
    """`chosen` locations (numbers, ascending), units filled, and their total cost. `gap` as in `Plan`."""

    chosen: tuple[int, ...]
    filled: int
    cost: int
    gap: int = 0
