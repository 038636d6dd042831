"""An order, the rules and the world → a plan, or why there is none.

    route(wanted, default_router(), world) -> Routed(rule=…, plan=Plan(parts, short), outcome="planned")

Fallbacks are taken as long as the rule leaves out units that are in stock. What nobody has is never a matter of rules:
it waits for stock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from processors.routing.book import ReadyRule, Router
from processors.routing.model import Availability, Need, Part, Plan, Solution, Wanted, World
from processors.routing.objective import Posed, Scene, kilometres, pose
from processors.routing.optimum import solve, units

#: planned: nothing that is in stock is left out. backorder: the rule leaves units out, and they wait. queue: the rule
#: leaves units out, nothing is reserved, a person decides.
Outcome = Literal["planned", "backorder", "queue"]


class Routed(NamedTuple):
    """A plan and how it came about. `relaxed`: what the fallbacks left away. `left_out`: units in stock that the rule
    leaves out. `wait_at`: the only locations that missing units may be granted at; None is any.
    """

    rule: ReadyRule
    relaxed: tuple[str, ...]
    posed: Posed
    solution: Solution
    plan: Plan
    outcome: Outcome
    left_out: int
    wait_at: tuple[str, ...] | None


def route(wanted: Wanted, router: Router, world: World) -> Routed:
    """The plan of the rule that is for the order."""
    rule = router.rule_for(wanted)
    stock = usable(wanted.needs, world.stock, wanted.excluded)
    there = _reachable(wanted.needs, stock)
    scene = Scene(router, wanted, world, stock)
    taken: tuple[str, ...] = ()
    steps = rule.steps
    while True:
        posed = pose(scene, rule.relaxed(taken))
        solution = solve(posed.problem)
        if solution.filled >= there or len(taken) == len(steps):
            break
        taken = steps[: len(taken) + 1]
    left_out = there - solution.filled
    outcome: Outcome = "planned"
    if left_out:
        outcome = "queue" if rule.last_resort == "queue" else "backorder"
    plan = _hand_out(wanted.needs, posed, solution)
    wait_at = _wait_at(rule.relaxed(taken), wanted, world, posed, solution) if plan.short else None
    return Routed(rule, taken, posed, solution, plan, outcome, left_out, wait_at)


def usable(
    needs: Sequence[Need], stock: Availability, excluded: Collection[tuple[str, str]]
) -> dict[str, dict[str, int]]:
    """Units above zero of the SKUs that are wanted, without the locations that have just refused."""
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
        # Any unit is as good as any other, so a line may take what keeps it whole.
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
        # A line stays whole where one of the chosen has enough of it.
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


def _wait_at(rule: ReadyRule, wanted: Wanted, world: World, posed: Posed, solution: Solution) -> tuple[str, ...] | None:
    """Where missing units may be granted. Filters that depend on the moment do not count: it will be another one."""
    limit = rule.parcels_max(wanted.value_minor)
    if limit is not None and solution.chosen and len(solution.chosen) >= limit:
        return tuple(posed.problem.locations[number] for number in solution.chosen)
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
