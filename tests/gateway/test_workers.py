"""Who works, and what a command says when nobody does. Where services are down, nothing starts them unasked."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

import gateway.cli.context
import gateway.operating.workers
from gateway.cli import app
from gateway.operating.doctor import examine
from gateway.operating.workers import WORKERS, Crew, Lookout, look, missing, start_command, wanted
from processors.topics import ensure_topics
from processors.worker import Worker, resolve
from runtime.errors import Fault
from runtime.instance import hold_instance
from runtime.kafka import consumer
from tests.support.waiting import wait_until

NOBODY = [Crew("ledger", 0, 0), Crew("reactions", 0, 0), Crew("projector", 0, 0), Crew("api", 0, 0)]
ALL_BUT_ONE = [Crew("ledger", 1, 12), Crew("reactions", 2, 12), Crew("projector", 0, 0), Crew("api", 0, 0)]
EVERYBODY = [Crew("ledger", 1, 12), Crew("reactions", 1, 12), Crew("projector", 1, 12), Crew("api", 0, 0)]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_member_whose_process_is_gone_counts_no_more_though_its_broker_does_not_know_yet(ledger_env: Any) -> None:
    settings, services = ledger_env.settings, ledger_env.services
    ensure_topics(services, settings)
    assert [crew.processes for crew in look(services, settings, answer_seconds=30)] == [0, 0, 0, 0]
    instance = hold_instance(settings.home, "ledger")
    member = consumer(services, "ledger", **instance.config())
    member.subscribe([services.topic("intake.orders")])
    try:
        wait_until(lambda: member.poll(0.1) or member.assignment())
        instance.ready(services.topic_prefix)
        ledger = look(services, settings)[0]
        assert (ledger.name, ledger.processes, ledger.partitions) == ("ledger", 1, settings.partitions)
        assert [one.name for one in ledger.running] == [instance.name]
        assert missing(look(services, settings)) == ["reactions", "projector"]

        instance.release()  # as the kernel does when a process dies, however it dies
        assert look(services, settings)[0].processes == 0
    finally:
        member.close()


def test_effects_are_a_worker_only_where_somebody_is_to_be_called(ledger_env: Any) -> None:
    settings, services = ledger_env.settings, ledger_env.services
    assert [row.name for row in wanted(settings)] == ["ledger", "reactions", "projector", "api"]
    told = settings.model_copy(
        update={"webhook_url": "http://shop.example/", "webhook_secret": SecretStr("whsec_" + "c2VjcmV0" * 4)}
    )
    assert "effects" in {row.name for row in wanted(told)}
    found = look(services, told, answer_seconds=30)
    assert [crew.name for crew in found] == [row.name for row in wanted(told)]
    assert "effects" not in missing(found), "a ledger answers without it"


def test_the_command_that_starts_what_is_missing_starts_no_more_than_that() -> None:
    assert start_command(missing(NOBODY)) == "order-ledger run"
    assert start_command(missing(ALL_BUT_ONE)) == "order-ledger run --only projector"
    assert missing(EVERYBODY) == []


def test_who_waits_is_told_once_of_each_change(monkeypatch: pytest.MonkeyPatch, ledger_env: Any) -> None:
    clock, said = Clock(), []
    lookout = Lookout(ledger_env.services, ledger_env.settings, lambda news: said.append(str(news)), clock=clock)
    for crews in (NOBODY, NOBODY, ALL_BUT_ONE, EVERYBODY, EVERYBODY, NOBODY):
        monkeypatch.setattr(gateway.operating.workers, "look", lambda *_, crews=crews: crews)
        lookout.look()
        clock.now += 1.0
    assert [news.splitlines()[0] for news in said] == [
        "no worker runs: ledger, reactions and projector",
        "no worker runs: projector",
        "projector: running now",
        "no worker runs: ledger, reactions and projector",
    ]
    assert "`order-ledger run --only projector`" in said[1]


def _configure(ledger_env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ledger_env.env.items():
        if name.startswith("ORDER_LEDGER_"):
            monkeypatch.setenv(name, value)


def test_who_publishes_settles_or_looks_is_told_that_nobody_works(
    ledger_env: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Seen: `publish` waited 120 s before it asked whether workers run, `settle` was silent for 60 s."""
    _configure(ledger_env, monkeypatch)
    file = tmp_path / "one.ndjson"
    stock = {"sku": "MUG", "location_id": "WH1", "quantity": 1}
    file.write_text(json.dumps(
        {"command": "ReceiveStock", "id": "r-1", "channel": "wms", "occurred_at": "2026-11-27T18:00:00Z", "data": stock}
    ))  # fmt: skip
    ensure_topics(ledger_env.services, ledger_env.settings)
    said: list[float] = []
    started = time.monotonic()
    monkeypatch.setattr("gateway.cli.commands.say_missing", lambda _: said.append(time.monotonic() - started))
    published = CliRunner().invoke(app, ["publish", str(file), "--timeout", "1"])
    assert len(said) == 1
    fault = published.exception
    assert isinstance(fault, Fault)
    assert "no worker runs: ledger, reactions and projector" in fault.detail
    assert "`order-ledger run`" in fault.hint

    settled = CliRunner().invoke(app, ["settle", "--timeout", "0", "--json"])
    assert settled.exit_code == 1
    assert json.loads(settled.stdout)["missing_workers"] == ["ledger", "reactions", "projector"]
    assert "no worker runs: ledger, reactions and projector" in settled.stderr
    assert "settling: 1 in flight" in settled.stderr

    status = CliRunner().invoke(app, ["status"]).stdout
    assert "`order-ledger run --only ledger,reactions,projector,api` starts" not in status
    for worker in ("ledger", "reactions", "projector", "api"):
        assert f"{worker:<9} down" in status
    assert "`order-ledger run` starts the missing workers" in status


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish", "FILE"),
        ("publish", "FILE", "--no-wait"),
        ("settle",),
        ("simulate", "--orders", "5"),
        ("import", "online-retail", "FILE"),
        ("rules", "publish", "RULES"),
        ("verify",),
        ("dead-letters", "list"),
        ("order", "A-1"),
    ],
)
def test_where_the_services_are_down_a_command_says_so_and_starts_none(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Seen: `publish` after `down` started both, for 27 s, without a word."""
    home = _nothing_up(monkeypatch, tmp_path)
    result = CliRunner().invoke(app, _with_files(arguments, tmp_path))
    said = str(result.exception) if isinstance(result.exception, Fault) else result.stderr
    assert "the services are not up" in said
    assert "`order-ledger up` starts them" in said
    assert not home.exists()


def test_up_starts_them_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _nothing_up(monkeypatch, tmp_path)

    def started(*_: Any) -> None:
        raise Fault("started")

    monkeypatch.setattr(gateway.cli.context, "up", started)
    for arguments in (
        ("publish", "FILE"), ("settle",), ("simulate",), ("import", "online-retail", "FILE"),
        ("rules", "publish", "RULES"),
    ):  # fmt: skip
        result = CliRunner().invoke(app, [*_with_files(arguments, tmp_path), "--up"])
        assert str(result.exception) == "started", (arguments, result.output)


def test_what_ends_a_worker_is_a_line_of_its_log(tmp_path: Path) -> None:
    """Seen: the three lines of a fault between lines of JSON."""
    ended = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "run", "--only", "projector"],
        env={"ORDER_LEDGER_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    said = json.loads(line)
    assert (said["event"], said["process"], said["what"]) == ("worker_failed", "projector", "the services are not up")
    assert "`order-ledger up`" in said["hint"]
    assert ended.stdout == ""


def _nothing_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("KAFKA", "POSTGRES", "TOPIC_PREFIX"):
        monkeypatch.delenv(f"ORDER_LEDGER_{name}", raising=False)
    home = tmp_path / "home"
    monkeypatch.setenv("ORDER_LEDGER_HOME", str(home))
    return home


def _with_files(arguments: tuple[str, ...], folder: Path) -> list[str]:
    from processors.routing.default import default_text

    (folder / "some.ndjson").write_text("{}\n")
    (folder / "rules.toml").write_text(default_text())
    names = {"FILE": str(folder / "some.ndjson"), "RULES": str(folder / "rules.toml")}
    return [names.get(one, one) for one in arguments]


def test_a_row_of_the_table_names_what_runs_and_what_is_checked() -> None:
    for name, row in WORKERS.items():
        assert name == row.name
        assert callable(resolve(row.run))
        assert row.checks is None or callable(resolve(row.checks))


def test_a_new_worker_is_one_row(monkeypatch: pytest.MonkeyPatch, ledger_env: Any) -> None:
    """Listed, looked for in its group, and missed or not as its row says."""
    _configure(ledger_env, monkeypatch)
    ensure_topics(ledger_env.services, ledger_env.settings)
    wants = {"yes": True}
    row = Worker("notices", run="tests:run", reads=("ledger.orders",), needed=False, wanted=lambda _: wants["yes"])
    monkeypatch.setitem(WORKERS, "notices", row)  # type: ignore[arg-type]  # a table that nobody else changes
    crews = look(ledger_env.services, ledger_env.settings, answer_seconds=30)
    assert [crew.name for crew in crews] == ["ledger", "reactions", "projector", "api", "notices"]
    assert "notices" not in missing(crews)
    assert any("No worker runs: notices" in check.what for check in examine(ledger_env.settings))
    wants["yes"] = False
    assert "notices" not in {crew.name for crew in look(ledger_env.services, ledger_env.settings)}


def test_every_folder_that_has_a_worker_is_in_the_table() -> None:
    root = Path(__file__).parents[2]
    folders = {file.parent for room in ("processors", "gateway") for file in (root / room).glob("*/__init__.py")}
    with_rows = {folder for folder in folders if "WORKER = Worker(" in (folder / "__init__.py").read_text()}
    assert len(with_rows) == len(WORKERS) >= 4
