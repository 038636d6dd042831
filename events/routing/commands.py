"""The commands of routing rules."""

from typing import Annotated

from msgspec import Meta, Struct

from events.values import Id

#: Most characters of a rule file. Enough for some hundred rules with comments; the fact still fits into one record.
RULES_TEXT_MAX = 100_000

RulesText = Annotated[str, Meta(min_length=1, max_length=RULES_TEXT_MAX)]


class SetRoutingRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Set routing rules: those in force, or a draft."""

    rules_id: Id
    text: RulesText


RoutingCommand = SetRoutingRules
