"""Pickers and carriers: allocated units are packed, leave, are scanned on their way and mostly arrive.

This module reads order views (as `order-ledger order --json` prints them) and returns DispatchShipment and
RecordTracking. It works for any order, simulated or real: it simulates the warehouse and the carrier, and the channels
of its commands say so.

    views = [{"order_id": "uci-536365", "placed_at": "2010-12-01T08:26:00Z", "promised_by": None,
              "lines": [{"line_id": "1", "allocated_at": {"WH1": 6}}]}]
    list(fulfil(views, seed=7, scans="delivered"))      # one DispatchShipment from WH1, one RecordTracking

The random numbers of a parcel follow from its id alone. So a run that was interrupted repeats the same commands and
then continues: simulated parcels that are on their way get all their scans, with the same ids and bodies.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from heapq import merge
from random import Random
from typing import Any, Final, Literal

from gateway.season.form import (
    CARRIER_CHANNEL,
    NOTHING_LEFT_TO_SCAN,
    WAREHOUSE_CHANNEL,
    Command,
    View,
    command,
    drawn_by,
    hours,
    under,
    utc_text,
    utc_time,
)
from gateway.season.holds import hold_of
from gateway.season.parameters import SEASON, Season
from gateway.season.sending_back import return_of
from gateway.season.world import MAIN_WAREHOUSES

Scans = Literal["full", "delivered"]

CARRIERS: Final = {
    "standard": (
        ("simulated-parcel-north", "standard"),
        ("simulated-parcel-south", "standard"),
        ("simulated-post", "eco"),
    ),
    "express": (("simulated-express", "next day"), ("simulated-parcel-north", "express")),
    "same_day": (("simulated-courier", "same day"),),
}


@dataclass(frozen=True, slots=True)
class Promise:
    """An order's promise: the last time that is surely on time, and the first that is late in all of Europe."""

    last_good: datetime
    surely_late: datetime


def fulfil(
    orders: Iterable[View],
    seed: int,
    *,
    scans: Scans = "full",
    returns: bool = False,
    not_before: datetime | None = None,
    season: Season = SEASON,
) -> Iterator[Command]:
    """DispatchShipment for allocated units, one per order and location, and RecordTracking to the parcel's end.

    A view needs order_id, placed_at, lines[line_id, allocated_at {location_id: units held there now}]; it may have
    promised_by (date or time), promise, service_level, holds, shipments. Orders on hold are left alone.
    `scans="delivered"` leaves out all scans except the last. `returns=True` adds returns for `Season.return_share` of
    the orders that are complete with this call; lines then need `ordered`, `cancelled` and `unit_price_minor`. Nothing
    leaves before `not_before`, for goods that came in later than the orders.

    The commands of one order are sorted by time; orders keep their sequence and do not depend on each other. Raises
    ValueError for a time without offset.
    """
    for view in orders:
        if not view.get("holds"):
            yield from merge(
                *_stories(view, seed, scans, returns=returns, not_before=not_before, season=season),
                key=lambda said: str(said["occurred_at"]),
            )


def _stories(
    view: View, seed: int, scans: Scans, *, returns: bool, not_before: datetime | None, season: Season
) -> Iterator[list[Command]]:
    """One list in time order per parcel, and one for a return."""
    order_id, promise = str(view["order_id"]), promise_of(view.get("promised_by"))
    # If only the dispatch is promised, carriers do not hurry.
    arrival = promise if view.get("promise") != "dispatch" else None
    level = str(view.get("service_level") or "standard")
    level = level if level in CARRIERS else "standard"
    shipments = list(view.get("shipments") or ())
    for shipment in shipments:
        ours = _number_of(order_id, shipment["shipment_id"]) and shipment.get("carrier") in _OUR_CARRIERS
        if ours and shipment["status"] not in NOTHING_LEFT_TO_SCAN:
            parcel = _Parcel(
                order_id,
                shipment["shipment_id"],
                level,
                utc_time(shipment["dispatched_at"]),
                promise=arrival,
                season=season,
            )
            yield parcel.scans(seed, scans)
    first_free = 1 + max((_number_of(order_id, shipment["shipment_id"]) for shipment in shipments), default=0)
    arrivals: list[datetime] = []
    held = _held(view)
    for number, (location_id, lines) in enumerate(sorted(held.items()), start=first_free):
        shipment_id = f"{order_id}-S{number}"
        leaves_at = _leaves_at(view, shipment_id, level, promise, not_before=not_before, season=season)
        parcel = _Parcel(order_id, shipment_id, level, leaves_at, promise=arrival, season=season)
        yield [parcel.dispatch(seed, location_id, lines), *parcel.scans(seed, scans)]
        if parcel.end == "delivered":
            arrivals.append(parcel.ends_at)
    if returns and held and len(arrivals) == len(held) and _complete(view):
        delivered = [{**line, "delivered": int(line["ordered"]) - int(line["cancelled"])} for line in view["lines"]]
        yield return_of(view, delivered, max(arrivals), min(held), seed=seed, season=season)


