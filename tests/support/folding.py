"""Folds without a database: facts in, rows out.

rows(ORDER_STATUS, log)["order_lines"]      # [{"order_id": "o-1", "line_id": "1", "open": 2, …}]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from processors.following.columns import accept
from processors.following.positions import ChainState
from processors.projector.decode import Decoder
from processors.projector.projector import _counted
from projections.model import SEQUENCE, FactBatch, Projection
from projections.tables import fold, reduce
from tests.support.chain import CODEC, ChainLog, FactRecord

_DECODER = Decoder(CODEC)


def batch_of(records: Sequence[FactRecord], states: dict[tuple[str, int], ChainState] | None = None) -> FactBatch:
    """The accepted facts of records of any partitions; `states` is brought up to date, for a batch that follows."""
    states = {} if states is None else states
    flat = sorted(records, key=lambda one: (one.topic_name, one.partition_number, one.position))
    parts = sorted({(one.topic_name, one.partition_number) for one in flat})
    position = pl.DataFrame(
        {
            "topic": pl.Series([one.topic_name for one in flat], dtype=pl.String),
            "partition": pl.Series([one.partition_number for one in flat], dtype=pl.Int32),
            "offset": pl.Series([one.position for one in flat], dtype=pl.Int64),
        }
    )
    decoded = _DECODER.decode([one.value_bytes for one in flat], position)
    assert not decoded.garbage
    part = pl.Series("part", [parts.index((one.topic_name, one.partition_number)) for one in flat], pl.Int64)
    seq = decoded.links["seq"]
    links = decoded.links.with_columns(part.gather(seq), position["offset"].gather(seq))
    accepted = accept(links, {number: states.get(one, ChainState()) for number, one in enumerate(parts)})
    states.update({one: accepted.parts[number].state for number, one in enumerate(parts)})
    return FactBatch(_counted(decoded, accepted))


def rows(projection: Projection, *logs: ChainLog) -> dict[str, list[dict[str, Any]]]:
    """The rows of all tables after these logs, as they would stand in empty tables; without what is null or 0."""
    folded = fold(projection, batch_of([record for log in logs for record in log.records]))
    return {name: short(frame) for name, frame in folded.items()}


def short(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts without log order and without what is null or 0: a test shows only what it is about."""
    kept = frame.drop(SEQUENCE, strict=False)
    return [{k: v for k, v in row.items() if v is not None and (v is False or v != 0)} for row in kept.to_dicts()]


def fold_in_steps(projection: Projection, steps: Iterable[Sequence[FactRecord]]) -> dict[str, pl.DataFrame]:
    """The reduced rows after folding batch after batch, each taken into the rows before it."""
    states: dict[tuple[str, int], ChainState] = {}
    found: dict[str, pl.DataFrame] = {}
    tables = {table.name: table for table in projection.tables}
    base = 0
    for step in steps:
        batch = batch_of(step, states)
        for name, frame in fold(projection, batch).items():
            new = frame.with_columns(pl.col(SEQUENCE) + base) if SEQUENCE in frame.columns else frame
            found[name] = reduce(tables[name], pl.concat([found[name], new])) if name in found else new
        base += len(step)
    return found
