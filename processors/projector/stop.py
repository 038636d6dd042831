"""Where tables as of a time end: before the first accepted decision that was recorded later.

    first_later(until, decoded, accepted)        # {("ledger.orders", 3): 4711}: fold what stands before this offset

The accepted decisions of a partition are in the order of their commands, so `recorded_at` never falls along them, and
all facts of a decision have the same. Hence everything to fold stands before that offset. Only accepted facts count: a
late or rival writer may have written facts of any time. The time of the record in Kafka does not help, because it is
later than `recorded_at`, and the brokers' clocks may differ.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from processors.following.columns import Accepted
from processors.following.positions import Partition
from processors.projector.decode import Decoded


def first_later(until: datetime, decoded: Decoded, accepted: Accepted) -> dict[Partition, int]:
    """For each partition with an accepted fact recorded after `until` (UTC): the offset of the first such fact."""
    later = pl.col("recorded_at") > until
    parts = [frame.filter(later).select("seq", "topic", "partition", "offset") for frame in decoded.frames.values()]
    parts = [part for part in parts if part.height]
    if not parts:
        return {}
    rows = pl.concat(parts).join(accepted.rows.to_frame("seq"), on="seq", how="semi")
    firsts = rows.group_by("topic", "partition").agg(pl.col("offset").min())
    return {(topic, number): offset for topic, number, offset in firsts.iter_rows()}
