"""How words of the command line become commands: a noun alone lists; for a wrong word only a near one is offered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from events.spelling import meant


class Commands(TyperGroup):
    """Offers the command or option that was meant where it is near; typer offers `story` for `stock`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            near = meant(args[0], self.commands)
            hint = f"Did you mean '{near}'?" if near else "--help lists all."
            ctx.fail(f"No such command '{args[0]}'. {hint}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _near_options():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _near_options():
            return super().invoke(ctx)


class Listing(Commands):
    """`rejections --limit 5` is `rejections list --limit 5`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        others = len(self.commands) > 1
        asks_for_help = others and args[:1] == ["--help"]
        if not args or (args[0] not in self.commands and not asks_for_help and (args[0].startswith("-") or not others)):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@contextmanager
def _near_options() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Of what the parser offers for an option that there is not (`--at` for `--all`), the one that is near.
        if possibilities := getattr(error, "possibilities", None):
            near = meant(str(getattr(error, "option_name", "")), possibilities)
            error.possibilities = [near] if near else None  # type: ignore[attr-defined]
        raise


def noun(app: typer.Typer, name: str, what: str) -> typer.Typer:
    """A group of commands about one kind of thing, whose `list` may be left out."""
    group = typer.Typer(cls=Listing, help=what)
    # With a callback a single command keeps its name.
    group.callback()(_stay_a_group)
    app.add_typer(group, name=name, help=what)
    return group


def _stay_a_group() -> None:
    pass
