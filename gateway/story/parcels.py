"""Sentences about parcels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.story.words import Data, Fact, all_lines, because, by, listed, moment, units


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
    "elsewhere": "was allocated at another location",
    "backordered": "was waiting for stock",
    "open": "was not planned to leave yet",
    "held": "was held until a return arrives",
}


def _differed(run: Sequence[Fact]) -> str:
    by_plan: dict[str, list[Data]] = {}
    for line in all_lines(run):
        by_plan.setdefault(line["planned"], []).append(line)
    what = listed([f"{units(lines)} {_PLANNED.get(plan, plan)}" for plan, lines in by_plan.items()])
    return f"That was not the plan, and somebody should look at it: {what}."


def _crossed(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    goods = units(data["lines"])
    return f"{goods} left although cancelled: case {data['case_id']} was opened for a person to look at."


def _retracted(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    text = f"Parcel {data['shipment_id']} never left {data['location_id']}: its dispatch was a mistake"
    text += because(data["reason"])
    parts = [
        f"{units([{**line, 'quantity': line[name]} for line in data['lines'] if line[name]])} {what}"
        for name, what in _BACK.items()
        if any(line[name] for line in data["lines"])
    ]
    return f"{text}{by(run[0])}. It held {listed(parts)}."


#: What became of units of a parcel that never left.
_BACK: Mapping[str, str] = {
    "to_allocated": "that is allocated there again",
    "to_open": "for which a location is sought",
    "to_cancelled": "that was cancelled",
    "to_removed": "that had been amended away",
    "replaced": "that needs no replacement now",
}

_WRONG: Mapping[str, str] = {"lost": "is lost", "damaged": "arrived damaged", "wrong_goods": "held the wrong goods"}


def _replaced(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    why = _WRONG.get(data["reason"], data["reason"].replace("_", " "))
    return f"Parcel {data['shipment_id']} {why}: {units(data['lines'])} is sent again, at no cost{by(run[0])}."


def _tracked(run: Sequence[Fact]) -> str:
    steps = []
    for fact in run:
        place = fact["data"].get("place")
        # A scan that waited for the dispatch is older than its fact, so its own time is shown.
        scanned = fact["data"].get("scanned_at")
        notes = [note for note in (place, f"scanned {moment(scanned)}" if scanned else "") if note]
        steps.append(_said(fact) + (f" ({', '.join(notes)})" if notes else ""))
    expected = [fact["data"]["expected_at"] for fact in run if fact["data"].get("expected_at")]
    text = f"The carrier reports parcel {run[0]['data']['shipment_id']}: {', then '.join(steps)}"
    return text + (f"; now expected {moment(expected[-1])}." if expected else ".")


def _said(fact: Fact) -> str:
    status: str = fact["data"]["status"]
    return status.replace("_", " ")


def _deferred(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    text = f"The carrier reports parcel {data['waits_for']}: {', then '.join(_said(fact) for fact in run)}. "
    return text + f"The dispatch is not recorded yet: this waits for it until {moment(run[-1]['data']['ends_at'])}."


def _expired(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    what = f"the carrier's reports ({', then '.join(_said(fact) for fact in run)}) wait no longer"
    return f"The dispatch of parcel {data['waits_for']} did not come, and somebody should look at it: {what}."


def _delivered(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    text = f"Parcel {data['shipment_id']} was delivered: {units(data['lines'])}"
    found = [{**line, "quantity": line["found"]} for line in data["lines"] if line.get("found")]
    if found:
        text += f" ({units(found)} of it had been replaced)"
    if data.get("delivered_at") and moment(data["delivered_at"]) != moment(run[0]["occurred_at"]):
        text += f", on {moment(data['delivered_at'])}"
    if data.get("on_time") is None:
        return text + "; no delivery was promised."
    due = moment(data["due_by"]) if data.get("due_by") else "the promise"
    return text + (f", in time for {due}." if data["on_time"] else f", late: it was promised by {due}.")


def _inferred(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    return f"{units(data['lines'])} must have been delivered without a scan: return {data['return_id']} contains it."


TELLERS: Mapping[str, Callable[[Sequence[Fact]], str]] = {
    "ShipmentDispatched": _dispatched,
    "DispatchDiffered": _differed,
    "DispatchCrossed": _crossed,
    "DispatchRetracted": _retracted,
    "ShipmentReplaced": _replaced,
    "ShipmentTracked": _tracked,
    "ShipmentDelivered": _delivered,
    "DeliveryInferred": _inferred,
    "TrackingDeferred": _deferred,
    "TrackingExpired": _expired,
}
