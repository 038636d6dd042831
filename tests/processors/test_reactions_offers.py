"""What an order was offered and does not take is for whoever else waits."""

from __future__ import annotations

from typing import Any

from events.orders import facts as o
from processors.reactions.wiring import react
from tests.processors.test_reactions import recorded, stock


def test_what_an_order_was_offered_and_stops_asking_for_is_passed_on() -> None:
    """Before, it stayed free until its SKU moved again, whoever waited for it."""
    line: dict[str, Any] = {"order_id": "o1", "line_id": "1", "sku": "MUG", "quantity": 2}
    counted = {"line_id": "1", "sku": "MUG", "quantity": 2, "from_allocated": 0}

    def served(data: Any) -> list[str]:
        return [row.data.sku for row in react([recorded(data)], stock()) if row.name == "ServeQueue"]

    assert served(o.LineBackordered(**line, attempt=0)) == ["MUG"]
    assert served(o.LineBackordered(**line, attempt=1999)) == []
    answer = {**line, "location_id": "", "attempt": 1999, "stock_version": 2}
    assert served(o.AllocationAnswered(**answer, outcome="offered")) == ["MUG"]
    assert served(o.AllocationAnswered(**answer, outcome="refused")) == []
    for from_open, skus in ((2, ["MUG"]), (0, [])):
        cancelled = o.LineCancelled(**counted, from_open=from_open, from_backordered=2 - from_open)
        about = {"order_id": "o1", "by": "customer", "reason": "", "before_allocation": True}
        cancel = o.OrderCancelled(**about, lines=(cancelled,), releases=())
        assert served(cancel) == skus
    queued = o.QueuedLine(line_id="1", sku="MUG", quantity=2, from_sourcing=0)
    assert served(o.OrderQueued(order_id="o1", queue="q", reason="r", detail="d", lines=(queued,))) == ["MUG"]
