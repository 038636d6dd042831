"""Customers: they order, change their minds and call. Sometimes their channel sends a command twice.

    for command in orders(seed=7, orders=2000, surge=10): ...     # PlaceOrder first, then what follows it

Commands are sorted by time. A few are wrong on purpose: repeats (the same id and body sent again seconds later: a
duplicate) and reused ids (the same id with another quantity: refused).
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple

from gateway.season.days import check, order_times
from gateway.season.desk import case_of
from gateway.season.form import (
    DESK_CHANNEL,
    MARKETPLACE_CHANNEL,
    SALES_CHANNELS,
    Command,
    command,
    drawn_by,
    hours,
    run_name,
    utc_text,
)
from gateway.season.holds import hold_of
from gateway.season.parameters import SEASON, Season
from gateway.season.world import CITIES, CITY_WEIGHTS, City, Product, catalogue_size, product


class _Told(NamedTuple):
    """A command and when it is sent: at its occurred_at, or later if a channel sends it again."""

    at: datetime
    command: Command


class Assortment:
    """The products of a season with this many orders, and the share of each in the demand."""

    def __init__(self, orders: int, season: Season = SEASON) -> None:
        self.products = tuple(product(rank) for rank in range(1, catalogue_size(orders) + 1))
        weights = [item.rank**-season.zipf_exponent for item in self.products]
        total = sum(weights)
        self.shares = tuple(weight / total for weight in weights)
        self._running = tuple(sum(self.shares[: end + 1]) for end in range(len(self.shares)))

    def draw(self, draw: Random, count: int) -> list[Product]:
        """`count` different products."""
        found: dict[str, Product] = {}
        while len(found) < count:
            (item,) = draw.choices(self.products, cum_weights=self._running)
            found.setdefault(item.sku, item)
        return list(found.values())


def hostile_numbers(
    seed: int, orders: int, surge: float, season: Season = SEASON
) -> tuple[frozenset[int], frozenset[int]]:
    """Numbers of the orders whose PlaceOrder is repeated, and of the orders whose id is reused with another body."""
    draw = drawn_by(f"{run_name(seed, orders, surge)} hostile")
    repeats = min(orders, max(2, round(orders * season.repeats_per_thousand / 1000)))
    reused = min(orders - repeats, season.reused_ids_max, max(1, round(orders * season.reused_ids_per_thousand / 1000)))
    drawn = draw.sample(range(1, orders + 1), repeats + reused)
    return frozenset(drawn[:repeats]), frozenset(drawn[repeats:])


def orders(seed: int, orders: int, surge: float = 10.0, *, season: Season = SEASON) -> Iterator[Command]:
    """All commands of customers, their channels and the service desk in the two weeks, by time.

    Order ids are `sim-{seed}-{orders}x{surge}-000001` and so on. Only commands that still follow earlier orders are in
    memory, not the season. Raises ValueError for a negative number of orders or a surge outside 1 to 1000.
    """
    check(orders, surge)
    run = run_name(seed, orders, surge)
    assortment = Assortment(orders, season)
    repeated, reused = hostile_numbers(seed, orders, surge, season)
    waiting: list[tuple[datetime, int, int, Command]] = []
    for number, at in enumerate(order_times(seed, orders, surge, season), start=1):
        while waiting and waiting[0][0] <= at:
            yield heappop(waiting)[-1]
        story = _story(run, number, at, orders=orders, assortment=assortment, season=season)
        if number in repeated:
            story.append(_Told(at + timedelta(seconds=5 + number % 40), story[0].command))
        if number in reused:
            story.append(_Told(at + timedelta(seconds=10), _another_body(story[0].command)))
        for step, told in enumerate(story):
            heappush(waiting, (told.at, number, step, told.command))
    while waiting:
        yield heappop(waiting)[-1]


def _story(run: str, number: int, at: datetime, *, orders: int, assortment: Assortment, season: Season) -> list[_Told]:
    order_id = f"{run}-{number:06d}"
    draw = drawn_by(order_id)
    (channel,) = draw.choices(SALES_CHANNELS, season.channel_weights)
    data = _place(run, order_id, at, draw, orders=orders, assortment=assortment, season=season)
    if channel == MARKETPLACE_CHANNEL and data["service_level"] == "standard":
        leaves_by = at.date() + timedelta(days=season.marketplace_dispatch_days)
        data |= {"promised_by": leaves_by.isoformat(), "promise": "dispatch"}
    story = [_Told(at, command("PlaceOrder", order_id, channel, at, data))]
    hold = hold_of(order_id, at, season)
    if hold is not None:
        on_hold = {"order_id": order_id, "hold": hold.hold}
        story.append(_Told(hold.set_at, command("HoldOrder", f"{order_id}-hold", channel, hold.set_at, on_hold)))
        if hold.found:
            end = {"order_id": order_id, "reason": "simulated fraud check failed", "by": "seller"}
            last = command("CancelOrder", f"{order_id}-cancel", DESK_CHANNEL, hold.ends_at, end)
        else:
            last = command("ReleaseHold", f"{order_id}-release", channel, hold.ends_at, on_hold)
        story.append(_Told(hold.ends_at, last))
    elif data["service_level"] != "same_day":
        story.extend(_second_thoughts(order_id, channel, at, data, draw=draw, season=season))
    cases = case_of(order_id, data, at, season)
    return story + [_Told(datetime.fromisoformat(case["occurred_at"]), case) for case in cases]


def _place(
    run: str, order_id: str, at: datetime, draw: Random, *, orders: int, assortment: Assortment, season: Season
) -> dict[str, Any]:
    customer = draw.randint(1, max(1, round(orders / season.orders_per_customer)))
    city, ship_to = _home(run, customer)
    local = at + timedelta(hours=city.offset_hours)
    lines = _lines(draw, assortment, local.date(), season)
    service_level, promised_by = _service(draw, city, local, season)
    value_minor = sum(line["quantity"] * line["unit_price_minor"] for line in lines)
    postage_minor = {"same_day": 1295, "express": 995}.get(service_level, 495)
    data: dict[str, Any] = {
        "order_id": order_id,
        "customer_id": f"{run}-customer-{customer:06d}",
        "currency": "EUR",
        "lines": lines,
        "ship_to": ship_to,
        "service_level": service_level,
        "promised_by": promised_by,
        "allocation": "all_or_nothing" if draw.random() < season.all_or_nothing_share else "ship_available",
    }
    if service_level != "standard" or value_minor < season.free_postage_from_minor:
        data["charges"] = [{"code": "POST", "amount_minor": postage_minor, "description": f"postage, {service_level}"}]
    return data


def _home(run: str, customer: int) -> tuple[City, dict[str, Any]]:
    """The customer's address: always the same, within some 5 km of the centre of a city."""
    draw = drawn_by(f"{run} customer {customer}")
    (city,) = draw.choices(CITIES, CITY_WEIGHTS)
    return city, {
        "country": city.country,
        "region": city.region,
        "postcode": draw.choice(city.postcodes),
        "time_zone": city.time_zone,
        "latitude": round(city.latitude + draw.uniform(-0.05, 0.05), 4),
        "longitude": round(city.longitude + draw.uniform(-0.05, 0.05), 4),
        "name": f"Customer {customer:06d}",
        "city": city.name,
    }


