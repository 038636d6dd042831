"""What the reactions do when nothing comes any more."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from processors.reactions import run
from runtime import memory


class _Engine:
    def look_back(self) -> dict[Any, int]:
        return {}


def test_caches_are_emptied_when_nothing_comes_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[dict[str, bool]] = []
    monkeypatch.setattr(memory, "empty_caches", lambda **how: emptied.append(how))
    monkeypatch.setattr(run, "LOOK_BACK_SECONDS", 0.0)

    async def facts_and_looks() -> list[int]:
        worker = run.Worker(cast(Any, _Engine()), "ledger.orders")
        await worker.handle([])
        found = []
        for _ in range(3):
            await worker.look_back()
            found.append(len(emptied))
        return found

    assert asyncio.run(facts_and_looks()) == [0, 1, 1]
    assert emptied == [{"set_apart": True}], "what was there at the start stays set apart"
