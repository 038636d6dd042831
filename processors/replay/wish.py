"""What a replay is asked for: as of when, and which projections. Pure.

    moment_of("2026-11-27")                            # the end of that day, UTC
    offsets_of({"ledger.orders/0": 120})               # {("ledger.orders", 0): 120}
    Wish(("order_status",), until=moment).schema       # replay_20261127t235959_999999z
    Wish(("kpi",), until=moment, effective=True).schema    # replay_effective_20261127t235959_999999z

Of two wishes with the same `end` and the same projections, the second goes on with what the first began.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from hashlib import sha256
from typing import Any

from events.catalogue import LEDGER_TOPICS
from processors.following.positions import Partition
from projections.catalogue import PROJECTIONS
from projections.model import Projection
from runtime.errors import Fault

#: The schema with the views of the live tables (`processors.projector.generations`).
LIVE_SCHEMA = "public"

#: The schemas of generations.
_GENERATION = re.compile(r"tables_[0-9]+")

#: The table with the wish: a schema that has it is a replay's.
WISH_TABLE = "replay"

#: A replay without an end has this in its name, and goes on to the end of the log as often as it is called.
LATEST = "latest"

#: In the name and in the wish of a replay of what had occurred.
EFFECTIVE = "effective"

#: PostgreSQL would cut a longer name, and another spelling would need quotes in each query.
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_PLACE = re.compile(r"(?P<topic>[a-z.]+)/(?P<partition>0|[1-9][0-9]{0,8})")

#: PostgreSQL's and Kafka's largest offset.
_OFFSET_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wish:
    """The tables of these projections: as of `until` (what was recorded by then, as known then), as of `offsets` (what
    the tables held there), or, with neither, of the whole log. `effective`: what had occurred by `until`, as known at
    the end of the log.
    """

    projections: tuple[str, ...]
    until: datetime | None = None
    offsets: Mapping[Partition, int] | None = None
    effective: bool = False

    @property
    def end(self) -> str:
        """What the schema is of, in words: always the same for the same facts."""
        return f"{self.as_of} {EFFECTIVE}" if self.effective else self.as_of

    @property
    def folded(self) -> list[Projection]:
        """The projections with their tables and folds."""
        found = [PROJECTIONS[name] for name in self.projections]
        if not self.effective:
            return found
        return [one.effective for one in found if one.effective is not None]

    @property
    def as_of(self) -> str:
        """The moment in words."""
        if self.until is not None:
            return self.until.isoformat().replace("+00:00", "Z")
        if self.offsets is not None:
            return ",".join(f"{topic}/{number}={at}" for (topic, number), at in sorted(self.offsets.items()))
        return LATEST

    @property
    def schema(self) -> str:
        """The name of the schema, if the user gives none: it follows from the end alone."""
        if self.until is not None:
            kind = f"{EFFECTIVE}_" if self.effective else ""
            return f"replay_{kind}" + re.sub(r"[^0-9tz]+", "_", self.as_of.lower().replace("-", "").replace(":", ""))
        if self.offsets is not None:
            return f"replay_offsets_{sha256(self.as_of.encode()).hexdigest()[:8]}"
        return f"replay_{LATEST}"


def chosen(names: Collection[str], *, effective: bool = False) -> tuple[str, ...]:
    """The names of the projections to fold, in the catalogue's order; all (that can be effective) if none is named.
    Raises Fault.
    """
    unknown = sorted(set(names) - PROJECTIONS.keys())
    if unknown:
        raise Fault("there is no such projection", ", ".join(unknown), f"choose from {', '.join(PROJECTIONS)}")
    able = [name for name, one in PROJECTIONS.items() if one.effective is not None or not effective]
    unable = [name for name in PROJECTIONS if name in names and name not in able]
    if unable:
        raise Fault(
            f"there is no effective {' and '.join(unable)}",
            "its rows build on all facts recorded before; without those that occurred later they would mean nothing",
            f"leave --effective out for what was known then; effective are {', '.join(able)}",
        )
    return tuple(name for name in able if name in names or not names)


def moment_of(text: str) -> datetime | None:
    """The time of an ISO 8601 text in UTC; None for any other text. Without an offset it is UTC. A date is its end: as
    of a day includes what was recorded on it.
    """
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return datetime.combine(date.fromisoformat(text), time.max, UTC)
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def offsets_of(document: Any) -> dict[Partition, int]:
    """The next offset of each partition, from the JSON of `verify`, `replay` or `{"ledger.orders/0": 120}`. Raises
    Fault for anything else.
    """
    hint = 'write {"ledger.orders/0": 120}, or take the output of `order-ledger verify --json`'
    found = document.get("offsets", document) if isinstance(document, dict) else None
    if not isinstance(found, dict) or not found:
        raise Fault("the file has no offsets", json.dumps(document)[:80], hint)
    offsets: dict[Partition, int] = {}
    for name, offset in found.items():
        place = _PLACE.fullmatch(name)
        if place is None or place["topic"] not in LEDGER_TOPICS:
            raise Fault("the file names a partition that the ledger does not have", name[:80], hint)
        if type(offset) is not int or not 0 <= offset <= _OFFSET_MAX:
            raise Fault("the file has an offset that is none", f"{name}: {json.dumps(offset)[:40]}", hint)
        offsets[place["topic"], int(place["partition"])] = offset
    return offsets


def check_schema(name: str) -> None:
    """Raise Fault if no replay may have this schema."""
    if name == LIVE_SCHEMA:
        raise Fault(
            f"the schema {LIVE_SCHEMA} has the live tables",
            "a replay fills a schema of its own",
            "choose another name with --into, or leave it out",
        )
    if _GENERATION.fullmatch(name):
        raise Fault(
            f"the schema {name} is the projector's",
            "tables_1, tables_2 and so on are its generations of tables",
            "choose another name with --into, or leave it out",
        )
    if not _SCHEMA.fullmatch(name) or name.startswith("pg_"):
        detail = f"{name[:80]!r}: a name has letters a to z, digits and _, begins with no digit and not with pg_"
        raise Fault("this is no name for a schema", detail, "for example: --into before_christmas")
