"""Purchase orders: what is still expected of them, and what has arrived.

expect 40 of PO-7 -> StockExpected(40);  receive 30 of PO-7 -> StockReceived(30), StockExpected(10)
"""

from events.envelope import Refused
from events.refusal import already_so
from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.expected import NOTHING_EXPECTED, Source
from events.times import rfc3339


def expect(decision: Decision, data: c.ExpectStock) -> Refused | None:
    """Set what is still expected of a line of a purchase order."""
    known = decision.stock.incoming.get(Source("purchase_order", data.purchase_order, data.location_id))
    if not data.quantity and known is None:
        return Refused(
            code="unknown",
            what=f"nothing of {data.sku} was cancelled",
            detail=f"nothing is expected of purchase order {data.purchase_order} at {data.location_id}: at most 0",
            hint="it was already received or cancelled; check purchase_order and location_id",
            at_most=0,
        )
    before = known or NOTHING_EXPECTED
    expected_at = data.expected_at or before.expected_at
    if (data.quantity, expected_at) == (before.quantity, before.expected_at):
        when = "without a time" if expected_at is None else f"by {rfc3339(expected_at)}"
        return already_so(
            f"what is expected of {data.sku} was not changed",
            f"{before.quantity} of purchase order {data.purchase_order} are expected at {data.location_id}, {when}",
            "nothing needs to be done; overdue goods need another expected_at",
        )
    cause = "announced" if known is None else "amended" if data.quantity else "cancelled"
    decision.add(
        f.StockExpected(
            sku=data.sku,
            location_id=data.location_id,
            purchase_order=data.purchase_order,
            quantity=data.quantity,
            quantity_before=before.quantity,
            expected_at=expected_at,
            expected_before=before.expected_at,
            overdue=before.overdue and expected_at == before.expected_at,
            cause=cause,
        )
    )
    return None


def receive(decision: Decision, data: c.ReceiveStock) -> None:
    """Goods arrived. Reduce what their purchase order still expects at this location."""
    decision.add(
        f.StockReceived(
            sku=data.sku,
            location_id=data.location_id,
            quantity=data.quantity,
            purchase_order=data.purchase_order,
            reason=data.reason,
            document=data.document,
        )
    )
    if data.purchase_order is None:
        return
    known = decision.stock.incoming.get(Source("purchase_order", data.purchase_order, data.location_id))
    if known is not None:
        decision.add(
            f.StockExpected(
                sku=data.sku,
                location_id=data.location_id,
                purchase_order=data.purchase_order,
                quantity=max(0, known.quantity - data.quantity),
                quantity_before=known.quantity,
                expected_at=known.expected_at,
                expected_before=known.expected_at,
                overdue=known.overdue,
                cause="received",
            )
        )


def find_overdue(decision: Decision) -> None:
    """State which goods are overdue by log time: nothing may be promised from them."""
    now = decision.command.recorded_at
    due = decision.stock.next_due
    if due is None or due > now:
        return
    for source, expected in sorted(decision.stock.incoming.items()):
        if expected.expected_at is None or expected.overdue or expected.expected_at > now:
            continue
        decision.add(
            f.ReceiptOverdue(
                sku=decision.stock.sku,
                location_id=source.location_id,
                quantity=expected.quantity,
                expected_at=expected.expected_at,
                purchase_order=source.reference if source.kind == "purchase_order" else None,
                transfer_id=source.reference if source.kind == "transfer" else None,
            )
        )
