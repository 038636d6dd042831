"""Transfers between locations: units leave at once, and arrive when somebody reports it.

    start 5 from WH1 to WH2 -> WH1 has 5 less at once; they are incoming at WH2
    receive 3, close        -> WH2 has 3 more; 2 are missing: TransferDiffered, for a person to look at

No unit disappears: on hand + incoming + missing stays the same.
"""

from events.envelope import Refused
from events.refusal import already_so
from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.expected import Expected, Source, Transfer
from events.times import rfc3339


def start(decision: Decision, data: c.StartTransfer) -> Refused | None:
    """Units leave a location: at most the available ones."""
    stock = decision.stock
    what = f"transfer {data.transfer_id} of {data.sku} was not started"
    if data.from_location_id == data.to_location_id:
        return Refused(
            code="invalid", what=what, detail="both locations are the same", hint="name two different locations"
        )
    if data.transfer_id in stock.transfers:
        return Refused(
            code="conflict",
            what=what,
            detail="a transfer with this transfer_id is already on its way",
            hint="use a new transfer_id; AmendTransfer changes the expected time of this one",
        )
    available = max(0, stock.level(data.from_location_id).available)
    if data.quantity > available:
        return Refused(
            code="limit",
            what=what,
            detail=f"{data.quantity} asked, {available} available at {data.from_location_id}: at most {available}",
            hint="reserved, safety, damaged and quality-hold units cannot be moved; release or adjust them first",
            at_most=available,
        )
    decision.add(
        f.TransferStarted(
            sku=data.sku,
            transfer_id=data.transfer_id,
            from_location_id=data.from_location_id,
            to_location_id=data.to_location_id,
            quantity=data.quantity,
            expected_at=data.expected_at,
        )
    )
    return None


def receive(decision: Decision, data: c.ReceiveTransfer) -> Refused | None:
    """Units arrived. With `close` nothing more will come, and missing units are stated."""
    what = f"nothing of transfer {data.transfer_id} of {data.sku} was received"
    known = _on_its_way(decision, data.transfer_id)
    if known is None:
        return _unknown(what, data.transfer_id)
    transfer, source, expected = known
    if data.quantity > expected.quantity:
        return Refused(
            code="limit",
            what=what,
            detail=f"{data.quantity} asked; {transfer.sent} sent, {transfer.received} already received: "
            f"at most {expected.quantity}",
            hint=f"receive at most {expected.quantity}; send AdjustStock for additional units",
            at_most=expected.quantity,
        )
    if data.damaged > data.quantity:
        return Refused(
            code="limit",
            what=what,
            detail=f"{data.damaged} of {data.quantity} are damaged: at most {data.quantity}",
            hint="quantity counts the damaged units, too",
            at_most=data.quantity,
        )
    if not data.quantity and not data.close:
        return Refused(
            code="invalid",
            what=what,
            detail="quantity is 0 and close is not set",
            hint="send a quantity, or set close",
        )
    left = expected.quantity - data.quantity
    if data.quantity:
        decision.add(
            f.TransferReceived(
                sku=data.sku,
                transfer_id=data.transfer_id,
                location_id=source.location_id,
                quantity=data.quantity,
                damaged=data.damaged,
                left=left,
                expected_at=expected.expected_at,
                overdue=expected.overdue,
            )
        )
    if left and data.close:
        decision.add(
            f.TransferDiffered(
                sku=data.sku,
                transfer_id=data.transfer_id,
                from_location_id=transfer.from_location_id,
                to_location_id=source.location_id,
                sent=transfer.sent,
                received=transfer.sent - left,
                missing=left,
            )
        )
    return None


def amend(decision: Decision, data: c.AmendTransfer) -> Refused | None:
    """Change the expected time of a transfer."""
    known = _on_its_way(decision, data.transfer_id)
    if known is None:
        return _unknown(f"transfer {data.transfer_id} of {data.sku} was not amended", data.transfer_id)
    _, source, expected = known
    if data.expected_at == expected.expected_at:
        return already_so(
            f"transfer {data.transfer_id} of {data.sku} was not amended",
            f"it is already expected by {rfc3339(data.expected_at)}",
            "nothing needs to be done; an overdue transfer needs another expected_at",
        )
    decision.add(
        f.TransferAmended(
            sku=data.sku,
            transfer_id=data.transfer_id,
            location_id=source.location_id,
            left=expected.quantity,
            expected_at=data.expected_at,
            expected_before=expected.expected_at,
            overdue=False,
        )
    )
    return None


def _on_its_way(decision: Decision, transfer_id: str) -> tuple[Transfer, Source, Expected] | None:
    transfer = decision.stock.transfers.get(transfer_id)
    if transfer is None:
        return None
    source = Source("transfer", transfer_id, transfer.to_location_id)
    return transfer, source, decision.stock.incoming[source]


def _unknown(what: str, transfer_id: str) -> Refused:
    return Refused(
        code="unknown",
        what=what,
        detail=f"no transfer {transfer_id} is on its way: at most 0",
        hint="it was already received or closed, or never started; send AdjustStock for units that turn up later",
        at_most=0,
    )
