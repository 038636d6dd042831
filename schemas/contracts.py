"""The contracts as files: `commands/NAME.vN.avsc` and `facts/NAME.vN.avsc`, and the ids they are sent under.

A stored schema is never edited: a change is a new version file with an id of its own in `ids.json`.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

COMMAND_NAMESPACE = "order_ledger.commands"
FACT_NAMESPACE = "order_ledger.facts"

_FOLDER = Path(__file__).parent
_FOLDER_OF_NAMESPACE = {COMMAND_NAMESPACE: "commands", FACT_NAMESPACE: "facts"}


class Contract(NamedTuple):
    """One version of one schema. `schema` is the parsed JSON of the file; `schema_id` its fixed id."""

    full_name: str
    version: int
    schema_id: int
    schema: dict[str, Any]
    text: str

    @property
    def name(self) -> str:
        return self.full_name.rpartition(".")[2]

    @property
    def is_fact(self) -> bool:
        return self.full_name.startswith(FACT_NAMESPACE + ".")


@cache
def contracts() -> tuple[Contract, ...]:
    """All versions of all contracts, by name and version."""
    ids: Mapping[str, Mapping[str, int]] = json.loads((_FOLDER / "ids.json").read_text(encoding="utf-8"))
    found = []
    for full_name, versions in sorted(ids.items()):
        namespace, _, name = full_name.rpartition(".")
        for version, schema_id in sorted(versions.items(), key=lambda item: int(item[0])):
            path = _FOLDER / _FOLDER_OF_NAMESPACE[namespace] / f"{name}.v{version}.avsc"
            text = path.read_text(encoding="utf-8")
            found.append(Contract(full_name, int(version), schema_id, json.loads(text), text))
    return tuple(found)


@cache
def newest(full_name: str) -> Contract:
    """The version that new records of this type are written in. KeyError where there is no such contract."""
    versions = [contract for contract in contracts() if contract.full_name == full_name]
    if not versions:
        raise KeyError(full_name)
    return versions[-1]
