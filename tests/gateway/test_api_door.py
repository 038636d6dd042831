"""What the API does not understand it refuses, in one shape; nothing of this asks a service."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.api.app import create_app
from gateway.api.door import understood
from runtime.services import Services
from runtime.settings import Settings

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """The API over services that are not there: it opens its connections when it begins to serve."""
    kafka = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    return create_app(Settings(), Services(kafka, "host=127.0.0.1 port=1", "configured", "configured", "", None))


@pytest.fixture
def ask(app: FastAPI) -> Ask:
    def ask(method: str, address: str, **more: Any) -> httpx.Response:
        async def request() -> httpx.Response:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                # Built by hand: the client would repair an address that is broken on purpose.
                built = client.build_request(method, "http://api/", **more)
                path, _, query = address.partition("?")
                built.url = _Raw(path.encode(), query.encode())  # type: ignore[assignment]
                return await client.send(built)

        return asyncio.run(request())

    return ask


class _Raw(httpx.URL):
    """An address that goes out as it is written."""

    def __init__(self, path: bytes, query: bytes) -> None:
        super().__init__("http://api/")
        self._path_bytes, self._query_bytes = path, query

    @property
    def raw_path(self) -> bytes:
        return self._path_bytes + (b"?" + self._query_bytes if self._query_bytes else b"")

    @property
    def path(self) -> str:
        from urllib.parse import unquote

        return unquote(self._path_bytes.decode())

    @property
    def query(self) -> bytes:
        return self._query_bytes


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        # parameters that nobody declared, with the nearest where one is near
        ("/v1/inventory?skus=MUG", 422, "did you mean sku?"),
        ("/v1/inventory?Limit=5", 422, "did you mean limit?"),
        ("/v1/inventory?colour=red", 422, "it takes sku, location, low, limit"),
        ("/v1/inventory?sku=MUG&=x", 422, "a parameter is not known"),
        ("/v1/inventory.csv?colour=red", 422, "it takes sku, location, low, limit"),
        ("/v1/orders/A-1?as_off=2026-11-27", 422, "did you mean as_of?"),
        ("/v1/orders/A-1/history?limit=5", 422, "it takes as_of, effective"),
        ("/v1/queue?topic=late", 422, "it takes queue, limit"),
        ("/v1/cases?queue=late", 422, "it takes topic, limit"),
        ("/v1/kpis?form=2026-11-27", 422, "did you mean from?"),
        ("/v1/kpis/return_rate/orders?grup=web", 422, "did you mean group?"),
        ("/healthz?verbose=1", 422, "it takes none"),
        ("/readyz?x", 422, "it takes none"),
        ("/openapi.json?v=3", 422, "it takes none"),
        # given twice
        ("/v1/inventory?sku=A&sku=B", 422, "sku is given 2 times"),
        ("/v1/kpis?from=2026-11-27&from=2026-11-28", 422, "from is given 2 times"),
        # values that are none
        ("/v1/inventory?sku=", 422, "sku: String should have at least 1 character"),
        ("/v1/inventory?sku", 422, "sku: String should have at least 1 character"),
        (f"/v1/inventory?sku={'x' * 201}", 422, "sku: String should have at most 200 characters"),
        (f"/v1/orders/{'x' * 201}", 422, "order_id: String should have at most 200 characters"),
        ("/v1/inventory?limit=0", 422, "greater than or equal to 1"),
        ("/v1/inventory?limit=10001", 422, "less than or equal to 10000"),
        ("/v1/inventory?limit=5.0", 422, "write it in digits, found 5.0"),
        ("/v1/inventory?limit=+5", 422, "write it in digits"),
        ("/v1/inventory?limit=1_0", 422, "write it in digits"),
        ("/v1/inventory?limit=", 422, "write it in digits"),
        ("/v1/inventory?low=maybe", 422, "low: "),
        ("/v1/queue?limit=0", 422, "greater than or equal to 1"),
        ("/v1/kpis?limit=0&by=day", 422, "greater than or equal to 1"),
        ("/v1/kpis?from=yesterday", 422, "write a day as 2026-11-27"),
        ("/v1/kpis?from=0", 422, "write a day as 2026-11-27"),
        ("/v1/kpis?from=1764201600", 422, "write a day as 2026-11-27"),
        ("/v1/kpis?from=2026-11-27T00:00:00", 422, "write a day as 2026-11-27"),
        ("/v1/kpis?to=2026-02-30", 422, "to: "),
        ("/v1/kpis?by=chanel", 422, "did you mean channel?"),
        ("/v1/kpis?by=mood", 422, "'channel', 'region', 'location', 'carrier' or 'day'"),
        ("/v1/kpis?figure=return_rates", 422, "did you mean return_rate?"),
        ("/v1/kpis?limit=5", 422, "limit needs by"),
        ("/v1/kpis?from=2026-11-28&to=2026-11-27", 422, "from 2026-11-28 is after to 2026-11-27"),
        ("/v1/kpis/return_rate/orders?from=2026-11-28&to=2026-11-27", 422, "from 2026-11-28 is after to 2026-11-27"),
        ("/v1/kpis/return_rates/orders", 404, "did you mean return_rate?"),
        # addresses that are no text
        ("/v1/orders/%FF", 400, "it is not UTF-8"),
        ("/v1/orders/%ED%A0%80", 400, "it is not UTF-8"),
        ("/v1/orders/100%", 400, "'%' is not a percent-encoding"),
        ("/v1/orders/%zz", 400, "'%zz' is not a percent-encoding"),
        ("/v1/orders/a%00b", 400, "NUL"),
        ("/v1/inventory?sku=%00", 400, "NUL"),
        ("/v1/inventory?sku=%C3%28", 400, "it is not UTF-8"),
        ("/v1/inventory?sku=5%", 400, "'%' is not a percent-encoding"),
        # addresses that are not there
        ("/v1/nothing", 404, "/docs lists every address"),
        ("/v1/inventry", 404, "did you mean /v1/inventory?"),
        ("/v1/inventory/", 404, "did you mean /v1/inventory?"),
        ("/v1//inventory", 404, "did you mean /v1/inventory?"),
        ("/healthz/", 404, "did you mean /healthz?"),
        ("/redoc", 404, "/docs lists every address"),
        ("/docs/nothing.js", 422, "swagger-ui-bundle.js"),
    ],
)
def test_what_is_not_understood_is_refused(ask: Ask, address: str, status: int, says: str) -> None:
    answer = ask("GET", address)
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert document.keys() == {"what", "detail", "hint"}
    assert all(document.values())
    assert says in " ".join(document.values())
    assert len(answer.text) < 1_000
    assert ask("HEAD", address).status_code == status


def test_every_listed_address_refuses_a_parameter_that_it_does_not_list(app: FastAPI, ask: Ask) -> None:
    for address, operations in app.openapi()["paths"].items():
        if "get" in operations and "schema registry" not in operations["get"]["tags"]:
            asked = f"{re.sub(r'{[^}]*}', 'x', address)}?surprise=1"
            assert ask("GET", asked).status_code == 422, address


def test_every_route_asks_what_is_understood(app: FastAPI) -> None:
    """A route that is added by other means than the application's would take anything."""
    assert understood in {dependency.dependency for dependency in app.router.dependencies}
    paths = {getattr(route, "path", None) for route in app.routes}
    assert not paths & {"/redoc", "/docs/oauth2-redirect"}


