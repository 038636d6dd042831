"""The Faust app of the reactions: which topics, which settings and why, and how Kafka's security is passed on."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import faust
from yarl import URL

from events.catalogue import LEDGER_TOPICS
from processors.reactions.transport import ReactionsApp
from runtime.errors import Fault
from runtime.kafka import faust_broker
from runtime.services import Services

GROUP = "reactions"

#: Records per fetch over all partitions. Fewer pays Faust's cost per event more often; more makes one batch, and the
#: time until its commands are on their way, longer.
FETCH_RECORDS_MAX = 4_000

#: Fetches that wait in memory for the one at work. Fewer lets the reader idle while a batch is handled; more is only
#: memory (16 fetches of 4,000 facts of 300 bytes: 20 MB) and more to drop in a rebalance.
FETCHES_BUFFERED_MAX = 16

#: Fetches taken together, and how long to wait for company. Each costs one transaction and one flush: with 24
#: partitions and one fetch at a time, a quiet ledger would pay 24 of them in turn; waiting longer only delays the
#: first: 10 ms made a lone order wait 20 ms longer, and saved nothing from a backlog.
FETCHES_TOGETHER_MAX = 16
FETCH_COMPANY_SECONDS = 0.002

#: A copy that died is noticed after this, unless the settings say otherwise. A broker allows no less than 6 s unless it
#: was told to; 45 s (its default) is 45 s of silence for its partitions. Heartbeats come from a thread of their own, so
#: a long batch does not look like death.
SESSION_TIMEOUT_SECONDS = 6.0
HEARTBEAT_SECONDS = 1.5

#: Timers look this often: a hold lapses up to so much late. More often costs a query each time.
TIMER_SECONDS = 1.0

#: How often Kafka's committed offsets, which are only for monitoring tools, are written.
COMMIT_SECONDS = 5.0

Handle = Callable[[list[Any]], Awaitable[None]]
Ring = Callable[[], Awaitable[None]]


def reactions_app(services: Services, handle: Handle, ring: Ring, instance: str | None = None) -> ReactionsApp:
    """A Faust app that passes each batch of fetches to `handle` (which acknowledges them itself) and calls `ring` by
    the clock.

    `instance` is a name that this copy keeps over restarts. Each value is (first offset, [(offset, bytes), ...]).
    """
    session_ms = services.consumer_config.get("session.timeout.ms")
    session_seconds = SESSION_TIMEOUT_SECONDS if session_ms is None else int(session_ms) / 1000
    app = ReactionsApp(
        id=services.group(GROUP),
        broker=[URL(address) for address in faust_broker(services).split(";")],
        broker_credentials=faust_credentials(services.kafka_config),
        broker_max_poll_records=FETCH_RECORDS_MAX,
        broker_session_timeout=session_seconds,
        broker_heartbeat_interval=min(HEARTBEAT_SECONDS, session_seconds / 3),
        broker_commit_interval=COMMIT_SECONDS,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=instance,
        stream_buffer_maxsize=FETCHES_BUFFERED_MAX,
        # On a stop Faust would wait for what is buffered to be worked off; it is read again instead.
        stream_wait_empty=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        store="memory://",
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    topics = [services.topic(name) for name in LEDGER_TOPICS]
    ledger = app.topic(*topics, key_serializer="raw", value_serializer="raw", key_type=bytes, value_type=bytes)

    async def reactions(stream: Any) -> None:
        async for events in stream.noack_take(FETCHES_TOGETHER_MAX, within=timedelta(seconds=FETCH_COMPANY_SECONDS)):
            await handle(events)

    app.agent(ledger, name="reactions", concurrency=1)(reactions)

    async def timers() -> None:
        await ring()

    app.timer(interval=TIMER_SECONDS, name="timers")(timers)
    return app


def faust_credentials(config: Mapping[str, str]) -> Any:
    """Faust's credentials from librdkafka's properties; None for a plaintext broker. Raises Fault where it has none."""
    protocol = config.get("security.protocol", "plaintext").lower()
    if protocol == "plaintext":
        return None
    context = _ssl_context(config) if protocol.endswith("ssl") else None
    if protocol == "ssl":
        return faust.SSLCredentials(context)
    mechanism = config.get("sasl.mechanism", "PLAIN").upper()
    if mechanism not in {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}:
        raise Fault(
            f"the reactions cannot sign in with {mechanism}",
            "Faust's Kafka client knows PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 by name and password",
            "give ORDER_LEDGER_KAFKA_SASL_MECHANISM one of these",
        )
    return faust.SASLCredentials(
        username=config.get("sasl.username"),
        password=config.get("sasl.password"),
        mechanism=mechanism,
        ssl_context=context,
    )


def _ssl_context(config: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.get("ssl.ca.location"))
    certificate = config.get("ssl.certificate.location")
    if certificate is not None:
        context.load_cert_chain(certificate, config.get("ssl.key.location"), config.get("ssl.key.password"))
    return context
