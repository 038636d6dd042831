"""The API over real services: health, what the tables say, and the registry that lets other tools read our topics."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import fastavro
import httpx
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from events.catalogue import LEDGER_TOPICS
from gateway.api import queue
from gateway.api.app import create_app, run_api
from runtime.errors import Fault
from runtime.kafka import TopicSpec, create_topics, producer
from runtime.services import Services
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.contracts import contracts, newest
from tests.conftest import LedgerEnv, open_world
from tests.support.chain import BEGINNING, ChainLog
from tests.support.projecting import project

REGISTRY_TYPE = "application/vnd.schemaregistry.v1+json"
REFUSED = {"command": "CancelOrder", "code": "shipped", "what": "w", "detail": "d", "hint": "h", "at_most": None}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def world(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerEnv]:
    """One for all tests: nothing that they ask of the API changes anything."""
    with open_world(services, tmp_path_factory.mktemp("api")) as found:
        yield found


@pytest.fixture(scope="module")
def api(world: LedgerEnv) -> Iterator[httpx.Client]:
    """A running API over an order with one line, and a SKU."""
    services = world.services
    create_topics(services, [TopicSpec(services.topic(topic), 1) for topic in LEDGER_TOPICS])
    orders, stock = ChainLog("ledger.orders"), ChainLog("ledger.stock")
    line = {"line_id": "1", "sku": "MUG", "quantity": 2, "unit_price_minor": 450, "attributes": []}
    placed = {
        "order_id": "order/1", "customer_id": "c", "currency": "EUR", "lines": [line], "service_level": "standard",
        "ship_to": {"country": "DE"}, "allocation": "ship_available", "charges": [], "sourcing": True,
    }  # fmt: skip
    orders.decide("order/1", ("OrderPlaced", placed), occurred_at=BEGINNING)
    orders.decide("order/1", ("CommandRefused", REFUSED))
    orders.decide("order-2", ("CommandRefused", REFUSED | {"command": "PlaceOrder", "detail": "no lines"}))
    orders.decide("order-3", ("CommandRefused", REFUSED))
    stock.decide("MUG", ("StockReceived", {"sku": "MUG", "location_id": "WH1", "quantity": 5}))
    sender = producer(services)
    for log in (orders, stock):
        for record in log.records:
            sender.produce(services.topic(log.topic), value=record.value_bytes, key=record.key_bytes)
    assert sender.flush(30) == 0
    project(services)
    with serving(world.settings, services) as client:
        yield client


class serving:  # noqa: N801 - reads as what it does
    """An API in a thread, and a client that speaks to it."""

    def __init__(self, settings: Any, services: Any) -> None:
        self.stop = threading.Event()
        settings = settings.model_copy(update={"api_port": free_port()})
        self.client = httpx.Client(base_url=f"http://{settings.api_host}:{settings.api_port}")
        self.thread = threading.Thread(target=run_api, args=(settings, services, self.stop))

    def __enter__(self) -> httpx.Client:
        self.thread.start()
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client.get("/healthz")
                return self.client
            except httpx.TransportError:
                assert self.thread.is_alive()
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive(), "the server ends when it is told to"


def test_what_the_tables_say_is_read_over_http(api: httpx.Client) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    assert api.get("/readyz").json() == {"kafka": "ok", "postgres": "ok"}

    order = api.get("/v1/orders/order%2F1").json()
    assert (order["order_id"], order["status"], order["version"]) == ("order/1", "placed", 1)
    assert order["lines"][0]["open"] == 2
    history = api.get("/v1/orders/order%2F1/history").json()
    assert [fact["fact"] for fact in history["facts"]] == ["OrderPlaced", "CommandRefused"]
    rows = api.get("/v1/inventory", params={"sku": "MUG"}).json()["rows"]
    assert [(row["location_id"], row["available"]) for row in rows] == [("WH1", 5)]
    assert api.get("/v1/inventory", params={"location": "nowhere"}).json() == {"rows": [], "total": 0}
    figures = api.get("/v1/kpis", params={"from": "2026-11-27", "by": "channel"}).json()
    assert figures["kpis"]["order_processing_hours"]["denominator"] == 0
    assert figures["perfect_order"]["perfect_order_index"]["value"] is None
    assert figures["by"] == "channel"

    assert order["queues"] == api.get("/v1/queue").json()["rows"] == []
    assert order["cases"] == api.get("/v1/cases").json()["rows"] == []
    assert order["kept_from_channel"] == {}

    missing = api.get("/v1/orders/order-9")
    assert missing.status_code == 404
    assert missing.json()["what"] == "no such order"
    assert api.get("/v1/orders/order-9/history").status_code == 404

    refused = api.get("/v1/orders/order-2")
    assert (refused.status_code, refused.json()["what"]) == (404, "order order-2 was refused")
    assert refused.json()["detail"].endswith(": w: no lines")
    assert refused.json()["hint"] == "h"
    assert api.get("/v1/orders/order-3").json()["what"] == "no such order"
    assert "CancelOrder from " in api.get("/v1/orders/order-3").json()["detail"]
    assert api.get("/v1/inventory", params={"limit": 0}).status_code == 422
    assert api.get("/openapi.json").status_code == 200


@pytest.mark.parametrize(
    ("method", "address", "status", "detail"),
    [
        ("GET", "/v1/orders/order-9", 404, "order-9"),
        ("GET", "/v1/nothing", 404, "GET /v1/nothing"),
        ("DELETE", "/v1/inventory", 405, "DELETE /v1/inventory"),
        ("GET", "/v1/inventory?limit=0", 422, "limit: Input should be greater than or equal to 1"),
        ("GET", "/v1/kpis?from=yesterday&by=mood", 422, "from: "),
        ("GET", "/v1/orders/a%00b", 400, "IDs never contain NUL"),
        ("GET", "/v1/inventory?skus=MUG", 422, "'skus' of /v1/inventory"),
    ],
)
def test_whatever_goes_wrong_is_said_in_one_shape(
    api: httpx.Client, method: str, address: str, status: int, detail: str
) -> None:
    answer = api.request(method, address)
    assert answer.status_code == status
    assert answer.json().keys() == {"what", "detail", "hint"}
    assert detail in answer.json()["detail"]


def test_a_fault_of_ours_is_said_in_the_same_shape_and_no_more_of_it(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("password=secret")

    monkeypatch.setattr(queue, "read_queue", broken)
    answer = api.get("/v1/queue")
    assert answer.status_code == 500
    assert answer.json() == {
        "what": "internal error: our code raised an exception",
        "detail": "RuntimeError",
        "hint": "the log of the API worker has the details",
    }
    assert api.get("/v1/cases").status_code == 200


def test_the_documentation_knows_the_shape_of_errors(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    answers = document["paths"]["/v1/inventory"]["get"]["responses"]
    for status in ("422", "503"):
        assert answers[status]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_a_registry_client_finds_every_schema_by_the_id_in_a_record(api: httpx.Client) -> None:
    for contract in contracts():
        answer = api.get(f"/schemas/ids/{contract.schema_id}")
        assert answer.headers["content-type"] == REGISTRY_TYPE
        assert json.loads(answer.json()["schema"]) == contract.schema
        fastavro.parse_schema(json.loads(answer.json()["schema"]))
    names = api.get("/subjects").json()
    assert (
        len(names) == len({contract.full_name for contract in contracts()}) + 2
    )  # a refusal stands in all three ledger topics
    prefix = names[0].partition(".")[0]  # the fixture's topics have one
    subject = f"{prefix}.ledger.orders-order_ledger.facts.OrderPlaced"
    versions = [contract.version for contract in contracts() if subject.endswith(contract.full_name)]
    assert api.get(f"/subjects/{subject}/versions").json() == versions
    latest = api.get(f"/subjects/{subject}/versions/latest").json()
    assert latest == api.get(f"/subjects/{subject}/versions/{versions[-1]}").json()
    assert (latest["subject"], latest["version"]) == (subject, versions[-1])
    assert api.get(f"/subjects/{subject}/versions/{versions[-1]}/schema").json() == json.loads(latest["schema"])
    assert api.get(f"/schemas/ids/{latest['id']}/versions").json() == [{"subject": subject, "version": versions[-1]}]
    assert api.get(f"/schemas/ids/{latest['id']}/subjects").json() == [subject]
    assert api.get(f"/schemas/ids/{latest['id']}/schema").json() == json.loads(latest["schema"])
    assert api.post(f"/subjects/{subject}", json={"schema": latest["schema"]}).json()["id"] == latest["id"]
    assert api.get("/subjects", params={"subjectPrefix": subject}).json() == [subject]
    assert api.get("/schemas/types").json() == ["AVRO"]
    assert (
        api.get("/config").json() == api.get(f"/config/{subject}").json() == {"compatibilityLevel": "FULL_TRANSITIVE"}
    )
    assert api.get("/mode").json() == {"mode": "READONLY"}

    for path, status, code in [
        ("/schemas/ids/7", 404, 40403),
        ("/schemas/ids/7/versions", 404, 40403),
        ("/subjects/none/versions", 404, 40401),
        ("/subjects/none/versions/1", 404, 40401),
        ("/config/none", 404, 40401),
        (f"/subjects/{subject}/versions/{versions[-1] + 1}", 404, 40402),
        (f"/subjects/{subject}/versions/x", 422, 42202),
        (f"/subjects/{subject}/versions/0", 422, 42202),
    ]:
        answer = api.get(path)
        assert (answer.status_code, answer.json()["error_code"]) == (status, code), path
        assert answer.headers["content-type"] == REGISTRY_TYPE
    other = api.post(f"/subjects/{subject}", json={"schema": '"string"'})
    assert (other.status_code, other.json()["error_code"]) == (404, 40403)
    known = api.get(f"/subjects/{subject}/versions/latest").json()
    assert api.post(f"/subjects/{subject}/versions", json={"schema": known["schema"]}).json() == {"id": known["id"]}
    new = api.post(f"/subjects/{subject}/versions", json={"schema": '"string"'})
    assert (new.status_code, new.json()["error_code"]) == (422, 42205)
    assert api.post(f"/subjects/{subject}", json={}).json()["error_code"] == 42201


def test_the_confluent_client_reads_from_it(api: httpx.Client) -> None:
    client = SchemaRegistryClient({"url": str(api.base_url)})
    names = client.get_subjects()
    assert client.get_subjects(offset=1, limit=2) == names[1:3]
    assert api.get("/subjects", params={"deletedOnly": "true"}).json() == []
    (subject,) = [name for name in names if name.endswith("facts.StockReserved")]
    found = client.get_latest_version(subject)
    assert json.loads(client.get_schema(found.schema_id, subject_name=subject).schema_str)["name"] == "StockReserved"
    assert client.get_version(subject, found.version, deleted=True).schema_id == found.schema_id
    assert found.version in client.get_versions(subject)
    assert client.lookup_schema(subject, found.schema, normalize_schemas=True, deleted=True).version == found.version
    assert [one.subject for one in client.get_schema_versions(found.schema_id)] == [subject]
    assert client.get_mode(subject) == client.get_global_mode() == "READONLY"
    assert client.get_compatibility(subject) == "FULL_TRANSITIVE"
    assert "maxId" in api.get(f"/schemas/ids/{found.schema_id}", params={"fetchMaxId": "true"}).json()
    with pytest.raises(SchemaRegistryError) as refused:
        client.delete_version(subject, found.version)
    assert (refused.value.http_status_code, refused.value.error_code) == (405, 405)


@pytest.mark.parametrize("request_line", [b"GET /v1/orders/a b HTTP/1.1", b"GET /v1/\xff HTTP/1.1", b"NONSENSE"])
def test_what_is_no_http_is_refused_in_the_same_shape(api: httpx.Client, request_line: bytes) -> None:
    with socket.create_connection((api.base_url.host, int(api.base_url.port or 0))) as connection:
        connection.sendall(request_line + b"\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body).keys() == {"what", "detail", "hint"}


def test_a_list_comes_as_csv_and_a_row_a_line_too(api: httpx.Client) -> None:
    (row,) = api.get("/v1/inventory").json()["rows"]
    header, line = api.get("/v1/inventory", headers={"Accept": "text/csv"}).text.splitlines()
    assert dict(zip(header.split(","), line.split(","), strict=True))["on_hand"] == str(row["on_hand"])
    assert api.get("/v1/inventory.csv", params={"sku": "MUG"}).text.splitlines() == [header, line]
    assert api.get("/v1/inventory.csv", params={"sku": "NOPE"}).text.splitlines() == [header]
    lines = api.get("/v1/inventory", headers={"Accept": "application/x-ndjson"}).text.splitlines()
    assert [json.loads(one) for one in lines] == [row]
    assert api.get("/v1/inventory", params={"low": "true"}).json() == {"rows": [], "total": 0}


def test_a_figure_is_read_alone_and_its_groups_are_cut(api: httpx.Client) -> None:
    document = api.get("/v1/kpis", params={"figure": "return_rate", "by": "day", "limit": 1}).json()
    assert list(document["kpis"]) == ["return_rate"]
    assert document["total"] == len(document["groups"]) == 0
    assert "perfect_order" not in document


def test_head_is_answered_as_get_is_without_the_body(api: httpx.Client) -> None:
    for address in ("/healthz", "/v1/inventory", "/v1/orders/order%2F1", "/subjects", "/docs", "/docs/swagger-ui.css"):
        get, head = api.get(address), api.head(address)
        assert (head.status_code, head.content) == (200, b""), address
        assert head.headers["content-length"] == get.headers["content-length"]
        assert head.headers["content-type"] == get.headers["content-type"]
    assert api.head("/v1/orders/order-9").status_code == 404


def test_a_plain_serializer_writes_an_order_without_its_optional_fields(api: httpx.Client, world: LedgerEnv) -> None:
    topic = world.services.topic("intake.orders")
    line = {"line_id": "1", "sku": "MUG", "quantity": 1, "unit_price_minor": 100}
    order = {
        "order_id": "A-1", "customer_id": "c-1", "currency": "EUR", "lines": [line], "ship_to": {"country": "DE"},
    }  # fmt: skip
    command = {"id": "web-1", "channel": "web", "occurred_at": datetime(2026, 11, 27, 18, tzinfo=UTC), "data": order}
    for conf in (
        {},  # the serializer's own defaults: it registers what it has
        {"auto.register.schemas": False},
        {"auto.register.schemas": False, "use.latest.version": True},
        {"auto.register.schemas": False, "validate.strict.allow.default": True},
    ):
        registry = SchemaRegistryClient({"url": str(api.base_url)})  # a new one, which has asked for nothing yet
        schema = registry.get_latest_version(f"{topic}-order_ledger.commands.PlaceOrder").schema
        by_record = {"subject.name.strategy": topic_record_subject_name_strategy}
        serialize = AvroSerializer(registry, schema.schema_str, conf=conf | by_record)
        contract, record = Codec().decode(serialize(command, SerializationContext(topic, MessageField.VALUE)))
        assert contract == newest("order_ledger.commands.PlaceOrder")
        assert record["data"]["lines"][0] == line | {"attributes": {}, "cancel_after": None, "customised": False}


def test_readiness_is_red_while_a_service_is_away_and_a_read_says_so(ledger_env: Any) -> None:
    """And an API that has ended looks for Kafka no more. Seen: its client did, and said so after a run's verdict."""
    before = set(threading.enumerate())
    nowhere = f"host=127.0.0.1 port={free_port()} dbname=x connect_timeout=1"
    away = replace(
        ledger_env.services, postgres=nowhere, kafka_config={"bootstrap.servers": f"127.0.0.1:{free_port()}"}
    )
    with serving(ledger_env.settings, away) as client:
        answer = client.get("/readyz", timeout=20)
        assert answer.status_code == 503
        assert "ok" not in answer.json().values()
        assert client.get("/healthz").status_code == 200
    for left in set(threading.enumerate()) - before:
        left.join(10)
        assert not left.is_alive(), left


