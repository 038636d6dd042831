"""Commands made from their types alone: what any of them may hold, the ends of each bound before all else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from msgspec import inspect

from events.catalogue import CommandType
from events.values import TIME_MAX, TIME_MIN

#: Few names, so that commands meet in one stream.
NAMES = st.sampled_from(["1", "2", "WH1", "2026-12-24", "x" * 200, "\N{SNOWMAN}"])
#: In the middle and at both ends, also as another offset tells them.
TIMES = st.sampled_from(
    [
        datetime(2026, 11, 27, 18, tzinfo=UTC),
        TIME_MIN,
        TIME_MAX,
        TIME_MAX.astimezone(timezone(timedelta(hours=14))),
        TIME_MIN.astimezone(timezone(timedelta(hours=-14))),
    ]
)
#: Times that no command may say, in JSON: the last moments before and the first ones after, and those that cannot even
#: be brought to UTC.
TIMES_OUTSIDE = (
    "1899-12-31T23:59:59.999999Z",
    "1900-01-01T00:00:00+00:01",
    "9001-01-01T00:00:00Z",
    "9000-12-31T23:00:00-02:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
)


def data_of(kind: CommandType) -> st.SearchStrategy[dict[str, Any]]:
    """Data of a command as JSON or Avro hold it: everything in it is within its bounds."""
    return values(inspect.type_info(kind.data))


def values(place: inspect.Type) -> st.SearchStrategy[Any]:
    """Values of a type, as builtins."""
    match place:
        case inspect.StructType(fields=fields):
            needed = {field.encode_name: values(field.type) for field in fields if field.required}
            rest = {field.encode_name: values(field.type) for field in fields if not field.required}
            return st.fixed_dictionaries(needed, optional=rest)
        case inspect.UnionType(types=types):
            return st.one_of(*map(values, types))
        case inspect.VarTupleType(item_type=inner):
            return st.lists(values(inner), max_size=3)
        case inspect.DictType(key_type=names, value_type=inner):
            return st.dictionaries(values(names), values(inner), max_size=3)
        case inspect.IntType(ge=least, le=most) | inspect.FloatType(ge=least, le=most):
            return st.sampled_from(sorted({least, most, max(1, least)}))
        case inspect.StrType(pattern="^[A-Z]{2}$"):
            return st.sampled_from(["DE", "US", "XX"])
        case inspect.StrType(pattern="^[A-Z]{3}$"):
            return st.just("EUR")
        case inspect.StrType(max_length=most):
            return NAMES if most == 200 else NAMES | st.just("") if most == 4000 else NAMES
        case inspect.LiteralType(values=words):
            return st.sampled_from(list(words))
        case inspect.DateTimeType():
            return TIMES
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
    raise AssertionError(f"no values of {place}")


def paths_to_times(place: inspect.Type, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths of all times in a type; 0 is an element of a list."""
    match place:
        case inspect.DateTimeType():
            return [path]
        case inspect.UnionType(types=types):
            return [found for one in types for found in paths_to_times(one, path)]
        case inspect.StructType(fields=fields):
            return [found for field in fields for found in paths_to_times(field.type, (*path, field.encode_name))]
        case inspect.VarTupleType(item_type=inner):
            return paths_to_times(inner, (*path, 0))
    return []
