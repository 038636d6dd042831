"""What a customer is told about waiting units: one fact for each promise that changes.

When a line waits again, there is a new fact only if the last promise no longer holds.
"""

from datetime import datetime

from msgspec.structs import replace

from events.orders import line_changes
from events.orders.decision import Decision
from events.orders.parts import Answer, FactOfOrder
from events.orders.sourcing import RecordAllocation
from events.orders.state import Line, Order, Wait
from events.values import Id, Natural, Quantity, Text, UtcTime


class LinePromised(FactOfOrder, frozen=True, kw_only=True):
    """The customer is told when waiting units of a line are expected, or that the time told before no longer holds."""

    line_id: Id
    sku: Id
    quantity: Quantity
    attempt: Natural
    expected_at: UtcTime | None = None
    previous: UtcTime | None = None
    cause: Text
    stock_version: Quantity | None = None


def promised(decision: Decision, line: Line, answer: Answer) -> None:
    """Use the SKU's answer that says when waiting units are expected. It is ignored if they wait no more."""
    for wait in line.waits:
        if wait.attempt == answer.attempt and wait.expected_at != answer.expected_at:
            _tell(decision, line, wait, answer.expected_at, answer)


def waits_anew(decision: Decision, data: RecordAllocation, answer: Answer) -> None:
    """A new wait starts with the line's last promise. Take the promise back if no incoming stock covers the wait."""
    wait_asked = (answer.line_id, answer.attempt)
    if any(other.outcome == "promised" and (other.line_id, other.attempt) == wait_asked for other in data.answers):
        return
    line = decision.order.lines[answer.line_id]
    for wait in line.waits:
        if wait.attempt == answer.attempt and wait.expected_at is not None:
            _tell(decision, line, wait, None, answer)


def _tell(decision: Decision, line: Line, wait: Wait, expected_at: datetime | None, answer: Answer) -> None:
    decision.add(
        LinePromised(
            order_id=decision.order.order_id,
            line_id=line.line_id,
            sku=line.sku,
            quantity=wait.quantity,
            attempt=wait.attempt,
            expected_at=expected_at,
            previous=wait.expected_at,
            cause=answer.cause or "short",
            stock_version=answer.stock_version,
        )
    )


def line_promised(order: Order, fact: LinePromised) -> Order:
    line = order.lines[fact.line_id]
    waits = tuple(
        wait._replace(expected_at=fact.expected_at) if wait.attempt == fact.attempt else wait for wait in line.waits
    )
    answered = line_changes.newest(line, fact.stock_version)
    return line_changes.with_line(order, replace(line, waits=waits, told=fact.expected_at, answered=answered))
