"""Checks of `doctor` for effects: calls that wait for their receiver, and dead ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from processors.checks import Check, minute, rows_of
from processors.effects.outbox import OPEN_CALLS
from runtime.services import Services
from runtime.settings import Settings

#: If a call waits longer, a person should look at its receiver. Shorter warns at each of the receiver's restarts.
LATE_CALL = timedelta(minutes=15)


def effects_checks(services: Services, _settings: Settings) -> Iterator[Check]:
    """One check for each effect with open calls, or one that says that there are none."""
    rows = rows_of(services, OPEN_CALLS)
    if not rows:
        yield Check("effects", "ok", "No call waits for its receiver")
    for row in rows:
        error = f"; the last error: {row['error']}" if row["error"] else ""
        what, detail = f"{row['count']:,} calls of {row['effect']}", f"the oldest of {minute(row['oldest'])}{error}"
        if row["dead"]:
            hint = "docs/effects.md says how to repeat them once the receiver works again"
            yield Check("effects", "warn", f"{what} are dead", detail, hint)
        elif datetime.now(UTC) - row["oldest"] > LATE_CALL:
            hint = "is the receiver up? `SELECT * FROM v_effect_calls` shows each call"
            yield Check("effects", "warn", f"{what} wait", detail, hint)
        else:
            yield Check("effects", "ok", f"{what} wait", detail)
