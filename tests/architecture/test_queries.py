"""Queries on a projection's tables and views stand in its own folder, so that its tables can change or be swapped.

Left out are the tests, which look at what is there. `processors/verify` is not left out: it proves the tables without
the readers, but it names each table as data beside the columns that it expects, and reads it whole by one query.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from projections.catalogue import PROJECTIONS

ROOT = Path(__file__).parents[2]

#: Rooms and folders whose SQL may name them.
OWNERS = ("projections", "tests")


def relations() -> set[str]:
    """Every table and every view that the projections create."""
    return {one.name for projection in PROJECTIONS.values() for one in (*projection.tables, *projection.views)}


def queried(text: str, names: set[str]) -> set[str]:
    """Those of these names that the text uses as SQL does: after a word of SQL that a relation follows."""
    after = r"\b(?:FROM|JOIN|INTO|UPDATE|ONLY|TABLE|VIEW|COPY|,)\s+(?:ONLY\s+)?\"?(?:\w+\.)?"
    found = re.findall(after + r"(\w+)", text, re.IGNORECASE) if SQL.search(text) else []
    quoted = re.findall(r"to_regclass\s*\(\s*'([^']*)'", text, re.IGNORECASE)
    return {name for name in (*found, *quoted) if name in names}


#: A string that begins, or goes on, a statement: words that no sentence of ours has in capitals.
SQL = re.compile(r"\b(?:SELECT|FROM|JOIN|INSERT|UPDATE|DELETE|COPY|CREATE|ALTER|DROP|TRUNCATE)\b")


def strings(tree: ast.AST) -> list[tuple[int, str]]:
    """Every string of a module with its line; an f-string and its neighbours as one, its values as `{}`."""
    found: list[tuple[int, str]] = []
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            found.append((node.lineno, "".join(str(part) for part in parts)))
            inner |= {id(part) for part in node.values}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            found.append((node.lineno, node.value))
    return found


def modules() -> list[Path]:
    tracked = [path for room in ROOT.iterdir() if (room / "__init__.py").exists() for path in room.rglob("*.py")]
    more = [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    return sorted({path for path in (*tracked, *more) if path.relative_to(ROOT).parts[0] not in OWNERS})


def test_no_sql_outside_of_projections_names_a_table_or_view_of_theirs() -> None:
    names, looked_into = relations(), modules()
    assert len(looked_into) > 100
    found = [
        f"{path.relative_to(ROOT)}:{line}: {', '.join(sorted(named))}"
        for path in looked_into
        for line, text in strings(ast.parse(path.read_text(encoding="utf-8")))
        if (named := queried(text, names))
    ]
    assert found == [], "move these queries into the reader.py of their projection"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("SELECT * FROM inventory", {"inventory"}),
        ('SELECT * FROM "inventory" AS i JOIN public.order_status USING (x)', {"inventory", "order_status"}),
        ("SELECT 1 FROM a, inventory", {"inventory"}),
        ("UPDATE ONLY inventory SET x = 1", {"inventory"}),
        ("SELECT to_regclass('inventory')", {"inventory"}),
        ("Take the stock (and locations, and the order) of this file", set()),
        ("SELECT inventory FROM somewhere", set()),
    ],
)
def test_a_query_is_told_from_a_sentence(text: str, named: set[str]) -> None:
    assert queried(text, relations()) == named
