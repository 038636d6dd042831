"""Times as people and readers are told them: RFC 3339 in UTC with a Z, no more digits than there are.

>>> from datetime import datetime, timezone
>>> rfc3339(datetime(2026, 11, 27, 18, tzinfo=timezone.utc))
'2026-11-27T18:00:00Z'
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload


@overload
def rfc3339(value: datetime | str) -> str: ...
@overload
def rfc3339(value: None) -> None: ...
@overload
def rfc3339(value: datetime | str | None) -> str | None: ...
def rfc3339(value: datetime | str | None) -> str | None:
    """A time, or an ISO 8601 text with an offset, as `2026-11-27T18:00:00Z`; null stays null. ValueError: no offset."""
    if value is None:
        return None
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    if time.tzinfo is None:
        raise ValueError(f"{value} has no offset")
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
