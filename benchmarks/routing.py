"""How many orders a second are routed, compared with two other solvers on the same problems.

    python -m benchmarks.routing --orders 2000 --json

Orders of 3 lines, 20 locations. `plenty`: every location has every SKU. `some`: three in ten. `scarce`: one in ten,
with few units, so that most orders are split. `orders_per_second` is the whole of routing: compute distances, days and
costs by the rules, make a problem, solve it, and make the plan. The other solvers get the prepared problems: compare
them with `solve_per_second`. `ratio_…` is ours divided by theirs, on one core. `milp` is scipy's HiGHS, exact; `greedy`
takes the location with the most units for the money until all is covered. `worse` counts their plans that cost more
than ours, `better` those that cost less (if there are any, the product is wrong).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from events.routing.rules import read_rules
from processors.routing.book import Router, default_router
from processors.routing.model import Need, Place, Problem, Wanted, World
from processors.routing.optimum import solve
from processors.routing.route import route

AT = datetime(2026, 11, 27, 18, tzinfo=UTC)
LOCATIONS, LINES, SKUS = 20, 3, 200
RULES = {
    "as shipped": default_router(),
    "cost": Router(read_rules('name = "c"\n[[rules]]\nname = "all"\ncriteria = ["cost", "parcels"]')),
    "weighted": Router(
        read_rules(
            'name = "w"\n[[rules]]\nname = "all"\n'
            "objective = { cost = 1, parcels = 100, distance = 0.5, late_days = 300, stock_out = 2 }"
        )
    ),
}
STOCK = {"plenty": (1.0, 50), "some": (0.3, 50), "scarce": (0.1, 3)}


def world_of(random: Random, share: float, units: int) -> World:
    places = {
        f"L{n:02}": Place(
            f"L{n:02}", random.uniform(45, 55), random.uniform(0, 15), random.randint(300, 900), "warehouse", "DE",
            random.choice((None, 500)),
        )
        for n in range(LOCATIONS)
    }  # fmt: skip
    stock = {
        f"S{n}": {name: random.randint(1, units) for name in places if random.random() < share} for n in range(SKUS)
    }
    weekly = {sku: {name: random.uniform(0.1, 5) for name in held} for sku, held in stock.items()}
    return World(stock, places, {name: random.randint(0, 900) for name in places}, {}, weekly)


def orders_of(random: Random, count: int) -> list[Wanted]:
    return [
        Wanted(
            f"o-{n}",
            tuple(Need(str(k), f"S{s}", random.randint(1, 3)) for k, s in enumerate(random.sample(range(SKUS), LINES))),
            AT,
            destination=(random.uniform(45, 55), random.uniform(0, 15)),
            due_by=AT + timedelta(days=random.randint(1, 6)),
            country="DE",
        )
        for n in range(count)
    ]


Value = tuple[int, int]
"""Units without a location, cost."""


def by_milp(problem: Problem) -> Value:
    """HiGHS: units come first, in one objective, with the product's weights."""
    places, skus = len(problem.locations), len(problem.skus)
    if not places:
        return sum(problem.demand), 0
    prices = np.array(problem.per_unit or [[0] * places] * skus, dtype=float)
    dear = float(sum(problem.fixed) + sum(d * max(row) for d, row in zip(problem.demand, prices, strict=True)) + 1)
    # Variables: units per SKU and location, then whether a location is used.
    weights = np.concatenate([(prices - dear).ravel(), np.array(problem.fixed, dtype=float)])
    rows, low, high = [], [], []
    for sku, wanted in enumerate(problem.demand):
        row = np.zeros(skus * places + places)
        row[sku * places : (sku + 1) * places] = 1
        rows.append(row)
        low.append(0.0)
        high.append(float(wanted))
        for place in range(places):
            row = np.zeros(skus * places + places)
            row[sku * places + place] = 1
            row[skus * places + place] = -float(problem.stock[sku][place])
            rows.append(row)
            low.append(-np.inf)
            high.append(0.0)
    upper = np.concatenate([np.array(problem.stock, dtype=float).ravel(), np.ones(places)])
    found = milp(
        weights,
        constraints=LinearConstraint(np.array(rows), low, high),
        integrality=np.ones(len(weights)),
        bounds=Bounds(0, upper),
        options={"mip_rel_gap": 0},
    )
    given = np.rint(found.x[: skus * places]).reshape(skus, places)
    used = np.rint(found.x[skus * places :])
    return (
        int(sum(problem.demand) - given.sum()),
        round(float((given * prices).sum() + (used * np.array(problem.fixed)).sum())),
    )


def by_greedy(problem: Problem) -> Value:
    """The location with the most units for the money, until all is covered."""
    need = list(problem.demand)
    cost, left = 0, list(range(len(problem.locations)))
    while any(need) and left:
        gains = {n: sum(min(k, row[n]) for k, row in zip(need, problem.stock, strict=True)) for n in left}
        best = max(left, key=lambda n: gains[n] / (problem.fixed[n] + 1))
        if not gains[best]:
            break
        left.remove(best)
        cost += problem.fixed[best]
        for sku, row in enumerate(problem.stock):
            given = min(need[sku], row[best])
            need[sku] -= given
            cost += given * (problem.per_unit[sku][best] if problem.per_unit else 0)
    return sum(need), cost


def timed(work: Callable[[Any], Any], things: list[Any]) -> tuple[float, list[Any]]:
    began = time.process_time()
    results = [work(one) for one in things]
    return time.process_time() - began, results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--milp-orders", type=int, default=100, help="orders for HiGHS; each takes milliseconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lines = []
    for stock_name, (share, units) in STOCK.items():
        for rules_name, router in RULES.items():
            random = Random(options.seed)
            world, orders = world_of(random, share, units), orders_of(random, options.orders)
            seconds, found = timed(partial(route, router=router, world=world), orders)
            problems = [one.posed.problem for one in found]
            ours = [
                (sum(p.demand) - one.solution.filled, one.solution.cost) for p, one in zip(problems, found, strict=True)
            ]
            # HiGHS computes in floating point: several criteria combined into one number are too large for it.
            peers: dict[str, tuple[Callable[[Problem], Value], int]] = {"greedy": (by_greedy, len(problems))}
            if rules_name == "weighted":
                peers["milp"] = (by_milp, options.milp_orders)
            solve_seconds, _ = timed(solve, problems)
            ours_per_second = len(problems) / solve_seconds
            line = {
                "stock": stock_name,
                "rules": rules_name,
                "orders_per_second": round(len(orders) / seconds),
                "solve_per_second": round(ours_per_second),
                "unproved": sum(one.plan.gap > 0 for one in found),
                "parcels": sum(len(one.solution.chosen) for one in found),
            }
            for name, (solver, count) in peers.items():
                peer_seconds, values = timed(solver, problems[:count])
                line[f"{name}_per_second"] = round(count / peer_seconds)
                line[f"ratio_{name}"] = round(ours_per_second / (count / peer_seconds), 2)
                line[f"{name}_worse"] = sum(v > o for v, o in zip(values, ours, strict=False))
                line[f"{name}_better"] = sum(v < o for v, o in zip(values, ours, strict=False))
            lines.append(line)
            if not options.json:
                print("  ".join(f"{key} {value}" for key, value in line.items()))
    if options.json:
        print(json.dumps({"orders": options.orders, "results": lines}))


if __name__ == "__main__":
    main()
