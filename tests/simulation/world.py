"""One run: a shop with several of everything, and moves that let it work, ask and fail. See `choices` and `truth`.

    World(plan(seed)[0:]).run()        # returns what happened in figures; raises Broken with the step

After the last move all faults stop: processes that died are there again, what is late arrives, timers ring, until
nothing is under way. Not getting there is a failure, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Any

from events.catalogue import COMMANDS, DEAD_LETTERS, INTAKE_TOPICS, LEDGER_TOPICS
from gateway.sending.commands import check
from processors.following.facts import FactDecoder
from processors.reactions.asked import Asked
from processors.reactions.sender import encode
from processors.reactions.wiring import REACTED_TO
from projections.deferred_tracking.reader import read_tracking_due
from projections.inventory.reader import read_receipts_due, read_reservations_due
from projections.order_status.reader import read_lines_due
from runtime.kafka import murmur2_partition
from tests.simulation.channels import LOCATIONS, Channels
from tests.simulation.choices import ASKING, Dice, Move
from tests.simulation.failure import Broken, Crash, must
from tests.simulation.memory import Broker, Clock, Database, Message, Place, RememberingCodec
from tests.simulation.quiet import check_quiet
from tests.simulation.reacting import Intake, ReactionWorker, StoredPositions, View
from tests.simulation.tables import Tables
from tests.simulation.truth import Truth
from tests.simulation.writers import Services, WriterProcess, use_codec

#: Rounds in which everything is let run to quiet. A story takes 5 to 40; many more means that it goes round in circles.
QUIET_ROUNDS_MAX = 300

#: Rounds of a calm stretch: an order is placed, asked for, answered and allocated in three; more would leave nothing to
#: be under way when faults come.
CALM_ROUNDS = 3

#: Processes of the ledger at a time, zombies included. More only cost time.
WRITERS_MAX = 4

_CODEC = RememberingCodec()
_DECODER = FactDecoder(_CODEC, REACTED_TO)


class World:
    """`trace` collects a line for each move that did something, where it is wanted."""

    def __init__(self, *, trace: list[str] | None = None, partitions: int = 2) -> None:
        _CODEC.forget()
        use_codec(_CODEC)
        self._trace = trace
        self.figures: Counter[str] = Counter()
        self.step = "the beginning"
        self.clock = Clock()
        self.broker = Broker(partitions, self.clock)
        self.truth = Truth(_CODEC, partitions)
        self.broker.listeners = [("intake.", self._commanded), ("ledger.", self.truth.stated)]
        self.database = Database()
        self._backups: list[Database] = []
        self._services = Services(self.broker, self.database, _CODEC)
        self.intake_places = self.broker.places(INTAKE_TOPICS)
        self.ledger_places = self.broker.places(LEDGER_TOPICS)
        self.channels = Channels(self.truth)
        self._sent: list[tuple[str, bytes, bytes]] = []
        self._waited_for: set[tuple[str, str]] = set()
        self.view = View(self.truth)
        self.intake = Intake(self.broker, _CODEC)
        self.positions = StoredPositions(self.truth)
        self.writers = [WriterProcess(self._services, "ledger-1", self.intake_places)]
        self.reactions = [self._reactions(self.ledger_places), self._reactions([])]
        self.tables = Tables(_CODEC, self.truth, self.broker)
        self._moves: dict[str, Callable[[Dice, int], str | None]] = {
            "write": self._write, "broker": self._broker_takes, "react": self._react, "project": self._project,
            "timers": self._timers, "pass_seconds": self._pass_seconds, "deliver_late": self._deliver_late,
            "calm": self._calm,
            "queue": self._queue,
            "repeat": self._repeat, "garbage": self._garbage, "misplace": self._misplace, "reuse_id": self._reuse_id,
            "outage": self._outage, "stop_writer": self._stop_writer,
            "break_writer": self._break_writer, "zombie_writer": self._zombie_writer,
            "rival_writer": self._rival_writer, "tell_zombie": self._tell_zombie, "hand_over": self._hand_over,
            "lose_batch": self._lose_batch, "snapshot": self._snapshot, "commit": self._commit,
            "old_snapshot": self._old_snapshot, "old_position": self._old_position,
            "break_reactions": self._break_reactions, "share_reactions": self._share_reactions,
            "old_reactions": self._old_reactions, "old_view": self._old_view, "pass_days": self._pass_days,
            "clock_back": self._clock_back, "break_send": self._break_send, "tables": self._tables,
        }  # fmt: skip

    def run(self, moves: Sequence[Move]) -> Counter[str]:
        """Make the moves, then run to quiet; what happened, in figures. Raises Broken; `step` says when."""
        with_tables = False
        # The first location is registered before anything comes there; the other one while stock is there already.
        self._register(LOCATIONS[0])
        opened = moves[0].chance % (1 + len(moves) // 4) if moves else 0
        for number, move in enumerate(moves):
            if number == opened:
                self._register(LOCATIONS[1])
            with_tables = with_tables or move.kind == "tables"
            if move.kind == "tables":
                continue
            self.step = f"{move.number} {move.kind}"
            self.clock.pass_by(0.05)
            self._say(self._make(move))
        self.step = "running to quiet"
        self._run_to_quiet()
        self.step = "quiet"
        check_quiet(self.truth, self.clock.now)
        must(
            self._waited_for <= self.truth.answered, "every_command_is_answered", self._waited_for - self.truth.answered
        )
        self._check_asides()
        if with_tables:
            for move in moves:
                if move.kind == "tables":
                    self.step = f"{move.number} {move.kind}"
                    self._say(self._make(move))
            self.step = "comparing tables"
            self.tables.finish()
        self.figures["facts"] = sum(map(len, self.truth.facts.values()))
        self.figures["records"] = sum(len(self.broker.logs[place]) for place in self.ledger_places)
        self.figures["commands"] = sum(len(self.broker.logs[place]) for place in self.intake_places)
        return self.figures

    def _make(self, move: Move) -> str | None:
        dice = Dice(move.chance)
        if move.kind in ASKING:
            return self._ask(move, dice)
        return self._moves[move.kind](dice, move.number)

    def _say(self, what: str | None) -> None:
        if what is not None and self._trace is not None:
            self._trace.append(f"{self.step}: {what}")

    def _commanded(self, message: Message) -> None:
        self.truth.commanded(message)

    # Channels

    def _ask(self, move: Move, dice: Dice) -> str | None:
        document = self.channels.ask(move.kind, move.number, dice, self.clock.now)
        if document is None:
            return None
        parsed = check(document)
        self._waited_for.add((parsed.channel, parsed.id))
        self._put(parsed.type.topic, parsed.key, parsed.encode(_CODEC))
        return f"{document['command']} {document['data']}"

    def _register(self, location_id: str) -> None:
        """Somebody opens a location; no channel repeats that."""
        parsed = check(self.channels.opening(location_id, self.clock.now))
        self._waited_for.add((parsed.channel, parsed.id))
        home = murmur2_partition(parsed.key, self.broker.partitions)
        self.broker.append(parsed.type.topic, home, parsed.key, parsed.encode(_CODEC))

    def _put(self, topic: str, key: bytes, value: bytes, partition: int | None = None) -> None:
        self._sent.append((topic, key, value))
        home = murmur2_partition(key, self.broker.partitions)
        self.broker.append(topic, home if partition is None else partition, key, value)

    def _repeat(self, dice: Dice, _: int) -> str | None:
        """A channel does not know whether it was heard, and asks again: the same bytes, now or later."""
        if not self._sent:
            return None
        topic, key, value = dice.one(self._sent)
        for _again in range(dice.between(1, 3)):
            self.intake.late.append((topic, key, value))
        if dice.once_in(2):
            self.intake.deliver_late(dice, 3)
        return f"a command for {key.decode()} again"

    def _garbage(self, dice: Dice, _: int) -> str:
        topic, partition = dice.one(self.intake_places)
        before = self._sent[dice.below(len(self._sent))][2] if self._sent else b""
        value = dice.one((b"", b"nonsense", before[:-3], before + b"\0", b"\0\0\0\0\1rest"))
        self.broker.append(topic, partition, b"key", value)
        return f"{value[:12]!r} on {topic}/{partition}"

    def _misplace(self, dice: Dice, _: int) -> str | None:
        """A channel with another partitioner: the command stands where its key does not belong."""
        if not self._sent:
            return None
        topic, key, value = dice.one(self._sent)
        partition = dice.below(self.broker.partitions)
        self._put(topic, key, value, partition)
        return f"a command for {key.decode()} on {topic}/{partition}"

    def _reuse_id(self, dice: Dice, number: int) -> str | None:
        """Another body under an id that was used."""
        if not self._sent:
            return None
        topic, key, value = dice.one(self._sent)
        contract, record = _CODEC.decode(value)
        if COMMANDS[contract.name].topic != "intake.stock" or "quantity" not in record["data"]:
            return None
        data = {**record["data"], "quantity": record["data"]["quantity"] + dice.between(1, 3)}
        self._put(topic, key, _CODEC.encode(contract.full_name, {**record, "data": data}))
        return f"{number}: another body under {record['id']}"

    # Ledger writers

    def _writer(self, dice: Dice) -> WriterProcess:
        return dice.one(self.writers)

    def _write(self, dice: Dice, _: int) -> str | None:
        process = self._writer(dice)
        read = self._alive(process, lambda: process.step(dice.between(1, 6)), dice)
        return f"{process.name} takes {read} commands" if read else None

    def _alive(self, process: WriterProcess, work: Callable[[], Any], dice: Dice) -> Any:
        """What `work` gives; a process that it ends is started anew."""
        try:
            return work()
        except Crash:
            self._replace(process, dice)
            return None

    def _replace(self, process: WriterProcess, dice: Dice | None, places: Sequence[Place] | None = None) -> None:
        places = process.places if places is None else places
        process.die(dice)
        self.writers.remove(process)
        self.figures["writers"] += 1
        self.writers.append(WriterProcess(self._services, f"{process.name}'", places))

    def _broker_takes(self, dice: Dice, _: int) -> str | None:
        process = self._writer(dice)
        waiting = [place for place, records in process.producer.waiting.items() if records]
        if not waiting:
            return None
        place = dice.one(waiting)
        taken = process.producer.advance(place, dice.between(1, 6))
        if dice.once_in(2):
            self._alive(process, process.commit, dice)
        return f"{place[0]}/{place[1]} takes {taken} of {process.name}"

    def _outage(self, dice: Dice, _: int) -> str:
        """The broker of a partition is away, until this comes again or all is calm."""
        if self.broker.away:
            self.broker.away.clear()
            return "all partitions are there again"
        place = (DEAD_LETTERS, 0) if dice.once_in(2) else dice.one([*self.intake_places, *self.ledger_places])
        self.broker.away.add(place)
        return f"{place[0]}/{place[1]} takes nothing"

    def _stop_writer(self, dice: Dice, _: int) -> str:
        """It leaves in good order, as far as the broker takes what is on its way."""
        process = self._writer(dice)
        places = process.places
        self._alive(process, lambda: process.give(places), dice)
        if process in self.writers:
            self._replace(process, dice, places)
        return f"{process.name} stops, and another begins"

    def _break_writer(self, dice: Dice, _: int) -> str:
        process = self._writer(dice)
        self._replace(process, dice)
        return f"{process.name} dies"

    def _zombie_writer(self, dice: Dice, _: int) -> str | None:
        """A pause: others are given its partitions, and it goes on as if nothing had been."""
        process = self._writer(dice)
        if len(self.writers) >= WRITERS_MAX or not process.places:
            return None
        process.zombie = True
        places = [place for place in process.places if dice.once_in(2)] or process.places
        self.writers.append(WriterProcess(self._services, f"{process.name}+", places))
        return f"{process.name} is passed over for {places}"

    def _rival_writer(self, dice: Dice, _: int) -> str | None:
        """Somebody starts another ledger under another group."""
        if len(self.writers) >= WRITERS_MAX:
            return None
        self.writers.append(WriterProcess(self._services, "rival", self.intake_places))
        return "a rival starts"

    def _tell_zombie(self, dice: Dice, _: int) -> str | None:
        zombies = [process for process in self.writers if process.zombie]
        if not zombies or len(self.writers) == 1:
            return None
        process = dice.one(zombies)
        process.lose(process.places)
        process.die(dice)
        self.writers.remove(process)
        self._cover()
        return f"{process.name} hears of it and ends"

    def _cover(self) -> None:
        """Somebody has each partition."""
        held = {place for process in self.writers for place in process.places}
        self.writers[0].take([place for place in self.intake_places if place not in held])

    def _hand_over(self, dice: Dice, _: int) -> str | None:
        process = self._writer(dice)
        places = [place for place in process.places if dice.once_in(2)]
        if not places:
            return None
        process.producer.flush_reaches = dice.below(4) if dice.once_in(2) else None
        self._alive(process, lambda: process.give(places), dice)
        if process in self.writers:
            process.producer.flush_reaches = None
        other = self._writer(dice)
        other.take(places)
        self._cover()
        return f"{process.name} hands {places} to {other.name}"

    def _lose_batch(self, dice: Dice, _: int) -> str | None:
        process = self._writer(dice)
        waiting = [place for place, records in process.producer.waiting.items() if records]
        if not waiting:
            return None
        place = dice.one(waiting)
        first = dice.below(len(process.producer.waiting[place]))
        lost = process.producer.lose(place, first, dice.between(1, 4))
        return f"{lost} records of {process.name} for {place[0]}/{place[1]} are lost"

    def _snapshot(self, dice: Dice, _: int) -> str:
        process = self._writer(dice)
        process.producer.flush_reaches = dice.below(4) if dice.once_in(4) else None
        self._alive(process, process.snapshot, dice)
        if process in self.writers:
            process.producer.flush_reaches = None
        if dice.once_in(2):
            self._backups.append(self.database.backup())
        return f"{process.name} takes a snapshot"

    def _commit(self, dice: Dice, _: int) -> str:
        process = self._writer(dice)
        self._alive(process, process.commit, dice)
        return f"{process.name} commits"

    def _old_snapshot(self, dice: Dice, _: int) -> str | None:
        if not self._backups:
            return None
        streams = dice.once_in(2)
        self.database.restore(dice.one(self._backups), streams=streams)
        return f"an old snapshot is restored ({'whole' if streams else 'positions only'})"

    # Reactions and tables

    def _reactions(self, places: Sequence[Place]) -> ReactionWorker:
        return ReactionWorker(
            self.broker,
            self.clock,
            decoder=_DECODER,
            positions=self.positions,
            view=self.view,
            intake=self.intake,
            places=places,
        )

    def _react(self, dice: Dice, _: int) -> str | None:
        number = dice.below(len(self.reactions))
        worker = self.reactions[number]
        place = dice.one(self.ledger_places)
        skip = dice.between(1, 3) if dice.once_in(24) else 0
        read = worker.handle(place, dice.between(1, 12), skip=skip)
        return f"reactions {number} take {read} of {place[0]}/{place[1]}" if read else None

    def _break_reactions(self, dice: Dice, _: int) -> str:
        """The next batch dies before its position is saved, or right after."""
        self.positions.broken = dice.one(("before", "before", "after"))
        return f"reactions will die {self.positions.broken} the next save"

    def _break_send(self, dice: Dice, _: int) -> str:
        """The next batch dies while it sends; what was not sent may arrive late, as a client's buffer does."""
        self.intake.dies_after = dice.below(4)
        self.intake.rest_comes_late = dice.once_in(2)
        return f"reactions will die after {self.intake.dies_after} commands"

    def _share_reactions(self, dice: Dice, _: int) -> str:
        """A rebalance that one worker hears of and the other does not: both may read the same, or nobody."""
        number = dice.below(len(self.reactions))
        places = [place for place in self.ledger_places if dice.once_in(2)]
        self.reactions[number].share(places)
        return f"reactions {number} have {places}"

    def _old_reactions(self, dice: Dice, _: int) -> str:
        """A backup is made of the positions of reactions."""
        self.positions.backups.append(dict(self.positions.rows))
        return f"backup {len(self.positions.backups)} of the positions of reactions"

    def _old_position(self, dice: Dice, _: int) -> str:
        backup = dice.one(self.positions.backups) if self.positions.backups else {}
        for place in self.positions.rows:
            self.positions.rows[place] = backup.get(place, type(self.positions.rows[place])())
        return "an old backup of the positions of reactions is restored"

    def _project(self, dice: Dice, _: int) -> str | None:
        place = dice.one(self.ledger_places)
        read = self.view.project(place, dice.between(1, 12))
        return f"look-ups know {read} facts more of {place[0]}/{place[1]}" if read else None

    def _calm(self, dice: Dice, _: int) -> str:
        """All get on with their work for a while, so that what is asked next meets an order that has come far."""
        self.broker.away.clear()
        for _round in range(CALM_ROUNDS):
            for process in list(self.writers):
                self._alive(process, lambda process=process: process.step(1000), dice)
                if process in self.writers:
                    for place in list(process.producer.waiting):
                        process.producer.advance(place, 1_000_000)
            for place in self.ledger_places:
                for worker in self.reactions:
                    worker.handle(place, 1000)
                self.view.project(place, 1000)
        return "all get on with their work"

    def _old_view(self, dice: Dice, _: int) -> str:
        self.view.go_back((dice.below(4), 4))
        return "an old backup of the tables is restored"

    def _timers(self, dice: Dice, _: int) -> str:
        rung = self.reactions[dice.below(len(self.reactions))].ring()
        return f"{rung} timers ring"

    def _queue(self, dice: Dice, number: int) -> str | None:
        """Rules that a planner wrote know no way on."""
        data = self.channels.without_a_way(dice)
        if data is None:
            return None
        asked = Asked(f"queue:{number}", data, "sourcing", self.clock.now, None, None)
        self._put("intake.orders", data.order_id.encode(), encode(_CODEC, asked))
        return f"no way on for {data.order_id}"

    def _deliver_late(self, dice: Dice, _: int) -> str | None:
        count = min(len(self.intake.late), dice.between(1, 4))
        self.intake.deliver_late(dice, count)
        return f"{count} late commands arrive" if count else None

    def _tables(self, dice: Dice, _: int) -> str:
        return self.tables.move(dice)

    # Time

    def _pass_seconds(self, dice: Dice, _: int) -> str:
        seconds = dice.between(1, 240)
        self.clock.pass_by(seconds)
        return f"{seconds} s pass"

    def _pass_days(self, dice: Dice, _: int) -> str:
        days = dice.one((1, 20, 31, 40))
        self.clock.pass_by(days * 86_400)
        return f"{days} days pass"

    def _clock_back(self, dice: Dice, _: int) -> str:
        self.clock.broker_lag = timedelta(seconds=dice.below(300))
        return f"the broker's clock is {self.clock.broker_lag} behind"

    # The end

    def _run_to_quiet(self) -> None:
        self.positions.broken = self.intake.dies_after = None
        self.broker.away.clear()
        self.clock.broker_lag = timedelta(0)
        for process in self.writers[1:]:
            process.die()
        del self.writers[1:]
        self.writers[0].take(self.intake_places)
        self.reactions = [self._reactions(self.ledger_places)]
        nothing = Dice(0)
        random = Random(0)
        for _ in range(QUIET_ROUNDS_MAX):
            before = self._under_way()
            self.intake.deliver_late(nothing, len(self.intake.late))
            self._write_all(nothing)
            self._in_any_order(random)
            self._write_all(nothing)
            if self._under_way() == before:
                self._read_all()
            self.clock.pass_by(31)  # a timer is not repeated for so long
            self.reactions[0].ring()
            if self._under_way() == before and not self._write_all(nothing):
                due = self.view.next_due()
                if due is None or due <= self.clock.now:
                    must(due is None or not self._open_timers(), "timers_come_to_an_end", due)
                    return
                self.clock.pass_by((due - self.clock.now).total_seconds() + 1)
        raise Broken("comes_to_rest", f"still at work after {QUIET_ROUNDS_MAX} rounds")

    def _in_any_order(self, random: Random) -> None:
        """Some read a little, some all, as machines do. In lock-step two orders might yield to each other for ever."""
        for place in random.sample(self.ledger_places, len(self.ledger_places)):
            self.reactions[0].handle(place, random.choice((1, 3, 1000)))
            self.view.project(place, random.choice((0, 3, 1000)))

    def _read_all(self) -> None:
        for place in self.ledger_places:
            while self.reactions[0].handle(place, 1000):
                pass
            self.view.project(place, 1_000_000)

    def _open_timers(self) -> bool:
        queries = [read_reservations_due, read_receipts_due, read_lines_due, read_tracking_due]
        return any(self.view.due(queries, self.clock.now))

    def _write_all(self, dice: Dice) -> int:
        """The one writer takes all there is; how many commands there were."""
        taken = 0
        for _ in range(QUIET_ROUNDS_MAX):
            process = self.writers[0]
            read = self._alive(process, lambda process=process: process.step(1000), dice)
            if process not in self.writers:
                continue
            for place in list(process.producer.waiting):
                process.producer.advance(place, 1_000_000)
            self._alive(process, process.commit, dice)
            taken += read or 0
            if not read and not process.busy:
                return taken
        raise Broken("comes_to_rest", "the ledger does not get to the end of its intake")

    def _under_way(self) -> tuple[Any, ...]:
        return (
            *(len(self.broker.logs[place]) for place in (*self.intake_places, *self.ledger_places)),
            len(self.intake.late),
        )

    def _check_asides(self) -> None:
        """What nobody could read is kept, and what stood in the wrong place was brought home."""
        kept = {message.value() for message in self.broker.logs["dead-letters", 0]}
        wanted = {self.broker.logs[topic, number][offset].value() for topic, number, offset in self.truth.asides}
        missing = [value for value in wanted - kept if not self._brought_home(value)]
        must(not missing, "what_is_set_aside_is_kept", missing)

    def _brought_home(self, value: bytes | None) -> bool:
        for topic, key, sent in self._sent:
            if sent == value:
                home = murmur2_partition(key, self.broker.partitions)
                return any(message.value() == value for message in self.broker.logs[topic, home])
        return False
