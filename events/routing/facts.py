"""The facts of routing rules."""

from msgspec import Struct

from events.values import Id, Quantity, Text


class RoutingRulesSet(Struct, frozen=True, kw_only=True):
    """A set of routing rules, as it is from now on."""

    rules_id: Id
    number: Quantity
    name: Text
    text: str


RoutingFact = RoutingRulesSet
