"""The service desk: cases about orders, from opening to resolution.

Most cases are resolved within the hour; on the peak days they take longer, and a few are reopened.
"""

import math
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from gateway.season.form import DESK_CHANNEL, Command, command, drawn_by, hours
from gateway.season.parameters import SEASON, Season

#: Topic, urgency, and the reason code if the case is a complaint about the order.
TOPICS: Final = (
    ("where is my order", "low", "late"),
    ("change of address", "normal", None),
    ("question about a product", "low", None),
    ("payment failed", "high", None),
    ("wrong item ordered", "normal", "changed_mind"),
    ("gift needed in time", "critical", None),
)


def case_of(order_id: str, placed: dict[str, Any], placed_at: datetime, season: Season = SEASON) -> list[Command]:
    """The commands of the order's case in time order; none for most orders. `placed` is the data of its PlaceOrder."""
    draw = drawn_by(f"{order_id} case")
    if draw.random() >= season.case_share:
        return []
    case_id = f"{order_id}-C1"
    topic, urgency, code = draw.choice(TOPICS)
    at = placed_at + hours(draw.uniform(0.3, 30.0))
    told: list[Command] = []

    def tell(name: str, then: datetime, **data: Any) -> None:
        told.append(command(name, f"{case_id}-{len(told) + 1}", DESK_CHANNEL, then, {"case_id": case_id, **data}))

    tell(
        "OpenCase",
        at,
        customer_id=placed["customer_id"],
        order_id=order_id,
        sku=placed["lines"][0]["sku"],
        channel=draw.choice(("phone", "email", "chat", "chat", "social")),
        topic=topic,
        urgency=urgency,
        text=f"Simulated: {topic}.",
        **({"reason_code": code} if code else {}),
    )
    until = at + _work(draw, at, season)
    tell("AssignCase", at + (until - at) * 0.2, assignee=f"desk-{draw.randint(1, 12):02d}")
    if draw.random() < 0.5:
        tell("AddCaseNote", at + (until - at) * 0.6, note="Simulated: the customer was called back.")
    tell("ResolveCase", until, resolution="Simulated: answered.")
    if draw.random() < season.case_reopened_share:
        again = until + hours(draw.uniform(0.5, 3.0))
        tell("ReopenCase", again, reason="Simulated: the customer wrote again.")
        tell("ResolveCase", again + _work(draw, again, season), resolution="Simulated: settled.")
    return told


def _work(draw: Random, at: datetime, season: Season) -> timedelta:
    crowded = season.case_peak_factor if season.crowded(at.date()) else 1.0
    return hours(0.05 + crowded * draw.lognormvariate(math.log(season.case_median_hours), season.case_sigma))
