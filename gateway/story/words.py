"""Numbers, money, times and lists as a person would write them.

>>> listed(["a", "b", "c"]), plural(2, "unit"), money(3100, "GBP")
('a, b and c', '2 units', '31.00 GBP')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from events.envelope import INTERNAL_CHANNEL

Fact = Mapping[str, Any]
Data = Mapping[str, Any]

#: More different SKUs than this are counted, not named, so that a sentence stays short.
NAMED_MAX = 4

#: ISO 4217 currencies whose minor unit is not a hundredth: digits after the point.
_MINOR_DIGITS: Mapping[str, int] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def plural(number: int, noun: str) -> str:
    """`1 unit`, `2 units`, `1,250 units`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def units(lines: Sequence[Mapping[str, Any]]) -> str:
    """`2 × MUG-1 and 1 × TRAY`, or `58 units of 21 SKUs` for many SKUs. Lines have `sku` and `quantity`."""
    by_sku: dict[str, int] = {}
    for line in lines:
        by_sku[line["sku"]] = by_sku.get(line["sku"], 0) + line["quantity"]
    if len(by_sku) > NAMED_MAX:
        return f"{plural(sum(by_sku.values()), 'unit')} of {len(by_sku)} SKUs"
    return listed([f"{quantity:,} × {sku}" for sku, quantity in by_sku.items()])


def money(amount_minor: int, currency: str) -> str:
    """`31.00 GBP` from 3100 minor units."""
    digits = _MINOR_DIGITS.get(currency, 2)
    whole, rest = divmod(abs(amount_minor), 10**digits)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{whole:,}{f'.{rest:0{digits}}' if digits else ''} {currency}"


def moment(value: str) -> str:
    """`28 November 2026, 23:59 UTC` from an RFC 3339 text."""
    at = datetime.fromisoformat(value).astimezone(UTC)
    return f"{day_in_words(at.date())}, {at:%H:%M} UTC"


def by(fact: Fact) -> str:
    """`, by anna through web`: the sender; empty for the product's own reactions."""
    if fact["channel"] == INTERNAL_CHANNEL:
        return ""
    return f", by {fact['actor']} through {fact['channel']}" if fact.get("actor") else f", through {fact['channel']}"


def because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def all_lines(run: Sequence[Fact]) -> list[Data]:
    return [line for fact in run for line in fact["data"]["lines"]]


def day_in_words(day: date) -> str:
    """`27 November 2026`."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


# Not strftime, whose names follow the locale of the machine.
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
