"""Explains a plan: for each location, why it was chosen or not, and what would have changed that.

    explain(wanted, router, world) -> Explanation(routed, verdicts, changes)

It solves the problem again, once with each location in the plan, and once with more stock in each place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from processors.routing.book import Group, Router
from processors.routing.model import Place, Problem, Wanted, World
from processors.routing.objective import Measured, Scene, kilometres, supply_weeks
from processors.routing.optimum import solve, units
from processors.routing.route import Routed, route, usable, why_left_out

#: Changes of stock that are shown, best first.
CHANGES_TOLD = 3


class Verdict(NamedTuple):
    """A location: `status` is chosen, filtered, no_stock, dearer or superfluous; `why` is a sentence; `change` says
    what would get it chosen, if known.
    """

    location_id: str
    status: str
    why: str
    change: str | None
    measured: Measured | None
    units: Mapping[str, int]


class Explanation(NamedTuple):
    """`verdicts` of all locations, chosen ones first; `changes`: the effect of more stock, best first."""

    wanted: Wanted
    routed: Routed
    verdicts: tuple[Verdict, ...]
    changes: tuple[str, ...]
    reason: tuple[str, str] | None


class _Worth(NamedTuple):
    """The value of a set of locations: units filled, the sum of each criterion, and the numbers of the locations."""

    filled: int
    sums: tuple[int, ...]
    chosen: tuple[int, ...]


def explain(wanted: Wanted, router: Router, world: World) -> Explanation:
    """The plan and its reasons."""
    routed = route(wanted, router, world)
    if wanted.destination is None and wanted.country in router.book.centres:
        wanted = wanted._replace(destination=router.book.centres[wanted.country])
    stock = usable(wanted.needs, world.stock, wanted.excluded)
    names = sorted({*world.places, *(name for held in stock.values() for name in held)})
    scene = Scene(router, wanted, world, stock)
    verdicts = [_verdict(name, scene, routed) for name in names]
    order = {"chosen": 0, "dearer": 1, "superfluous": 2, "filtered": 3, "no_stock": 4}
    verdicts.sort(key=lambda one: (order[one.status], one.location_id))
    reason = why_left_out(wanted, routed) if routed.left_out else None
    return Explanation(wanted, routed, tuple(verdicts), tuple(_stock_changes(routed)), reason)


def parcels_cost_minor(routed: Routed) -> int:
    """The cost of the plan's parcels."""
    used = {part.location_id for part in routed.plan.parts}
    return sum(routed.posed.measured[name].cost for name in used)


def _verdict(name: str, scene: Scene, routed: Routed) -> Verdict:
    _, wanted, world, stock = scene
    problem = routed.posed.problem
    here = {sku: held[name] for sku, held in stock.items() if name in held}
    measured = routed.posed.measured.get(name)
    given: dict[str, int] = {}
    for part in routed.plan.parts:
        if part.location_id == name:
            given[part.line_id] = given.get(part.line_id, 0) + part.quantity
    if given:
        why = ", ".join(f"{part.quantity} × {part.sku}" for part in routed.plan.parts if part.location_id == name)
        return Verdict(name, "chosen", why, None, measured, given)
    if not here:
        refused = {place for _, place in wanted.excluded}
        why = "it has just refused" if name in refused else "it has no units that the order wants"
        return Verdict(name, "no_stock", why, None, measured, {})
    failure = routed.posed.failures.get(name)
    if failure is not None:
        place = world.places.get(name) or Place(name)
        return Verdict(name, "filtered", *_failure(failure, place, wanted, routed, measured), measured, {})
    number = problem.locations.index(name)
    weeks = [sku for (sku, place_id), _ in routed.posed.failed_units.items() if place_id == name]
    if weeks and not any(row[number] for row in problem.stock):
        told = ", ".join(
            f"{sku} lasts {supply_weeks(world, sku, name, stock[sku][name]) or 0:.1f} weeks" for sku in sorted(weeks)
        )
        limit = routed.rule.filters.supply_weeks_min
        return Verdict(name, "filtered", f"supply_weeks_min {limit:g}: {told}", None, measured, {})
    return Verdict(name, *_passed_over(number, routed), measured, {})


def _failure(
    failure: str, place: Place, wanted: Wanted, routed: Routed, measured: Measured | None
) -> tuple[str, str | None]:
    """A filter in words, and what would have admitted the location."""
    filters = routed.rule.relaxed(routed.relaxed).filters
    match failure:
        case "kinds" | "not_kinds":
            return f"{failure}: it is a {place.kind or 'place of unknown kind'}", f"if the rule had no {failure}"
        case "locations" | "not_locations":
            says = "does not name" if failure == "locations" else "excludes"
            return f"{failure}: the rule {says} it", f"if the rule had no {failure}"
        case "countries" | "same_country":
            return f"{failure}: it is in {place.country or 'an unknown country'}", f"if the rule had no {failure}"
        case "distance_km_max":
            km = kilometres(place, wanted.destination)
            return f"too far: {km:,} km, the rule allows {filters.distance_km_max:,}", f"if the rule allowed {km:,} km"
        case "wait_days_max" if measured is not None:
            days = measured.wait_days
            return (
                f"full: a parcel would wait {days} days there, the rule allows {filters.wait_days_max}",
                f"if the rule allowed {days} days, or fewer parcels waited there",
            )
        case "parcels_max":
            return "the order already has as many parcels as allowed", "if the rule allowed one more parcel"
    return "its daily capacity is 0", "if it could send parcels"


