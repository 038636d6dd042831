"""Faust's Kafka transport, told two things: to hand on what was fetched in one piece, and to start where PostgreSQL
says.

Faust spends about 70 microseconds on every event, whatever is done with it (stream, buffer, acknowledgement). Here an
event is all that one fetch brought of a partition, so that is spent once for thousands of facts.

Where a partition starts. After each assignment Faust calls `Consumer.perform_seek()` to go to the offsets committed in
Kafka (faust/tables/recovery.py, `_resume_streams`), and again when it has thrown away what was fetched while a
rebalance stopped the flow (faust/transport/consumer.py, `getmany`). `perform_seek` below goes to our own positions
instead. Two more places of Faust 0.15 would get in the way of positions that are not its own, and are turned off:

- `_read_offset`: Faust drops records below the offset it read last. After a seek back, a record still on its way to a
  stream sets that mark forward again, and what is fetched next is dropped in silence. We pass over what we have read
  ourselves, and notice what is missing.
- `_new_offset` and `_add_gap`: Faust commits consecutive acknowledged offsets only and books every gap in an interval
  tree. Our events are acknowledged in order and carry the offset of their last record, so the highest one is the one.

One place of aiokafka 0.14 is mended: a broker that has just come back answers a member's JoinGroup, and may answer the
SyncGroup behind it with "coordinator load in progress". aiokafka waits and joins again after the one, and ends the
consumer after the other: the worker ended, to be started again (a soak of 70 minutes).
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, ClassVar, cast

import faust
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance
from aiokafka.errors import GroupLoadInProgressError, KafkaError
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP

from runtime import failpoints

#: Partitions assigned -> offset to read each one from.
StartOf = Callable[[Collection[tuple[str, int]]], Awaitable[Mapping[tuple[str, int], int]]]


_sync_group = CoordinatorGroupRebalance._send_sync_group_request  # noqa: SLF001  # there is no public place


async def _sync_group_again(rebalance: CoordinatorGroupRebalance, request: Any) -> Any:
    """The assignment; None to join again, which aiokafka has asked for already when it raises."""
    try:
        return await _sync_group(rebalance, request)
    except KafkaError as error:
        if GroupLoadInProgressError.__name__ not in str(error):
            raise
        return None


CoordinatorGroupRebalance._send_sync_group_request = _sync_group_again  # noqa: SLF001


class FetchedRecords:
    """Records of one partition in the shape of one record: `value` is (first offset, [(offset, value), ...]).

    `offset` is that of the last one.
    """

    __slots__ = ("offset", "partition", "timestamp", "timestamp_type", "topic", "value")

    checksum = None
    headers = ()
    key = None
    serialized_key_size = 0
    serialized_value_size = 0

    def __init__(self, tp: Any, records: list[Any]) -> None:
        last = records[-1]
        self.topic: str = tp.topic
        self.partition: int = tp.partition
        self.offset: int = last.offset
        self.timestamp: int | None = last.timestamp
        self.timestamp_type: int | None = last.timestamp_type
        self.value = (records[0].offset, [(record.offset, record.value) for record in records])


class _Forgetful(defaultdict[Any, Any]):
    """A mapping that answers None whatever was put in: Faust's own idea of what it has read is not asked for."""

    def __getitem__(self, key: Any) -> None:
        return None


class ReactionsConsumer(Consumer):
    """Yields one event per fetch and partition, and starts at our positions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _Forgetful()

    async def _getmany(self, active_partitions: Any, timeout: float) -> Mapping[TP, list[Any]]:  # noqa: ASYNC109
        fetched = await super()._getmany(active_partitions, timeout)
        if fetched and failpoints.reach("reactions.fetch"):
            return {}
        return {tp: [FetchedRecords(tp, records)] for tp, records in fetched.items() if records}

    async def perform_seek(self) -> None:
        assigned = self.assignment()
        starts = await cast(ReactionsApp, self.app).start_of({(tp.topic, tp.partition) for tp in assigned})
        # Acknowledgements of what was read before are of no use any more.
        self._acked.clear()
        self._acked_index.clear()
        self._committed_offset.clear()
        await self.seek_wait({TP(*partition): offset for partition, offset in starts.items()})

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:  # noqa: ARG002  # Faust's signature
        return None

    def _new_offset(self, tp: TP) -> int | None:
        acked = self._acked[tp]
        if not acked:
            return None
        newest: int = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return newest + 1


class ReactionsTransport(Transport):
    """As Faust's, with our consumer."""

    Consumer: ClassVar[type[Any]] = ReactionsConsumer


class ReactionsApp(faust.App):
    """A Faust app on our transport. `start_of` is asked after each assignment."""

    start_of: StartOf

    def _create_directories(self) -> None:
        """Make none: Faust's folders are for its own tables, which are not used, and would stand wherever we were
        started.
        """

    def _new_transport(self) -> Any:
        return ReactionsTransport(self.conf.broker_consumer, self, loop=self.loop)
