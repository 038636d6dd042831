"""A proxy that speaks enough of Kafka's protocol to lose, delay and forge answers, request by request.

    with Proxy("127.0.0.1:9092") as proxy:
        shop.start("ledger", ORDER_LEDGER_KAFKA=proxy.bootstrap)
        proxy.choose = Mischief(Random(7), {Mishap.LATE: 0.1, Mishap.UNANSWERED: 0.05})

Clients stay on it: the ports of brokers in answers to Metadata and FindCoordinator are replaced, in place, by doors of
ours. A request is known by its header, its answer by the correlation id. What befalls a request is asked of `choose`
when it comes in, in the proxy's own thread. Two answers that name leaders elsewhere (KIP-951: Produce 10, Fetch 16) are
avoided by telling clients that the broker knows these requests up to the version before.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from enum import Enum
from random import Random
from types import TracebackType
from typing import Any, NamedTuple, Self

PRODUCE, METADATA, OFFSET_COMMIT, FIND_COORDINATOR, API_VERSIONS = 0, 3, 8, 10, 18
API_NAMES = {PRODUCE: "produce", OFFSET_COMMIT: "offset commit"}
#: Highest versions that clients are told of.
VERSIONS_MAX = {PRODUCE: 9, 1: 15}
#: From this version on a request's answer has compact lengths and tagged fields.
FLEXIBLE_FROM = {PRODUCE: 9, METADATA: 9, FIND_COORDINATOR: 3}


class Mishap(Enum):
    """What befalls a request or its answer."""

    LATE = "late"  # the answer comes after a while, and all behind it on this connection, too
    UNHEARD = "unheard"  # the request never arrives; the connection is cut
    HALF = "half"  # half of the request arrives; the connection is cut
    UNANSWERED = "unanswered"  # done, but the answer, and those behind it, are lost; then the connection is cut
    LOST = "lost"  # a batch never arrives, and the sender is told that it did


class Trouble(NamedTuple):
    """A mishap; `seconds` is how long LATE lasts, and how long after the loss of an answer the connection lives."""

    mishap: Mishap
    seconds: float = 0.0


class Batch(NamedTuple):
    """Records of one partition in a Produce request."""

    topic: str
    partition: int
    records: int


class Request(NamedTuple):
    """A request on its way. `batches` are known of a Produce in its newest version only."""

    api: int
    version: int
    correlation: int
    frame: bytes
    batches: tuple[Batch, ...]


Choose = Callable[[Request], Trouble | None]


class Mischief:
    """Draws mishaps for Produce and OffsetCommit by their rates (0 to 1 together), from a seed.

    LOST befalls only batches of topics that `may_lose` names: a broker that lies to a channel cannot be found out.
    """

    def __init__(
        self, draw: Random, rates: Mapping[Mishap, float], may_lose: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._draw = draw
        self._rates = rates
        self._may_lose = may_lose

    def __call__(self, request: Request) -> Trouble | None:
        if request.api not in API_NAMES:
            return None
        drawn = self._draw.random()
        for mishap, rate in self._rates.items():
            drawn -= rate
            if drawn < 0:
                if mishap is Mishap.LOST and not (
                    request.batches and all(self._may_lose(batch.topic) for batch in request.batches)
                ):
                    return None
                return Trouble(mishap, self._draw.uniform(0.0, 0.5))
        return None


class Proxy:
    """Listens on a port of its own for each broker. `counts` says what was done: {"produce late": 3, …}."""

    def __init__(self, bootstrap: str) -> None:
        self.choose: Choose | None = None
        self.counts: Counter[str] = Counter()
        self.lost: list[Batch] = []
        self._errors: list[BaseException] = []
        self._brokers = [address.rsplit(":", 1) for address in bootstrap.split(",")]
        self._doors: dict[int, asyncio.Server] = {}
        self._links: set[asyncio.Task[None]] = set()
        # Where the next batch of a partition will stand, once one was seen to be answered; and batches on their way.
        self._next_offsets: dict[tuple[str, int], int] = {}
        self._on_their_way: Counter[tuple[str, int]] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kafka-proxy", daemon=True)
        self.bootstrap = ""

    def __enter__(self) -> Self:
        self._thread.start()
        ports = [self._call(self._door(int(port))) for _, port in self._brokers]
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in ports)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._errors:
            raise AssertionError(f"the proxy itself failed {len(self._errors)} times") from self._errors[0]

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _close(self) -> None:
        for door in self._doors.values():
            door.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _door(self, broker_port: int) -> int:
        """The port that stands for a broker's."""
        if broker_port not in self._doors:
            door = await asyncio.start_server(lambda r, w: self._enter(broker_port, r, w), "127.0.0.1", 0)
            if broker_port in self._doors:  # another connection asked meanwhile
                door.close()
            else:
                self._doors[broker_port] = door
        return int(self._doors[broker_port].sockets[0].getsockname()[1])

    async def _enter(self, broker_port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        ends = [writer]
        try:
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", broker_port)
            ends.append(broker_writer)
            await _Link(self, reader, writer, broker_reader, broker_writer).run()
        except OSError:
            pass  # the broker is away: the client finds its connection cut, as it would without us
        except asyncio.CancelledError:
            pass  # the test is over
        except Exception as error:  # noqa: BLE001  # told when the proxy is closed
            self._errors.append(error)
        finally:
            self._links.discard(task)
            for end in ends:
                end.close()


class _Link:
    """One connection of a client, and ours to the broker behind it."""

    def __init__(
        self,
        proxy: Proxy,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        broker: asyncio.StreamReader,
        to_broker: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._client, self._to_client = client, to_client
        self._broker, self._to_broker = broker, to_broker
        self._waiting: dict[int, tuple[Request, Trouble | None]] = {}

    async def run(self) -> None:
        """Until one side ends, or a mishap cuts the connection."""
        pumps = [asyncio.ensure_future(self._requests()), asyncio.ensure_future(self._answers())]
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for request, _ in self._waiting.values():
                self._arrived(request)
        for pump in done:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                pump.result()

    async def _requests(self) -> None:
        while True:
            frame = await _read(self._client)
            request = parse(frame)
            choose = self._proxy.choose
            trouble = choose(request) if choose is not None else None
            mishap = trouble.mishap if trouble is not None else None
            if mishap is Mishap.LOST:
                answer = self._forge(request)
                if answer is None:
                    trouble = mishap = None
                else:
                    self._note(request, Mishap.LOST)
                    await _write(self._to_client, answer)
                    continue
            if mishap is Mishap.UNHEARD:
                self._note(request, mishap)
                return
            if mishap is Mishap.HALF:
                self._note(request, mishap)
                self._to_broker.write(struct.pack(">i", len(frame)) + frame[: len(frame) // 2])
                await self._to_broker.drain()
                return
            self._waiting[request.correlation] = request, trouble
            for batch in request.batches:
                self._proxy._on_their_way[batch.topic, batch.partition] += 1  # one thing in two classes
            await _write(self._to_broker, frame)

    async def _answers(self) -> None:
        while True:
            frame = bytearray(await _read(self._broker))
            request, trouble = self._waiting.pop(int.from_bytes(frame[:4], "big", signed=True))
            self._arrived(request)
            self._remember(request, frame)
            if trouble is not None:
                self._note(request, trouble.mishap)
                await asyncio.sleep(trouble.seconds)
                if trouble.mishap is Mishap.UNANSWERED:
                    return
            if request.api == API_VERSIONS:
                cap_versions(request, frame)
            for at, port in broker_ports(request, frame):
                struct.pack_into(">i", frame, at, await self._proxy._door(port))
            await _write(self._to_client, bytes(frame))

    def _note(self, request: Request, mishap: Mishap) -> None:
        self._proxy.counts[f"{API_NAMES.get(request.api, request.api)} {mishap.value}"] += 1

    def _arrived(self, request: Request) -> None:
        for batch in request.batches:
            self._proxy._on_their_way[batch.topic, batch.partition] -= 1

    def _remember(self, request: Request, frame: bytes | bytearray) -> None:
        """Where the next batches will stand, from the answer to these."""
        if not request.batches:
            return
        records = {(batch.topic, batch.partition): batch.records for batch in request.batches}
        for place, (error, base_offset) in produced(frame).items():
            if error == 0:
                self._proxy._next_offsets[place] = base_offset + records[place]
            else:
                self._proxy._next_offsets.pop(place, None)

    def _forge(self, request: Request) -> bytes | None:
        """The answer that the broker would give; None where we do not know which offsets it would name."""
        known, busy = self._proxy._next_offsets, self._proxy._on_their_way
        places = [(batch.topic, batch.partition) for batch in request.batches]
        if not places or self._waiting or any(place not in known or busy[place] for place in places):
            return None
        answer = forged(request, known)
        for batch in request.batches:
            known[batch.topic, batch.partition] += batch.records
            self._proxy.lost.append(batch)
        return answer


async def _read(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))


async def _write(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(struct.pack(">i", len(frame)) + frame)
    await writer.drain()


# The protocol: https://kafka.apache.org/protocol


class _Bytes:
    """Reads fields one after the other; `at` is where the next one begins."""

    def __init__(self, data: bytes | bytearray, *, flexible: bool) -> None:
        self.data = data
        self.at = 0
        self.flexible = flexible

    def number(self, size: int) -> int:
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "big", signed=True)

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def length(self, size: int) -> int:
        """Of a string (size 2), of bytes or of an array (size 4); -1 is null."""
        return self.varint() - 1 if self.flexible else self.number(size)

    def pass_over(self, length: int) -> None:
        self.at += max(0, length)

    def text(self) -> str:
        length = max(0, self.length(2))
        self.at += length
        return bytes(self.data[self.at - length : self.at]).decode()

    def tags(self) -> None:
        if self.flexible:
            for _ in range(self.varint()):
                self.varint()
                self.pass_over(self.varint())


def parse(frame: bytes) -> Request:
    """The request in a frame."""
    api, version, correlation = struct.unpack_from(">hhi", frame)
    batches: list[Batch] = []
    if api == PRODUCE and version >= FLEXIBLE_FROM[PRODUCE]:
        body = _Bytes(frame, flexible=True)
        body.at = 8
        body.pass_over(body.number(2))  # the client's id keeps its old form in every version
        body.tags()
        body.text()  # transactional id
        body.at += 6  # acks, time-out
        for _ in range(body.length(4)):
            topic = body.text()
            for _ in range(body.length(4)):
                partition = body.number(4)
                size = body.length(4)
                records = int.from_bytes(frame[body.at + 23 : body.at + 27], "big") + 1  # of the last: its number
                batches.append(Batch(topic, partition, records))
                body.at += size
                body.tags()
            body.tags()
    return Request(api, version, correlation, frame, tuple(batches))


def produced(frame: bytes | bytearray) -> dict[tuple[str, int], tuple[int, int]]:
    """(topic, partition) → error code and first offset, from an answer to Produce 9."""
    found = {}
    body = _Bytes(frame, flexible=True)
    body.at = 4
    body.tags()
    for _ in range(body.length(4)):
        topic = body.text()
        for _ in range(body.length(4)):
            partition, error, base_offset = body.number(4), body.number(2), body.number(8)
            body.at += 16  # append time, first offset of the log
            for _ in range(body.length(4)):
                body.at += 4
                body.text()
                body.tags()
            body.text()
            body.tags()
            found[topic, partition] = error, base_offset
        body.tags()
    return found


def forged(request: Request, offsets: Mapping[tuple[str, int], int]) -> bytes:
    """An answer to Produce 9 that says: all taken, at these offsets. One batch a topic and partition."""
    parts = [struct.pack(">i", request.correlation), b"\0", _varint(len(request.batches) + 1)]
    for topic, partition, _ in request.batches:
        name = topic.encode()
        parts += [_varint(len(name) + 1), name, _varint(2)]
        parts += [struct.pack(">ihqqq", partition, 0, offsets[topic, partition], -1, 0), b"\1\0\0", b"\0"]
    return b"".join([*parts, struct.pack(">i", 0), b"\0"])


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def cap_versions(request: Request, frame: bytearray) -> None:
    """Lower what the broker says it knows to what we can read."""
    flexible = request.version >= 3
    body = _Bytes(frame, flexible=flexible)
    body.at = 4  # this answer has the old header in every version
    if body.number(2) != 0:
        return
    for _ in range(body.length(4)):
        api = body.number(2)
        body.at += 2
        highest = body.number(2)
        if api in VERSIONS_MAX:
            struct.pack_into(">h", frame, body.at - 2, min(highest, VERSIONS_MAX[api]))
        body.tags()


def broker_ports(request: Request, frame: bytes | bytearray) -> list[tuple[int, int]]:
    """(where it stands, port) of every broker that an answer names."""
    if request.api not in (METADATA, FIND_COORDINATOR):
        return []
    version = request.version
    body = _Bytes(frame, flexible=version >= FLEXIBLE_FROM[request.api])
    body.at = 4
    body.tags()
    found = []

    def broker() -> None:
        body.at += 4  # node
        host = body.text()
        at, port = body.at, body.number(4)
        if host:  # a coordinator that is not known has none
            assert host in ("127.0.0.1", "localhost"), host
            found.append((at, port))

    if request.api == METADATA:
        body.at += 4 if version >= 3 else 0  # throttle time
        for _ in range(body.length(4)):
            broker()
            if version >= 1:
                body.text()  # rack
            body.tags()
    elif version >= 4:
        body.at += 4
        for _ in range(body.length(4)):
            body.text()  # key
            broker()
            body.at += 2
            body.text()
            body.tags()
    else:
        body.at += 6 if version >= 1 else 2  # throttle time, error
        if version >= 1:
            body.text()
        broker()
    return found
