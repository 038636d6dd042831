"""The next thing is made while the last one is used."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import SimpleQueue
from typing import TypeVar

Made = TypeVar("Made")


@contextmanager
def ahead(things: Iterable[Made]) -> Iterator[Iterator[Made]]:
    """The same things in the same order, made in a thread of their own, which has ended afterwards. What making one
    raises is raised where the things are used.
    """
    with closing(_ahead(things)) as coming:
        yield coming


def _ahead(things: Iterable[Made]) -> Generator[Made]:
    made: SimpleQueue[Made | None] = SimpleQueue()

    def make() -> None:
        try:
            for one in things:
                made.put(one)
        finally:
            made.put(None)

    with ThreadPoolExecutor(1, "ahead") as pool:
        making = pool.submit(make)
        while (one := made.get()) is not None:
            yield one
        making.result()
