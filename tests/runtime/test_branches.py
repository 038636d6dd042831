"""Set-up and services on machines of other kinds, each once and whole: `make branches`.

A closed folder, an account without rights, no IPv4, few open files, … Each of these takes another branch of set-up or
of the services, and a branch that nobody runs is broken. Most tests run `demo`: services, all workers, `verify`.
Accounts, mounts and namespaces are made for a test and removed with it; what a machine cannot do is skipped, with the
reason.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest

from runtime.embedded.cluster import FILES_MIN, Embedded
from runtime.embedded.jars import ensure_jars
from runtime.embedded.postgres_server import PostgresServer
from runtime.settings import default_cache

# A set-up from nothing and two runs on a slow line and a busy machine; ten minutes, as elsewhere, were too few.
pytestmark = [pytest.mark.branches, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("ORDER_LEDGER_CACHE") or default_cache())
DEMO = ("demo", "--orders", "5")
#: What a whole set-up or a demo may take on a busy machine with a slow line.
PATIENCE_SECONDS = 1800
#: A shell's own words in a path, and those of lists: Kafka's comma, letters that a bare login's locale does not have.
ODD_NAME = "Käse & Öl, 100 %d 'roh' #1"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes accounts, mounts and network namespaces")


@dataclass(frozen=True)
class Machine:
    """A folder with a home in it, and the way to run a command there."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (sys.executable, "-m", "gateway.cli")
    within: tuple[str, ...] = ()  # put before each command: unshare, prlimit, …
    user: str | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def run(
        self, *arguments: str, program: Sequence[str] | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORDER_LEDGER_", "PYTHON"))}
        services = {"ORDER_LEDGER_HOME": str(self.home), "ORDER_LEDGER_CACHE": str(CACHE), "ORDER_LEDGER_API_PORT": "0"}
        return subprocess.run(
            [*self.within, *(self.program if program is None else program), *arguments],
            cwd=ROOT if program is None and self.program[0] == sys.executable else self.folder,
            env=kept | services | self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE_SECONDS,
            check=False,
            user=self.user,
            group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
            extra_groups=None if self.user is None else [],
        )


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to all; what runs below it is ended, and what is below it removed."""
    path = Path(tempfile.mkdtemp(prefix="order-ledger-branches-"))
    path.chmod(0o755)
    yield path
    end_all(path)
    shutil.rmtree(path, ignore_errors=True)


def end_all(folder: Path) -> None:
    for lock in list(folder.rglob("up.lock")):
        Embedded(lock.parent, CACHE).destroy()


@pytest.fixture
def account(folder: Path) -> Iterator[str]:
    """A user of this machine, with a closed home folder of its own."""
    name = f"olt{uuid.uuid4().hex[:8]}"
    subprocess.run(["useradd", "--create-home", "--home-dir", folder / name, name], check=True)
    (folder / name).chmod(0o700)
    yield name
    end_all(folder)
    for process in psutil.process_iter(["username"]):
        if process.info["username"] == name:  # of a run that was given up
            process.kill()
            process.wait()
    subprocess.run(["userdel", name], check=True)


def unshared(*kinds: str, first: str = ":") -> tuple[str, ...]:
    """Words before a command that then runs in namespaces of its own, after `first` was done in them."""
    words = ("unshare", *kinds, "sh", "-ec", f'{first}\nexec "$@"', "sh")
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"{' '.join(words[:-3])}: {tried.stderr.strip()}")
    return words


def copy_of_the_project(folder: Path) -> Path:
    """As a clone is: without an environment, caches and history."""
    left_out = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", "*.egg-info", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=left_out)
    return folder


def came_through(done: subprocess.CompletedProcess[str]) -> bool:
    assert done.returncode == 0, done.stdout[-4000:]
    return "verify: equal" in done.stdout


@as_root
def test_root_with_a_clone_and_a_home_in_closed_folders(folder: Path) -> None:
    """As every clone in /root is.

    Seen to fail with the copy of PostgreSQL one folder short: "error while loading shared libraries: libpq".
    """
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    clone = copy_of_the_project(closed / "clone")
    machine = Machine(closed, {"PYTHON": sys.executable})
    assert came_through(machine.run("-C", str(clone), "demo", "ORDERS=5", program=["make"]))
    tests = "tests/runtime/test_embedded.py -k 'crash or cut_off'"
    assert "passed" in machine.run("-C", str(clone), "test", f"ARGS={tests}", program=["make"]).stdout


@as_root
def test_a_user_with_a_clone_in_a_closed_folder_of_an_odd_name(folder: Path, account: str) -> None:
    """Seen to fail: a comma cut Kafka's log.dirs in two, an umlaut made it "?" under the locale of a bare login."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or pytest.skip("no Python that every user may run")
    own = folder / account / ODD_NAME
    own.mkdir()
    clone = copy_of_the_project(own / "order ledger")
    cache = shutil.copytree(CACHE, own / "cache")
    for jar in ensure_jars(cache)[:2]:  # half a download
        jar.write_bytes(jar.read_bytes()[:1000])
    subprocess.run(["chown", "-R", account, folder / account], check=True)
    machine = Machine(
        own,
        {"HOME": str(folder / account), "PYTHON": python, "ORDER_LEDGER_CACHE": str(cache), "LC_ALL": "C"},
        user=account,
    )
    assert came_through(machine.run("-C", str(clone), "demo", "ORDERS=5", program=["make"]))
    tests = "tests/runtime/test_embedded.py -k 'crash or cut_off'"
    assert "passed" in machine.run("-C", str(clone), "test", f"ARGS={tests}", program=["make"]).stdout

    # An account that has neither name nor home: a container with --user.
    for step in (folder / account, own, clone):
        step.chmod(0o755)
    nameless = Machine(
        folder,
        {"HOME": "/", "ORDER_LEDGER_HOME": str(folder / "nameless"), "ORDER_LEDGER_CACHE": str(cache)},
        program=(str(clone / ".venv/bin/order-ledger"),),
        within=("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"),
    )
    (folder / "nameless").mkdir()
    os.chown(folder / "nameless", 54321, 54321)
    said = nameless.run("up").stdout
    assert "PostgreSQL runs only under an account that has a name" in said
    assert "54321" in said


@as_root
def test_root_without_useradd(folder: Path) -> None:
    """As in small images: PostgreSQL runs as nobody."""
    accounts = folder / "passwd"
    known = Path("/etc/passwd").read_text().splitlines(keepends=True)
    accounts.write_text("".join(line for line in known if not line.startswith("pgserver:")))
    hidden = f"mount --bind {accounts} /etc/passwd"
    if useradd := shutil.which("useradd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
        hidden += f"\nmount --bind /dev/null {useradd}"
    machine = Machine(folder, within=unshared("--mount", first=hidden))
    done = machine.run(*DEMO)
    assert "under the system account nobody" in done.stdout
    assert came_through(done)


def test_root_that_may_not_change_its_account(folder: Path) -> None:
    """As in a container with one id: said, and said what can be done."""
    said = Machine(folder, within=unshared("--user", "--map-root-user")).run("up").stdout
    assert "PostgreSQL does not run as root" in said
    assert "ORDER_LEDGER_POSTGRES" in said
    assert "Traceback" not in said


@as_root
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "half"])
def test_a_read_only_cache_is_read_when_it_is_whole_and_named_when_not(folder: Path, *, whole: bool) -> None:
    cache = shutil.copytree(CACHE, folder / "cache")
    if not whole:
        ensure_jars(cache)[0].unlink()
    (cache / "jars.lock").unlink(missing_ok=True)
    read_only = f"mount --bind {cache} {cache}\nmount -o remount,bind,ro {cache}"
    done = Machine(folder, within=unshared("--mount", first=read_only)).run(*DEMO, ORDER_LEDGER_CACHE=str(cache))
    if whole:
        assert came_through(done)
    else:
        assert done.returncode == 1
        assert "Read-only file system" in done.stdout
        assert "set ORDER_LEDGER_CACHE" in done.stdout


