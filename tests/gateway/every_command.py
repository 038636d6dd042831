"""All commands of the command line, as they are when somebody calls them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import typer.main

from gateway.cli import app
from gateway.cli.words import Root


def root() -> Root:
    return cast(Root, typer.main.get_command(app))


def every_command() -> Iterator[tuple[tuple[str, ...], Any]]:
    """The words that call it, and the command."""

    def walk(commands: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, one in commands.items():
            inner = getattr(one, "commands", None)
            if inner is None:
                yield (*path, name), one
            else:
                yield from walk(inner, (*path, name))

    return walk(root().whole(), ())
