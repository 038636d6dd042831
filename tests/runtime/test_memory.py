"""What a burst borrowed goes back to the operating system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

#: Pieces too small for a mapping of their own, with one in use behind them: malloc keeps all that is free before it.
BURST = """
import ctypes, os
from runtime.memory import give_back

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6

pieces = [libc.malloc(60_000) for _ in range(1_000)]
for piece in pieces:
    ctypes.memset(piece, 1, 60_000)
last = libc.malloc(60_000)
for piece in pieces:
    libc.free(piece)
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what it could give back")
def test_what_malloc_holds_free_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", BURST], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 50, "megabytes of the 60 that were free"
