"""What a writer holds in memory of one partition: streams with their states, and answers to commands.

    memory.changed                        # streams that no snapshot holds as they are
    unsaved = memory.to_save()            # what the next snapshot has to write; deciding goes on meanwhile
    memory.saved(sizes)                   # it is stored; or memory.not_saved()
    memory.let_go(bytes_max)              # what a snapshot holds, least recently used first

Memory is bounded by a budget. Within it streams stay, so a busy stream is never fetched. A stream that was let go is
fetched from the snapshot when a command needs it.
"""

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from events.catalogue import STREAMS
from events.streams import StreamKey

#: The day of the ledger's own commands: reactions may come back with any of them, however old, when their positions are
#: restored from a backup.
FOR_GOOD = 2**31 - 1

#: What a stream takes in memory for each byte of its stored form: a SKU 7.4 (its maps are trees), an order 2.3
#: (decision 40). Too low would exceed the budget, too high would use it badly.
BYTES_PER_STORED_BYTE = 8
#: The stored size of a stream that was not stored yet. A new order has 1,400 bytes.
_NEW_STORED_BYTES = 1_500


class NotFetchedError(BaseException):
    """A stream that may stand in the snapshot was asked for and is not in memory. A fault of ours: deciding on without
    it would write another history, so it must not be taken for a rule that failed.
    """


class Answer(NamedTuple):
    """That a command was answered: a digest of who asked it of which stream, one of its body, and the day of log time
    (`FOR_GOOD`: never to be forgotten). `reuse`: the command was refused because another body had the same id before.
    """

    command: int
    body: int
    day: int
    reuse: bool

    @property
    def key(self) -> int:
        """Under which it is looked for."""
        return self.command ^ self.body if self.reuse else self.command


# One for all, never written.
_NOTHING: Mapping[int, Sequence[Answer]] = {}


class Stream:
    """One stream as its writer holds it: its kind, its state and two versions of it.

    `version` numbers its facts without gaps. `state_version` is that of the newest fact that is no refusal: a refusal
    changes nothing, so it makes nobody's `expected_version` stale.

    `answered` maps the key of each command that it has answered to a digest of the body. A stream that goes on for ever
    (a SKU) has none: its answers are kept beside it.

    `used` is when it was last used, as a number that grows; `stored_bytes` is its size in the snapshot.
    """

    __slots__ = ("answered", "kind", "state", "state_version", "stored_bytes", "used", "version")

    def __init__(self, key: StreamKey) -> None:
        """A stream of which nothing is known: it has no fact yet."""
        self.kind = STREAMS[key.kind]
        self.state: Any = self.kind.begin(key.id)
        self.version = 0
        self.state_version = 0
        self.answered: dict[int, int] = {}
        self.used = 0
        self.stored_bytes = _NEW_STORED_BYTES


class Frozen(NamedTuple):
    """A stream as it was at one moment. States are immutable, so this copies no state."""

    key: StreamKey
    version: int
    state_version: int
    state: Any
    answered: list[tuple[int, int]]


class Unsaved(NamedTuple):
    """What a snapshot has to write. `before` is the ledger offset of the snapshot that it adds to; -1 for none: this is
    then the whole snapshot."""

    streams: Sequence[Frozen]
    answers: Sequence[Answer]
    before: int


