"""Memory that a process no longer needs, given back.

    give_back_from_now_on()      # once, at the start of a process that is to live long

glibc keeps what a burst borrowed for the next one. Free pieces between what is in use stay until `malloc_trim`, and
that leaves the free end of every heap but the first alone. Each thread that allocates may have such a heap, and its
end goes back by itself only where it is longer than a threshold that grows with the largest piece ever freed, up to
64 MB. A process then looks like the largest backlog that it has ever met: a projector stayed 60 MB larger, all of it
free (decision 14). So the threshold is fixed, and `malloc_trim` called now and then.
"""

import ctypes
import threading
import time

#: A call takes milliseconds. More often, and each batch asks again for the pages that the one before it had; longer
#: keeps for as long what a backlog has left.
GIVE_BACK_SECONDS = 5.0

#: The free end of a heap that may stay. Smaller asks the operating system for the same pages with each batch, larger
#: is kept by every thread's heap.
HEAP_END_MAX_BYTES = 1 << 20

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


def _for_ever() -> None:
    while True:
        time.sleep(GIVE_BACK_SECONDS)
        give_back()
