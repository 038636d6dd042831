"""Health checks: each is a line with a verdict, a detail and a hint.

    for check in examine(settings): print(check.verdict, check.what)

`ok`, `warn` (works, but a person should look) or `fail` (does not work, or soon will not). `examine` changes and starts
nothing; `acknowledge` notes which warnings a person has seen.
"""

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined] # exported, yet not in its __all__

from events.catalogue import LEDGER_TOPICS
from gateway.operating.dead_letters import read_letters
from gateway.operating.workers import UNKNOWN, WORKERS, Crew, look, start_command, wanted
from processors.checks import Check, Verdict, minute, rows_of
from processors.old_log import refuse_old_log
from processors.slow_paths import EXPECTED
from processors.subjects import codec_for
from processors.topics import topic_specs
from processors.worker import resolve
from projections.deferred_tracking.reader import read_deferred_totals
from projections.inventory.reader import read_unregistered
from projections.locations.reader import read_locations
from runtime.compiled import uncompiled
from runtime.errors import Fault
from runtime.kafka import ADMIN_TIMEOUT_SECONDS, admin, end_offsets, start_offsets, timestamps
from runtime.postgres import connect
from runtime.services import Services, find_services, status
from runtime.settings import Settings

PYTHON_MIN = (3, 11)
#: With less free, the embedded Kafka may stop within minutes of a surge.
DISK_FAIL_BYTES = 1_000_000_000
#: With less free, a person still has time to free some.
DISK_WARN_BYTES = 5_000_000_000
#: A warning ends if its event does not happen again for this long. Shorter forgets a sender that comes once a week;
#: longer keeps warning about a sender that was corrected.
WARN_DAYS = 7
#: Topic settings that must not change; the others only cost or save disk.
_FIXED_CONFIG = ("cleanup.policy", "retention.ms", "retention.bytes", "message.timestamp.type")


def healthy(checks: list[Check]) -> bool:
    """Whether nothing failed; warnings do not count."""
    return all(check.verdict != "fail" for check in checks)


def examine(settings: Settings) -> list[Check]:
    """All findings. Checks on which others depend come first."""
    checks = [*_python(), *_dependencies(), *_compiled(), *_disk(settings), *_reachable(settings)]
    services = running_services(settings)
    up = {check.name for check in checks if check.verdict == "ok"}
    if services is None or "kafka" not in up:
        return checks
    # A check that raises must not hide the others.
    for name, question in _OF_KAFKA.items():
        checks += _guarded(name, lambda ask=question: ask(services, settings))  # type: ignore[misc]
    if "postgres" in up:
        found: list[Check] = []
        for name, question in {**_of_workers(settings), **_OF_POSTGRES}.items():
            found += _guarded(name, lambda ask=question: ask(services, settings))  # type: ignore[misc]
        checks += _guarded("acknowledged", lambda: _of_the_past(found, services))
    return checks


def acknowledge(settings: Settings, checks: list[Check], why: str) -> list[Check]:
    """Note that a person has seen the warnings about past events; they come back when more happen.

    Returns the noted warnings. Raises Fault if PostgreSQL is not there to store the note.
    """
    seen = [check for check in checks if check.verdict == "warn" and check.subject]
    if seen:
        with connect(find_services(settings), "doctor") as connection, connection.cursor() as cursor:
            cursor.execute(_ACKNOWLEDGED_TABLE)
            cursor.executemany(
                "INSERT INTO doctor_acknowledged VALUES (%s, %s, now(), %s) ON CONFLICT (subject)"
                " DO UPDATE SET state = excluded.state, acknowledged_at = excluded.acknowledged_at, why = excluded.why",
                [(check.subject, check.state, why) for check in seen],
            )
    return seen


_ACKNOWLEDGED_TABLE = """
CREATE TABLE IF NOT EXISTS doctor_acknowledged (
    subject text PRIMARY KEY,           -- what the warning is about
    state text NOT NULL,                -- its count; when this changes, the warning comes back
    acknowledged_at timestamptz NOT NULL,
    why text NOT NULL)
"""


