"""The form of what the season says: commands as dicts, times as text, names that give the simulation away.

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
"""A command in the vocabulary's JSON form: command, id, channel, actor, occurred_at, data."""

View: TypeAlias = Mapping[str, Any]
"""An order, or a row of inventory, as `order-ledger order --json` and `inventory --json` print it."""

ACTOR: Final = "simulation"
LABEL: Final = "simulated"

WAREHOUSE_CHANNEL: Final = "simulated-warehouse"
CARRIER_CHANNEL: Final = "simulated-carrier"
DESK_CHANNEL: Final = "simulated-desk"
MARKETPLACE_CHANNEL: Final = "simulated-marketplace"
SALES_CHANNELS: Final = ("simulated-web", "simulated-app", MARKETPLACE_CHANNEL, "simulated-store")
CHANNELS: Final = (*SALES_CHANNELS, WAREHOUSE_CHANNEL, CARRIER_CHANNEL, DESK_CHANNEL)

NOTHING_LEFT_TO_SCAN: Final = frozenset({"delivered", "lost", "returned_to_sender"})
"""A carrier's last words about a parcel."""


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
    """The time that a view says, as text or as a value, in whole seconds UTC; ValueError where it has no offset."""
    at = datetime.fromisoformat(said) if isinstance(said, str) else said
    if at.tzinfo is None:
        raise ValueError(f"the time {said!r} of a view has no offset; times are RFC 3339 with an offset")
    return at.astimezone(UTC).replace(microsecond=0)


def hours(count: float) -> timedelta:
    """So many hours, in whole seconds."""
    return timedelta(seconds=round(count * 3600))


def drawn_by(name: str) -> Random:
    """A source of draws that belongs to that name alone; the same in every process and Python version."""
    return Random(name)  # noqa: S311 - a simulation has to be repeatable, not secret


def run_name(seed: int, orders: int, surge: float) -> str:
    """What ids of this season begin with.

    The size is part of it because the body of order 123 depends on it: the same id must never stand for two bodies.
    """
    return f"sim-{seed}-{orders}x{surge:g}"


def under(seed: int, order_id: str) -> str:
    """The stem of command ids around an order: its own id where that names the seed, else led by `sim-{seed}-`."""
    stem = f"sim-{seed}-"
    return order_id if order_id.startswith(stem) else stem + order_id
