"""The contracts as files, and their schema ids.

    commands/NAME.vN.avsc    the data of a command, with an example for people
    facts/NAME.vN.avsc       the data of a fact
    envelope.command.avsc    the fields around the data of every command
    envelope.fact.avsc       the fields around the data of every fact
    ids.json                 the fixed id of every version

A contract's schema is the envelope with the file's record as the type of `data`. The fields of a stored schema never
change: a change is a new version file with its own id.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

COMMAND_NAMESPACE = "order_ledger.commands"
FACT_NAMESPACE = "order_ledger.facts"

#: Ids of contracts that were replaced. Nothing reads their records, and no id is used again.
RETIRED_IDS = frozenset((*range(101, 2001), 2056, 3022, 3057, 3084))

_FOLDER = Path(__file__).parent
#: Namespace → folder of the contracts, file of their envelope.
_FILES = {
    COMMAND_NAMESPACE: ("commands", "envelope.command.avsc"),
    FACT_NAMESPACE: ("facts", "envelope.fact.avsc"),
}


class Contract(NamedTuple):
    """One version of one schema. `schema` is the whole schema as parsed JSON, `schema_id` its fixed id."""

    full_name: str
    version: int
    schema_id: int
    schema: dict[str, Any]

    @property
    def name(self) -> str:
        return self.full_name.rpartition(".")[2]

    @property
    def is_fact(self) -> bool:
        return self.full_name.startswith(FACT_NAMESPACE + ".")

    @property
    def text(self) -> str:
        """The whole schema as JSON, for a registry."""
        return json.dumps(self.schema)


@cache
def contracts() -> tuple[Contract, ...]:
    """All versions of all contracts, by name and version."""
    ids: Mapping[str, Mapping[str, int]] = _read("ids.json")
    found = []
    for full_name, versions in sorted(ids.items()):
        namespace, _, name = full_name.rpartition(".")
        folder, envelope = _FILES[namespace]
        for version, schema_id in sorted(versions.items(), key=lambda item: int(item[0])):
            schema = whole(name, _read(envelope), _read(f"{folder}/{name}.v{version}.avsc"))
            found.append(Contract(full_name, int(version), schema_id, schema))
    return tuple(found)


def whole(name: str, envelope: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The envelope as the record `name`, with `data` as the type of its last field. The `example` is left out."""
    *around, last = envelope["fields"]
    return {
        **envelope,
        "name": name,
        "doc": data["doc"],
        "fields": [*around, {**last, "type": {key: value for key, value in data.items() if key != "example"}}],
    }


@cache
def newest(full_name: str) -> Contract:
    """The version that new records of this type use. KeyError if there is no such contract."""
    versions = [contract for contract in contracts() if contract.full_name == full_name]
    if not versions:
        raise KeyError(full_name)
    return versions[-1]


def _read(path: str) -> Any:
    return json.loads((_FOLDER / path).read_text(encoding="utf-8"))
