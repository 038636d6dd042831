"""Times as text (RFC 3339 in UTC with a Z, without trailing zeros), and days and weeks.

Days and weeks work for every time that a channel may send.

>>> from datetime import datetime, timezone
>>> rfc3339(datetime(2026, 11, 27, 18, tzinfo=timezone.utc))
'2026-11-27T18:00:00Z'
>>> weeks_before(date(2026, 11, 27), 4)
(datetime.date(2026, 10, 26), datetime.date(2026, 11, 23))
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import overload


@overload
def rfc3339(value: datetime | str) -> str: ...
@overload
def rfc3339(value: None) -> None: ...
@overload
def rfc3339(value: datetime | str | None) -> str | None: ...
def rfc3339(value: datetime | str | None) -> str | None:
    """A time, or an ISO 8601 text with an offset, as `2026-11-27T18:00:00Z`; None stays None. ValueError: no offset."""
    if value is None:
        return None
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    if time.tzinfo is None:
        raise ValueError(f"{value} has no offset")
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def monday_of(day: date) -> date:
    """The Monday of the day's week."""
    return day - timedelta(days=day.weekday())


def weeks_before(day: date, weeks: int) -> tuple[date, date]:
    """The `weeks` whole weeks before the day's week: their first day, and the first day after them."""
    last = monday_of(day)
    return date.fromordinal(max(date.min.toordinal(), last.toordinal() - 7 * weeks)), last


def day_after(day: date) -> date:
    """The next day; the last possible day stays as it is."""
    return date.fromordinal(min(date.max.toordinal(), day.toordinal() + 1))
