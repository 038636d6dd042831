"""The story of an order: its facts as plain sentences, by day. Pure: history in, text out.

    27 November 2026
      18:00  Customer C7 ordered 2 × MUG-1 and 1 × TRAY on web for 31.00 GBP, to Leeds, GB.
      18:01  Set aside: 2 × MUG-1 and 1 × TRAY at WH1.

What is alike and follows on each other is told once: twenty-one lines that were set aside are one sentence. What a
simulated channel or actor did says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any

from events.times import rfc3339
from gateway.story import orders, parcels, returns, stock
from gateway.story.words import Fact, day_in_words

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
    """The story as one text."""
    return "\n".join(as_lines(chapters))


def as_lines(chapters: Sequence[Chapter]) -> list[str]:
    """The story as lines of text: a heading for each day, a time before each sentence."""
    lines: list[str] = []
    for chapter in chapters:
        lines += ["", day_in_words(chapter.day)] if lines else [day_in_words(chapter.day)]
        lines += [f"  {one.at:%H:%M}  {one.text}" for one in chapter.sentences]
    return lines


def _runs(history: Iterable[Fact]) -> list[list[Fact]]:
    """Facts that are told together: neighbours that are alike, on one day; what is not told does not part them."""
    facts = list(history)
    delivering = {fact.get("command_id") for fact in facts if fact["fact"] == "ShipmentDelivered"}
    runs: list[list[Fact]] = []
    last: object = None
    for fact in facts:
        if fact["fact"] in _UNTOLD or (_says_delivered(fact) and fact.get("command_id") in delivering):
            continue
        alike = (_likeness(fact), _at(fact).date(), _simulated(fact))
        if alike == last:
            runs[-1].append(fact)
        else:
            runs.append([fact])
        last = alike
    return runs


def _says_delivered(fact: Fact) -> bool:
    """Whether it is a scan that tells nothing beyond the delivery, which is told in a sentence of its own."""
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


_TELLERS = {**orders.TELLERS, **stock.TELLERS, **parcels.TELLERS, **returns.TELLERS}

#: Bookkeeping between the streams that moves no unit: it would only interrupt the story. The history has it.
_UNTOLD = frozenset({"AllocationAnswered", "AmendmentAnswered"})

#: Every fact that has its words; a test compares it with the catalogue.
TOLD = frozenset(_TELLERS) | _UNTOLD
