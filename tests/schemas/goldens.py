"""Golden bytes: for every version of every contract one complete and one minimal record, as they were first encoded.

    golden/facts/OrderPlaced.v1.json   {"complete": {"record": {…}, "hex": "00…"}, "minimal": {…}}

The files are never rewritten: what stands in a log for ever must be readable for ever. Add those of a new version with

    python tests/schemas/goldens.py
"""

import io
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro

FOLDER = Path(__file__).parent / "golden"
KINDS = ("complete", "minimal")

_FIRST_TIME = datetime(2026, 11, 27, 18, 0, 0, 123456, UTC)


def golden_path(contract: Any) -> Path:
    """File of one version of one contract."""
    folder = "facts" if contract.is_fact else "commands"
    return FOLDER / folder / f"{contract.name}.v{contract.version}.json"


class Maker:
    """Makes one record of a schema. Complete: every option set, two of everything; minimal: nothing to leave out."""

    def __init__(self, complete: bool) -> None:
        self.complete = complete
        self.made = 0

    def value(self, schema: Any, name: str) -> Any:
        if isinstance(schema, list):
            return self.value(next(branch for branch in schema if branch != "null"), name) if self.complete else None
        kind = schema["type"] if isinstance(schema, dict) else schema
        self.made += 1
        match kind:
            case "record":
                return {field["name"]: self.value(field["type"], field["name"]) for field in schema["fields"]}
            case "array":
                return [self.value(schema["items"], name) for _ in range(2)] if self.complete else []
            case "map":
                return {f"{name}-{n}": self.value(schema["values"], name) for n in (1, 2)} if self.complete else {}
            case "string":
                return f"{name} {self.made} é€𝄞" if self.complete else ""
            case "long" if isinstance(schema, dict) and schema.get("logicalType") == "timestamp-micros":
                return (
                    _FIRST_TIME + timedelta(microseconds=self.made)
                    if self.complete
                    else datetime(1970, 1, 1, tzinfo=UTC)
                )
            case "long":
                return (-1) ** self.made * (10**12 + self.made) if self.complete else 0
            case "double":
                return self.made + 0.1 if self.complete else 0.0
            case "boolean":
                return self.complete
        raise ValueError(f"no example for {schema!r}")


def to_json(value: Any) -> Any:
    """A record as JSON: times as RFC 3339."""
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def from_json(schema: Any, value: Any) -> Any:
    """The record that `to_json` gave, by its schema."""
    if isinstance(schema, list):
        return None if value is None else from_json(next(branch for branch in schema if branch != "null"), value)
    kind = schema["type"] if isinstance(schema, dict) else schema
    match kind:
        case "record":
            return {field["name"]: from_json(field["type"], value[field["name"]]) for field in schema["fields"]}
        case "array":
            return [from_json(schema["items"], item) for item in value]
        case "map":
            return {key: from_json(schema["values"], item) for key, item in value.items()}
        case "long" if isinstance(schema, dict) and "logicalType" in schema:
            return datetime.fromisoformat(value)
    return value


def encode(contract: Any, record: Mapping[str, Any]) -> bytes:
    """Frame and body in exactly this version, whatever the newest is."""
    out = io.BytesIO()
    out.write(b"\0" + contract.schema_id.to_bytes(4, "big"))
    fastavro.schemaless_writer(out, fastavro.parse_schema(contract.schema), record)
    return out.getvalue()


def make_golden(contract: Any) -> dict[str, Any]:
    """The file's content for a version that has none yet."""
    made = {}
    for kind in KINDS:
        record = Maker(kind == "complete").value(contract.schema, contract.name)
        made[kind] = {"record": to_json(record), "hex": encode(contract, record).hex()}
    return made


def add_missing() -> list[Path]:
    """Write the files of versions that have none; leaves every other file alone. The paths that were written."""
    from schemas.contracts import contracts

    added = []
    for contract in contracts():
        path = golden_path(contract)
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make_golden(contract), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        added.append(path)
    return added


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    for written in add_missing():
        print(written)
