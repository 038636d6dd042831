"""`order-ledger route | what-if`: why a location ships an order, and a comparison with other rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from gateway.cli.context import SEED_MAX, days, open_database
from gateway.cli.imports import Decimal
from gateway.cli.rules import read_file
from gateway.cli.terminal import fail, grid, print_grid, print_json, say
from gateway.connectors.connector import Request
from gateway.connectors.table import connector_of
from gateway.reading.routing import (
    History,
    Now,
    read_history,
    read_now,
    read_scenario,
    scenario_order,
    scenario_places,
)
from processors.reactions.lookups import read_router
from processors.routing.book import Router, default_router
from processors.routing.explain import Explanation, explain, parcels_cost_minor
from processors.routing.model import World
from processors.routing.whatif import Past, Totals, rerun
from processors.worker import resolve
from projections.routing.reader import read_rules_rows

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

#: Up to this many locations without stock have a line each; more share one line.
EMPTY_TOLD_MAX = 3

_STATUS = {
    "chosen": "chosen",
    "dearer": "not chosen",
    "superfluous": "not needed",
    "filtered": "not allowed",
    "no_stock": "no stock",
}


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("route", epilog="Example: order-ledger route A-1001 --explain")(route_command)
    app.command("what-if", epilog="Example: order-ledger what-if --rules peak.toml --from 2026-11-23 --to 2026-11-29")(
        what_if_command
    )


def route_command(
    order_id: Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order's id.")],
    *,
    explained: Annotated[bool, typer.Option("--explain", help="Say why each location was chosen or not.")] = False,
    rules: Annotated[Path | None, typer.Option(help="Route by the rules of this file (TOML).")] = None,
    stock: Annotated[
        Path | None, typer.Option(help="Use the stock (and locations, and the order) of this file (JSON).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Route an order by the present rules and stock, or by those of given files. Changes nothing."""
    router = None if rules is None else Router(read_file(rules)[0])
    now = _situation(order_id, router, stock)
    found = explain(now.wanted, router or now.router, now.world)
    if as_json:
        print_json(_document(found, now, router or now.router, rules))
    else:
        _tell(found, now, router or now.router, rules, explained=explained)


def _situation(order_id: str, router: Router | None, stock: Path | None) -> Now:
    scenario = None if stock is None else read_scenario(stock)
    places = None if scenario is None else scenario_places(scenario)
    brought = None if scenario is None else scenario_order(scenario)
    if scenario is not None and brought is not None and brought.order_id != order_id:
        fail(f"no order {order_id} in {stock}", f"the file has the order {brought.order_id}", "use this id")
    if scenario is not None and brought is not None and places is not None:
        world = World(scenario.stock, places, scenario.waiting or {}, {}, scenario.weekly or {})
        return Now(brought, world, router or default_router(), again=False)
    with open_database() as connection:
        now = read_now(connection, order_id)
    if now is None:
        fail(
            f"no order {order_id}",
            "no fact of such an order has reached the tables",
            "check the id and its upper and lower case; `order-ledger settle` waits until the tables are complete",
        )
    if scenario is None:
        return now
    world = World(
        scenario.stock,
        now.world.places if places is None else places,
        now.world.waiting if scenario.waiting is None else scenario.waiting,
        now.world.sent,
        now.world.weekly if scenario.weekly is None else scenario.weekly,
    )
    return now._replace(world=world, wanted=brought or now.wanted)


def _document(found: Explanation, now: Now, router: Router, file: Path | None) -> dict[str, Any]:
    routed = found.routed
    return {
        "order_id": found.wanted.order_id,
        "rules": {"name": router.book.name, "version": router.number, "file": None if file is None else str(file)},
        "rule": routed.rule.name,
        "relaxed": list(routed.relaxed),
        "outcome": routed.outcome,
        "reason": None if found.reason is None else {"code": found.reason[0], "detail": found.reason[1]},
        "parcels": len({part.location_id for part in routed.plan.parts}),
        "cost_minor": parcels_cost_minor(routed),
        "proved": routed.plan.gap == 0,
        "all_units_sent": now.again,
        "lines": [
            {
                "line_id": need.line_id,
                "sku": need.sku,
                "quantity": need.quantity,
                "from": {p.location_id: p.quantity for p in routed.plan.parts if p.line_id == need.line_id},
            }
            for need in found.wanted.needs
        ],
        "short": [{"line_id": one.line_id, "sku": one.sku, "quantity": one.quantity} for one in routed.plan.short],
        "locations": [
            {
                "location_id": one.location_id,
                "status": one.status,
                "why": one.why,
                "change": one.change,
                "lines": dict(one.units),
                "measures": None if one.measured is None else one.measured._asdict(),
            }
            for one in found.verdicts
        ],
        "changes": list(found.changes),
        "kept_from_channel": {sku: dict(places) for sku, places in now.kept_back.items()},
    }


