"""Sources that a person names: a file, `-`, a pipe, a packed file.

    with open_source("orders.ndjson.gz") as source: source.read()

`/dev/stdin`, `<(zcat …)` and named pipes are read like files. Only files whose names end in `.gz` or `.zst` are
unpacked; a pipe has no such name. A source is read once, from beginning to end.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from runtime.errors import Fault

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STDIN = "-"
PACKED = (".gz", ".zst")
#: Errors of the readers of files and archives, for example `EOFError` for an archive that is cut off. pyarrow raises
#: OSError or ValueError for a broken archive.
_UNREADABLE = (OSError, EOFError, zlib.error, ValueError)
#: Bytes read at once. Fewer call the reader of an archive too often; more is memory that a pipe never fills.
BUFFER_BYTES = 1 << 18
_DAMAGED = "the archive is damaged, cut off, or not what its name says"
_NAME_A_FILE = "name a readable file, a pipe, or - for stdin; .gz and .zst are unpacked"


@contextmanager
def open_source(name: str | Path) -> Iterator[BinaryIO]:
    """The bytes, unpacked. Raises Fault if it cannot be opened; `read` raises it if it breaks later."""
    name = str(name)
    if name == STDIN:
        if sys.stdin is None:
            raise Fault("stdin cannot be read", "stdin is closed", _NAME_A_FILE)
        yield _told(sys.stdin.buffer, "stdin")  # not closed here, because we did not open it
        return
    try:
        opened = open(name, "rb")  # noqa: SIM115  closed below
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Fault(f"{name} cannot be read", said, _NAME_A_FILE) from error
    with opened:
        yield _told(_unpacked(name, opened), name)


def read_source(name: str | Path) -> bytes:
    """All bytes, unpacked. Raises Fault."""
    with open_source(name) as source:
        return source.read()


def kind_of(name: str | Path) -> str:
    """The suffix of the name in lower case, without that of an archive: `.csv` for `Orders.CSV.gz`."""
    path = Path(name)
    return (path.with_suffix("") if path.suffix.lower() in PACKED else path).suffix.lower()


def _told(source: BinaryIO, name: str) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Told(source, name), BUFFER_BYTES))


def _unpacked(name: str, opened: io.BufferedReader) -> BinaryIO:
    kind = Path(name).suffix.lower()
    if kind not in PACKED:
        return opened
    if not opened.peek(1):
        raise Fault(f"{name} cannot be read", "it is empty, and an archive never is", _DAMAGED)
    if kind == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=opened))
    import pyarrow as pa  # imported here: it costs 0.2 s and 60 MB, which other files do not need

    return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(opened, mode="r"), "zstd"))


class _Told(io.RawIOBase):
    """Reads a source; an error of any library becomes a Fault that names the source."""

    def __init__(self, source: BinaryIO, name: str) -> None:
        self._source = source
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, into: WriteableBuffer) -> int:
        target = memoryview(into).cast("B")
        try:
            read = self._source.read1 if isinstance(self._source, io.BufferedIOBase) else self._source.read
            data = read(len(target))
        except _UNREADABLE as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            packed = self._name.lower().endswith(PACKED)
            raise Fault(
                f"{self._name} cannot be read to its end",
                said,
                _DAMAGED if packed else _NAME_A_FILE,
            ) from error
        target[: len(data)] = data
        return len(data)
