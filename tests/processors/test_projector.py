"""The projector on a real Kafka and a real PostgreSQL: every fact in the tables once, whatever happens."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from events.catalogue import DEAD_LETTERS
from events.stock.facts import LocationConfirmed
from processors.following import consuming
from processors.following.positions import ChainState, Overtaken, Position
from processors.projector import span
from processors.projector.projector import Projector
from processors.projector.span import end_offsets_of, fold_span
from processors.projector.worker import run_projector
from processors.projector.write import COPY_ROWS_MIN, Store, ensure_tables
from processors.topics import ensure_topics
from projections.catalogue import PROJECTIONS
from projections.model import Projection
from projections.order_history.projection import ORDER_HISTORY
from runtime import memory
from runtime.errors import Fault
from runtime.kafka import consumer, producer
from runtime.postgres import connect
from tests.support.chain import CODEC, ChainLog
from tests.support.facts import fact, order_placed, stock_received
from tests.support.waiting import wait_until

ALL = tuple(PROJECTIONS.values())
TOPIC_ID = {("ledger.orders", 0): "id-1"}


def asked(services, query, *parameters):
    with connect(services, "test", autocommit=True) as connection:
        return connection.execute(query, parameters).fetchall()


def orders_log(partition=0, orders=3, name="o"):
    log = ChainLog("ledger.orders", partition)
    for number in range(orders):
        order_id = f"{name}-{partition}-{number}"
        log.decide(order_id, order_placed(order_id))
        line = {"order_id": order_id, "line_id": "1", "sku": "SKU-1", "location_id": "WH1", "from_open": 1}
        both = [fact("LineAllocated", **line, quantity=1, attempt=attempt) for attempt in (1, 2)]
        log.decide(order_id, *both, channel="order-ledger")
    return log


def send(services, records):
    client = producer(services)
    for one in records:
        client.produce(services.topic(one.topic_name), one.value_bytes, one.key_bytes, partition=one.partition_number)
    assert client.flush(30) == 0


@contextmanager
def running(env, **options):
    """The worker in a thread; what it raises comes out here."""
    stop, raised = threading.Event(), []

    def work():
        try:
            run_projector(env.settings, env.services, stop, **options)
        except BaseException as error:  # noqa: BLE001 - it is raised again below, in the test's own thread
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    if raised:
        raise raised[0]


def wait_for(services, log):
    last = log.records[-1].position + 1
    query = "SELECT 1 FROM projector_positions WHERE topic = %s AND partition = %s AND next_offset = %s"

    def there():
        try:
            return asked(services, query, log.topic, log.partition, last)
        except psycopg.errors.UndefinedTable:
            return False

    wait_until(there, 30)


@pytest.fixture
def ledger(ledger_env):
    ensure_topics(ledger_env.services, ledger_env.settings)
    return ledger_env


@pytest.fixture
def store(ledger_env):
    services = ledger_env.services
    with connect(services, "test") as connection:
        ensure_tables(connection, ALL, "public")
    found = Store(lambda: connect(services, "test"), "public")
    yield found
    found.close()


def projector(store, aside=None):
    return Projector(store, CODEC, ALL, (lambda _: None) if aside is None else aside.extend)


ALLOCATED = ("allocated", 2, 2)


def statuses(services):
    return asked(services, "SELECT DISTINCT status, ordered, allocated FROM order_status")


def test_facts_come_to_the_tables_and_a_restart_goes_on_where_it_was(ledger):
    services = ledger.services
    first, second, third = orders_log(0), orders_log(1, name="p"), ChainLog("ledger.stock", 2)
    third.decide("SKU-1", stock_received(), LocationConfirmed(sku="SKU-1", location_id="WH1", registered=True))
    send(services, [*first.records[:4], *second.records, *third.records])
    with running(ledger):
        wait_for(services, second)
        wait_for(services, third)
    # Stopped inside a decision: the fourth record is the first fact of two.
    assert asked(
        services, "SELECT next_offset FROM projector_positions WHERE topic = 'ledger.orders' AND partition = 0"
    ) == [(4,)]
    send(services, first.records[4:])
    with running(ledger):
        wait_for(services, first)
    assert statuses(services) == [ALLOCATED]
    assert asked(services, "SELECT count(*), count(DISTINCT event_id) FROM order_history") == [(18, 18)]
    assert asked(services, "SELECT outcome, count(*) FROM answers GROUP BY 1") == [("accepted", 7)]
    assert asked(services, "SELECT on_hand, available, sellable FROM inventory") == [(5, 5, 5)]
    assert asked(services, "SELECT * FROM skipped_facts") == []


def test_garbage_on_a_ledger_topic_is_set_aside_and_the_partition_goes_on(ledger):
    services = ledger.services
    log = orders_log()
    cut = log.records[0].value_bytes[:-4]
    log.append([b"hello", None, cut])
    log.decide("o-last", order_placed("o-last"))
    send(services, log.records)
    with running(ledger):
        wait_for(services, log)
    assert asked(services, "SELECT reason, count, last_offset FROM skipped_facts ORDER BY 1") == [
        ("bad_avro", 1, 11),
        ("no_frame", 2, 10),
    ]
    # What was in the same batch as the cut fact was decoded one by one, like that one itself: `doctor` says so.
    assert asked(services, "SELECT worker, path, why, count >= 1 FROM slow_paths") == [
        ("projector", "decode", "beside_unreadable", True)
    ]
    assert asked(services, "SELECT status FROM order_status WHERE order_id = 'o-last'") == [("placed",)]
    client = consumer(services, "test-dead-letters")
    client.subscribe([services.topic(DEAD_LETTERS)])
    letters = []
    wait_until(lambda: letters.extend(client.consume(3, 0.2)) or len(letters) == 3, 30)
    client.close()
    places = {(dict(one.headers())["source_offset"], dict(one.headers())["reason"]) for one in letters}
    assert places == {(b"9", b"no_frame"), (b"10", b"no_frame"), (b"11", b"bad_avro")}


def test_a_fold_that_raises_stops_the_worker_and_nothing_is_stored(ledger):
    def broken(_):
        raise ZeroDivisionError

    send(ledger.services, orders_log().records)
    bad = Projection("order_history", (ORDER_HISTORY,), broken)
    with pytest.raises(ZeroDivisionError), running(ledger, projections=[bad]) as thread:
        thread.join(30)
    assert asked(ledger.services, "SELECT max(next_offset) FROM projector_positions") == [(0,)]


def test_connections_that_are_cut_again_and_again_lose_nothing_and_double_nothing(ledger):
    services = ledger.services
    log = orders_log(orders=400)
    with running(ledger):
        for begin in range(0, len(log.records), 100):
            send(services, log.records[begin : begin + 100])
            asked(
                services,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'order-ledger projector'",
            )
        wait_for(services, log)
    assert statuses(services) == [ALLOCATED]
    assert asked(services, "SELECT count(*), count(DISTINCT event_id) FROM order_history") == [(1200, 1200)]


def test_what_a_backlog_left_on_the_connection_is_let_go(ledger, monkeypatch):
    monkeypatch.setattr(consuming, "BACKLOG_RECORDS", 10)
    monkeypatch.setattr(consuming, "LOOK_BACK_SECONDS", 0.1)
    let_go = []
    monkeypatch.setattr(consuming, "empty_caches", lambda: let_go.append(True))
    few, many = orders_log(0), orders_log(1, orders=40)
    send(ledger.services, few.records)
    with running(ledger):
        wait_for(ledger.services, few)
        before = connections(ledger)
        assert let_go == []
        send(ledger.services, many.records)
        wait_for(ledger.services, many)
        wait_until(lambda: let_go and connections(ledger))
        after, times = connections(ledger), len(let_go)
        time.sleep(0.5)
        assert len(let_go) == times, "once for a backlog"
    assert (len(before), len(after)) == (1, 1)
    assert before != after


def test_caches_are_emptied_when_nothing_comes_any_more(ledger, monkeypatch):
    monkeypatch.setattr(consuming, "LOOK_BACK_SECONDS", 0.1)
    emptied = []
    monkeypatch.setattr(memory, "empty_caches", lambda **_: emptied.append(True))
    log = orders_log(0)
    with running(ledger):
        send(ledger.services, log.records)
        wait_for(ledger.services, log)
        wait_until(lambda: emptied)
        times = len(emptied)
        time.sleep(0.5)
        assert len(emptied) == times


def connections(env):
    return asked(
        env.services,
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s",
        "order-ledger projector",
    )


@pytest.mark.faults
def test_a_process_that_is_killed_while_it_writes_is_followed_by_one_that_goes_on(ledger):
    services = ledger.services
    log = orders_log(orders=3000)
    send(services, log.records)
    program = (
        "import threading\n"
        "from processors.following import consuming\n"
        "from processors.projector import worker\n"
        "from runtime.services import find_services\n"
        "from runtime.settings import Settings\n"
        "consuming.BATCH_RECORDS_MAX = 300\n"
        "settings = Settings()\n"
        "worker.run_projector(settings, find_services(settings), threading.Event())\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], env={**ledger.env, "PYTHONPATH": str(Path.cwd())})

    def begun():
        try:
            return asked(services, "SELECT 1 FROM projector_positions WHERE next_offset > 0")
        except psycopg.errors.UndefinedTable:
            return False

    try:
        wait_until(begun, 30)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    with running(ledger):
        wait_for(services, log)
    assert statuses(services) == [ALLOCATED]
    assert asked(services, "SELECT count(*), count(DISTINCT event_id) FROM order_history") == [(9000, 9000)]


def test_a_span_of_the_log_is_folded_into_a_schema_of_its_own(ledger):
    services = ledger.services
    log = orders_log()
    send(services, log.records)
    ends = end_offsets_of(services)
    assert ends["ledger.orders", 0] == 9
    reached = fold_span(services, "past", {**ends, ("ledger.orders", 0): 5})
    # The end cuts a decision in two: the tables stand before it.
    assert reached["ledger.orders", 0] == 4
    past = asked(services, "SELECT order_id, status FROM past.order_status ORDER BY 1")
    assert past == [("o-0-0", "allocated"), ("o-0-1", "placed")]
    fold_span(services, "past", ends)
    with running(ledger):
        wait_for(services, log)
    both = [asked(services, f"SELECT * FROM {schema}.order_status ORDER BY 1") for schema in ("past", "public")]
    assert both[0] == both[1]
    assert len(both[0]) == 3


def test_a_span_whose_connection_is_cut_goes_on_from_where_the_tables_are(ledger, monkeypatch):
    services = ledger.services
    log = orders_log(orders=100)
    send(services, log.records)
    monkeypatch.setattr(span, "BATCH_RECORDS_MAX", 50)
    write, cut = Store.write, {2: "after", 4: "before"}
    calls = []

    def cut_off(self, *arguments):
        calls.append(True)
        how = cut.get(len(calls))
        if how != "before":
            write(self, *arguments)
        if how is not None:
            raise psycopg.OperationalError(how)

    monkeypatch.setattr(Store, "write", cut_off)
    reached = fold_span(services, "past", end_offsets_of(services))
    assert len(calls) > 4
    assert reached["ledger.orders", 0] == 300
    assert asked(services, "SELECT count(*), count(DISTINCT event_id) FROM past.order_history") == [(300, 300)]
    assert asked(services, "SELECT count(*), sum(allocated) FROM past.order_status") == [(100, 200)]


def test_a_zombie_is_rolled_back_as_a_whole(store, ledger_env):
    log = orders_log()
    zombie, owner = projector(store), projector(Store(lambda: connect(ledger_env.services, "owner"), "public"))
    assert zombie.place(TOPIC_ID) == owner.place(TOPIC_ID) == {("ledger.orders", 0): 0}
    owner.take(log.records[:3])
    with pytest.raises(Overtaken):
        zombie.take(log.records)
    assert asked(ledger_env.services, "SELECT count(*) FROM order_history") == [(3,)]
    assert zombie.place(TOPIC_ID) == {("ledger.orders", 0): 3}
    assert zombie.take(log.records).facts == 6  # those that it has already are passed over
    assert statuses(ledger_env.services) == [ALLOCATED]
    owner._store.close()


def test_records_of_a_partition_that_was_given_away_are_passed_over(store):
    one = projector(store)
    one.place(TOPIC_ID)
    one.forget(TOPIC_ID.keys())
    assert one.take(orders_log().records).facts == 0


def test_a_topic_that_was_made_anew_is_refused(store):
    projector(store).place(TOPIC_ID)
    with pytest.raises(Fault, match="recreated"):
        projector(store).place({("ledger.orders", 0): "id-2"})


def test_repeats_and_cut_decisions_change_nothing_and_are_counted(store, ledger_env):
    log = orders_log()
    one = projector(store)
    one.place(TOPIC_ID)
    whole = [record.value_bytes for record in log.records]
    mixed = ChainLog()
    # A writer died after the first fact of a decision of two, another one began again, and a late one repeats.
    mixed.append([whole[0], whole[1], whole[1], whole[2], whole[0], *whole[1:]])
    for record in mixed.records:
        one.take([record])
    assert asked(ledger_env.services, "SELECT count(*), count(DISTINCT event_id) FROM order_history") == [(9, 9)]
    assert statuses(ledger_env.services) == [ALLOCATED]
    assert asked(ledger_env.services, "SELECT reason, count FROM skipped_facts ORDER BY 1") == [
        ("late_writer", 1),
        ("repeat", 3),
    ]


def test_many_rows_and_few_rows_are_written_alike(store, ledger_env):
    log = orders_log(orders=COPY_ROWS_MIN + 10)
    some = ChainLog("ledger.stock")
    some.decide("SKU,1", stock_received('SKU,"1"\n'), fact("OrderAllocated", order_id=""))
    one = projector(store)
    one.place({**TOPIC_ID, ("ledger.stock", 0): "id-2"})
    one.take(log.records[:3])
    one.take([*log.records[3:], *some.records])
    assert asked(ledger_env.services, "SELECT count(*), sum(open), sum(allocated) FROM order_status") == [
        (COPY_ROWS_MIN + 10, 0, 2 * (COPY_ROWS_MIN + 10))
    ]
    assert asked(ledger_env.services, "SELECT sku, on_hand FROM inventory") == [('SKU,"1"\n', 5)]
    same = "SELECT count(DISTINCT (channel, country, region, placed_at IS NULL, release_at)) FROM order_status"
    assert asked(ledger_env.services, same) == [(1,)]


def test_a_batch_after_many_records_waits_for_more_and_after_few_it_does_not():
    few, many = consuming.FLOOD_RECORDS - 1, consuming.FLOOD_RECORDS
    assert consuming.linger(few, 5.0) == consuming.LINGER_SECONDS
    assert consuming.linger(many, 0.0) == consuming.LINGER_SECONDS
    assert consuming.linger(many, 0.03) == 0.03
    assert consuming.linger(many, 5.0) == consuming.LINGER_SECONDS_MAX


def test_a_refusal_for_an_order_that_was_never_placed_makes_no_order(store, ledger_env):
    log = ChainLog()
    refused = ("CommandRefused", {"command": "CancelOrder", "code": "unknown", "what": "", "detail": "", "hint": ""})
    log.decide("o-1", refused)
    one = projector(store)
    one.place(TOPIC_ID)
    one.take(log.records)
    assert asked(ledger_env.services, "SELECT count(*) FROM order_status") == [(0,)]
    assert asked(ledger_env.services, "SELECT outcome, code FROM answers") == [("refused", "unknown")]


def test_tables_have_the_columns_that_folds_write_to(store, ledger_env):
    types = {"timestamp with time zone": "timestamptz"}
    for projection in ALL:
        for table in projection.tables:
            real = {
                name: types.get(kind, kind)
                for name, kind in asked(
                    ledger_env.services,
                    "SELECT column_name, data_type FROM information_schema.columns"
                    " WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER'",
                    table.name,
                )
            }
            written = {column.name: column.sql_type for column in table.columns}
            assert written.items() <= real.items(), table.name
            assert set(real) - set(written) <= {"incoming"}, table.name


@pytest.mark.parametrize(
    "older", ["ALTER TABLE order_status DROP due_by CASCADE", "ALTER TABLE inventory DROP buffer CASCADE"]
)
def test_tables_of_another_build_are_not_written_to(store, ledger_env, older):
    with connect(ledger_env.services, "test") as connection:
        connection.execute(older.encode())
        connection.commit()
        with pytest.raises(Fault, match="another build"):
            ensure_tables(connection, ALL, "public")
        connection.rollback()


def test_tables_may_be_made_by_several_processes_at_a_time(ledger_env):
    failed = []

    def make():
        try:
            with connect(ledger_env.services, "test") as connection:
                ensure_tables(connection, ALL, "shadow")
        except psycopg.Error as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def status_of(connection, **counters):
    row = {"order_id": "o", **counters}
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    connection.execute("TRUNCATE order_status")
    connection.execute(f"INSERT INTO order_status ({names}) VALUES ({marks})", list(row.values()))
    return connection.execute("SELECT status FROM order_status").fetchone()[0]


def test_the_status_of_an_order_follows_from_its_counters(store, ledger_env):
    cases = [
        ("cancelled", {"ordered": 2, "cancelled": 2, "active_holds": 1}),
        ("placed", {"ordered": 2, "open": 2}),
        ("placed", {"ordered": 0}),
        ("held", {"ordered": 2, "open": 2, "active_holds": 1}),
        ("held", {"ordered": 2, "allocated": 2, "active_holds": 1}),
        ("backordered", {"ordered": 2, "backordered": 2}),
        ("placed", {"ordered": 2, "backordered": 1, "open": 1}),
        ("partially_allocated", {"ordered": 2, "backordered": 1, "allocated": 1}),
        ("allocated", {"ordered": 2, "allocated": 1, "cancelled": 1}),
        ("partially_shipped", {"ordered": 2, "allocated": 1, "shipped": 1, "active_holds": 1}),
        ("shipped", {"ordered": 3, "shipped": 2, "cancelled": 1}),
        ("shipped", {"ordered": 2, "shipped": 2, "delivered": 1}),
        ("delivered", {"ordered": 2, "shipped": 2, "delivered": 2}),
        ("partially_returned", {"ordered": 2, "shipped": 2, "delivered": 2, "returned": 1}),
        ("returned", {"ordered": 2, "shipped": 2, "delivered": 2, "returned": 2}),
    ]
    with connect(ledger_env.services, "test") as connection:
        assert [(status_of(connection, **counters), counters) for _, counters in cases] == cases


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"on_hand": 10, "reserved": 2, "damaged": 1, "quality_hold": 1, "safety_stock": 3}, (3, 3, 3)),
        ({"on_hand": 2, "safety_stock": 5}, (2, 0, 0)),
        ({"on_hand": 1, "reserved": 3, "safety_stock": 5}, (0, -2, 0)),
        ({"on_hand": 10, "safety_stock": 2, "buffer": 3}, (2, 8, 5)),
    ],
)
def test_the_stock_identity_holds_by_construction(store, ledger_env, row, expected):
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    found = asked(
        ledger_env.services,
        f"INSERT INTO inventory (sku, location_id, registered, {names}) VALUES ('s', 'l', true, {marks})"
        " RETURNING safety, available, sellable, on_hand - available - reserved - safety - damaged - quality_hold",
        *row.values(),
    )
    assert found == [(*expected, 0)]


def test_a_start_in_the_middle_is_taken_where_there_is_no_row_yet(store):
    position = Position(7, ChainState(3, 0, 5))
    assert store.positions(TOPIC_ID, {("ledger.orders", 0): position}) == {("ledger.orders", 0): position}
    assert store.positions(TOPIC_ID) == {("ledger.orders", 0): position}
