"""A worker's name: the first that is free, the same after a restart, another for another copy or another home."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from runtime import instance
from runtime.instance import REJOINS_MAX, as_member, hold_instance, living
from runtime.kafka import ShutOut

HOLD = (
    "import sys, time; from pathlib import Path; from runtime.instance import hold_instance\n"
    "i = hold_instance(Path(sys.argv[1]), 'ledger'); print(i.name, flush=True); time.sleep(600)"
)


def test_copies_have_names_of_their_own_and_a_name_that_is_let_go_is_taken_again(tmp_path: Path) -> None:
    first, second = hold_instance(tmp_path, "ledger"), hold_instance(tmp_path, "ledger")
    assert first.name is not None
    assert second.name is not None
    assert (first.name[-9:], second.name[-9:]) == ("-ledger-1", "-ledger-2")
    first.release()
    again = hold_instance(tmp_path, "ledger")
    assert again.name == first.name
    assert again.config() == {"group_instance_id": first.name}


def test_kinds_and_homes_do_not_meet(tmp_path: Path) -> None:
    names = {
        hold_instance(tmp_path / home, worker).name for home in ("one", "two") for worker in ("ledger", "projector")
    }
    assert len(names) == 4


def test_a_killed_process_leaves_its_name_to_the_next(tmp_path: Path) -> None:
    names = []
    for _ in range(2):
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        assert child.stdout is not None
        names.append(child.stdout.readline().strip())
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert names[0] == names[1] != ""


def test_where_nothing_can_be_written_a_worker_has_no_name_and_works_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert hold_instance(tmp_path / "file", "ledger").config() == {}


def test_a_member_that_is_shut_out_serves_again_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "REJOIN_PAUSE_SECONDS", 0.0)
    served = []

    def shut_out(times: int) -> None:
        served.append(times)
        if len(served) <= times:
            raise ShutOut(KafkaError(KafkaError._FATAL))

    as_member(lambda: shut_out(REJOINS_MAX), threading.Event())
    assert len(served) == REJOINS_MAX + 1
    served.clear()
    with pytest.raises(ShutOut):
        as_member(lambda: shut_out(REJOINS_MAX + 1), threading.Event())
    assert len(served) == REJOINS_MAX + 1


def test_what_a_member_had_at_hand_is_gone_when_it_serves_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "REJOIN_PAUSE_SECONDS", 0.0)
    former: list[weakref.ref[Any]] = []
    alive: list[bool] = []

    class Member:
        def __init__(self) -> None:
            self.calls_back = self.serve  # as a client that knows the callbacks of who uses it

        def serve(self) -> None:
            alive.extend(one() is not None for one in former)
            if not former:
                former.append(weakref.ref(self))
                raise ShutOut(KafkaError(KafkaError._FATAL))

    gc.disable()  # as in the ledger
    try:
        as_member(lambda: Member().serve(), threading.Event())
    finally:
        gc.enable()
    assert alive == [False]


def test_a_member_that_is_to_stop_does_not_join_again() -> None:
    stop = threading.Event()
    served = []

    def shut_out() -> None:
        served.append(1)
        stop.set()
        raise ShutOut(KafkaError(KafkaError._FATAL))

    as_member(shut_out, stop)
    assert served == [1]


def test_other_errors_are_not_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "REJOIN_PAUSE_SECONDS", 0.0)

    def fail() -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL))

    with pytest.raises(KafkaException):
        as_member(fail, threading.Event())


def test_who_lives_on_a_home_is_seen_with_what_it_said_of_itself(tmp_path: Path) -> None:
    assert living(tmp_path) == []
    api, ledger = hold_instance(tmp_path, "api"), hold_instance(tmp_path, "ledger")
    api.ready("shop.", "http://127.0.0.1:8085")
    found = {one.worker: one for one in living(tmp_path)}
    assert (found["api"].name, found["api"].pid, found["api"].address) == (
        api.name,
        os.getpid(),
        "http://127.0.0.1:8085",
    )
    assert found["api"].ledger == "shop."
    assert found["api"].ready_at
    assert found["ledger"].ready_at == ""
    api.release()
    assert [one.worker for one in living(tmp_path)] == ["ledger"]
    ledger.release()


def test_who_takes_a_name_over_takes_over_no_word_of_the_one_before(tmp_path: Path) -> None:
    first = hold_instance(tmp_path, "api")
    first.ready("", "http://127.0.0.1:8085")
    first.release()
    second = hold_instance(tmp_path, "api")
    (found,) = living(tmp_path)
    assert (found.name, found.ready_at, found.address) == (second.name, "", "")


def test_a_look_at_who_lives_takes_nobodys_name(tmp_path: Path) -> None:
    """`living` locks a free name for a moment; a worker that starts just then waits for it."""
    hold_instance(tmp_path, "ledger").release()
    descriptor = os.open(tmp_path / "instances" / "ledger-1.lock", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    threading.Timer(instance.TRY_AGAIN_SECONDS / 4, os.close, [descriptor]).start()
    held = hold_instance(tmp_path, "ledger")
    assert held.name is not None
    assert held.name.endswith("-ledger-1")
