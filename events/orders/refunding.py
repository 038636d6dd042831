"""Refunds: never more than the order's value."""

from msgspec import Struct
from msgspec.structs import replace

from events.envelope import Refused
from events.orders.decision import Decision
from events.orders.parts import Cause, FactOfOrder
from events.orders.state import Order
from events.values import CurrencyCode, Id, Quantity, Text


class IssueRefund(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Pay money back."""

    order_id: Id
    return_id: Id | None = None
    amount_minor: Quantity
    reason: Text


class RefundIssued(FactOfOrder, frozen=True, kw_only=True):
    """Money was paid back. If it is for a return, `cause` says why those goods came back."""

    return_id: Id | None = None
    cause: Cause | None = None
    amount_minor: Quantity
    currency: CurrencyCode
    reason: Text


def refund(decision: Decision, data: IssueRefund) -> Refused | None:
    order = decision.order
    left = max(0, order.value_minor - order.refunded_minor)
    if data.return_id is not None and data.return_id not in order.returns:
        return decision.unknown_return(f"no refund for order {order.order_id}", data.return_id)
    if data.amount_minor > left:
        return Refused(
            code="limit",
            what=f"no refund for order {order.order_id}",
            detail=f"{data.amount_minor} {order.currency} minor units asked, {order.refunded_minor} of "
            f"{order.value_minor} already paid back: at most {left}",
            hint=f"refund at most {left}",
            at_most=left,
        )
    decision.add(
        RefundIssued(
            order_id=order.order_id,
            return_id=data.return_id,
            cause=None if data.return_id is None else order.returns[data.return_id].cause,
            amount_minor=data.amount_minor,
            currency=order.currency,
            reason=data.reason,
        )
    )
    return None


def refunded(order: Order, fact: RefundIssued) -> Order:
    return replace(order, refunded_minor=order.refunded_minor + fact.amount_minor)