def _of_the_past(checks: list[Check], services: Services) -> Iterator[Check]:
    """The checks. An acknowledged warning whose state has not changed becomes `ok`, with the note."""
    noted = {
        (row["subject"], row["state"]): row
        for row in rows_of(services, "SELECT subject, state, acknowledged_at, why FROM doctor_acknowledged")
    }
    for check in checks:
        note = noted.get((check.subject, check.state)) if check.verdict == "warn" else None
        if note is None:
            yield check
            continue
        said = f"acknowledged at {minute(note['acknowledged_at'])}" + (f": {note['why']}" if note["why"] else "")
        yield replace(check, verdict="ok", detail=f"{check.detail}; {said}", hint="")


def _lately(at: datetime | None) -> bool:
    """Whether it is less than WARN_DAYS ago. An unknown time counts as recent."""
    return at is None or datetime.now(UTC) - at < timedelta(days=WARN_DAYS)


def running_services(settings: Settings) -> Services | None:
    """Addresses of the configured or embedded services; None if one of the two is missing. Starts nothing."""
    try:
        return find_services(settings)
    except Fault:  # the check `_reachable` says which one
        return None


def _guarded(name: str, look: Callable[[], Iterator[Check]]) -> list[Check]:
    try:
        return list(look())
    except (Fault, psycopg.Error, *UNKNOWN) as error:
        detail = str(error).strip() or type(error).__name__
        return [Check(name, "fail", f"{name} could not be checked", detail, "see the checks above; then try again")]


def _python() -> Iterator[Check]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < PYTHON_MIN:
        wanted = ".".join(str(part) for part in PYTHON_MIN)
        yield Check(
            "python", "fail", f"Python {version} is too old", f"{wanted} or newer is needed", "`make setup` with it"
        )
    else:
        yield Check("python", "ok", f"Python {version}")


def _dependencies() -> Iterator[Check]:
    try:
        required = metadata.requires("order-ledger") or []
    except metadata.PackageNotFoundError:
        yield Check(
            "dependencies",
            "warn",
            "order-ledger is not installed in this environment",
            f"it runs from {Path(__file__).parents[2]}",
            "`make setup` installs it with everything it needs",
        )
        return
    missing = sorted(name for name in map(_name_of, required) if name and not _installed(name))
    if missing:
        yield Check("dependencies", "fail", "Packages are missing", ", ".join(missing), "`make setup` installs them")
    # `events` is a common name: another distribution with such a module would be imported instead of ours.
    owners = set(metadata.packages_distributions().get("events", ["order-ledger"])) - {"order-ledger"}
    if owners:
        hint = "install order-ledger into its own environment"
        yield Check("dependencies", "fail", "Another package has a module `events`", ", ".join(sorted(owners)), hint)
    if not missing and not owners:
        yield Check("dependencies", "ok", f"order-ledger {metadata.version('order-ledger')} with all dependencies")


def _compiled() -> Iterator[Check]:
    found = uncompiled()
    if found:
        detail = f"{', '.join(found)}: the results are right, but each record takes ten times as long, or more"
        hint = "`make setup` with a Python that their wheels support, or install a C compiler first"
        yield Check("compiled", "warn", "Libraries run without their compiled part", detail, hint)
    else:
        yield Check("compiled", "ok", "Libraries run with their compiled parts")


def _name_of(requirement: str) -> str:
    """The distribution in a requirement; empty for an optional one."""
    if "extra ==" in requirement:
        return ""
    name = requirement.partition(";")[0]
    for mark in "[<>=!~( ":
        name = name.partition(mark)[0]
    return name


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _disk(settings: Settings) -> Iterator[Check]:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    verdict: Verdict = "fail" if free < DISK_FAIL_BYTES else "warn" if free < DISK_WARN_BYTES else "ok"
    hint = "" if verdict == "ok" else "free some: Kafka and PostgreSQL stop when the disk is full"
    yield Check("disk", verdict, f"{free / 1e9:,.1f} GB free for {settings.home}", "", hint)


