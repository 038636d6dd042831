"""A library that has lost its compiled part goes on without a word: so we say it."""

import fastavro._read_py
import fastavro.read
import psycopg
import pytest
from aiokafka.record import default_records

from runtime.compiled import uncompiled


def test_this_environment_has_all_compiled_parts() -> None:
    assert uncompiled() == []


def test_a_library_in_plain_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastavro.read, "_read", fastavro._read_py)
    assert uncompiled() == ["fastavro"]
    monkeypatch.setattr(default_records, "DefaultRecordBatch", default_records._DefaultRecordBatchPy)
    monkeypatch.setattr(psycopg.pq, "__impl__", "python")
    assert uncompiled() == ["aiokafka", "fastavro", "psycopg"]
    assert uncompiled({"psycopg"}) == ["psycopg"]
