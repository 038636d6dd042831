"""What the router looks up: rules, parcels per day, units per week."""

from projections.routing.projection import PROJECTION
from tests.support.chain import BEGINNING, ChainLog
from tests.support.facts import fact
from tests.support.folding import rows


def folded(topic, *facts):
    log = ChainLog(topic)
    for one in facts:
        log.decide("stream-1", one)
    return rows(PROJECTION, log)


def test_the_newest_version_of_rules_is_their_row():
    found = folded(
        "ledger.service",
        fact("RoutingRulesSet", rules_id="routing", number=1, name="old", text="a"),
        fact("RoutingRulesSet", rules_id="routing", number=2, name="new", text="b"),
    )["routing_rules"]
    assert [(row["number"], row["name"], row["text"]) for row in found] == [(2, "new", "b")]
    assert found[0]["set_by"]


def test_parcels_are_counted_by_location_and_day():
    left = fact("ShipmentDispatched", order_id="o", shipment_id="s", location_id="WH1")
    (row,) = folded("ledger.orders", left, left)["location_days"]
    assert (row["location_id"], row["day"], row["dispatched"]) == ("WH1", BEGINNING.date(), 2)


def test_a_parcel_that_never_left_is_counted_on_no_day():
    parcel = {"order_id": "o", "shipment_id": "s", "location_id": "WH1"}
    back = fact("DispatchRetracted", **parcel, dispatched_at=BEGINNING)
    (row,) = folded("ledger.orders", fact("ShipmentDispatched", **parcel), back)["location_days"]
    assert (row["day"], row.get("dispatched", 0)) == (BEGINNING.date(), 0)
    units = {"sku": "SKU-1", "location_id": "WH1", "quantity": 3}
    (row,) = folded("ledger.stock", fact("StockShipped", **units), fact("StockRestored", **units))["sku_weeks"]
    assert row.get("shipped", 0) == 0


def test_units_that_left_are_counted_by_week_from_monday():
    sent = fact("StockShipped", sku="SKU-1", location_id="WH1", quantity=3)
    (row,) = folded("ledger.stock", sent, sent)["sku_weeks"]
    assert row["shipped"] == 6
    assert row["week"].weekday() == 0
    assert 0 <= (BEGINNING.date() - row["week"]).days < 7
