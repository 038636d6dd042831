"""Rules from a file to the log, and from the log to where orders are sent from; through Kafka and PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from tests.support.quick_reactions import wait_until_places_are_known
from tests.support.shop import Shop, command, dispatch, place, receive

pytestmark = pytest.mark.journey

CHEAP = 'name = "cheap"\n[[rules]]\nname = "all"\ncriteria = ["cost"]\n'
WHOLE = CHEAP.replace("cheap", "whole") + 'limits = { split = false }\nfallbacks = ["queue"]\n'


def location(name: str, cost: int, **more: object) -> dict[str, object]:
    return command(
        "RegisterLocation", location_id=name, name=name, kind="warehouse", cost_minor_per_parcel=cost, **more
    )


def put_in_force(shop: Shop, text: str) -> None:
    shop.accepted(command("SetRoutingRules", rules_id="routing", text=text))
    wait_until_places_are_known()


def told(shop: Shop, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=shop.env.env)


def test_the_plan_is_the_cheapest_and_the_rules_in_force_decide(shop: Shop) -> None:
    shop.accepted(*(location(name, cost) for name, cost in {"L1": 800, "L2": 500, "L3": 600, "L4": 400}.items()))
    on_shelves = {"A": ("L1", "L4"), "B": ("L1", "L3"), "C": ("L2", "L3")}
    shop.accepted(*(receive(sku, name, 2) for sku, names in on_shelves.items() for name in names))
    shop.accepted(place("plan-1", ("A", 1), ("B", 1), ("C", 1)))
    assert [shop.line("plan-1", line)["locations"] for line in "123"] == [{"L4": 1}, {"L3": 1}, {"L3": 1}]

    put_in_force(shop, WHOLE)
    shop.accepted(place("plan-2", ("A", 1), ("B", 1), ("C", 1)))
    assert shop.order("plan-2")["status"] == "placed"
    (reason,) = shop.connection.execute(
        "SELECT reason || ': ' || detail FROM work_queue WHERE order_id = 'plan-2' AND queue = 'routing_exceptions'"
    ).fetchone()
    assert reason.startswith('no_split: rule "all" allows no split, and no location has all of 1 × A, 1 × B, 1 × C')
    report = shop.publish(command("SetRoutingRules", rules_id="routing", text="name = 1"))
    assert "line 1, name" in report.outcomes[0].detail


def test_it_can_be_seen_why_from_the_command_line(shop: Shop, tmp_path: Path) -> None:
    shown = told(shop, "rules", "show", "--json")
    assert json.loads(shown.stdout)["number"] == 1
    cheap = tmp_path / "cheap.toml"
    cheap.write_text(CHEAP)
    explained = told(shop, "route", "plan-1", "--explain", "--rules", str(cheap))
    assert "2 parcels, cost 10.00" in explained.stdout, explained.output
    assert "L1  not chosen: with L1 and L2: cost 13.00 instead of 10.00" in explained.stdout
    assert "if a parcel from there cost less than 5.00" in explained.stdout
    in_force = json.loads(told(shop, "route", "plan-1", "--json").stdout)
    assert (in_force["outcome"], in_force["reason"]["code"], in_force["rules"]["version"]) == ("queue", "no_split", 1)
    more = tmp_path / "more.json"
    more.write_text(json.dumps({"stock": {"A": {"L3": 1}, "B": {"L3": 1}, "C": {"L3": 1}}}))
    alone = json.loads(told(shop, "route", "plan-1", "--stock", str(more), "--json").stdout)
    assert (alone["outcome"], alone["parcels"]) == ("planned", 1)


def test_what_is_kept_from_the_orders_channel_is_not_planned_with_and_said(shop: Shop) -> None:
    """Given 10 of a SKU of which its channel may have none, when its order is explained, then it says so: before, it
    said that the location was chosen, while the order waited.
    """
    shop.accepted(receive("kept", "L1", 10))
    shop.accepted(command("SetChannelPolicy", sku="kept", location_id="L1", excluded_channels=["web"]))
    shop.accepted(place("kept-1", ("kept", 2), at="2026-11-29T09:00:00Z"))
    assert shop.line("kept-1")["backordered"] == 2
    assert shop.order("kept-1")["kept_from_channel"] == {"kept": {"L1": 10}}
    assert "kept waits although it is there" in told(shop, "order", "kept-1").stdout
    explained = told(shop, "route", "kept-1", "--explain")
    assert "line 1: 2 × kept: 2 without a location" in explained.stdout, explained.output
    assert "buffers and exclusions keep kept from channel web: 10 at L1" in explained.stdout
    shop.accepted(command("CancelOrder", order_id="kept-1", reason="waits too long"))


def test_a_period_is_routed_again_under_other_rules(shop: Shop, tmp_path: Path) -> None:
    cheap = tmp_path / "cheap.toml"
    cheap.write_text(CHEAP)
    shown = told(shop, "what-if", "--rules", str(cheap), "--from", "2026-11-27", "--to", "2026-11-27", "--json")
    document = json.loads(shown.stdout)
    assert document["base"]["orders"] == document["tried"]["orders"] == document["actual"]["orders"] == 2
    assert document["base"]["queued_orders"] == 2
    assert document["tried"]["parcels"] == 4
    assert document["difference"]["cost_minor"] == 2000
    assert document["actual"]["parcels"] == 2
    assert told(shop, "what-if", "--rules", str(cheap), "--from", "2020-01-01", "--to", "2020-01-02").exit_code == 1


def test_a_full_location_is_passed_over_until_what_waits_there_has_left_or_was_let_go(shop: Shop) -> None:
    put_in_force(shop, 'name = "busy"\n[[rules]]\nname = "all"\ncriteria = ["wait_days", "cost"]\n')
    shop.accepted(location("SMALL", 100, daily_capacity=2), location("LARGE", 900))
    shop.accepted(receive("busy", "SMALL", 50), receive("busy", "LARGE", 50))
    wait_until_places_are_known()

    def where(order_id: str, at: str = "2026-11-27T18:00:00Z") -> str:
        shop.accepted(place(order_id, ("busy", 1), at=at))
        (name,) = shop.line(order_id)["locations"]
        return str(name)

    assert [where(f"busy-{number}") for number in (1, 2, 3)] == ["SMALL", "SMALL", "LARGE"]
    shop.accepted(command("CancelOrder", order_id="busy-2", reason="changed my mind"))
    assert where("busy-4") == "SMALL", "what was cancelled is released"
    shop.accepted(dispatch("busy-1", "S1", "SMALL", ("1", 1)))
    assert where("busy-5") == "LARGE", "what left today has used today up"
    assert where("busy-6", "2026-11-28T09:00:00Z") == "SMALL"


def test_everything_above_is_equal_to_an_independent_fold(shop: Shop) -> None:
    shop.settle()
    report = shop.verify()
    assert report.equal, report.first_difference
    assert report.tables["routing_rules"] == 1
    assert report.tables["location_days"] == 1
