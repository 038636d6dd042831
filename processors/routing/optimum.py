"""The set of locations for an order: as many units as possible, and of such sets the cheapest.

    solve(Problem(locations, skus, demand, stock, fixed)) -> Solution(chosen=(0, 2), filled=3, cost=10)

A set costs `fixed` for each location that is used, and `per_unit` for each unit. Each unit comes from the cheapest
chosen location that has it. There are three ways to find the set:

1. If each location has all wanted units of a SKU or none (the usual order): a table over sets of SKUs. It is exact.
2. Otherwise: branch and bound over locations. It is exact, too. A branch is left out if its lower bound is not better
   than the best set so far. For this bound, each unit gets a price; prices are such that the units of a location never
   add up to more than the location costs (`_dual`).
3. After `NODES_MAX` nodes the search ends with the best set so far. `gap` is the most by which it may be too expensive.
"""

from __future__ import annotations

from collections.abc import Sequence

from processors.routing.model import Problem, Solution

#: The table is used up to this many SKUs: 2^10 sets per location. With more SKUs, branch and bound is faster.
TABLE_SKUS_MAX = 10
#: The same limit if units have their own costs: the table then tries every part of every set, 3^5.
TABLE_SKUS_MAX_PER_UNIT = 5

#: Most nodes of branch and bound. A node takes about 3 µs, so planning an order takes at most about 0.1 s. With fewer
#: nodes, more plans are not proved to be the best; with more, the next orders wait longer.
NODES_MAX = 30_000

#: With more locations than this, they are not compared pair by pair before the search, which would take long.
LOCATIONS_COMPARED_MAX = 200
#: With more locations than this, there is no search, because each location is a level of recursion.
LOCATIONS_SEARCHED_MAX = 300


def solve(problem: Problem) -> Solution:
    """The best set. Of equally good sets, the one with the first locations."""
    if not problem.locations or not problem.skus:
        return Solution((), 0, 0)
    target = [min(wanted, sum(row)) for wanted, row in zip(problem.demand, problem.stock, strict=True)]
    if not any(target):
        return Solution((), 0, 0)
    if problem.per_unit is None:
        single = _one_for_all(problem, target)
        if single is not None:
            return single
    masks = _masks(problem, target)
    if masks is not None:
        most = TABLE_SKUS_MAX if problem.per_unit is None else TABLE_SKUS_MAX_PER_UNIT
        found = _by_table(problem, target, masks, most)
        if found is not None:
            return found
    return _Search(problem, target).run()


def units(problem: Problem, chosen: Sequence[int]) -> list[list[int]]:
    """For each SKU, the units from each chosen location. The cheapest location gives first; of equals, the first."""
    allotted = []
    for number, (wanted, row) in enumerate(zip(problem.demand, problem.stock, strict=True)):
        order = chosen if problem.per_unit is None else sorted(chosen, key=problem.per_unit[number].__getitem__)
        left = wanted
        given = dict.fromkeys(chosen, 0)
        for location in order:
            given[location] = min(left, row[location])
            left -= given[location]
        allotted.append([given[location] for location in chosen])
    return allotted


def cost_of(problem: Problem, chosen: Sequence[int]) -> tuple[int, int]:
    """The units that the set fills, and their cost."""
    filled, cost = 0, sum(problem.fixed[location] for location in chosen)
    for number, given in enumerate(units(problem, chosen)):
        filled += sum(given)
        if problem.per_unit is not None:
            prices = problem.per_unit[number]
            cost += sum(count * prices[location] for count, location in zip(given, chosen, strict=True))
    return filled, cost


def _one_for_all(problem: Problem, target: list[int]) -> Solution | None:
    """A single location that has everything, if no set of cheaper locations can beat it."""
    fixed = problem.fixed
    rows = list(zip(target, problem.stock, strict=True))
    for location, price in enumerate(fixed):
        if all(row[location] >= wanted for wanted, row in rows):
            # Another set is a single later location, or costs at least as much as the two cheapest locations.
            if len(fixed) == 1 or location == 0 or fixed[0] + fixed[1] >= price:
                return Solution((location,), sum(target), price)
            return None
    return None