def _reachable(settings: Settings) -> Iterator[Check]:
    for service in status(settings):
        where = f"{service.origin}, {service.address or 'not started'}"
        if service.up:
            process = f", process {service.pid}" if service.pid else ""
            yield Check(
                service.name, "ok", f"{service.name} answers ({where}{process})", _version(service.name, settings)
            )
        elif service.address is None:
            detail = f"{where}; {service.problem}" if service.problem else where
            yield Check(service.name, "fail", f"{service.name} does not run", detail, "`order-ledger up` starts it")
        else:
            hint = f"see {service.log}" if service.log else f"check ORDER_LEDGER_{service.name.upper()} and the network"
            yield Check(service.name, "fail", f"{service.name} does not answer ({where})", service.problem or "", hint)


def _version(name: str, settings: Settings) -> str:
    services = running_services(settings)
    if services is None or name != "postgres":
        return ""
    with connect(services, "doctor", autocommit=True) as connection:
        return f"version {connection.execute('SHOW server_version').fetchone()[0]}"  # type: ignore[index]


def _log(services: Services, _settings: Settings) -> Iterator[Check]:
    if (
        not {services.topic(name) for name in LEDGER_TOPICS}
        <= admin(services).list_topics(timeout=ADMIN_TIMEOUT_SECONDS).topics.keys()
    ):
        return  # `topics` says so
    try:
        refuse_old_log(services, codec_for(services.schema_registry, services.topic_prefix))
    except Fault as fault:
        yield Check("log", "fail", fault.what, fault.detail, fault.hint)


def _topics(services: Services, settings: Settings) -> Iterator[Check]:
    client = admin(services)
    existing = client.list_topics(timeout=ADMIN_TIMEOUT_SECONDS).topics
    specs = {spec.name: spec for spec in topic_specs(services, settings)}
    missing = sorted(specs.keys() - existing.keys())
    if missing:
        yield Check("topics", "fail", "Topics are missing", ", ".join(missing), "`order-ledger run` creates them")
    present = specs.keys() & existing.keys()
    wrong = [
        f"{name} has {len(existing[name].partitions)}, {specs[name].partitions} are configured"
        for name in sorted(present)
        if len(existing[name].partitions) != specs[name].partitions
    ]
    if wrong:
        hint = "set ORDER_LEDGER_PARTITIONS to the number of the topics: a key's partition must never move"
        yield Check("topics", "fail", "Topics have another number of partitions", "; ".join(wrong), hint)
    changed = list(_changed_configs(client, {name: specs[name].config for name in sorted(present)}))
    if changed:
        hint = "restore them: ledger topics are kept for ever and not compacted, intake has the broker's timestamps"
        yield Check("topics", "fail", "Topics have wrong settings", "; ".join(changed), hint)
    if not missing and not wrong and not changed:
        yield Check("topics", "ok", f"{len(specs)} topics of {settings.partitions} partitions, with their settings")


def _changed_configs(client: Any, wanted: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    if not wanted:
        return
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in wanted]
    answers = client.describe_configs(resources, request_timeout=ADMIN_TIMEOUT_SECONDS)
    for resource, answer in answers.items():
        found = answer.result()
        for key in _FIXED_CONFIG:
            value = wanted[resource.name].get(key)
            if value is not None and found[key].value != value:
                yield f"{resource.name}: {key} is {found[key].value}, not {value}"


def _workers(services: Services, settings: Settings) -> Iterator[Check]:
    client = admin(services)
    for crew in look(services, settings, client):
        name, members = crew.name, crew.processes
        if not WORKERS[name].reads:
            yield _api(crew)
            continue
        full_name = services.group(name)
        topics = [services.topic(topic) for topic in WORKERS[name].reads]
        answer = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(full_name)])[full_name].result()
        at = {(tp.topic, tp.partition): tp.offset for tp in answer.topic_partitions or ()}
        first = start_offsets(services, topics)
        ends = end_offsets(services, topics)
        # Without a committed offset, the whole partition is still to be read.
        behind = sum(max(0, end - max(first[one], at.get(one, 0))) for one, end in ends.items())
        what = f"{name}: {members} {'process' if members == 1 else 'processes'}"
        detail = f"{behind:,} records behind by its committed offsets"
        if members:
            yield Check("workers", "ok", what, detail)
        else:
            yield Check("workers", "fail", f"No worker runs: {name}", detail, f"`{start_command([name])}` starts one")


