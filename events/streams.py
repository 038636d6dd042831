"""The streams of each ledger topic: how their states begin, decide and evolve, and how they are written to a snapshot.

One row per topic. `ledger.service` holds several kinds of streams under one key space; their state keeps them apart.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from events.cases import commands as case_commands
from events.cases import facts as case_facts
from events.cases.decide import Case
from events.cases.decide import decide as decide_case
from events.cases.decide import evolve as evolve_case
from events.categories import commands as category_commands
from events.categories import facts as category_facts
from events.categories.decide import Category
from events.categories.decide import decide as decide_category
from events.categories.decide import evolve as evolve_category
from events.envelope import AnyCommand, Refused
from events.locations.decide import Location
from events.locations.decide import decide as decide_location
from events.locations.decide import evolve as evolve_location
from events.orders.decide import conclude as conclude_order
from events.orders.decide import decide as decide_order
from events.orders.evolve import evolve as evolve_order
from events.orders.state import Order
from events.refusal import CommandRefused
from events.routing import commands as routing_commands
from events.routing import facts as routing_facts
from events.routing.decide import RoutingRules
from events.routing.decide import decide as decide_routing
from events.routing.decide import evolve as evolve_routing
from events.stock.decide import conclude as conclude_stock
from events.stock.decide import decide as decide_stock
from events.stock.evolve import evolve as evolve_stock
from events.stock.state import StoredStock, empty, from_stored, to_stored


class About(NamedTuple):
    """What `evolve` may know of a fact's envelope."""

    channel: str
    occurred_at: datetime
    recorded_at: datetime


class Streams(NamedTuple):
    """The functions of one kind of streams. States are immutable; `encode` and `decode` are each other's inverse.

    `conclude` is what the writer calls: the facts that `decide` gives and the state that `evolve` makes of them, in one
    go, for a decider that states several facts has evolved already.

    `ids_kept_days` is how long the ids of channels' commands are remembered, in days of log time; None is for the life
    of the stream. Ids of the ledger's own commands are remembered for good either way.
    """

    begin: Callable[[str], Any]
    decide: Callable[[Any, AnyCommand], Sequence[Any] | Refused]
    conclude: Callable[[Any, AnyCommand], tuple[Sequence[Any], Any] | Refused]
    evolve: Callable[[Any, Any, About], Any]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    ids_kept_days: int | None = None


class Service(msgspec.Struct, frozen=True):
    """What stands under one key of the service topic."""

    case: Case | None = None
    location: Location | None = None
    routing: RoutingRules | None = None
    category: Category | None = None


_CASE_COMMANDS = (
    case_commands.OpenCase,
    case_commands.AddCaseNote,
    case_commands.AssignCase,
    case_commands.ResolveCase,
    case_commands.ReopenCase,
)
_CASE_FACTS = (
    case_facts.CaseOpened,
    case_facts.CaseNoteAdded,
    case_facts.CaseAssigned,
    case_facts.CaseResolved,
    case_facts.CaseReopened,
)


def _decide_service(state: Service, command: AnyCommand) -> Sequence[Any] | Refused:
    if isinstance(command.data, _CASE_COMMANDS):
        return decide_case(state.case, command)
    if isinstance(command.data, routing_commands.RoutingCommand):
        return decide_routing(state.routing, command)
    if isinstance(command.data, category_commands.CategoryCommand):
        return decide_category(state.category, command)
    return decide_location(state.location, command)


def _conclude_service(state: Service, command: AnyCommand) -> tuple[Sequence[Any], Service] | Refused:
    facts = _decide_service(state, command)
    if isinstance(facts, Refused):
        return facts
    for fact in facts:
        state = _evolve_service(state, fact, About(command.channel, command.occurred_at, command.recorded_at))
    return facts, state


def _evolve_service(state: Service, fact: Any, _: About) -> Service:
    if isinstance(fact, CommandRefused):
        return state
    if isinstance(fact, _CASE_FACTS):
        return replace(state, case=evolve_case(state.case, fact))
    if isinstance(fact, category_facts.CategoryFact):
        return replace(state, category=evolve_category(state.category, fact))
    if isinstance(fact, routing_facts.RoutingFact):
        return replace(state, routing=evolve_routing(state.routing, fact))
    return replace(state, location=evolve_location(state.location, fact))


_pack = msgspec.msgpack.Encoder().encode
_unpack_order = msgspec.msgpack.Decoder(Order | None).decode
_unpack_stock = msgspec.msgpack.Decoder(StoredStock).decode
_unpack_service = msgspec.msgpack.Decoder(Service).decode

#: By ledger topic, without any prefix.
STREAMS: Mapping[str, Streams] = {
    "ledger.orders": Streams(
        begin=lambda _: None,
        decide=decide_order,
        conclude=conclude_order,
        evolve=lambda state, fact, about: evolve_order(
            state, fact, channel=about.channel, occurred_at=about.occurred_at
        ),
        encode=_pack,
        decode=_unpack_order,
    ),
    "ledger.stock": Streams(
        begin=empty,
        decide=decide_stock,
        conclude=conclude_stock,
        evolve=lambda state, fact, about: evolve_stock(
            state, fact, occurred_at=about.occurred_at, recorded_at=about.recorded_at
        ),
        encode=lambda state: _pack(to_stored(state)),
        decode=lambda stored: from_stored(_unpack_stock(stored)),
        ids_kept_days=30,
    ),
    "ledger.service": Streams(
        begin=lambda _: Service(),
        decide=_decide_service,
        conclude=_conclude_service,
        evolve=_evolve_service,
        encode=_pack,
        decode=_unpack_service,
    ),
}
