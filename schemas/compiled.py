"""A reader and a writer made for one Avro schema: straight-line Python, up to twice as fast as code that asks for each
type.

    read = compiled(contract.schema, ["version"])      # walks to the end, gives these fields only
    read = compiled(contract.schema)                   # ... gives the whole record
    record, end = read(value, start)
    write = compiled_writer(contract.schema)
    body = write(record)

A reader may raise anything for bytes that are no such record, and for bytes that nobody writes although Avro allows
them (a long in more bytes than it needs). Callers then ask the general decoder, which knows the reason. What a reader
does accept is exactly what the general decoder reads.

A writer writes the bytes that the general encoder writes. It is for records that come from our own structs: it raises
something for most values of a wrong type, but does not look for all of them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any

Reader = Callable[[bytes, int], tuple[dict[str, Any], int]]
Writer = Callable[[Mapping[str, Any]], bytes]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: The times that Python has, in microseconds from 1970.
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_TIME_MIN, _TIME_MAX = ((end - _EPOCH) // _MICROSECOND for end in (_FIRST, _LAST))


def compiled(schema: Any, wanted: Collection[str] | None = None) -> Reader:
    """The reader of a record; `wanted` names the fields at its top that are given (None: all)."""
    lines = [*_lines(schema, "r", _Names(), wanted), "return r, i"]
    scope: dict[str, Any] = {
        "long": _long, "double": _DOUBLE.unpack_from, "epoch": _EPOCH, "delta": timedelta,
        "first": _TIME_MIN, "last": _TIME_MAX,
    }  # fmt: skip
    text = "def read(b, i):\n" + "\n".join("    " + line for line in lines)
    exec(text, scope)  # noqa: S102  # made from our own contracts alone, as dataclasses make their methods
    reader: Reader = scope["read"]
    return reader


_DOUBLE = Struct("<d")


def _long(b: bytes, i: int) -> tuple[int, int]:
    """A long of more than one byte, and where it ends."""
    n, shift = b[i] & 0x7F, 7
    i += 1
    byte = b[i]
    while byte > 0x7F:
        n |= (byte & 0x7F) << shift
        shift += 7
        i += 1
        byte = b[i]
    n |= byte << shift
    if n >> 64 or not byte:
        raise ValueError("a long of too many bytes")
    return (n >> 1) ^ -(n & 1), i + 1


class _Names:
    """Names of variables that are used once."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        return f"v{self._count}"


def _lines(avro: Any, into: str | None, names: _Names, wanted: Collection[str] | None = None) -> Iterator[str]:
    """Code that reads a value at `i` into a variable (None: only checks it)."""
    if isinstance(avro, list):
        yield from _union(avro, into, names)
        return
    kind = avro if isinstance(avro, str) else avro.get("logicalType", avro["type"])
    match kind:
        case "null":
            if into:
                yield f"{into} = None"
        case "string":
            yield from _number("n", wanted=True)
            yield "if n < 0: raise ValueError"
            yield "j = i + n"
            yield f"{into} = b[i:j].decode()" if into else "b[i:j].decode()"
            yield "i = j"
        case "long":
            yield from _number(into or "n", wanted=into is not None)
        case "timestamp-micros":
            yield from _number("n", wanted=True)
            if into:
                yield f"{into} = epoch + delta(microseconds=n)"
            else:
                yield "if not first <= n <= last: raise ValueError"
        case "boolean":
            yield "n = b[i]"
            yield "if n > 1: raise ValueError"
            if into:
                yield f"{into} = n == 1"
            yield "i += 1"
        case "double":
            yield f"{into or 'n'}, = double(b, i)"
            yield "i += 8"
        case "record":
            fields = {}
            for field in avro["fields"]:
                given = into is not None and (wanted is None or field["name"] in wanted)
                inner = names() if given else None
                yield from _lines(field["type"], inner, names)
                if given:
                    fields[field["name"]] = inner
            if into:
                yield f"{into} = {{{', '.join(f'{name!r}: {inner}' for name, inner in fields.items())}}}"
        case "array" | "map":
            yield from _blocks(avro, into, names)
        case _:
            raise TypeError(f"no contract has a {kind}")


def _number(into: str, *, wanted: bool) -> Iterator[str]:
    yield f"{into} = b[i]"
    yield f"if {into} > 127: {into}, i = long(b, i)"
    if wanted:
        yield "else:"
        yield f"    {into} = ({into} >> 1) ^ -({into} & 1)"
        yield "    i += 1"
    else:
        yield "else: i += 1"


