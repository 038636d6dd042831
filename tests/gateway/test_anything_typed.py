"""Whatever a person types or feeds, no command ends in a traceback: its exit status is 0, 1 or 2, and it says why.

Arguments and files are drawn from a seed, for every command that there is; a new command is in at once. A failure
prints its seed and its words. For longer: ORDER_LEDGER_TEST_SEED=1 ORDER_LEDGER_TEST_SEEDS=200.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime
from pathlib import Path
from random import Random
from types import UnionType
from typing import Any, NamedTuple, Self, get_args, get_type_hints

import openpyxl
import pytest

from gateway import cli
from gateway.cli import demo
from gateway.sending import scenarios
from processors.topics import ensure_topics
from projections.catalogue import PROJECTIONS
from runtime.postgres import connect
from tests.conftest import LedgerEnv
from tests.gateway.every_command import every_command
from tests.gateway.online_retail_builders import SALE, cancellation, frame, row
from tests.support.projecting import make_live

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").iterdir())
FIRST_SEED = int(os.environ.get("ORDER_LEDGER_TEST_SEED", "1"))
SEEDS = int(os.environ.get("ORDER_LEDGER_TEST_SEEDS", "1"))
#: Lines of one command in a row, for each seed.
LINES = 2

TEXTS = (
    "", " ", "-", "--", "A-1001", "MUG-RED", "WH1", "web", "nobody", "'; DROP TABLE order_status; --", "%s %(x)s %",
    "{0} {x}", "é\u202e\x1b[2J\r\n", "[red]\\", "x" * 100_000, "😀" * 300, "\ud800", "a\0b", "../../etc/passwd",
    "public", "pg_catalog", "routing", "order_fulfillment_rate", "order_processing_hours", "routing_exceptions",
    "intake.orders/0/0", "intake.orders/-1/-1", "intake.orders/0/" + "9" * 30, "/" + "9" * 30 + "/0", "a/b/c",
    "dead-letters/1/1", "2025-11-28T08:00:00Z", "2025-11-28", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "2025-W48-5T08Z", "24:00",
)  # fmt: skip
NUMBERS = ("0", "1", "7", "-1", "99999999999", "9223372036854775807", "9223372036854775808", "9" * 400, "9" * 5_000,
           "1.5", "1e3", "0x10", "٣", "1_0", "", "x", "\ud800")  # fmt: skip
# No large ones: a person who asks to wait for a year is to wait for a year.
FLOATS = ("0", "0.001", "1", "-1", "-0.0", "nan", "-nan", "-inf", "1e-400", "1e5000x", "", "x", "٣", "0_1.5")
DAYS = ("2025-11-28", "2025-11-29", "0001-01-01", "9999-12-31", "1970-01-01", "2025-02-30", "28.11.2025", "",
        "2025-11-28T00:00:00", "x", "-1")  # fmt: skip


class Command(NamedTuple):
    """A command's words, and for each of its parameters the words that begin it, and the values that it takes."""

    path: tuple[str, ...]
    parameters: tuple[tuple[str | None, tuple[str, ...] | None], ...]


def commands() -> Iterator[Command]:
    """Every command of the application, with what its parameters take."""

    for path, one in every_command():
        hints = get_type_hints(one.callback)
        yield Command(path, tuple(parameter(found, hints[found.name]) for found in one.params if found.name in hints))


def parameter(found: Any, hint: Any) -> tuple[str | None, tuple[str, ...] | None]:
    option = found.opts[0] if found.param_type_name == "option" else None
    kinds = set(get_args(hint)) if isinstance(hint, UnionType) else {hint}
    pools: dict[Any, tuple[str, ...]] = {int: NUMBERS, float: FLOATS, datetime: DAYS}
    if bool in kinds:
        return option, None
    words = [word for kind in kinds if hasattr(kind, "__members__") for word in kind]
    pool = next((pool for kind, pool in pools.items() if kind in kinds), (*words, "x", "") if words else TEXTS)
    return option, ("FILE",) if Path in kinds or found.name == "file" else pool


def line(command: Command, draw: Random, files: list[str]) -> list[str]:
    """What a person might type after `order-ledger`."""
    words = list(command.path)
    for option, values in command.parameters:
        # `run` without a wrong name would run the workers.
        # Nor does anybody wait a minute for what never comes.
        if option is not None and option != "--timeout" and command.path != ("run",) and draw.random() < 0.5:
            continue
        if values is not None:
            value = draw.choice(files if values == ("FILE",) else values)
            words += [value] if option is None else [f"{option}={value}"] if draw.random() < 0.5 else [option, value]
        elif option is not None:
            words.append(option)
    if draw.random() < 0.05:
        words.insert(draw.randrange(len(words) + 1), draw.choice(TEXTS))
    return [word for word in words if len(word.encode("utf-8", "surrogatepass")) < 120_000]


