"""A service that is away is waited for: nothing is skipped, and work resumes by itself.

patience.until_done("postgres", lambda: connection.execute(...), OperationalError)
"""

import threading
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from runtime.logging import log
from runtime.watchdog import Standing

Result = TypeVar("Result")

Away: TypeAlias = type[Exception] | tuple[type[Exception], ...]

#: Pauses between attempts grow from the first to the longest. A shorter first one hammers a server that is just coming
#: up; a longer last one delays the return of work by as much.
PAUSE_SECONDS_FIRST = 0.1
PAUSE_SECONDS_MAX = 2.0


class StoppedWaitingError(Exception):
    """The process is stopping while a service is away; what was at hand is done again after the restart."""


class Patience:
    """Repeats work until it is done or the process stops; `standing` says meanwhile what is waited for."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self.standing = Standing()

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._stop.set()

    def until_done(self, service: str, work: Callable[[], Result], away: Away) -> Result:
        """What `work` returns. `away` are the exceptions that mean: not now. Raises StoppedWaitingError on `stop`."""
        pause_seconds = PAUSE_SECONDS_FIRST
        try:
            while True:
                try:
                    return work()
                except away as error:
                    self.standing.waiting_for = service
                    log.warning(
                        "reactions_wait", service=service, error=str(error).strip(), pause_seconds=pause_seconds
                    )
                    if self._stop.wait(pause_seconds):
                        raise StoppedWaitingError(service) from error
                    pause_seconds = min(PAUSE_SECONDS_MAX, pause_seconds * 2)
        finally:
            self.standing.waiting_for = None
