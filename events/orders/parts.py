"""Types that several commands and facts of orders share."""

from typing import Literal

from msgspec import Struct

from events.values import Id, Natural, Quantity, Text, Total, UtcTime

#: Why goods came back. `customer`: the customer had them and sent them back. The others never reached the customer.
Cause = Literal["customer", "unclaimed", "refused", "recalled"]


class FactOfOrder(Struct, frozen=True, kw_only=True):
    """The base of every fact of an order. `OrderFact` is the union of them all."""

    order_id: Id

    def changes_units(self) -> bool:
        """Whether an all-or-nothing order has to start sourcing again after it."""
        return False


class LineQuantity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A quantity of one line."""

    line_id: Id
    quantity: Quantity


class Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the stock stream said about one attempt for one line."""

    line_id: Id
    attempt: Natural
    outcome: Literal["reserved", "refused", "waiting", "offered", "expired", "released", "promised", "shipped"]
    location_id: Text
    quantity: Quantity
    available: Total | None = None
    stock_version: Quantity
    expected_at: UtcTime | None = None
    cause: Text | None = None


class Release(Struct, frozen=True, kw_only=True):
    """What a stock stream must release."""

    line_id: Id
    sku: Id
    attempt: Natural
    location_id: Text
    quantity: Quantity
