"""Waits until its parent is gone, then stops and removes the parent's embedded services (see `stop_with_me`)."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from runtime.embedded.cluster import Embedded


def main() -> None:
    pipe, home, cache = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C ends the parent, and its end ends us
    os.read(pipe, 1)
    Embedded(home, cache).destroy()


if __name__ == "__main__":
    main()
