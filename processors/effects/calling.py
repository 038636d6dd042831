"""The loop that calls: what is due, many at a time, each with an end in time; retries with back-off, then dead.

    2xx                          delivered (its command sent first, where the effect has one)
    410                          dead: the receiver is gone, and says so
    anything else, or nothing    tried again after DELAYS_SECONDS; dead after the last

A receiver that hangs holds one of CALLS_TOGETHER_MAX places for TIMEOUT_SECONDS, and its own stream; nothing else.
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

#: Pauses after each failed attempt: a hiccup costs a second, a night's outage nothing, and after three days a person
#: has to look. Fewer gives up on a long weekend; more calls for ever a receiver that nobody misses.
DELAYS_SECONDS: Sequence[float] = (1, 5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 72_000)
#: So much of a pause is chance, so that what failed together is not tried again together.
JITTER = 0.1
#: For a whole call, to the last byte of its answer. Shorter fails a slow receiver that does its work; longer holds a
#: place.
TIMEOUT_SECONDS = 15.0
#: A claim ends so long after the time-out, and the call is made again: only a process that died has not closed it.
CLAIM_SECONDS_MORE = 10.0
#: Calls under way at once. Fewer lets a few receivers' streams that hang hold up all; more is a burst on a receiver.
CALLS_TOGETHER_MAX = 16
#: After failures without a success between them, an effect's calls rest: twice as long each time. Without it, thousands
#: of streams would try a receiver that is down at once; longer delays its first calls when it is back.
BRAKE_SECONDS_MIN, BRAKE_SECONDS_MAX = 0.05, 5.0
#: Of an answer so much is kept; the rest is not read.
RESPONSE_BYTES_MAX = 65_536
#: How often to look for calls that another process wrote, or whose pause is over. Shorter is a query more.
LOOK_SECONDS = 0.5
#: A stop waits so long for answers; what has none is called again by the next process.
DRAIN_SECONDS = 5.0

GONE = 410


class Caller:
    """Makes the calls of these effects until `stop` is set. `send` has sent the commands when it returns."""

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
        self._one_at_a_time = asyncio.Lock()  # the database is one connection, the sender one producer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._something = asyncio.Event()
        self._asking: set[asyncio.Task[Answer]] = set()
        self._failures = dict.fromkeys(effects, 0)
        self._rests_until = dict.fromkeys(effects, 0.0)

    def wake(self) -> None:
        """Calls were written: look at once. From any thread."""
        if self._loop is not None:
            # A loop that has ended has said why; the rows are there for the next one.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._something.set)

    async def run(self) -> None:
        """Call until the stop. Raises what must not be passed over, such as Kafka that takes nothing."""
        self._loop = asyncio.get_running_loop()
        under_way: set[asyncio.Task[None]] = set()
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        limits = httpx.Limits(max_connections=CALLS_TOGETHER_MAX, max_keepalive_connections=CALLS_TOGETHER_MAX)
        async with httpx.AsyncClient(verify=context, timeout=None, limits=limits, follow_redirects=False) as client:  # noqa: S113 - each call has a time-out of its own, over all of it
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
        """Return when a call is done, one was written, or it is time to look; those that are still under way."""
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
        except asyncio.CancelledError:  # by the stop; what is done with an answer is never cut off
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
                return  # another process has it by now, and its answer counts
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
            log.error("effect_dead", **told, hint="docs/effects.md says how to make it again")
            await self._work(lambda connection: outbox.bury(connection, one, answer))
            return
        seconds = DELAYS_SECONDS[one.attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
        log.warning("effect_failed", **told, again_in_seconds=round(seconds, 1))
        await self._work(lambda connection: outbox.retry(connection, one, answer, seconds))

    async def _work(self, work: Callable[[Connection], Result]) -> Result:
        async with self._one_at_a_time:
            return await asyncio.to_thread(partial(self._database.run, work))


async def _ask(client: httpx.AsyncClient, address: Address, call: Call) -> Answer:
    """One attempt. `error` says why it does not count as delivered."""
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
