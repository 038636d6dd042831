"""Refusals that several decisions about an order share."""

from collections.abc import Sequence

from events.envelope import Refused
from events.orders.state import Line, Order
from events.promises import UnreadablePromiseError
from events.refusal import already_so
from events.times import rfc3339
from events.values import ORDER_VALUE_MAX_MINOR

#: How many lines a refusal shows. Nobody reads more, and more would not fit into a text.
LINES_SHOWN = 5


def too_valuable(what: str, currency: str, value: int) -> Refused:
    """The refusal of an order that would be worth more than the limit."""
    return Refused(
        code="limit",
        what=what,
        detail=f"it is worth {value} {currency} minor units: at most {ORDER_VALUE_MAX_MINOR}",
        hint="check quantity and unit_price_minor; split the order if it is really that large",
        at_most=ORDER_VALUE_MAX_MINOR,
    )


def unreadable_promise(what: str, error: UnreadablePromiseError) -> Refused:
    """The refusal of a promise or a time zone that cannot be read."""
    return Refused(
        code="invalid",
        what=what,
        detail=f"promised_by or time_zone cannot be read: {error}",
        hint="use a date like 2026-12-24, a time like 2026-12-24T18:00:00Z; an IANA time zone like Europe/Berlin",
    )


def numbers_of(line: Line) -> str:
    """The units of a line, in words."""
    again = f", {line.replaced} sent again" if line.replaced else ""
    return f"{line.ordered} ordered, {line.shipped} shipped, {line.cancelled} cancelled{again}"


def nothing_changes(order: Order, what: str, line_ids: Sequence[str], promised_by: str | None) -> Refused:
    """The refusal of an amendment that would change neither these lines nor the promise."""
    lines = [order.lines[line_id] for line_id in line_ids]
    said = [
        f"line {line.line_id} has {numbers_of(line)}: {line.wanted - line.replaced} wanted in all"
        for line in lines[:LINES_SHOWN]
    ]
    if len(lines) > LINES_SHOWN:
        said.append(f"{len(lines) - LINES_SHOWN} more lines are as asked")
    if promised_by is not None and order.promised_by is not None:
        said.append(f"it is promised by {rfc3339(order.promised_by)}")
    at_most = sum(line.unshipped - line.replacing for line in lines) if lines else None
    if at_most is not None:
        said.append(f"at most {at_most} can be removed")
    return already_so(
        what,
        f"nothing would change: {'; '.join(said)}",
        "a quantity is the total that the customer gets: it counts shipped units, not cancelled ones or replacements"
        if lines
        else "send another promised_by",
        at_most=at_most,
    )