def _masks(problem: Problem, target: list[int]) -> list[int] | None:
    """For each location, the SKUs that it has completely, as bits. None if a location has only some units of a SKU."""
    masks = [0] * len(problem.locations)
    bit = 1
    for wanted, row in zip(target, problem.stock, strict=True):
        for location, there in enumerate(row):
            if there >= wanted:
                if wanted:
                    masks[location] |= bit
            elif there:
                return None
        bit <<= 1
    return masks


def _by_table(problem: Problem, target: list[int], masks: list[int], skus_max: int) -> Solution | None:
    limit = problem.parcels_max
    sums = list(target)
    prices = problem.per_unit
    if prices is None and len(target) > 1:
        masks, sums = _merged(masks, sums)
    if len(sums) > skus_max:
        return None
    # Locations are sorted by cost. Leave out a location if one before it has all that it has.
    entries: list[tuple[int, int, int]] = []
    for location, mask in enumerate(masks):
        if mask and not (prices is None and any(mask | other == other for other, _, _ in entries)):
            entries.append((mask, problem.fixed[location], location))
    layers = None if limit is None or limit >= len(sums) else limit
    if prices is not None:
        entries = _worth_their_price(problem, target, entries)
    if prices is None:
        best = _cover(entries, layers)
    else:
        best = _cover_by_unit(entries, [[t * p for p in row] for t, row in zip(target, prices, strict=True)], layers)
    left, cost, bits = min(
        (-sum(s for i, s in enumerate(sums) if mask >> i & 1), price, bits) for mask, (price, bits) in best.items()
    )
    return Solution(tuple(i for i in range(len(problem.locations)) if bits >> i & 1), -left, cost)


def _worth_their_price(
    problem: Problem, target: list[int], entries: list[tuple[int, int, int]]
) -> list[tuple[int, int, int]]:
    """Drop locations that, even with the cheapest units, cost more than the best plan of one parcel."""
    prices = problem.per_unit
    assert prices is not None
    everything = sum(1 << sku for sku, wanted in enumerate(target) if wanted)
    alone = [
        (price + sum(wanted * row[location] for wanted, row in zip(target, prices, strict=True)), location)
        for mask, price, location in entries
        if mask == everything
    ]
    if not alone:
        return entries
    cheapest = sum(
        wanted * min(row[location] for mask, _, location in entries if mask >> sku & 1)
        for sku, (wanted, row) in enumerate(zip(target, prices, strict=True))
        if wanted
    )
    dear, best = min(alone)
    return [entry for entry in entries if entry[2] == best or entry[1] + cheapest < dear]


def _merged(masks: list[int], sums: list[int]) -> tuple[list[int], list[int]]:
    """Merge SKUs that the same locations have. So an order of fifty lines becomes one of a few SKUs."""
    where: dict[int, int] = {}
    merged: list[int] = []
    number = [0] * len(sums)
    for sku in range(len(sums)):
        column = 0
        for location, mask in enumerate(masks):
            column |= (mask >> sku & 1) << location
        number[sku] = where.setdefault(column, len(where))
        if number[sku] == len(merged):
            merged.append(0)
        merged[number[sku]] += sums[sku]
    if len(merged) == len(sums):
        return masks, sums
    fewer = [0] * len(masks)
    for location, mask in enumerate(masks):
        for sku, to in enumerate(number):
            fewer[location] |= (mask >> sku & 1) << to
    return fewer, merged


_Table = dict[int, tuple[int, int]]
"""SKUs (as bits) → cost and locations (as bits) of the cheapest set that has at least these SKUs."""


def _cover(entries: list[tuple[int, int, int]], layers: int | None) -> _Table:
    if layers is None:
        best: _Table = {0: (0, 0)}
        for mask, price, location in entries:
            bit = 1 << location
            for have, (cost, bits) in list(best.items()):
                both = have | mask
                if both != have:
                    offer = (cost + price, bits | bit)
                    known = best.get(both)
                    if known is None or offer < known:
                        best[both] = offer
        return best
    best = {0: (0, 0)}
    last = best
    for _ in range(layers):
        layer: _Table = {}
        for have, (cost, bits) in last.items():
            for mask, price, location in entries:
                both = have | mask
                if both != have:
                    offer = (cost + price, bits | 1 << location)
                    known = layer.get(both)
                    if known is None or offer < known:
                        layer[both] = offer
        for both, offer in layer.items():
            if both not in best or offer < best[both]:
                best[both] = offer
        last = layer
    return best


