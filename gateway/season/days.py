"""The times of orders: a weight per day and hour, and the times that follow from it.

Black Friday's weight is `surge`, a normal day's is 1; the days around it rise by a share of that. Orders are
distributed to hours by rounding the running total, so the ratio of two days is as exact as whole orders allow.

>>> day_weights(10.0)[SEASON.black_friday]
10.0
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from gateway.season.form import drawn_by, run_name
from gateway.season.parameters import SEASON, Season


def check(orders: int, surge: float) -> None:
    """Raises ValueError for an impossible size of a season."""
    if orders < 0 or not 1 <= surge <= 1000:
        raise ValueError(
            f"no such season: orders={orders}, surge={surge}; orders is 0 or more, surge (Black Friday's orders over a"
            " normal day's) is from 1 to 1000"
        )


def day_weights(surge: float, season: Season = SEASON) -> dict[date, float]:
    """Orders of each day of the season, relative to a normal day."""
    rise = dict(season.rise_of_days)
    days = [season.first_day + timedelta(days=number) for number in range(season.days)]
    return {day: 1 + (surge - 1) * rise.get(day, 0.0) for day in days}


def orders_per_hour(orders: int, surge: float, season: Season = SEASON) -> Iterator[tuple[datetime, int]]:
    """Each hour of the season (UTC) and its number of orders."""
    weights = [
        (datetime.combine(day, time(hour), tzinfo=UTC), weight * hour_weight)
        for day, weight in day_weights(surge, season).items()
        for hour, hour_weight in enumerate(season.hour_weights)
    ]
    total, running, dealt = sum(weight for _, weight in weights), 0.0, 0
    for hour, weight in weights:
        running += weight
        due = round(orders * running / total)
        yield hour, due - dealt
        dealt = due


def orders_per_day(orders: int, surge: float, season: Season = SEASON) -> dict[date, int]:
    """The number of orders on each day of the season (UTC)."""
    days = dict.fromkeys(day_weights(surge, season), 0)
    for hour, count in orders_per_hour(orders, surge, season):
        days[hour.date()] += count
    return days


def order_times(seed: int, orders: int, surge: float, season: Season = SEASON) -> Iterator[datetime]:
    """The time of each order, earliest first, in whole seconds UTC."""
    run = run_name(seed, orders, surge)
    for hour, count in orders_per_hour(orders, surge, season):
        draw = drawn_by(f"{run} hour {hour.isoformat()}")
        for second in sorted(draw.randrange(3600) for _ in range(count)):
            yield hour + timedelta(seconds=second)
