"""Named places where a test can make a process die, stop, fail or hang.

    ORDER_LEDGER_FAILPOINTS="ledger.before_fact:7=kill,projector.before_commit=raise" order-ledger run

    reach("ledger.before_fact")        # the seventh time: SIGKILL to this process

`name:n=action`: what happens when the place is reached for the n-th time (default 1). Actions: `kill` (SIGKILL to this
process: nothing is flushed or logged), `stop` (SIGSTOP: the process stands still until somebody sends SIGCONT), `raise`
(FailpointError), `hang` (this thread sleeps for ever), `skip` (from then on `reach` returns True: the caller skips what
it was about to do). Without the variable a place costs one look-up in an empty dictionary.

`ORDER_LEDGER_FAILPOINTS=@FILE`: the same text in a file. The first process that acts on the file removes it, so that a
restarted worker with the same environment does not act again. `@FILE,@FILE` is for several workers of one supervisor.
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
    """The action at a place, and the visit at which it happens."""

    visit: int
    action: str


def parse(text: str) -> dict[str, Failpoint]:
    """Failpoints by name. Raises ValueError for a misspelt action: a test with it would prove nothing."""
    found: dict[str, Failpoint] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        place, _, action = word.partition("=")
        name, _, visit = place.partition(":")
        if action not in ACTIONS or not name:
            raise ValueError(f"{VARIABLE}: {word!r} is not name:n=action with one of {', '.join(ACTIONS)}")
        found[name] = Failpoint(int(visit or 1), action)
    return found


def _read(text: str) -> tuple[dict[str, Failpoint], dict[str, Path]]:
    """The failpoints, and the file of each."""
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
    """Do what a test asked for at this place. True means: skip what comes next."""
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
    """Whether we are the first to act on the file of this failpoint; removes the file."""
    if name not in _files:
        return True
    try:
        _files[name].unlink()
    except FileNotFoundError:
        return False
    return True
