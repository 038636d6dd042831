"""Which process is ours: ids are reused and files outlive their writers, so a process id alone proves nothing.

A server is recorded with its process id and its start time. Both must match, and its command line must name our
folder. Otherwise the record is stale: from before a reboot or a container restart, or of another program.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from runtime.errors import Fault

# The start time of a process is computed from the boot time, which shifts a little with clock adjustments. Within this
# tolerance, no other process gets the same id and names our folder.
START_TOLERANCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Running:
    """The record of a server process on disk: enough to find the process and to recognise it."""

    pid: int
    started_at: float
    port: int
    marker: str  # part of its command line: the data or configuration path

    def process(self) -> psutil.Process | None:
        """The live process, or None if this record is stale."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            same_start = abs(process.create_time() - self.started_at) <= START_TOLERANCE_SECONDS
            ours = any(self.marker in argument for argument in process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None
        return process if same_start and ours else None


def remember(path: Path, child: subprocess.Popen[bytes], port: int, marker: str) -> Running:
    """Record a process that was just started, in one atomic step."""
    running = Running(child.pid, psutil.Process(child.pid).create_time(), port, marker)
    write_atomically(path, json.dumps(asdict(running)))
    return running


def recall(path: Path) -> Running | None:
    """The record of a server that is alive and ours; None for a stale, half-written or foreign record."""
    try:
        running = Running(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return running if running.process() else None


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file atomically: after a crash, and for a reader, it has either the old text or the new one."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # otherwise a power cut may leave an empty file under the new name
        scratch.replace(path)
    except OSError:  # a full disk: keep the old text
        scratch.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def exclusive(path: Path, waiting: Callable[[], None] | None = None, timeout_seconds: float = 300.0) -> Iterator[None]:
    """Hold a lock that the kernel releases when its holder dies, so it never becomes stale.

    300 s: a slow first download by another command may take that long. Shorter fails the second of two first starts,
    longer only delays the message about a holder that hangs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        deadline = time.monotonic() + timeout_seconds
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told and waiting:
                    waiting()
                    told = True
                if time.monotonic() > deadline:
                    raise Fault(
                        "Another process holds the lock and does not release it",
                        f"{path}, waited {timeout_seconds:.0f} s",
                        "find it with `fuser` or `lsof` on that file; end it, then try again",
                    ) from None
                time.sleep(0.05)
        yield


@functools.cache
def loopback() -> str:
    """The loopback address of this machine: 127.0.0.1, or ::1 without IPv4."""
    for address in ("127.0.0.1", "::1"):
        with contextlib.suppress(OSError), socket.create_server((address, 0), family=_family(address)):
            return address
    raise Fault(
        "This machine has no loopback address",
        "no program can listen on 127.0.0.1 or ::1",
        "bring the interface up: `ip link set lo up`",
    )


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def address_of(port: int) -> str:
    """`host:port` on this machine."""
    host = loopback()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def free_port(wanted: int | None = None) -> int:
    """A free loopback port: the wanted one if it is free, so that addresses survive a restart."""
    host = loopback()
    for port in (wanted, 0):
        if port is None:
            continue
        with socket.socket(_family(host)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Fault(f"No free port on {host}", "", "close programs that hold many connections, then try again")


def listens(port: int) -> bool:
    """Whether something accepts a connection on the port."""
    try:
        with socket.create_connection((loopback(), port), timeout=1):
            return True
    except OSError:
        return False


def check_not_cancelled(cancelled: threading.Event | None) -> None:
    """End a start that nobody waits for any more (Ctrl-C, or the other server failed)."""
    if cancelled is not None and cancelled.is_set():
        raise Fault("The start of the services was interrupted", "", "`order-ledger up` continues where it stopped")


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16_384))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return f"(no log at {path})"
    return "\n".join(text.splitlines()[-lines:]) or f"(empty log at {path})"


def stop_process(process: psutil.Process, how: int, patience_seconds: float, last: int) -> None:
    """Send the signal `how`, wait, then send `last`, so that a server cannot ignore both."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(how)
        try:
            process.wait(patience_seconds)
        except psutil.TimeoutExpired:
            process.send_signal(last)
            process.wait(patience_seconds)
