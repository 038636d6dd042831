"""The story of an order: its facts as plain sentences, by day. Pure: history in, text out.

    27 November 2026
      18:00  Customer C7 ordered 2 × MUG-1 and 1 × TRAY on web for 31.00 GBP, to Leeds, GB.
      18:01  Set aside: 2 × MUG-1 and 1 × TRAY at WH1.

What is alike and follows on each other is told once: twenty-one lines that were set aside are one sentence. What a
simulated channel or actor did says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any

from events.envelope import INTERNAL_CHANNEL
from events.times import rfc3339
from gateway.story_words import day_in_words, listed, moment, money, plural, units

Fact = Mapping[str, Any]
Data = Mapping[str, Any]

#: Names by which channels and actors say that what they send is made up.
SIMULATED_PREFIX = "simulat"


@dataclass(frozen=True, slots=True)
class Sentence:
    """What happened from `first_version` to `last_version`; `simulated` when a simulated channel or actor said so."""

    at: datetime
    text: str
    first_version: int
    last_version: int
    simulated: bool = False

    def as_json(self) -> dict[str, Any]:
        versions = [self.first_version, self.last_version]
        return {"at": rfc3339(self.at), "text": self.text, "versions": versions, "simulated": self.simulated}


@dataclass(frozen=True, slots=True)
class Chapter:
    """A day (UTC, by the channel's clock) and what happened on it. A day may come twice: order is the ledger's."""

    day: date
    sentences: tuple[Sentence, ...]

    def as_json(self) -> dict[str, Any]:
        return {"day": self.day.isoformat(), "sentences": [one.as_json() for one in self.sentences]}


def tell(history: Iterable[Fact]) -> list[Chapter]:
    """The chapters of an order's history: rows with `version`, `fact`, `occurred_at`, `channel`, `actor` and `data`.

    `occurred_at` is RFC 3339. A fact that this build does not know is told by its name.
    """
    sentences = [_sentence(run) for run in _runs(history)]
    return [Chapter(day, tuple(several)) for day, several in groupby(sentences, key=lambda one: one.at.date())]


def as_text(chapters: Sequence[Chapter]) -> str:
    """The story as lines of text: a heading for each day, a time before each sentence."""
    lines: list[str] = []
    for chapter in chapters:
        lines += ["", day_in_words(chapter.day)] if lines else [day_in_words(chapter.day)]
        lines += [f"  {one.at:%H:%M}  {one.text}" for one in chapter.sentences]
    return "\n".join(lines)


def _runs(history: Iterable[Fact]) -> list[list[Fact]]:
    """Facts that are told together: neighbours that are alike, on one day; what is not told does not part them."""
    runs: list[list[Fact]] = []
    last: object = None
    for fact in history:
        if fact["fact"] in _UNTOLD:
            continue
        alike = (_likeness(fact), _at(fact).date(), _simulated(fact))
        if alike == last:
            runs[-1].append(fact)
        else:
            runs.append([fact])
        last = alike
    return runs


def _likeness(fact: Fact) -> object:
    """Equal for facts that may share a sentence."""
    name, data = fact["fact"], fact["data"]
    match name:
        case "LineAllocated" | "LineBackordered":
            return "sourcing"
        case "LinePromised":
            return name, data["expected_at"], data["previous"], data["cause"]
        case "ReservationSurrendered" | "DispatchDiffered":
            return name
        case "LineDeallocated" | "BackorderReopened":
            return name, data.get("reason")
        case "ShipmentTracked":
            return name, data["shipment_id"]
        case "ReturnTracked":
            return name, data["return_id"]
        case "CommandRefused":
            return name, data["command"], data["code"], fact["channel"]
        case _:
            return fact["version"]


def _sentence(run: Sequence[Fact]) -> Sentence:
    first = run[0]
    tell_one = _TELLERS.get(first["fact"])
    text = tell_one(run) if tell_one else f"{first['fact']} was recorded."
    simulated = _simulated(first)
    if simulated:
        text += " (simulated)"
    return Sentence(_at(first), text, first["version"], run[-1]["version"], simulated)


def _simulated(fact: Fact) -> bool:
    return any((fact.get(who) or "").startswith(SIMULATED_PREFIX) for who in ("channel", "actor"))


def _at(fact: Fact) -> datetime:
    return datetime.fromisoformat(fact["occurred_at"]).astimezone(UTC)


def _by(fact: Fact) -> str:
    """`, by anna through web`: who, where it was somebody outside; the product's own reactions are not named."""
    if fact["channel"] == INTERNAL_CHANNEL:
        return ""
    return f", by {fact['actor']} through {fact['channel']}" if fact.get("actor") else f", through {fact['channel']}"


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def _all_lines(run: Sequence[Fact]) -> list[Data]:
    return [line for fact in run for line in fact["data"]["lines"]]


def _placed(run: Sequence[Fact]) -> str:
    fact, data = run[0], run[0]["data"]
    lines, charges, to = data["lines"], data["charges"], data["ship_to"]
    total = sum(line["quantity"] * line["unit_price_minor"] for line in lines)
    total += sum(charge["amount_minor"] for charge in charges)
    what = units(lines) if lines else "nothing that is stock"
    place = ", ".join(part for part in (to.get("city"), to.get("region"), to["country"]) if part)
    text = f"Customer {data['customer_id']} ordered {what} on {fact['channel']} for {money(total, data['currency'])}"
    if charges:
        text += f" (with {listed([charge.get('description') or charge['code'] for charge in charges])})"
    text += f", to {place}."
    if data.get("promised_by"):
        text += f" It is promised by {moment(data['promised_by'])}."
    if data["service_level"] != "standard":
        text += f" Service: {data['service_level'].replace('_', ' ')}."
    if data["allocation"] == "all_or_nothing":
        text += " It is to leave whole or not at all."
    if any(line.get("customised") for line in lines):
        text += f" Made for this customer: {units([line for line in lines if line.get('customised')])}."
    for line in lines:
        if line.get("cancel_after"):
            text += f" What there is not of {line['sku']} by {moment(line['cancel_after'])} is cancelled."
    if data.get("release_at"):
        text += f" Nothing is to be set aside before {moment(data['release_at'])}."
    return text


def _amended(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    changes = [f"{line['sku']} from {line['ordered_before']} to {line['ordered']}" for line in data["lines"]]
    parts = [f"changed {listed(changes)}"] if changes else []
    if data.get("promised_by"):
        moved = f"moved the promise to {moment(data['promised_by'])}"
        counts = data["by"] == "customer" or data.get("due_by")
        parts.append(moved if counts else moved + ", which does not count for the figures")
    return f"The {data['by']} {listed(parts) or 'confirmed the order as it is'}{_by(run[0])}."


def _amendment_requested(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    changes = [f"{line['sku']} from {line['ordered_before']} to {line['ordered']}" for line in data["lines"]]
    return f"The {data['by']} wants {listed(changes)}, and stock is asked first{_by(run[0])}."


_DECLINED: Mapping[str, str] = {
    "not_enough": "there is not enough stock",
    "lost": "stock that was set aside for it is gone",
    "cancelled": "units were cancelled meanwhile",
    "held": "the order was put on hold meanwhile",
    "shipped": "more had left meanwhile than was known",
    "waiting": "the order waits as a whole meanwhile",
}


def _amendment_declined(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    most = [f"{line['sku']} up to {line['available']}" for line in data["lines"] if line["available"] is not None]
    why = _DECLINED.get(data["reason"], data["reason"].replace("_", " "))
    text = f"The order stays as it was, because {why}"
    return text + (f": possible would have been {listed(most)}." if most else ".")


def _cancelled(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    held = sum(line["from_allocated"] for line in data["lines"])
    reason = "it was not set aside in time" if data["reason"] == "auto_cancel" else data["reason"]
    text = f"The {data['by']} cancelled {units(data['lines'])}{_because(reason)}."
    if held:
        text += f" {plural(held, 'unit')} that {'was' if held == 1 else 'were'} set aside went back to stock."
    return text


def _held(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    text = f"The order was put on hold ({data['hold']}){_because(data.get('reason'))}{_by(run[0])}."
    return text + (" What was set aside is let go." if data.get("stock") == "release" else "")


def _hold_released(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    return f"The {data['hold']} hold was lifted{_because(data.get('reason'))}{_by(run[0])}."


def _sourcing(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    excluded = sorted({one["location_id"] for one in data["excluded"]})
    why = f", because {listed(excluded)} could not provide what was planned" if excluded else ""
    return f"A location was looked for (round {data['round']}) for {units(data['lines'])}{why}."


def _allocated(run: Sequence[Fact]) -> str:
    """Lines set aside and lines that wait: the answers of many stock streams, in whatever order they came."""
    held = [fact["data"] for fact in run if fact["fact"] == "LineAllocated"]
    waiting = [fact["data"] for fact in run if fact["fact"] == "LineBackordered"]
    parts = []
    if held:
        by_place: dict[str, list[Data]] = {}
        for line in held:
            by_place.setdefault(line["location_id"], []).append(line)
        places = listed([f"{units(lines)} at {place}" for place, lines in sorted(by_place.items())])
        parts.append(f"Set aside: {places}")
    if waiting:
        parts.append(f"{units(waiting)} {'has' if len(waiting) == 1 else 'have'} to wait for stock")
    return f"{'; '.join(parts)}."


_REPROMISED: Mapping[str, str] = {
    "late": "because it is late",
    "short": "because less comes than was announced",
    "overtaken": "because an older order goes first",
    "earlier": "because it comes earlier",
}


def _promised(run: Sequence[Fact]) -> str:
    data, goods = run[0]["data"], units([fact["data"] for fact in run])
    before, now = data.get("previous"), data.get("expected_at")
    if now is None:
        why = _REPROMISED.get(data["cause"], data["cause"])
        return f"The customer is told: nobody knows any more when {goods} can come, instead of {moment(before)}, {why}."
    if before is None:
        return f"The customer is told: {goods} {'is' if goods.startswith('1 ×') else 'are'} expected by {moment(now)}."
    why = _REPROMISED.get(data["cause"], data["cause"])
    return f"The customer is told: {goods} now by {moment(now)}, instead of {moment(before)}, {why}."


def _reopened(run: Sequence[Fact]) -> str:
    goods = units([fact["data"] for fact in run])
    match run[0]["data"].get("reason", "offered"):
        case "hold":
            return f"While the order is held, it does not wait for {goods}."
        case "queued":
            return f"While a person decides, the order does not wait for {goods}."
        case "changed":
            return f"The order has changed: a location is sought again for {goods}."
        case _:
            return f"Stock was offered: a location is sought again for {goods}."


_DEALLOCATED: Mapping[str, str] = {
    "expired": "the reservation lapsed",
    "released": "the stock was let go",
    "all_or_nothing": "the order leaves whole or not at all",
    "hold": "the order is held",
}


def _deallocated(run: Sequence[Fact]) -> str:
    reason = run[0]["data"]["reason"]
    places = sorted({fact["data"]["location_id"] for fact in run})
    why = _DEALLOCATED.get(reason, reason.replace("_", " "))
    return f"No longer set aside, because {why}: {units([fact['data'] for fact in run])} at {listed(places)}."


def _surrendered(run: Sequence[Fact]) -> str:
    goods = units([fact["data"] for fact in run])
    if all(not release["location_id"] for fact in run for release in fact["data"]["releases"]):
        return f"The place in the queue for {goods} is given up."
    return f"{goods} came too late to be wanted and went back to stock."


def _order_allocated(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    parcels = plural(data["parcels"], "parcel")
    return f"With that, everything is set aside: {plural(data['units'], 'unit')} in {parcels}."


def _exchange_added(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    goods = units(data["lines"])
    return f"In exchange the customer gets {goods}, which may leave when return {data['return_id']} has come."


def _exchange_released(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    goods = units(data["lines"])
    come = f"All of return {data['return_id']} has come"
    return f"{come}: {goods} may leave in exchange." if goods else f"{come}; nothing is left to be sent in exchange."


def _withdrawn(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    what = f"{units(data['lines'])} of return {data['return_id']}"
    return f"{what} will not come: the {data['by']} withdrew it{_because(data['reason'])}."


_REJECTED: Mapping[str, str] = {
    "not_in_stock": "it is not there",
    "mismatch": "something else lies there",
    "damaged": "it is damaged",
}


def _rejected(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    why = _REJECTED.get(data["reason"], data["reason"].replace("_", " "))
    return f"{data['location_id']} cannot provide {units(data['lines'])}, because {why}{_because(data.get('note'))}."


def _dispatched(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    text = f"Parcel {data['shipment_id']} left {data['location_id']} with {data['carrier']} ({data['service']}): "
    text += units(data["lines"])
    if data.get("tracking_number"):
        text += f", tracking number {data['tracking_number']}"
    if data.get("expected_at"):
        text += f", expected {moment(data['expected_at'])}"
    return text + "."


_PLANNED: Mapping[str, str] = {
    "elsewhere": "was set aside at another location",
    "backordered": "was waiting for stock",
    "open": "had not been set aside yet",
    "held": "was to stay until a return had come",
}


def _differed(run: Sequence[Fact]) -> str:
    by_plan: dict[str, list[Data]] = {}
    for line in _all_lines(run):
        by_plan.setdefault(line["planned"], []).append(line)
    what = listed([f"{units(lines)} {_PLANNED.get(plan, plan)}" for plan, lines in by_plan.items()])
    return f"That was not the plan, and somebody should look at it: {what}."


def _crossed(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    goods = units(data["lines"])
    return f"{goods} had been cancelled and left all the same: case {data['case_id']} is for somebody to look after."


def _tracked(run: Sequence[Fact]) -> str:
    steps = []
    for fact in run:
        place = fact["data"].get("place")
        steps.append(fact["data"]["status"].replace("_", " ") + (f" ({place})" if place else ""))
    expected = [fact["data"]["expected_at"] for fact in run if fact["data"].get("expected_at")]
    text = f"The carrier reports parcel {run[0]['data']['shipment_id']}: {', then '.join(steps)}"
    return text + (f"; now expected {moment(expected[-1])}." if expected else ".")


def _delivered(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    text = f"Parcel {data['shipment_id']} was delivered: {units(data['lines'])}"
    if data.get("on_time") is None:
        return text + "; nothing had been promised."
    due = moment(data["due_by"]) if data.get("due_by") else "the promise"
    return text + (f", in time for {due}." if data["on_time"] else f", late: it was promised by {due}.")


def _inferred(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    return f"{units(data['lines'])} must have been delivered without a scan: return {data['return_id']} holds it."


def _return_requested(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    reasons = sorted({line["reason"] for line in data["lines"] if line["reason"]})
    text = f"The customer asks to return {units(data['lines'])} for {data['resolution']}{_because(', '.join(reasons))}."
    return text + f" RMA number {data['rma']}."


def _return_tracked(run: Sequence[Fact]) -> str:
    steps = ", then ".join(fact["data"]["status"].replace("_", " ") for fact in run)
    return f"The carrier reports return {run[0]['data']['return_id']}: {steps}."


_DISPOSITIONS: Mapping[str, str] = {
    "restock": "back to stock",
    "damaged": "damaged",
    "dispose": "thrown away",
    "inspect": "to be inspected",
}


def _return_received(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    parts = [f"{units([line])} {_DISPOSITIONS.get(line['disposition'], line['disposition'])}" for line in data["lines"]]
    came = "arrived" if data["announced"] else "arrived unannounced"
    return f"Return {data['return_id']} {came} at {data['location_id']}: {listed(parts)}."


def _return_differed(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    return f"Return {data['return_id']} was not as announced, and somebody should look at it: {data['detail']}"


def _refunded(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    source = f" for return {data['return_id']}" if data.get("return_id") else ""
    return f"{money(data['amount_minor'], data['currency'])} was paid back{source}{_because(data['reason'])}."


_UNQUEUED: Mapping[str, str] = {
    "retry": "a location is looked for again",
    "cancel": "what could not be sent is cancelled",
    "leave": "it stays as it is",
}


def _queued(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    stuck = units(data["lines"])
    return f"A person is to decide about {stuck} (queue {data['queue'].replace('_', ' ')}): {data['detail']}"


def _unqueued(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    queue = data["queue"].replace("_", " ")
    if data["resolution"] == "over":
        return f"Nobody needs to decide any more (queue {queue}): nothing of it is open."
    decided = _UNQUEUED.get(data["resolution"], data["resolution"])
    return f"It was decided (queue {queue}): {decided}{_because(data.get('reason'))}{_by(run[0])}."


def _refused(run: Sequence[Fact]) -> str:
    fact, data = run[-1], run[-1]["data"]
    times = f" ({len(run)} times)" if len(run) > 1 else ""
    why = "; ".join(part.strip().rstrip(".") for part in (data["what"], data["detail"]) if part)
    return f"{data['command']} was refused{times}{_by(fact)}: {why}."


_TELLERS: Mapping[str, Callable[[Sequence[Fact]], str]] = {
    "OrderPlaced": _placed,
    "OrderAmended": _amended,
    "AmendmentRequested": _amendment_requested,
    "AmendmentDeclined": _amendment_declined,
    "OrderCancelled": _cancelled,
    "OrderHeld": _held,
    "HoldReleased": _hold_released,
    "SourcingRequested": _sourcing,
    "LineAllocated": _allocated,
    "LineBackordered": _allocated,
    "LinePromised": _promised,
    "BackorderReopened": _reopened,
    "LineDeallocated": _deallocated,
    "ReservationSurrendered": _surrendered,
    "OrderAllocated": _order_allocated,
    "ShipmentDispatched": _dispatched,
    "DispatchDiffered": _differed,
    "DispatchCrossed": _crossed,
    "ShipmentTracked": _tracked,
    "ShipmentDelivered": _delivered,
    "DeliveryInferred": _inferred,
    "ReturnRequested": _return_requested,
    "ReturnTracked": _return_tracked,
    "ReturnReceived": _return_received,
    "ReturnDiffered": _return_differed,
    "RefundIssued": _refunded,
    "ExchangeLinesAdded": _exchange_added,
    "ExchangeReleased": _exchange_released,
    "ReturnWithdrawn": _withdrawn,
    "AllocationRejected": _rejected,
    "OrderQueued": _queued,
    "OrderUnqueued": _unqueued,
    "CommandRefused": _refused,
}

#: Bookkeeping between the streams that moves no unit: it would only interrupt the story. The history has it.
_UNTOLD = frozenset({"AllocationAnswered", "AmendmentAnswered"})

#: Every fact that has its words; a test compares it with the catalogue.
TOLD = frozenset(_TELLERS) | _UNTOLD
