"""Where faults are tried. `make faults` sets three Kafka nodes; `make test` uses the session's one, but where a test
asks for `three_nodes`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.embedded.cluster import Embedded
from runtime.services import Services
from runtime.settings import default_cache
from tests.conftest import LedgerEnv, open_world

HERE = Path(__file__).parent

#: What every run tries, one seed each: a unit sold twice, a process that dies or comes back, a command told again, an
#: answer that is lost. All other faults, and more seeds, are tried by `make test-all` and `make faults`.
IN_EVERY_RUN = (
    "test_oversell.py::test_two_hundred_clients_never_get_the_hundred_and_first_unit",
    "test_kill.py::test_a_worker_killed_between_any_two_effects_leaves_no_trace",
    "test_zombie.py::test_a_worker_that_comes_back_from_the_dead_changes_nothing[ledger]",
    "test_duplicates.py::test_every_command_again_up_to_five_times_changes_nothing",
    "test_acknowledgements.py::test_late_and_lost_answers_change_nothing",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A fault of real services is a long test, unless it is tried in every run."""
    for item in items:
        real = not {"services", "fault_env", "three_nodes"}.isdisjoint(getattr(item, "fixturenames", ()))
        if real and item.path.parent == HERE and not item.nodeid.endswith(IN_EVERY_RUN):
            item.add_marker("long")


#: `make faults` sets 3: then all faults are tried on three nodes.
NODES = int(os.environ.get("ORDER_LEDGER_TEST_NODES", "1"))


# Three Java machines cost the tests that do not need them a good part of two cores.
@pytest.fixture(scope="session" if NODES == 3 else "module")
def three_nodes(services: Services) -> Iterator[tuple[Embedded, Services]]:
    """Three Kafka nodes beside the session's PostgreSQL: three copies, two in step before an acknowledgement."""
    folder = Path(tempfile.mkdtemp(prefix="order-ledger-three-"))
    folder.chmod(0o711)
    cache = Path(os.environ.get("ORDER_LEDGER_CACHE") or default_cache())
    cluster = Embedded(folder / "home", cache, kafka_nodes=3, durable=False)
    cluster.stop_with_me()
    try:
        found = cluster.up(postgres=False)
        assert found.kafka is not None
        yield (
            cluster,
            Services(
                kafka_config={"bootstrap.servers": found.kafka},
                postgres=services.postgres,
                kafka_origin="configured",
                postgres_origin=services.postgres_origin,
            ),
        )
    finally:
        cluster.destroy()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def three_node_env(three_nodes: tuple[Embedded, Services], tmp_path: Path) -> Iterator[LedgerEnv]:
    """A world of its own on three nodes."""
    with open_world(three_nodes[1], tmp_path, replication=3) as env:
        yield env


@pytest.fixture
def fault_env(request: Any, tmp_path: Path) -> Iterator[LedgerEnv]:
    """A world of its own: on three nodes in `make faults`, on the session's Kafka else."""
    if NODES == 3:
        with open_world(request.getfixturevalue("three_nodes")[1], tmp_path, replication=3) as env:
            yield env
    else:
        with open_world(request.getfixturevalue("services"), tmp_path) as env:
            yield env
