"""The past over HTTP and on the command line: what was known then, on a real Kafka and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from psycopg import sql

from events.times import rfc3339
from gateway.reading.orders import order_alone, order_document
from projections.kpi.reader import kpis
from projections.work_queue.reader import read_queue
from runtime.postgres import connect
from tests.gateway.test_api import serving
from tests.gateway.test_replay_command import MIDDLE, Shell, history, shell, write
from tests.support.chain import BEGINNING
from tests.support.facts import fact, order_placed

__all__ = ["shell"]  # the fixture

THEN = "2026-11-27T18:03:20Z"
MOVED = ("on_hand", "reserved", "damaged", "quality_hold")


@pytest.fixture
def api(shell: Shell) -> Iterator[httpx.Client]:
    logs = history(7)
    orders = next(log for log in logs if (log.topic, log.partition) == ("ledger.orders", 1))
    line = {"order_id": "A-1", "line_id": "1", "sku": "SKU-1", "location_id": "WH1", "quantity": 2, "from_open": 2}
    orders.decide("A-1", order_placed("A-1"), recorded_at=BEGINNING + timedelta(seconds=140))
    orders.decide("A-1", fact("LineAllocated", **line), recorded_at=MIDDLE + timedelta(seconds=1))
    write(shell.services, logs)
    shell.live()
    with serving(shell.env.settings, shell.services) as client:
        client.timeout = httpx.Timeout(60)
        yield client


def read_in(shell: Shell, schema: str, read: Any, *arguments: Any, **named: Any) -> Any:
    """What a reader of the live tables says of another schema."""
    with connect(shell.services, "test", autocommit=True) as connection:
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
        return read(connection, *arguments, **named)


def problem(answer: httpx.Response, status: int, said: str) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    found: dict[str, str] = answer.json()
    assert said in f"{found['what']} {found['detail']} {found['hint']}", found
    return found


def test_an_order_of_then_is_what_the_tables_of_then_say(shell: Shell, api: httpx.Client) -> None:
    orders = [order for (order,) in shell.asked("SELECT order_id FROM order_status ORDER BY 1")]
    moments = [BEGINNING + timedelta(seconds=seconds) for seconds in (0, 2, 30, 150, 200, 10_000)]
    known = 0
    for number, moment in enumerate(moments):
        shell.json(
            "replay",
            "order_status",
            "work_queue",
            "deferred_tracking",
            "--as-of",
            rfc3339(moment),
            "--into",
            f"t{number}",
        )
        for order_id in orders:
            answer = api.get(f"/v1/orders/{order_id}", params={"as_of": rfc3339(moment)})
            expected = read_in(shell, f"t{number}", order_alone, order_id)
            if expected is None:
                problem(answer, 404, f"order {order_id} was not known at {rfc3339(moment)}")
            else:
                assert answer.json() == {"as_of": rfc3339(moment), **expected}
                known += 1
        # The connections that were used for it show the live tables again.
        live = api.get("/v1/orders/A-1").json()
        assert live == read_in(shell, "public", order_document, "A-1")
        assert live["status"] == "allocated"
        assert api.get("/v1/queue").json()["rows"] == read_in(shell, "public", read_queue)
    assert known > len(orders)
    assert api.get("/v1/orders/A-1", params={"as_of": THEN}).json()["status"] == "placed"
    # Nothing was written to the live tables.
    shell.json("replay", "--into", "again", "--anew")
    assert shell.json("diff", "public", "again")["equal"] is True

    order = shell.json("order", orders[0], "--as-of", THEN)
    assert order == api.get(f"/v1/orders/{orders[0]}", params={"as_of": THEN}).json()
    assert f"Order {orders[0]} as known at {THEN}" in shell.run("order", orders[0], "--as-of", THEN).stdout
    assert "was not known at" in shell.refused("order", orders[0], "--as-of", "2026-11-27T17:00:00Z")


def test_the_history_of_an_order_is_cut_by_either_time(shell: Shell, api: httpx.Client) -> None:
    (order_id,) = shell.asked("SELECT order_id FROM order_history GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")[0]
    whole = api.get(f"/v1/orders/{order_id}/history").json()["facts"]
    for name, column in (("as_of", "recorded_at"), ("effective", "occurred_at")):
        found = api.get(f"/v1/orders/{order_id}/history", params={name: THEN}).json()["facts"]
        query = f"SELECT version FROM order_history WHERE order_id = '{order_id}' AND {column} <= '{THEN}' ORDER BY 1"
        assert [fact["version"] for fact in found] == [version for (version,) in shell.asked(query)]
        assert 0 < len(found) < len(whole)
    assert api.get(f"/v1/orders/{order_id}/history?as_of=1999-01-01").json()["facts"] == []
    problem(api.get("/v1/orders/nobody/history?as_of=1999-01-01"), 404, "no such order")


def test_what_is_no_past_is_refused(shell: Shell, api: httpx.Client) -> None:
    for path in ("/v1/orders/x", "/v1/orders/x/history", "/v1/inventory", "/v1/kpis", "/v1/kpis/return_rate/orders"):
        problem(api.get(path, params={"as_of": "2999-01-01"}), 422, "in the future")
        problem(api.get(path, params={"as_of": "yesterday"}), 422, "no time")
        problem(api.get(f"{path}?as_of="), 422, "no time")
    problem(api.get("/v1/orders/x", params={"effective": THEN}), 422, "/history takes effective")
    problem(api.get("/v1/orders/x", params={"as_of": THEN}), 404, "no such order")
    problem(api.get("/v1/kpis", params={"as_of": THEN, "effective": THEN}), 422, "exclude each other")
    problem(api.get("/v1/inventory", params={"effective": THEN}), 422, "order-ledger inventory --at")
    problem(api.get("/v1/inventory", params={"sku": "x", "low": "true", "as_of": THEN}), 422, "no reorder points")


def test_stock_of_then_is_added_up_for_a_sku_and_read_from_a_replay_for_all(shell: Shell, api: httpx.Client) -> None:
    asked = problem(api.get("/v1/inventory", params={"as_of": THEN}), 422, "no tables as of that time")
    assert f"`order-ledger replay inventory --as-of {THEN}`" in asked["hint"]
    skus = [sku for (sku,) in shell.asked("SELECT DISTINCT sku FROM inventory ORDER BY 1")]
    before = {sku: api.get("/v1/inventory", params={"sku": sku, "as_of": THEN}).json()["rows"] for sku in skus}
    shell.json("replay", "inventory", "--as-of", THEN)
    rows = api.get("/v1/inventory", params={"as_of": THEN}).json()["rows"]
    assert {"available", "safety", "incoming"} <= rows[0].keys()

    def units(found: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[int, ...]]:
        moved = {(row["sku"], row["location_id"]): tuple(row[name] for name in MOVED) for row in found}
        return {place: quantities for place, quantities in moved.items() if any(quantities)}

    assert units([row for found in before.values() for row in found]) == units(rows)
    one = api.get("/v1/inventory", params={"sku": "AFTER", "as_of": THEN}).json()["rows"]
    assert [row["on_hand"] for row in one] == [3]
    assert shell.json("inventory", "--as-of", THEN)["rows"] == rows
    assert "AFTER" in shell.run("inventory", "--as-of", THEN, "--sku", "AFTER").stdout

    # Reported late: not known then, but it was there.
    late = {"sku": "LATE"}
    assert api.get("/v1/inventory", params={**late, "as_of": THEN}).json()["rows"] == []
    assert api.get("/v1/inventory", params={**late, "effective": THEN}).json()["rows"][0]["on_hand"] == 6
    assert api.get("/v1/inventory", params={**late, "effective": THEN, "as_of": THEN}).json()["rows"] == []
    later = rfc3339(MIDDLE + timedelta(hours=1))
    assert api.get("/v1/inventory", params={**late, "effective": THEN, "as_of": later}).json()["rows"] != []


def test_figures_of_then_are_read_from_a_replay_of_then(shell: Shell, api: httpx.Client) -> None:
    for name, flag in (("as_of", []), ("effective", ["--effective"])):
        words = ["replay", "kpi", "cases", "--as-of", THEN, *flag]
        asked = problem(api.get("/v1/kpis", params={name: THEN}), 422, "no tables as of that time")
        assert f"`order-ledger replay cases kpi --as-of {THEN}{' --effective' if flag else ''}`" in asked["hint"]
        schema = shell.json(*words)["schema"]
        figures = api.get("/v1/kpis", params={name: THEN, "by": "channel"}).json()
        assert figures == read_in(shell, schema, kpis, by="channel")
        assert figures["as_of"] <= THEN
        behind = api.get("/v1/kpis/order_fulfillment_rate/orders", params={name: THEN})
        assert behind.status_code == 200, behind.text
        assert shell.json("kpi", "--as-of", THEN, *flag, "--by", "channel") == figures
        assert "as of" in shell.run("kpi", "--as-of", THEN, *flag).stderr
    assert api.get("/v1/kpis").json() == read_in(shell, "public", kpis)
    # Tables that another build has folded are not shown.
    shell.asked(f"UPDATE {schema}.replay SET build = 'another'")
    problem(api.get("/v1/kpis", params={"effective": THEN}), 422, "no tables as of that time")
    assert "was begun by another build" in shell.refused(*words)
    assert "--effective needs --as-of" in shell.refused("kpi", "--effective")
