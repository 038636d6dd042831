"""Sentences about the order itself: placed, amended, held, cancelled, queued, refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.story.words import Fact, because, by, listed, moment, money, plural, units


def _placed(run: Sequence[Fact]) -> str:
    fact, data = run[0], run[0]["data"]
    lines, charges, to = data["lines"], data["charges"], data["ship_to"]
    total = sum(line["quantity"] * line["unit_price_minor"] for line in lines)
    total += sum(charge["amount_minor"] for charge in charges)
    what = units(lines) if lines else "no goods"
    place = ", ".join(part for part in (to.get("city"), to.get("region"), to["country"]) if part)
    text = f"Customer {data['customer_id']} ordered {what} on {fact['channel']} for {money(total, data['currency'])}"
    if charges:
        text += f" (with {listed([charge.get('description') or charge['code'] for charge in charges])})"
    text += f", to {place}."
    if data.get("promised_by"):
        promised = "is promised to leave" if data.get("promise") == "dispatch" else "is promised"
        text += f" It {promised} by {moment(data['promised_by'])}."
    if data["service_level"] != "standard":
        text += f" Service: {data['service_level'].replace('_', ' ')}."
    if data["allocation"] == "all_or_nothing":
        text += " It is an all-or-nothing order."
    if any(line.get("customised") for line in lines):
        text += f" Made for this customer: {units([line for line in lines if line.get('customised')])}."
    for line in lines:
        if line.get("cancel_after"):
            text += f" Units of {line['sku']} not allocated by {moment(line['cancel_after'])} are cancelled."
    if data.get("release_at"):
        text += f" Nothing is allocated before {moment(data['release_at'])}."
    return text


def _changes(lines: Sequence[dict[str, Any]]) -> list[str]:
    """The change of each line: totals that the customer gets, without cancelled units."""
    return [
        f"{line['sku']} from {line['ordered_before'] - gone} to {line['ordered'] - gone}"
        for line, gone in ((line, line.get("cancelled", 0)) for line in lines)
    ]


def _amended(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    changes = _changes(data["lines"])
    parts = [f"changed {listed(changes)}"] if changes else []
    if data.get("promised_by"):
        moved = f"moved the promise to {moment(data['promised_by'])}"
        counts = data["by"] == "customer" or data.get("due_by")
        parts.append(moved if counts else moved + ", which does not count for the figures")
    return f"The {data['by']} {listed(parts) or 'confirmed the order as it is'}{by(run[0])}."


def _amendment_requested(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    changes = _changes(data["lines"])
    return f"The {data['by']} wants {listed(changes)}, and stock is asked first{by(run[0])}."


_DECLINED: Mapping[str, str] = {
    "not_enough": "there is not enough stock",
    "lost": "stock that was reserved for it is gone",
    "cancelled": "units were cancelled meanwhile",
    "held": "the order was put on hold meanwhile",
    "shipped": "more units had left meanwhile",
    "waiting": "the order waits as a whole meanwhile",
}


def _amendment_declined(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    most = [f"{line['sku']} up to {line['available']}" for line in data["lines"] if line["available"] is not None]
    why = _DECLINED.get(data["reason"], data["reason"].replace("_", " "))
    text = f"The order stays as it was, because {why}"
    return text + (f". Possible: {listed(most)}." if most else ".")


def _cancelled(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    held = sum(line["from_allocated"] for line in data["lines"])
    reason = "it was not allocated in time" if data["reason"] == "auto_cancel" else data["reason"]
    text = f"The {data['by']} cancelled {units(data['lines'])}{because(reason)}."
    if held:
        text += f" {plural(held, 'unit')} that {'was' if held == 1 else 'were'} allocated went back to stock."
    return text


def _held(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    text = f"The order was put on hold ({data['hold']}){because(data.get('reason'))}{by(run[0])}."
    return text + (" Its allocated stock was released." if data.get("stock") == "release" else "")


def _hold_released(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    return f"The {data['hold']} hold was lifted{because(data.get('reason'))}{by(run[0])}."


_UNQUEUED: Mapping[str, str] = {
    "retry": "it is sourced again",
    "cancel": "units that could not be sent are cancelled",
    "leave": "it stays as it is",
}


def _queued(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    stuck = units(data["lines"])
    return f"A person has to decide about {stuck} (queue {data['queue'].replace('_', ' ')}): {data['detail']}"


def _unqueued(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    queue = data["queue"].replace("_", " ")
    if data["resolution"] == "over":
        return f"No decision is needed any more (queue {queue}): no unit is open."
    decided = _UNQUEUED.get(data["resolution"], data["resolution"])
    return f"It was decided (queue {queue}): {decided}{because(data.get('reason'))}{by(run[0])}."


def _refused(run: Sequence[Fact]) -> str:
    fact, data = run[-1], run[-1]["data"]
    times = f" ({len(run)} times)" if len(run) > 1 else ""
    why = "; ".join(part.strip().rstrip(".") for part in (data["what"], data["detail"]) if part)
    return f"{data['command']} was refused{times}{by(fact)}: {why}."


TELLERS: Mapping[str, Callable[[Sequence[Fact]], str]] = {
    "OrderPlaced": _placed,
    "OrderAmended": _amended,
    "AmendmentRequested": _amendment_requested,
    "AmendmentDeclined": _amendment_declined,
    "OrderCancelled": _cancelled,
    "OrderHeld": _held,
    "HoldReleased": _hold_released,
    "OrderQueued": _queued,
    "OrderUnqueued": _unqueued,
    "CommandRefused": _refused,
}
