"""An order, the rules and the world → a plan, or why there is none.

    route(wanted, default_router(), world) -> Routed(rule=…, plan=Plan(parts, short), outcome="planned")

Fallbacks are applied as long as the rule leaves out units that are in stock. Units that no location has are no matter
of rules: they wait for stock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from processors.routing.book import ReadyRule, Router
from processors.routing.model import Availability, Need, Part, Plan, Problem, Solution, Wanted, World
from processors.routing.objective import Looked, Posed, Scene, first_has_all, kilometres, look, pose
from processors.routing.optimum import solve, units

#: Locations named in a reason. More would fill the screen.
NAMES_MAX = 10

#: planned: no unit in stock is left out. backorder: the rule leaves units out, and they wait. queue: the rule leaves
#: units out, nothing is reserved, and a person decides.
Outcome = Literal["planned", "backorder", "queue"]


class Routed(NamedTuple):
    """A plan and how it was found. `relaxed`: the limits that the fallbacks dropped. `left_out`: units in stock that
    the rule leaves out. `wait_at`: the only locations where missing units may be reserved; None means any, or that no
    unit is missing. `solved`: the problem and its solution; None if it did not have to be solved.
    """

    rule: ReadyRule
    relaxed: tuple[str, ...]
    scene: Scene
    plan: Plan
    outcome: Outcome
    left_out: int
    wait_at: tuple[str, ...] | None
    solved: tuple[Posed, Solution] | None

    @property
    def posed(self) -> Posed:
        """The problem, for those who explain the plan."""
        return pose(self.scene, self.rule.relaxed(self.relaxed)) if self.solved is None else self.solved[0]

    @property
    def solution(self) -> Solution:
        """The solution of `posed`."""
        return solve(self.posed.problem) if self.solved is None else self.solved[1]


def route(wanted: Wanted, router: Router, world: World) -> Routed:
    """The plan of the rule that applies to the order."""
    if wanted.destination is None and wanted.country in router.book.centres:
        wanted = wanted._replace(destination=router.book.centres[wanted.country])
    rule = router.rule_for(wanted)
    scene = Scene(router, wanted, world, usable(wanted.needs, world.stock, wanted.excluded))
    looked = look(scene, rule)
    first = first_has_all(scene, rule, looked)
    if first is None:
        return _solved(scene, rule, looked)
    parts = tuple(Part(line_id, sku, first, units) for line_id, sku, units in wanted.needs if units)
    return Routed(rule, (), scene, Plan(parts, ()), "planned", 0, None, None)


def _solved(scene: Scene, rule: ReadyRule, looked: Looked) -> Routed:
    wanted = scene.wanted
    there = _reachable(wanted.needs, scene.stock)
    taken: tuple[str, ...] = ()
    steps = rule.steps
    posed = pose(scene, rule, looked)
    while True:
        solution = solve(posed.problem)
        if solution.filled >= there or len(taken) == len(steps):
            break
        taken = steps[: len(taken) + 1]
        posed = pose(scene, rule.relaxed(taken))
    left_out = there - solution.filled
    outcome: Outcome = "planned"
    if left_out:
        outcome = "queue" if rule.last_resort == "queue" else "backorder"
    plan = _hand_out(wanted.needs, posed, solution)
    found = Routed(rule, taken, scene, plan, outcome, left_out, None, (posed, solution))
    return found._replace(wait_at=allowed_at(found, wanted, scene.world)) if plan.short else found


def why_left_out(wanted: Wanted, found: Routed) -> tuple[str, str]:
    """Why units in stock have no location: in one word, and in a sentence for the person who decides."""
    problem, rule = found.posed.problem, found.rule.relaxed(found.relaxed)
    asked = ", ".join(f"{units} × {sku}" for sku, units in zip(problem.skus, problem.demand, strict=True))
    limit = rule.parcels_max(wanted.value_minor)
    reach = sum(min(units, sum(row)) for units, row in zip(problem.demand, problem.stock, strict=True))
    if limit is not None and reach > found.solution.filled:
        if limit > 1:
            return "parcels_max", f'rule "{rule.name}" allows {limit} parcels, and {asked} would need more'
        lacks = [
            (sum(short for _, short in missing), name, missing)
            for number, name in enumerate(problem.locations)
            if (missing := _missing(problem, number))
        ]
        _, name, missing = min(lacks, key=lambda row: row[:2])
        nearest = f"{name} lacks {', '.join(f'{short} × {sku}' for sku, short in missing)}"
        return "no_split", f'rule "{rule.name}" allows no split, and no location has all of {asked}; {nearest}'
    kept_out: dict[str, list[str]] = {}
    for name, why in sorted({**found.posed.failures, **_by_place(found.posed.failed_units)}.items()):
        kept_out.setdefault(why, []).append(name)
    told = "; ".join(f"{why} excludes {', '.join(names[:NAMES_MAX])}" for why, names in sorted(kept_out.items()))
    return "filtered", f'rule "{rule.name}" leaves no location for all of {asked}: {told}'


def _missing(problem: Problem, location: int) -> list[tuple[str, int]]:
    return [
        (sku, units - row[location])
        for sku, units, row in zip(problem.skus, problem.demand, problem.stock, strict=True)
        if row[location] < units
    ]


def _by_place(failed: Mapping[tuple[str, str], str]) -> dict[str, str]:
    return {location_id: why for (_, location_id), why in failed.items()}


def usable(
    needs: Sequence[Need], stock: Availability, excluded: Collection[tuple[str, str]]
) -> dict[str, dict[str, int]]:
    """Units above zero of the wanted SKUs, without the locations that have just refused."""
    found: dict[str, dict[str, int]] = {}
    for need in needs:
        if need.sku not in found:
            found[need.sku] = {name: there for name, there in stock.get(need.sku, {}).items() if there > 0}
    if excluded:
        sku_of_line = {need.line_id: need.sku for need in needs}
        for line_id, location_id in excluded:
            if line_id in sku_of_line:
                found[sku_of_line[line_id]].pop(location_id, None)
    return found


def _reachable(needs: Sequence[Need], stock: Mapping[str, Mapping[str, int]]) -> int:
    """Units that all locations together could give."""
    demand: dict[str, int] = {}
    for need in needs:
        demand[need.sku] = demand.get(need.sku, 0) + need.quantity
    return sum(min(wanted, sum(stock[sku].values())) for sku, wanted in demand.items())


def _hand_out(needs: Sequence[Need], posed: Posed, solution: Solution) -> Plan:
    problem = posed.problem
    names = [problem.locations[number] for number in solution.chosen]
    if problem.per_unit is None:
        # All units of a SKU are equal, so a line may take those that keep it whole.
        held = {
            sku: {problem.locations[number]: row[number] for number in solution.chosen}
            for sku, row in zip(problem.skus, problem.stock, strict=True)
        }
    else:
        allotted = units(problem, solution.chosen)
        held = {sku: dict(zip(names, given, strict=True)) for sku, given in zip(problem.skus, allotted, strict=True)}
    parts: list[Part] = []
    short: list[Need] = []
    for line_id, sku, quantity in needs:
        there = held[sku]
        left = quantity
        # A line stays whole if one of the chosen locations has enough.
        whole = next((name for name in names if there[name] >= left), None)
        for name in names if whole is None else (whole,):
            given = min(left, there[name])
            if given > 0:
                there[name] -= given
                left -= given
                parts.append(Part(line_id, sku, name, given))
            if not left:
                break
        if left:
            short.append(Need(line_id, sku, left))
    return Plan(tuple(parts), tuple(short), solution.gap)


def allowed_at(found: Routed, wanted: Wanted, world: World) -> tuple[str, ...] | None:
    """The only locations where units missing from the plan may be reserved later; None means any.

    Filters that depend on time do not count: they will have changed by then.
    """
    rule = found.rule.relaxed(found.relaxed)
    limit = rule.parcels_max(wanted.value_minor)
    used = {*wanted.held_at, *(found.posed.problem.locations[number] for number in found.solution.chosen)}
    if limit is not None and used and len(used) >= limit:
        return tuple(sorted(used))
    filters = rule.filters
    if not rule.static and not filters.same_country and filters.distance_km_max is None:
        return None
    farthest = filters.distance_km_max
    return tuple(
        sorted(
            place.location_id
            for place in world.places.values()
            if rule.place_failure(place, wanted.country) is None
            and (farthest is None or kilometres(place, wanted.destination) <= farthest)
        )
    )
