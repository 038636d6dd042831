"""A projection: tables, and a fold from accepted facts to row deltas. Pure: no clock, no database.

    def fold(batch: FactBatch) -> Deltas:
        placed = batch.lines("OrderPlaced", "lines")
        return {"sku_demand": placed.select("sku", units="quantity")}

    PROJECTION = Projection("sku_demand", (Table("sku_demand", (
        Column("sku", "text", "key", "the SKU"), Column("units", "bigint", "sum", "units that were ordered")),
        "What customers asked for"),), fold)

A fold gets a whole batch, one frame per type of fact. It returns deltas for each table. Several deltas may have the
same key; a column that is missing or null changes nothing. The engine reduces the deltas per key by each column's
`merge`, and writes them with the offsets in one transaction. So fold(a + b) must equal fold(a), then fold(b).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import polars as pl

from events.catalogue import FACTS, REFUSAL_SCHEMA
from projections.rows import Rows, together
from schemas.contracts import newest

#: How a delta changes a column:
#: key: names the row; never null. sum: is added (null adds 0). min, max: the smaller or larger value stays.
#: last, first: the newest or oldest value that is not null, in log order (`meta_seq`). replace: the newest delta's
#: value, even if it is null, for tables in which every delta is the whole row.
#: With `last`, `first` or `replace`, all facts of a key must come from one partition: only a partition has an order.
Merge = Literal["key", "sum", "last", "min", "max", "first", "replace"]

#: Log order within a batch. A delta frame of a table with `last`, `first` or `replace` columns must carry it along.
SEQUENCE = "meta_seq"

META = "meta_"

#: The position of a fact: columns of a frame in addition to the envelope's.
POSITION: Mapping[str, pl.DataType] = {
    "topic": pl.String(),
    "partition": pl.Int32(),
    "offset": pl.Int64(),
    "seq": pl.Int64(),
}

Deltas = Mapping[str, Rows]

__all__ = [
    "META", "SEQUENCE", "Column", "Deltas", "FactBatch", "Projection", "Rows", "Table", "View", "frame_schema",
    "polars_type", "reads", "together",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its PostgreSQL type (`bigint`, `text`, `timestamptz` …), how deltas change it, and its meaning for
    readers.
    """

    name: str
    sql_type: str
    merge: Merge
    meaning: str


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table as its fold sees it, and its meaning. The folder's `table.sql` says how it is stored; without one it is a
    plain table.

    `derived`: the generated columns of `table.sql`, by name, with their meaning. `public`: whether people read it,
    through the view `v_NAME`.

    `insert_only`: a key never comes twice, so rows are copied straight in. `born_with`: the column that starts a row
    (`placed_at` of an order). Deltas without it are dropped if the key has no row yet, so a refused command for an
    unknown order makes no order. `unique`: the expressions of the unique index, if the key's columns together could be
    longer than an index allows (2,704 bytes; an id has up to 800). `stream`: the topic of the streams whose ids are
    the first column of the key, if no other fact makes rows. So a stream that begins in a batch has no row yet.
    """

    name: str
    columns: tuple[Column, ...]
    meaning: str
    derived: Mapping[str, str] = dataclasses.field(default_factory=dict)
    public: bool = True
    insert_only: bool = False
    born_with: str | None = None
    unique: str | None = None
    stream: str | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.merge == "key")

    @property
    def born_late(self) -> bool:
        """Whether deltas may come before the one that starts their row. A stream starts its own with its first fact."""
        return self.born_with is not None and self.stream is None


@dataclass(frozen=True, slots=True)
class View:
    """A view for people: columns by name with their meaning, in the order of the query.

    A view keeps its shape. A table may change, for example when it is split; then the view is re-pointed. Our own
    readers are in the fold's folder and change with the tables, so they read the tables.
    """

    name: str
    meaning: str
    columns: Mapping[str, str]
    query: str


@dataclass(frozen=True, slots=True)
class Projection:
    """A folder of `projections/`: its tables, their fold, and the views for people: one per public table, and
    `more_views`.

    Raise `version` when the fold writes other rows than before from the same facts. Tables that an earlier version
    filled are then those of another build (`processors.projector.generations`).

    `effective`: the tables of what had occurred by a moment, as known now (`projections.occurred`); its fold does not
    see the facts that happened later. None: rows without these facts would mean nothing. Sums, minima and rows of
    single facts can do without a later fact. A value that a fact states relative to the fact before it cannot: the one
    before may have happened later. `plain`: the tables are not those of `table.sql`.
    """

    name: str
    tables: tuple[Table, ...]
    fold: Callable[[FactBatch], Deltas]
    more_views: tuple[View, ...] = ()
    version: int = 1
    effective: Projection | None = None
    plain: bool = False

    @property
    def views(self) -> tuple[View, ...]:
        return (*(_view_of(table) for table in self.tables if table.public), *self.more_views)


def _view_of(table: Table) -> View:
    columns = {column.name: column.meaning for column in table.columns} | dict(table.derived)
    listed = ", ".join(f'"{name}"' for name in columns)
    return View(f"v_{table.name}", table.meaning, columns, f'SELECT {listed} FROM "{table.name}"')


class FactBatch:
    """Accepted facts: name of the fact → frame in log order. A fold reads them with `facts` or `lines`.

    Columns of a frame: `topic`, `partition`, `offset`, `seq` (log order in the batch, over all frames), those of the
    envelope (`version`, `occurred_at`, `recorded_at`, `channel`, `command_id` …), and `data`, a struct in its newest
    shape. What several folds ask for is made once.
    """

    def __init__(self, frames: Mapping[str, pl.DataFrame]) -> None:
        self._frames = frames
        self._lines: dict[tuple[str, ...], Rows] = {}
        self._envelopes: dict[tuple[str, bool], Rows] = {}
        self._made: dict[Callable[[FactBatch], Rows], Rows] = {}
        self._begun: dict[str, pl.Series] = {}

    @property
    def frames(self) -> Mapping[str, pl.DataFrame]:
        """All of them. Whoever asks for them here is called for every batch."""
        return self._frames

    def has(self, name: str) -> bool:
        """Whether there are such facts."""
        return name in self._frames

    def made(self, make: Callable[[FactBatch], Rows]) -> Rows:
        """`make(batch)`, called once for a batch, and not at all if the batch has no fact that it reads.

        So a table of rare facts costs nothing in most batches. `make` must be a function of a module; which facts it
        reads must not depend on what is in them.
        """
        found = self._made.get(make)
        if found is None:
            some = self.has_any(reads(make))
            found = self._made[make] = make(self) if some else Rows(lambda: make(FactBatch({})).frame)
        return found

    def has_any(self, names: Collection[str]) -> bool:
        """Whether there are facts with one of these names."""
        return not self._frames.keys().isdisjoint(names)

    def facts(self, name: str) -> Rows:
        """One row per fact: its data as plain columns, the envelope and the position as `meta_…` columns.

        So `channel` of CaseOpened is how the customer wrote, and `meta_channel` is the command's channel. Times are
        UTC, microseconds. KeyError for an unknown fact.
        """
        return self.lines(name)

    def lines(self, name: str, *fields: str) -> Rows:
        """One row per element of a list field. `lines("ShipmentDispatched", "lines", "consumed")` opens an inner list.

        The element's fields become plain columns. An outer column of the same name becomes `outer_` + name: here
        `location_id` and `quantity` are those of `consumed`, `outer_quantity` is the line's, `outer_location_id` the
        parcel's. Facts with an empty list have no row.
        """
        if not self.has(name):
            return _none(name, *fields)
        found = self._lines.get((name, *fields))
        if found is None:
            if fields:
                *outer, inner = fields
                found = self.lines(name, *outer).then(lambda frame: _open(frame, inner))
            else:
                found = Rows(_opened(self._frames[name]))
            self._lines[name, *fields] = found
        return found

    def envelopes(self, topic: str, *, refusals: bool = True) -> Rows:
        """Every fact of a topic, in log order: `fact` (its name), envelope and position as `meta_…`."""
        key = topic, refusals and self.has(_REFUSED)
        found = self._envelopes.get(key)
        if found is None:
            found = self._envelopes[key] = self._all_of(*key)
        return found

    def _all_of(self, topic: str, refusals: bool) -> Rows:  # noqa: FBT001 - the key of what is kept
        parts = []
        for name, frame in self._frames.items():
            if name not in FACTS:  # a refusal, which stands in any topic
                if refusals:
                    refused = Rows(frame.filter(pl.col("topic") == topic))
                    parts.append(refused.then(lambda rows: _envelope(_REFUSED, rows)))
            elif FACTS[name].topic == topic:
                parts.append(Rows(_envelope(name, frame)))
        parts = [part for part in parts if part.height]
        if not parts:
            return Rows(lambda: _envelope(_REFUSED, pl.DataFrame(schema=frame_schema(_REFUSED))))
        return parts[0] if len(parts) == 1 else together(*parts).then(lambda rows: rows.sort(SEQUENCE))

    def begun(self, topic: str) -> pl.Series:
        """The ids of the streams of a topic whose first fact is in the batch."""
        found = self._begun.get(topic)
        if found is None:
            first = (pl.col("version") == 1) & (pl.col("topic") == topic)
            ids = [frame.filter(first)["stream_id"] for frame in self._frames.values()]
            found = self._begun[topic] = pl.concat(ids)
        return found

    def count(self) -> int:
        """How many facts there are."""
        return sum(frame.height for frame in self._frames.values())


class _Asking(FactBatch):
    """An empty batch that notes the facts it is asked for."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked: set[str] = set()

    @property
    def frames(self) -> Mapping[str, pl.DataFrame]:
        self.asked.update(FACTS, (_REFUSED,))
        return super().frames

    def has(self, name: str) -> bool:
        self.asked.add(name)
        return super().has(name)

    def has_any(self, names: Collection[str]) -> bool:
        self.asked.update(names)
        return super().has_any(names)

    def made(self, make: Callable[[FactBatch], Rows]) -> Rows:
        self.asked |= reads(make)
        return super().made(make)

    def envelopes(self, topic: str, *, refusals: bool = True) -> Rows:
        self.asked.update((name for name, fact in FACTS.items() if fact.topic == topic), (_REFUSED,))
        return super().envelopes(topic, refusals=refusals)


