"""Laws of days and weeks: they hold from the first day that there is to the last."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from events.times import day_after, monday_of, weeks_before


@given(day=st.dates(), weeks=st.integers(0, 60))
@example(day=date.min, weeks=4)
@example(day=date(1, 1, 20), weeks=4)
@example(day=date.max, weeks=4)
def test_weeks_before_a_day_are_whole_end_before_its_own_and_begin_no_earlier_than_time(day: date, weeks: int) -> None:
    first, last = weeks_before(day, weeks)
    assert first.weekday() == last.weekday() == 0
    assert last == monday_of(day)
    assert 0 <= (day - last).days <= 6
    assert (last - first).days == 7 * weeks or (first == date.min and (last - first).days < 7 * weeks)


@given(day=st.dates())
@example(day=date.max)
def test_the_day_after_is_the_next_or_the_last_that_there_is(day: date) -> None:
    after = day_after(day)
    assert after - day == timedelta(days=1) or after == day == date.max
