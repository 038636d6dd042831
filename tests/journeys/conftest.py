"""One running shop for all journeys of a module: each journey has SKUs and orders of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.services import Services
from tests.conftest import open_world
from tests.support.shop import Shop, open_shop


@pytest.fixture(scope="module")
def shop(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Ledger, reactions and projector as processes."""
    folder: Path = tmp_path_factory.mktemp("shop")
    with (
        open_world(services, folder) as env,
        open_shop(env, "ledger", "projector", logs=folder / "logs") as running,
    ):
        running.start("reactions", module="tests.support.quick_reactions")
        yield running