def _passed_over(number: int, routed: Routed) -> tuple[str, str, str | None]:
    """Why an allowed location was not chosen: what the best plan with it would cost more."""
    problem = routed.posed.problem
    best = _worth(routed, routed.solution.chosen)
    forced = _with(routed, number)
    name = problem.locations[number]
    if forced is None:
        limit = problem.parcels_max
        return "superfluous", f"no plan with at most {limit} parcels uses it and fills as many units", None
    others = sorted(problem.locations[other] for other in forced.chosen if other != number)
    plan = f"with {name}{' and ' + ', '.join(others) if others else ' alone'}"
    if forced.filled < best.filled:
        return "dearer", f"{plan}: {forced.filled} units instead of {best.filled}", None
    groups = routed.rule.relaxed(routed.relaxed).groups
    for group, ours, theirs in zip(groups, best.sums, forced.sums, strict=True):
        if theirs > ours:
            more = Fraction(theirs - ours, group.factor)
            now, then = (_number(Fraction(value, group.factor), group) for value in (ours, theirs))
            why = f"{plan}: {_group_name(group)} {then} instead of {now}"
            return "dearer", why, _cheaper(group, more, routed.posed.measured[name])
        if theirs < ours:
            break
    return "superfluous", f"{plan} nothing is better; the plan is as good without it", None


def _group_name(group: Group) -> str:
    measures = [*group.per_location, *group.per_unit]
    if len(measures) == 1:
        return measures[0][0]
    return "weighted sum"


def _number(value: Fraction, group: Group) -> str:
    only_cost = [measure for measure, _ in (*group.per_location, *group.per_unit)] == ["cost"]
    if only_cost:
        return f"{float(value) / 100:.2f}"
    return f"{float(value):,.10g}"


def _cheaper(group: Group, more: Fraction, measured: Measured) -> str | None:
    """The value at which the location would be chosen, in one measure of the criterion that decided."""
    for measure, weight in group.per_location:
        now = getattr(measured, measure)
        bound = now - more * group.factor / weight
        if measure == "cost":
            if bound <= 0:
                return "not even if a parcel from there were free"
            return f"if a parcel from there cost less than {float(bound) / 100:.2f} (it costs {now / 100:.2f})"
        if measure in {"distance", "days", "wait_days", "late_days"} and bound > 0:
            unit = "km away" if measure == "distance" else measure.replace("_", " ")
            return f"if it were less than {ceil(bound):,} {unit}"
    return None


def _worth(routed: Routed, chosen: Sequence[int], problem: Problem | None = None) -> _Worth:
    """Units and the sum of each criterion, computed anew."""
    problem = problem or routed.posed.problem
    sums = [0] * len(routed.posed.vectors[0] if routed.posed.vectors else ())
    filled = 0
    for number in chosen:
        for group, value in enumerate(routed.posed.vectors[number]):
            sums[group] += value
    for sku, given in enumerate(units(problem, chosen)):
        filled += sum(given)
        for number, count in zip(chosen, given, strict=True):
            for group, value in enumerate(routed.posed.unit_vector(sku, number)):
                sums[group] += value * count
    return _Worth(filled, tuple(sums), tuple(chosen))


def _with(routed: Routed, number: int) -> _Worth | None:
    """The best plan that uses this location as much as possible; None if the limit leaves no room for it."""
    problem = routed.posed.problem
    limit = problem.parcels_max
    rest = [other for other in range(len(problem.locations)) if other != number]
    need = tuple(units_ - min(units_, row[number]) for units_, row in zip(problem.demand, problem.stock, strict=True))
    if limit is not None and limit <= 1:
        return _worth(routed, (number,))
    others = solve(
        Problem(
            tuple(problem.locations[other] for other in rest),
            problem.skus,
            need,
            tuple(tuple(row[other] for other in rest) for row in problem.stock),
            tuple(problem.fixed[other] for other in rest),
            None
            if problem.per_unit is None
            else tuple(tuple(row[other] for other in rest) for row in problem.per_unit),
            None if limit is None else limit - 1,
        )
    )
    return _worth(routed, tuple(sorted((number, *(rest[other] for other in others.chosen)))))


def _stock_changes(routed: Routed) -> list[str]:
    """The effect of more units of one SKU in one place: more units filled, fewer parcels, a better plan."""
    problem = routed.posed.problem
    best = _worth(routed, routed.solution.chosen)
    better = []
    for sku, wanted in enumerate(problem.demand):
        for number, name in enumerate(problem.locations):
            lacks = wanted - problem.stock[sku][number]
            if lacks <= 0:
                continue
            stock = tuple(
                tuple(wanted if (s, n) == (sku, number) else there for n, there in enumerate(row))
                for s, row in enumerate(problem.stock)
            )
            richer = problem._replace(stock=stock)
            found = _worth(routed, solve(richer).chosen, richer)
            if number not in found.chosen or (-found.filled, found.sums) >= (-best.filled, best.sums):
                continue
            places = ", ".join(sorted(problem.locations[one] for one in found.chosen))
            parcels = "one parcel" if len(found.chosen) == 1 else f"{len(found.chosen)} parcels"
            gained = found.filled - best.filled
            filled = f", {gained} {'unit' if gained == 1 else 'units'} more" if gained > 0 else ""
            text = f"with {lacks} more of {problem.skus[sku]} at {name}: {parcels} from {places}{filled}"
            better.append((-found.filled, found.sums, lacks, text))
    return [text for *_, text in sorted(better)[:CHANGES_TOLD]]
