"""How far the tables are, and whether they and the log still belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from events.catalogue import LEDGER_TOPICS
from processors.checks import Check, minute, rows_of
from processors.projector.generations import schema_of
from runtime.kafka import end_offsets, topic_ids
from runtime.services import Services
from runtime.settings import Settings

_KEPT = "SELECT number, state, made_at FROM generations WHERE state <> 'live' ORDER BY number"

_PROJECTED = "SELECT topic, partition, next_offset, topic_id FROM projector_positions WHERE follower = 'projector'"


def projector_checks(services: Services, _settings: Settings) -> Iterator[Check]:
    """One check of the positions, or one for each thing that is wrong with them."""
    rows = rows_of(services, _PROJECTED)
    if not rows:
        yield Check("projector", "warn", "Nothing was projected yet", "", "`order-ledger run --only projector`")
        return
    full_names = [services.topic(name) for name in LEDGER_TOPICS]
    ends, ids = end_offsets(services, full_names), topic_ids(services, full_names)
    other = sorted({row["topic"] for row in rows if ids.get(services.topic(row["topic"])) != row["topic_id"]})
    if other:
        hint = "restore the old topic, or begin with an empty database and another topic prefix"
        yield Check("projector", "fail", "Topics were recreated since they were projected", ", ".join(other), hint)
    at = {(services.topic(row["topic"]), row["partition"]): row["next_offset"] for row in rows}
    behind = sum(max(0, end - at.get(partition, 0)) for partition, end in ends.items())
    ahead = sorted(
        f"{topic}/{number}" for (topic, number), offset in at.items() if offset > ends.get((topic, number), 0)
    )
    if ahead and not other:
        hint = "the broker lost records: restore the topic before anything writes to it"
        yield Check("projector", "fail", "The tables have facts that the log does not have", ", ".join(ahead), hint)
    yield from _beside(services, ends)
    if not other and not ahead:
        yield Check("projector", "ok", f"The tables are {behind:,} facts behind the log")


def _beside(services: Services, ends: Mapping[tuple[str, int], int]) -> Iterator[Check]:
    """Tables beside the live ones: they need disk, and the projector's time."""
    for row in rows_of(services, _KEPT):
        schema = schema_of(row["number"])
        since = f"since {minute(row['made_at'])}"
        if row["state"] == "filling":
            hint = "`order-ledger replay --swap` goes on with them"
            yield Check("projector", "warn", f"A switch to the tables {schema} is not finished", since, hint)
            continue
        done = rows_of(services, f'SELECT sum(next_offset)::bigint AS done FROM "{schema}".follower_positions')
        behind = max(0, sum(ends.values()) - (done[0]["done"] or 0 if done else 0))
        hint = "`order-ledger replay --back` returns to them; `--drop-standby` drops them"
        yield Check("projector", "ok", f"The tables {schema} stand by, {behind:,} facts behind the log", since, hint)
