"""A rule file ready for use: compiled patterns, whole-number weights, and rules with relaxed limits.

router = Router(read_rules(text), number=3)
rule = router.rule_for(wanted)            # the first rule that applies to the order
rule.relaxed(("wait_days_max",))          # the same rule without that filter
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate
from functools import cache, lru_cache
from typing import NamedTuple

from msgspec.structs import replace

from events.routing.language import Leg, Measure, Rule, RuleBook, When
from events.routing.rules import groups_of
from processors.routing.default import default_rules
from processors.routing.model import Place, Wanted

#: Weights have three decimals. With this factor they are whole numbers, so sums are exact.
_THOUSAND = 1000

#: Measures per unit; all others are per location.
PER_UNIT: frozenset[Measure] = frozenset({"stock_out", "markdown"})

Matches = Callable[[str], bool]


class Group(NamedTuple):
    """One criterion: weights per measure, as whole numbers, all multiplied by `factor`."""

    per_location: tuple[tuple[Measure, int], ...]
    per_unit: tuple[tuple[Measure, int], ...]
    factor: int


@lru_cache(maxsize=10_000)
def _matching(patterns: tuple[str, ...]) -> Matches:
    exact = frozenset(one for one in patterns if not re.search(r"[*?\[]", one))
    rest = [translate(one) for one in patterns if one not in exact]
    if not rest:
        return exact.__contains__
    compiled = re.compile("|".join(f"(?:{one})" for one in rest)).match

    def matches(text: str) -> bool:
        return text in exact or compiled(text) is not None

    return matches


def matching(patterns: Iterable[str]) -> Matches:
    """A test for texts: whether one matches any of the patterns (`*`, `?` and `[…]` as in file names)."""
    return _matching(tuple(patterns))


class ReadyRule:
    """A rule ready for routing."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.name = rule.name
        self.groups = tuple(_group(weights) for weights in groups_of(rule))
        self.measures: frozenset[Measure] = frozenset(m for g in groups_of(rule) for m in g)
        #: The measures one after the other, if every criterion is a single measure of locations; else None.
        self.in_turn = _in_turn(self.groups)
        self.filters = rule.filters
        filters = rule.filters
        self.static = any(
            one is not None
            for one in (filters.kinds, filters.not_kinds, filters.locations, filters.not_locations, filters.countries)
        )
        self.for_all = rule.when == When()
        self._ranks: dict[str, int] = {}
        self._failures: dict[tuple[Place, str], str | None] = {}
        self._relaxed: dict[tuple[str, ...], ReadyRule] = {}

    def is_for(self, wanted: Wanted) -> bool:
        """Whether the rule applies to the order."""
        when = self.rule.when
        if when.service_levels is not None and wanted.service_level not in when.service_levels:
            return False
        if when.countries is not None and wanted.country not in when.countries:
            return False
        if when.channels is not None and not matching(when.channels)(wanted.channel):
            return False
        if when.regions is not None and not matching(when.regions)(wanted.region or ""):
            return False
        if when.value_from_minor is not None and wanted.value_minor < when.value_from_minor:
            return False
        if when.value_below_minor is not None and wanted.value_minor >= when.value_below_minor:
            return False
        if when.skus is not None and not any(map(matching(when.skus), (need.sku for need in wanted.needs))):
            return False
        return when.only_skus is None or all(map(matching(when.only_skus), (need.sku for need in wanted.needs)))

    def place_failure(self, place: Place, country: str) -> str | None:
        """The first filter that excludes the place, among those that do not depend on time; None if none does."""
        if not self.static and not self.filters.same_country:
            return None
        key = (place, country)
        if key not in self._failures:
            self._failures[key] = self._look(place, country)
        return self._failures[key]

    def _look(self, place: Place, country: str) -> str | None:
        filters = self.filters
        if filters.kinds is not None and place.kind not in filters.kinds:
            return "kinds"
        if filters.not_kinds is not None and place.kind in filters.not_kinds:
            return "not_kinds"
        if filters.locations is not None and not matching(filters.locations)(place.location_id):
            return "locations"
        if filters.not_locations is not None and matching(filters.not_locations)(place.location_id):
            return "not_locations"
        if filters.countries is not None and place.country not in filters.countries:
            return "countries"
        if filters.same_country and (not country or place.country != country):
            return "same_country"
        return None

    def rank(self, location_id: str) -> int:
        """The location's rank in the rule's `priority`, from 0. Unlisted locations come last."""
        rank = self._ranks.get(location_id)
        if rank is None:
            listed = self.rule.priority or ()
            rank = next((n for n, one in enumerate(listed) if matching((one,))(location_id)), len(listed))
            self._ranks[location_id] = rank
        return rank

    def parcels_max(self, value_minor: int) -> int | None:
        """How many parcels an order of this value may have; None: any number."""
        limits = self.rule.limits
        if not limits.split or (limits.split_from_minor is not None and value_minor < limits.split_from_minor):
            return 1
        return limits.parcels_max

    def relaxed(self, steps: tuple[str, ...]) -> ReadyRule:
        """The rule without these limits; the same object each time."""
        if not steps:
            return self
        known = self._relaxed.get(steps)
        if known is None:
            filters, limits = self.rule.filters, self.rule.limits
            for step in steps:
                if step == "split":
                    limits = replace(limits, split=True, split_from_minor=None)
                elif step == "parcels_max":
                    limits = replace(limits, parcels_max=None)
                else:
                    filters = replace(filters, **{step: False if step == "same_country" else None})
            known = self._relaxed[steps] = ReadyRule(replace(self.rule, filters=filters, limits=limits))
        return known

    @property
    def steps(self) -> tuple[str, ...]:
        """The limits that the fallbacks relax, in order."""
        return tuple(step.removeprefix("relax ") for step in self.rule.fallbacks if step.startswith("relax "))

    @property
    def last_resort(self) -> str:
        """`queue` or `backorder` (the default)."""
        return "queue" if "queue" in self.rule.fallbacks else "backorder"