def _union(branches: list[Any], into: str | None, names: _Names) -> Iterator[str]:
    yield "n = b[i]"
    yield "i += 1"
    for number, branch in enumerate(branches):
        yield f"{'elif' if number else 'if'} n == {2 * number}:"
        yield "    pass"
        yield from (f"    {line}" for line in _lines(branch, into, names))
    yield "else: raise ValueError"


def _blocks(avro: Any, into: str | None, names: _Names) -> Iterator[str]:
    count, item, key = names(), names() if into else None, names()
    if into:
        yield f"{into} = {'[]' if avro['type'] == 'array' else '{}'}"
    yield "while True:"
    yield from (f"    {line}" for line in _number(count, wanted=True))
    yield f"    if {count} < 0: raise ValueError"
    yield f"    if not {count}: break"
    yield f"    for {names()} in range({count}):"
    if avro["type"] == "array":
        yield from (f"        {line}" for line in _lines(avro["items"], item, names))
        if into:
            yield f"        {into}.append({item})"
    else:
        yield from (f"        {line}" for line in _lines("string", key if into else None, names))
        yield from (f"        {line}" for line in _lines(avro["values"], item, names))
        if into:
            yield f"        {into}[{key}] = {item}"


def compiled_writer(schema: Any) -> Writer:
    """The writer of a record."""
    lines = ["out = bytearray()", *_writing(schema, "r", _Names()), "return bytes(out)"]
    scope: dict[str, Any] = {
        "short": _SHORT, "varint": varint, "double": _DOUBLE.pack, "epoch": _EPOCH, "microsecond": _MICROSECOND,
    }  # fmt: skip
    exec("def write(r):\n" + "\n".join("    " + line for line in lines), scope)  # noqa: S102  # as in `compiled`
    writer: Writer = scope["write"]
    return writer


def varint(number: int) -> bytes:
    """A long as Avro writes it: zigzag, seven bits a byte, the lowest first."""
    number = number << 1 ^ number >> 63
    if number >> 64 or number < 0:
        raise ValueError("a long has 64 bits")
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


#: The longs that take one byte: most lengths and quantities.
_SHORT = {number: varint(number) for number in range(-64, 64)}


def _writing(avro: Any, value: str, names: _Names) -> Iterator[str]:
    """Code that writes the value of an expression."""
    if isinstance(avro, list):
        yield from _write_union(avro, value, names)
        return
    kind = avro if isinstance(avro, str) else avro.get("logicalType", avro["type"])
    match kind:
        case "null":
            return
        case "string":
            yield f"t = {value}.encode()"
            yield from _write_number("len(t)")
            yield "out += t"
        case "long":
            yield from _write_number(value)
        case "timestamp-micros":
            yield from _write_number(f"({value} - epoch) // microsecond")
        case "boolean":
            yield f"out.append(1 if {value} else 0)"
        case "double":
            yield f"out += double({value})"
        case "record":
            for field in avro["fields"]:
                inner = names()
                name = repr(field["name"])
                take = f".get({name}, {field['default']!r})" if "default" in field else f"[{name}]"
                yield f"{inner} = {value}{take}"
                yield from _writing(field["type"], inner, names)
        case "array" | "map":
            item = names()
            yield f"if {value}:"
            yield from (f"    {line}" for line in _write_number(f"len({value})"))
            yield f"    for {item} in {value}:"
            if avro["type"] == "map":
                yield from (f"        {line}" for line in _writing("string", item, names))
                yield from (f"        {line}" for line in _writing(avro["values"], f"{value}[{item}]", names))
            else:
                yield from (f"        {line}" for line in _writing(avro["items"], item, names))
            yield "out.append(0)"
        case _:
            raise TypeError(f"no contract has a {kind}")


def _write_number(value: str) -> Iterator[str]:
    yield f"n = {value}"
    yield "out += short.get(n) or varint(n)"


def _write_union(branches: list[Any], value: str, names: _Names) -> Iterator[str]:
    if len(branches) != 2 or "null" not in branches:
        raise TypeError("every union of the contracts is of null and one type")
    null = branches.index("null")
    yield f"if {value} is None: out.append({2 * null})"
    yield "else:"
    yield f"    out.append({2 * (1 - null)})"
    yield from (f"    {line}" for line in _writing(branches[1 - null], value, names))
