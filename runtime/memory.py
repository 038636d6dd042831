"""Memory that a process no longer needs, given back.

    give_back_from_now_on()      # once, at the start of a process that is to live long

glibc keeps what a burst borrowed for the next one. Free pieces between what is in use stay until `malloc_trim`, and
that leaves the free end of every heap but the first alone. Each thread that allocates may have such a heap, and its
end goes back by itself only where it is longer than a threshold that grows with the largest piece ever freed, up to
64 MB. A process then looks like the largest backlog that it has ever met: a projector stayed 60 MB larger, all of it
free (decision 14). So the threshold is fixed, and `malloc_trim` called now and then.

    empty_caches()               # after many small objects were let go; `AtRest` does it when nothing comes any more

One string is enough to keep a page of 4 kB or, with Python's own allocator, 1 MB. Caches keep thousands: those of the
last to come, so of the moment when memory was at its largest.
"""

import ctypes
import gc
import sys
import threading
import time

import msgspec

#: A call takes milliseconds. More often, and each batch asks again for the pages that the one before it had; longer
#: keeps for as long what a backlog has left.
GIVE_BACK_SECONDS = 5.0

#: The free end of a heap that may stay. Smaller asks the operating system for the same pages with each batch, larger
#: is kept by every thread's heap.
HEAP_END_MAX_BYTES = 1 << 20

#: The module that has msgspec's cache, and the visits of the collector until it empties it.
_MSGSPEC = sys.modules[f"{msgspec.__name__}._core"]
_VISITS = 10

#: Its name from Python 3.13 on, and before.
_clear_lookups = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache  # noqa: SLF001

#: Names of glibc's malloc.h
_M_TRIM_THRESHOLD = -1

#: glibc only; other allocators give back by rules of their own.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
_mallopt = getattr(ctypes.CDLL(None), "mallopt", None)


def give_back_from_now_on() -> None:
    """Let the process keep little that is free, for as long as it lives; nothing where the C library is not glibc."""
    if _trim is None or _mallopt is None:
        return
    _mallopt(_M_TRIM_THRESHOLD, HEAP_END_MAX_BYTES)
    threading.Thread(target=_for_ever, name="give-back", daemon=True).start()


def give_back() -> None:
    """Return to the operating system what the C library holds free between pieces in use. Costs milliseconds."""
    if _trim is not None:
        _trim(0)


def empty_caches(*, set_apart: bool = False) -> None:
    """Let go of what only caches and cycles hold; caches fill again as they are used. Costs microseconds, and the time
    for what is new since the last call.

    What lives now is not looked at again before the next full collection: for a process that does without the
    collector's own times. With `set_apart`, what was there at the start was set apart (`gc.freeze`): that stays so, and
    all else is looked at each time.
    """
    # The interpreter's last 4,096 lookups of attributes each hold the name that was looked for, and extensions make a
    # new string for each lookup (`PyObject_GetAttrString`).
    _clear_lookups()
    # Thousands of freed tuples, lists and dicts wait to be used again until there is a full collection. With all
    # objects set apart it has nothing to look at.
    if set_apart:
        gc.collect()
    else:
        gc.collect(1)
        gc.freeze()
        gc.collect()
        gc.unfreeze()
    # The last 512 keys of objects decoded by msgspec, which lets go of them in every tenth full collection that visits
    # its module.
    for _ in range(_VISITS):
        gc.get_referents(_MSGSPEC)


class AtRest:
    """Empties the caches once, at the first look that finds that nothing has come since the look before."""

    def __init__(self, *, set_apart: bool = False) -> None:
        self._set_apart = set_apart
        self._came = False
        self._holds = False

    def came(self) -> None:
        """Something came."""
        self._came = True

    def look(self) -> None:
        """To be called now and then: the longer the pauses, the longer it has to be quiet."""
        if self._came:
            self._came, self._holds = False, True
        elif self._holds:
            self._holds = False
            empty_caches(set_apart=self._set_apart)


def _for_ever() -> None:
    while True:
        time.sleep(GIVE_BACK_SECONDS)
        give_back()
