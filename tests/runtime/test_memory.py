"""What a burst borrowed goes back to the operating system."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from runtime import memory

#: Begins each program below: the memory that its process has, in MB.
RESIDENT = """
import os

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
"""


def _grown(program: str, **variables: str) -> float:
    """Megabytes by which a process of its own has grown when it has run the program, which prints them."""
    env = {**os.environ, **variables}
    command = [sys.executable, "-c", RESIDENT + program]
    return float(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)


#: Pieces too small for a mapping of their own. With one in use behind them malloc keeps all that is free before it;
#: with none they are the free end of a heap, which malloc keeps where something large was freed before.
BURST = """
import ctypes, threading, time
from runtime import memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
memory.GIVE_BACK_SECONDS = 0.2
{start}

def burst(in_use_behind):
    libc.free(libc.malloc(30 << 20))
    pieces = [libc.malloc(60_000) for _ in range(600)]
    for piece in pieces:
        ctypes.memset(piece, 1, 60_000)
    if in_use_behind:
        libc.malloc(60_000)
    for piece in pieces:
        libc.free(piece)
    gone.set()
    threading.Event().wait()

before = resident()
for in_use_behind in (True, False):
    gone = threading.Event()
    threading.Thread(target=burst, args=[in_use_behind], daemon=True).start()
    gone.wait()
time.sleep(1)
print(resident() - before, flush=True)
os._exit(0)
"""

#: Small objects, and among every thousand of them one that a cache keeps when they are gone.
CACHED = """
import gc
import msgspec
from runtime import memory

gc.disable()
types = [type("T", (), {{}}) for _ in range(600)]
cached = {{
    "a name that was looked up": lambda n: hasattr(types[n // 1009], "".join(["na", "me"])),
    "a key that was decoded": lambda n: msgspec.json.decode(b'{{"key%d": 1}}' % n),
    "a tuple that is free": lambda n: [(n, n), (n, n, n)][n // 1009 % 2],
}}[{cached!r}]

memory.give_back()
before = resident()
pieces = [cached(n) if n % 1009 == 0 else f"some {{n}}" for n in range(600_000)]
del pieces
if {emptied}:
    memory.empty_caches()
memory.give_back()
print(resident() - before)
"""


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
@pytest.mark.parametrize("cached", ["a name that was looked up", "a key that was decoded", "a tuple that is free"])
def test_what_a_cache_keeps_does_not_keep_what_lay_beside_it(cached: str) -> None:
    def stays(emptied: bool) -> float:
        return _grown(CACHED.format(cached=cached, emptied=emptied))

    assert stays(emptied=False) > 20, "megabytes of the 40 that were let go"
    assert stays(emptied=True) < 10


def test_caches_are_emptied_once_when_nothing_came_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[bool] = []
    monkeypatch.setattr(memory, "empty_caches", lambda **_: emptied.append(True))

    def after(*steps: str) -> int:
        emptied.clear()
        at_rest = memory.AtRest()
        for step in steps:
            at_rest.look() if step == "look" else at_rest.came()
        return len(emptied)

    assert after("look", "look") == 0, "nothing came: there is nothing to let go"
    assert after("facts", "look", "facts", "look", "facts", "look") == 0, "never quiet"
    assert after("facts", "look", "look", "look", "look") == 1
    assert after("facts", "look", "look", "facts", "look", "look") == 2


#: A cycle that has lived through young collections; printed is whether it is left, after what is still set apart.
APART = """
import gc, weakref
from runtime import memory

class Node: pass

gc.disable()
if {set_apart}:
    gc.freeze()
node = Node()
node.itself = node
left = weakref.ref(node)
gc.collect(0), gc.collect(1)
del node
memory.empty_caches(set_apart={set_apart})
print((gc.get_freeze_count() > 10_000) * 2 + (left() is not None))
"""


def test_what_is_set_apart_stays_so_and_all_else_is_looked_at() -> None:
    assert _grown(APART.format(set_apart=True)) == 2, "set apart, and no cycle is left"
    assert _grown(APART.format(set_apart=False)) == 1, "without it what is old is left to a full collection"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what it could give back")
@pytest.mark.parametrize(
    ("start", "least", "most"),
    [
        pytest.param("memory.give_back_from_now_on()", 0, 10, id="both_go_back"),
        pytest.param("memory.give_back()", 60, 100, id="else_both_stay"),
    ],
)
def test_what_threads_borrowed_goes_back_by_itself(start: str, least: float, most: float) -> None:
    assert least <= _grown(BURST.format(start=start)) <= most, "megabytes of the 72 that two threads had"


#: Each thread leaves less than what a heap's end must have to go back by itself.
ENDS = """
import ctypes, threading
from runtime import memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

memory.give_back_from_now_on()
memory.give_back()
before = resident()
all_at_once = threading.Barrier(8)

def work():
    all_at_once.wait()
    pieces = [libc.malloc(10_000) for _ in range(90)]
    for piece in pieces:
        ctypes.memset(piece, 1, 10_000)
    all_at_once.wait()
    for piece in pieces:
        libc.free(piece)

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
memory.give_back()
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has a heap for each thread")
@pytest.mark.parametrize(("heaps", "least", "most"), [("1", 0, 2), ("8", 3, 10)], ids=["one_heap", "else_they_stay"])
def test_with_one_heap_the_ends_of_all_threads_go_back(heaps: str, least: float, most: float) -> None:
    assert least <= _grown(ENDS, MALLOC_ARENA_MAX=heaps) <= most, "megabytes of the 7.2 that eight threads had"
