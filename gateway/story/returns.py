"""Sentences about returns, exchanges and refunds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.story.words import Fact, because, listed, money, units


def _exchange_added(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    goods = units(data["lines"])
    return f"In exchange the customer gets {goods}, which may leave when return {data['return_id']} has arrived."


def _exchange_released(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    goods = units(data["lines"])
    come = f"All of return {data['return_id']} has arrived"
    return f"{come}: {goods} may leave in exchange." if goods else f"{come}; nothing is left to send in exchange."


def _withdrawn(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    what = f"{units(data['lines'])} of return {data['return_id']}"
    return f"{what} will not come: the {data['by']} withdrew it{because(data['reason'])}."


def _return_requested(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    reasons = sorted({_why(line) for line in data["lines"]} - {""})
    text = f"The customer asks to return {units(data['lines'])} for {data['resolution']}{because(', '.join(reasons))}."
    return text + f" RMA number {data['rma']}."


def _why(line: Mapping[str, str | None]) -> str:
    """The customer's words, with the code if it says more."""
    code, words = (line.get("reason_code") or "").replace("_", " "), line["reason"] or ""
    if not code or code.casefold() in words.casefold():
        return words
    return f"{words} ({code})" if words else code


def _return_tracked(run: Sequence[Fact]) -> str:
    words = (fact["data"]["status"] for fact in run)
    # The sender of a return parcel is the customer.
    steps = ("sent back to the customer" if word == "returned_to_sender" else word.replace("_", " ") for word in words)
    return f"The carrier reports return {run[0]['data']['return_id']}: {', then '.join(steps)}."


_DISPOSITIONS: Mapping[str, str] = {
    "restock": "back to stock",
    "damaged": "damaged",
    "dispose": "thrown away",
    "inspect": "to be inspected",
}


_CAUSES: Mapping[str, str] = {
    "unclaimed": "not claimed by the customer",
    "refused": "refused by the customer",
    "recalled": "recalled by the seller",
}


def _return_received(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    parts = [f"{units([line])} {_DISPOSITIONS.get(line['disposition'], line['disposition'])}" for line in data["lines"]]
    where, goods = f"at {data['location_id']}", listed(parts)
    if data["cause"] != "customer":
        return f"Return {data['return_id']} arrived {where}, {_CAUSES.get(data['cause'], data['cause'])}: {goods}."
    came = "arrived" if data["announced"] else "arrived unannounced"
    return f"Return {data['return_id']} {came} {where}: {goods}."


def _return_differed(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    return f"Return {data['return_id']} was not as announced, and somebody should look at it: {data['detail']}"


def _refunded(run: Sequence[Fact]) -> str:
    data = run[0]["data"]
    source = f" for return {data['return_id']}" if data.get("return_id") else ""
    if data.get("cause") in _CAUSES:
        source += f" ({data['cause']})"
    return f"{money(data['amount_minor'], data['currency'])} was refunded{source}{because(data['reason'])}."


TELLERS: Mapping[str, Callable[[Sequence[Fact]], str]] = {
    "ReturnRequested": _return_requested,
    "ReturnTracked": _return_tracked,
    "ReturnReceived": _return_received,
    "ReturnDiffered": _return_differed,
    "RefundIssued": _refunded,
    "ExchangeLinesAdded": _exchange_added,
    "ExchangeReleased": _exchange_released,
    "ReturnWithdrawn": _withdrawn,
}
