"""When a promise ends: a date lasts until that day ends at the order's address, a time until that time.

>>> promise_end("2026-12-24", country="DE", time_zone=None).isoformat()
'2026-12-24T22:59:59.999999+00:00'
"""

import zoneinfo
from datetime import UTC, date, datetime, timedelta

from events.values import TIME_MAX, TIME_MIN, YEAR_MAX, YEAR_MIN

# A decision must not depend on the machine: zones come only from the pinned `tzdata` package, never from the system.
zoneinfo.reset_tzpath(())
# Names are checked before a zone is loaded. Otherwise the name of a folder, or on some file systems a name in other
# letter case, would count as a zone.
_ZONES = frozenset(zoneinfo.available_timezones())

#: IANA zone of a country, for an address without one. Of several zones, the one where most people live.
ZONE_OF_COUNTRY = {
    "AE": "Asia/Dubai", "AR": "America/Argentina/Buenos_Aires", "AT": "Europe/Vienna", "AU": "Australia/Sydney",
    "BE": "Europe/Brussels", "BG": "Europe/Sofia", "BH": "Asia/Bahrain", "BM": "Atlantic/Bermuda",
    "BR": "America/Sao_Paulo", "CA": "America/Toronto", "CH": "Europe/Zurich", "CL": "America/Santiago",
    "CN": "Asia/Shanghai", "CO": "America/Bogota", "CY": "Asia/Nicosia", "CZ": "Europe/Prague", "DE": "Europe/Berlin",
    "DK": "Europe/Copenhagen", "EE": "Europe/Tallinn", "EG": "Africa/Cairo", "ES": "Europe/Madrid",
    "FI": "Europe/Helsinki", "FR": "Europe/Paris", "GB": "Europe/London", "GG": "Europe/Guernsey",
    "GR": "Europe/Athens", "HK": "Asia/Hong_Kong", "HR": "Europe/Zagreb", "HU": "Europe/Budapest",
    "ID": "Asia/Jakarta", "IE": "Europe/Dublin", "IL": "Asia/Jerusalem", "IN": "Asia/Kolkata",
    "IS": "Atlantic/Reykjavik", "IT": "Europe/Rome", "JE": "Europe/Jersey", "JP": "Asia/Tokyo",
    "KE": "Africa/Nairobi", "KR": "Asia/Seoul", "LB": "Asia/Beirut", "LT": "Europe/Vilnius",
    "LU": "Europe/Luxembourg", "LV": "Europe/Riga", "MA": "Africa/Casablanca", "MT": "Europe/Malta",
    "MX": "America/Mexico_City", "MY": "Asia/Kuala_Lumpur", "NG": "Africa/Lagos", "NL": "Europe/Amsterdam",
    "NO": "Europe/Oslo", "NZ": "Pacific/Auckland", "PE": "America/Lima", "PH": "Asia/Manila", "PL": "Europe/Warsaw",
    "PT": "Europe/Lisbon", "RO": "Europe/Bucharest", "RS": "Europe/Belgrade", "RU": "Europe/Moscow",
    "SA": "Asia/Riyadh", "SE": "Europe/Stockholm", "SG": "Asia/Singapore", "SI": "Europe/Ljubljana",
    "SK": "Europe/Bratislava", "TH": "Asia/Bangkok", "TR": "Europe/Istanbul", "TW": "Asia/Taipei",
    "UA": "Europe/Kyiv", "US": "America/New_York", "VN": "Asia/Ho_Chi_Minh", "ZA": "Africa/Johannesburg",
}  # fmt: skip


class UnreadablePromiseError(ValueError):
    """A promise that is neither a date nor a time with an offset, or ends outside the allowed years, or has an unknown
    time zone."""


def promise_end(promised_by: str, *, country: str, time_zone: str | None) -> datetime:
    """The last moment, in UTC, at which a delivery keeps the promise.

    A date gives the last microsecond of that day at the address. A country without a known zone counts as UTC.
    """
    try:
        if len(promised_by) == len("2026-12-24"):
            zone = _zone(time_zone or ZONE_OF_COUNTRY.get(country, "UTC"))
            day_after = _day(promised_by) + timedelta(days=1)
            midnight = datetime(day_after.year, day_after.month, day_after.day, tzinfo=zone)
            return _bounded(midnight.astimezone(UTC) - timedelta(microseconds=1))
        return _bounded(_with_offset(_time(promised_by)).astimezone(UTC))
    except OverflowError as error:
        raise UnreadablePromiseError(f"{promised_by!r}: {_NO_DATE}") from error
    except ValueError as error:
        raise UnreadablePromiseError(f"{promised_by!r}: {error}") from error


_NO_DATE = f"expected a date like 2026-12-24 or a time with an offset, in the years {YEAR_MIN} to {YEAR_MAX} in UTC"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"this day does not exist: {_NO_DATE}") from error


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(_NO_DATE) from error


def _zone(name: str) -> zoneinfo.ZoneInfo:
    if name not in _ZONES:
        raise ValueError(f"there is no time zone {name!r}")
    return zoneinfo.ZoneInfo(name)


def _with_offset(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("it has no offset")
    return moment


def _bounded(moment: datetime) -> datetime:
    if not TIME_MIN <= moment <= TIME_MAX:
        raise ValueError(f"it ends in the year {moment.year}: allowed are {YEAR_MIN} to {YEAR_MAX} in UTC")
    return moment
