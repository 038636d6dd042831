"""What is mended in the Kafka client of the reactions, with the client's own code around it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupLoadInProgressError,
    InvalidGroupIdError,
    KafkaError,
)

import processors.reactions.transport  # noqa: F401  # mends it


class Coordinator:
    """Of a group whose broker answers each request with one error."""

    generation, member_id, _rebalance_timeout_ms = 1, "member", 10_000

    def __init__(self, error_code: int) -> None:
        self.error_code = error_code
        self.rejoins = 0

    async def _send_req(self, _request: Any) -> Any:
        return self

    def request_rejoin(self) -> None:
        self.rejoins += 1


def _synced(coordinator: Any) -> Any:
    async def sync() -> Any:
        rebalance = CoordinatorGroupRebalance(coordinator, "reactions", 1, None, [], 10_000, 100)
        return await rebalance._send_sync_group_request(None)

    return asyncio.run(sync())


def test_a_broker_that_is_still_loading_the_group_is_asked_again() -> None:
    """Seen to fail: as aiokafka has it, this raises, and the worker ends."""
    coordinator = Coordinator(GroupLoadInProgressError.errno)
    assert _synced(coordinator) is None
    assert coordinator.rejoins == 1


@pytest.mark.parametrize("error", [GroupAuthorizationFailedError, InvalidGroupIdError])
def test_an_answer_that_waiting_does_not_mend_still_ends_the_consumer(error: type[KafkaError]) -> None:
    with pytest.raises(KafkaError, match=error.__name__):
        _synced(Coordinator(error.errno))
