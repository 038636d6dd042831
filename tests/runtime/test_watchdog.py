"""The watchdog ends a reader that is silent or stands still, and leaves alone one that works, waits or was paused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from runtime.watchdog import Partition, Signs, Silence, Standing, Stillness, watch

STOCK = ("ledger.stock", 3)
IDLE = Signs(busy=False, fetched=4, beats=0)


def test_a_partition_stands_still_only_while_there_is_more_to_read() -> None:
    still = Stillness()

    def look(offset: int, end: int, now: float) -> float:
        still.look({STOCK: offset}, now)
        return still.look(still.behind({STOCK: end}), now)

    assert look(5, 9, now=0.0) == 0.0
    assert look(5, 9, now=7.0) == 7.0
    assert look(6, 9, now=8.0) == 0.0
    assert look(9, 9, now=99.0) == 0.0
    assert look(9, 10, now=100.0) == 0.0
    assert still.behind({STOCK: 10}) == {STOCK: 9}


def test_a_reader_is_silent_only_while_it_is_idle_and_given_nothing() -> None:
    silence = Silence()
    assert silence.look(Signs(busy=False, fetched=4, beats=0), behind=True, now=0.0) == 0.0
    assert silence.look(Signs(busy=False, fetched=4, beats=7), behind=True, now=7.0) == 7.0
    assert silence.look(Signs(busy=False, fetched=5, beats=8), behind=True, now=8.0) == 0.0
    assert silence.look(Signs(busy=True, fetched=5, beats=20), behind=True, now=20.0) == 0.0
    assert silence.look(Signs(busy=False, fetched=5, beats=21), behind=True, now=21.0) == 0.0
    assert silence.look(Signs(busy=False, fetched=5, beats=40), behind=False, now=40.0) == 0.0
    assert silence.look(Signs(busy=False, fetched=5, beats=41), behind=True, now=41.0) == 0.0
    assert silence.look(Signs(busy=False, fetched=5, beats=43), behind=True, now=43.0) == 2.0


class Looks:
    """A world without waiting: a clock, and the number of looks after which the test ends the watch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, looks: int, seconds: Callable[[int], float]) -> None:
        self.stopped = threading.Event()
        self.ended_at: int | None = None
        self.looks = 0
        self.now = 0.0
        self._looks_max = looks
        self._seconds = seconds
        monkeypatch.setattr(self.stopped, "wait", self._wait)
        monkeypatch.setattr("os._exit", self._end)

    def _wait(self, _seconds: float) -> bool:
        self.looks += 1
        self.now += self._seconds(self.looks)
        return self.stopped.is_set() or self.looks > self._looks_max

    def _end(self, status: int) -> None:
        assert status == 1
        self.ended_at = self.looks
        self.stopped.set()

    def watch(
        self, signs: Callable[[], Signs], ends: Callable[[], dict[Partition, int]] = lambda: {STOCK: 2}
    ) -> int | None:
        """After how many looks the process was ended; None when it was left alone."""
        standing = Standing()
        standing.placed = True
        standing.next_offsets, standing.signs = lambda: {STOCK: 1}, signs
        return self.watch_over(standing, ends)

    def watch_over(
        self, standing: Standing, ends: Callable[[], dict[Partition, int]] = lambda: {STOCK: 2}
    ) -> int | None:
        """The same for a reader that shows all of this."""
        watch(
            "reactions",
            standing,
            ends,
            self.stopped,
            60,
            silence_seconds=10,
            look_seconds=1,
            clock=lambda: self.now,
        )
        return self.ended_at


def test_a_silent_reader_is_ended_after_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Looks(monkeypatch, 30, lambda _: 1.0).watch(lambda: IDLE) == 11


def test_a_reader_in_a_long_step_has_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(monkeypatch, 90, lambda _: 1.0)
    assert looks.watch(lambda: Signs(busy=True, fetched=4, beats=looks.looks)) == 61


