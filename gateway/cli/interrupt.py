"""Ctrl-C that gets through.

A KeyboardInterrupt can come in a callback of the Kafka client or in a destructor, where it is swallowed, and the
command goes on as if nobody had pressed; or the client makes another error of it. Here it is raised again until it is
on its way out, and arrives as what it was.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Until it is raised again: shorter than a person takes to press a second time.
AGAIN_SECONDS = 0.5


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt in the block, again and again until it is on its way out; in the main thread."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)}
    by_interrupt(signal.SIGINT)
    signal.signal(signal.SIGALRM, _again)
    try:
        yield
    except Exception as error:
        if _interrupted(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def by_interrupt(*signals: signal.Signals) -> None:
    """These do what Ctrl-C does; one that is ignored, as under nohup, stays ignored."""
    for number in signals:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)


def _leave(_number: int, _frame: FrameType | None) -> None:
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS, AGAIN_SECONDS)
    raise KeyboardInterrupt


def _again(_number: int, _frame: FrameType | None) -> None:
    if not _interrupted(sys.exception()):  # else it is on its way: what is cleaned up there must not be disturbed
        raise KeyboardInterrupt


def _interrupted(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