def _tell(found: Explanation, now: Now, router: Router, file: Path | None, *, explained: bool) -> None:
    routed = found.routed
    version = f"version {router.number}" if router.number is not None else ("as shipped" if file is None else str(file))
    say(f'Order {found.wanted.order_id} by rule "{routed.rule.name}" of "{router.book.name}" ({version})')
    if now.again:
        say("  all of it was sent: this is how all units would be routed now")
    else:
        say("  with the present stock, as if the order held nothing yet")
    for step in routed.relaxed:
        say(f"  fallback: relaxed {step}")
    used = {part.location_id for part in routed.plan.parts}
    if routed.outcome == "queue" and found.reason is not None:
        say(f"  NOT ROUTED ({found.reason[0]}): {found.reason[1]}")
        say("  nothing is reserved; it is in the queue routing_exceptions. The best possible plan:")
    elif found.reason is not None:
        say(f"  left out ({found.reason[0]}): {found.reason[1]}")
    parcels = "1 parcel" if len(used) == 1 else f"{len(used)} parcels"
    proof = "" if routed.plan.gap == 0 else ", not proved to be the best"
    say(f"  {parcels}, cost {parcels_cost_minor(routed) / 100:.2f}{proof}")
    for need in found.wanted.needs:
        places = ", ".join(
            f"{part.quantity} from {part.location_id}" for part in routed.plan.parts if part.line_id == need.line_id
        )
        short = sum(one.quantity for one in routed.plan.short if one.line_id == need.line_id)
        missing = f"{', ' if places else ''}{short} without a location" if short else ""
        say(f"  line {need.line_id}: {need.quantity} × {need.sku}: {places}{missing}")
    for sku, units_by_place in now.kept_back.items():
        kept = ", ".join(f"{units} at {location_id}" for location_id, units in units_by_place.items())
        say(f"  buffers and exclusions keep {sku} from channel {found.wanted.channel}: {kept}")
    if not explained:
        return
    say("  locations")
    empty = [one.location_id for one in found.verdicts if one.status == "no_stock"]
    kept_at = {location_id for units_by_place in now.kept_back.values() for location_id in units_by_place}
    for one in found.verdicts:
        change = f"; {one.change}" if one.change else ""
        if one.location_id in kept_at and one.status == "no_stock":
            say(f"    {one.location_id}  not for channel {found.wanted.channel}: its stock is kept back")
        elif one.status != "no_stock" or len(empty) <= EMPTY_TOLD_MAX:
            say(f"    {one.location_id}  {_STATUS[one.status]}: {one.why}{change}")
    if len(empty) > EMPTY_TOLD_MAX:
        names = [name for name in empty if name not in kept_at]
        more = f" and {len(names) - EMPTY_TOLD_MAX} more" if len(names) > EMPTY_TOLD_MAX else ""
        say(f"    {', '.join(names[:EMPTY_TOLD_MAX])}{more}  no stock of these SKUs")
    if found.changes:
        say("  what would change it")
    for text in found.changes:
        say(f"    {text}")


class _Run(NamedTuple):
    title: str
    totals: Totals


