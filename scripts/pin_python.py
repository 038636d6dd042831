"""Write `constraints.txt`: every Python package that `make setup` installs, exact, with the SHA-256 of each file.

A maintainer runs `make pins` after a change of dependencies in pyproject.toml. The file holds names, versions and sums
for all systems and Pythons that we support, but no address: pip uses its own settings for that.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINS = ROOT / "constraints.txt"
HEADER = """\
# Written by `make pins`; install with `pip install --require-hashes -r constraints.txt`. Do not edit.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)  # the resolver is not a dependency of the project
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        subprocess.run(
            [
                *(Path(folder) / "bin" / "uv", "pip", "compile", "pyproject.toml", "--extra", "dev"),
                *("--universal", "--python-version", "3.11", "--generate-hashes"),
                *("--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"),
                *("--output-file", str(PINS)),  # keeps the versions in it, unless --upgrade is given
                *(["--upgrade"] if "--upgrade" in sys.argv else []),
            ],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    text = PINS.read_text()
    PINS.write_text(HEADER + text)
    print(f"{text.count('==')} packages pinned in constraints.txt")


if __name__ == "__main__":
    main()
