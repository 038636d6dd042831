"""Which calls wait for their receiver, and which nobody will make any more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from processors.checks import Check, minute, rows_of
from processors.effects.outbox import OPEN_CALLS
from runtime.services import Services
from runtime.settings import Settings

#: A call that waits for longer has a receiver that a person should look at. Shorter warns of each restart of it.
LATE_CALL = timedelta(minutes=15)


def effects_checks(services: Services, _settings: Settings) -> Iterator[Check]:
    """One check for each effect that has open calls, or one that says that none has."""
    rows = rows_of(services, OPEN_CALLS)
    if not rows:
        yield Check("effects", "ok", "No call waits for its receiver")
    for row in rows:
        error = f"; the last error: {row['error']}" if row["error"] else ""
        what, detail = f"{row['count']:,} calls of {row['effect']}", f"the oldest of {minute(row['oldest'])}{error}"
        if row["dead"]:
            hint = "docs/effects.md says how to make them again, once the receiver is well"
            yield Check("effects", "warn", f"{what} are dead", detail, hint)
        elif datetime.now(UTC) - row["oldest"] > LATE_CALL:
            hint = "is the receiver up? `SELECT * FROM v_effect_calls` shows each call"
            yield Check("effects", "warn", f"{what} wait", detail, hint)
        else:
            yield Check("effects", "ok", f"{what} wait", detail)
