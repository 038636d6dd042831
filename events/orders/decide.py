"""The decider of orders: the facts of a command, or a refusal. Pure; it refuses first, then states the facts.

    decide(None, place_order) -> [OrderPlaced]
    decide(order, cancel_of_a_shipped_unit) -> Refused(at_most=0)

Each thing that can happen to an order has a module: its commands, its facts, its rules, and the functions that make the
new state. `commands.py` and `facts.py` list all commands and facts, and call these functions.
"""

from collections.abc import Sequence
from typing import cast

from events.envelope import About, Command, Refused
from events.orders import commands as c
from events.orders import facts as f
from events.orders import holding, placing, queueing
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder
from events.orders.state import Order

#: After these commands, an all-or-nothing order is checked: it may be complete, or has to be sourced further.
_CHANGING = frozenset({
    c.CancelOrder,
    c.CancelOverdueLines,
    c.AmendOrder,
    c.DispatchShipment,
    c.RetractDispatch,
    c.ReplaceShipment,
    c.ResolveQueued,
    c.RequestReturn,
    c.WithdrawReturn,
})  # fmt: skip


def decide(order: Order | None, command: Command[c.OrderCommand]) -> Sequence[f.OrderFact] | Refused:
    """The facts of the command in this state; empty if an internal command has nothing new to say."""
    answer = conclude(order, command)
    return answer if isinstance(answer, Refused) else answer[0]


def conclude(
    order: Order | None, command: Command[c.OrderCommand]
) -> tuple[Sequence[f.OrderFact], Order | None] | Refused:
    """Like `decide`, but also returns the state after the facts, which deciding computes anyway."""
    data = command.data
    if isinstance(data, c.PlaceOrder):
        placed = placing.place(order, data, command)
        if isinstance(placed, Refused):
            return placed
        return (placed,), f.evolve(None, placed, About.of(command))
    if order is None:
        return Refused(
            code="unknown",
            what=f"there is no order {data.order_id}",
            detail=f"{type(data).__name__} came before its PlaceOrder, or order_id is wrong",
            hint="send PlaceOrder first; check order_id",
        )
    decision = Decision(order, command, _evolved)
    refused = c.answer(decision, data)
    if refused is not None:
        return refused
    if type(data) in _CHANGING:
        decision.go_on_in_turn()
        holding.stand_still(decision)
    if decision.order.queues:
        queueing.end_what_is_over(decision)
    if decision.order.fully_allocated and not order.fully_allocated:
        held = [hold for line in decision.order.lines.values() for hold in line.holds]
        decision.add(
            f.OrderAllocated(
                order_id=order.order_id,
                units=sum(hold.quantity for hold in held),
                parcels=len({hold.location_id for hold in held}),
            )
        )
    return cast(Sequence[f.OrderFact], decision.facts), decision.order


def _evolved(order: Order, fact: FactOfOrder, about: About) -> Order:
    """`evolve` for a decision in progress. A test checks that every fact of an order is in `OrderFact`."""
    after = f.evolve(order, cast(f.OrderFact, fact), about)
    assert after is not None
    return after
