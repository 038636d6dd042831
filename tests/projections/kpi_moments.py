"""What the edges of the KPIs are told with: some moments, one order, and why it is counted or not."""

from __future__ import annotations

from typing import Any

import psycopg

from projections.kpi.opening import behind
from tests.projections.fact_rows import (
    Fact,
    placed,
)

MORNING, NOON, EVENING = "2026-11-27T08:00Z", "2026-11-27T12:00Z", "2026-11-27T18:00Z"
NEXT_DAY, DAY_AFTER = "2026-11-28T12:00Z", "2026-11-29T12:00Z"
LONG_AFTER = "2026-12-31T00:00Z"

ORDER = placed("o1", MORNING, due=EVENING)
#: The same, promised to leave by then.
LEAVING = placed("o1", MORNING, due=EVENING, promise="dispatch")


def time_passes() -> Fact:
    """Something far later in the log: everything promised for November is due."""
    return placed("someone-else", LONG_AFTER)


def why(connection: psycopg.Connection[Any], name: str, order_id: str = "o1") -> tuple[str, str]:
    """Whether the order's row is counted, and why."""
    document = behind(connection, name)
    found = [
        (kind, row["why"]) for kind in ("rows", "left_out") for row in document[kind] if row["order_id"] == order_id
    ]
    assert len(found) == 1, found
    return found[0]
