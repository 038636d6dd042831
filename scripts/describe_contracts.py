"""Writes docs/commands.md: every command and every fact with its fields, from the catalogue and the contracts.

    python scripts/describe_contracts.py            # write it
    python scripts/describe_contracts.py --check    # exit status 1 where the file is not what would be written

What a field means comes from the `.avsc` files; what JSON may hold (limits, the words of a choice, what may be left
out) comes from the classes that a command is checked with.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from events.catalogue import COMMANDS, FACTS, INTAKE_TOPICS, LEDGER_TOPICS, REFUSAL_SCHEMA, CommandType, FactType  # noqa: E402
from events.refusal import CommandRefused  # noqa: E402
from events.values import ID_LENGTH_MAX, NUMBER_MAX, ORDER_VALUE_MAX_MINOR, YEAR_MAX, YEAR_MIN  # noqa: E402
from schemas.contracts import newest  # noqa: E402

TARGET = ROOT / "docs" / "commands.md"

HEAD = f"""# Commands and facts

Generated from `schemas/` and `events/` by `scripts/describe_contracts.py`; a test fails when it is out of date. Do not
edit it by hand.

A field marked *optional* may be left out. `lines[].sku` is the field `sku` of each element of the list `lines`. A time
is RFC 3339 with an offset in JSON, and microseconds since 1970 (UTC) in Avro. Money is a whole number of minor units.

Nothing is without bounds: an id, that of the command too, has at most {ID_LENGTH_MAX} characters and no NUL, a number
is at most {NUMBER_MAX:,}, an order comes to at most {ORDER_VALUE_MAX_MINOR:,} minor units, and a time, wherever
it stands, lies in the years {YEAR_MIN} to {YEAR_MAX} (UTC). What breaks a bound is refused, in JSON and in Avro alike.

A field marked *personal* may say something about a person: a name, an address, a free text. That person is the
customer of the order or case, unless the mark names a field: *personal: `actor`* is about whoever acted. The mark
stands in the contract (`"personal": true`, and the field under `"subject"`). Nothing is encrypted yet.

## Around every command

As JSON, a command is one object with these fields; an unknown field is refused.

| field | | what |
|---|---|---|
| `command` | text | the name of the command, for example `PlaceOrder` |
"""

FACT_HEAD = """
## Around every fact

