"""A ledger of another build: it decides one thing differently, and is put on the same partitions on purpose.

    python -m tests.faults.other_build        # until SIGTERM; settings from the environment, as `order-ledger run`

Its rule: of every receipt it books one unit more. It has a consumer group of its own, so it is given all partitions.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from typing import Any

import msgspec

from events.catalogue import STREAMS
from events.envelope import AnyCommand, Refused
from events.stock.commands import ReceiveStock
from processors.ledger import memory
from processors.ledger.writer import LedgerWriter
from runtime.logging import setup_logging
from runtime.services import find_services
from runtime.settings import Settings

#: Units that this build books beyond what came.
EXTRA_UNITS = 1
_conclude = STREAMS["stock"].conclude


def generous(state: Any, command: AnyCommand) -> tuple[Sequence[Any], Any] | Refused:
    """As the rule of this build's stock, with a unit more for each receipt."""
    if isinstance(command.data, ReceiveStock):
        more = msgspec.structs.replace(command.data, quantity=command.data.quantity + EXTRA_UNITS)
        command = msgspec.structs.replace(command, data=more)
    return _conclude(state, command)


def main() -> None:
    """Decide until SIGTERM."""
    memory.STREAMS = {**STREAMS, "stock": STREAMS["stock"]._replace(conclude=generous)}
    settings = Settings()
    setup_logging(settings.log_level, process="other-build")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    LedgerWriter(settings, find_services(settings), stop, group="rival").run()


if __name__ == "__main__":
    main()
