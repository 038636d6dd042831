"""The loop that makes the calls that are due, many at a time, each with a time-out; retries with back-off, then dead.

    2xx                          delivered (its command is sent first, if the effect has one)
    410                          dead: the receiver says that it is gone
    anything else, or nothing    tried again after DELAYS_SECONDS; dead after the last

A receiver that hangs blocks one of CALLS_TOGETHER_MAX slots for TIMEOUT_SECONDS, and its own stream; nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import httpx
import truststore

from processors.effects import outbox
from processors.effects.outbox import Answer, Claimed, Connection
from processors.effects.rows import Address, Call, Effect, Response
from processors.effects.wiring import Configured
from processors.following.database import Database
from processors.reactions.asked import Asked
from runtime import failpoints
from runtime.logging import log

Result = TypeVar("Result")

#: Pauses after failed attempts: a short fault costs a second, a night's outage loses nothing, and after three days a
#: person must look. Fewer give up over a long weekend; more keep calling a receiver that nobody needs any more.
DELAYS_SECONDS: Sequence[float] = (1, 5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 72_000)
#: Random share of a pause, so that calls that failed together are not tried again together.
JITTER = 0.1
#: For a whole call, to the last byte of its answer. Shorter fails slow receivers that work; longer blocks a slot.
TIMEOUT_SECONDS = 15.0
#: A claim ends this long after the time-out, and the call is made again: its process must have died.
CLAIM_SECONDS_MORE = 10.0
#: Calls in progress at a time. Fewer let a few hanging streams block all others; more hit a receiver with a burst.
CALLS_TOGETHER_MAX = 16
#: Pause of an effect's calls after a failure, doubled with each further one. Without it, thousands of streams would try
#: a receiver that is down at once; longer delays its first calls when it is back.
BRAKE_SECONDS_MIN, BRAKE_SECONDS_MAX = 0.05, 5.0
#: Bytes kept of an answer; the rest is not read.
RESPONSE_BYTES_MAX = 65_536
#: How often to look for calls that another process wrote, or whose pause is over. Shorter costs queries.
LOOK_SECONDS = 0.5
#: How long a stop waits for answers. The next process repeats calls without one.
DRAIN_SECONDS = 5.0

GONE = 410


class Caller:
    """Makes the calls of these effects until `stop` is set. `send` returns once the commands are sent."""

    def __init__(
        self,
        effects: Configured,
        database: Database,
        send: Callable[[Sequence[Asked]], None],
        stop: threading.Event,
    ) -> None:
        self._effects = effects
        self._database = database
        self._send = send
        self._stop = stop
        self._one_at_a_time = asyncio.Lock()  # there is one database connection and one producer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._something = asyncio.Event()
        self._asking: set[asyncio.Task[Answer]] = set()
        self._failures = dict.fromkeys(effects, 0)
        self._rests_until = dict.fromkeys(effects, 0.0)

    def wake(self) -> None:
        """Calls were written: look at once. From any thread."""
        if self._loop is not None:
            # The loop has ended and reported why. The next process finds the rows.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._something.set)

    async def run(self) -> None:
        """Call until `stop` is set. Raises errors that must end the process, such as Kafka refusing commands."""
        self._loop = asyncio.get_running_loop()
        under_way: set[asyncio.Task[None]] = set()
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        limits = httpx.Limits(max_connections=CALLS_TOGETHER_MAX, max_keepalive_connections=CALLS_TOGETHER_MAX)
        async with httpx.AsyncClient(verify=context, timeout=None, limits=limits, follow_redirects=False) as client:  # noqa: S113 - each call has its own time-out
            while not self._stop.is_set():
                self._something.clear()
                free = CALLS_TOGETHER_MAX - len(under_way)
                claimed = await self._claim(free) if free else []
                under_way |= {asyncio.create_task(self._make(client, one)) for one in claimed}
                if len(claimed) < free or not free:
                    under_way = await self._wait(under_way)
            await self._end(under_way)

    async def _claim(self, count: int) -> list[Claimed]:
        seconds = TIMEOUT_SECONDS + CLAIM_SECONDS_MORE
        names = [name for name, until in self._rests_until.items() if until <= time.monotonic()]
        if not names:
            return []
        return await self._work(lambda connection: outbox.claim(connection, names, count, seconds))

    async def _wait(self, under_way: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
        """Wait until a call is done, one was written, or it is time to look. Returns the calls still in progress."""
        woken = asyncio.create_task(self._something.wait())
        everything: set[asyncio.Task[Any]] = {*under_way, woken}
        done, _ = await asyncio.wait(everything, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()
        for task in done - {woken}:
            task.result()
        return under_way - done

    async def _end(self, under_way: set[asyncio.Task[None]]) -> None:
        if not under_way:
            return
        await asyncio.wait(under_way, timeout=DRAIN_SECONDS)
        for asking in self._asking:
            asking.cancel()
        await asyncio.gather(*under_way)

    async def _make(self, client: httpx.AsyncClient, one: Claimed) -> None:
        effect, address = self._effects[one.effect]
        call = Call(one.event_id, one.body)
        if one.status == "answered":  # by a process that died before its command was sent
            await self._deliver(one, effect.answer(call, Response(one.response_status or 0, one.response or "")), one)
            return
        asking = asyncio.create_task(_ask(client, address, call))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        try:
            answer = await asking
        except asyncio.CancelledError:  # by the stop; it never interrupts the handling of an answer
            await self._work(lambda connection: outbox.let_go(connection, one))
            return
        failpoints.reach("effects.answered")
        if answer.status is not None and answer.error is None:
            response = Response(answer.status, answer.body or "")
            await self._deliver(one, effect.answer(call, response), answer)
            return
        await self._failed(effect, one, answer)

    async def _deliver(self, one: Claimed, command: Asked | None, answer: Answer | Claimed) -> None:
        kept = answer if isinstance(answer, Answer) else Answer(answer.response_status, answer.response)
        if command is not None:
            if not await self._work(lambda connection: outbox.answered(connection, one, kept)):
                return  # another process has claimed it, and its answer counts
            async with self._one_at_a_time:
                await asyncio.to_thread(self._send, [command])
            failpoints.reach("effects.sent")
        self._failures[one.effect] = 0
        await self._work(lambda connection: outbox.deliver(connection, one, kept))
        log.debug("effect_delivered", effect=one.effect, event_id=one.event_id, attempts=one.attempts)

    async def _failed(self, effect: Effect, one: Claimed, answer: Answer) -> None:
        self._failures[effect.name] += 1
        rest = min(BRAKE_SECONDS_MAX, BRAKE_SECONDS_MIN * 2.0 ** min(20, self._failures[effect.name]))
        self._rests_until[effect.name] = time.monotonic() + rest
        dead = answer.status == GONE or one.attempts > len(DELAYS_SECONDS)
        told = {"effect": effect.name, "event_id": one.event_id, "attempts": one.attempts, "error": answer.error}
        if dead:
            log.error("effect_dead", **told, hint="docs/effects.md says how to repeat the call")
            await self._work(lambda connection: outbox.bury(connection, one, answer))
            return
        seconds = DELAYS_SECONDS[one.attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
        log.warning("effect_failed", **told, again_in_seconds=round(seconds, 1))
        await self._work(lambda connection: outbox.retry(connection, one, answer, seconds))

    async def _work(self, work: Callable[[Connection], Result]) -> Result:
        async with self._one_at_a_time:
            return await asyncio.to_thread(partial(self._database.run, work))


async def _ask(client: httpx.AsyncClient, address: Address, call: Call) -> Answer:
    """Make one attempt. `error` says why it does not count as delivered."""
    headers = address.headers(call, int(time.time()))
    try:
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            client.stream("POST", address.url, content=call.body.encode(), headers=headers) as response,
        ):
            body = await _beginning(response)
    except TimeoutError:
        return Answer(error=f"no answer within {TIMEOUT_SECONDS:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Answer(error=f"{type(error).__name__}: {error}".rstrip(": "))
    good = 200 <= response.status_code < 300
    return Answer(response.status_code, body, None if good else f"HTTP status {response.status_code}")


async def _beginning(response: httpx.Response) -> str:
    found = b""
    async for piece in response.aiter_bytes():
        found += piece
        if len(found) >= RESPONSE_BYTES_MAX:
            break
    return found[:RESPONSE_BYTES_MAX].decode(errors="replace")