def test_tables_that_are_not_there_yet_are_said_to_be(ledger_env: Any) -> None:
    with serving(ledger_env.settings, ledger_env.services) as client:
        answer = client.get("/v1/orders/order-1")
        assert answer.status_code == 503
        assert "do not exist yet" in answer.json()["what"]


def test_a_taken_port_is_a_fault_that_names_it(ledger_env: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = ledger_env.settings.model_copy(update={"api_port": port})
        with pytest.raises(Fault, match=str(port)):
            run_api(settings, ledger_env.services, threading.Event())


def test_it_listens_on_this_machine_alone_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (Settings().api_host, Settings().api_port) == ("127.0.0.1", 8085)
    monkeypatch.setenv("ORDER_LEDGER_API_PORT", "9000")
    assert Settings().api_port == 9000


def test_the_application_can_be_made_without_serving_it(ledger_env: Any) -> None:
    assert create_app(ledger_env.settings, ledger_env.services).title == "order-ledger"


def test_a_figure_opens_to_its_rows(api: httpx.Client) -> None:
    document = api.get("/v1/kpis/return_rate/orders", params={"by": "channel", "group": "web", "limit": 5}).json()
    assert (document["kpi"], document["rows"]) == ("return_rate/4", [])
    assert {row["group"] for row in document["left_out"]} == {"web"}
    assert api.get("/v1/kpis/speed/orders").status_code == 404
    wrong = api.get("/v1/kpis/return_rate/orders", params={"by": "carrier"})
    assert wrong.status_code == 422
    assert "not counted by carrier" in wrong.json()["detail"]
