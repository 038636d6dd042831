"""A decision in progress about a SKU: the facts so far, the stock after them, and the lines served from it."""

from collections.abc import Collection, Sequence

from events.envelope import About, Command
from events.stock import commands as c
from events.stock import facts as f
from events.stock.evolve import evolve
from events.stock.lapsing import lapsed
from events.stock.restating import restated
from events.stock.state import NOTHING, Attempt, Level, Stock, Waiting, turn


class Decision:
    """Collects facts; `stock` is always the state after the last of them."""

    def __init__(self, stock: Stock, command: Command[c.StockCommand]) -> None:
        self.before = stock
        self._served = stock
        self._lapses = 0
        self.stock = stock
        self.command = command
        self.facts: list[f.StockFact] = []
        self._about = About.of(command)

    def add(self, fact: f.StockFact) -> None:
        """State one more fact. If an applied count had already included its movement, also restate the count."""
        before = self.stock.levels
        self.stock = evolve(self.stock, fact, self._about)
        self.facts.append(fact)
        if isinstance(fact, f.StockReserved):  # the most frequent fact; it moves no units, so no count changes
            return
        for location_id, level in self.stock.levels.items():
            if level.counts and level is not before.get(location_id):
                count = restated(fact, self.command, location_id, before.get(location_id, NOTHING), level)
                if count is not None:
                    self.add(count)

    @property
    def says_nothing(self) -> bool:
        """Whether there are no facts yet, apart from those of expired reservations."""
        return len(self.facts) == self._lapses

    def lapse(self) -> None:
        """State expired reservations and give their units to the queue.

        This comes before the answer to the command, so that expired reservations do not count in it. If the command is
        refused, none of this is stated, and the next decision finds the same reservations again.
        """
        for hold in lapsed(self.stock.lapsing, self.command.recorded_at):
            attempt = Attempt(*hold.holder)
            reservation = self.stock.reservations[attempt][hold.location_id]
            self.add(
                f.ReservationExpired(
                    sku=self.stock.sku,
                    location_id=hold.location_id,
                    quantity=reservation.quantity,
                    order_id=attempt.order_id,
                    line_id=attempt.line_id,
                    attempt=attempt.attempt,
                    for_order=reservation.for_order,
                    expires_at=reservation.expires_at,
                )
            )
        if self.facts:
            self.serve_queue()
        self._served = self.stock
        self._lapses = len(self.facts)

    def serve_queue(self, *, anew: bool = False) -> None:
        """Give units that became free to waiting lines, in the order of the queue.

        `anew`: also give away units that were free before, because an order did not take its offer.
        """
        before = self._served.levels
        if not self.stock.queue:
            return
        if anew:
            if not any(level.available > 0 for level in self.stock.levels.values()):
                return
        elif not any(
            level.available > before.get(location_id, NOTHING).available
            or level.chain != before.get(location_id, NOTHING).chain
            or level.registered != before.get(location_id, NOTHING).registered
            for location_id, level in self.stock.levels.items()
            if level is not before.get(location_id)
        ):
            return
        # Units that are offered to an all-or-nothing order here. The same decision gives them to no younger line.
        promised = 0
        # Locations where units have just arrived. A line that such a location rejected may have these new units.
        fresh = {
            location_id
            for location_id, level in self.stock.levels.items()
            if level.on_hand > before.get(location_id, NOTHING).on_hand
        }
        queue = sorted(self.stock.queue.items(), key=turn)
        for attempt, waiting in queue:
            free = self.free_for(waiting, fresh) - promised
            if free <= 0 and not promised and not any(level.available > 0 for level in self.stock.levels.values()):
                return
            if waiting.mode == "offer":
                if free >= waiting.quantity:
                    promised += waiting.quantity
                    self.offer(attempt, waiting.quantity)
            else:
                self.grant(attempt, waiting, min(waiting.quantity, free), waited=True, fresh=fresh)

    def free_for(self, waiting: Waiting, fresh: Collection[str] = ()) -> int:
        """Units that a waiting line may have. A location that rejected the line counts only if it is `fresh`."""
        return sum(
            level.free(waiting.for_channel)
            for location_id, level in self.stock.levels.items()
            if location_id not in waiting.not_at or location_id in fresh
        )

    def offer(self, attempt: Attempt, quantity: int) -> None:
        """Tell an order that waits as a whole to try again."""
        self.add(
            f.StockOffered(
                sku=self.stock.sku,
                quantity=quantity,
                order_id=attempt.order_id,
                line_id=attempt.line_id,
                attempt=attempt.attempt,
            )
        )

    def grant(
        self, attempt: Attempt, waiting: Waiting, quantity: int, *, waited: bool, fresh: Collection[str] = ()
    ) -> int:
        """Reserve up to `quantity` units, first at the preferred locations. Returns the number of units reserved."""
        named = set(waiting.locations)
        others = [] if waiting.mode == "grant_there" else sorted(set(self.stock.levels) - named)
        left = quantity
        for location_id in (*waiting.locations, *others):
            if location_id in waiting.not_at and location_id not in fresh:
                continue
            units = min(left, self.stock.level(location_id).free(waiting.for_channel))
            if units <= 0:
                continue
            left -= units
            self.add(
                f.StockReserved(
                    sku=self.stock.sku,
                    location_id=location_id,
                    quantity=units,
                    order_id=attempt.order_id,
                    line_id=attempt.line_id,
                    attempt=attempt.attempt,
                    waited=waited,
                    for_order=True,
                )
            )
        return quantity - left

    def changed_levels(self) -> list[tuple[str, Level, Level]]:
        """Where this decision changed a level: the location, the level before and now."""
        before = self.before.levels
        return [
            (location_id, before.get(location_id, NOTHING), level)
            for location_id, level in self.stock.levels.items()
            if level is not before.get(location_id)
        ]

    def report_levels(self, changed: Sequence[tuple[str, Level, Level]]) -> None:
        """State the locations where available units fell below 0 or to the reorder point."""
        cause = type(self.facts[min(self._lapses, len(self.facts) - 1)]).__name__ if self.facts else ""
        for location_id, before, level in changed:
            available = level.available
            if available < 0 and available < before.available:
                self.add(
                    f.StockShortfallFound(sku=self.stock.sku, location_id=location_id, available=available, cause=cause)
                )
            if level.low and not before.low and level.reorder_point is not None:
                self.add(
                    f.LowStockDetected(
                        sku=self.stock.sku,
                        location_id=location_id,
                        available=available,
                        reorder_point=level.reorder_point,
                    )
                )
