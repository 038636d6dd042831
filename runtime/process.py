"""Worker processes that start together, drain together, and never outlive their owner.

    with Workers() as workers:
        workers.start("ledger", ["run", "--only", "ledger"])
        workers.start("projector", ["run", "--only", "projector"])
        return workers.wait()          # until SIGINT or SIGTERM, or until one of them ends by itself

Each child has its own process group, so a terminal's Ctrl-C reaches only us and we pass it on once. Stopping means
SIGTERM (drain), and after the deadline SIGKILL to the group. If we die, `runtime.child` ends them.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

# A projector batch and its transaction take seconds at most. Shorter interrupts healthy work, which is then repeated;
# longer makes a person press Ctrl-C again.
DRAIN_SECONDS = 20.0
# Open files of a process without a limit. Not more, because some libraries try each possible descriptor in turn.
FILES_MAX = 65_536


def raise_file_limit(wanted: int = 0) -> int:
    """Raise the limit of open files for this process and its children, up to the account's hard limit and FILES_MAX.
    Root gets `wanted` even above its hard limit. Returns the new limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(ValueError, OSError):  # not root
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, wanted))
            hard = wanted
    most = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker that ended: its name and exit status (negative: the signal that killed it)."""

    name: str
    status: int


class Workers:
    """Child processes of one owner; use it as a context manager, in the main thread."""

    def __init__(self, drain_seconds: float = DRAIN_SECONDS) -> None:
        self.drain_seconds = drain_seconds
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._pipe_read, self._pipe_write = os.pipe()  # nobody writes: its end tells the children that we are gone
        self._stop_asked = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        os.close(self._pipe_read)
        os.close(self._pipe_write)

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        module: str = "gateway.cli",
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> int:
        """Process id of a new child that runs `python -m module arguments…`; its output goes to `log` or to ours."""
        if name in self._children and self._children[name].poll() is None:
            msg = f"a worker named {name} is already running"
            raise ValueError(msg)
        with open(log, "ab") if log else contextlib.nullcontext() as output:
            child = subprocess.Popen(
                [
                    sys.executable,
                    "-X",
                    "faulthandler",
                    "-m",
                    "runtime.child",
                    str(self._pipe_read),
                    str(self.drain_seconds),
                    module,
                    *arguments,
                ],
                env={**(os.environ if env is None else env), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(self._pipe_read,),
                process_group=0,
            )
        self._children[name] = child
        return child.pid

    def alive(self) -> dict[str, int]:
        """Process id by name, of the running workers."""
        return {name: child.pid for name, child in self._children.items() if child.poll() is None}

    def started(self) -> list[str]:
        """Names of all workers, including those that have ended."""
        return list(self._children)

    def ended(self) -> list[Ended]:
        return [Ended(n, c.returncode) for n, c in self._children.items() if c.poll() is not None]

    def kill(self, name: str) -> None:
        """End one at once, like a crash; for tests."""
        self._kill_group(self._children[name])

    def end(self, name: str) -> int:
        """Ask one to drain, wait for it, and kill it after the deadline. Its exit status."""
        child = self._children[name]
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(self.drain_seconds)
        self._kill_group(child)
        return child.returncode

    def ask_to_stop(self) -> None:
        """Make `wait` return; safe in a signal handler."""
        self._stop_asked.set()

    def wait(self, *, until_one_ends: bool = True, meanwhile: Callable[[], None] = lambda: None) -> list[Ended]:
        """Return on SIGINT or SIGTERM (an empty list), or when a worker ends by itself (that worker).

        `meanwhile` is called ten times a second. The caller decides whether to restart the worker or to give up;
        leaving the context stops the rest.
        """
        with self._signals():
            while not self._stop_asked.is_set():
                if until_one_ends and (ended := self.ended()):
                    return ended
                if not self.alive():
                    return self.ended()
                meanwhile()
                self._stop_asked.wait(0.1)
        return []

    def stop(self, drain_seconds: float | None = None) -> list[Ended]:
        """Ask all to drain, wait, and kill the rest after the deadline, with their children."""
        deadline = time.monotonic() + (self.drain_seconds if drain_seconds is None else drain_seconds)
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self._children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, deadline - time.monotonic()))
            self._kill_group(child)  # even after an orderly end: a grandchild may be left
        return self.ended()

    @staticmethod
    def _kill_group(child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stop_asked.set()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, stop) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
