"""Return memory that a process no longer needs to the operating system.

    give_back_from_now_on()      # once, at the start of a long-lived process

glibc keeps memory that was freed after a burst. Free pieces between pieces in use stay until `malloc_trim`, which does
not touch the free end of any heap but the first. Each thread may have such a heap. glibc returns its end only above a
threshold that grows with the largest piece ever freed, up to 64 MB. So a process stays as large as in its largest
backlog: a projector stayed 60 MB larger, all of it free (decision 14). Therefore the threshold is fixed here, and
`malloc_trim` is called regularly.

    empty_caches()               # after many small objects were freed; `AtRest` calls it when no more work comes

One string is enough to keep a page of 4 kB or, with Python's own allocator, 1 MB. Caches keep thousands of the newest
objects, from the moment when memory was largest.
"""

import ctypes
import gc
import sys
import threading
import time

import msgspec

#: A call takes milliseconds. Shorter makes each batch ask again for the pages of the one before; longer keeps the
#: memory of a backlog for longer.
GIVE_BACK_SECONDS = 5.0

#: The free end that each heap may keep. Smaller asks the operating system for the same pages with each batch; larger
#: costs that much in every thread's heap.
HEAP_END_MAX_BYTES = 1 << 20

#: The module with msgspec's cache. The cache is emptied at the tenth visit of the collector.
_MSGSPEC = sys.modules[f"{msgspec.__name__}._core"]
_VISITS = 10

#: The name from Python 3.13 on, and the name before.
_clear_lookups = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache  # noqa: SLF001

#: From glibc's malloc.h
_M_TRIM_THRESHOLD = -1

#: glibc only; other allocators have their own rules.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
_mallopt = getattr(ctypes.CDLL(None), "mallopt", None)


def give_back_from_now_on() -> None:
    """Return free memory regularly, as long as the process lives. Does nothing if the C library is not glibc."""
    if _trim is None or _mallopt is None:
        return
    _mallopt(_M_TRIM_THRESHOLD, HEAP_END_MAX_BYTES)
    threading.Thread(target=_for_ever, name="give-back", daemon=True).start()


def give_back() -> None:
    """Return the C library's free memory between pieces in use to the operating system. Takes milliseconds."""
    if _trim is not None:
        _trim(0)


def empty_caches(*, set_apart: bool = False) -> None:
    """Free objects that only caches and cycles hold; caches fill again as they are used. Takes microseconds, plus the
    time for objects that are new since the last call.

    By default, older objects are not examined until the next full collection; this suits a process that has switched
    off automatic collection. With `set_apart`, the process has called `gc.freeze` at its start: those objects stay
    frozen, and all others are examined each time.
    """
    # The interpreter caches its last 4,096 attribute lookups with their names, and extensions make a new string for
    # each lookup (`PyObject_GetAttrString`).
    _clear_lookups()
    # A full collection frees thousands of tuples, lists and dicts that wait to be used again. With all objects frozen
    # it has nothing to examine, so it is quick.
    if set_apart:
        gc.collect()
    else:
        gc.collect(1)
        gc.freeze()
        gc.collect()
        gc.unfreeze()
    # msgspec keeps the last 512 keys that it decoded, and frees them in every tenth full collection that visits its
    # module.
    for _ in range(_VISITS):
        gc.get_referents(_MSGSPEC)


class AtRest:
    """Empties the caches once when nothing has come between two calls of `look`."""

    def __init__(self, *, set_apart: bool = False) -> None:
        self._set_apart = set_apart
        self._came = False
        self._holds = False

    def came(self) -> None:
        """Work has come."""
        self._came = True

    def look(self) -> None:
        """Call this regularly. Longer intervals need a longer quiet time."""
        if self._came:
            self._came, self._holds = False, True
        elif self._holds:
            self._holds = False
            empty_caches(set_apart=self._set_apart)


def _for_ever() -> None:
    while True:
        time.sleep(GIVE_BACK_SECONDS)
        give_back()
