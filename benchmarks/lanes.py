"""Each lane of the ledger alone, without a broker: fold, decide, react."""

from __future__ import annotations

from typing import Any

from benchmarks import decide, fold, react
from schemas.codec import Codec

#: Facts that the projector takes at once from a backlog, and the reactions from theirs.
FOLD_BATCH, REACT_BATCH = 100_000, 8_000


def lanes(orders: int, rounds: int) -> dict[str, Any]:
    """All rounds of each lane, with the work of so many orders; the medians are taken where they are shown."""
    return {
        "fold": _fold(orders, rounds),
        "decide": _decide(orders, rounds),
        "react": _react(orders, rounds),
    }


def _fold(orders: int, rounds: int) -> list[dict[str, Any]]:
    ledger = fold.Ledger()
    fold.open_shop(ledger)
    begins = {partition: len(log) for partition, log in ledger.logs.items()}
    for first in range(0, orders, fold.ORDERS_AT_A_TIME):
        fold.sell(ledger, first, min(fold.ORDERS_AT_A_TIME, orders - first), shipped=0.0)
    warm = [fact for partition, log in ledger.logs.items() for fact in log[: begins.get(partition, 0)]]
    facts = fold.handed_out(ledger.logs, begins)
    with fold.postgres(None) as (conninfo, server):
        return [fold.measure(ledger, FOLD_BATCH, facts, warm, conninfo=conninfo, server=server) for _ in range(rounds)]


def _decide(orders: int, rounds: int) -> list[dict[str, Any]]:
    warm, commands = decide.commands_of(orders)
    return [decide.measure(warm, commands, orders) for _ in range(rounds)]


def _react(orders: int, rounds: int) -> list[dict[str, Any]]:
    codec = Codec()
    stock, facts = react.stated(codec, orders)
    return [react.measure(codec, stock, facts, orders, REACT_BATCH) for _ in range(rounds)]
