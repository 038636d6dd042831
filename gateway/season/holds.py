"""Holds of simulated orders: which order gets one, when it is set, and how it ends.

All this follows from the order's id alone. So the picker (`parcels`), which sees only order views, knows when an order
was released.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.season.form import drawn_by, hours
from gateway.season.parameters import SEASON, Season


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold and its end; `found` means that the seller then cancels the order instead of releasing it."""

    hold: str
    set_at: datetime
    ends_at: datetime
    found: bool


def hold_of(order_id: str, placed_at: datetime, season: Season = SEASON) -> Hold | None:
    """The hold of that order, or None; only simulated orders (ids that begin with `sim-`) have one."""
    if not order_id.startswith("sim-"):
        return None
    draw = drawn_by(f"{order_id} hold")
    fate = draw.random()
    if fate < season.fraud_hold_share:
        hold, median_hours = "fraud", season.fraud_hold_median_hours
    elif fate < season.fraud_hold_share + season.payment_hold_share:
        hold, median_hours = "payment", season.payment_hold_median_hours
    else:
        return None
    set_at = placed_at + timedelta(seconds=draw.randint(20, 120))
    ends_at = set_at + hours(0.1 + draw.lognormvariate(math.log(median_hours), season.hold_sigma))
    return Hold(hold, set_at, ends_at, found=hold == "fraud" and draw.random() < season.fraud_found_share)
