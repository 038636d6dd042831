"""The reader's rule over a whole batch: which facts count (see `events.chain`).

In a large batch each row is usually the next fact of its decision, or the first fact of the decision that follows. A
comparison of whole columns checks that. If any row of a partition is different, `ChainReader` reads the partition's
rows one by one. It also reads all rows of a small batch.

    last accepted decision: A
    rows:                   B1/2 (follows A), B2/2, C1/1 (follows B), D1/3 (follows C)
    result:                 B1, B2 and C1 are accepted. D is not complete, so the reader resumes at D1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import polars as pl

from events.chain import ChainReader, Link
from processors.following.positions import ChainState

#: Fewer facts are followed one by one: 3 µs each, when the columns take 3 ms however few they are.
COLUMNS_ROWS_MIN = 1_000


_FOLLOWED = ("seq", "offset", *Link._fields)


class Skip(NamedTuple):
    """Facts skipped for one reason: how many, and the offset of the newest."""

    facts: int
    last_offset: int


class Followed(NamedTuple):
    """One partition after a batch. `resume_at`: offset of the first fact whose decision is not complete, or None.
    `one_by_one`: why `ChainReader` read the rows, and how many; None if it did not.
    """

    state: ChainState
    resume_at: int | None
    skipped: Mapping[str, Skip]
    one_by_one: tuple[str, int] | None = None


class Accepted(NamedTuple):
    """`rows`: the numbers (`seq`) of the facts that count, in the order in which readers get them. `parts`: the result
    by partition.
    """

    rows: pl.Series
    parts: Mapping[int, Followed]


def accept_few(links: pl.DataFrame, states: Mapping[int, ChainState]) -> Accepted:
    """The same as `accept`, fact by fact."""
    taken: list[int] = []
    parts: dict[int, Followed] = {part: Followed(state, None, {}) for part, state in states.items()}
    rows = links.select("part", *_FOLLOWED).rows()
    for part, group in groupby(rows, itemgetter(0)):
        seqs, followed = _one_by_one([row[1:] for row in group], states[part])
        parts[part] = followed._replace(one_by_one=None)
        taken += seqs
    return Accepted(pl.Series("seq", taken, pl.Int64), parts)


def accept(links: pl.DataFrame, states: Mapping[int, ChainState]) -> Accepted:
    """Apply the rule to a batch. A part is a partition's number in the batch.

    `links` has the columns seq, part, offset and those of the chain, and is sorted by part and offset. `states` maps a
    part to its state before the batch.
    """
    if links.is_empty():
        return Accepted(
            pl.Series("seq", [], pl.Int64), {part: Followed(state, None, {}) for part, state in states.items()}
        )
    marked = _marked(links, states)
    summary = marked.group_by("part", maintain_order=True).agg(
        pl.col("ok").all(),
        last_complete=pl.col("row").filter(pl.col("complete")).max(),
        first=pl.col("row").min(),
        end=pl.col("row").max() + 1,
    )
    rows: list[pl.Series] = []
    parts: dict[int, Followed] = {part: Followed(state, None, {}) for part, state in states.items()}
    for part, ok, last_complete, first, end in summary.iter_rows():
        if not ok:
            taken, parts[part] = _one_by_one(links[first:end].select(_FOLLOWED).rows(), states[part])
            rows.append(pl.Series("seq", taken, pl.Int64))
            continue
        cut = first if last_complete is None else last_complete + 1
        state = states[part]
        if last_complete is not None:
            state = ChainState(*links.select("decision", "epoch", "intake_offset").row(last_complete))
        resume_at = None if cut == end else int(links["offset"][cut])
        parts[part] = Followed(state, resume_at, {})
        rows.append(links["seq"][first:cut])
    return Accepted(pl.concat(rows), parts)


def _marked(links: pl.DataFrame, states: Mapping[int, ChainState]) -> pl.DataFrame:
    """Row number, part, `complete` (the row ends its decision) and `ok` (the row is as usual)."""
    last = pl.col("part").replace_strict({part: state.last for part, state in states.items()}, return_dtype=pl.Int64)
    begins_part = pl.col("part") != pl.col("part").shift(1, fill_value=-1)
    complete = pl.col("index") == pl.col("count")
    nothing_open = begins_part | complete.shift(1, fill_value=True)
    before = pl.when(begins_part).then(last).otherwise(pl.col("decision").shift(1))
    begins = nothing_open & (pl.col("index") == 1) & (pl.col("count") >= 1) & (pl.col("follows") == before)
    continues = ~nothing_open & (pl.col("index") == pl.col("index").shift(1) + 1)
    for name in ("decision", "follows", "count"):
        continues = continues & (pl.col(name) == pl.col(name).shift(1))
    return links.select("part", row=pl.int_range(pl.len()), complete=complete, ok=(begins | continues).fill_null(False))


def _one_by_one(rows: Sequence[tuple[int, ...]], state: ChainState) -> tuple[list[int], Followed]:
    reader: ChainReader[int] = ChainReader(*state)
    taken: list[int] = []
    seen: Counter[str] = Counter()
    skips: list[tuple[int, str, int]] = []
    for seq, offset, *link in rows:
        taken.extend(reader.read(Link(*link), seq, offset))
        if reader.skipped != seen:
            skips.extend((offset, reason, count) for reason, count in (reader.skipped - seen).items())
            seen = Counter(reader.skipped)
    resume_at = reader.resume_position
    why = "passed_over" if reader.skipped else "out_of_order"
    skipped: dict[str, Skip] = {}
    for offset, reason, count in skips:
        # Facts from `resume_at` on are read again later, and counted then.
        if resume_at is None or offset < resume_at:
            skipped[reason] = Skip(count + (skipped[reason].facts if reason in skipped else 0), offset)
    after = ChainState(reader.last, reader.epoch, reader.intake_offset)
    return taken, Followed(after, resume_at, skipped, (why, len(rows)))
