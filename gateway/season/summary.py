"""The summary of a season for people, before anything is published. Its first line says that it is simulated."""

from gateway.season.baskets import hostile_numbers
from gateway.season.days import check, orders_per_day
from gateway.season.form import ACTOR, CHANNELS, LABEL, run_name
from gateway.season.parameters import SEASON, Season
from gateway.season.world import CITIES, LOCATIONS, catalogue_size


def describe(seed: int, orders: int, surge: float = 10.0, *, season: Season = SEASON) -> str:
    """The plan of a season as text: size, orders per day, errors on purpose. Raises ValueError like `orders`."""
    check(orders, surge)
    per_day = orders_per_day(orders, surge, season)
    most = max(per_day.values(), default=0) or 1
    repeated, reused = hostile_numbers(seed, orders, surge, season)
    last_day = max(per_day)
    countries = len({city.country for city in CITIES})
    return "\n".join(
        [
            f"label: {LABEL}",
            f"season: {season.first_day} to {last_day}, Black Friday {season.black_friday}: {surge:g} normal days",
            f"seed: {seed}   order ids: {run_name(seed, orders, surge)}-000001 and on   actor: {ACTOR}",
            (
                f"size: {orders} orders to {len(CITIES)} cities in {countries} countries,"
                f" {catalogue_size(orders)} products at {len(LOCATIONS)} locations"
            ),
            f"channels: {', '.join(CHANNELS)}",
            (
                f"on purpose: {len(repeated)} orders sent twice, {len(reused)} ids reused (to be refused),"
                f" {len(season.short_ranks)} products that sell out,"
                f" {season.other_location_share:.1%} of parcels from another warehouse than planned"
            ),
            "orders per day:",
            *(f"  {day:%a} {day}  {count:>7}  {'#' * round(40 * count / most)}" for day, count in per_day.items()),
        ]
    )
