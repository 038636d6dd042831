"""Cycle counts: nearly all equal the record, a few do not.

For example, one CountStock from one row:

    row = {"sku": "SIM-0001", "location_id": "SIM-WH-LYON", "on_hand": 40}
    list(counts([row], 7, SEASON.counted_at))
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from gateway.season.form import WAREHOUSE_CHANNEL, Command, View, command, drawn_by, utc_text
from gateway.season.parameters import SEASON, Season


def counts(inventory_rows: Iterable[View], seed: int, at: datetime, *, season: Season = SEASON) -> Iterator[Command]:
    """CountStock for every row (sku, location_id, on_hand) at that time; `count_off_share` are beyond the tolerance.

    The tolerance is one unit in a hundred, rounded down. The number on record is part of the row's seed and of its
    command's id, so a count after a correction is a new count, not another body under an old id.
    """
    for row in inventory_rows:
        sku, location_id, on_hand = str(row["sku"]), str(row["location_id"]), int(row["on_hand"])
        name = f"{location_id}-{sku}-{on_hand}-{utc_text(at)}"
        draw = drawn_by(f"sim-{seed} count {name}")
        tolerance = max(0, on_hand) // 100
        fate, sign = draw.random(), draw.choice((-1, -1, -1, 1))  # goods go missing more often than they turn up
        off = 0
        if fate < season.count_off_share:
            off = tolerance + draw.randint(1, 3)
        elif fate < season.count_off_share + season.count_within_tolerance_share:
            off = draw.randint(0, tolerance)
        # A count cannot be below zero, so a wrong count of an empty shelf is above it.
        counted = on_hand + sign * off if on_hand + sign * off >= 0 else max(0, on_hand + off)
        data = {"sku": sku, "location_id": location_id, "counted": counted, "tolerance": tolerance}
        yield command("CountStock", f"sim-{seed}-count-{name}", WAREHOUSE_CHANNEL, at, data)