def test_an_event_loop_that_stopped_turning_with_work_in_hand_is_ended_after_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen to fail: when being busy alone was enough to be left alone, a loop that hung in mid-step had a minute."""
    looks = Looks(monkeypatch, 90, lambda _: 1.0)
    assert looks.watch(lambda: Signs(busy=True, fetched=4, beats=min(looks.looks, 5))) == 16


def test_a_reader_that_gets_something_now_and_then_has_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(monkeypatch, 90, lambda _: 1.0)
    assert looks.watch(lambda: IDLE._replace(fetched=looks.looks // 5)) == 61


def test_a_process_that_was_paused_is_not_ended_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to fail: with the clock itself instead of counted looks it was ended at the third look."""
    looks = Looks(monkeypatch, 9, lambda number: 300.0 if number == 3 else 1.0)
    assert looks.watch(lambda: IDLE) is None


def test_while_the_broker_does_not_answer_nobody_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    away = iter([True, False] * 50)

    def ends() -> dict[Any, int]:
        if next(away):
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return {STOCK: 2}

    assert Looks(monkeypatch, 60, lambda _: 1.0).watch(lambda: IDLE, ends) is None


def test_while_the_reader_waits_for_a_service_nobody_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    def offsets() -> dict[Any, int]:
        raise AssertionError("nothing is asked meanwhile")

    standing = Standing()
    with standing.excused() as wait_for:
        wait_for("postgres")
        assert Looks(monkeypatch, 90, lambda _: 1.0).watch_over(standing, offsets) is None
    assert standing.waiting_for is None


def test_a_reader_without_a_place_has_a_minute_from_when_it_lost_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to fail: without the rule it was left alone for ever, though records waited."""
    standing = Standing()
    looks = Looks(monkeypatch, 90, lambda _: 1.0)

    def next_offsets() -> dict[Partition, int]:
        standing.placed = looks.looks < 20  # seen at the next look
        return {}

    standing.placed, standing.next_offsets = True, next_offsets
    assert looks.watch_over(standing) == 81


def test_a_reader_whose_partition_stands_still_has_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = Standing()
    looks = Looks(monkeypatch, 90, lambda _: 1.0)
    standing.placed, standing.next_offsets = True, lambda: {STOCK: min(looks.looks, 20)}
    assert looks.watch_over(standing, lambda: {STOCK: 99}) == 80


def test_a_partition_that_stands_still_while_others_move_on_has_a_minute_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to fail: when any step of any partition counted as a change, it was left alone for ever."""
    standing = Standing()
    looks = Looks(monkeypatch, 190, lambda _: 1.0)
    other = ("ledger.stock", 4)
    standing.placed, standing.next_offsets = True, lambda: {STOCK: 20, other: looks.looks}
    assert looks.watch_over(standing, lambda: {STOCK: 99, other: 999}) == 61


def test_the_broker_is_asked_only_when_a_reader_without_signs_was_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = Standing()
    looks = Looks(monkeypatch, 90, lambda _: 1.0)
    asked: list[int] = []

    def ends() -> dict[Partition, int]:
        asked.append(looks.looks)
        return {STOCK: 40}

    standing.placed, standing.next_offsets = True, lambda: {STOCK: min(looks.looks, 40)}
    assert looks.watch_over(standing, ends) is None
    assert asked == [70]  # what stands at its end is not asked about before half a minute is over, again


def test_a_broker_that_was_away_gives_the_reader_its_minute_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = Standing()
    looks = Looks(monkeypatch, 190, lambda _: 1.0)

    def ends() -> dict[Partition, int]:
        if looks.looks < 100:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return {STOCK: 99}

    standing.placed, standing.next_offsets = True, lambda: {STOCK: 20}
    ended_at = looks.watch_over(standing, ends)
    assert ended_at is not None
    assert ended_at >= 130


def test_a_reader_to_whom_the_group_gave_nothing_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = Standing()
    standing.placed = True
    assert Looks(monkeypatch, 90, lambda _: 1.0).watch_over(standing) is None


def test_a_reader_that_has_left_its_group_shows_nothing() -> None:
    standing = Standing()
    standing.placed, standing.next_offsets = True, lambda: {STOCK: 1}
    standing.leave()
    assert (standing.placed, standing.next_offsets()) == (False, {})


def test_excuses_within_one_another_end_with_the_outer_one() -> None:
    standing = Standing()
    with standing.excused() as wait_for:
        wait_for("takeover")
        with standing.excused() as inner:
            inner("postgres")
            assert standing.waiting_for == "postgres"
        assert standing.waiting_for == "takeover"
    assert standing.waiting_for is None