def _api(crew: Crew) -> Check:
    """Always ok, because a ledger works without an API. The check shows where it listens."""
    if not crew.processes:
        return Check("api", "ok", "No API runs on this machine", "", f"`{start_command([crew.name])}` starts one")
    return Check("api", "ok", f"The API listens on {', '.join(one.address for one in crew.running)}")


def _skipped(services: Services, _settings: Settings) -> Iterator[Check]:
    rows = rows_of(
        services,
        "SELECT reader, reason, sum(count)::bigint AS count,"
        " array_agg(topic ORDER BY topic, partition) AS topics, array_agg(partition ORDER BY topic, partition)"
        " AS partitions, array_agg(last_offset ORDER BY topic, partition) AS offsets"
        " FROM skipped_facts GROUP BY reader, reason ORDER BY reader, reason",
    )
    if not rows:
        yield Check("skipped", "ok", "No reader skipped any fact")
    for row in rows:
        what = f"{row['reader']} skipped {row['count']:,} facts: {row['reason']}"
        places = list(zip(row["topics"], row["partitions"], row["offsets"], strict=True))
        detail = f"the newest at {', '.join(f'{topic}/{number}/{offset}' for topic, number, offset in places)}"
        # A takeover leaves repeats. All other reasons mean that writers disagreed or bytes are foreign.
        if row["reason"] in ("repeat", "late_writer", "cut_or_rival"):
            yield Check("skipped", "ok", what, detail)
            continue
        written_at = timestamps(services, [(services.topic(topic), number, offset) for topic, number, offset in places])
        # If a record cannot be read again, its time is unknown.
        last = None if len(written_at) < len(places) else max(written_at.values())
        yield _past(
            Check(
                "skipped",
                "warn",
                what,
                detail,
                "`order-ledger verify` says where; perhaps two versions of the ledger were running",
                f"skipped {row['reader']} {row['reason']}",
                f"{row['count']} {detail}",
            ),
            last,
        )


def _dead_letters(services: Services, _settings: Settings) -> Iterator[Check]:
    waiting = Counter(letter.reason for letter in read_letters(services) if letter.open)
    if not waiting:
        yield Check("dead-letters", "ok", "No dead letters wait")
    for reason, count in sorted(waiting.items()):
        hint = "`order-ledger dead-letters list`, `show`; `retry` once the cause is gone, `close` if it never will be"
        yield Check("dead-letters", "warn", f"{count:,} dead letters: {reason}", "", hint)


def _forwarded(services: Services, _settings: Settings) -> Iterator[Check]:
    rows = rows_of(services, "SELECT channel, topic, count, last_at FROM forwarded_commands ORDER BY channel, topic")
    if not rows:
        yield Check("forwarded", "ok", "All commands came on the partition of their key")
    for row in rows:
        yield _past(
            Check(
                "forwarded",
                "warn",
                f"{row['count']:,} commands of channel {row['channel']} came on a wrong partition of {row['topic']}",
                "they were forwarded and decided",
                "set partitioner=murmur2_random in that channel's producer",
                f"forwarded {row['channel']} {row['topic']}",
                str(row["count"]),
            ),
            row["last_at"],
        )


def _locations(services: Services, _settings: Settings) -> Iterator[Check]:
    with connect(services, "doctor", autocommit=True) as connection:
        try:
            known = {row["location_id"] for row in read_locations(connection)}
            found = [row for row in read_unregistered(connection) if row.location_id not in known]
        except psycopg.errors.UndefinedTable:  # nothing was projected yet
            return
    if not found:
        yield Check("locations", "ok", "All stock is at registered locations")
    for row in found:
        yield Check(
            "locations",
            "warn",
            f"Location {row.location_id} is not registered: nothing is promised from there",
            f"{row.on_hand:,} units on hand and {row.incoming:,} on their way, of {row.skus:,} SKUs; "
            f"first seen {minute(row.first_seen_at)}",
            "send RegisterLocation; if the id is wrong, MoveStock to the right location",
        )