def files_in(folder: Path, draw: Random) -> list[str]:
    """Files of every kind that a command takes: good ones, damaged ones, junk; and what is no file."""
    good = {example.name: example.read_bytes() for example in EXAMPLES}
    rows = frame(SALE, row(text='7" BOWL'), cancellation(2))
    rows.write_parquet(folder / "rows.parquet")
    rows.write_csv(folder / "rows.csv")
    book = openpyxl.Workbook()
    for cells in (rows.columns, *rows.iter_rows()):
        book.active.append(cells)
    book.save(folder / "rows.xlsx")
    good |= {path.name: path.read_bytes() for path in folder.glob("rows.*")}
    names = []
    for name, content in good.items():
        for damaged in (content, damage(content, draw), content[: draw.randrange(len(content))]):
            path = folder / f"{len(names)}{Path(name).suffix}"
            path.write_bytes(damaged)
            names.append(str(path))
    junk = (b"", b"\n", b"\0" * 9, draw.randbytes(500), b"[" * 100_000, b"{}", b"null", b'"\\ud800"', b"\xff\xfe{\0}\0",
            b'{"stock": {"A": {"B": 99999999999999999999}}}', b"1" * 5_000, b"a = " + b"[" * 5_000, b"Invoice\n1",
            b"PK\x03\x04", b"PAR1", b"name = 'x'\nrules = 1")  # fmt: skip
    for suffix in (".csv", ".xlsx", ".parquet", ".ndjson", ".toml", ".json", ""):
        for content in draw.sample(junk, 6):
            path = folder / f"{len(names)}{suffix}"
            path.write_bytes(content)
            names.append(str(path))
    (folder / "folder.csv").mkdir()
    (folder / "loop.csv").symlink_to("loop.csv")
    (folder / "\udcff.csv").write_bytes(b"x")
    odd = [str(folder / name) for name in ("folder.csv", "loop.csv", "\udcff.csv", "nothing.csv")]
    return [*names, *odd, "", "-", ".", "/dev/null", "/proc/self/mem", "x" * 300, "x\0.csv", "/etc/passwd/x.csv"]


def damage(content: bytes, draw: Random) -> bytes:
    """The content with some bytes changed, taken away or doubled."""
    found = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        at = draw.randrange(len(found))
        part = found[at : at + draw.choice((1, 1, 4, 40))]
        new = draw.choice((b"", draw.randbytes(1), bytes(part) * 2, b'"', b"\0", b"9" * 30, b"-", b","))
        found[at : at + len(part)] = new
    return bytes(found)


class Ended(NamedTuple):
    status: Any
    out: str
    err: str


def typed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> Ended:
    """How the command line ends with these words, in this process; a traceback where it does not end by itself."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace"))
    monkeypatch.setattr(sys, "argv", ["order-ledger", *words])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"command": "Nonsense"}\n')))
    status: Any
    with redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
            status = 0
        except SystemExit as left:
            status = left.code or 0
        except BaseException:  # noqa: BLE001 - that there is none is what is tested
            status = traceback.format_exc()
    out.flush()
    err.flush()
    return Ended(status, *(text.buffer.getvalue().decode() for text in (out, err)))


def judge(words: list[str], ended: Ended) -> None:
    """Fail with the words unless the end is one that a person can use."""
    shown = " ".join(ascii(word)[:200] for word in words)
    told = f"order-ledger {shown}\n{ended.status}\n{ended.out[-500:]}\n{ended.err[-3000:]}"
    assert ended.status in {0, 1, 2}, told
    assert "Traceback" not in ended.err, told
    assert "panicked" not in ended.err, told
    if ended.status == 2:
        assert "Usage: " in ended.err, told
    # Commands whose answer is no: they say so on stdout.
    if ended.status == 1 and not ended.out.strip():
        assert "hint: " in ended.err, told
    if ended.status == 0 and "--json" in words and "--help" not in words:
        json.loads(ended.out)


class _NoWorkers:
    """The demo's workers, which a command line that is drawn must not start by the hundred."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...
    def start(self, *_: object, **__: object) -> None: ...
    def stop(self) -> None: ...
    def wait(self) -> list[Any]:
        return []


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody decides here, and nobody waits for it."""
    monkeypatch.setattr(scenarios, "STALL_SECONDS_MAX", 0.0)
    monkeypatch.setattr(demo, "WORKERS_START_SECONDS", 0.0)
    monkeypatch.setattr(demo, "Workers", _NoWorkers)
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_no_command_line_ends_in_a_traceback(
    seed: int, ledger_env: LedgerEnv, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ledger_env.env.items():
        monkeypatch.setenv(name, value)
    ensure_topics(ledger_env.services, ledger_env.settings)
    with connect(ledger_env.services, "test") as connection:
        make_live(connection, PROJECTIONS.values())
    draw = Random(seed)
    files = files_in(tmp_path, draw)
    for command in commands():
        for _ in range(LINES):
            words = line(command, draw, files)
            judge(words, typed(words, monkeypatch))
