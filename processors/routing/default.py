"""The default rules, which ship with the product."""

from functools import cache
from pathlib import Path

from events.routing.language import RuleBook
from events.routing.rules import read_rules

#: The id of the rules in force.
IN_FORCE = "routing"


@cache
def default_text() -> str:
    """The text of the default rule file."""
    return (Path(__file__).parent / "default.toml").read_text(encoding="utf-8")


@cache
def default_rules() -> RuleBook:
    """The default rules, in force until others are published."""
    return read_rules(default_text())
