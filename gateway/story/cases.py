"""Sentences about the service cases of the order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.story.words import plural


def sentences(cases: Iterable[Mapping[str, Any]]) -> Iterator[tuple[datetime, str]]:
    """Time and sentence of each case's opening and of its last resolution."""
    for case in cases:
        again = f", after it had been reopened {plural(case['reopened'], 'time')}" if case["reopened"] else ""
        settled = case["state"] == "resolved"
        text = f"Case {case['case_id']} was opened ({case['channel']}, urgency {case['urgency']}): {case['topic']}."
        if not settled:
            text += f" It was reopened {plural(case['reopened'], 'time')} and is open." if again else " It is open."
        yield _time(case["opened_at"]), text
        if settled:
            yield _time(case["resolved_at"]), f"Case {case['case_id']} was resolved{again}."


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
