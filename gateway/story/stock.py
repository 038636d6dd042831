"""Sentences about sourcing, allocation, backorders, promises and releases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.story.words import Data, Fact, because, listed, moment, plural, units


def _sourcing(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    excluded = sorted({one["location_id"] for one in data["excluded"]})
    why = f", because {listed(excluded)} could not provide the planned units" if excluded else ""
    return f"Sourcing round {data['round']} began for {units(data['lines'])}{why}."


def _allocated(run: Sequence[Fact]) -> str:
    """Allocated and backordered lines: answers of many stock streams, in any order."""
    held = [fact["data"] for fact in run if fact["fact"] == "LineAllocated"]
    waiting = [fact["data"] for fact in run if fact["fact"] == "LineBackordered"]
    parts = []
    if held:
        by_place: dict[str, list[Data]] = {}
        for line in held:
            by_place.setdefault(line["location_id"], []).append(line)
        places = listed([f"{units(lines)} at {place}" for place, lines in sorted(by_place.items())])
        parts.append(f"Allocated: {places}")
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
        return f"The customer is told: {goods} at an unknown time, instead of by {moment(before)}, {why}."
    if before is None:
        return f"The customer is told: {goods} {'is' if goods.startswith('1 ×') else 'are'} expected by {moment(now)}."
    why = _REPROMISED.get(data["cause"], data["cause"])
    return f"The customer is told: {goods} now by {moment(now)}, instead of by {moment(before)}, {why}."


def _reopened(run: Sequence[Fact]) -> str:
    goods = units([fact["data"] for fact in run])
    match run[0]["data"].get("reason", "offered"):
        case "hold":
            return f"While the order is held, it does not wait for {goods}."
        case "queued":
            return f"While a person decides, the order does not wait for {goods}."
        case "shipped":
            return f"A parcel used up the place in the queue: sourcing begins again for {goods}."
        case "changed":
            return f"The order has changed: sourcing begins again for {goods}."
        case _:
            return f"Stock was offered: sourcing begins again for {goods}."


_DEALLOCATED: Mapping[str, str] = {
    "expired": "the reservation expired",
    "released": "the stock was released",
    "all_or_nothing": "it is an all-or-nothing order",
    "hold": "the order is held",
    "shipped": "it left with a parcel that was reported before the allocation",
    "refused": "another order got it before the dispatch was retracted",
}


def _deallocated(run: Sequence[Fact]) -> str:
    reason = run[0]["data"]["reason"]
    places = sorted({fact["data"]["location_id"] for fact in run})
    why = _DEALLOCATED.get(reason, reason.replace("_", " "))
    return f"No longer allocated, because {why}: {units([fact['data'] for fact in run])} at {listed(places)}."


def _surrendered(run: Sequence[Fact]) -> str:
    goods = units([fact["data"] for fact in run])
    if all(not release["location_id"] for fact in run for release in fact["data"]["releases"]):
        return f"The place in the queue for {goods} is given up."
    return f"{goods} came too late and went back to stock."


def _order_allocated(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    parcels = plural(data["parcels"], "parcel")
    return f"With that, everything is allocated: {plural(data['units'], 'unit')} in {parcels}."


_REJECTED: Mapping[str, str] = {
    "not_in_stock": "it is not there",
    "mismatch": "something else is there",
    "damaged": "it is damaged",
}


def _rejected(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    why = _REJECTED.get(data["reason"], data["reason"].replace("_", " "))
    return f"{data['location_id']} cannot provide {units(data['lines'])}, because {why}{because(data.get('note'))}."


TELLERS: Mapping[str, Callable[[Sequence[Fact]], str]] = {
    "SourcingRequested": _sourcing,
    "LineAllocated": _allocated,
    "LineBackordered": _allocated,
    "LinePromised": _promised,
    "BackorderReopened": _reopened,
    "LineDeallocated": _deallocated,
    "ReservationSurrendered": _surrendered,
    "OrderAllocated": _order_allocated,
    "AllocationRejected": _rejected,
}