@pytest.mark.parametrize(
    "address", ["/v1/inventory", "/v1/orders/A-1", "/healthz", "/v1/kpis", "/docs", "/openapi.json"]
)
def test_an_address_says_what_methods_it_takes(ask: Ask, address: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
        answer = ask(method, address)
        assert answer.status_code == 405, method
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
        assert answer.json()["hint"] == "this address takes GET, HEAD, OPTIONS"
    options = ask("OPTIONS", address)
    assert (options.status_code, options.content, options.headers["allow"]) == (204, b"", "GET, HEAD, OPTIONS")


def test_an_address_that_is_not_there_takes_no_method(ask: Ask) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        assert ask(method, "/v1/nothing").status_code == 404


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/xml", 406),
        ("text/html", 406),
        ("text/csv", 406),
        ("*/*;q=0", 406),
        ("application/json;q=0, */*", 406),
        ("application/json;q=high", 400),
        ("application/json", 200),
        ("APPLICATION/JSON; charset=utf-8", 200),
        ("application/*", 200),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 200),
        ("", 200),
    ],
)
def test_a_format_that_nobody_makes_is_refused(ask: Ask, accept: str, status: int) -> None:
    answer = ask("GET", "/healthz", headers={"Accept": accept} if accept else {})
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.json().keys() == {"what", "detail", "hint"}


def test_the_registry_answers_as_registries_do(ask: Ask) -> None:
    """Its clients know `error_code` and `message`, and send parameters of newer registries."""
    assert ask("GET", "/subjects?deleted=false&lookupDeletedSubject=1").status_code == 200
    assert ask("HEAD", "/subjects").status_code == 200
    for method, address, status in [
        ("GET", "/schemas/ids/seven", 422),
        ("GET", "/subjects/x/nothing", 404),
        ("PUT", "/subjects/x/versions", 405),
        ("DELETE", "/subjects/x/versions/1", 405),
        ("GET", "/subjects?limit=many", 422),
    ]:
        answer = ask(method, address)
        assert (answer.status_code, answer.json()["error_code"]) == (status, status), address
        assert answer.json()["message"]
        assert answer.headers["content-type"] == "application/vnd.schemaregistry.v1+json"
    accepted = ask("GET", "/subjects", headers={"Accept": "application/vnd.schemaregistry+json"})
    assert accepted.status_code == 200
    assert ask("GET", "/subjects", headers={"Accept": "text/html"}).json()["error_code"] == 406


def test_the_page_of_the_documentation_loads_nothing_from_elsewhere(ask: Ask) -> None:
    page = ask("GET", "/docs")
    assert page.status_code == 200
    loaded = re.findall(r"(?:src|href)=\"([^\"]*)\"", page.text) + re.findall(r"url: '([^']*)'", page.text)
    assert len(loaded) == 4
    for address in loaded:
        assert "//" not in address
        found = ask("GET", f"/{address}")
        assert found.status_code == 200, address
        assert len(found.content) > 500
    assert '"validatorUrl": null' in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert not re.search(r"https?://", page.text)


def test_the_document_lists_formats_bounds_and_errors(app: FastAPI) -> None:
    operation = app.openapi()["paths"]["/v1/inventory"]["get"]
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/csv", "application/x-ndjson"}
    limits = {one["name"]: one["schema"] for one in operation["parameters"]}["limit"]
    assert (limits["minimum"], limits["maximum"]) == (1, 10_000)
    for status in ("400", "404", "406", "422", "503"):
        assert "Problem" in str(operation["responses"][status])
