"""A case and a location of one id: two streams of one partition, through deciding, snapshots and takeovers."""

from __future__ import annotations

from typing import Any, cast

import pytest

from events.cases import commands as cases
from events.locations import commands as locations
from events.streams import StreamKey
from processors.ledger import snapshots
from processors.ledger.partition import PartitionLedger, Repeated
from tests.simulation.memory import Database
from tests.support.intake import CODEC, Intake, record, taken_over

TOPIC = "ledger.service"
NAME = "WH1"
CASE, LOCATION = StreamKey("case", NAME), StreamKey("location", NAME)

OPEN = cases.OpenCase(case_id=NAME, channel="phone", topic="where is it", urgency="low")
NOTE = cases.AddCaseNote(case_id=NAME, note="called back")
REOPEN = cases.ReopenCase(case_id=NAME, reason="again")
RESOLVE = cases.ResolveCase(case_id=NAME, resolution="sent again")
REGISTER = locations.RegisterLocation(location_id=NAME, name="North", kind="warehouse")
EXCLUDE = locations.SetLocationPolicy(location_id=NAME, excluded_channels=("web",))

#: The ids are the same in both streams.
LOG = [
    record(OPEN, "1"),
    record(REGISTER, "1"),
    record(NOTE, "2"),
    record(REOPEN, "3"),
    record(EXCLUDE, "2", expected_version=1),
    record(NOTE, "2"),
    record(RESOLVE, "4", expected_version=1),
    record(RESOLVE, "5", expected_version=2),
]


def decided(log: list[bytes]) -> Intake:
    intake = Intake("intake.service")
    for value in log:
        intake.send(value)
    return intake


def test_both_live_with_versions_and_ids_of_their_own() -> None:
    intake = decided(LOG)
    told = [(name, fact["stream_id"], fact["version"]) for name, fact in intake.decoded()]
    assert told == [
        ("CaseOpened", NAME, 1),
        ("LocationRegistered", NAME, 1),
        ("CaseNoteAdded", NAME, 2),
        ("CommandRefused", NAME, 3),
        ("LocationPolicySet", NAME, 2),
        ("CommandRefused", NAME, 4),
        ("CaseResolved", NAME, 5),
    ]
    assert {fact.key for fact in intake.facts} == {NAME.encode()}, "Kafka's key is the id: both are on one partition"
    codes = [fact["data"]["code"] for name, fact in intake.decoded() if name == "CommandRefused"]
    assert codes == ["conflict", "stale"]
    case, location = intake.ledger.memory.streams[CASE].state, intake.ledger.memory.streams[LOCATION].state
    assert (case.resolved, location.excluded_channels) == (True, ("web",))


def test_another_body_under_an_id_is_refused_in_its_own_stream_only() -> None:
    intake = decided(LOG[:2])
    intake.send(record(NOTE, "1"))
    assert intake.refusal() == ("id_reused", None)
    assert intake.last()[1]["version"] == 2
    assert intake.send(record(REGISTER, "1")) == Repeated()


def test_a_stream_of_a_kind_that_nobody_knows_is_no_other_kind_s() -> None:
    name, fact = decided(LOG[:1]).last()
    with pytest.raises(KeyError, match="parcel"):
        Intake("intake.service").ledger.take_over(name, fact | {"stream_kind": "parcel"})


@pytest.mark.parametrize("count", range(8))
def test_whoever_takes_over_goes_on_with_both(count: int) -> None:
    whole = decided(LOG)
    late = taken_over(whole, count)
    for value in LOG[late.ledger.next_intake :]:
        late.send(value)
    assert late.facts == whole.facts
    for key in (CASE, LOCATION):
        ours, theirs = late.ledger.memory.streams[key], whole.ledger.memory.streams[key]
        assert (ours.state, ours.version, ours.answered) == (theirs.state, theirs.version, theirs.answered)


def test_a_snapshot_holds_both_and_hands_out_each_by_itself() -> None:
    before = decided(LOG[:5])
    database = cast(Any, Database())
    snapshots.save(database, snapshots.Snapshot.of(before.ledger, TOPIC, len(before.facts)))

    after = Intake("intake.service")
    ledger = PartitionLedger("intake.service", 0, partitions=1, codec=CODEC)
    after.ledger = ledger
    assert snapshots.load(database, TOPIC, ledger) is not None
    need = ledger.needs(ledger.parse(LOG[5]))
    assert need is not None
    assert need.stream == CASE
    snapshots.fetch(database, [snapshots.Wanted(TOPIC, ledger, {CASE}, ())])
    assert list(ledger.memory.streams) == [CASE]
    snapshots.fetch(database, [snapshots.Wanted(TOPIC, ledger, {LOCATION}, ())])
    assert [ledger.memory.streams[key].version for key in (CASE, LOCATION)] == [3, 2]
    for value in LOG[5:]:
        after.send(value)
    assert before.facts + after.facts == decided(LOG).facts
