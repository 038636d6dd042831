"""Jars of Kafka, and of what is compared with it: pinned coordinates and SHA-256 sums, fetched once, checked each time.

No resolver runs on the user's machine: a pin file names each jar, jgo fetches exactly these (in parallel), and a file
is used only if its sum is right. So an incomplete, damaged or foreign file is fetched again; if the sum is still wrong,
an error names it.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from runtime.embedded.identity import check_not_cancelled, exclusive
from runtime.errors import Fault

FETCHES_AT_ONCE = 8  # fewer leave the line idle between small jars; many more look like abuse to a registry
FETCH_ATTEMPTS = 3  # slow lines drop connections; after three attempts the line is down, and a person must know
FETCH_TIMEOUT_SECONDS = 60  # without an answer; shorter gives up on slow proxies, longer hides a dead one

Progress = Callable[[int, int], None]  # jars done, jars wanted


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar: its coordinates, and the sum that its file must have."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def is_whole(self, folder: Path) -> bool:
        try:
            with open(folder / self.file_name, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except FileNotFoundError:
            return False


class Pins(NamedTuple):
    """Jars that are fetched together. `artifact` is the one whose version the folder in the cache is named after."""

    file: Traversable
    folder: str
    artifact: str


KAFKA = Pins(files("runtime.embedded").joinpath("kafka_jars.sha256"), "kafka", "kafka_2.13")


def pinned_jars(pins: Pins = KAFKA) -> list[Jar]:
    """The jars of the pinned version, in the order of the pin file."""
    jars = []
    for line in pins.file.read_text().splitlines():
        sha256, coordinate = line.split()
        group, artifact, version = coordinate.split(":")
        jars.append(Jar(group, artifact, version, sha256))
    return jars


def pinned_version(pins: Pins = KAFKA) -> str:
    return next(jar.version for jar in pinned_jars(pins) if jar.artifact == pins.artifact)


def ensure_jars(
    cache: Path,
    progress: Progress | None = None,
    waiting: Callable[[], None] | None = None,
    cancelled: threading.Event | None = None,
    *,
    pins: Pins = KAFKA,
) -> list[Path]:
    """Paths of all pinned jars, each present with the right sum; fetches what is missing or damaged.

    Several installations may share `cache`: one fetches, the others wait for the lock and then find all jars.
    """
    jars = pinned_jars(pins)
    folder = cache / f"{pins.folder}-{pinned_version(pins)}"
    try:
        if _missing(jars, folder):  # a complete cache may be read-only: then no lock is written
            folder.mkdir(parents=True, exist_ok=True)
            with exclusive(cache / "jars.lock", waiting):
                _fetch_missing(jars, folder, progress, cancelled)
    except OSError as error:
        raise Fault(
            "Jars cannot be written to the download cache, or read from it",
            str(error),
            "set ORDER_LEDGER_CACHE to a folder of yours, on a disk with 60 MB free (150 MB for `make bench`)",
        ) from error
    return [folder / jar.file_name for jar in jars]


def _missing(jars: list[Jar], folder: Path) -> list[Jar]:
    with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
        whole = list(pool.map(lambda jar: jar.is_whole(folder), jars))
    return [jar for jar, is_whole in zip(jars, whole, strict=True) if not is_whole]


def _fetch_missing(jars: list[Jar], folder: Path, progress: Progress | None, cancelled: threading.Event | None) -> None:
    missing = _missing(jars, folder)
    if not missing:
        return
    for left in folder.glob(".fetch-*"):  # left by a killed process; we hold the lock, so nobody uses it
        shutil.rmtree(left, ignore_errors=True)
    if progress:
        progress(len(jars) - len(missing), len(jars))
    # Imported here: only a first start needs it, and it takes a tenth of a second.
    import truststore

    # Use the machine's certificates besides certifi's: a company's proxy signs with a root that only the machine knows.
    truststore.inject_into_ssl()
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch,
            ThreadPoolExecutor(FETCHES_AT_ONCE) as pool,
        ):
            waits = [pool.submit(_fetch, jar, Path(scratch), folder) for jar in missing]
            try:
                for done, wait in enumerate(waits, len(jars) - len(missing) + 1):
                    while not wait.done():
                        check_not_cancelled(cancelled)
                        futures.wait([wait], timeout=0.2)
                    wait.result()
                    if progress:
                        progress(done, len(jars))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C or a fault: do not start the rest
                raise
    finally:
        truststore.extract_from_ssl()


def _fetch(jar: Jar, scratch: Path, folder: Path) -> None:
    from jgo.maven import MavenContext
    from requests import RequestException

    context = MavenContext(repo_cache=scratch, timeout=FETCH_TIMEOUT_SECONDS)
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    problem = "no answer"
    for attempt in range(FETCH_ATTEMPTS):
        if attempt:
            time.sleep(2.0**attempt)  # 2 s, 4 s: long enough for a proxy to recover, short enough for a person
        try:
            fetched = artifact.resolve()
        except (RequestException, OSError, RuntimeError) as error:
            problem = str(error)
        else:
            with open(fetched, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found == jar.sha256:
                shutil.move(fetched, folder / jar.file_name)  # on one file system: a rename, so never half a jar
                return
            problem = f"its SHA-256 is {found}, pinned is {jar.sha256}"
        if artifact.cached_path is not None:
            artifact.cached_path.unlink(missing_ok=True)
    raise Fault(
        f"{jar.file_name} could not be fetched",
        f"{problem} ({FETCH_ATTEMPTS} attempts)",
        "check the connection to the Maven registry (a proxy is taken from HTTPS_PROXY), or set ORDER_LEDGER_KAFKA to "
        "a Kafka of yours",
    )


def main() -> None:
    """Fetch the jars with progress: `make test` calls this, so that no test waits for a download."""
    import sys

    from runtime.progress import progress
    from runtime.settings import Settings

    def show(done: int, wanted: int) -> None:
        bar.title = "fetching Kafka"
        bar.reach(done, wanted)

    try:
        with progress("looking for Kafka's jars", unit="jars") as bar:
            ensure_jars(
                Settings().cache,
                show,
                lambda: bar.say("waiting for another command that fetches Kafka"),
            )
    except Fault as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
