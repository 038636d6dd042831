"""Memory that a process no longer needs, given back."""

import ctypes

#: glibc only; other allocators give back by rules of their own.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Return to the operating system what the C library holds free; nothing where it knows no such call.

    glibc keeps what a burst borrowed for the next one, in pieces between what is in use, and gives back only what is
    free at the very end of its heap. Costs milliseconds, so it is for now and then.
    """
    if _trim is not None:
        _trim(0)
