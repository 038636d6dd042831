"""Parsing of the command line: a noun alone lists; a wrong word gets a suggestion only if one is near; a wrong value of
an option ends like every fault. A command's module is imported when it is called."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from gateway.cli.table import COMMANDS, Row
from gateway.cli.terminal import fail

#: Letters of a wrong value that an error shows.
VALUE_SHOWN_LETTERS = 60


class Commands(TyperGroup):
    """Suggests a command or option only if it is near; typer would suggest `story` for `stock`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            from events.spelling import meant

            near = meant(args[0], self.commands)
            hint = f"Did you mean '{near}'?" if near else "--help lists all."
            ctx.fail(f"No such command '{args[0]}'. {hint}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _our_answers():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _our_answers():
            return super().invoke(ctx)


class _Unread(TyperCommand):
    """A command whose module is not imported yet: only its name and its line of help are known."""

    def __init__(self, row: Row) -> None:
        super().__init__(row.name, help=row.help)
        self.row = row


class Root(Commands):
    """All commands of the table. The module of a command is imported to call it, show its help or complete it."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands.update((row.name, _Unread(row)) for row in COMMANDS)

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        """Write each command's whole line of help, over several lines if the terminal is narrow."""
        with formatter.section("Commands"):
            formatter.write_dl([(row.name, row.help) for row in COMMANDS])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, self._read(command), rest

    def whole(self) -> dict[str, Any]:
        """All commands, with their modules imported."""
        return {name: self._read(command) for name, command in list(self.commands.items())}

    def _read(self, command: Any) -> Any:
        if isinstance(command, _Unread):
            self.commands.update(read(command.row.module))
            return self.commands[command.row.name]
        return command


def read(module: str) -> dict[str, Any]:
    """The commands that a module of this folder registers, by name."""
    part = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    import_module(f"gateway.cli.{module}").register(part)
    return dict(get_group(part).commands)


class Listing(Commands):
    """`rejections --limit 5` is `rejections list --limit 5`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        others = len(self.commands) > 1
        asks_for_help = others and args[:1] == ["--help"]
        if not args or (args[0] not in self.commands and not asks_for_help and (args[0].startswith("-") or not others)):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@contextmanager
def _our_answers() -> Iterator[None]:
    try:
        yield
    except typer.BadParameter as error:
        if type(error) is typer.BadParameter:  # not a derived one, such as a missing parameter without a value
            _refuse(error)
        raise
    except Exception as error:
        # The parser suggests far options too (`--at` for `--all`): keep only a near one.
        if possibilities := getattr(error, "possibilities", None):
            from events.spelling import meant

            near = meant(str(getattr(error, "option_name", "")), possibilities)
            error.possibilities = [near] if near else None  # type: ignore[attr-defined]
        raise


def _refuse(error: typer.BadParameter) -> None:
    """Say which value is not allowed, which ones are, and where to read more; exit status 1."""
    parameter: Any = error.param
    context: Any = error.ctx
    words: list[str] = []
    while context is not None and context.parent is not None:
        words.insert(0, context.info_name)
        context = context.parent
    name = next((one for one in getattr(parameter, "opts", ()) if one.startswith("--")), None) or parameter.name
    what, detail = f"the value of {name} is not allowed", error.message.removeprefix("Value error, ").rstrip(".")
    pydantic = sys.modules.get("pydantic")  # if it was never imported, it raised nothing
    if pydantic is not None and isinstance(
        error.__cause__, pydantic.ValidationError
    ):  # raised by the bounds, not by one of our functions
        value = str(error.__cause__.errors()[0]["input"])
        what = f"{name} cannot be {value[:VALUE_SHOWN_LETTERS] or 'empty'}{'…' * (len(value) > VALUE_SHOWN_LETTERS)}"
        numbers = _numbers(parameter)
        detail = detail if numbers is None else f"it takes {numbers}"
    fail(what, detail, f"`{' '.join(['order-ledger', *words])} --help` says more")


def _numbers(parameter: Any) -> str | None:
    """`a whole number from 1 to 1,000`; None for an option without bounds."""
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if low is None and high is None:
        return None
    kind = "a number" if parameter.type_descriptor.annotation is float else "a whole number"
    if high is None:
        return f"{kind} of {low:,} or more"
    return f"{kind} up to {high:,}" if low is None else f"{kind} from {low:,} to {high:,}"


def noun(app: typer.Typer, name: str, what: str) -> typer.Typer:
    """A group of commands about one noun; its `list` may be left out."""
    group = typer.Typer(cls=Listing, help=what)
    # Without a callback typer would merge a single command into the group.
    group.callback()(_stay_a_group)
    app.add_typer(group, name=name, help=what)
    return group


def _stay_a_group() -> None:
    pass
