"""`order-ledger run | settle`: run the workers, and wait for them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from confluent_kafka import KafkaException

from gateway.cli.context import StartServices, finite, services_for
from gateway.cli.terminal import fail, print_json, say, say_missing
from gateway.operating.workers import WORKERS, Lookout, refuse_what_no_worker_takes, start_command, wanted
from processors.topics import ensure_topics
from processors.worker import resolve
from runtime.compiled import uncompiled
from runtime.errors import Fault
from runtime.instance import living
from runtime.logging import log, setup_logging
from runtime.memory import give_back_from_now_on
from runtime.postgres import connect
from runtime.process import Workers, raise_file_limit
from runtime.progress import progress
from runtime.services import Services
from runtime.settings import Settings

#: The pause before a crashed worker is restarted; it doubles each time up to the maximum. Shorter burns a core on a
#: lasting fault, longer costs time after a passing one.
RESTART_SECONDS = 0.5
RESTART_SECONDS_MAX = 30.0
#: A worker that has run this long is healthy, so its next crash starts with the short pause again.
HEALTHY_SECONDS = 60.0


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("run", epilog="Example: order-ledger run --only ledger,projector")(run_command)
    app.command("settle", epilog="Example: order-ledger settle --timeout 60 --json")(settle_command)


def run_command(
    only: Annotated[
        str,
        typer.Option(
            "--only",
            show_default="all that are configured",
            help=f"Workers to run, separated by commas: {', '.join(WORKERS)}. Repeat a name to run two.",
        ),
    ] = ",".join(WORKERS),
    *,
    start: StartServices = False,
) -> None:
    """Run workers in the foreground until SIGTERM or Ctrl-C; then they finish their work in progress.

    When all are ready, the log says `ready`, with the address of the API. The log is on stderr. If stderr is not a
    terminal, each line is one JSON object.
    """
    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in WORKERS]
    if unknown or not names:
        fail("there is no such worker", ", ".join(unknown) or "none named", f"choose from {', '.join(WORKERS)}")
    if len(names) == 1:
        begin_again_in(WORKERS[names[0]].environment)
    settings = Settings()
    if only == ",".join(WORKERS):
        names = [row.name for row in wanted(settings)]
    setup_logging(settings.log_level, process=names[0] if len(names) == 1 else "run")
    with faults_in_the_log():
        services = services_for(settings, start=start)
        if len(names) == 1:
            raise typer.Exit(work(names[0], settings, services))
        refuse_what_no_worker_takes(services, settings)
        with Workers() as workers:
            start_workers(workers, names)
            supervise(workers, names, settings.home)


@contextmanager
def faults_in_the_log() -> Iterator[None]:
    """Log the error that ends a worker, like everything else that it says. On a terminal it stays text."""
    try:
        yield
    except Fault as fault:
        if sys.stderr.isatty():
            raise
        log.error("worker_failed", what=fault.what, detail=fault.detail, hint=fault.hint)
    except (KafkaException, psycopg.Error) as error:
        if sys.stderr.isatty():
            raise
        log.error("worker_failed", what=type(error).__name__, detail=str(error).strip())
    else:
        return
    raise typer.Exit(1)


def begin_again_in(environment: Mapping[str, str]) -> None:
    """Make sure that the environment has all these names. Some are read only at the start of a program, so if one is
    missing, this program starts again with it, as the same process.
    """
    missing = {name: value for name, value in environment.items() if name not in os.environ}
    if missing:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **missing})  # noqa: S606


def start_workers(workers: Workers, names: Sequence[str]) -> None:
    """Start one child per name; the second of a name is called name-2."""
    for name in labels(names):
        start_worker(workers, name)


def start_worker(
    workers: Workers,
    label: str,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    module: str = "gateway.cli",
) -> None:
    """Start the child with this label. Its own environment is added to `env`, by default ours."""
    name = label.partition("-")[0]
    env = {**(os.environ if env is None else env), **WORKERS[name].environment}
    workers.start(label, ["run", "--only", name], module=module, env=env, log=log)


def labels(names: Sequence[str]) -> list[str]:
    """A name for each worker: ledger, ledger-2, …"""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return found


class _Announcement:
    """Says once, in the log, that all workers are ready, and where the API listens."""

    def __init__(self, workers: Workers, home: Path) -> None:
        self._workers, self._home = workers, home
        self._made = False

    def make(self) -> None:
        """Say it once, when all are ready."""
        if self._made:
            return
        ours = self._workers.alive()
        ready = {one.pid: one for one in living(self._home) if one.ready_at}
        if ours and len(ours) == len(self._workers.started()) and ready.keys() >= set(ours.values()):
            addresses = [ready[pid].address for pid in ours.values() if ready[pid].address]
            log.info("ready", workers=list(ours), **({"api": ", ".join(addresses)} if addresses else {}))
            self._made = True


def supervise(workers: Workers, names: Sequence[str], home: Path) -> None:
    """Restart crashed workers with back-off, until a signal asks to stop."""
    announcement = _Announcement(workers, home)
    started = dict.fromkeys(labels(names), time.monotonic())
    pause = dict.fromkeys(started, RESTART_SECONDS)
    while True:
        ended = workers.wait(meanwhile=announcement.make)
        if not ended:
            return
        for worker in ended:
            if time.monotonic() - started[worker.name] > HEALTHY_SECONDS:
                pause[worker.name] = RESTART_SECONDS
            log.error("worker_ended", worker=worker.name, status=worker.status, restart_seconds=pause[worker.name])
            time.sleep(pause[worker.name])
            pause[worker.name] = min(RESTART_SECONDS_MAX, pause[worker.name] * 2)
            started[worker.name] = time.monotonic()
            start_worker(workers, worker.name)


def work(name: str, settings: Settings, services: Services) -> int:
    """Do one worker's work in this process until a signal asks to stop; its exit status."""
    raise_file_limit()  # needed here too: with configured services nothing was started that raised it
    give_back_from_now_on()
    # Read when polars is imported. By default it has a thread for each core, in every worker. They hand each other
    # small pieces of a batch, which saves nothing and costs a fifth more CPU for 50 facts (decision 48). What is worked
    # on side by side are partitions.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    row = WORKERS[name]
    for library in uncompiled(set(row.libraries)):
        log.warning("library_not_compiled", library=library, hint="each record takes ten times as long: reinstall it")
    run = resolve(row.run)  # imported here: each worker loads only its own code, and the command line none of it
    if not row.own_topics:
        ensure_topics(services, settings)
    if row.own_signals:
        return int(run(settings, services))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return int(run(settings, services, stop) or 0)


