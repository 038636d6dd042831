"""Avro for one schema as Python code that is generated once: twice as fast as walking the schema for every record.

    decode = decoder(schema, nearest=True)
    record, end = decode(value, 5)               # a dict, read from byte 5 on
    encode = encoder(schema)
    value = encode(struct)                       # fields are attributes

Contracts use a part of Avro: records, arrays, maps, strings, longs, doubles, booleans, times in microseconds, unions
of null and one of these. fastavro reads and writes the same bytes (tests/schemas/test_compiled.py).
"""

import struct
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from keyword import iskeyword
from typing import Any

Decode = Callable[[bytes, int], tuple[dict[str, Any], int]]
Encode = Callable[[Any], bytes]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_DOUBLE = struct.Struct("<d")


def _minimal(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


#: Avro's bytes of the zigzag numbers of 14 bits, two groups of seven bits at most.
_LAST_TWO = [_minimal(number) for number in range(1 << 14)]
#: The bits that say "more follows", for each length in bits: of all groups but the last.
_MORE = [(1 << (bits - 1) // 7 * 8) // 255 << 7 if bits else 0 for bits in range(57)]
_SHIFT_MAX = 63
_ALL_BITS = (1 << 64) - 1
#: Eight groups of seven bits.
_SPREAD_BITS = 56
#: Avro's long of each number from 0 to 8,191: most lengths and quantities.
_SMALL = [_LAST_TWO[number << 1] for number in range(1 << 13)]
_SMALL_MAX = len(_SMALL)


def long(number: int) -> bytes:
    """Avro's long: zigzag, seven bits a byte, the lowest first. Raises OverflowError beyond 64 bits."""
    if 0 <= number < _SMALL_MAX:
        return _SMALL[number]
    left = number << 1 if number >= 0 else ~(number << 1)
    if left < 1 << 14:
        return _LAST_TWO[left]
    if 1 << 21 <= left < 1 << 28:  # numbers of attempts
        return bytes((left & 127 | 128, left >> 7 & 127 | 128, left >> 14 & 127 | 128, left >> 21))
    # Digests and times are long. Groups are moved apart half by half: a table of them would not stay in the caches.
    spread = left & 0xFFFFFFF | (left & 0xFFFFFFF0000000) << 4
    spread = spread & 0x3FFF00003FFF | (spread & 0xFFFC0000FFFC000) << 2
    spread = spread & 0x7F007F007F007F | (spread & 0x3F803F803F803F80) << 1
    bits = left.bit_length()
    if bits <= _SPREAD_BITS:
        return (spread | _MORE[bits]).to_bytes((bits + 6) // 7, "little")
    if bits > _ALL_BITS.bit_length():
        raise OverflowError(f"{number} does not fit into 64 bits")
    return (spread | 0x8080808080808080).to_bytes(8, "little") + _LAST_TWO[left >> _SPREAD_BITS]


def string(text: str) -> bytes:
    """Avro's string: its length in bytes as a long, then the bytes."""
    encoded = text.encode()
    return long(len(encoded)) + encoded


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _more(value: bytes, at: int, number: int) -> tuple[int, int]:
    """The rest of a long that began with the byte `number`: its bits, still zigzag, and the position behind it.

    Nobody writes a long in more bytes than it needs. Of one that has ten, the bits beyond 64 are dropped, and one of
    eleven is an error: polars reads them so, and all readers must accept the same bytes.
    """
    number &= 0x7F
    shift = 7
    while True:
        byte = value[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > _SHIFT_MAX:
            raise OverflowError("a long of more than ten bytes")
    return number & _ALL_BITS, at


def _length(value: bytes, at: int) -> tuple[int, int]:
    """A string's length, still zigzag, where it is not in the one byte at `at`; and the position of its last byte."""
    number, end = _more(value, at + 1, value[at]) if value[at] > 0x7F else (value[at], at + 1)
    if number & 1:
        raise ValueError("a string of negative length")
    return number, end - 1


def _time(number: int) -> datetime:
    return _EPOCH + timedelta(0, 0, number)


def _nearest_time(number: int) -> datetime:
    """The time, or the nearest that Python can represent."""
    try:
        return _EPOCH + timedelta(0, 0, number)
    except OverflowError:
        return _LAST if number > 0 else _FIRST


def decoder(schema: Any, *, nearest: bool = False, wanted: Collection[str] | None = None) -> Decode:
    """Reads a record of this schema into a dict. `nearest`: a time that Python cannot represent is read as the nearest
    one. `wanted`: only these of its fields are given; the others are read all the same, and must be right. The function
    raises all kinds of errors for bytes that are no such record, and does not look whether it read
    beyond the end: the caller must compare the position with the length.
    """
    code = _Code()
    value = code.read(schema, "_nearest_time" if nearest else "_time", wanted)
    return code.function("value, at", f"return {value}, at")  # type: ignore[no-any-return]


def encoder(schema: Any) -> Encode:
    """Writes a record of this schema; fields are attributes, times are aware."""
    code = _Code()
    return code.function("record", f"return {_joined(code.write(schema, 'record'))}")  # type: ignore[no-any-return]


def _joined(parts: Sequence[str]) -> str:
    """The expression for all these bytes in turn."""
    return parts[0] if len(parts) == 1 else f'b"".join(({", ".join((*parts, ""))}))'


class _Code:
    """Lines of a function. Names of fields go into it as literals, so that no name can be code."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._indent = 1
        self._names = 0

    def function(self, arguments: str, last: str) -> Any:
        self._add(last)
        scope: dict[str, Any] = dict(globals())
        exec("\n".join((f"def generated({arguments}):", *self._lines)), scope)  # noqa: S102 - our own contracts
        return scope["generated"]

    def _add(self, *lines: str) -> None:
        self._lines += ["    " * self._indent + line for line in lines]

    def _name(self) -> str:
        self._names += 1
        return f"v{self._names}"

    def _long(self, name: str) -> None:
        self._add(f"{name} = value[at]", "at += 1", f"if {name} > 127: {name}, at = _more(value, at, {name})")

    def read(self, schema: Any, time: str, wanted: Collection[str] | None = None) -> str:
        """Adds what reads a value; the expression that then has it."""
        name = self._name()
        match _kind(schema):
            case "string":
                # One look at the byte: the length is in it, and is not negative.
                self._add(f"{name} = value[at]", f"if {name} & 129: {name}, at = _length(value, at)")
                self._add("at += 1", f"end = at + ({name} >> 1)", f"{name} = value[at:end].decode()", "at = end")
            case "long":
                self._long(name)
                self._add(f"{name} = {name} >> 1 ^ -({name} & 1)")
            case "time":
                self._long(name)
                self._add(f"{name} = {time}({name} >> 1 ^ -({name} & 1))")
            case "double":
                self._add(f"({name},) = _DOUBLE.unpack_from(value, at)", "at += 8")
            case "boolean":
                self._add(f"{name} = value[at] != 0", "at += 1")
            case "null":
                return "None"
            case "union":
                self._long(name)
                null, other = (0, 1) if schema[0] == "null" else (1, 0)
                self._add(f"if {name} == {null << 1}: {name} = None", f"elif {name} == {other << 1}:")
                self._indent += 1
                self._add(f"{name} = {self.read(schema[other], time)}")
                self._indent -= 1
                self._add("else: raise ValueError('a union of two has no such branch')")
            case "array" | "map" as kind:
                self._add(f"{name} = {'[]' if kind == 'array' else '{}'}")
                self._blocks(lambda: self._item(schema, kind, name, time))
            case _:
                fields = [(field["name"], self.read(field["type"], time)) for field in schema["fields"]]
                given = (f"{field!r}: {held}" for field, held in fields if wanted is None or field in wanted)
                return "{" + ", ".join(given) + "}"
        return name

    def _blocks(self, item: Callable[[], None]) -> None:
        """Items come in blocks: a count (below 0: its size in bytes follows) and items, until the count is 0."""
        count = self._name()
        self._add("while True:")
        self._indent += 1
        self._long(count)
        self._add(f"if not {count}: break", f"if {count} & 1:")
        self._indent += 1
        self._long(f"{count}_bytes")
        self._indent -= 1
        self._add(f"for _ in range({count} + 1 >> 1):")
        self._indent += 1
        item()
        self._indent -= 2

    def _item(self, schema: Any, kind: str, name: str, time: str) -> None:
        if kind == "array":
            self._add(f"{name}.append({self.read(schema['items'], time)})")
        else:
            key = self.read("string", time)
            self._add(f"{name}[{key}] = {self.read(schema['values'], time)}")

    def write(self, schema: Any, held: str) -> list[str]:
        """Adds what prepares to write the value of this expression; the expressions for its bytes."""
        name = self._name()
        match _kind(schema):
            case "string":
                length = self._name()
                self._add(f"{name} = {held}.encode()", f"{length} = len({name})")
                return [f"_SMALL[{length}] if {length} < _SMALL_MAX else long({length})", name]
            case "long":
                self._add(f"{name} = {held}")
                return [f"_SMALL[{name}] if 0 <= {name} < _SMALL_MAX else long({name})"]
            case "time":
                return [f"long(micros({held}))"]
            case "double":
                return [f"_DOUBLE.pack({held})"]
            case "boolean":
                return [f"b'\\1' if {held} else b'\\0'"]
            case "null":
                return []
            case "union":
                null, other = (0, 1) if schema[0] == "null" else (1, 0)
                self._add(f"{name} = {held}", f"if {name} is None: {name} = {_SMALL[null]!r}", "else:")
                self._indent += 1
                self._add(f"{name} = {_joined([repr(_SMALL[other]), *self.write(schema[other], name)])}")
                self._indent -= 1
                return [name]
            case "array" | "map" as kind:
                item, parts = self._name(), self._name()
                self._add(f"{name} = {held}", f"if not {name}: {name} = b'\\0'", "else:")
                self._indent += 1
                self._add(f"{parts} = [long(len({name}))]")
                self._add(f"for {item} in {name}:" if kind == "array" else f"for {item}_key, {item} in {name}.items():")
                self._indent += 1
                key = [] if kind == "array" else self.write("string", f"{item}_key")
                written = [*key, *self.write(schema["items" if kind == "array" else "values"], item)]
                self._add(f"{parts} += ({', '.join((*written, ''))})")
                self._indent -= 1
                self._add(f"{parts}.append(b'\\0')", f"{name} = b''.join({parts})")
                self._indent -= 1
                return [name]
            case _:
                self._add(f"{name} = {held}")
                fields = schema["fields"]
                return [part for one in fields for part in self.write(one["type"], f"{name}.{attribute(one['name'])}")]


def attribute(field: str) -> str:
    """The attribute with the value of a field: its name, and `from_` for `from`. Raises ValueError for other names."""
    if not field.isidentifier():
        raise ValueError(f"{field!r} is no name of an attribute")
    return f"{field}_" if iskeyword(field) else field


def _kind(schema: Any) -> str:
    """Of a type in a contract. Raises ValueError for one that no contract has."""
    if isinstance(schema, list):
        if len(schema) == 2 and "null" in schema:
            return "union"
    elif isinstance(schema, dict):
        if schema.get("logicalType") == "timestamp-micros":
            return "time"
        if schema["type"] in ("record", "array", "map"):
            return str(schema["type"])
    elif schema in ("string", "long", "double", "boolean", "null"):
        return str(schema)
    raise ValueError(f"contracts have no type {schema}")
