"""The ledger beside its peers, in one run: the whole flow of each, then the ledger's lanes alone, and floors.

    python -m benchmarks.run --orders 8000 --rounds 3 --json benchmarks/results/whole.json
    python -m benchmarks.run --subjects ours streams-tuned --load

One Kafka and one PostgreSQL of its own; the subjects come in turn, and what one leaves behind is removed before the
next. Totals that are not what was ordered, or a subject that ends by itself, give status 1. `python -m
benchmarks.report FILE` makes docs/performance.md of the kept document.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.floors import floors
from benchmarks.flow import measure
from benchmarks.lanes import lanes
from benchmarks.ours import Ours
from benchmarks.peers.faust_agents.subject import FaustAgents
from benchmarks.peers.kafka_streams import build
from benchmarks.peers.kafka_streams.subject import TUNED, USUAL, KafkaStreams
from benchmarks.place import Place, place
from benchmarks.rebuild import rebuilds
from benchmarks.report import as_text
from benchmarks.subject import Subject
from runtime.embedded.jars import pinned_version

SUBJECTS: Mapping[str, Callable[[Place], Subject]] = {
    "ours": Ours,
    "streams-tuned": lambda where: KafkaStreams(where, "streams-tuned", "Kafka Streams, tuned", TUNED),
    "streams": lambda where: KafkaStreams(where, "streams", "Kafka Streams", USUAL),
    "faust": lambda where: FaustAgents(where, "faust"),
}


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--orders", type=int, default=8_000, help="orders of a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds after the warm-up")
    parser.add_argument("--alone", type=int, default=100, help="lone orders to time; 0: none")
    parser.add_argument("--idle", action=argparse.BooleanOptionalAction, default=True, help="measure CPU at rest")
    parser.add_argument("--load", type=float, nargs="*", default=[0.3, 0.7], help="shares of the rate of the rounds")
    parser.add_argument("--load-seconds", type=float, default=20.0, help="how long each load lasts")
    parser.add_argument("--lanes", action=argparse.BooleanOptionalAction, default=True, help="measure lanes and floors")
    parser.add_argument("--lane-orders", type=int, default=4_000, help="orders whose facts the lanes get")
    parser.add_argument("--json", type=Path, help="file to keep everything in")
    return parser.parse_args()


def about() -> dict[str, Any]:
    """What a reader must know of the machine and of the versions."""
    java = subprocess.run([build.java(), "-version"], capture_output=True, text=True, check=True).stderr
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    ).stdout.strip()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "command": " ".join(["python -m benchmarks.run", *sys.argv[1:]]),
        "processor": processor(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "python": platform.python_version(),
        "kafka": pinned_version(),
        "java": java.splitlines()[0],
        "load_before": round(os.getloadavg()[0], 1),
    }


def processor() -> str:
    cpus = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in cpus.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    options = options_of()
    document: dict[str, Any] = {"about": about(), "subjects": {}}
    with place() as where:
        for key in options.subjects:
            document["subjects"][key] = one_of(where, key, options)
            keep(document, options.json)
    if options.lanes:
        document["lanes"] = lanes(options.lane_orders, options.rounds)
    document["about"]["load_after"] = round(os.getloadavg()[0], 1)
    keep(document, options.json)
    print(as_text(document))
    if any(found.get("failed") or found["wrong"] for found in document["subjects"].values()):
        sys.exit(1)


def one_of(where: Place, key: str, options: argparse.Namespace) -> dict[str, Any]:
    """One subject's figures. One that breaks is named, and the others are measured all the same."""
    subject = SUBJECTS[key](where)

    def more() -> Mapping[str, Any]:
        if not (isinstance(subject, Ours) and options.lanes):
            return {}
        return {"floors": floors(where, subject), "rebuild": rebuilds(where, subject, options.rounds)}

    try:
        return measure(where, subject, options, more)
    except SystemExit as error:
        print(error, file=sys.stderr)
        return {"name": subject.name, "settings": subject.settings, "failed": str(error)}


def keep(document: Mapping[str, Any], file: Path | None) -> None:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
