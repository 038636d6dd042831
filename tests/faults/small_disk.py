"""A disk that is small, can be filled to the last page, and be made larger: a tmpfs of its own.

with small_disk(megabytes=96) as disk:
    disk.fill(leave_bytes=4096)
    disk.grow(megabytes=32)         # room is made; nothing on it is touched
    disk.empty()                    # the ballast goes, and it is as large as at first, or larger
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE = 4096
MEGABYTE = 1024 * 1024
#: What is free at least on a disk that was emptied.
ROOM_BYTES = 64 * MEGABYTE


class SmallDisk:
    """The mount, and a file that fills it."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._size_bytes = megabytes * MEGABYTE
        self._ballast = folder / "ballast"

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.folder).free

    def fill(self, leave_bytes: int = 0) -> None:
        """Until so much room is left."""
        with open(self._ballast, "ab", buffering=0) as file:
            while (left := self.free_bytes() - leave_bytes) > 0:
                try:
                    file.write(bytes(min(left, MEGABYTE)))
                except OSError:  # somebody else was faster
                    return

    def grow(self, megabytes: int) -> None:
        self._resize(shutil.disk_usage(self.folder).total + megabytes * MEGABYTE)

    def empty(self) -> None:
        """What stays may be more than it was at first, when rounds have been kept on it."""
        self._ballast.unlink(missing_ok=True)
        used_bytes = shutil.disk_usage(self.folder).used
        self._resize(max(self._size_bytes, used_bytes + ROOM_BYTES))

    def _resize(self, size_bytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size_bytes}", str(self.folder)], check=True)


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """A mounted disk; the test is skipped where mounting is not permitted. What is on it is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="order-ledger-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tmpfs", str(folder)]
    refused = "only root may mount" if os.geteuid() else _run(mount)
    if refused:
        folder.rmdir()
        pytest.skip(f"a small disk of its own cannot be mounted here: {refused}")
    try:
        yield SmallDisk(folder, megabytes)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def _run(command: list[str]) -> str:
    """What the command says when it fails; empty when it does not."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return (result.stderr.strip() or f"status {result.returncode}") if result.returncode else ""
