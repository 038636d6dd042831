"""The orders of a benchmark: 3 lines each over 1,000 SKUs at 5 locations, and stock that never runs out.

The same seed makes the same orders for the ledger and for each of its peers.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

SKUS, LINES = 1_000, 3
#: Name, latitude, longitude: routing compares distances, so that a location is chosen and not only found.
LOCATIONS = (
    ("L0", 53.55, 9.99),
    ("L1", 52.52, 13.40),
    ("L2", 50.94, 6.96),
    ("L3", 48.14, 11.58),
    ("L4", 50.11, 8.68),
)
#: Of each SKU at each location: more than all rounds take, so that every line is allocated at the first attempt.
UNITS_IN_STOCK = 1_000_000
CHANNELS = ("web", "app", "store")


class Line(NamedTuple):
    line_id: str
    sku: str
    quantity: int
    unit_price_minor: int


class Order(NamedTuple):
    order_id: str
    channel: str
    customer_id: str
    postcode: str
    lines: tuple[Line, ...]


class Receipt(NamedTuple):
    sku: str
    location_id: str
    quantity: int


def receipts() -> Iterator[Receipt]:
    """Stock for everything, one receipt for each SKU and location."""
    for number in range(SKUS):
        for name, _, _ in LOCATIONS:
            yield Receipt(f"SKU-{number:05}", name, UNITS_IN_STOCK)


class Traffic:
    """Makes orders, and counts what must come of them: `orders`, `lines`, `units`, and `units_of` each SKU."""

    def __init__(self, seed: int = 7) -> None:
        self._random = Random(seed)
        self.orders = self.lines = self.units = 0
        self.units_of: dict[str, int] = {}

    def order(self) -> Order:
        draw = self._random
        lines = tuple(
            Line(str(n), f"SKU-{sku:05}", draw.randint(1, 3), draw.randint(500, 20_000))
            for n, sku in enumerate(draw.sample(range(SKUS), LINES), 1)
        )
        self.orders += 1
        self.lines += LINES
        for line in lines:
            self.units += line.quantity
            self.units_of[line.sku] = self.units_of.get(line.sku, 0) + line.quantity
        return Order(
            f"o-{self.orders:08}",
            draw.choice(CHANNELS),
            f"C{draw.randrange(200_000):06}",
            f"{draw.randrange(1_000, 99_999):05}",
            lines,
        )
