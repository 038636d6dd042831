"""Writes docs/tables.md: every view that people read, with the meaning of its columns, from the projections.

python scripts/describe_tables.py            # write it
python scripts/describe_tables.py --check    # exit status 1 where the file is not what would be written
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from projections.catalogue import PROJECTIONS  # noqa: E402

TARGET = ROOT / "docs" / "tables.md"

HEAD = """# Views

Generated from `projections/` by `scripts/describe_tables.py`; a test fails when it is out of date. Do not edit it by
hand.

What people read with SQL ([for-analysts.md](for-analysts.md)). Columns may be null where no fact told; times are UTC,
money is in minor units, quantities are whole units. PostgreSQL has the same words as comments.
"""


def render() -> str:
    """The whole page."""
    return HEAD + "".join(_lines())


def _lines() -> Iterator[str]:
    for view in sorted((view for one in PROJECTIONS.values() for view in one.views), key=lambda view: view.name):
        yield f"\n## {view.name}\n\n{view.meaning}.\n\n| column | what |\n|---|---|\n"
        for name, meaning in view.columns.items():
            yield f"| `{name}` | {meaning} |\n"


def main() -> int:
    """Write or check; the exit status."""
    text = render()
    if sys.argv[1:] == ["--check"]:
        if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
            return 0
        print("docs/tables.md is out of date\n  hint: python scripts/describe_tables.py", file=sys.stderr)
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
