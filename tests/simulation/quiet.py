"""What must be so when nothing is under way any more: between orders and stock, nothing is left hanging."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from events.locations.decide import Location
from tests.simulation.failure import must
from tests.simulation.truth import Truth

Holder = tuple[str, str, int, str]
"""(order, line, attempt, location)."""


def check_quiet(truth: Truth, now: datetime) -> None:
    """Raise Broken where an order, a hold or a wait is not what the other side says."""
    for place in truth.ledgers:
        must(truth.complete(place), "every_command_is_answered", place)
    orders, skus = truth.states("order"), truth.states("stock")
    for order in orders.values():
        _check_answered(order)
        for line in order.lines.values():
            late = line.cancel_after is not None and line.cancel_after <= now
            must(
                not (late and line.unmade > line.replaced),
                "nothing_is_waited_for_when_its_time_is_over",
                (order.order_id, line),
            )
    _check_holds(orders, skus, now)
    _check_categories(skus, truth.states("category"))
    _check_places(skus, truth.states("location"))
    _check_waits(truth, orders, skus)
    _check_goods(truth, orders)
    for order in orders.values():
        _check_exchanges(order)
        for scan in order.deferred:
            must(scan.shipment_id not in order.shipments, "no_scan_waits_for_what_has_left", (order.order_id, scan))
            must(scan.ends_at > now, "no_scan_waits_for_ever", (order.order_id, scan))
    opened = truth.states("case").keys()
    must(truth.crossings <= opened, "a_dispatch_that_crossed_has_its_case", truth.crossings - opened)


def _check_categories(skus: dict[str, Any], categories: dict[str, Any]) -> None:
    """Each SKU has the newest policy of its category, and the category knows the SKU."""
    for sku, stock in skus.items():
        for category_id, one in categories.items():
            if sku in one.members:
                belongs = one.members[sku].belongs
                must(belongs == (stock.category == category_id), "categories_and_skus_agree", (sku, stock, one))
        if stock.category is None:
            must(not stock.category_rules, "no_category_no_rules", stock)
            continue
        category = categories[stock.category]
        must(stock.category_version == category.policy_version, "the_newest_policy_counts", (sku, stock, category))
        rules = {
            place: ({one.channel: one.quantity for one in rule.buffers}, rule.excluded_channels)
            for place, rule in category.rules.items()
        }
        known = {place: (dict(rule.buffers), rule.excluded) for place, rule in stock.category_rules.items()}
        must(known == rules, "the_newest_policy_counts", (sku, known, rules))


def _check_places(skus: dict[str, Any], locations: dict[str, Any]) -> None:
    """Each SKU knows which of its locations are registered; one that is not knows the SKU."""
    for sku, stock in skus.items():
        places = {*stock.levels, *(source.location_id for source in stock.incoming)}
        must(not stock.postponed, "every_postponed_question_is_answered", (sku, stock.postponed))
        must(places <= stock.registered.keys(), "a_sku_asks_wherever_it_is", (sku, places, stock.registered))
        for place, registered in stock.registered.items():
            one = locations.get(place)
            must(registered == isinstance(one, Location), "locations_and_skus_agree", (sku, place, one))
            must(registered or sku in one.skus, "locations_and_skus_agree", (sku, place, one))


def _check_answered(order: Any) -> None:
    must(order.amendment is None, "every_amendment_is_answered", (order.order_id, order.amendment))
    for line in order.lines.values():
        must(line.sourcing == 0, "every_question_of_an_order_is_answered", (order.order_id, line))
        must(not line.covers, "nothing_is_held_for_goods_that_have_left", (order.order_id, line))
        # What was added to an order that waits as a whole is asked for when the order is called.
        called = order.as_a_whole and any(one.waits for one in order.lines.values())
        # Who stands in a queue of people, alone or with the whole order, is not forgotten.
        queued = [entry for entry in order.queues.values() if order.as_a_whole or line.line_id in entry.lines]
        may = order.may_source_line(line.line_id)
        must(not line.idle or not may or called or queued, "no_unit_is_forgotten", (order.order_id, line))
    held = [line.line_id for line in order.lines.values() if line.holds]
    waiting = [line.line_id for line in order.lines.values() if line.waits]
    if order.as_a_whole:
        open_units = [line.line_id for line in order.lines.values() if line.open]
        must(not (held and (waiting or open_units)), "all_or_nothing", order)
        must(not (order.queues and waiting), "who_waits_for_a_person_waits_for_no_stock", order)
    if order.holds:
        must(not waiting, "who_is_held_stands_in_no_queue", order)
        # What is made for a customer stays, and with it all of an all-or-nothing order.
        made = [line_id for line_id in held if order.lines[line_id].customised]
        kept = [] if made and order.as_a_whole else [line_id for line_id in held if line_id not in made]
        must(not (order.releasing and kept), "who_is_held_keeps_stock_by_policy_only", order)
    for entry in order.queues.values():
        stuck = [line_id for line_id in entry.lines if order.lines[line_id].open]
        must(stuck, "who_stands_in_a_queue_has_open_units", order)


def _check_holds(orders: dict[str, Any], skus: dict[str, Any], now: datetime) -> None:
    """Each unit that an order has is held for it, and each unit that is held for an order is one it has."""
    has: Counter[tuple[str, Holder]] = Counter()
    for order in orders.values():
        for line in order.lines.values():
            for hold in line.holds:
                has[line.sku, (order.order_id, line.line_id, hold.attempt, hold.location_id)] += hold.quantity
    held: Counter[tuple[str, Holder]] = Counter()
    for sku, stock in skus.items():
        for attempt, by_location in stock.reservations.items():
            for location_id, reservation in by_location.items():
                holder = (*attempt, location_id)
                if reservation.for_order:
                    held[sku, holder] += reservation.quantity
                due = reservation.expires_at
                must(due is None or due > now, "no_hold_outlives_its_time", (sku, holder, due))
        for source, expected in stock.incoming.items():
            late = expected.expected_at is not None and expected.expected_at <= now
            must(expected.overdue == late, "what_did_not_come_in_time_is_overdue", (sku, source, expected))
    must(has == held, "orders_and_stock_agree_on_holds", f"orders: {has - held}, stock: {held - has}")


def _check_waits(truth: Truth, orders: dict[str, Any], skus: dict[str, Any]) -> None:
    """Who waits stands in a queue, and who stands in a queue waits; nobody waits for what is there."""
    waits: Counter[tuple[str, str, str, int]] = Counter()
    for order in orders.values():
        placed = [wait.attempt for line in order.lines.values() for wait in line.waits]
        must(not placed or any(placed), "who_waits_will_be_called", order)
        for line in order.lines.values():
            for wait in line.waits:
                if wait.attempt:
                    promised = skus[line.sku].promises.get((order.order_id, line.line_id, wait.attempt))
                    must(
                        wait.expected_at == promised, "the_customer_knows_the_promise", (order.order_id, line, promised)
                    )
                    # A whole order's place is for all that it needs of the SKU.
                    waits[line.sku, order.order_id, line.line_id, wait.attempt] += (
                        0 if order.as_a_whole else wait.quantity
                    )
    queued: Counter[tuple[str, str, str, int]] = Counter()
    for sku, stock in skus.items():
        for attempt, waiting in stock.queue.items():
            queued[sku, *attempt] += 0 if waiting.mode == "offer" else waiting.quantity
            # Whoever may wait at some locations only is given what comes in there.
            at = waiting.locations if waiting.mode == "grant_there" else tuple(stock.levels)
            free = sum(stock.level(place).free(waiting.for_channel) for place in at if place not in waiting.not_at)
            if waiting.mode != "offer":
                must(free == 0, "nobody_waits_for_what_is_there", (sku, attempt, waiting, stock.levels))
    differing = {key for key in waits.keys() | queued.keys() if waits.get(key) != queued.get(key)}
    must(not differing, "orders_and_stock_agree_on_waits", (differing, waits, queued))


def _check_exchanges(order: Any) -> None:
    """What is sent in exchange may leave exactly when all that was announced has come."""
    for line in order.lines.values():
        if line.exchange_for:
            back = order.returns[line.exchange_for]
            come = all(back.received.get(line_id, 0) >= units for line_id, units in back.requested.items())
            must(back.withdrawn or back.exchanged == come, "an_exchange_leaves_when_the_return_has_come", (line, back))


def _check_goods(truth: Truth, orders: dict[str, Any]) -> None:
    """What an order has shipped and got back has left and reached the stock, once."""
    shipped, returned = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for order in orders.values():
        for line in order.lines.values():
            shipped[order.order_id, line.line_id] += line.shipped
            returned[order.order_id, line.line_id] += line.returned
    must(truth.rejected == truth.corrected, "rejections_correct_stock_once", (truth.rejected, truth.corrected))
    must(+shipped == +truth.shipped, "goods_leave_once", (shipped - truth.shipped, truth.shipped - shipped))
    must(+returned == +truth.returned, "goods_come_back_once", (returned - truth.returned, truth.returned - returned))