class _Parcel:
    """One parcel, with random numbers from its id, always drawn in the same sequence."""

    def __init__(
        self,
        order_id: str,
        shipment_id: str,
        level: str,
        leaves_at: datetime,
        *,
        promise: Promise | None,
        season: Season,
    ) -> None:
        self.order_id, self.shipment_id, self.leaves_at = order_id, shipment_id, leaves_at
        draw = drawn_by(f"{shipment_id} parcel")
        self.carrier, self.service = draw.choice(CARRIERS[level])
        self.tracking_number = f"SIM{draw.randrange(10**12):012d}"
        self.elsewhere = draw.random() < season.other_location_share
        median_hours = {
            "same_day": season.same_day_transit_median_hours,
            "express": season.express_transit_median_hours,
            "standard": season.standard_transit_median_hours,
        }[level]
        self.expected_at = leaves_at + hours(median_hours)
        arrives_at = leaves_at + hours(draw.lognormvariate(math.log(median_hours), season.transit_sigma))
        arrives_at = arrives_at if level == "same_day" else _by_daylight(arrives_at, leaves_at, draw)
        fate, late, lateness = draw.random(), draw.random() < season.late_share, hours(draw.uniform(1.0, 40.0))
        self.failed_first = draw.random() < season.failed_attempt_share
        self.steps = [
            draw.uniform(*span) for span in ((0.02, 0.08), (0.2, 0.4), (0.5, 0.58), (0.62, 0.72), (0.85, 0.97))
        ]
        self.end, self.ends_at = "delivered", _kept(promise, arrives_at, leaves_at, lateness if late else None, draw)
        if fate < season.lost_share:
            self.end, self.ends_at = "lost", leaves_at + hours(24 * draw.uniform(8, 14))
        elif fate < season.lost_share + season.returned_to_sender_share:
            self.end, self.ends_at, self.failed_first = (
                "returned_to_sender",
                leaves_at + hours(24 * draw.uniform(6, 10)),
                True,
            )

    def dispatch(self, seed: int, location_id: str, lines: list[dict[str, Any]]) -> Command:
        """The parcel leaves; a few leave from the other main warehouse, which has the same goods."""
        if self.elsewhere and location_id in MAIN_WAREHOUSES:
            location_id = MAIN_WAREHOUSES[1 - MAIN_WAREHOUSES.index(location_id)]
        data = {
            "order_id": self.order_id,
            "shipment_id": self.shipment_id,
            "location_id": location_id,
            "carrier": self.carrier,
            "service": self.service,
            "tracking_number": self.tracking_number,
            "lines": lines,
            "expected_at": utc_text(self.expected_at),
        }
        return command(
            "DispatchShipment", f"{under(seed, self.shipment_id)}-dispatch", WAREHOUSE_CHANNEL, self.leaves_at, data
        )

    def scans(self, seed: int, scans: Scans) -> list[Command]:
        """The carrier's scans in time order; with "delivered" only the last one."""
        told: list[tuple[str, datetime]] = [(self.end, self.ends_at)]
        if scans == "full":
            names = ["picked_up", "in_transit", "out_for_delivery", "delivery_failed", "out_for_delivery"]
            if self.end == "lost":
                names = names[:2]
            on_the_way = [(name, step) for name, step in zip(names, self.steps, strict=False)]
            if self.end != "lost" and not self.failed_first:
                on_the_way = [*on_the_way[:2], on_the_way[-1]]
            elif self.end == "returned_to_sender":
                on_the_way = on_the_way[:-1]
            whole = self.ends_at - self.leaves_at
            told = [
                (name, self.leaves_at + hours(whole / timedelta(hours=1) * step)) for name, step in on_the_way
            ] + told
        return [
            command(
                "RecordTracking",
                f"{under(seed, self.shipment_id)}-{'end' if number == len(told) else f'scan-{number}'}",
                CARRIER_CHANNEL,
                at,
                {"order_id": self.order_id, "shipment_id": self.shipment_id, "status": status},
            )
            for number, (status, at) in enumerate(told, start=1)
        ]


_OUR_CARRIERS: Final = frozenset(carrier for offers in CARRIERS.values() for carrier, _ in offers)


