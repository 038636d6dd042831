"""Makes sure that Ctrl-C ends a command.

If a KeyboardInterrupt comes in a callback of the Kafka client or in a destructor, it is swallowed and the command
continues; or the client turns it into another error. Here it is raised again until it propagates, and a converted
error becomes a KeyboardInterrupt again.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# The time until it is raised again: shorter than a person takes to press a second time.
AGAIN_SECONDS = 0.5


@contextmanager
def interruptible() -> Iterator[None]:
    """In this block, SIGINT raises KeyboardInterrupt repeatedly until it propagates. Main thread only."""
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
    """These signals act like Ctrl-C; an ignored one (nohup) stays ignored."""
    for number in signals:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)


def _leave(_number: int, _frame: FrameType | None) -> None:
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS, AGAIN_SECONDS)
    raise KeyboardInterrupt


def _again(_number: int, _frame: FrameType | None) -> None:
    if not _interrupted(sys.exception()):  # if it propagates already, do not disturb the clean-up
        raise KeyboardInterrupt


def _interrupted(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
