"""The words of a rule file, as types. docs/routing.md explains them.

Numbers have limits so that their sums stay exact: only three decimals of a weight count.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from events.values import Id, Latitude, Longitude, Natural, Text

Kind = Literal["warehouse", "store", "third_party", "supplier"]
ServiceLevel = Literal["standard", "express", "same_day"]
Patterns = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(min_length=1, max_length=500)]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
Countries = Annotated[tuple[Country, ...], Meta(min_length=1)]

#: Measures of a plan. The last two are counted for each unit, all others for each location that the plan uses.
Measure = Literal[
    "parcels", "cost", "distance", "days", "late_days", "wait_days", "backlog", "priority", "stock_out", "markdown"
]
Weight = Annotated[float, Meta(ge=0, le=1_000_000)]
Group = Measure | Annotated[dict[Measure, Weight], Meta(min_length=1)]


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class When(_Part, frozen=True, kw_only=True):
    """Which orders a rule applies to; all given conditions must hold."""

    channels: Patterns | None = None
    service_levels: tuple[ServiceLevel, ...] | None = None
    countries: Countries | None = None
    regions: Patterns | None = None
    value_from_minor: Natural | None = None
    value_below_minor: Natural | None = None
    skus: Patterns | None = None
    only_skus: Patterns | None = None


class Filters(_Part, frozen=True, kw_only=True):
    """Which locations may be used; all given conditions must hold."""

    kinds: tuple[Kind, ...] | None = None
    not_kinds: tuple[Kind, ...] | None = None
    locations: Patterns | None = None
    not_locations: Patterns | None = None
    countries: Countries | None = None
    same_country: bool = False
    distance_km_max: Natural | None = None
    wait_days_max: Natural | None = None
    supply_weeks_min: Annotated[float, Meta(ge=0, le=1000)] | None = None


class Limits(_Part, frozen=True, kw_only=True):
    """Limits of a plan."""

    parcels_max: Annotated[int, Meta(ge=1, le=1000)] | None = None
    split: bool = True
    split_from_minor: Natural | None = None


class Rule(_Part, frozen=True, kw_only=True):
    """How the rule's orders are routed."""

    name: Id
    when: When = When()
    filters: Filters = Filters()
    criteria: Annotated[tuple[Group, ...], Meta(min_length=1, max_length=10)] | None = None
    objective: Annotated[dict[Measure, Weight], Meta(min_length=1)] | None = None
    priority: Patterns | None = None
    limits: Limits = Limits()
    fallbacks: tuple[Text, ...] = ("backorder",)


class Leg(_Part, frozen=True, kw_only=True):
    """Days on the road up to a distance. Without `km`: for longer and for unknown distances."""

    days: Annotated[int, Meta(ge=0, le=365)]
    km: Natural | None = None


Legs = Annotated[tuple[Leg, ...], Meta(min_length=1)]


class Transit(_Part, frozen=True, kw_only=True):
    """Days on the road by service level."""

    standard: Legs = (Leg(km=300, days=1), Leg(km=1000, days=2), Leg(days=4))
    express: Legs = (Leg(km=1500, days=1), Leg(days=2))
    same_day: Legs = (Leg(km=50, days=0), Leg(days=1))


class Markdown(_Part, frozen=True, kw_only=True):
    """Stock that is sold off: a higher discount is used up first."""

    percent: Annotated[int, Meta(ge=1, le=100)]
    skus: Patterns | None = None
    locations: Patterns | None = None


class Supply(_Part, frozen=True, kw_only=True):
    """How long stock should last, in weeks of the location's recent dispatches."""

    weeks_target: Annotated[float, Meta(gt=0, le=1000)] = 4.0


class RuleBook(_Part, frozen=True, kw_only=True):
    """A whole rule file. The first rule that applies to an order routes it."""

    name: Id
    rules: Annotated[tuple[Rule, ...], Meta(min_length=1, max_length=500)]
    description: Text = ""
    transit: Transit = Transit()
    markdowns: tuple[Markdown, ...] = ()
    supply: Supply = Supply()
    centres: dict[Country, tuple[Latitude, Longitude]] = {}
