"""A real registry, where one is configured, holds every contract and gives the ids that records are written with.

The registry here is a small one of ours that keeps what it is told and speaks the protocol over HTTP.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from processors.subjects import codec_for
from runtime.errors import Fault
from schemas.codec import Codec, UndecodableError
from schemas.contracts import contracts
from schemas.registry import COMPATIBILITY, ConfluentRegistry, Subjects, register

TOPICS = {
    contract.full_name: ["ledger.orders", "ledger.stock"] if contract.name == "CommandRefused" else ["a.topic"]
    for contract in contracts()
}


class SmallRegistry(ThreadingHTTPServer):
    """Ids count up from 5000; the same schema has the same id under every subject."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ids: dict[str, int] = {}
        self.subjects: dict[str, list[int]] = {}
        self.compatibility: dict[str, str] = {}
        self.holds_others = False
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: SmallRegistry

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test says what went wrong."""

    def answer(self, body: object, status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def body(self) -> dict[str, str]:
        content: dict[str, str] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return content

    def do_POST(self) -> None:
        _, _, subject, versions = unquote(self.path.partition("?")[0]).split("/")
        assert versions == "versions"
        schema = json.dumps(json.loads(self.body()["schema"]), sort_keys=True)
        if self.server.holds_others:
            self.answer({"error_code": 409, "message": "READER_FIELD_MISSING_DEFAULT_VALUE"}, 409)
            return
        with self.server.lock:
            schema_id = self.server.ids.setdefault(schema, 5000 + len(self.server.ids))
            known = self.server.subjects.setdefault(subject, [])
            if schema_id not in known:
                known.append(schema_id)
        self.answer({"id": schema_id})

    def do_PUT(self) -> None:
        subject = unquote(self.path).rpartition("/")[2]
        self.server.compatibility[subject] = self.body()["compatibility"]
        self.answer({"compatibility": self.server.compatibility[subject]})


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    server = SmallRegistry()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_contracts_are_registered_once_and_records_carry_the_ids_of_the_registry(registry: SmallRegistry) -> None:
    subjects = Subjects(TOPICS)
    ids = register(ConfluentRegistry(registry.url), subjects)
    assert set(ids) == {(contract.full_name, contract.version) for contract in contracts()}
    assert set(registry.subjects) == set(subjects.names())
    assert set(registry.compatibility.values()) == {COMPATIBILITY}
    assert register(ConfluentRegistry(registry.url), subjects) == ids
    assert all(len(versions) == len(set(versions)) for versions in registry.subjects.values())

    codec = Codec(ids)
    record = {"command": "CancelOrder", "code": "no_order", "what": "", "detail": "", "hint": "", "at_most": None}
    data = codec.encode_data("order_ledger.facts.CommandRefused", SimpleNamespace(**record))
    schema_id = codec.schema_id("order_ledger.facts.CommandRefused")
    assert schema_id == ids["order_ledger.facts.CommandRefused", 1] >= 5000
    assert codec.by_id[schema_id].name == "CommandRefused"
    assert data.startswith(b"\x16CancelOrder")


def test_what_a_registry_once_numbered_like_an_old_contract_is_not_taken_for_one(registry: SmallRegistry) -> None:
    codec = Codec(register(ConfluentRegistry(registry.url), Subjects(TOPICS)))
    with pytest.raises(UndecodableError) as error:
        codec.decode(b"\0\0\0\x03\xe9...")
    assert error.value.reason == "unknown_schema"


def test_a_registry_that_holds_other_contracts_is_told_with_what_to_do(registry: SmallRegistry) -> None:
    registry.holds_others = True
    with pytest.raises(Fault) as refused:
        codec_for(registry.url, "shop.")
    assert "shop.intake.orders-order_ledger.commands.AmendOrder" in refused.value.what
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in refused.value.detail
    assert "ORDER_LEDGER_TOPIC_PREFIX" in refused.value.hint


def test_a_registry_that_gives_one_schema_two_ids_is_refused() -> None:
    class Forgetful:
        next_id = 0

        def set_compatibility(self, subject: str, level: str) -> None:
            """Nothing to keep."""

        def register(self, subject: str, schema: str) -> int:
            self.next_id += 1
            return self.next_id

    with pytest.raises(ValueError, match="CommandRefused"):
        register(Forgetful(), Subjects(TOPICS))


def test_subjects_are_found_by_name_version_and_id() -> None:
    subjects = Subjects(TOPICS)
    found = subjects.find("ledger.stock-order_ledger.facts.CommandRefused")
    assert found.version == 1
    assert subjects.find(found.name, 1) == found
    assert [subject.name for subject in subjects.of_id(found.contract.schema_id)] == [
        "ledger.orders-order_ledger.facts.CommandRefused",
        "ledger.stock-order_ledger.facts.CommandRefused",
    ]
    with pytest.raises(KeyError):
        subjects.find(found.name, 2)
    with pytest.raises(KeyError):
        subjects.by_id(1)
