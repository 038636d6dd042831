"""What a customer is told of units that wait: one fact for each promise that changes.

A line that starts to wait again is not told again what it was told last where that still holds; where it does not,
that is said.
"""

from datetime import datetime

from events.orders import commands as c
from events.orders import facts as f
from events.orders.decision import Decision
from events.orders.state import Line, Wait


def promised(decision: Decision, line: Line, answer: c.Answer) -> None:
    """The SKU's stream says when the units of a wait are expected; nothing is said of a wait that is over."""
    for wait in line.waits:
        if wait.attempt == answer.attempt and wait.expected_at != answer.expected_at:
            _tell(decision, line, wait, answer.expected_at, answer)


def waits_anew(decision: Decision, data: c.RecordAllocation, answer: c.Answer) -> None:
    """A wait begins with what its line was told last; take that back where nothing that is on its way covers it."""
    wait_asked = (answer.line_id, answer.attempt)
    if any(other.outcome == "promised" and (other.line_id, other.attempt) == wait_asked for other in data.answers):
        return
    line = decision.order.lines[answer.line_id]
    for wait in line.waits:
        if wait.attempt == answer.attempt and wait.expected_at is not None:
            _tell(decision, line, wait, None, answer)


def _tell(decision: Decision, line: Line, wait: Wait, expected_at: datetime | None, answer: c.Answer) -> None:
    decision.add(
        f.LinePromised(
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