#: By path and reason: what happened (with count and about), and what to do if it is not expected.
_SLOW = {
    ("decode", "beside_unreadable"): ("{count} facts were decoded one by one, next to bytes that are no {about}", ""),
    ("decode", "refused"): (
        "{count} facts were decoded one by one: polars cannot decode {about} in columns",
        "report the name: the tables are right, but each of these facts takes ten times as long",
    ),
    ("accept", "passed_over"): ("{count} facts of {about} were read one by one, because some do not count", ""),
    ("accept", "out_of_order"): (
        "{count} facts of {about} were read one by one: the facts of a decision were not in order",
        "perhaps there is another writer; `order-ledger verify` checks them with separate code",
    ),
    ("takeover", "no_snapshot"): ("{count} facts of {about} were read by takeovers, because there was no snapshot", ""),
    ("takeover", "snapshot_not_on_the_log"): (
        "{count} facts of {about} were read by takeovers: the snapshot did not fit the log",
        "perhaps a broker lost acknowledged records; the ledger's log names the partitions (snapshot_not_on_the_log)",
    ),
    ("route", "not_proved"): ("{count} plans of {about} are good, but not proved to be the best", ""),
}


def _slow_paths(services: Services, _settings: Settings) -> Iterator[Check]:
    rows = rows_of(services, "SELECT worker, path, why, about, count, last_at FROM slow_paths ORDER BY 1, 2, 3, 4")
    if not rows:
        yield Check("slow-paths", "ok", "No worker took a slow path")
    for row in rows:
        # An unknown path or reason of another build is shown as it is.
        kind = row["path"], row["why"]
        words, hint = _SLOW.get(kind, ("{count} of {about}: " + " ".join(kind), "see docs/operating.md"))
        what = f"{row['worker']}: " + words.format(count=f"{row['count']:,}", about=row["about"])
        expected = kind in EXPECTED
        detail = f"the last at {row['last_at'].isoformat(timespec='seconds')}"
        yield Check("slow-paths", "ok" if expected else "warn", what, detail, "" if expected else hint)


def _tracking(services: Services, _settings: Settings) -> Iterator[Check]:
    with connect(services, "doctor", autocommit=True) as connection:
        try:
            found = read_deferred_totals(connection)
        except psycopg.errors.UndefinedTable:  # no projector has run yet
            return
    if found.expired:
        yield _past(
            Check(
                "tracking",
                "warn",
                f"{found.expired:,} scans waited too long for the dispatch of their parcel",
                f"the newest are of orders {', '.join(dict.fromkeys(found.expired_orders))}",
                "`order-ledger order ID` shows them: send the dispatch, then the scans again with new ids; or correct"
                " the carrier's shipment_id",
                "tracking expired",
                str(found.expired),
            ),
            found.last_expired_at,
        )
    what = f"{found.waiting:,} scans wait for the dispatch of their parcel"
    ends = found.first_ends_at
    yield Check("tracking", "ok", what, "" if ends is None else f"the first until {minute(ends)}")


def _past(check: Check, last: datetime | None) -> Check:
    """A warning about past events, with the time of the last one; `ok` if that is long ago."""
    said = "" if last is None else f"; the last at {minute(last)}"
    if not _lately(last):
        return replace(check, verdict="ok", detail=f"{check.detail}{said}, not again for {WARN_DAYS} days", hint="")
    hint = f"{check.hint}; `order-ledger doctor --acknowledge` when that is done"
    return replace(check, detail=check.detail + said, hint=hint)


_Look = Callable[[Services, Settings], Iterator[Check]]
_OF_KAFKA: Mapping[str, _Look] = {
    "topics": _topics,
    "log": _log,
    "workers": _workers,
    "dead-letters": _dead_letters,
}
_OF_POSTGRES: Mapping[str, _Look] = {
    "skipped": _skipped,
    "slow-paths": _slow_paths,
    "forwarded": _forwarded,
    "tracking": _tracking,
    "locations": _locations,
}


def _of_workers(settings: Settings) -> dict[str, _Look]:
    """The checks in the rows of workers, by the worker's name."""
    return {row.name: resolve(row.checks) for row in wanted(settings) if row.checks is not None}
