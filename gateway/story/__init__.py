"""The story of an order: its facts as plain sentences, by day. Pure: history in, text out.

    27 November 2026
      18:00  Customer C7 ordered 2 × MUG-1 and 1 × TRAY on web for 31.00 GBP, to Leeds, GB.
      18:01  Allocated: 2 × MUG-1 and 1 × TRAY at WH1.

The order of events follows the channels' clocks, so each day comes once. A sentence says so if the ledger learned of it
late, or if a simulated channel or actor did it. Similar facts that follow each other share a sentence: twenty-one
allocated lines are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any

from events.times import rfc3339
from gateway.story import cases, orders, parcels, returns, stock
from gateway.story.words import Fact, day_in_words, moment

#: The beginning of the names of simulated channels and actors.
SIMULATED_PREFIX = "simulat"


@dataclass(frozen=True, slots=True)
class Sentence:
    """The facts from `first_version` to `last_version`; `simulated` if a simulated channel or actor sent them.

    A sentence about a service case has no version, because it is not a fact of the order.
    """

    at: datetime
    text: str
    first_version: int | None
    last_version: int | None
    simulated: bool = False

    def as_json(self) -> dict[str, Any]:
        versions = [] if self.first_version is None else [self.first_version, self.last_version]
        return {"at": rfc3339(self.at), "text": self.text, "versions": versions, "simulated": self.simulated}


@dataclass(frozen=True, slots=True)
class Chapter:
    """A day (UTC, by the channel's clock) and its sentences."""

    day: date
    sentences: tuple[Sentence, ...]

    def as_json(self) -> dict[str, Any]:
        return {"day": self.day.isoformat(), "sentences": [one.as_json() for one in self.sentences]}


def tell(history: Iterable[Fact], about: Iterable[Mapping[str, Any]] = ()) -> list[Chapter]:
    """The chapters of an order's history: rows with `version`, `fact`, `occurred_at`, `channel`, `actor` and `data`.

    `occurred_at` is RFC 3339. An unknown fact is shown by its name. `about`: the service cases about the order, as in
    `order --json`.
    """
    facts = list(history)
    late = _late(facts)
    # Facts of the same moment stay in the order of the ledger.
    facts.sort(key=lambda fact: (_at(fact), fact["version"]))
    simulated = any(fact["fact"] == "OrderPlaced" and _simulated(fact) for fact in facts)
    told_of_cases = [
        Sentence(at, text + (" (simulated)" if simulated else ""), None, None, simulated)
        for at, text in cases.sentences(about)
    ]
    sentences = sorted([*(_sentence(run, late) for run in _runs(facts, late)), *told_of_cases], key=lambda one: one.at)
    return [Chapter(day, tuple(several)) for day, several in groupby(sentences, key=lambda one: one.at.date())]


def as_text(chapters: Sequence[Chapter]) -> str:
    """The story as one text."""
    return "\n".join(as_lines(chapters))


def as_lines(chapters: Sequence[Chapter]) -> list[str]:
    """The story as lines of text: a heading for each day, a time before each sentence."""
    lines: list[str] = []
    for chapter in chapters:
        lines += ["", day_in_words(chapter.day)] if lines else [day_in_words(chapter.day)]
        lines += [f"  {one.at:%H:%M}  {one.text}" for one in chapter.sentences]
    return lines


def _late(history: Sequence[Fact]) -> dict[int, datetime]:
    """Version of each late fact → the latest time of the facts before it. Late: at least a minute earlier than that."""
    late: dict[int, datetime] = {}
    latest: datetime | None = None
    for fact in sorted(history, key=lambda fact: fact["version"]):
        at = _at(fact)
        if latest is not None and at.replace(second=0, microsecond=0) < latest.replace(second=0, microsecond=0):
            late[fact["version"]] = latest
        else:
            latest = at
    return late


def _runs(facts: Sequence[Fact], late: Mapping[int, datetime]) -> list[list[Fact]]:
    """Facts that share a sentence: similar neighbours on one day. Facts without a sentence do not separate them."""
    delivering = {fact.get("command_id") for fact in facts if fact["fact"] == "ShipmentDelivered"}
    runs: list[list[Fact]] = []
    last: object = None
    for fact in facts:
        if fact["fact"] in _UNTOLD or (_says_delivered(fact) and fact.get("command_id") in delivering):
            continue
        alike = (_likeness(fact), _at(fact).date(), _simulated(fact), late.get(fact["version"]))
        if alike == last:
            runs[-1].append(fact)
        else:
            runs.append([fact])
        last = alike
    return runs


def _says_delivered(fact: Fact) -> bool:
    """Whether it is a scan that says no more than the delivery, which has its own sentence."""
    data = fact["data"]
    return fact["fact"] == "ShipmentTracked" and data["status"] == "delivered" and not data.get("place")


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
        case "TrackingDeferred" | "TrackingExpired":
            return name, data["waits_for"]
        case "ReturnTracked":
            return name, data["return_id"]
        case "CommandRefused":
            return name, data["command"], data["code"], fact["channel"]
        case _:
            return fact["version"]


def _sentence(run: Sequence[Fact], late: Mapping[int, datetime]) -> Sentence:
    first = run[0]
    tell_one = _TELLERS.get(first["fact"])
    text = tell_one(run) if tell_one else f"{first['fact']} was recorded."
    simulated = _simulated(first)
    if simulated:
        text += " (simulated)"
    after = late.get(first["version"])
    if after is not None:
        text += f" (reported late, after events of {moment(after.isoformat())})"
    versions = [fact["version"] for fact in run]
    return Sentence(_at(first), text, min(versions), max(versions), simulated)


def _simulated(fact: Fact) -> bool:
    return any((fact.get(who) or "").startswith(SIMULATED_PREFIX) for who in ("channel", "actor"))


def _at(fact: Fact) -> datetime:
    return datetime.fromisoformat(fact["occurred_at"]).astimezone(UTC)


_TELLERS = {**orders.TELLERS, **stock.TELLERS, **parcels.TELLERS, **returns.TELLERS}

#: Bookkeeping between the streams that moves no unit: only the history shows it.
_UNTOLD = frozenset({"AllocationAnswered", "AmendmentAnswered"})

#: All facts that the story covers; a test compares them with the catalogue.
TOLD = frozenset(_TELLERS) | _UNTOLD