def settle_command(
    *,
    timeout: Annotated[float, typer.Option(min=0, callback=finite, help="Maximum seconds to wait.")] = 60.0,
    start: StartServices = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Wait until nothing is in flight: every command is decided, every reaction has run, the tables are up to date.

    Exit status 1 on time-out.
    """
    from gateway.operating.settling import Flight, Gauge, settle

    settings = Settings()
    services = services_for(settings, start=start)
    ensure_topics(services, settings)
    lookout = Lookout(services, settings, say_missing)
    with connect(services, "settle") as connection, progress("settling") as bar:

        def look(flight: Flight) -> None:
            lookout.look()
            if flight.in_flight:
                bar.say(f"settling: {flight.in_flight:,} in flight")

        flight = settle(Gauge(services, connection), timeout, look)
    settled = flight.in_flight == 0
    if as_json:
        print_json(
            {
                "settled": settled,
                "in_flight": flight.in_flight,
                "undecided": flight.undecided,
                "unanswered": flight.unanswered,
                "unprojected": flight.unprojected,
                "missing_workers": lookout.missing,
            }
        )
    elif settled:
        say("settled: nothing is in flight")
    else:
        say(f"not settled: {flight.in_flight:,} records in flight")
        if lookout.missing:
            say(f"  hint: `{start_command(lookout.missing)}` starts the missing workers")
    if not settled:
        raise typer.Exit(1)
