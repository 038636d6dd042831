"""One running shop for all journeys of a module: each journey has SKUs and orders of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from runtime.postgres import drop_database, ensure_database
from runtime.services import Services, find_services
from runtime.settings import Settings
from tests.conftest import LedgerEnv
from tests.support.shop import Shop, open_shop


@pytest.fixture(scope="module")
def shop(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Ledger, reactions and projector as processes."""
    name = f"t{uuid.uuid4().hex[:10]}"
    folder: Path = tmp_path_factory.mktemp("shop")
    settings = Settings(
        kafka=services.bootstrap_servers,
        kafka_security_protocol=services.kafka_config.get("security.protocol"),
        postgres=SecretStr(ensure_database(services, name)),
        topic_prefix=f"{name}.",
        home=folder / "home",
    )
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ORDER_LEDGER_")}
    env = LedgerEnv(settings, find_services(settings), inherited | settings.as_env())
    with open_shop(env, "ledger", "reactions", "projector", logs=folder / "logs") as running:
        yield running
    drop_database(services, name)