| field | | what |
|---|---|---|
"""

PLACE = {"intake.orders": "Orders", "intake.stock": "Stock", "intake.service": "Service"}


_SIMPLE = {str: "text", int: "whole number", float: "number", bool: "true or false", datetime: "time"}


class Row(NamedTuple):
    """A field as the tables show it."""

    path: str
    kind: str
    optional: bool
    doc: str


def render() -> str:
    """The whole document."""
    place_order = newest(COMMANDS["PlaceOrder"].schema).schema
    parts = [HEAD]
    for field in place_order["fields"]:
        optional = "default" in field
        words = _avro_words(field["type"]) + _personal(field)
        doc = "See the command." if field["name"] == "data" else field["doc"]
        parts.append(f"| `{field['name']}` | {words}{', optional' if optional else ''} | {doc} |\n")
    for topic in INTAKE_TOPICS:
        outside = [row for row in COMMANDS.values() if row.topic == topic and not row.internal]
        parts.append(f"\n## Commands: {PLACE[topic].lower()} (`{topic}`)\n")
        parts += [_section(row) for row in outside]
    parts.append(
        "\n## Commands of the ledger's own reactions\n\n"
        "Nobody else may send these; from outside they are refused. They stand in the intake topics like all others.\n"
    )
    parts += [_section(row) for row in COMMANDS.values() if row.internal]
    parts.append(FACT_HEAD)
    envelope = newest(FACTS["OrderPlaced"].schema).schema["fields"][:-1]
    parts += [
        f"| `{field['name']}` | {_avro_words(field['type'])}{_personal(field)} | {field['doc']} |\n"
        for field in envelope
    ]
    for topic in LEDGER_TOPICS:
        parts.append(f"\n## Facts in `{topic}`\n")
        parts += [_section(row) for row in FACTS.values() if row.topic == topic]
    parts.append("\n## The fact in all three topics\n")
    parts.append(_section(FactType(CommandRefused, "the command's", "the topic of the command's answer", "stream_id")))
    return "".join(parts)


def _section(row: CommandType | FactType) -> str:
    contract = newest(REFUSAL_SCHEMA if row.data is CommandRefused else row.schema)
    data = contract.schema["fields"][-1]["type"]
    key = f"key `{row.key}`, " if row.data is not CommandRefused else ""
    about = f"{key}schema id {contract.schema_id}, version {contract.version}"
    head = f"\n### {row.name}\n\n{contract.schema['doc']} ({about})\n\n| field | | what |\n|---|---|---|\n"
    rows = (
        f"| `{field.path}` | {field.kind}{', optional' if field.optional else ''} | {field.doc} |\n"
        for field in _rows(row.data, data)
    )
    return head + "".join(rows)


def _rows(kind: type[Any], record: dict[str, Any], before: str = "") -> Iterator[Row]:
    docs = {field["name"]: field for field in record["fields"]}
    for field in msgspec.structs.fields(kind):
        described = docs[field.encode_name]
        words, inner, many = _words(field.type)
        path = before + field.encode_name + ("[]" if many else "")
        yield Row(path, words + _personal(described), not field.required, described["doc"].replace("|", "\\|"))
        nested = _nested_record(described["type"])
        if inner is not None and nested is not None:
            yield from _rows(inner, nested, path + ".")


def _words(kind: Any) -> tuple[str, type[Any] | None, bool]:
    """How a type is said, the record in it, and whether it is a list."""
    if get_origin(kind) is Annotated:
        base, *notes = get_args(kind)
        words, inner, many = _words(base)
        for note in notes:
            if isinstance(note, msgspec.Meta):
                words += _limits(note)
        return words, inner, many
    if get_origin(kind) in (Union, types.UnionType):
        (branch,) = [one for one in get_args(kind) if one is not type(None)]
        return _words(branch)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f"`{word}`" for word in get_args(kind)), None, False
    if get_origin(kind) is tuple:
        words, inner, _ = _words(get_args(kind)[0])
        return f"list of {'records' if inner else words}", inner, True
    if get_origin(kind) is dict:
        return f"object of {_words(get_args(kind)[1])[0]} by name", None, False
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "record", kind, False
    return _SIMPLE[kind], None, False


def _limits(note: msgspec.Meta) -> str:
    if note.pattern:
        return f" ({note.pattern.strip('^$')})"
    if note.ge is not None and note.ge > -(10**6):
        return f" ≥ {note.ge}"
    if note.max_length:
        return f" (at most {note.max_length:,} characters)"
    return ""


def _personal(field: dict[str, Any]) -> str:
    """The mark of a field that may say something about a person; of whom, where that is not the customer."""
    if not field.get("personal"):
        return ""
    return f", *personal: `{field['subject']}`*" if "subject" in field else ", *personal*"


def _nested_record(avro: Any) -> dict[str, Any] | None:
    if isinstance(avro, list):
        return next((found for found in map(_nested_record, avro) if found), None)
    if isinstance(avro, dict):
        if avro["type"] == "record":
            return avro
        if avro["type"] == "array":
            return _nested_record(avro["items"])
    return None


def _avro_words(avro: Any) -> str:
    if isinstance(avro, list):
        return _avro_words(next(one for one in avro if one != "null"))
    if isinstance(avro, dict):
        if avro.get("logicalType") == "timestamp-micros":
            return "time"
        return "record"
    return {"string": "text", "long": "whole number", "double": "number", "boolean": "true or false"}[avro]


def main() -> int:
    """Write or check; the exit status."""
    text = render()
    if sys.argv[1:] == ["--check"]:
        if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
            return 0
        print("docs/commands.md is out of date\n  hint: python scripts/describe_contracts.py", file=sys.stderr)
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
