"""The commands of routing rules."""

from typing import Annotated

from msgspec import Meta, Struct

from events.values import Id

#: Characters of a rule file. Enough for some hundred rules with comments; its fact still fits into one record.
RULES_TEXT_MAX = 100_000

RulesText = Annotated[str, Meta(min_length=1, max_length=RULES_TEXT_MAX)]


class SetRoutingRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Route by these rules from now on."""

    rules_id: Id
    text: RulesText


RoutingCommand = SetRoutingRules