def promise_of(promised_by: str | date | None) -> Promise | None:
    """The promise of a view: a date, a time, or none.

    A date ends at midnight at the address, whose time zone a view may not have: from Reykjavík to Helsinki, 18:00 UTC
    of that day is on time, and the next morning is late.
    """
    if promised_by is None:
        return None
    if isinstance(promised_by, str) and len(promised_by) == len("2025-12-01"):
        promised_by = date.fromisoformat(promised_by)
    if isinstance(promised_by, date) and not isinstance(promised_by, datetime):
        evening = datetime.combine(promised_by, time(18), tzinfo=UTC)
        return Promise(evening, evening + timedelta(hours=13))
    at = utc_time(promised_by)
    return Promise(at - timedelta(minutes=15), at + timedelta(minutes=30))


def _leaves_at(
    view: View, shipment_id: str, level: str, promise: Promise | None, *, not_before: datetime | None, season: Season
) -> datetime:
    """The time when it was placed, released or in stock, plus picking (slower on peak days); a few miss the promise."""
    placed_at = utc_time(view["placed_at"])
    draw = drawn_by(f"{shipment_id} picking")
    hold = hold_of(str(view["order_id"]), placed_at, season)
    ready_at = max(placed_at, hold.ends_at if hold else placed_at, utc_time(not_before) if not_before else placed_at)
    if level == "same_day":
        picking = draw.lognormvariate(
            math.log(season.same_day_processing_median_hours), season.same_day_processing_sigma
        )
    else:
        picking = draw.lognormvariate(math.log(season.processing_median_hours), season.processing_sigma)
        picking *= season.processing_peak_factor if season.crowded(ready_at.date()) else 1.0
    leaves_at = ready_at + hours(max(season.processing_hours_min, picking))
    if promise is not None and draw.random() < season.late_dispatch_share:
        leaves_at = max(leaves_at, promise.surely_late + hours(draw.uniform(0.5, 12.0)))
    return leaves_at


def _by_daylight(arrives_at: datetime, leaves_at: datetime, draw: Random) -> datetime:
    """A time on that day between 8 and 18 UTC, on any weekday, but at least 6 hours after leaving."""
    at = arrives_at.replace(hour=8, minute=0, second=0) + timedelta(seconds=draw.randrange(10 * 3600))
    while at < leaves_at + timedelta(hours=6):
        at += timedelta(days=1)
    return at


def _kept(
    promise: Promise | None, arrives_at: datetime, leaves_at: datetime, lateness: timedelta | None, draw: Random
) -> datetime:
    """When the parcel arrives, given a promise: carriers hurry to keep it, except parcels with a `lateness`."""
    if promise is None:
        return arrives_at
    if lateness is not None:
        return max(arrives_at, promise.surely_late + lateness)
    if arrives_at <= promise.last_good:
        return arrives_at
    earliest = leaves_at + timedelta(hours=1)
    morning = max(earliest, promise.last_good - timedelta(hours=9))
    if morning >= promise.last_good:
        return arrives_at  # it left too late to be on time
    return morning + timedelta(seconds=draw.randrange(int((promise.last_good - morning).total_seconds())))


def _held(view: View) -> dict[str, list[dict[str, Any]]]:
    """Lines by the location where they are allocated, in the sequence of the view's lines."""
    held: dict[str, list[dict[str, Any]]] = {}
    for line in view["lines"]:
        for location_id, quantity in sorted(_units_held(view, line).items()):
            if quantity > 0:
                held.setdefault(location_id, []).append({"line_id": line["line_id"], "quantity": int(quantity)})
    return held


def _units_held(view: View, line: Mapping[str, Any]) -> Mapping[str, int]:
    """Allocated units of the line by location: `allocated_at`, or `locations` less the units that left from there."""
    held: Mapping[str, int] | None = line.get("allocated_at")
    if held is not None:
        return held
    left = Counter(line.get("locations") or {})
    for shipment in view.get("shipments") or ():
        for part in shipment["lines"]:
            if part["line_id"] == line["line_id"]:
                left[shipment["location_id"]] -= int(part["quantity"])
    return left


def _complete(view: View) -> bool:
    """Whether the whole order leaves with this call, and nothing left before."""
    lines = view["lines"]
    return all(sum(_units_held(view, line).values()) == int(line["ordered"]) - int(line["cancelled"]) for line in lines)


def _number_of(order_id: str, shipment_id: str) -> int:
    """The n of `{order_id}-S{n}`; 0 for an id that is not ours."""
    found = re.fullmatch(re.escape(order_id) + r"-S(\d+)", shipment_id)
    return int(found[1]) if found else 0
