"""`replay` and `diff` as an analyst uses them, on a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from events.catalogue import LEDGER_TOPICS
from events.times import rfc3339
from gateway.cli import app
from processors.verify import verify
from projections.catalogue import PROJECTIONS
from projections.inventory.projection import PROJECTION as INVENTORY
from runtime.kafka import TopicSpec, create_topics, producer
from runtime.postgres import connect
from runtime.services import Services
from schemas.codec import Codec
from tests.processors.test_verify import random_logs
from tests.support.chain import BEGINNING, CODEC, ChainLog
from tests.support.effective import accepted, differences, had_occurred
from tests.support.facts import stock_received
from tests.support.folding import rows as folded
from tests.support.projecting import project

MIDDLE = BEGINNING + timedelta(seconds=200)


class Shell:
    """The command line in the environment of one test."""

    def __init__(self, env: Any) -> None:
        self.env = env
        self.services: Services = env.services

    def run(self, *arguments: str, given: str | None = None) -> Any:
        return CliRunner().invoke(app, list(arguments), input=given)

    def json(self, *arguments: str, status: int = 0, given: str | None = None) -> Any:
        result = self.run(*arguments, "--json", given=given)
        assert result.exit_code == status, (result.output, result.exception)
        return json.loads(result.stdout.splitlines()[-1])  # before it the log, which `main` would send to stderr

    def refused(self, *arguments: str, given: str | None = None) -> str:
        result = self.run(*arguments, given=given)
        assert result.exit_code == 1, (result.output, result.exception)
        said: str = str(result.exception) if not isinstance(result.exception, SystemExit) else result.stderr
        return said

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        with connect(self.services, "test", autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def live(self) -> None:
        """What the projector does until it has caught up."""
        project(self.services)


@pytest.fixture
def shell(ledger_env: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    for name, value in ledger_env.env.items():
        if name.startswith("ORDER_LEDGER_"):
            monkeypatch.setenv(name, value)
    services = ledger_env.services
    create_topics(services, [TopicSpec(services.topic(topic), 2) for topic in LEDGER_TOPICS])
    return Shell(ledger_env)


def write(services: Services, logs: list[ChainLog]) -> None:
    sender = producer(services)
    for log in logs:
        for one in log.records:
            topic = services.topic(log.topic)
            sender.produce(topic, partition=log.partition, key=one.key_bytes, value=one.value_bytes)
    assert sender.flush(60) == 0


def until(log: ChainLog, moment: datetime) -> ChainLog:
    """The log as it would be if nothing had been recorded later."""
    cut = ChainLog(log.topic, log.partition)
    cut.records = [one for one in log.records if CODEC.decode(one.value_bytes)[1]["recorded_at"] <= moment]
    return cut


def history(seed: int = 4) -> list[ChainLog]:
    """Facts of every kind; some come again late, and some are of a writer that was cut off."""
    logs = random_logs(seed=seed, decisions=400)
    stock = next(log for log in logs if log.topic == "ledger.stock" and log.partition == 1)
    values = [one.value_bytes for one in stock.records[-3:]]
    before = stock.last
    ahead = stock.encode("cut", stock_received(), stock_received(), recorded_at=MIDDLE + timedelta(days=1))
    stock.append([*values, ahead[0]])
    stock.last = before
    stock.decide("after", stock_received("AFTER", quantity=3), recorded_at=MIDDLE)
    stock.decide("later", stock_received("AFTER", quantity=4), recorded_at=MIDDLE + timedelta(microseconds=1))
    # Reported late, and by a clock that is ahead.
    known_at, ahead_of = MIDDLE + timedelta(hours=1), MIDDLE + timedelta(seconds=1)
    stock.decide("late", stock_received("LATE", quantity=6), occurred_at=MIDDLE, recorded_at=known_at)
    stock.decide("never", stock_received("NEVER", quantity=7), occurred_at=ahead_of, recorded_at=known_at)
    return logs


def test_tables_as_of_a_moment_are_a_plain_fold_of_the_log_up_to_there(shell: Shell) -> None:
    logs = history()
    write(shell.services, logs)
    shell.live()
    done = shell.json("replay", "--as-of", "2026-11-27T18:03:20Z", "--into", "middle")
    assert (done["schema"], done["as_of"], done["resumed"]) == ("middle", "2026-11-27T18:03:20Z", False)
    known = [until(log, MIDDLE) for log in logs]
    assert 0 < done["facts"] <= sum(len(log.records) for log in known) < sum(len(log.records) for log in logs)

    # A plain fold of a log in which nothing was recorded later, whatever it is that ends there.
    first = {f"{log.topic}/{log.partition}": len(log.records) for log in known if log.topic != "ledger.stock"}
    assert first.items() <= done["offsets"].items()
    on_hand = {
        (row["sku"], row["location_id"]): row["on_hand"]
        for row in folded(INVENTORY, *known)["inventory"]
        if "on_hand" in row
    }
    found = shell.asked("SELECT sku, location_id, on_hand FROM middle.inventory WHERE on_hand <> 0")
    assert {(sku, location): units for sku, location, units in found} == on_hand
    assert on_hand["AFTER", "WH1"] == 3

    # The code that shares nothing with the fold says the same of every row of every table.
    assert verify(shell.services, Codec(), schema="middle").first_difference is None

    # What the tables held at these offsets is the same.
    again = shell.json("replay", "--as-of", "-", "--into", "at_offsets", "--anew", given=json.dumps(done))
    assert again["offsets"] == done["offsets"]
    same = shell.json("diff", "middle", "at_offsets")
    assert same["equal"] is True
    assert len(same["tables"]) == sum(len(one.tables) for one in PROJECTIONS.values())
    different = shell.json("diff", "public", "middle", status=1)
    assert different["equal"] is False
    assert different["offsets"]["public"].keys() == done["offsets"].keys()

    # The live tables stay as they were, and of the whole log they are the same.
    whole = shell.run("replay", "--anew")
    assert "schema replay_latest: " in whole.stdout, whole.output
    assert "order-ledger diff public replay_latest" in whole.stdout
    text = shell.run("diff", "public", "replay_latest")
    assert (text.exit_code, text.stdout.startswith("equal: ")) == (0, True), text.output


def test_what_had_occurred_by_a_moment_is_a_plain_fold_of_these_facts_whenever_they_were_recorded(
    shell: Shell,
) -> None:
    logs = history(6)
    write(shell.services, logs)
    then = ["replay", "--as-of", "2026-11-27T18:03:20Z"]
    now_known = shell.json(*then, "--effective")
    assert now_known["schema"] == "replay_effective_20261127t180320z"
    assert (now_known["as_of"], now_known["effective"]) == ("2026-11-27T18:03:20Z", True)
    assert now_known["projections"] == ["inventory", "stock_movements", "cases", "kpi"]
    assert now_known["facts"] == len(accepted(one for log in logs for one in log.records))

    # Plain Python, fact by fact, over the facts that had occurred.
    books = had_occurred((one for log in logs for one in log.records), MIDDLE)
    schema = now_known["schema"]
    compared = 0
    for projection in now_known["projections"]:
        effective = PROJECTIONS[projection].effective
        assert effective is not None
        for table in effective.tables:
            names = [column.name for column in table.columns]
            rows = shell.asked(f"SELECT {', '.join(names)} FROM {schema}.{table.name}")
            if table.name == "stock_movements":
                journal = books.tables[table.name]
                order = [names.index(name) for name in journal.columns]
                assert [journal.compare(tuple(row[at] for at in order)) for row in rows] == [None] * len(rows)
                assert list(journal.missing()) == []
            else:
                assert differences(books, table.name, names, rows) == []
            compared += len(rows)
    assert compared > 100

    # What was reported late is in one, not in the other; the quantities are those that `inventory --at` adds up.
    known_then = shell.json(*then, "inventory", "stock_movements", "cases", "kpi", "--into", "known_then")
    stock = "SELECT sku, on_hand FROM {}.inventory WHERE sku IN ('LATE', 'NEVER', 'AFTER') ORDER BY sku"
    assert shell.asked(stock.format("known_then")) == [("AFTER", 3)]
    assert shell.asked(stock.format(schema)) == [("AFTER", 3), ("LATE", 6)]
    assert known_then["effective"] is False
    shell.live()
    at = shell.json("inventory", "--at", "2026-11-27T18:03:20Z")["rows"]
    units = {(row["sku"], row["location_id"]): row["on_hand"] for row in at if row["on_hand"]}
    found = shell.asked(f"SELECT sku, location_id, on_hand FROM {schema}.inventory WHERE on_hand <> 0")
    assert {(sku, location): on_hand for sku, location, on_hand in found} == units
    differ = shell.json("diff", "known_then", schema, status=1)
    assert differ["tables"]["inventory"]["columns"].keys() == {"known_then"}
    assert "LATE" in {row["key"]["sku"] for row in differ["tables"]["stock_movements"]["rows"]}
    # The figures can be read there.
    shell.asked(f"SELECT * FROM {schema}.v_kpi_orders, {schema}.v_inventory")

    # What is learned later counts when it is asked again.
    stock_log = next(log for log in logs if log.topic == "ledger.stock" and log.partition == 1)
    more = ChainLog("ledger.stock", 1, last=stock_log.last)
    more.decide("late", stock_received("LATE", quantity=1), occurred_at=MIDDLE, recorded_at=MIDDLE + timedelta(days=1))
    write(shell.services, [more])
    again = shell.json(*then, "--effective")
    assert (again["resumed"], again["facts"]) == (True, 1)
    assert shell.asked(f"SELECT on_hand FROM {schema}.inventory WHERE sku = 'LATE'") == [(7,)]


@pytest.mark.parametrize(
    "effective", [[], pytest.param(["--effective"], marks=pytest.mark.long)], ids=["known then", "known now"]
)
def test_a_replay_that_was_killed_goes_on_and_a_finished_one_has_nothing_to_do(
    shell: Shell, effective: list[str]
) -> None:
    logs = history(5)
    write(shell.services, logs)
    words = ["replay", "--as-of", "2026-11-27T18:03:20Z", *effective, "--into"]
    program = (
        "from processors.projector import bare, span\n"
        "span.BATCH_RECORDS_MAX, bare.RUN_BYTES_MAX = 100, 0\n"
        "import sys\n"
        "from gateway.cli import main\n"
        f"sys.argv = ['order-ledger', *{[*words, 'cut']!r}]\n"
        "main()\n"
    )
    env = {**shell.env.env, "PYTHONPATH": str(Path.cwd()), "ORDER_LEDGER_FAILPOINTS": "projector.before_commit:4=kill"}
    killed = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert shell.asked("SELECT ended_at FROM cut.replay") == [(None,)]
    (begun,) = shell.asked("SELECT sum(next_offset) FROM cut.follower_positions")[0]
    assert begun > 0

    whole = shell.json(*words, "whole")
    assert whole["base"] is None
    rest = shell.json(*words, "cut")
    assert rest["resumed"] is True
    assert 0 < rest["facts"] < whole["facts"]
    assert rest["offsets"] == whole["offsets"]
    assert shell.json("diff", "cut", "whole")["equal"] is True
    assert shell.asked("SELECT ended_at IS NULL FROM cut.replay") == [(False,)]

    again = shell.json(*words, "cut")
    assert (again["facts"], again["offsets"]) == (0, whole["offsets"])

    # Another end or other tables are not mixed into it.
    for other in (
        ["replay", "--into", "cut"],
        [*words[:2], "2026-11-27", "--into", "cut"],
        [*words[:3], *([] if effective else ["--effective"]), "--into", "cut"],
        ["replay", "kpi", *words[1:], "cut"],
    ):
        assert "was begun" in shell.refused(*other)
    anew = shell.json("replay", "inventory", "locations", "--into", "cut", "--anew")
    assert (anew["resumed"], anew["projections"], anew["as_of"]) == (False, ["inventory", "locations"], "latest")
    assert shell.asked("SELECT to_regclass('cut.order_status')") == [(None,)]

    # Without an end it goes on with the log.
    more = ChainLog("ledger.service", 1, last=logs[-1].last)
    assert (logs[-1].topic, logs[-1].partition) == (more.topic, more.partition)
    more.decide("WH9", ("LocationRegistered", {"location_id": "WH9", "name": "nine", "kind": "warehouse"}))
    write(shell.services, [more])
    assert shell.json("replay", "inventory", "locations", "--into", "cut")["facts"] == 1


@pytest.mark.long
def test_a_replay_begins_with_the_nearest_finished_one_and_is_what_it_would_be_from_the_beginning(shell: Shell) -> None:
    logs = history(8)
    write(shell.services, logs)

    def moment(seconds: int) -> str:
        return rfc3339(BEGINNING + timedelta(seconds=seconds))

    shell.json("replay", "--as-of", moment(20), "--into", "early")
    near = shell.json("replay", "--as-of", moment(100), "--into", "near")
    assert near["base"] == "early"
    shell.json("replay", "--as-of", moment(300), "--into", "late")
    shell.json("replay", "kpi", "--as-of", moment(150), "--into", "other_tables")
    shell.json("replay", "--as-of", moment(150), "--effective", "--into", "other_past")
    for name, column, value in (("unfinished", "ended_at", "NULL"), ("of_another_build", "build", "'x'")):
        shell.json("replay", "--as-of", moment(150), "--into", name)
        shell.asked(f"UPDATE {name}.replay SET {column} = {value}")

    # As of a time between them; of fewer tables, too.
    done = shell.json("replay", "--as-of", moment(200), "--into", "quick")
    whole = shell.json("replay", "--as-of", moment(200), "--into", "whole", "--anew")
    assert (whole["base"], done["base"], done["offsets"]) == (None, "near", whole["offsets"])
    assert 0 < done["facts"] == whole["facts"] - sum(near["offsets"].values()) + _skipped(shell, "near")
    assert shell.json("diff", "whole", "quick")["equal"] is True
    assert verify(shell.services, Codec(), schema="quick").first_difference is None
    assert sorted(shell.asked("SELECT * FROM quick.skipped_facts")) == sorted(
        shell.asked("SELECT * FROM whole.skipped_facts")
    )
    few = shell.json("replay", "inventory", "--as-of", moment(200), "--into", "few")
    assert (few["base"], few["facts"]) in (("quick", 0), ("whole", 0))
    assert "begun with the tables of" in shell.run("replay", "cases", "--as-of", moment(200), "--into", "told").stdout
    assert shell.json("diff", "few", "whole")["equal"] is True

    # As of offsets it is offsets that decide, not times: one that is beyond in a single partition is of no use.
    asked = dict(whole["offsets"])
    for schema in ("quick", "few", "told"):
        shell.asked(f"DROP SCHEMA {schema} CASCADE")
    at = shell.json("replay", "--as-of", "-", "--into", "at", given=json.dumps(asked))
    assert (at["base"], at["facts"]) == ("whole", 0)
    asked["ledger.stock/0"] = whole["offsets"]["ledger.stock/0"] - 1
    shell.asked("DROP SCHEMA at CASCADE")
    before = shell.json("replay", "--as-of", "-", "--into", "before", given=json.dumps(asked))
    assert before["base"] == "near"
    shell.json("replay", "--as-of", "-", "--into", "before_whole", "--anew", given=json.dumps(asked))
    assert shell.json("diff", "before", "before_whole")["equal"] is True

    # What had occurred by a time begins at the beginning, and the whole log with whatever has the most of it.
    assert shell.json("replay", "--as-of", moment(200), "--effective")["base"] is None
    assert shell.json("replay", "--into", "now")["base"] == "late"
    shell.live()
    assert shell.json("diff", "public", "now")["equal"] is True


@pytest.mark.long
def test_a_replay_that_was_killed_after_it_had_begun_with_another_goes_on(shell: Shell) -> None:
    write(shell.services, history(9))
    shell.json("replay", "--as-of", "2026-11-27T18:00:20Z", "--into", "early")
    words = ["replay", "--as-of", "2026-11-27T18:03:20Z", "--into"]
    env = {**shell.env.env, "PYTHONPATH": str(Path.cwd()), "ORDER_LEDGER_FAILPOINTS": "projector.before_commit:1=kill"}
    program = f"import sys\nfrom gateway.cli import main\nsys.argv = ['order-ledger', *{[*words, 'cut']!r}]\nmain()\n"
    killed = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert shell.asked("SELECT sum(next_offset) FROM cut.follower_positions") == shell.asked(
        "SELECT sum(next_offset) FROM early.follower_positions"
    )
    assert shell.json(*words, "cut")["resumed"] is True
    shell.json(*words, "whole", "--anew")
    assert shell.json("diff", "cut", "whole")["equal"] is True


def _skipped(shell: Shell, schema: str) -> int:
    return int(shell.asked(f"SELECT coalesce(sum(count), 0)::int FROM {schema}.skipped_facts")[0][0])


@pytest.mark.parametrize(
    "name", [name if name == "kpi" else pytest.param(name, marks=pytest.mark.long) for name in PROJECTIONS]
)
def test_the_tables_of_one_projection_stand_alone(shell: Shell, name: str) -> None:
    done = shell.json("replay", name)
    assert (done["facts"], done["schema"]) == (0, "replay_latest")
    views = shell.asked("SELECT viewname FROM pg_views WHERE schemaname = 'replay_latest' ORDER BY 1")
    assert {one for (one,) in views} == {view.name for view in PROJECTIONS[name].views}
    for (view,) in views:
        shell.asked(f"SELECT * FROM replay_latest.{view}")


def test_what_a_replay_may_not_do(shell: Shell, tmp_path: Path) -> None:
    shell.live()
    file = tmp_path / "offsets.json"
    file.write_text('{"ledger.orders/0": 1}')
    shell.asked("CREATE SCHEMA theirs")
    shell.asked("CREATE TABLE theirs.t (x int)")
    for words, said in (
        (["--into", "public"], "the schema public has the live tables"),
        (["--into", "tables_3"], "the schema tables_3 is the projector's"),
        (["--into", "public", "--anew"], "the schema public has the live tables"),
        (["--into", "theirs"], "is not a replay's"),
        (["--into", "theirs", "--anew"], "is not a replay's"),
        (["--into", "no name"], "no name for a schema"),
        (["nobody"], "no such projection"),
        (["--as-of", "2999-01-01"], "in the future"),
        (["--as-of", "yesterday"], "no time and no file"),
        (["--effective"], "--effective needs a time"),
        (["--effective", "--as-of", str(file)], "--effective needs a time"),
        (["order_status", "--effective", "--as-of", "2026-11-27"], "there is no effective order_status"),
        (["--as-of", str(file)], "does not have these offsets"),
    ):
        assert said in shell.refused("replay", *words), words
    assert "is not JSON" in shell.refused("replay", "--as-of", "-", given="[")
    assert shell.asked("SELECT count(*) FROM theirs.t") == [(0,)]
    with connect(shell.services, "test", autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s, hashtext('replay_latest'))", [0x0DE2_4E94])
        assert "another process fills" in shell.refused("replay")
    assert shell.run("replay").exit_code == 0


def test_diff_finds_a_changed_a_missing_an_extra_and_a_doubled_row(shell: Shell) -> None:
    log = ChainLog("ledger.stock")
    for number in range(6):
        log.decide(f"SKU-{number}", stock_received(f"SKU-{number}", quantity=number + 1))
    write(shell.services, [log])
    shell.live()
    shell.json("replay", "inventory", "stock_movements", "--into", "other")
    equal = shell.run("diff", "public", "other")
    assert equal.exit_code == 0
    assert "not compared, only in public: order_status" in equal.stderr
    shell.asked("UPDATE other.inventory SET on_hand = 9, damaged = 1 WHERE sku IN ('SKU-0', 'SKU-5')")
    shell.asked("DELETE FROM other.inventory WHERE sku = 'SKU-1'")
    shell.asked("INSERT INTO other.inventory (sku, location_id) VALUES ('SKU-9', 'WH1')")
    shell.asked("INSERT INTO other.stock_movements SELECT * FROM other.stock_movements WHERE sku = 'SKU-2'")
    shell.asked("UPDATE other.follower_positions SET next_offset = 4 WHERE topic = 'ledger.stock' AND partition = 0")

    found = shell.json("diff", "public", "other", status=1)
    inventory, movements = found["tables"]["inventory"], found["tables"]["stock_movements"]
    assert [inventory[name] for name in ("only_in_a", "only_in_b", "changed")] == [1, 1, 2]
    first, second, third, last = inventory["rows"]
    assert first == {
        "key": {"sku": "SKU-0", "location_id": "WH1"},
        "a": {"on_hand": 1, "damaged": 0, "available": 1},
        "b": {"on_hand": 9, "damaged": 1, "available": 8},
    }
    assert (second["key"]["sku"], second["a"]["on_hand"], second["b"]) == ("SKU-1", 2, None)
    assert third["key"]["sku"] == "SKU-5"
    assert (last["key"]["sku"], last["a"], last["b"]["on_hand"]) == ("SKU-9", None, 0)
    assert [movements[name] for name in ("only_in_a", "only_in_b", "changed")] == [0, 1, 0]
    assert movements["rows"][0]["b"]["sku"] == "SKU-2"
    assert found["tables"]["transfers"]["rows"] == []

    shown = shell.run("diff", "public", "other", "--limit", "1")
    assert shown.exit_code == 1
    assert "inventory: 1 only in public; 1 only in other; 2 changed" in shown.stdout
    assert "  SKU-0 WH1: on_hand 1 → 9, damaged 0 → 1, available 1 → 8" in shown.stdout
    assert "… and 3 more" in shown.stderr
    assert "public has read 2 facts that the other schema has not" in shown.stderr
    assert shell.asked("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'apart%'") == [(0,)]


def test_diff_says_which_schemas_and_columns_it_cannot_compare(shell: Shell) -> None:
    shell.live()
    shell.json("replay", "cases", "--into", "cases_only")
    shell.json("replay", "locations", "--into", "locations_only")
    said = shell.refused("diff", "public", "nobody")
    assert "no tables of the ledger" in said
    assert "others: cases_only, locations_only" in said
    assert "no table in common" in shell.refused("diff", "cases_only", "locations_only")
    shell.asked("ALTER TABLE cases_only.cases ADD colour text")
    found = shell.json("diff", "public", "cases_only", status=1)
    assert found["tables"]["cases"]["columns"] == {"cases_only": ["colour text"]}
    assert "columns only in cases_only: colour text" in shell.run("diff", "public", "cases_only").stdout
    shell.asked("ALTER TABLE cases_only.cases RENAME case_id TO id")
    assert "cannot be compared" in shell.refused("diff", "public", "cases_only")
