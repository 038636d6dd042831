"""The answers of the stock streams are brought back to the order.

    StockReserved(order o1, line 1), ReservationRefused(order o1, line 2) -> RecordAllocation(o1, answers=[reserved,
    refused])

All answers for an order in one batch travel in one command, in the order of each SKU's stream. How facts fall into
batches is chance, so a restart may group them otherwise; the order takes each (line, stock_version) once, so that is
harmless.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Literal, TypeAlias

from events.envelope import INTERNAL_CHANNEL, AnyRecorded
from events.orders.commands import Answer, RecordAllocation
from events.stock.facts import (
    BackorderPromised,
    ReservationExpired,
    ReservationRefused,
    StockAwaited,
    StockOffered,
    StockReleased,
    StockReserved,
    WaitEnded,
)
from processors.reactions.asked import Asked, named
from processors.reactions.rows import Together

ACTOR = "allocation"

#: Answers in one command. An answer takes some 60 bytes: far below Kafka's limit of 1 MB for a record. Too few would
#: only cost commands; too many, and the answers for a wholesale order of 20,000 lines could not be sent at all.
ANSWERS_PER_COMMAND_MAX = 1000

Outcome: TypeAlias = Literal["reserved", "refused", "waiting", "offered", "expired", "released", "promised", "shipped"]

_OUTCOMES: dict[type[Any], Outcome] = {
    StockReserved: "reserved",
    ReservationRefused: "refused",
    StockAwaited: "waiting",
    StockOffered: "offered",
    ReservationExpired: "expired",
    StockReleased: "released",
    BackorderPromised: "promised",
}


def answer(fact: AnyRecorded) -> Answer | None:
    """What the fact tells its order; None where the order does not ask or knows already.

    What left with a parcel before the order knew of it is told, however it ended. A hold of another system (`for_order`
    false) is none of the order's business, and a release that our own reaction asked for was the order's own decision.
    """
    data = fact.data
    outcome = "shipped" if getattr(data, "shipped", False) else _OUTCOMES.get(type(data))
    if outcome is None or not getattr(data, "for_order", True):
        return None
    if outcome == "released" and fact.channel == INTERNAL_CHANNEL:
        return None
    return Answer(
        line_id=data.line_id,
        attempt=data.attempt,
        outcome=outcome,
        location_id=getattr(data, "location_id", ""),
        quantity=data.quantity,
        available=data.available if outcome == "refused" else None,
        stock_version=fact.version,
        expected_at=data.expected_at if outcome == "promised" else None,
        cause=data.cause if outcome == "promised" else None,
    )


def allocation(facts: Iterable[AnyRecorded]) -> list[Asked]:
    """RecordAllocation for each order that the facts of a batch answer, orders in the order of their first answer.

    Answers are sorted by SKU and version: the log's order within a SKU, and the same bytes for the same set of facts.
    """
    by_order: dict[str, list[tuple[str, int, AnyRecorded, Answer]]] = defaultdict(list)
    for fact in facts:
        said = answer(fact)
        if said is not None:
            by_order[fact.data.order_id].append((fact.data.sku, fact.version, fact, said))
    asked: list[Asked] = []
    for order_id, answers in by_order.items():
        answers.sort(key=lambda row: row[:2])
        asked += [
            _record(order_id, answers[start : start + ANSWERS_PER_COMMAND_MAX])
            for start in range(0, len(answers), ANSWERS_PER_COMMAND_MAX)
        ]
    return asked


def _record(order_id: str, answers: Sequence[tuple[str, int, AnyRecorded, Answer]]) -> Asked:
    digest = blake2b(digest_size=8)
    for sku, version, _, _ in answers:
        digest.update(f"{len(sku)}:{sku}:{version};".encode())
    cause = answers[0][2]
    return Asked(
        id=named("alloc", order_id, digest.hexdigest()),
        data=RecordAllocation(order_id=order_id, answers=tuple(row[3] for row in answers)),
        actor=ACTOR,
        occurred_at=max(row[2].occurred_at for row in answers),
        correlation_id=cause.correlation_id,
        causation_id=cause.event_id,
    )


REACTIONS = (Together((*_OUTCOMES, WaitEnded), allocation),)
