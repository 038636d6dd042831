"""Both servers together: start them in parallel, find them from any command, stop them.

embedded = Embedded(home, cache)
embedded.up()        # returns at once if both run; otherwise fetches, formats, starts and waits until both answer
embedded.down()
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from runtime.embedded.identity import exclusive
from runtime.embedded.jars import ensure_jars
from runtime.embedded.kafka_server import KafkaServer
from runtime.embedded.postgres_server import PASSABLE, PostgresServer
from runtime.errors import Fault
from runtime.process import raise_file_limit

Say = Callable[[str], None]

#: Kafka has 180 files open when idle, and a hundred more with all workers and several gigabytes of facts. With a lower
#: limit it starts, but then loses its logs one after the other.
FILES_MIN = 512


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the embedded servers listen."""

    kafka: str | None
    postgres: str | None


class Embedded:
    """The embedded servers of one home folder; all state is in that folder, none in this object."""

    def __init__(self, home: Path, cache: Path, *, kafka_nodes: int = 1, durable: bool = True) -> None:
        self.home = home.absolute()
        self.cache = cache.absolute()
        self.kafka = KafkaServer(self.home / "kafka", kafka_nodes)
        self.postgres = PostgresServer(self.home / "postgres", durable=durable)

    def running(self) -> Addresses:
        """Addresses of the running servers; takes milliseconds, starts nothing."""
        return Addresses(self.kafka.bootstrap_if_up(), self.postgres.conninfo_if_up())

    def up(self, *, kafka: bool = True, postgres: bool = True, say: Say | None = None) -> Addresses:
        """Start the wanted servers that are not up, in parallel. Returns the addresses of servers that answer.

        Raises Fault if one does not start, or its folder cannot be written.
        """
        try:
            return self._up(kafka=kafka, postgres=postgres, say=say)
        except (OSError, subprocess.SubprocessError) as error:  # the latter: one of their programs took too long
            raise Fault(
                "The embedded services could not be started",
                str(error),
                f"check that {self.home} is writable and its disk is not full, then `order-ledger up` again",
            ) from error

    def _up(self, *, kafka: bool, postgres: bool, say: Say | None) -> Addresses:
        tell = say or (lambda _text: None)
        found = self.running()
        if (found.kafka or not kafka) and (found.postgres or not postgres):
            return found
        self._make_home()
        files = raise_file_limit(FILES_MIN)
        if files < FILES_MIN:
            raise Fault(
                "The embedded services need more open files than this account may have",
                f"the hard limit is {files}, they need {FILES_MIN}",
                f"raise it: `ulimit -Hn {FILES_MIN}` as root, LimitNOFILE= in systemd, --ulimit nofile= in Docker",
            )
        with (
            exclusive(self.home / "up.lock", lambda: tell("waiting for another command that starts the services")),
            ThreadPoolExecutor(2) as pool,
        ):
            cancelled = threading.Event()
            kafka_start = pool.submit(self._start_kafka, tell, cancelled) if kafka else None
            postgres_start = pool.submit(self._start_postgres, tell, cancelled) if postgres else None
            starts = [start for start in (kafka_start, postgres_start) if start]
            try:
                done, _ = wait(starts, return_when=FIRST_EXCEPTION)
                for start in done:
                    start.result()  # raises the first failure, not the one of the cancelled other start
            except BaseException:  # a fault, or Ctrl-C: stop what was not running before
                cancelled.set()
                wait(starts)
                if kafka and found.kafka is None:
                    self.kafka.stop()
                if postgres and found.postgres is None:
                    self.postgres.stop()
                raise
            return Addresses(
                kafka_start.result() if kafka_start else None,
                postgres_start.result() if postgres_start else None,
            )

    def down(self) -> None:
        """Stop both servers in parallel; data stays."""
        if not self.home.exists():
            return
        with exclusive(self.home / "up.lock"), ThreadPoolExecutor(2) as pool:
            stops = [pool.submit(self.kafka.stop), pool.submit(self.postgres.stop)]
        for stop in stops:
            stop.result()

    def destroy(self) -> None:
        """Stop, and remove all data of this home."""
        self.down()
        if self.home.exists():
            self.postgres.destroy()
            shutil.rmtree(self.home, ignore_errors=True)

    def stop_with_me(self) -> None:
        """Stop the servers and remove their data when this process ends in any way, even by SIGKILL.

        A small guard process holds the other end of a pipe; the kernel closes our end when we die.
        """
        read_end, write_end = os.pipe()
        os.set_inheritable(write_end, False)
        subprocess.Popen(
            [sys.executable, "-m", "runtime.embedded.guard", str(read_end), str(self.home), str(self.cache)],
            pass_fds=(read_end,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
        os.close(read_end)

    def _make_home(self) -> None:
        try:
            # Others may pass through it, but not read it: as root, PostgreSQL runs as another account below it.
            self.home.mkdir(parents=True, exist_ok=True)
            self.home.chmod(PASSABLE)
        except OSError as error:
            raise Fault(
                "The folder for the embedded services cannot be created", str(error), "set ORDER_LEDGER_HOME to another"
            ) from error

    def _start_kafka(self, tell: Say, cancelled: threading.Event) -> str:
        jars = ensure_jars(
            self.cache,
            lambda done, wanted: tell(f"fetching Kafka: {done} of {wanted} jars"),
            lambda: tell("waiting for another command that fetches Kafka"),
            cancelled,
        )
        tell("starting Kafka")
        address = self.kafka.start(jars, cancelled)
        tell("Kafka is ready")
        return address

    def _start_postgres(self, tell: Say, cancelled: threading.Event) -> str:
        tell("starting PostgreSQL")
        conninfo = self.postgres.start(cancelled)
        account = self.postgres.account
        tell("PostgreSQL is ready" + (f", under the system account {account}" if account else ""))
        return conninfo
