"""A process that stands still in a transaction does not hold up its successor."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from runtime import postgres
from runtime.postgres import connect, let_go_when_still


def test_a_transaction_that_rests_is_rolled_back_and_its_rows_are_free(
    ledger_env: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: without the setting the successor waited until its own lock time-out (LockNotAvailable)."""
    monkeypatch.setattr(postgres, "STILL_SECONDS_MAX", 0.2)
    with connect(ledger_env.services, "test", autocommit=True) as successor:
        successor.execute("CREATE TABLE t AS SELECT 1 AS n")
        still = connect(ledger_env.services, "test")
        let_go_when_still(still)
        still.execute("UPDATE t SET n = n + 10")
        successor.execute("SET lock_timeout TO '60s'")
        successor.execute("UPDATE t SET n = n + 100")
        with pytest.raises((psycopg.errors.IdleInTransactionSessionTimeout, psycopg.OperationalError)):
            still.execute("SELECT 1")
        still.close()
        assert successor.execute("SELECT n FROM t").fetchone() == (101,)
