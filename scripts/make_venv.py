"""Make or repair `.venv/`: the packages of constraints.txt, each checked against its hash, and this project (editable).

`scripts/setup` calls it when something is missing or has changed. It may be interrupted, and run twice at once: a lock
makes the second one wait, and the note that all is done is written last. If pip was interrupted, the environment is
made again from scratch: pip considers a package installed before all its files are there.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
#: A colon separates folders. The others have a meaning in double quotes, and pip and PostgreSQL quote paths like that.
REFUSED = ':"$`\\\n'
NOTE = VENV / ".made-from"
UNFINISHED = VENV / ".unfinished"  # exists while pip works
LINE_INTERVAL_SECONDS = 5.0  # between lines without a terminal: shorter is noise, longer looks like a hang


def main() -> None:
    try:
        make(sys.argv[1])
    except OSError as error:
        fail(
            ".venv/ cannot be made",
            str(error),
            f"{ROOT} must be a folder of yours, on a disk with 1.5 GB of room. Another account may have made .venv/ or "
            ".venv.lock: remove them",
        )


def make(made_from: str) -> None:
    refused = sorted(set(str(ROOT)) & set(REFUSED))
    if refused:
        fail(
            f"no environment can be made in {str(ROOT)!r}",
            f"the path has {' and '.join(map(repr, refused))}, which means something else to a shell or in PATH",
            "move the project to a folder without it",
        )
    with (ROOT / ".venv.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if NOTE.exists() and NOTE.read_text() == made_from and (VENV / "bin" / "order-ledger").exists():
            return  # the other set-up did it
        began = time.monotonic()
        NOTE.unlink(missing_ok=True)
        if not is_usable():
            say(f"making .venv/ with Python {sys.version.split()[0]}")
            venv.EnvBuilder(clear=True, symlinks=True, with_pip=True).create(VENV)
        UNFINISHED.touch()
        install("packages", "--require-hashes", "--only-binary", ":all:", "-r", "constraints.txt")
        # All dependencies are installed, including the build tool, so nothing unpinned is fetched.
        install("order-ledger", "--no-deps", "--no-build-isolation", "--editable", ".")
        point_by_relative_path()
        UNFINISHED.unlink()
        NOTE.write_text(made_from)
        say(f"ready in {time.monotonic() - began:.0f} s")


def fail(what: str, detail: str, hint: str) -> NoReturn:
    sys.exit(f"setup: {what}\n  detail: {detail}\n  hint: {hint}")


def is_usable() -> bool:
    """Whether `.venv/` is a complete environment of this interpreter in this folder."""
    if UNFINISHED.exists():
        return False
    python = VENV / "bin" / "python"
    probe = "import sys, pip; print(sys.version_info[:2], sys.base_prefix, sys.prefix)"
    try:
        result = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return result.stdout.strip() == f"{sys.version_info[:2]} {sys.base_prefix} {VENV}"


def install(what: str, *arguments: str) -> None:
    """Run pip and show its progress; show its output only if it fails."""
    wanted = (ROOT / "constraints.txt").read_text().count("==")
    pip = subprocess.Popen(
        [VENV / "bin" / "python", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "PIP_USER": "0",
            "PIP_REQUIRE_VIRTUALENV": "0",
            "PYTHONUNBUFFERED": "1",
            "LC_ALL": "C.UTF-8",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    collected = 0
    assert pip.stdout is not None
    for line in pip.stdout:
        said.append(line)
        words = line.split()
        if words[:1] in (["Collecting"], ["Requirement"]):
            collected += 1
            name = words[1] if words[0] == "Collecting" else words[3]
            tell(f"fetching {what}: {min(collected, wanted)} of {wanted} ({name.split('==')[0]})")
        elif line.startswith("Installing collected"):
            tell(f"installing {what}", now=True)
    clear()
    if pip.wait() != 0:
        errors = [line for line in said if line.startswith(("ERROR", "error"))] or said[-15:]
        fail(
            f"pip could not install {what}",
            "".join(errors).strip(),
            "check the connection to the package registry (pip's own settings apply: PIP_INDEX_URL, PIP_CERT, "
            "HTTPS_PROXY), then run it again",
        )


def point_by_relative_path() -> None:
    """Write a relative path into the file that points Python from `.venv/` to the project. Python 3.11 and 3.12 read it
    with the locale's encoding: under another locale than at set-up, an umlaut in the project's path is an error."""
    for pointer in VENV.glob("lib/python*/site-packages/__editable__.order_ledger-*.pth"):
        pointer.write_text(os.path.relpath(ROOT, pointer.parent) + "\n")


last_line_at = 0.0


def tell(text: str, *, now: bool = False) -> None:
    """Show progress: on a terminal one line that is overwritten, elsewhere a line now and then."""
    global last_line_at  # noqa: PLW0603 - a program of one page
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif now or time.monotonic() - last_line_at >= LINE_INTERVAL_SECONDS:
        last_line_at = time.monotonic()
        say(text)


def clear() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; run it again to continue")