def _lines(draw: Random, assortment: Assortment, day: date, season: Season) -> list[dict[str, Any]]:
    (count,) = draw.choices(range(1, len(season.lines_weights) + 1), season.lines_weights)
    cheaper = season.crowded(day)
    lines: list[dict[str, Any]] = []
    for number, item in enumerate(assortment.draw(draw, count), start=1):
        (quantity,) = draw.choices(range(1, len(season.quantity_weights) + 1), season.quantity_weights)
        price = (
            round(item.price_minor * (1 - season.promotion_share_off))
            if cheaper and item.promoted
            else item.price_minor
        )
        line: dict[str, Any] = {
            "line_id": str(number), "sku": item.sku, "quantity": quantity, "unit_price_minor": price,
        }  # fmt: skip
        if draw.random() < season.attributes_share:
            line["attributes"] = {"gift_wrap": draw.choice(("red", "green", "plain"))}
        lines.append(line)
    return lines


def _service(draw: Random, city: City, local: datetime, season: Season) -> tuple[str, str]:
    """The service level and the promise: a date, or a time for same day. `local` is the customer's wall clock."""
    wish = draw.random()
    if city.same_day and local.hour < 11 and wish < season.same_day_share:
        nine_in_the_evening = local.replace(hour=21, minute=0, second=0) - timedelta(hours=city.offset_hours)
        return "same_day", utc_text(nine_in_the_evening)
    express = draw.random() < season.express_share
    days = season.express_promise_days if express else season.standard_promise_days
    return "express" if express else "standard", (local.date() + timedelta(days=days)).isoformat()


def _second_thoughts(
    order_id: str, channel: str, at: datetime, data: dict[str, Any], *, draw: Random, season: Season
) -> list[_Told]:
    """In the first minutes a cancellation (one in five cancels only one line) or an amendment; mostly nothing."""
    fate, then = draw.random(), at + hours(draw.uniform(0.05, season.follow_up_hours_max))
    lines = data["lines"]
    if fate < season.customer_cancel_share:
        cancel: dict[str, Any] = {"order_id": order_id, "reason": "simulated change of mind", "by": "customer"}
        if len(lines) > 1 and draw.random() < 0.2:
            cancel["lines"] = [{"line_id": lines[-1]["line_id"], "quantity": lines[-1]["quantity"]}]
        return [_Told(then, command("CancelOrder", f"{order_id}-cancel", channel, then, cancel))]
    if fate < season.customer_cancel_share + season.amend_share:
        last = lines[-1]
        fewer = len(lines) > 1 and draw.random() < 0.4
        amended = {"line_id": last["line_id"], "quantity": 0 if fewer else last["quantity"] + 1}
        amend: dict[str, Any] = {"order_id": order_id, "lines": [amended]}
        if draw.random() < 0.2 and len(data["promised_by"]) == len("2025-12-01"):
            amend["promised_by"] = (date.fromisoformat(data["promised_by"]) + timedelta(days=2)).isoformat()
        return [_Told(then, command("AmendOrder", f"{order_id}-amend", channel, then, amend))]
    return []


def _another_body(placed: Command) -> Command:
    first, *others = placed["data"]["lines"]
    lines = [{**first, "quantity": first["quantity"] + 10}, *others]
    return {**placed, "data": {**placed["data"], "lines": lines}}
