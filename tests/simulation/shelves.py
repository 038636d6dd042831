"""What people do at the shelves: count, approve counts, set units apart and dispose of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.simulation.choices import Dice
from tests.simulation.truth import Truth

Document = dict[str, Any]

PEOPLE = ("anna", "ben", "carla")


class Shelves:
    """Commands that fit what is on record, most of the time."""

    def __init__(self, truth: Truth, skus: tuple[str, ...], locations: tuple[str, ...]) -> None:
        self._truth = truth
        self._skus = skus
        self._locations = locations

    def _place(self, dice: Dice) -> tuple[Document, Any]:
        sku, location_id = dice.one(self._skus), dice.one(self._locations)
        stock = self._truth.state("stock", sku)
        return {"sku": sku, "location_id": location_id}, None if stock is None else stock.level(location_id)

    def _asked_again(self, dice: Dice) -> tuple[Document, Any] | None:
        """Where a count by much has to be repeated or approved: more often there than elsewhere."""
        watched = [
            ({"sku": sku, "location_id": location_id}, level)
            for sku, stock in self._truth.states("stock").items()
            for location_id, level in stock.levels.items()
            if level.recount_above is not None or level.approval_above is not None
        ]
        return dice.one(watched) if watched and not dice.once_in(3) else None

    def count(self, number: int, dice: Dice, now: datetime) -> tuple[str, Document]:
        """What is there, or nearly; sometimes the same as was counted before."""
        data, level = self._asked_again(dice) or self._place(dice)
        before = level and (level.recount or level.approval)
        if before and not dice.once_in(3):
            since = sum(move.delta for move in level.moves if move.occurred_at > before.counted_at)
            data["counted"] = max(0, before.counted + since)
        else:
            data["counted"] = dice.below(9) if level is None else max(0, level.on_hand + dice.between(-4, 4))
        if dice.once_in(2):
            data["counted_at"] = (now - timedelta(seconds=dice.below(7200))).isoformat()
        if dice.once_in(6):
            data["expected_on_hand"] = 0 if level is None else level.on_hand + dice.below(2)
        if dice.once_in(2):
            data["count_id"] = f"count-{number}"
        return "CountStock", {**data, "reason": "cycle"}

    def approve(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document] | None:
        waiting = [
            {"sku": sku, "location_id": location_id, "count_id": level.approval.count_id}
            for sku, stock in self._truth.states("stock").items()
            for location_id, level in stock.levels.items()
            if level.approval is not None
        ]
        if not waiting:
            return None
        return "ApproveCount", {**dice.one(waiting), "approved": not dice.once_in(3)}

    def set_apart(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        data, level = self._place(dice)
        data |= {"quantity": dice.between(1, 3), "document": "QM-7"}
        if level is not None and level.quality_hold and dice.once_in(2):
            return "ReleaseQualityHold", {**data, "disposition": dice.one(("restock", "damaged", "dispose"))}
        return "HoldStock", {**data, "reason": "smells"}

    def dispose(self, _number: int, dice: Dice, _now: datetime) -> tuple[str, Document]:
        data, level = self._place(dice)
        full = [name for name in ("damaged", "quality_hold") if level is not None and getattr(level, name)]
        data |= {"quantity": dice.between(1, 2), "from": dice.one(full or ["available"]), "reason": "broken"}
        return "DisposeStock", data