class Memory:
    """`streams` are those in memory. `saved_offset` is the ledger offset of the snapshot that is known to be stored, -1
    for none. `answers` are those of streams that go on for ever, by key, as far as no snapshot holds them.

    Where there is a snapshot, a stream or an answer that is not in memory may stand there: it has to be fetched
    (`hold`, `look_up`) before a command is decided.
    """

    def __init__(self) -> None:
        self.streams: dict[StreamKey, Stream] = {}
        self.saved_offset = -1
        self.changed: set[StreamKey] = set()
        self.answers: dict[int, Answer] = {}
        self.stored_bytes = 0
        self._saving_offset: int | None = None
        self._saving: frozenset[StreamKey] = frozenset()
        self._saving_answers: dict[int, Answer] = {}
        self._looked_up = _NOTHING
        # Digests of all commands whose answers the snapshot holds, sorted; None while they are not known.
        self._answered: array[int] | None = None

    def hold(self, key: StreamKey, stream: Stream) -> None:
        """Put a stream into memory that is not there."""
        self.streams[key] = stream
        self.stored_bytes += stream.stored_bytes

    def is_ours(self, reaches: tuple[int, int]) -> bool:
        """Whether a stored snapshot is the known one, by the offsets that its streams and answers reach.

        What is being written may be there already. That changes nothing that is fetched: what it writes is in memory.
        """
        return reaches[0] == reaches[1] and reaches[0] in (self.saved_offset, self._saving_offset)

    def remember(self, answer: Answer) -> None:
        """Add an answer of a stream that goes on for ever."""
        self.answers[answer.key] = answer

    # Answers

    def may_be_answered(self, command: int) -> bool:
        """Whether the snapshot may hold an answer to this command: only then it has to be looked up."""
        if self.saved_offset < 0:
            return False
        if self._answered is None:
            return True
        at = bisect_left(self._answered, command)
        return at < len(self._answered) and self._answered[at] == command

    def answered(self, commands: "array[int] | None") -> None:
        """All commands whose answers the snapshot holds; None where that is not known."""
        self._answered = commands

    @property
    def knows_all_answered(self) -> bool:
        """Whether `may_be_answered` knows, and does not only say that it may be."""
        return self._answered is not None

    def look_up(self, answers: Mapping[int, Sequence[Answer]]) -> None:
        """What the snapshot holds of each command that will be asked for; none where it holds nothing."""
        self._looked_up = answers

    def answers_to(self, command: int, body: int) -> dict[int, Answer]:
        """The answers to this command that are kept, by key. Raises NotFetchedError where it was not looked up."""
        if command in self._looked_up:
            found = {answer.key: answer for answer in self._looked_up[command]}
        elif self.may_be_answered(command):
            raise NotFetchedError(f"an answer to {command}")
        else:
            found = {}
        for newer in (self._saving_answers, self.answers):
            for key in (command, command ^ body):
                if key in newer:
                    found[key] = newer[key]
        return found

    # Snapshots

    def to_save(self, next_offset: int) -> Unsaved:
        """All that the stored snapshot does not hold. The snapshot will reach this ledger offset. Call `saved` or
        `not_saved` before the next one.
        """
        streams = [
            Frozen(key, one.version, one.state_version, one.state, list(one.answered.items()))
            for key, one in ((key, self.streams[key]) for key in self.changed)
        ]
        self._saving, self.changed = frozenset(self.changed), set()
        self._saving_answers, self.answers = self.answers, {}
        self._saving_offset = next_offset
        return Unsaved(streams, list(self._saving_answers.values()), self.saved_offset)

    def saved(self, sizes: Mapping[StreamKey, int]) -> None:
        """The snapshot is stored, with these sizes in bytes."""
        for key, size in sizes.items():
            stream = self.streams[key]
            self.stored_bytes += size - stream.stored_bytes
            stream.stored_bytes = size
        if self._answered is not None:
            self._answered = _with(self._answered, {answer.command for answer in self._saving_answers.values()})
        assert self._saving_offset is not None
        self.saved_offset, self._saving_offset = self._saving_offset, None
        self._saving, self._saving_answers = frozenset(), {}

    def not_saved(self) -> None:
        """The snapshot could not be stored: the next one has to write this as well."""
        self.changed |= self._saving
        self.answers = self._saving_answers | self.answers
        self._saving, self._saving_answers, self._saving_offset = frozenset(), {}, None

    def let_go(self, stored_bytes_max: int = 0) -> int:
        """Let streams go that the snapshot holds as they are, least recently used first, until what is left has at most
        so many bytes in its stored form; how many went.
        """
        if self.saved_offset < 0 or self.stored_bytes <= stored_bytes_max:
            return 0
        free = [key for key in self.streams if key not in self.changed and key not in self._saving]
        free.sort(key=lambda key: self.streams[key].used)
        gone = 0
        for key in free:
            if self.stored_bytes <= stored_bytes_max:
                break
            self.stored_bytes -= self.streams.pop(key).stored_bytes
            gone += 1
        return gone


def _with(known: "array[int]", new: set[int]) -> "array[int]":
    """Both, sorted. Most are in order already, so this takes little more than a copy."""
    if not new:
        return known
    both = np.concatenate((np.frombuffer(known, dtype=np.int64), np.fromiter(new, dtype=np.int64, count=len(new))))
    both.sort(kind="stable")
    return array("q", both.tobytes())


def sorted_commands(found: bytes) -> "array[int]":
    """The commands of an answers table in PostgreSQL's binary COPY format (one bigint a row), sorted."""
    row = np.dtype([("columns", ">i2"), ("length", ">i4"), ("command", ">i8")])
    # A header of 19 bytes before, an end mark of two bytes behind.
    values = np.frombuffer(found[19:-2], dtype=row)["command"].astype(np.int64)
    values.sort()
    return array("q", values.tobytes())
