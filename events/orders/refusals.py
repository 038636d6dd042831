"""Refusals that several decisions about an order share."""

from events.envelope import Refused
from events.promises import UnreadablePromiseError
from events.values import ORDER_VALUE_MAX_MINOR


def too_valuable(what: str, currency: str, value: int) -> Refused:
    """The order would be worth more than the limit."""
    return Refused(
        code="limit",
        what=what,
        detail=f"it is worth {value} {currency} minor units: at most {ORDER_VALUE_MAX_MINOR}",
        hint="check quantity and unit_price_minor; split the order if it is really that large",
        at_most=ORDER_VALUE_MAX_MINOR,
    )


def unreadable_promise(what: str, error: UnreadablePromiseError) -> Refused:
    """A promise or a time zone that cannot be read."""
    return Refused(
        code="invalid",
        what=what,
        detail=f"promised_by or time_zone cannot be read: {error}",
        hint="use a date like 2026-12-24, a time like 2026-12-24T18:00:00Z; an IANA time zone like Europe/Berlin",
    )