@as_root
def test_a_machine_without_ipv4(folder: Path) -> None:
    first = "ip link set lo up\nip address del 127.0.0.1/8 dev lo"
    assert came_through(Machine(folder, within=unshared("--net", first=first)).run(*DEMO))


@as_root
def test_a_machine_without_ipv6(folder: Path) -> None:
    first = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1\nip link set lo up"
    assert came_through(Machine(folder, within=unshared("--net", first=first)).run(*DEMO))


@pytest.mark.parametrize("limits", [f"{FILES_MIN}:{FILES_MIN}", "64:4096"], ids=["enough", "raised"])
def test_few_open_files_are_enough(folder: Path, limits: str) -> None:
    assert came_through(Machine(folder, within=("prlimit", f"--nofile={limits}")).run(*DEMO))


def test_too_few_open_files_are_named_or_raised_by_root(folder: Path) -> None:
    done = Machine(folder, within=("prlimit", "--nofile=128:128")).run("up")
    assert done.returncode == 0 or f"the hard limit is 128, they need {FILES_MIN}" in done.stdout


def test_what_a_killed_start_leaves_stops_nobody(folder: Path) -> None:
    """Locks, half a copy, half a data folder, half a download."""
    machine = Machine(folder)
    cache = shutil.copytree(CACHE, folder / "cache")
    jar = ensure_jars(cache)[0]
    (jar.parent / ".fetch-killed").mkdir()
    jar.unlink()
    (folder / "home").mkdir()
    (folder / "home" / "postgres" / "data.new" / "base").mkdir(parents=True)
    (folder / "home" / "postgres" / "data.new" / "PG_VERSION").write_text("18\n")
    hold = (
        "import fcntl, sys\n"
        "files = [open(one, 'w') for one in sys.argv[1:]]\n"
        "for file in files: fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print(flush=True)\n"
        "input()"
    )
    locks = [folder / "home" / "up.lock", cache / "jars.lock"]
    holder = subprocess.Popen([sys.executable, "-c", hold, *locks], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert came_through(machine.run(*DEMO, ORDER_LEDGER_CACHE=str(cache)))
    assert not list(jar.parent.glob(".fetch-*"))


@as_root
def test_what_a_user_began_goes_on_under_that_user_when_root_starts_it(folder: Path, account: str) -> None:
    postgres = PostgresServer(folder / "postgres", durable=False)
    try:
        with psycopg.connect(postgres.start(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
        postgres.stop()
        subprocess.run(["chown", "-R", account, folder / "postgres"], check=True)
        postgres = PostgresServer(folder / "postgres", durable=False)
        with psycopg.connect(postgres.start()) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (42,)
        assert postgres.account == account
    finally:
        postgres.destroy()