def _cover_by_unit(entries: list[tuple[int, int, int]], prices: list[list[int]], layers: int | None) -> _Table:
    """Like `_cover`, for SKUs with a cost that depends on the location."""
    tables: list[_Table] = [{0: (0, 0)}]
    for mask, price, location in entries:
        parts = []
        part = mask
        while part:
            extra = sum(row[location] for sku, row in enumerate(prices) if part >> sku & 1)
            parts.append((part, price + extra))
            part = (part - 1) & mask
        for count in range(len(tables) - 1, -1, -1):
            if layers is not None and count == layers:
                continue
            known = tables[count]
            to = count if layers is None else count + 1
            if to == len(tables):
                tables.append({})
            table = tables[to]
            for have, (cost, bits) in list(known.items()):
                for part, extra in parts:
                    if not have & part:
                        offer = (cost + extra, bits | 1 << location)
                        other = table.get(have | part)
                        if other is None or offer < other:
                            table[have | part] = offer
    best: _Table = {}
    for table in tables:
        for have, offer in table.items():
            if have not in best or offer < best[have]:
                best[have] = offer
    return best


class _Search:
    """Branch and bound. A set's value is (unfilled units) x `dear` + cost; the lowest value is best.

    `dear` is larger than any cost, so filling one more unit always matters more than the cost.
    """

    def __init__(self, problem: Problem, target: list[int]) -> None:
        self.problem = problem
        self.target = target
        self.prices = problem.per_unit
        skus = range(len(target))
        self.rows = [[min(there, target[sku]) for there in problem.stock[sku]] for sku in skus]
        self.fixed = problem.fixed
        most = sum(problem.fixed)
        if self.prices is not None:
            most += sum(wanted * max(row) for wanted, row in zip(target, self.prices, strict=True))
        self.dear = most + 1
        useful = [sum(row[location] for row in self.rows) for location in range(len(self.fixed))]
        self.useful = useful
        # Cheap locations with many units come first. So good sets are found early, and bad branches are left out early.
        self.order = sorted(
            (location for location in range(len(self.fixed)) if useful[location]),
            key=lambda location: (self.fixed[location] / useful[location], location),
        )
        self._leave_out()
        self.limit = len(self.order) if problem.parcels_max is None else min(problem.parcels_max, len(self.order))
        self.columns = [[row[location] for row in self.rows] for location in range(len(self.fixed))]
        self.after = self._suffix_sums()
        self.largest = self._suffix_largest()
        self.price = self._dual()
        self.base = 0 if self.prices is None else self._cheapest_units()
        self.nodes = 0
        self.best: tuple[int, int] = (sum(target) * self.dear, 0)

    def _leave_out(self) -> None:
        """Drop a location if a cheaper one has all wanted units of every SKU that it has."""
        if len(self.order) > LOCATIONS_COMPARED_MAX:
            return
        kept: list[int] = []
        for location in sorted(self.order):
            has = [sku for sku, row in enumerate(self.rows) if row[location]]
            if not any(self._replaces(other, location, has) for other in kept):
                kept.append(location)
        known = set(kept)
        self.order = [location for location in self.order if location in known]

    def _replaces(self, other: int, location: int, has: list[int]) -> bool:
        if any(self.rows[sku][other] < self.target[sku] for sku in has):
            return False
        return self.prices is None or all(self.prices[sku][other] <= self.prices[sku][location] for sku in has)

    def _suffix_sums(self) -> list[list[int]]:
        sums = [[0] * len(self.target)]
        for location in reversed(self.order):
            sums.append([have + more for have, more in zip(sums[-1], self.columns[location], strict=True)])
        return sums[::-1]

    def _suffix_largest(self) -> list[int]:
        largest = [0]
        for location in reversed(self.order):
            largest.append(max(largest[-1], self.useful[location]))
        return largest[::-1]

    def _dual(self) -> list[int]:
        """A price for each unit, such that the units of a location never add up to more than the location costs.

        So the prices of the needed units add up to a lower bound of the cost. Prices start equal and are then raised,
        one SKU after the other. They are rounded down, which keeps the bound low enough.
        """
        price = [0] * len(self.target)
        slack = list(self.fixed)
        each = min((self.fixed[location] // self.useful[location] for location in self.order), default=0)
        for sku in range(len(self.target)):
            price[sku] = each
        for location in self.order:
            slack[location] -= each * self.useful[location]
        scarce = sorted(range(len(self.target)), key=lambda sku: sum(1 for there in self.rows[sku] if there))
        for sku in scarce:
            row = self.rows[sku]
            more = min((slack[location] // row[location] for location in self.order if row[location]), default=0)
            if more > 0:
                price[sku] += more
                for location in self.order:
                    slack[location] -= more * row[location]
        return price

    def _cheapest_units(self) -> int:
        """The lowest possible cost of all units (`per_unit`)."""
        assert self.prices is not None
        total = 0
        for wanted, row, prices in zip(self.target, self.rows, self.prices, strict=True):
            left = wanted
            for price, there in sorted(zip(prices, row, strict=True)):
                given = min(left, there)
                total += given * price
                left -= given
        return total

    def run(self) -> Solution:
        for chosen in (self._greedy(), self.order if self.limit >= len(self.order) else []):
            self._offer(sum(1 << location for location in chosen))
        need = list(self.target)
        root = self._bound(0, need, 0, 0)
        complete = len(self.order) <= LOCATIONS_SEARCHED_MAX and self._descend(0, need, 0, 0, 0)
        complete = complete or self.best[0] <= root
        value, bits = self.best
        chosen_now = tuple(location for location in range(len(self.fixed)) if bits >> location & 1)
        filled, cost = cost_of(self.problem, chosen_now)
        return Solution(chosen_now, filled, cost, 0 if complete else max(0, value - root))

    def _greedy(self) -> list[int]:
        """Add the location with most new units for its cost, again and again. Then drop locations that add nothing."""
        need = list(self.target)
        taken: list[int] = []
        left = list(self.order)
        while len(taken) < self.limit and any(need):
            best, ratio = -1, 0.0
            for location in left:
                gain = sum(min(n, c) for n, c in zip(need, self.columns[location], strict=True))
                if gain and (best < 0 or gain / (self.fixed[location] + 1) > ratio):
                    best, ratio = location, gain / (self.fixed[location] + 1)
            if best < 0:
                break
            left.remove(best)
            taken.append(best)
            need = [max(0, n - c) for n, c in zip(need, self.columns[best], strict=True)]
        short = sum(need)
        for location in sorted(taken, reverse=True):
            fewer = [other for other in taken if other != location]
            if self._short(fewer) == short:
                taken = fewer
        return taken

    def _short(self, chosen: Sequence[int]) -> int:
        return sum(
            max(0, wanted - sum(row[location] for location in chosen))
            for wanted, row in zip(self.target, self.rows, strict=True)
        )

    def _offer(self, bits: int) -> None:
        chosen = [location for location in range(len(self.fixed)) if bits >> location & 1]
        filled, cost = cost_of(self.problem, chosen)
        value = ((sum(self.target) - filled) * self.dear + cost, bits)
        self.best = min(self.best, value)

    def _bound(self, place: int, need: list[int], cost: int, count: int) -> int:
        """A lower bound of the value of all sets that continue from here."""
        left = self.limit - count
        reach = 0
        priced = 0
        short = 0
        for wanted, there, price in zip(need, self.after[place], self.price, strict=True):
            if wanted:
                can = min(wanted, there)
                reach += can
                priced += can * price
                short += wanted - can
        most = left * self.largest[place]
        if reach > most:
            # Some of the units with a price cannot be filled, so only the unfilled units count.
            return (short + reach - most) * self.dear + cost
        return short * self.dear + cost + priced + (0 if short else self.base)

    def _descend(self, place: int, need: list[int], cost: int, count: int, bits: int) -> bool:
        """Try all sets that continue from here. False if there were more than `NODES_MAX` nodes."""
        self.nodes += 1
        if self.nodes > NODES_MAX:
            return False
        if not any(need):
            self._offer(bits)
            if self.prices is None:
                return True
        if place == len(self.order) or count == self.limit:
            self._offer(bits)
            return True
        if self._bound(place, need, cost, count) >= self.best[0]:
            return True
        location = self.order[place]
        column = self.columns[location]
        complete = True
        if self.prices is not None or any(n and c for n, c in zip(need, column, strict=True)):
            rest = [n - c if n > c else 0 for n, c in zip(need, column, strict=True)]
            complete = self._descend(place + 1, rest, cost + self.fixed[location], count + 1, bits | 1 << location)
        return self._descend(place + 1, need, cost, count, bits) and complete
