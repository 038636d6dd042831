"""The workers of a ledger: each kind, how many run, and the command that starts one.

    missing(look(services, settings))  →  ["ledger", "projector"]

Workers that read Kafka are members of a group, so they are seen on every machine. The broker counts a dead member until
its session times out; a dead worker of this home is recognised at once by its lock. An API is not a member, so only the
APIs of this home are seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from gateway.api import WORKER as API
from processors.effects import WORKER as EFFECTS
from processors.ledger import WORKER as LEDGER
from processors.old_log import refuse_old_log
from processors.projector import WORKER as PROJECTOR
from processors.reactions import WORKER as REACTIONS
from processors.subjects import codec_for
from processors.topics import ensure_topics
from processors.worker import Worker
from runtime.errors import Fault
from runtime.instance import Living, living, owner_of
from runtime.kafka import ADMIN_GRACE_SECONDS, admin
from runtime.services import Services
from runtime.settings import Settings

#: The kinds of workers, in the order in which they start. The folder of a new kind exports its row.
WORKERS: Mapping[str, Worker] = {row.name: row for row in (LEDGER, REACTIONS, PROJECTOR, EFFECTS, API)}


def wanted(settings: Settings) -> list[Worker]:
    """The kinds that these settings need."""
    return [row for row in WORKERS.values() if row.wanted(settings)]


#: How long the broker is asked for members, and how long each request may take. Longer makes a person wait for the
#: message that no worker runs; a slower broker has a problem that another message reports.
ANSWER_SECONDS = 2.0
ASK_AGAIN_SECONDS = 1.0
#: The pause between two looks of a waiting command. Shorter asks the broker in vain; longer reports a death later.
LOOK_SECONDS = 1.0


#: What `look` raises if the broker does not answer.
UNKNOWN = (KafkaException, TimeoutError)


class Crew(NamedTuple):
    """The running workers of one kind: the number of processes and of their partitions.

    `running` are the processes of this home, on this machine.
    """

    name: str
    processes: int
    partitions: int
    running: tuple[Living, ...] = ()

    def as_json(self) -> dict[str, Any]:
        here = [
            {"pid": one.pid, "ready_at": one.ready_at or None, "address": one.address or None} for one in self.running
        ]
        return {"name": self.name, "processes": self.processes, "partitions": self.partitions, "here": here}


def refuse_what_no_worker_takes(services: Services, settings: Settings) -> None:
    """Raises Fault if every worker would end at once, because an older build wrote the ledger.

    `run` calls it once. Otherwise it would restart the workers again and again, and only their logs would say why.
    """
    ensure_topics(services, settings)
    refuse_old_log(services, codec_for(services.schema_registry, services.topic_prefix))


def look(
    services: Services,
    settings: Settings,
    client: AdminClient | None = None,
    answer_seconds: float = ANSWER_SECONDS,
) -> list[Crew]:
    """All wanted kinds, in the order of `WORKERS`. Raises one of UNKNOWN if the broker does not answer."""
    client = admin(services) if client is None else client  # not `or`: an AdminClient is falsy (its length is 0)
    here = living(settings.home)
    alive, owner = {one.name for one in here}, owner_of(settings.home)
    rows = wanted(settings)
    groups = {services.group(row.name): row.name for row in rows if row.reads}
    described = _described(client, list(groups), answer_seconds)
    crews = {}
    for full_name, name in groups.items():
        members = [one for one in described[full_name] if not _dead(one.group_instance_id, owner, alive)]
        partitions = sum(len(member.assignment.topic_partitions) for member in members if member.assignment is not None)
        crews[name] = Crew(name, len(members), partitions)
    found = []
    for row in rows:
        running = tuple(
            one for one in here if one.worker == row.name and one.ledger == services.topic_prefix and one.ready_at
        )
        found.append(crews.get(row.name, Crew(row.name, len(running), 0))._replace(running=running))
    return found


def _described(client: AdminClient, groups: list[str], answer_seconds: float) -> dict[str, list[Any]]:
    """The members of each group. A request before the broker has created the topic of its groups gets no answer (not
    within 30 s, as seen), but the next one does; so it is repeated.
    """
    deadline = time.monotonic() + answer_seconds
    while True:
        answers = client.describe_consumer_groups(groups, request_timeout=ASK_AGAIN_SECONDS)
        try:
            return {name: answers[name].result(ASK_AGAIN_SECONDS + ADMIN_GRACE_SECONDS).members for name in groups}
        except UNKNOWN:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _dead(instance: str | None, owner: str | None, alive: Iterable[str]) -> bool:
    """Whether a member ran on this home and its process has ended."""
    return bool(instance and owner and instance.startswith(f"{owner}-") and instance not in alive)


def missing(crews: Iterable[Crew]) -> list[str]:
    """The kinds of workers that every command needs and that do not run."""
    return [crew.name for crew in crews if WORKERS[crew.name].needed and not crew.processes]


def start_command(names: Sequence[str]) -> str:
    """The command that starts these workers."""
    needed = {row.name for row in WORKERS.values() if row.needed}
    return "order-ledger run" if needed <= set(names) else f"order-ledger run --only {','.join(names)}"


def named(names: Sequence[str]) -> str:
    """`ledger`, `ledger and projector`, `ledger, reactions and projector`."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def nobody_works(names: Sequence[str], detail: str) -> Fault:
    """The error that none of these workers runs."""
    return Fault(f"no worker runs: {named(names)}", detail, f"`{start_command(names)}` starts the missing workers")


def undecided(fault: Fault, names: Sequence[str]) -> Fault:
    """The fault of a wait that timed out; if these workers do not run, with that as its cause."""
    if not names:
        return fault
    detail = f"{fault.detail}; no worker runs: {named(names)}"
    return Fault(fault.what, detail, f"`{start_command(names)}` starts the missing workers; nothing is lost")


class Lookout:
    """For a command that waits for workers: reports which are missing, once for each change.

    The first look comes after `patience_seconds`, so that workers can start.
    """

    def __init__(
        self,
        services: Services,
        settings: Settings,
        say: Callable[[Fault | str], None],
        *,
        patience_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services, self._settings, self._say, self._clock = services, settings, say, clock
        self._client = admin(services)
        self._look_from = self.patient_until = clock() + patience_seconds
        self.missing: list[str] = []

    def look(self) -> None:
        """Look again, at most once a second."""
        if self._clock() < self._look_from:
            return
        try:
            found = missing(look(self._services, self._settings, self._client))
        except UNKNOWN:  # unknown whether workers run; the command's own requests report a broker that is down
            found = self.missing
        self._look_from = self._clock() + LOOK_SECONDS
        if found and found != self.missing:
            self._say(nobody_works(found, "commands wait in Kafka until they run; nothing is lost"))
        elif self.missing and not found:
            self._say(f"{named(self.missing)}: running now")
        self.missing = found
