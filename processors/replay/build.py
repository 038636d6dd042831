"""What folds facts in this build, as a digest. Tables that another build has folded are not gone on from."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

#: Everything that decides what a fact does to a row: contracts, facts, folds, tables, the reader's rule, the engine.
_FOLDERS = ("schemas", "events", "projections", "processors/following", "processors/projector")
_KINDS = frozenset({".py", ".sql", ".avsc", ".json"})
_ROOT = Path(__file__).parents[2]


@cache
def build() -> str:
    """Equal in two builds only if they fold every log into the same rows. A comment makes a difference, too: a rebuild
    too many costs minutes, one too few a wrong table.
    """
    digest = sha256()
    files = (path for folder in _FOLDERS for path in (_ROOT / folder).rglob("*") if path.suffix in _KINDS)
    for path in sorted(files):
        digest.update(f"{path.relative_to(_ROOT)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
