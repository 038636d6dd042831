"""Runs a module as a child that cannot outlive its parent: `python -m runtime.child PIPE GRACE MODULE ARGUMENTS…`.

The parent holds the other end of PIPE for its whole life; when it dies in any way, the kernel closes it. Then the
module gets SIGTERM, which asks it to drain, and GRACE seconds later its whole process group is killed. On Linux the
kernel also sends a signal itself (PR_SET_PDEATHSIG): a child whose interpreter is stuck cannot watch a pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import runpy
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1


def main() -> None:
    pipe, grace_seconds, module = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    threading.Thread(target=_watch, args=(pipe, grace_seconds), name="parent-watch", daemon=True).start()
    _ask_the_kernel()
    sys.argv = [module, *sys.argv[4:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _watch(pipe: int, grace_seconds: float) -> None:
    os.read(pipe, 1)  # the parent never writes, so this returns when it is gone
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _ask_the_kernel() -> None:
    if sys.platform == "linux":
        # The kernel signals when the *thread* that started us ends; `Workers` starts children from the main thread.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


if __name__ == "__main__":
    main()
