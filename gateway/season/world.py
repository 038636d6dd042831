"""The simulated shop: six locations, the cities of its customers, and its products.

The cities are real (coordinates in WGS 84, one to three real postcodes each), because sourcing measures distances.
People, shops and products are invented. Nothing here depends on a seed, so two seasons in one ledger share locations
and prices.

>>> product(1).sku
'SIM-0001'
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

from gateway.season.form import drawn_by


@dataclass(frozen=True, slots=True)
class Location:
    """A place that holds stock; `daily_capacity` in parcels, cost in EUR cents per parcel."""

    location_id: str
    name: str
    kind: str
    country: str
    latitude: float
    longitude: float
    daily_capacity: int
    cost_minor_per_parcel: int


LOCATIONS: Final = (
    Location("SIM-WH-HAMBURG", "Simulated warehouse Hamburg", "warehouse", "DE", 53.5503, 9.9929, 60_000, 310),
    Location("SIM-WH-LYON", "Simulated warehouse Lyon", "warehouse", "FR", 45.7578, 4.8320, 40_000, 340),
    Location("SIM-ST-BERLIN", "Simulated store Berlin", "store", "DE", 52.5200, 13.4050, 400, 520),
    Location("SIM-ST-PARIS", "Simulated store Paris", "store", "FR", 48.8566, 2.3522, 400, 540),
    Location("SIM-ST-AMSTERDAM", "Simulated store Amsterdam", "store", "NL", 52.3731, 4.8925, 300, 530),
    Location("SIM-3P-POZNAN", "Simulated third party Poznań", "third_party", "PL", 52.4064, 16.9252, 15_000, 280),
)
#: The prefix of every simulated SKU.
SKU_PREFIX: Final = "SIM-"

MAIN_WAREHOUSES: Final = ("SIM-WH-HAMBURG", "SIM-WH-LYON")
"""Both have every product. A parcel that leaves from the wrong location leaves from the other one."""


@dataclass(frozen=True, slots=True)
class City:
    """A city of customers; `offset_hours` is its UTC offset during the whole season (winter time)."""

    country: str
    region: str
    name: str
    postcodes: tuple[str, ...]
    latitude: float
    longitude: float
    time_zone: str
    weight: float
    offset_hours: int = 1
    same_day: bool = False


CITIES: Final = (
    City("DE", "Berlin", "Berlin", ("10115", "10437", "12043"), 52.52, 13.405, "Europe/Berlin", 9, same_day=True),
    City("DE", "Hamburg", "Hamburg", ("20095", "22767"), 53.5503, 9.9929, "Europe/Berlin", 6),
    City("DE", "Bayern", "München", ("80331", "81541"), 48.1374, 11.5755, "Europe/Berlin", 6),
    City("DE", "Nordrhein-Westfalen", "Köln", ("50667", "50823"), 50.9384, 6.96, "Europe/Berlin", 6),
    City("DE", "Sachsen", "Leipzig", ("04109", "04229"), 51.3397, 12.3731, "Europe/Berlin", 3),
    City(
        "FR", "Île-de-France", "Paris", ("75004", "75011", "75018"), 48.8566, 2.3522, "Europe/Paris", 9, same_day=True
    ),
    City("FR", "Auvergne-Rhône-Alpes", "Lyon", ("69001", "69007"), 45.7578, 4.832, "Europe/Paris", 4),
    City("FR", "Provence-Alpes-Côte d'Azur", "Marseille", ("13001", "13008"), 43.2965, 5.3698, "Europe/Paris", 3),
    City(
        "NL",
        "Noord-Holland",
        "Amsterdam",
        ("1012 JS", "1072 AK"),
        52.3731,
        4.8925,
        "Europe/Amsterdam",
        5,
        same_day=True,
    ),
    City("NL", "Zuid-Holland", "Rotterdam", ("3011 AA", "3039 AC"), 51.9225, 4.4792, "Europe/Amsterdam", 3),
    City("BE", "Brussels", "Brussels", ("1000", "1050"), 50.8467, 4.3525, "Europe/Brussels", 4),
    City("AT", "Wien", "Wien", ("1010", "1070"), 48.2082, 16.3738, "Europe/Vienna", 5),
    City("IT", "Lombardia", "Milano", ("20121", "20144"), 45.4642, 9.19, "Europe/Rome", 5),
    City("IT", "Lazio", "Roma", ("00184", "00153"), 41.8967, 12.4822, "Europe/Rome", 3),
    City("ES", "Comunidad de Madrid", "Madrid", ("28004", "28012"), 40.4168, -3.7038, "Europe/Madrid", 5),
    City("ES", "Cataluña", "Barcelona", ("08001", "08012"), 41.3874, 2.1686, "Europe/Madrid", 4),
    City("PT", "Lisboa", "Lisboa", ("1100-148", "1200-109"), 38.7223, -9.1393, "Europe/Lisbon", 2, offset_hours=0),
    City("IE", "Leinster", "Dublin", ("D02 AF30", "D08 X2A6"), 53.3498, -6.2603, "Europe/Dublin", 2, offset_hours=0),
    City("DK", "Hovedstaden", "København", ("1050", "2200"), 55.6761, 12.5683, "Europe/Copenhagen", 3),
    City("SE", "Stockholm", "Stockholm", ("111 29", "118 20"), 59.3293, 18.0686, "Europe/Stockholm", 3),
    City("FI", "Uusimaa", "Helsinki", ("00100", "00530"), 60.1699, 24.9384, "Europe/Helsinki", 1, offset_hours=2),
    City("PL", "Mazowieckie", "Warszawa", ("00-001", "03-901"), 52.2297, 21.0122, "Europe/Warsaw", 4),
    City("PL", "Wielkopolskie", "Poznań", ("61-001", "60-101"), 52.4064, 16.9252, "Europe/Warsaw", 2),
    City("CZ", "Praha", "Praha", ("110 00", "120 00"), 50.0755, 14.4378, "Europe/Prague", 3),
)
CITY_WEIGHTS: Final = tuple(city.weight for city in CITIES)


@dataclass(frozen=True, slots=True)
class Product:
    """A product. `rank` 1 sells most; a promoted one is cheaper on the peak days."""

    sku: str
    rank: int
    price_minor: int
    promoted: bool


def catalogue_size(orders: int) -> int:
    """The number of products for this many orders: a few hundred, or fewer in a small season, so that each sells."""
    return min(400, max(60, orders // 10))


@cache
def product(rank: int) -> Product:
    """The product of that rank. Prices are lognormal (median 25 euros, 3 to 600) and end in 99 or 49 cents."""
    draw = drawn_by(f"simulated product {rank}")
    euros = min(600, max(3, round(draw.lognormvariate(3.2, 0.8))))
    price_minor = euros * 100 - draw.choice((1, 1, 51))
    return Product(sku=f"{SKU_PREFIX}{rank:04d}", rank=rank, price_minor=price_minor, promoted=draw.random() < 0.25)
