"""Both Faust apps of the peer: their settings, their topics, and how they run."""

from __future__ import annotations

import os
from typing import Any

import faust

PARTITIONS = 12
TABLES = ("orders", "stock", "outcomes")


def app_of(name: str) -> Any:
    """An app with Faust's defaults, but for what a flood of small records needs."""
    return faust.App(
        id=os.environ["PREFIX"] + name,
        broker=f"kafka://{os.environ['BOOTSTRAP']}",
        store="memory://",
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        table_standby_replicas=0,
        # Faust asks with a version of CreateTopics that Kafka 4 no longer has: all topics are there before.
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=5_000,
        stream_buffer_maxsize=16_384,
        stream_wait_empty=False,
        producer_compression_type="lz4",
        producer_max_batch_size=262_144,
        producer_linger=0.005,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )


def changelogs() -> list[str]:
    """Without the prefix, which the id of the app begins with."""
    return [f"agents-{table}-changelog" for table in TABLES]


def topic_of(app: Any, *names: str) -> Any:
    prefix = os.environ["PREFIX"]
    return app.topic(*(prefix + name for name in names), key_type=str, value_serializer="json")


def run(app: Any) -> None:
    faust.Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()
