"""The same work in several processes at once, each with arguments of its own.

    results = in_processes(fold, [(services, one) for one in shares], heard, dead)

`fold(services, share, tell)` runs in a process for each share. What it gives to `tell` comes to `heard(number, it)`;
what it returns is a result. Functions, arguments, messages and results are pickled.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from runtime.errors import Fault
from runtime.logging import setup_logging

#: How often `look` is called.
LOOK_SECONDS = 0.2

#: A process that was asked to end rolls back and ends at once; one that does not is killed.
END_SECONDS = 5.0

POLARS_THREADS = "POLARS_MAX_THREADS"

#: The fault for a process that has ended too early: its number from 1, how many there are, how it ended.
Dead = Callable[[int, int, str], Fault]


@dataclass(frozen=True, slots=True)
class _Told:
    what: Any


@dataclass(frozen=True, slots=True)
class _Done:
    result: Any


def in_processes(
    work: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    heard: Callable[[int, Any], None],
    dead: Dead,
    look: Callable[[], None] = lambda: None,
) -> list[Any]:
    """The results, in the order of `tasks`. `look` is called now and then, and may raise to end it all.

    Raises a process's Fault, and `dead` if one ends in another way. Then the other processes are ended too.
    """
    results: dict[int, Any] = {}
    with ExitStack() as stack:
        pipes: dict[Pipe, tuple[int, BaseProcess]] = {}
        for number, task in enumerate(tasks):
            pipe, process = _start(work, task)
            stack.callback(_end, process)
            pipes[pipe] = number, process
        while pipes:
            look()
            for ready in wait(list(pipes), LOOK_SECONDS):
                assert isinstance(ready, Pipe), "only pipes are waited for"
                number, process = pipes[ready]
                try:
                    said = ready.recv()
                except EOFError:
                    raise dead(number + 1, len(tasks), _how(process)) from None
                if isinstance(said, _Told):
                    heard(number, said.what)
                elif isinstance(said, _Done):
                    results[number] = said.result
                    del pipes[ready]
                else:
                    raise said
    return [results[number] for number in range(len(tasks))]


def _start(work: Callable[..., Any], task: tuple[Any, ...]) -> tuple[Pipe, BaseProcess]:
    # Not forked: a child would share the sockets and the locked locks of librdkafka's and polars' threads.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, task, there), daemon=True)
    # A core for each: threads of a pool would only wake each other. polars reads it when the child imports it.
    before = os.environ.get(POLARS_THREADS)
    os.environ[POLARS_THREADS] = "1"
    try:
        process.start()
    finally:
        os.environ.pop(POLARS_THREADS)
        if before is not None:
            os.environ[POLARS_THREADS] = before
    there.close()
    return here, process


def _run(work: Callable[..., Any], task: tuple[Any, ...], parent: Pipe) -> None:
    """What a process does. If its parent has died, it ends when it tells it something."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all; the parent ends us
    setup_logging("WARNING")
    try:
        parent.send(_Done(work(*task, lambda what: parent.send(_Told(what)))))
    except BrokenPipeError:
        return
    except Fault as fault:
        parent.send(fault)


def _end(process: BaseProcess) -> None:
    process.terminate()
    process.join(END_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()


def _how(process: BaseProcess) -> str:
    process.join(END_SECONDS)
    status = process.exitcode
    return f"killed by signal {-status}" if status is not None and status < 0 else f"exit status {status}"
