"""A document as a program: its shell and Python blocks, and the output that it shows for them.

    for step in read_guide(Path("README.md")):
        step.language, step.code, step.shown      # "sh", "order-ledger up", ["postgres up …"]

A block under a comment `<!-- not run …: reason -->` is left out, with the output that follows it. Output is a block of
language `text` directly after a program. `…` in it stands for anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run[^>]*: [^>]+ -->\s*$")
_PROGRAMS = ("sh", "python")


@dataclass(slots=True)
class Step:
    """A program and the lines that the document shows of its output. `number` is the line it begins at."""

    language: str
    code: str
    number: int
    shown: list[str] = field(default_factory=list)


def read_guide(path: Path) -> list[Step]:
    """The programs of a document, in order."""
    text = path.read_text(encoding="utf-8")
    steps: list[Step] = []
    takes_output = False
    end = 0
    for fence in _FENCE.finditer(text):
        language, code = fence.groups()
        between = text[end : fence.start()]
        end = fence.end()
        if language in _PROGRAMS:
            takes_output = not _NOT_RUN.search(between)
            if takes_output:
                steps.append(Step(language, code, text.count("\n", 0, fence.start()) + 1))
        elif language == "text" and takes_output:
            # Words between a program and its output are common ("it prints:"); another heading is another subject.
            if "\n#" not in between:
                steps[-1].shown += [line for line in code.splitlines() if line.strip().strip("…")]
            takes_output = False
    return steps


def missing(shown: list[str], output: str) -> list[str]:
    """The shown lines that are not in the output; runs of spaces count as one, and `…` stands for anything."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    return [line for line in shown if not any(_pattern(line).search(candidate) for candidate in lines)]


def _pattern(line: str) -> re.Pattern[str]:
    parts = [re.escape(" ".join(part.split())) for part in line.split("…")]
    return re.compile(".*".join(parts))
