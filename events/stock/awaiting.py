"""A line asks for units at any location: it gets them, joins the queue, or is told to try again as a whole.

    wait for 3, 5 are free                       -> StockReserved(3)
    wait for 3, 1 is free                        -> StockReserved(1), StockAwaited(2)
    wait for 3 as a whole, 1 is free             -> StockAwaited(3, offer); with 3 free later: StockOffered(3)
    wait for 3, 5 are at a location that has not
    answered yet whether it is registered        -> ReservationPostponed(3); answered once the location answers

A postponed question counts as not asked yet. If a parcel with its units leaves meanwhile, or a release comes, the SKU
remembers that until it answers the question.
"""

from events.ahead import use_up
from events.attempts import round_of
from events.envelope import Refused
from events.stock import carts
from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.state import Attempt, Postponed, Waiting


def ask(decision: Decision, data: c.AwaitStock) -> Refused | None:
    """Answer the question, or postpone the answer."""
    attempt = Attempt(data.order_id, data.line_id, data.attempt)
    if attempt in decision.stock.answered or attempt in decision.stock.postponed:
        return answered_already(attempt, data.sku)
    waiting = Waiting(data.quantity, data.placed_at, data.mode, data.for_channel, data.locations, data.not_at)
    if not _undecided(decision, waiting):
        _answer(decision, attempt, waiting, data.cart_id)
        return None
    decision.add(
        f.ReservationPostponed(
            sku=data.sku,
            quantity=data.quantity,
            order_id=data.order_id,
            line_id=data.line_id,
            attempt=data.attempt,
            placed_at=data.placed_at,
            mode=data.mode,
            for_channel=data.for_channel,
            locations=data.locations,
            cart_id=data.cart_id,
            not_at=data.not_at,
        )
    )
    return None


def answer_postponed(decision: Decision) -> None:
    """Answer postponed questions once their locations have answered, oldest order first."""
    stock = decision.stock
    if not stock.postponed or stock.registered is decision.before.registered:
        return
    for attempt, (waiting, cart_id) in sorted(stock.postponed.items(), key=_turn):
        if not _undecided(decision, waiting):
            _answer(decision, attempt, waiting, cart_id)


def _turn(item: tuple[Attempt, Postponed]) -> tuple[object, Attempt]:
    return item[1].waiting.placed_at, item[0]


def _undecided(decision: Decision, waiting: Waiting) -> bool:
    """Whether the answer depends on a location that may not be registered. It does not if others have enough units."""
    stock = decision.stock
    if None not in stock.registered.values():
        return False
    scope = set(stock.levels) - set(waiting.not_at)
    if waiting.mode == "grant_there":
        scope &= set(waiting.locations)
    free = hoped_for = 0
    for location_id in scope:
        level = stock.levels[location_id]
        free += level.free(waiting.for_channel)
        if stock.registered.get(location_id, True) is None:
            hoped_for += level.could_sell(waiting.for_channel)
    return hoped_for > 0 and free < waiting.quantity


def _answer(decision: Decision, attempt: Attempt, asked: Waiting, cart_id: str | None) -> None:
    sku = decision.stock.sku
    quantity = asked.quantity - left_before(decision, attempt, asked.quantity)
    if not quantity:
        return
    stock = decision.stock
    waiting = asked._replace(quantity=quantity)
    free = decision.free_for(waiting)
    mode = "offer" if asked.mode == "take" else asked.mode
    if mode == "offer":
        places = carts.locations(stock, cart_id) if cart_id else ()
        from_cart = sum(
            carts.free_with(stock, cart_id, place, asked.for_channel) - stock.level(place).free(asked.for_channel)
            for place in places
        )
        if asked.mode == "take" and free >= quantity:
            # The order did not find this stock in the tables, which may be behind. If told to try again, it might again
            # not find it. So reserve the units at once.
            decision.grant(attempt, waiting, quantity, waited=False)
            return
        if free + from_cart >= quantity:
            decision.offer(attempt, quantity)
            return
        # An order that waits as a whole releases the units of its other lines. Those units alone must not cause an
        # offer. Otherwise the order would try again, find the same stock, wait, and get an offer again, for ever.
        left = quantity + sum(
            held.quantity
            for holder, by_location in stock.reservations.items()
            if holder.order_id == attempt.order_id and holder.line_id != attempt.line_id
            for held in by_location.values()
        )
    else:
        left = quantity - carts.grant(decision, attempt, cart_id, quantity)
        left -= decision.grant(attempt, waiting, min(free, left), waited=False)
    if left:
        decision.add(
            f.StockAwaited(
                sku=sku,
                quantity=left,
                order_id=attempt.order_id,
                line_id=attempt.line_id,
                attempt=attempt.attempt,
                placed_at=asked.placed_at,
                mode=mode,
                for_channel=asked.for_channel,
                locations=asked.locations,
                not_at=asked.not_at,
            )
        )
        if mode == "offer":
            # The order may have been offered the free units and could not use them: offer them to others.
            decision.serve_queue(anew=True)


def left_before(decision: Decision, attempt: Attempt, quantity: int) -> int:
    """State how many of the requested units have already left with a parcel. Returns this number."""
    known = decision.stock.aheads.get(attempt[:2])
    if known is None:
        return 0
    _, units = use_up(known.left, round_of(attempt.attempt), quantity)
    if units:
        end(decision, attempt, units, shipped=True)
    return units


def end(decision: Decision, attempt: Attempt, quantity: int, *, shipped: bool = False) -> None:
    """End the wait for units. The place of an all-or-nothing order ends as a whole.

    `shipped`: the goods have left, perhaps before they were in the queue.
    """
    waiting = decision.stock.queue.get(attempt)
    if waiting is not None:
        quantity = waiting.quantity if waiting.mode == "offer" else min(quantity, waiting.quantity)
    decision.add(
        f.WaitEnded(
            sku=decision.stock.sku,
            quantity=quantity,
            order_id=attempt.order_id,
            line_id=attempt.line_id,
            attempt=attempt.attempt,
            shipped=shipped,
        )
    )


def answered_already(attempt: Attempt, sku: str) -> Refused:
    """The refusal of a question that was asked before, under another command id."""
    return Refused(
        code="conflict",
        what=f"no {sku} was reserved",
        detail=f"attempt {attempt.attempt} for {attempt.order_id}:{attempt.line_id} was already answered",
        hint="use a new attempt number",
    )
