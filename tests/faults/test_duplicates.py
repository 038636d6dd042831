"""Fault 7: everything comes again, each command up to five times, partitions from their beginning. Nothing changes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from runtime.kafka import admin, end_offsets
from tests.faults.ground import Ground, load, open_ground
from tests.support.raw import INTAKE, LEDGER, Raw, read_topics, rows_of, table_names, write

pytestmark = [pytest.mark.faults]

WORKERS = ("ledger", "reactions", "projector")
#: Each command comes again up to so many times.
TIMES_MAX = 5
#: One in so many repeats comes by a partitioner that is not ours.
STRAY_ONE_IN = 20
#: A group whose members were just killed is theirs until their session ends; a busy machine takes longer.
EMPTY_GROUP_SECONDS = 90.0


def _everything(ground: Ground) -> tuple[Any, ...]:
    """All tables, all accepted facts, and how long the ledger is: what must not change."""
    ground.judge()
    services = ground.shop.env.services
    ends = end_offsets(services, [services.topic(name) for name in LEDGER])
    return rows_of(ground.shop.connection, "public", table_names()), ground.oracle.facts, sum(ends.values())


def _again(ground: Ground, records: list[Raw], draw: Random) -> int:
    """Put the records on their topics once more, 1 to 5 times each, in any order; how many that were."""
    partitions = ground.shop.env.settings.partitions
    repeats = [record for record in records for _ in range(draw.randint(1, TIMES_MAX))]
    draw.shuffle(repeats)
    for start in range(0, len(repeats), len(repeats) // 3 + 1):
        write(
            ground.shop.env,
            [
                (
                    r.topic,
                    draw.randrange(partitions) if draw.randrange(STRAY_ONE_IN) == 0 else r.partition,
                    r.key,
                    r.value,
                )
                for r in repeats[start : start + len(repeats) // 3 + 1]
            ],
        )
        ground.shop.settle()  # the next third comes when this one is long answered
    return len(repeats)


def test_every_command_again_up_to_five_times_changes_nothing(fault_env: Any, tmp_path: Path) -> None:
    """Pass: repeats amid the first delivery leave what the oracle expects; repeats at rest change no row of any table,
    no accepted fact, and not even the length of the ledger.

    Seen to fail: with the look into the answered ids taken out of `PartitionLedger` it said "57 things are wrong, the
    first: ('web', 't-58') was decided at [('ledger.orders', 0, 0), ('ledger.orders', 0, 1), …]".
    """
    with open_ground(fault_env, tmp_path, *WORKERS) as ground:
        read = 0
        for draw in ground.rounds():
            commands = load(draw, ground.prefix, orders=40)
            half = len(commands) // 2
            ground.send(commands[:half]).join()
            sending = ground.send(commands[half:])
            amid = _again(ground, read_topics(ground.shop.env, INTAKE)[-100:], draw)
            sending.join()
            before = _everything(ground)
            records = read_topics(ground.shop.env, INTAKE)
            # Of what earlier rounds had sent, a sample: the whole would double with every round.
            again = _again(ground, records[-500:] + draw.sample(records, min(len(records), 200)), draw)
            after = _everything(ground)
            _same(ground, before, after)
            ground.notes |= {"commands": len(records) - read, "again": amid + again}
            read = len(records)


def _same(ground: Ground, before: tuple[Any, ...], after: tuple[Any, ...]) -> None:
    for name, rows in before[0].items():
        assert after[0][name] == rows, f"seed {ground.seed}: rows of {name} changed"
    assert after[1:] == before[1:], f"seed {ground.seed}: accepted facts and records on the ledger were {before[1:]}"


def _stop(ground: Ground, name: str, draw: Random) -> None:
    """Stopped in good order, or killed."""
    if draw.random() < 0.5:
        ground.shop.workers.kill(name)
    else:
        os.kill(ground.shop.workers.alive()[name], signal.SIGTERM)
        ground.shop.wait_until_dead(name)


def _rewind(ground: Ground) -> None:
    """Kafka forgets how far each group is: every committed offset is 0 again."""
    services = ground.shop.env.services
    ends = end_offsets(services, [services.topic(name) for name in (*INTAKE, *LEDGER)])
    client = admin(services)
    for group, topics in (("ledger", INTAKE), ("projector", LEDGER), ("reactions", LEDGER[:2])):
        names = {services.topic(name) for name in topics}
        zero = [TopicPartition(*place, 0) for place in ends if place[0] in names]
        asked = ConsumerGroupTopicPartitions(services.group(group), zero)
        deadline = time.monotonic() + EMPTY_GROUP_SECONDS
        while True:
            with contextlib.suppress(KafkaException):  # the broker still believes that a member lives
                (answer,) = client.alter_consumer_group_offsets([asked]).values()
                if not any(place.error for place in answer.result().topic_partitions):
                    break
            assert time.monotonic() < deadline, f"group {group} never became empty"
            time.sleep(0.2)


def test_partitions_read_again_from_their_beginning_change_nothing(fault_env: Any, tmp_path: Path) -> None:
    """Pass: with every committed offset at 0 and every snapshot of the ledger gone, restarted workers change no row, no
    accepted fact and not the length of the ledger; what comes next is processed as ever.

    Seen to fail: where a takeover read the log but took nothing over, it said "accepted facts and records on the ledger
    were (409, 409)", and found 818: all was decided once more, to the same facts, which every reader passed over.
    """
    with open_ground(fault_env, tmp_path, *WORKERS) as ground:
        for draw in ground.rounds():
            ground.send(load(draw, ground.prefix, orders=40)).join()
            before = _everything(ground)
            for name in WORKERS:
                _stop(ground, name, draw)
            _rewind(ground)
            for table in ("ledger_positions", "ledger_streams", "ledger_answers"):
                ground.shop.connection.execute(f"DELETE FROM {table}")
            ground.shop.start(*WORKERS)
            _same(ground, before, _everything(ground))
            ground.send(load(draw, f"{ground.prefix}n", orders=10)).join()
