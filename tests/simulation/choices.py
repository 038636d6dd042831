"""What happens in a run, as a list of moves. A seed only writes the list; running it needs no further chance.

    moves = plan(seed=7)            # [Move(0, "receive", 0x51…), Move(1, "write", 0x9e…), …]
    World().run(moves)              # the same list, the same run, to the byte
    World().run(moves[:40])         # any part of it is a run, too: that is how a failure is made small

The number in a move decides all that is open when it comes to pass (which writer, how many records, which order), by
remainders, so a move means something in whatever state it finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, TypeVar

Thing = TypeVar("Thing")

#: Bits of chance in a move. A command uses up to some 25 choices of a few bits; what is missing at the end reads as 0.
MOVE_BITS = 160

#: Moves of a story. Fewer leave no room for faults in the middle of things, more only make seeds slow.
MOVES_MIN, MOVES_MAX = 60, 200


class Move(NamedTuple):
    """`number` names it for good, also when others are left out; `chance` is read by `Dice`."""

    number: int
    kind: str
    chance: int


class Dice:
    """Choices out of one large number."""

    __slots__ = ("_left",)

    def __init__(self, chance: int) -> None:
        self._left = chance

    def below(self, count: int) -> int:
        """0 … count - 1; 0 where there is nothing to choose."""
        if count <= 1:
            return 0
        self._left, choice = divmod(self._left, count)
        return choice

    def between(self, low: int, high: int) -> int:
        return low + self.below(high - low + 1)

    def one(self, things: Sequence[Thing]) -> Thing:
        return things[self.below(len(things))]

    def once_in(self, count: int) -> bool:
        return self.below(count) == count - 1


#: What people and channels ask for, and how often.
ASKING = {
    "place": 10, "place_whole": 10, "receive": 7, "adjust": 1, "move": 1, "count": 6, "damage": 1, "policy": 4,
    "hold_for_other": 3, "let_go_for_other": 3, "amend": 3, "cancel": 3, "hold": 2, "unhold": 2, "dispatch": 7,
    "scan": 5, "ask_return": 2, "take_return": 3, "exchange": 3, "return_part": 3, "scan_return": 1, "refund": 2,
    "case": 2, "location": 1,
    "cart": 4, "approve": 4, "set_apart": 2, "dispose": 1,
    "rules": 1,
    "resolve": 3,
    "reject": 4, "withdraw": 2, "deallocate": 2, "replace": 3, "retract": 3,
    "expect": 4, "transfer": 3, "arrive": 3,
    "location_policy": 1, "channel_policy": 3, "category_policy": 2, "category": 3,
}  # fmt: skip

#: Every seed asks for these; of the others it leaves about half out, so that it gets far with those that are left: an
#: order has to be placed, to ship and to arrive before anything of it comes back.
ALWAYS = frozenset({"place", "receive", "dispatch", "scan"})


class Subject(NamedTuple):
    """What a story is about: `kinds` are never left out of it and weigh more; `opening` comes before the rest, because
    what is late in the life of an order or of a count is never reached by chance alone.
    """

    kinds: tuple[str, ...] = ()
    opening: tuple[str, ...] = ()


#: A seed is about one of these, two in five about nothing.
SUBJECTS = (
    Subject(),
    Subject(),
    Subject(
        ("place", "place_whole", "receive", "cancel", "amend", "hold", "unhold", "expect"),
        ("place_whole", "place_whole", "place", "calm", "receive", "calm", "receive", "calm"),
    ),
    Subject(
        (
            "receive",
            "dispatch",
            "scan",
            "ask_return",
            "take_return",
            "exchange",
            "return_part",
            "withdraw",
            "refund",
            "replace",
            "retract",
        ),
        (*("receive",) * 6, *("place",) * 3, "calm", *("dispatch",) * 4, "calm", *("scan",) * 4, "calm"),
    ),
    Subject(
        ("policy", "count", "approve", "reject"), (*("receive",) * 4, *("policy",) * 6, "calm", *("count",) * 6, "calm")
    ),
)
#: Less and chance decides again; more leaves no room for what crosses the subject.
SUBJECT_WEIGHT = 4

#: The machines at work.
WORKING = {"write": 30, "broker": 30, "react": 26, "project": 12, "timers": 3, "pass_seconds": 6, "deliver_late": 3,
           "queue": 1, "calm": 4}  # fmt: skip

#: What goes wrong. Each seed leaves about half of it out: some faults hide others (swarm testing).
FAILING = {
    "repeat": 8, "garbage": 2, "misplace": 3, "reuse_id": 2, "outage": 3, "stop_writer": 3, "break_writer": 3,
    "zombie_writer": 3, "rival_writer": 1, "tell_zombie": 2, "hand_over": 2, "lose_batch": 2, "snapshot": 4,
    "commit": 2, "old_snapshot": 1, "old_position": 1, "break_reactions": 4, "share_reactions": 3, "old_reactions": 1,
    "old_view": 2, "pass_days": 1, "clock_back": 2, "break_send": 4,
}  # fmt: skip

#: What the real batch folds do with the log, after the rest, where a run has them.
PROJECTING = ("tables",) * 6


def plan(seed: int, *, tables: bool = False) -> list[Move]:
    """The moves of a seed; `tables` adds those of the projector."""
    random = Random(seed)
    weights = {kind: weight * (1 if kind in ALWAYS else random.choice((0, 0, 1, 2))) for kind, weight in ASKING.items()}
    subject = random.choice(SUBJECTS)
    weights |= {kind: SUBJECT_WEIGHT * ASKING[kind] for kind in subject.kinds}
    asking_share = random.uniform(0.15, 0.3)
    failing = {kind: weight for kind, weight in FAILING.items() if random.random() < 0.55}
    failing_share = random.uniform(0.0, 0.35) if failing else 0.0
    groups = [
        (list(weights), list(weights.values()), asking_share),
        (list(failing), list(failing.values()), failing_share),
        (list(WORKING), list(WORKING.values()), 1 - asking_share - failing_share),
    ]
    shares = [share for _, _, share in groups]
    kinds = ["receive", "receive", "place", *subject.opening]
    for kinds_of_group, weights_of_group, _ in random.choices(groups, shares, k=random.randint(MOVES_MIN, MOVES_MAX)):
        kinds += random.choices(kinds_of_group, weights_of_group)
    if tables:
        kinds += PROJECTING
    return [Move(number, kind, random.getrandbits(MOVE_BITS)) for number, kind in enumerate(kinds)]
