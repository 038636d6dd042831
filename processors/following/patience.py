"""Waits for a service that is away: nothing is skipped, and work resumes by itself.

patience.until_done("postgres", lambda: connection.execute(...), OperationalError)
"""

import threading
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from runtime.logging import log
from runtime.watchdog import Standing

Result = TypeVar("Result")

Away: TypeAlias = type[Exception] | tuple[type[Exception], ...]

#: Pauses between attempts grow from the first to the longest. A shorter first pause hammers a server that is just
#: starting; a longer last one delays the return to work.
PAUSE_SECONDS_FIRST = 0.1
PAUSE_SECONDS_MAX = 2.0


class StoppedWaitingError(Exception):
    """The process stops while a service is away. Its present work is done again after the restart."""


class Patience:
    """Repeats work until it is done or `stop` is set. Meanwhile `standing` names the service that is away."""

    def __init__(self, worker: str, stop: threading.Event | None = None) -> None:
        self._worker = worker
        self._stop = stop or threading.Event()
        self.standing = Standing()

    def stop(self) -> None:
        """Stop waiting."""
        self._stop.set()

    def pause(self, seconds: float) -> None:
        """Sleep. Raises StoppedWaitingError on `stop`."""
        if self._stop.wait(seconds):
            raise StoppedWaitingError

    def until_done(
        self, service: str, work: Callable[[], Result], away: Away, between: Callable[[], None] | None = None
    ) -> Result:
        """Run `work` until it succeeds; returns its result. `away` are the exceptions that mean: try again later.
        `between` runs between attempts. Raises StoppedWaitingError on `stop`.
        """
        pause_seconds = PAUSE_SECONDS_FIRST
        with self.standing.excused() as wait_for:
            while True:
                try:
                    return work()
                except away as error:
                    wait_for(service)
                    log.warning(
                        f"{self._worker}_waits", service=service, error=str(error).strip(), pause_seconds=pause_seconds
                    )
                if between is not None:
                    between()
                self.pause(pause_seconds)
                pause_seconds = min(PAUSE_SECONDS_MAX, pause_seconds * 2)