@cache
def reads(make: Callable[[FactBatch], object]) -> frozenset[str]:
    """The names of the facts that a fold, or a part of one, reads."""
    asking = _Asking()
    make(asking)
    return frozenset(asking.asked)


_REFUSED = REFUSAL_SCHEMA.rpartition(".")[2]


@cache
def _none(name: str, *fields: str) -> Rows:
    """Missing facts or lines. Most batches lack most facts, so they are made only once."""
    empty = _opened(pl.DataFrame(schema=frame_schema(name)))
    for field in fields:
        empty = _open(empty, field)
    return Rows(empty)


@cache
def _meta(*columns: str) -> tuple[pl.Expr, ...]:
    return tuple(pl.col(column).alias(META + column) for column in columns if column != "data")


def _opened(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(*_meta(*frame.columns), "data").unnest("data")


def _envelope(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(pl.lit(name).alias("fact"), *_meta(*frame.columns))


def _open(frame: pl.DataFrame, field: str) -> pl.DataFrame:
    element = frame.schema[field]
    assert isinstance(element, pl.List), f"{field} is no list"
    assert isinstance(element.inner, pl.Struct), f"{field} is no list of records"
    inner = {one.name for one in element.inner.fields}
    names = {}
    for column in frame.columns:
        name = column
        while name in inner or (name != column and name in frame.columns):
            name = f"outer_{name}"
        names[column] = name
    if not frame[field].list.len().gt(0).fill_null(value=False).all():
        frame = frame.filter(pl.col(field).list.len() > 0)
    frame = frame.rename(names)
    opened = names[field]
    return frame.explode(opened).unnest(opened)


@cache
def frame_schema(name: str) -> dict[str, pl.DataType]:
    """Columns and types of a fact's frame, from its newest contract. KeyError for an unknown fact."""
    full_name = FACTS[name].schema if name in FACTS else REFUSAL_SCHEMA
    if full_name.rpartition(".")[2] != name:
        raise KeyError(name)
    record = polars_type(newest(full_name).schema)
    assert isinstance(record, pl.Struct)
    columns = {field.name: _instance(field.dtype) for field in record.fields}
    return {**POSITION, **columns}


#: Avro's simple types in polars; a time is microseconds UTC.
_SIMPLE: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "long": pl.Int64(),
    "int": pl.Int32(),
    "double": pl.Float64(),
    "float": pl.Float32(),
    "boolean": pl.Boolean(),
    "bytes": pl.Binary(),
    "null": pl.Null(),
}


def polars_type(avro: Any) -> pl.DataType:
    """The polars type of an Avro type (parsed JSON). A union with null gives its other branch: columns may be null."""
    if isinstance(avro, list):
        (branch,) = [one for one in avro if one != "null"]
        return polars_type(branch)
    if isinstance(avro, str):
        return _SIMPLE[avro]
    if avro.get("logicalType") == "timestamp-micros":
        return pl.Datetime("us", "UTC")
    if avro["type"] == "record":
        return pl.Struct([pl.Field(field["name"], polars_type(field["type"])) for field in avro["fields"]])
    if avro["type"] == "array":
        return pl.List(polars_type(avro["items"]))
    return polars_type(avro["type"])


def _instance(dtype: Any) -> pl.DataType:
    instance = dtype() if isinstance(dtype, type) else dtype
    assert isinstance(instance, pl.DataType)
    return instance
