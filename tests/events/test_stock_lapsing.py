"""Which holds have lapsed, out of any number that come and go in any order: as a plain list would say."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st
from msgspec.structs import replace

from events.catalogue import STREAMS
from events.stock.lapsing import NONE, SECONDS_WALKED, Hold, lapsed, lapsing_with, lapsing_without
from tests.events.builders import policy, put_in_cart, receive, reserve
from tests.support.given import NOW, given

#: Close together, and far apart; with parts of a second.
MOMENTS = st.one_of(st.integers(0, 40), st.integers(0, 10_000)).map(lambda tenths: NOW + timedelta(seconds=tenths / 10))


@settings(max_examples=300, deadline=None)
@given_any(ends=st.lists(MOMENTS, max_size=20), gone=st.sets(st.integers(0, 19)), now=MOMENTS)
def test_holds_that_lapse_are_found_as_a_plain_list_finds_them(
    ends: list[datetime], gone: set[int], now: datetime
) -> None:
    holds = {Hold((f"o-{number}", "1", 1), "WH1"): end for number, end in enumerate(ends)}
    lapsing = NONE
    for hold, end in holds.items():
        lapsing = lapsing_with(lapsing, hold, end)
    for number in sorted(gone & set(range(len(ends)))):
        hold = Hold((f"o-{number}", "1", 1), "WH1")
        lapsing = lapsing_without(lapsing, hold, holds.pop(hold))
    assert lapsed(lapsing, now) == [
        hold for end, hold in sorted((end, hold) for hold, end in holds.items()) if end <= now
    ]
    first = min((int(end.timestamp()) for end in holds.values()), default=None)
    assert lapsing.first == first


def test_after_a_lull_longer_than_is_walked_the_next_hold_is_found() -> None:
    early, late = Hold(("a", "1", 1), "WH1"), Hold(("b", "1", 1), "WH1")
    far = NOW + timedelta(seconds=SECONDS_WALKED + 5)
    lapsing = lapsing_with(lapsing_with(NONE, early, NOW), late, far)
    lapsing = lapsing_without(lapsing, early, NOW)
    assert lapsed(lapsing, far) == [late]
    assert lapsed(lapsing, far - timedelta(microseconds=1)) == []


def test_a_snapshot_from_before_holds_were_kept_by_their_ends_is_read_as_if_they_had_been() -> None:
    story = given(receive(5), policy(safety_stock=1), put_in_cart(2), reserve(1))
    plain = msgspec.msgpack.decode(STREAMS["stock"].encode(story.state))
    levels = ("on_hand", "reserved", "damaged", "quality_hold", "safety_stock", "reorder_point", "buffers", "moves")
    levels += ("registered",)
    plain[1] = {place: {name: level[name] for name in levels} for place, level in plain[1].items()}
    old = msgspec.msgpack.encode(plain[:9])
    assert STREAMS["stock"].decode(old) == replace(story.state, registered={})
    assert story.state.lapsing.first is not None
    assert set(story.state.carts) == {"cart-1"}
