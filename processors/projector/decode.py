"""Many facts at once: the bodies of one schema become one in-memory Avro container, which polars reads as columns.

    00 | schema id | body      ┐
    00 | schema id | body      ├→  "Obj" header with the writer's schema | body end body end body end  →  a frame
    00 | schema id | body      ┘

Avro has no mark between records, so one record with a byte too many would silently shift all that follow. Hence `end`:
a random number after each body, read as a field of its own. Where it is not found again, the rows are halved until the
culprit stands alone, and the careful one-by-one decoder says what is wrong with it. Rows that come that far are
counted: one by one takes ten times as long, and what the columns always refuse would be slow for ever without an error.
"""

from __future__ import annotations

import io
import json
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from events.catalogue import FACTS, REFUSAL_SCHEMA
from processors.following.batches import Garbage
from processors.slow_paths import Miss
from projections.model import frame_schema, polars_type
from schemas.codec import FRAME, Codec, UndecodableError
from schemas.compiled import long
from schemas.contracts import Contract, newest

_END = "end_of_record"
_SYNC = b"order-ledger-run"  # 16 bytes between blocks, as the container format wants
_LINK = ("decision", "follows", "index", "count", "epoch", "intake_offset")

#: The times that Python has, in microseconds from 1970: all others are no facts to whoever reads them one by one, and
#: PostgreSQL has not all that polars has.
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_TIME_MIN, _TIME_MAX = (
    (end - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for end in (_FIRST, _LAST)
)

#: So few rows with a bad one among them are decoded one by one. Smaller: more attempts that fail; larger: more slow
#: rows.
_ONE_BY_ONE_ROWS = 64


class Decoded(NamedTuple):
    """`frames`: fact → columns as `projections.model.FactBatch` has them, `seq` being the row's number. `links`: row,
    its place in the chain (`decision`, `follows`, `index`, `count`, `epoch`, `intake_offset`), in row order.
    `one_by_one`: rows that the columns did not take."""

    frames: dict[str, pl.DataFrame]
    links: pl.DataFrame
    garbage: list[Garbage]
    one_by_one: Mapping[Miss, int]


class Decoder:
    """Decodes rows of framed facts with the ids of a codec."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        # Nobody can write a record that ends in a number nobody knows. 62 bits: it stays positive when doubled by
        # zigzag.
        self._end = secrets.randbits(60) | 1 << 60
        self._end_bytes = long(self._end)
        self._header: dict[int, bytes] = {}
        self._odd_times: dict[int, list[pl.Expr]] = {}
        self._facts = {fact.schema for fact in FACTS.values()} | {REFUSAL_SCHEMA}
        self._one_by_one: Counter[Miss] = Counter()

    def decode(self, values: Sequence[bytes | None], position: pl.DataFrame) -> Decoded:
        """Frames of all rows. `position` has a row for each value: topic, partition, offset."""
        garbage: list[Garbage] = []
        self._one_by_one = Counter()
        by_frame: dict[bytes, list[int]] = {}
        for row, value in enumerate(values):
            by_frame.setdefault(b"" if value is None else value[: FRAME.size], []).append(row)
        parts: dict[str, list[pl.DataFrame]] = {}
        for frame, rows in by_frame.items():
            contract = self._contract(frame, rows, garbage)
            if contract is None:
                continue
            for taken, columns in self._columns(contract, rows, values, garbage):
                seq = pl.Series("seq", taken, pl.Int64)
                # Put together from columns, which costs a third of what polars' own operations cost for a few rows.
                placed = [column.gather(seq) for column in position.get_columns()]
                parts.setdefault(contract.name, []).append(pl.DataFrame([*placed, seq, *columns.get_columns()]))
        frames = {
            name: found[0] if len(found) == 1 else pl.concat(found).sort("seq") for name, found in sorted(parts.items())
        }
        links = [pl.DataFrame([frame[name] for name in ("seq", *_LINK)]) for frame in frames.values()]
        empty = pl.DataFrame(schema={"seq": pl.Int64(), **{name: pl.Int64() for name in _LINK}})
        return Decoded(frames, pl.concat([empty, *links]).sort("seq"), sorted(garbage), self._one_by_one)

    def _contract(self, frame: bytes, rows: list[int], garbage: list[Garbage]) -> Contract | None:
        if len(frame) < FRAME.size or frame[0] != 0:
            reason, detail = "no_frame", "a record begins with a zero byte and four bytes of schema id"
        else:
            schema_id = int.from_bytes(frame[1:], "big")
            contract = self._codec.by_id.get(schema_id)
            if contract is not None and contract.full_name in self._facts:
                return contract
            if contract is None:
                stranger = self._codec.stranger(schema_id)
                reason, detail = stranger.reason, stranger.detail
            else:
                reason, detail = "no_fact", f"schema id {schema_id} is {contract.full_name}"
        garbage.extend(Garbage(row, reason, detail) for row in rows)
        return None

    def _columns(
        self, contract: Contract, rows: list[int], values: Sequence[bytes | None], garbage: list[Garbage]
    ) -> list[tuple[list[int], pl.DataFrame]]:
        bodies = [(values[row] or b"")[FRAME.size :] for row in rows]
        frame = self._at_once(contract, bodies)
        if frame is not None:
            return [(rows, frame)]
        if len(rows) > _ONE_BY_ONE_ROWS:
            half = len(rows) // 2
            return [
                *self._columns(contract, rows[:half], values, garbage),
                *self._columns(contract, rows[half:], values, garbage),
            ]
        good, records = [], []
        for row in rows:
            try:
                records.append(self._codec.decode(values[row])[1])
                good.append(row)
            except UndecodableError as error:
                garbage.append(Garbage(row, error.reason, error.detail))
        why = "refused" if len(good) == len(rows) else "beside_unreadable"
        self._one_by_one[Miss("decode", why, f"{contract.name} v{contract.version}")] += len(rows)
        if not records:
            return []
        schema = _data_schema(contract.name)
        return [(good, pl.DataFrame(records, schema=schema, strict=False, orient="row"))]

    def _at_once(self, contract: Contract, bodies: list[bytes]) -> pl.DataFrame | None:
        """Columns in the newest shape; None where one of the bodies does not end where it should, or names a time
        that is none.
        """
        block = self._end_bytes.join(bodies) + self._end_bytes
        container = b"".join(
            (self._container_header(contract), long(len(bodies)), long(len(block)), block, _SYNC),
        )
        try:
            frame = pl.read_avro(io.BytesIO(container))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
            return None  # not swallowed: the rows are looked at one by one
        if frame.height != len(bodies) or not (frame.drop_in_place(_END) == self._end).all():
            return None
        if contract.schema_id not in self._odd_times:
            self._odd_times[contract.schema_id] = list(_odd_times(contract.schema))
        odd = frame.select(test.alias(f"{n}") for n, test in enumerate(self._odd_times[contract.schema_id]))
        if odd.row(0).count(True):
            return None
        return newest_shape(frame, contract.schema, newest(contract.full_name).schema)

    def _container_header(self, contract: Contract) -> bytes:
        header = self._header.get(contract.schema_id)
        if header is None:
            fields = [*contract.schema["fields"], {"name": _END, "type": "long"}]
            schema = json.dumps(_as_written({**contract.schema, "fields": fields})).encode()
            meta = b"".join(_bytes(part) for part in (b"avro.codec", b"null", b"avro.schema", schema))
            header = self._header[contract.schema_id] = b"Obj\x01" + long(2) + meta + long(0) + _SYNC
        return header


def _as_written(avro: Any) -> Any:
    """A schema without its defaults, which say nothing about the bytes that it wrote: polars takes no schema in which a
    field within a record has one other than null.
    """
    if isinstance(avro, list):
        return [_as_written(one) for one in avro]
    if isinstance(avro, dict):
        return {name: _as_written(one) for name, one in avro.items() if name != "default"}
    return avro


def _odd_times(avro: Any, value: pl.Expr | None = None) -> Iterator[pl.Expr]:
    """For each field of a time in a schema, whether any of its values is outside of what Python has."""
    avro = _not_null(avro)
    if not isinstance(avro, dict):
        return
    if avro.get("logicalType") == "timestamp-micros":
        assert value is not None
        yield value.cast(pl.Int64).is_between(_TIME_MIN, _TIME_MAX).not_().any()
    elif avro["type"] == "record":
        for field in avro["fields"]:
            inner = pl.col(field["name"]) if value is None else value.struct.field(field["name"])
            yield from _odd_times(field["type"], inner)
    elif avro["type"] == "array":
        assert value is not None
        yield from _odd_times(avro["items"], value.explode())


def newest_shape(frame: pl.DataFrame, written: Any, wanted: Any) -> pl.DataFrame:
    """Columns of an older version of a record in the newest version's shape; fields that came later get their
    default.
    """
    if written == wanted:
        return frame
    before = {field["name"]: field["type"] for field in written["fields"]}
    return frame.select(
        _in_shape(pl.col(field["name"]), before[field["name"]], field["type"]).alias(field["name"])
        if field["name"] in before
        else _default(field).alias(field["name"])
        for field in wanted["fields"]
    )


def _in_shape(value: pl.Expr, written: Any, wanted: Any) -> pl.Expr:
    if written == wanted:
        return value
    written, wanted = _not_null(written), _not_null(wanted)
    kind = wanted["type"] if isinstance(wanted, dict) else wanted
    if kind == "record":
        before = {field["name"]: field["type"] for field in written["fields"]}
        fields = [
            _in_shape(value.struct.field(field["name"]), before[field["name"]], field["type"]).alias(field["name"])
            if field["name"] in before
            else _default(field).alias(field["name"])
            for field in wanted["fields"]
        ]
        return pl.when(value.is_not_null()).then(pl.struct(fields))
    if kind == "array":
        return value.list.eval(_in_shape(pl.element(), written["items"], wanted["items"]))
    return value.cast(polars_type(wanted))


def _default(field: Any) -> pl.Expr:
    return pl.lit(field["default"]).cast(polars_type(field["type"]))


def _not_null(avro: Any) -> Any:
    return next(branch for branch in avro if branch != "null") if isinstance(avro, list) else avro


def _data_schema(name: str) -> dict[str, pl.DataType]:
    position = ("topic", "partition", "offset", "seq")
    return {column: dtype for column, dtype in frame_schema(name).items() if column not in position}


def _bytes(value: bytes) -> bytes:
    return long(len(value)) + value