def what_if_command(
    *,
    rules: Annotated[Path, typer.Option(help="Rule file (TOML) to try.")],
    against: Annotated[
        Path | None, typer.Option(help="Rule file to compare with. Default: the rules in force.")
    ] = None,
    from_: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")] = None,
    to: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day (UTC), included.")] = None,
    promise_days: Annotated[
        int | None, typer.Option(min=0, help="Days to assume as the promise of orders without one.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Use an Online Retail file, with simulated stock, instead of the ledger's tables."),
    ] = None,
    seed: Annotated[int, typer.Option(min=-SEED_MAX, max=SEED_MAX, help="Seed of the simulated stock for --data.")] = 1,
    decimal: Decimal = None,
    as_json: Json = False,
) -> None:
    """Route a period's orders again by other rules, and compare parcels, cost and late orders."""
    tried = Router(read_file(rules)[0])
    known = None if against is None else Router(read_file(against)[0])
    first, last = days(from_, to)
    if data is not None:
        if not data.exists():
            fail("there is nothing to route again", f"there is no file {data}", "name an Online Retail file")
        made_by = connector_of(data).history
        assert made_by is not None, "connector_of gives a connector with a history"
        history = resolve(made_by)(Request(data, first, last, seed, decimal=decimal), promise_days)
        base = known or default_router()
    else:
        with open_database() as connection:
            history = read_history(connection, first or date(1970, 1, 1), last or date.max, promise_days)
            base = known or _in_force(connection)
    if not history.past.orders:
        fail("there is nothing to route again", "no order was placed on these days", "choose other days")
    past = _towards(history.past, {**tried.book.centres, **base.book.centres})
    runs = [_Run(_title(one), rerun(past, one, yardstick=base)) for one in (base, tried)]
    if as_json:
        print_json(_comparison(history, runs, promise_days))
    else:
        _show_comparison(history, runs, promise_days)


def _towards(past: Past, centres: Mapping[str, tuple[float, float]]) -> Past:
    """Orders without coordinates go to the centre of their country, under both rules."""
    return past._replace(
        orders=tuple(
            one._replace(destination=centres[one.country])
            if one.destination is None and one.country in centres
            else one
            for one in past.orders
        )
    )


def _in_force(connection: Any) -> Router:
    if not read_rules_rows(connection, "routing"):
        return default_router()
    return read_router(connection, default_router())


def _title(router: Router) -> str:
    return f"{router.book.name} v{router.number}" if router.number is not None else router.book.name


_FIGURES = (
    "orders", "parcels", "split_orders", "cost_minor", "late_orders", "units", "units_without_location",
    "queued_orders", "kilometres", "unproved_plans",
)  # fmt: skip


def _figures(totals: Totals) -> dict[str, Any]:
    return {name: getattr(totals, name) for name in _FIGURES} | {
        "parcels_by_location": dict(sorted(totals.parcels_by_location.items()))
    }


def _comparison(history: History, runs: list[_Run], promise_days: int | None) -> dict[str, Any]:
    base, tried = runs
    return {
        "base": {"rules": base.title, **_figures(base.totals)},
        "tried": {"rules": tried.title, **_figures(tried.totals)},
        "difference": {name: getattr(tried.totals, name) - getattr(base.totals, name) for name in _FIGURES},
        "actual": None if history.actual is None else _figures(history.actual),
        "assumed_promise_days": promise_days,
        "simulated_locations": list(history.simulated),
    }


def _show_comparison(history: History, runs: list[_Run], promise_days: int | None) -> None:
    base, tried = runs
    actual = history.actual
    columns = ["", base.title, tried.title, "difference", *([] if actual is None else ["what happened"])]
    table = grid(*columns, right=tuple(columns[1:]))
    for name in _FIGURES:
        before, after = getattr(base.totals, name), getattr(tried.totals, name)
        words = name.replace("_minor", "").replace("_", " ")
        shown = [_amount(name, before), _amount(name, after), _amount(name, after - before, sign=True)]
        happened = "-" if name in {"queued_orders", "kilometres", "unproved_plans"} else ""
        table.add_row(words, *shown, *([] if actual is None else [happened or _amount(name, getattr(actual, name))]))
    places = sorted({*base.totals.parcels_by_location, *tried.totals.parcels_by_location})
    for place in places:
        before, after = (run.totals.parcels_by_location[place] for run in runs)
        row = [f"parcels from {place}", f"{before:,}", f"{after:,}", f"{after - before:+,}"]
        table.add_row(*row, *([] if actual is None else [f"{actual.parcels_by_location[place]:,}"]))
    print_grid(table)
    if promise_days is not None:
        say(f"assumed promise of orders without one: {promise_days} days after they were placed")
    if history.simulated:
        say(f"simulated: the stock and the costs of {', '.join(history.simulated)}")


def _amount(name: str, value: int, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    return f"{value / 100:{plus},.2f}" if name == "cost_minor" else f"{value:{plus},}"
