"""Whatever can be read is read: files, pipes, stdin; packed by their names. What breaks says so, with its name."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import openpyxl
import polars as pl
import pyarrow as pa
import pytest

from gateway.cli.rules import read_file as read_rule_file
from gateway.connectors.online_retail.mapping import read_file
from gateway.reading.routing import read_scenario
from gateway.sending.sources import open_source, read_source
from processors.routing.default import default_text
from runtime.errors import Fault

TEXT = b"".join(b"line %d\n" % number for number in range(50_000))


def zstd(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, "zstd", asbytes=True)
    return packed


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.ndjson", TEXT),
        ("packed.ndjson.gz", gzip.compress(TEXT)),
        ("packed.ndjson.GZ", gzip.compress(TEXT)),
        ("several.gz", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("packed.zst", zstd(TEXT)),
        ("several.zst", zstd(TEXT[:100]) + zstd(TEXT[100:])),
    ],
)
def test_a_file_is_unpacked_by_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_source(tmp_path / name) == TEXT


def test_a_named_pipe_and_a_numbered_one_are_read(tmp_path: Path) -> None:
    named = tmp_path / "fifo"
    os.mkfifo(named)
    writer = threading.Thread(target=named.write_bytes, args=(TEXT,))
    writer.start()
    assert read_source(named) == TEXT
    writer.join()
    reading, writing = os.pipe()
    os.write(writing, b"as the shell gives it\n")
    os.close(writing)
    assert read_source(f"/dev/fd/{reading}") == b"as the shell gives it\n"
    os.close(reading)


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_stdin_is_read_by_both_its_names(name: str) -> None:
    program = f"from gateway.sending.sources import read_source; print(len(read_source({name!r})))"
    done = subprocess.run([sys.executable, "-c", program], input=TEXT, capture_output=True, check=True)
    assert int(done.stdout) == len(TEXT)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.gz", gzip.compress(TEXT)[:-2000]),
        ("cut.zst", zstd(TEXT)[:-2000]),
        ("followed.zst", zstd(TEXT) + b"and something else"),
        ("followed.gz", gzip.compress(TEXT) + b"and something else"),
    ],
)
def test_an_archive_that_breaks_gives_what_came_before_and_says_so(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    before = []
    with open_source(tmp_path / name) as source, pytest.raises(Fault) as caught:
        before.extend(source)
    assert TEXT.startswith(b"".join(before))
    assert before
    assert name in caught.value.what
    assert caught.value.detail
    assert "archive" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("no.gz", b"hello"),
        ("no.zst", b"hello"),
        ("empty.gz", b""),
        ("empty.zst", b""),
        ("spoilt.gz", gzip.compress(TEXT)[:-3000] + b"spoilt" + gzip.compress(TEXT)[-2994:]),
    ],
)
def test_what_is_no_archive_says_so(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Fault, match=name):
        read_source(tmp_path / name)


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    for name, why in ((tmp_path / "absent", "No such file"), (tmp_path, "Is a directory"), ("a\0b", "null")):
        with pytest.raises(Fault) as caught:
            read_source(name)
        assert why in caught.value.detail
        assert caught.value.hint


# Everywhere where a file is read


@pytest.mark.parametrize(
    ("pack", "ending"), [(bytes, ""), (gzip.compress, ".gz"), (zstd, ".zst")], ids=["plain", "gz", "zst"]
)
def test_rules_a_scenario_and_a_retailers_file_may_be_packed(
    tmp_path: Path, pack: Callable[[bytes], bytes], ending: str
) -> None:
    def put(name: str, content: bytes) -> Path:
        path = tmp_path / (name + ending)
        path.write_bytes(pack(content))
        return path

    assert read_rule_file(put("rules.toml", default_text().encode("utf-8-sig")))[0].name == "default"
    assert read_scenario(put("stock.json", b'\xef\xbb\xbf{"stock": {"MUG": {"WH1": 2.0}}}')).stock == {
        "MUG": {"WH1": 2}
    }
    columns = {"Invoice": ["1"], "Quantity": ["2"]}
    table, book = io.BytesIO(), io.BytesIO()
    pl.DataFrame(columns).write_parquet(table)
    workbook = openpyxl.Workbook()
    workbook.active.append(list(columns))
    workbook.active.append(["1", "2"])
    workbook.save(book)
    for name, content in (
        ("rows.csv", b"Invoice,Quantity\n1,2\n"),
        ("rows.parquet", table.getvalue()),
        ("rows.xlsx", book.getvalue()),
    ):
        assert read_file(put(name, content))["Quantity"].to_list() == ["2"]


def test_a_retailers_file_may_come_out_of_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"Invoice,Quantity\n1,2\n")
    os.close(writing)
    assert read_file(Path(f"/dev/fd/{reading}"))["Quantity"].to_list() == ["2"]
    os.close(reading)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"stock": {"MUG": {"WH1": 1}, "MUG": {"WH1": 2}}}', '"MUG" is given twice in stock'),
        (b'{"stock": {"MUG": {"WH1": 1.5}}, "chanel": "web"}', "stock.MUG.WH1 is 1.5: expected a whole number"),
        (b'{"stock": {}, "at": "9999-12-31T23:00:00-14:00"}', "at is "),
    ],
)
def test_a_scenario_is_read_as_strictly_as_a_command(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "stock.json").write_bytes(content)
    with pytest.raises(Fault) as caught:
        read_scenario(tmp_path / "stock.json")
    assert told in caught.value.detail
