"""A fold that writes other rows is another version: otherwise tables of two folds would be mixed without notice.

When this test fails: if the change makes other rows from the same facts (or other tables), raise `version` of the
projection. In any case, write the new digest with `python -m tests.projections.test_versions`.
"""

from __future__ import annotations

import ast
import json
from hashlib import sha256
from pathlib import Path

import projections
from projections.catalogue import PROJECTIONS

ROOT = Path(projections.__file__).parent
KEPT = Path(__file__).with_name("fold_versions.json")

#: Code that reads tables, and says nothing of what is in them.
NOT_FOLDS = {"reader.py", "views.py"}


def digest(folder: Path) -> str:
    """Of the code of a folder without comments and docstrings, and of its SQL."""
    parts = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".py" and path.name not in NOT_FOLDS:
            parts.append(ast.dump(_bare(ast.parse(path.read_text(encoding="utf-8")))))
        elif path.suffix == ".sql":
            lines = (line.partition("--")[0].split() for line in path.read_text(encoding="utf-8").splitlines())
            parts.append(" ".join(word for line in lines for word in line))
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def _bare(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
            ]
    return tree


def found() -> dict[str, dict[str, int | str]]:
    return {
        name: {"version": projection.version, "digest": digest(ROOT / name)}
        for name, projection in sorted(PROJECTIONS.items())
    }


def test_a_changed_fold_has_a_new_version_or_was_looked_at() -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    differ = [name for name, now in found().items() if kept.get(name) != now]
    assert not differ, f"{', '.join(differ)}: see the docstring of {Path(__file__).name}"
    assert kept.keys() == PROJECTIONS.keys()


def test_comments_and_layout_change_no_digest(tmp_path: Path) -> None:
    (tmp_path / "fold.py").write_text('"""A fold."""\n\nX = 1  # one\n')
    (tmp_path / "table.sql").write_text("CREATE TABLE t (a text); -- ids\n")
    before = digest(tmp_path)
    (tmp_path / "fold.py").write_text('"""Another text."""\nX = 1\n')
    (tmp_path / "table.sql").write_text("CREATE  TABLE t\n  (a text);\n")
    assert digest(tmp_path) == before
    (tmp_path / "fold.py").write_text('"""A fold."""\n\nX = 2\n')
    assert digest(tmp_path) != before


if __name__ == "__main__":
    KEPT.write_text(json.dumps(found(), indent=1) + "\n", encoding="utf-8")
