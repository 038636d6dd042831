"""A date ends with its day at the address, a time is a time, everything else is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.promises import _ZONES, ZONE_OF_COUNTRY, UnreadablePromiseError, promise_end


def ends(promised_by: str, country: str = "DE", time_zone: str | None = None) -> str:
    """The first moment that is too late, in UTC."""
    end = promise_end(promised_by, country=country, time_zone=time_zone)
    return (end + timedelta(microseconds=1)).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("promised_by", "country", "time_zone", "too_late"),
    [
        ("2026-12-24", "DE", None, "2026-12-24 23:00"),
        ("2026-07-24", "DE", None, "2026-07-24 22:00"),
        ("2026-03-28", "DE", None, "2026-03-28 23:00"),  # the day before summer time
        ("2026-03-29", "DE", None, "2026-03-29 22:00"),  # a day of 23 hours
        ("2026-10-25", "DE", None, "2026-10-25 23:00"),  # a day of 25 hours
        ("2026-11-01", "US", None, "2026-11-02 05:00"),  # 25 hours in New York
        ("2026-12-24", "US", "America/Los_Angeles", "2026-12-25 08:00"),
        ("2026-12-24", "NZ", None, "2026-12-24 11:00"),
        ("2026-12-24", "IN", None, "2026-12-24 18:30"),
        ("2026-12-24", "ZZ", None, "2026-12-25 00:00"),  # a country nobody knows: UTC
        (
            "2026-04-23",
            "EG",
            None,
            "2026-04-23 22:00",
        ),  # the day after begins at 1 o'clock: summer time starts at midnight
        ("2024-02-28", "GB", None, "2024-02-29 00:00"),
        ("2026-12-31", "JP", None, "2026-12-31 15:00"),
    ],
)
def test_a_date_ends_with_its_day_at_the_address(
    promised_by: str, country: str, time_zone: str | None, too_late: str
) -> None:
    assert ends(promised_by, country, time_zone) == too_late


def test_a_time_is_that_time_whatever_the_address() -> None:
    end = promise_end("2026-12-24T18:00:00+01:00", country="US", time_zone=None)
    assert end == datetime(2026, 12, 24, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    "promised_by",
    [
        "",
        "soon",
        "2026-02-30",
        "2026-12-24T18:00",
        "20261224",
        "9999-12-31",
        "0001-01-01T00:00:00+14:00",
        "2026-12-2\ud800",
    ],
)
def test_what_is_neither_a_date_nor_a_time_with_an_offset_is_refused(promised_by: str) -> None:
    with pytest.raises(UnreadablePromiseError):
        promise_end(promised_by, country="DE", time_zone=None)


@pytest.mark.parametrize(
    "zone", ["Mars/Base", "America", "europe/berlin", "../Europe/Berlin", "zone.tab", ".", "Europe/"]
)
def test_a_time_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(UnreadablePromiseError):
        promise_end("2026-12-24", country="DE", time_zone=zone)


def test_every_country_has_a_zone_that_exists() -> None:
    assert set(ZONE_OF_COUNTRY.values()) <= _ZONES


@settings(max_examples=200)
@given(text=st.text(max_size=30), zone=st.none() | st.text(max_size=20))
def test_hostile_text_is_refused_and_breaks_nothing(text: str, zone: str | None) -> None:
    for promised_by in (text, "2026-12-24"):
        try:
            promise_end(promised_by, country=text[:2], time_zone=zone)
        except UnreadablePromiseError:
            continue


@settings(max_examples=200)
@given(day=st.dates(date(1990, 1, 1), date(2090, 1, 1)), zone=st.sampled_from(sorted(ZONE_OF_COUNTRY.values())))
def test_a_promise_ends_in_the_last_microsecond_that_has_the_date_on_the_wall_there(day: date, zone: str) -> None:
    end = promise_end(day.isoformat(), country="DE", time_zone=zone)
    assert end.astimezone(ZoneInfo(zone)).date() == day
    assert (end + timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() > day
