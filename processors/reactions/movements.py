"""Goods that left or came back become movements of stock.

ShipmentDispatched(lines=[1, 2]) -> ShipStock(line 1), ShipStock(line 2)
DispatchRetracted(lines=[1, 2])  -> RestoreStock(line 1), RestoreStock(line 2)
ReturnReceived(lines=[1])        -> ReturnStock(line 1)
"""

from events.envelope import Recorded
from events.orders.facts import DispatchRetracted, ReturnReceived, ShipmentDispatched
from events.stock.commands import RestoreStock, ReturnStock, ShipStock
from processors.reactions.asked import Asked, named
from processors.reactions.rows import On

ACTOR = "movements"


def ship(fact: Recorded[ShipmentDispatched]) -> list[Asked]:
    """ShipStock for each line of the shipment, with the holds that it used up, and the units that the order had no
    answer for. The ledger allows a line once a shipment.
    """
    shipment = fact.data
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=named("ship", shipment.order_id, shipment.shipment_id, line.line_id),
            data=ShipStock(
                sku=line.sku,
                location_id=shipment.location_id,
                quantity=line.quantity,
                order_id=shipment.order_id,
                line_id=line.line_id,
                shipment_id=shipment.shipment_id,
                consumed=line.consumed,
                ahead=line.ahead,
                ahead_round=line.ahead_round,
                ahead_apart=line.ahead_apart,
                cart_id=shipment.cart_id if line.ahead else None,
            ),
        )
        for line in shipment.lines
    ]


def restore(fact: Recorded[DispatchRetracted]) -> list[Asked]:
    """RestoreStock for each line, at the moment at which it was said to have left: a count since may have found it."""
    retracted = fact.data
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=named("restore", retracted.order_id, retracted.shipment_id, line.line_id),
            data=RestoreStock(
                sku=line.sku,
                location_id=retracted.location_id,
                quantity=line.quantity,
                order_id=retracted.order_id,
                line_id=line.line_id,
                shipment_id=retracted.shipment_id,
                held=line.to_allocated,
                attempt=line.attempt,
            ),
        )._replace(occurred_at=retracted.dispatched_at)
        for line in retracted.lines
    ]


def take_back(fact: Recorded[ReturnReceived]) -> list[Asked]:
    """ReturnStock for each entry of the return; a line may have several, with different dispositions."""
    arrived = fact.data
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=named("return", fact.event_id, number),
            data=ReturnStock(
                sku=line.sku,
                location_id=arrived.location_id,
                quantity=line.quantity,
                order_id=arrived.order_id,
                line_id=line.line_id,
                return_id=arrived.return_id,
                disposition=line.disposition,
            ),
        )
        for number, line in enumerate(arrived.lines, 1)
    ]


REACTIONS = (On(ShipmentDispatched, ship), On(DispatchRetracted, restore), On(ReturnReceived, take_back))
