"""What everybody who waits may expect, counted unit by unit: slow, and without a thought of how it is done elsewhere.

plainly_promised(stock)   ->   {attempt: time by which its last unit is expected}; whoever is not in it has no promise
"""

from __future__ import annotations

from datetime import datetime
from typing import Any


def plainly_promised(stock: Any) -> dict[Any, datetime]:
    """From the queue and what is on its way, from scratch."""
    coming = sorted(
        (expected.expected_at, source, number)
        for source, expected in stock.incoming.items()
        if expected.expected_at is not None and not expected.overdue and stock.registered.get(source.location_id)
        for number in range(expected.quantity)
    )
    waiters = sorted(stock.queue, key=lambda attempt: (stock.queue[attempt].placed_at, attempt))
    wanted = [attempt for attempt in waiters for _ in range(stock.queue[attempt].quantity)]
    covered: dict[Any, list[datetime]] = {}
    for attempt, (expected_at, _, _) in zip(wanted, coming, strict=False):
        covered.setdefault(attempt, []).append(expected_at)
    return {attempt: times[-1] for attempt, times in covered.items() if len(times) == stock.queue[attempt].quantity}
