"""The application (health, read endpoints, registry) and its server.

stop = threading.Event()
run_api(Settings(), services, stop)       # http://127.0.0.1:8085/docs
"""

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version

import h11
import psycopg
import uvicorn
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.api import cases, kpis, orders, queue, stock
from gateway.api.docs import docs_router
from gateway.api.door import Door, understood
from gateway.api.problems import ADDRESSES, answer, answer_in_one_shape
from gateway.api.registry import RegistryError, answer_error, registry_router
from processors.subjects import topics_of_records
from runtime.errors import Fault
from runtime.instance import hold_instance
from runtime.kafka import admin
from runtime.postgres import pool
from runtime.services import Services
from runtime.settings import Settings
from schemas.registry import Subjects

#: The modules with endpoints below /v1; the `router` of each takes the pool of connections.
NOUNS = (orders, stock, queue, cases, kpis)

#: How long readiness waits for each service. Probes come every few seconds, so a slow answer counts as none.
_READY_SECONDS = 2.0
#: How long open requests may still run after a stop; a read takes milliseconds.
_DRAIN_SECONDS = 5
#: How often the server checks whether it must stop: shorter spins, longer delays the end of every test.
_STOP_POLL_SECONDS = 0.1


def create_app(settings: Settings, services: Services, on_ready: Callable[[], None] = lambda: None) -> FastAPI:
    """The API over these services. When it starts to serve, it opens its connections and calls `on_ready`."""
    connections = pool(services, "api")
    kafka: AdminClient | None = None

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        nonlocal kafka
        connections.open(wait=False)  # PostgreSQL may still be starting: /readyz says so
        kafka = admin(services)
        on_ready()
        yield
        kafka = None  # the framework keeps an application for ever, and its client would go on looking for a broker
        connections.close()

    app = FastAPI(
        title="order-ledger",
        version=version("order-ledger"),
        description="Orders, stock and service cases as the ledger knows them. Errors say what, detail and hint.",
        lifespan=lifespan,
        dependencies=[Depends(understood)],
        # FastAPI's own pages load scripts from another host, and its redirects go where the client's Host header says.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    answer_in_one_shape(app)
    app.add_exception_handler(RegistryError, answer_error)
    app.add_middleware(Door)

    @app.get("/healthz", tags=["health"])
    def alive() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    def ready() -> JSONResponse:
        """Kafka and PostgreSQL answer; 503 and the reason if one does not."""
        found = {"kafka": kafka_problem(), "postgres": postgres_problem()}
        problems = {name: problem for name, problem in found.items() if problem is not None}
        words = {name: problem or "ok" for name, problem in found.items()}
        return JSONResponse(words, status_code=503 if problems else 200)

    def kafka_problem() -> str | None:
        if kafka is None:
            return "the API does not serve"
        try:
            kafka.list_topics(timeout=_READY_SECONDS)
        except KafkaException as error:
            return str(error.args[0])
        return None

    def postgres_problem() -> str | None:
        try:
            with connections.connection(timeout=_READY_SECONDS) as connection:
                connection.execute("SELECT 1")
        except (psycopg.Error, PoolTimeout) as error:
            return str(error).strip().splitlines()[0]
        return None

    app.include_router(docs_router(app))
    for noun in NOUNS:
        app.include_router(noun.router(connections))
    app.include_router(registry_router(Subjects(topics_of_records(settings.topic_prefix))))
    return app


def run_api(settings: Settings, services: Services, stop: threading.Event) -> None:
    """Serve until `stop` is set, then let open requests end. Raises Fault if it cannot listen on the address."""
    listener = _listen(settings.api_host, settings.api_port)
    instance = hold_instance(settings.home, "api")
    app = create_app(settings, services, on_ready=lambda: instance.ready(services.topic_prefix, address_of(listener)))
    config = uvicorn.Config(
        app,
        log_config=None,  # keeps our own logging: uvicorn's would replace the root logger
        access_log=False,
        http=_Protocol,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    server = _Server(config)

    def watch() -> None:
        while not stop.wait(_STOP_POLL_SECONDS):
            if server.ended:
                return
        server.should_exit = True

    watcher = threading.Thread(target=watch, name="api-stop", daemon=True)
    watcher.start()
    try:
        server.run(sockets=[listener])
    finally:
        server.ended = True
        listener.close()
        watcher.join()
        instance.release()


def address_of(listener: socket.socket) -> str:
    """The URL of a listener: `http://127.0.0.1:8085`, with its real port."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    # Bound before the server starts, so that a port in use is an error of this call and not a line in a log.
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise Fault(
            f"The API cannot listen on {host}:{port}",
            str(error),
            "set ORDER_LEDGER_API_PORT to another port (0: any free one), or ORDER_LEDGER_API_HOST to an address of "
            "this machine (::1 if it has no IPv4)",
        ) from error


class _Protocol(H11Protocol):
    """Answers bytes that are not HTTP in the form of all our errors."""

    def send_400_response(self, msg: str) -> None:
        refusal = answer(400, "this is not an HTTP request", msg, "addresses are ASCII, percent-encoded; " + ADDRESSES)
        headers = [*refusal.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=bytes(refusal.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _Server(uvicorn.Server):
    """Does not handle signals; its process does, and sets `stop`."""

    ended = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