def _group(weights: dict[Measure, float]) -> Group:
    whole = all(float(weight).is_integer() for weight in weights.values())
    factor = 1 if whole else _THOUSAND
    counted = [(measure, round(weight * factor)) for measure, weight in weights.items()]
    counted = [(measure, weight) for measure, weight in counted if weight]
    return Group(
        tuple(row for row in counted if row[0] not in PER_UNIT),
        tuple(row for row in counted if row[0] in PER_UNIT),
        factor,
    )


def _in_turn(groups: Sequence[Group]) -> tuple[Measure, ...] | None:
    if not groups or any(group.per_unit or len(group.per_location) != 1 for group in groups):
        return None
    return tuple(measure for group in groups for measure, _ in group.per_location)


class Router:
    """A rule file ready for use. `number` is its version in the log; None for the default rules."""

    def __init__(self, book: RuleBook, number: int | None = None) -> None:
        self.book = book
        self.number = number
        self.rules = tuple(ReadyRule(rule) for rule in book.rules)
        #: Whether any rule needs to know how long stock lasts.
        self.needs_pace = any(
            "stock_out" in rule.measures or rule.filters.supply_weeks_min is not None for rule in self.rules
        )
        self._legs: dict[str, Sequence[Leg]] = {
            level: getattr(book.transit, level) for level in ("standard", "express", "same_day")
        }
        self._percent: dict[tuple[str, str], int] = {}

    def rule_for(self, wanted: Wanted) -> ReadyRule:
        """The first rule that applies to the order. The last one applies to every order."""
        for rule in self.rules:
            if rule.for_all or rule.is_for(wanted):
                return rule
        raise AssertionError("the last rule takes every order")

    def days_on_the_road(self, service_level: str, km: int) -> int:
        """Days from the location to the customer."""
        legs = self._legs.get(service_level) or self._legs["standard"]
        for leg in legs:
            if leg.km is None or km <= leg.km:
                return leg.days
        raise AssertionError("the last entry has no distance")

    def percent_off(self, sku: str, location_id: str) -> int:
        """The SKU's markdown there, in percent: the largest that applies."""
        key = (sku, location_id)
        percent = self._percent.get(key)
        if percent is None:
            percent = max(
                (
                    one.percent
                    for one in self.book.markdowns
                    if (one.skus is None or matching(one.skus)(sku))
                    and (one.locations is None or matching(one.locations)(location_id))
                ),
                default=0,
            )
            if len(self._percent) < 100_000:  # some shops have a million SKUs
                self._percent[key] = percent
        return percent


@cache
def default_router() -> Router:
    """The default rules, ready for use."""
    return Router(default_rules())
