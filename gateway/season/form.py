"""The form of the season's commands: dicts, times as text, and names that show the simulation.

>>> utc_text(datetime(2025, 11, 28, 8, tzinfo=UTC))
'2025-11-28T08:00:00Z'
>>> run_name(7, 2000, 10.0)
'sim-7-2000x10'
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, TypeAlias

Command: TypeAlias = dict[str, Any]
"""A command in JSON form: command, id, channel, actor, occurred_at, data."""

View: TypeAlias = Mapping[str, Any]
"""An order or a row of inventory, as `order-ledger order --json` and `inventory --json` print them."""

ACTOR: Final = "simulation"
LABEL: Final = "simulated"

WAREHOUSE_CHANNEL: Final = "simulated-warehouse"
CARRIER_CHANNEL: Final = "simulated-carrier"
DESK_CHANNEL: Final = "simulated-desk"
MARKETPLACE_CHANNEL: Final = "simulated-marketplace"
SALES_CHANNELS: Final = ("simulated-web", "simulated-app", MARKETPLACE_CHANNEL, "simulated-store")
CHANNELS: Final = (*SALES_CHANNELS, WAREHOUSE_CHANNEL, CARRIER_CHANNEL, DESK_CHANNEL)

NOTHING_LEFT_TO_SCAN: Final = frozenset({"delivered", "lost", "returned_to_sender", "retracted"})
"""The statuses that end a parcel's scans."""


def command(name: str, command_id: str, channel: str, at: datetime, data: dict[str, Any]) -> Command:
    """One command; `at` is aware and UTC."""
    return {
        "command": name,
        "id": command_id,
        "channel": channel,
        "actor": ACTOR,
        "occurred_at": utc_text(at),
        "data": data,
    }


def utc_text(at: datetime) -> str:
    """RFC 3339 with Z, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_time(said: str | datetime) -> datetime:
    """A time of a view, given as text or value, in whole seconds UTC. Raises ValueError if it has no offset."""
    at = datetime.fromisoformat(said) if isinstance(said, str) else said
    if at.tzinfo is None:
        raise ValueError(f"the time {said!r} of a view has no offset; times are RFC 3339 with an offset")
    return at.astimezone(UTC).replace(microsecond=0)


def hours(count: float) -> timedelta:
    """`count` hours, in whole seconds."""
    return timedelta(seconds=round(count * 3600))


def drawn_by(name: str) -> Random:
    """The random generator of that name; the same in every process and Python version."""
    return Random(name)  # noqa: S311 - a simulation has to be repeatable, not secret


def run_name(seed: int, orders: int, surge: float) -> str:
    """The prefix of the ids of this season.

    It includes the size, because the body of order 123 depends on it: an id must never have two bodies.
    """
    return f"sim-{seed}-{orders}x{surge:g}"


def under(seed: int, order_id: str) -> str:
    """The stem of command ids for an order: its own id, with the prefix `sim-{seed}-` if it lacks it."""
    stem = f"sim-{seed}-"
    return order_id if order_id.startswith(stem) else stem + order_id
