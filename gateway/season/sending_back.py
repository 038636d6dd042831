"""Customers' returns: requested, carried, received, refunded.

At most one return per order, of one line. A few parcels come unannounced, as in reality: without a request.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.season.form import (
    CARRIER_CHANNEL,
    DESK_CHANNEL,
    WAREHOUSE_CHANNEL,
    Command,
    View,
    command,
    drawn_by,
    hours,
    under,
    utc_time,
)
from gateway.season.parameters import SEASON, Season
from gateway.season.world import MAIN_WAREHOUSES

DISPOSITIONS: Final = ("restock", "damaged", "inspect", "dispose")
DISPOSITION_WEIGHTS: Final = (0.75, 0.12, 0.10, 0.03)


def returns(orders_delivered: Iterable[View], seed: int, *, season: Season = SEASON) -> Iterator[Command]:
    """RequestReturn, RecordReturnTracking, ReceiveReturn, IssueRefund for `return_share` of the delivered orders.

    Reads order views with lines[line_id, delivered, unit_price_minor] and shipments[location_id, delivered_at]; views
    without a delivered unit are skipped. Commands of one order are sorted by time; the same view gives the same
    commands, even after units came back.
    """
    for view in orders_delivered:
        arrived = [shipment for shipment in view.get("shipments") or () if shipment.get("delivered_at")]
        if arrived and any(int(line["delivered"]) > 0 for line in view["lines"]):
            last = max(utc_time(shipment["delivered_at"]) for shipment in arrived)
            yield from return_of(view, view["lines"], last, arrived[0]["location_id"], seed=seed, season=season)


def return_of(
    view: View,
    lines: Sequence[Mapping[str, Any]],
    delivered_at: datetime,
    location_id: str,
    *,
    seed: int,
    season: Season,
) -> list[Command]:
    """The commands of that order's return, in time order; none for most orders. `lines` have the delivered units."""
    order_id = str(view["order_id"])
    draw = drawn_by(f"{order_id} return")
    if draw.random() >= season.return_share:
        return []
    line = draw.choice([line for line in lines if int(line["delivered"]) > 0])
    quantity = draw.randint(1, min(3, int(line["delivered"])))
    announced = draw.random() >= season.unannounced_share
    exchange = announced and draw.random() < season.exchange_share
    (disposition,) = draw.choices(DISPOSITIONS, DISPOSITION_WEIGHTS)
    base = {"order_id": order_id, "return_id": f"{order_id}-R1"}
    stem = under(seed, base["return_id"])
    asked_at = delivered_at + hours(24 * draw.uniform(0.5, 14.0))
    picked_up_at = asked_at + hours(draw.uniform(4.0, 48.0))
    received_at = picked_up_at + hours(24 * draw.uniform(1.0, 4.0))
    part = {"line_id": line["line_id"], "quantity": quantity}
    told: list[Command] = []
    if announced:
        (reason,) = draw.choices(season.return_reasons, [share for _, _, share in season.return_reasons])
        request = {
            **base,
            "lines": [{**part, "reason": reason[0], "reason_code": reason[1]}],
            "resolution": "exchange" if exchange else "refund",
        }
        told.append(command("RequestReturn", f"{stem}-request", DESK_CHANNEL, asked_at, request))
        on_the_way = (picked_up_at + (received_at - picked_up_at) / 2).replace(microsecond=0)
        for status, at in (("picked_up", picked_up_at), ("in_transit", on_the_way)):
            scan = {**base, "status": status}
            told.append(command("RecordReturnTracking", f"{stem}-{status}", CARRIER_CHANNEL, at, scan))
    # Goods from a store or a third party come back to a warehouse; a location outside this season gets its own back.
    back_to = MAIN_WAREHOUSES[0] if location_id.startswith(("SIM-ST-", "SIM-3P-")) else location_id
    received = {**base, "location_id": back_to, "lines": [{**part, "disposition": disposition}]}
    told.append(command("ReceiveReturn", f"{stem}-receive", WAREHOUSE_CHANNEL, received_at, received))
    amount_minor = quantity * int(line["unit_price_minor"])
    if not exchange and amount_minor:
        refund = {**base, "amount_minor": amount_minor, "reason": "simulated return"}
        told.append(command("IssueRefund", f"{stem}-refund", DESK_CHANNEL, received_at + timedelta(hours=2), refund))
    return told
