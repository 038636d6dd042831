"""A decision in progress about a SKU: the facts so far, the stock after them, and the lines served from it."""

from collections.abc import Collection

from events.envelope import About, Command
from events.stock import commands as c
from events.stock import facts as f
from events.stock.evolve import evolve
from events.stock.lapsing import lapsed
from events.stock.restating import restated
from events.stock.state import NOTHING, Attempt, Stock, Waiting, turn


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
        """State one more fact, and restate counts that had already included its movement."""
        before = self.stock.levels
        self.stock = evolve(self.stock, fact, self._about)
        self.facts.append(fact)
        if isinstance(fact, f.StockReserved):  # the most frequent one, and it moves nothing
            return
        for location_id, level in self.stock.levels.items():
            if level.counts and level is not before.get(location_id):
                count = restated(fact, self.command, location_id, before.get(location_id, NOTHING), level)
                if count is not None:
                    self.add(count)

    @property
    def says_nothing(self) -> bool:
        """Whether the command has added no facts to the expired reservations."""
        return len(self.facts) == self._lapses

    def lapse(self) -> None:
        """State expired reservations and give their units to the queue, so that the decision does not count them.

        This comes before the answer to the command. If the command is refused, none of it is stated: the next decision
        finds them again.
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
        """Give units that became free to waiting lines: by time of the order, then order, then line.

        `anew`: also units that were free before, because an order did not take its offer.
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
        # Units offered to an all-or-nothing order are not given to a younger line in the same decision.
        promised = 0
        # Units that have just arrived are not the ones that a location could not find. So rejected lines get them, too.
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
        """Units that a waiting line may have: none at locations that rejected it, unless these are `fresh`."""
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
        """Reserve up to `quantity` units, preferred locations first (or only these). Returns the units reserved."""
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

    def report_levels(self) -> None:
        """State where available fell below 0, and where it fell to the reorder point."""
        cause = type(self.facts[min(self._lapses, len(self.facts) - 1)]).__name__ if self.facts else ""
        for location_id, level in self.stock.levels.items():
            before = self.before.level(location_id)
            if level is before:
                continue
            if level.available < min(0, before.available):
                self.add(
                    f.StockShortfallFound(
                        sku=self.stock.sku, location_id=location_id, available=level.available, cause=cause
                    )
                )
            if level.low and not before.low and level.reorder_point is not None:
                self.add(
                    f.LowStockDetected(
                        sku=self.stock.sku,
                        location_id=location_id,
                        available=level.available,
                        reorder_point=level.reorder_point,
                    )
                )
