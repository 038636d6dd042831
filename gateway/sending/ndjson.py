"""The documents of a file of commands: one per line, or in another form that people send.

    for document in documents(lines(source)): parse(document.text)

A document over several lines, as editors and `jq` write it, is one document; each element of a JSON array is one too.
Both are considered only if a line is not complete by itself. A broken document does not spoil others: it ends where
the next one begins.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple, cast

import msgspec

#: A longer line or document is refused. A whole array of commands is in memory several times: with more, a machine with
#: 1 GB would run out of memory.
DOCUMENT_BYTES_MAX = 16_000_000
#: Bytes that show the encoding: a mark and a character of UTF-32.
_HEAD_BYTES = 8
#: The first characters of a JSON document, or of a line before it. Bytes that begin otherwise in UTF-16 are not UTF-16.
_BEGINNINGS = ("\N{BYTE ORDER MARK}", "{", "[", " ", "\t", "\r", "\n")
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')

_skip = msgspec.json.Decoder(msgspec.Raw).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Document(NamedTuple):
    """A document with its first and last line. `of_array`: it is an element of an array."""

    line: int
    last_line: int
    text: bytes
    of_array: bool = False


def lines(source: BinaryIO) -> Iterator[bytes]:
    """Lines in UTF-8 without their ends, also of a file in UTF-16 or UTF-32.

    A line that is far too long is replaced by zeros, enough to be refused by its size.
    """
    buffered = source if isinstance(source, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, source))
    head = buffered.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    encoding = json.detect_encoding(head[:4])
    if encoding.startswith("utf-8") or not head.decode(encoding, "ignore").startswith(_BEGINNINGS):
        yield from _lines(buffered.readline)
        return
    # Bytes that are no character become a lone surrogate, which is not UTF-8 either, so the line is refused.
    text = io.TextIOWrapper(buffered, encoding, "surrogateescape", newline="\n")
    yield from _lines(lambda limit: text.readline(limit).encode("utf-8", "surrogatepass"))
    text.detach()  # the caller closes the source


def documents(lines: Iterable[bytes]) -> Iterator[Document]:
    """The documents of all lines that are not empty, in their order."""
    numbered = enumerate(lines, start=1)
    held: list[tuple[int, bytes]] = []  # lines that were read for one document but begin the next
    while (first := held.pop() if held else next(numbered, None)) is not None:
        number, line = first[0], first[1].removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            continue
        if _is_whole(line) or not line.lstrip().startswith((b"{", b"[")) or _depth(line) <= 0:
            yield from _split(number, number, line)
            continue
        together = _Together(line)
        last = number
        for following, more in numbered:
            if together.ends_before(more):
                held.append((following, more))
                break
            together.add(more)
            last = following
            if together.depth <= 0:
                break
        if together.depth > 0 and together.ends_in_command:
            held.append((last, together.lines.pop()))
            last -= 1
        yield from _split(number, last, together.text)


class _Together:
    """Lines that may be one document. `depth`: the objects and lists still open after the last line."""

    def __init__(self, line: bytes) -> None:
        self.lines = [line]
        self.depth = _depth(line)
        self._bytes = len(line)
        self._is_array = line.lstrip().startswith(b"[")
        self._is_indented = False
        self._ends_in_command = False

    @property
    def text(self) -> bytes:
        """The lines; only zeros if they are too long to be kept."""
        return b"\n".join(self.lines) if self._bytes <= DOCUMENT_BYTES_MAX else _TOO_LONG

    @property
    def ends_in_command(self) -> bool:
        """Whether the last line is a complete command, so it may be the last element of an array."""
        return self._ends_in_command and len(self.lines) > 1

    def ends_before(self, line: bytes) -> bool:
        """Whether a line begins another document, so that this one is broken."""
        if self._is_array:
            return self._ends_in_command and bool(line.strip()) and not line.lstrip().startswith((b",", b"]"))
        return (self._is_indented and line.startswith(b"{")) or _is_command(line)

    def add(self, line: bytes) -> None:
        self.depth += _depth(line)
        self._bytes += len(line) + 1
        self._is_indented = self._is_indented or line.startswith((b" ", b"\t"))
        if line.strip():
            self._ends_in_command = self._is_array and _is_command(line)
        if self._bytes <= DOCUMENT_BYTES_MAX or self._ends_in_command:
            self.lines.append(line)


_TOO_LONG = bytes(DOCUMENT_BYTES_MAX + 1)


def _lines(readline: Callable[[int], bytes]) -> Iterator[bytes]:
    limit = DOCUMENT_BYTES_MAX + 2
    while line := readline(limit):
        if len(line) >= limit and not line.endswith(b"\n"):
            while (rest := readline(limit)) and not rest.endswith(b"\n"):
                pass
            line = _TOO_LONG
        yield line.rstrip(b"\r\n")


def _split(number: int, last: int, text: bytes) -> Iterator[Document]:
    """The document, or the elements of an array, each with its own lines."""
    if text.lstrip().startswith(b"["):
        try:
            elements = [bytes(element) for element in _elements(text)]
        except (msgspec.DecodeError, RecursionError):
            elements = []
        end = 0
        for element in elements:
            start = text.index(element, end)
            number += text.count(b"\n", end, start)
            end = start + len(element)
            first, number = number, number + element.count(b"\n")
            yield Document(first, number, element, of_array=True)
        if elements:
            return
    yield Document(number, last, text)


def _is_whole(line: bytes) -> bool:
    try:
        _skip(line)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _is_command(line: bytes) -> bool:
    return line.lstrip().startswith(b"{") and b'"command"' in line and _is_whole(line)


def _depth(line: bytes) -> int:
    """How many more objects and lists the line opens than it closes."""
    bare = _TEXT.sub(b"", line)
    return bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")
