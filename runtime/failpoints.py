"""Named places where a process can be made to die, stop, fail or fall silent; for tests of what then happens.

    ORDER_LEDGER_FAILPOINTS="ledger.before_fact:7=kill,projector.before_commit=raise" order-ledger run

    reach("ledger.before_fact")        # the seventh time: SIGKILL to this process

`name:n=action`: what happens when the place is reached for the n-th time (1 unless said). Actions: `kill` (SIGKILL to
ourselves: nothing is flushed, nothing is said), `stop` (SIGSTOP: we stand still until somebody sends SIGCONT), `raise`
(FailpointError), `hang` (this thread sleeps for ever), `skip` (from then on `reach` answers True: the caller leaves out
what it was about to do). Without the variable a place costs one look into an empty dictionary.

`ORDER_LEDGER_FAILPOINTS=@FILE`: the same text, in a file that is removed by whoever acts on it first. So a worker that
its supervisor starts again, with the same environment, is not harmed a second time. Several, `@FILE,@FILE`, for several
workers of one supervisor.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

VARIABLE = "ORDER_LEDGER_FAILPOINTS"
ACTIONS = ("kill", "stop", "raise", "hang", "skip")


class FailpointError(RuntimeError):
    """Raised on purpose, where a test asked for it."""


class Failpoint(NamedTuple):
    """What happens at a place, and at which visit."""

    visit: int
    action: str


def parse(text: str) -> dict[str, Failpoint]:
    """Failpoints by name. ValueError for text that is none: a test with a misspelt action would prove nothing."""
    found: dict[str, Failpoint] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        place, _, action = word.partition("=")
        name, _, visit = place.partition(":")
        if action not in ACTIONS or not name:
            raise ValueError(f"{VARIABLE}: {word!r} is not name:n=action with one of {', '.join(ACTIONS)}")
        found[name] = Failpoint(int(visit or 1), action)
    return found


def _read(text: str) -> tuple[dict[str, Failpoint], dict[str, Path]]:
    """The failpoints, and the file that each stands in."""
    if not text.startswith("@"):
        return parse(text), {}
    found: dict[str, Failpoint] = {}
    files: dict[str, Path] = {}
    for word in text.split(","):
        file = Path(word.removeprefix("@"))
        there = parse(file.read_text()) if file.exists() else {}
        found |= there
        files |= dict.fromkeys(there, file)
    return found, files


_failpoints, _files = _read(os.environ.get(VARIABLE, ""))
_visits: dict[str, int] = {}


def armed(name: str) -> bool:
    """Whether a test asked for something at this place."""
    return name in _failpoints


def reach(name: str) -> bool:
    """Does what a test asked for at this place. True means: leave out what comes next."""
    if name not in _failpoints:
        return False
    visit = _visits[name] = _visits.get(name, 0) + 1
    wanted, action = _failpoints[name]
    if visit < wanted or (visit > wanted and action != "skip"):
        return False
    if visit == wanted and not _ours_to_act(name):
        del _failpoints[name]
        return False
    if action == "skip":
        return True
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "hang":
        while True:
            time.sleep(3600)
    else:
        raise FailpointError(f"{name}, visit {visit}")
    return False


def _ours_to_act(name: str) -> bool:
    """Whether nobody has acted on the file of this failpoint yet; from now on somebody has."""
    if name not in _files:
        return True
    try:
        _files[name].unlink()
    except FileNotFoundError:
        return False
    return True
