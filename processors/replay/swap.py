"""A switch of the live tables: build others beside them, compare, and let all readers go over at one moment.

    swap(services)               # tables of this build are live; those before stand by
    back(services)               # the standby is live again
    drop_standby(services)       # the way back is given up

Two generations can be compared at equal positions only. So the new one never reads beyond the live one: it is folded to
positions that the live one has stored. At the switch, a lock on the positions stops the live projector for a moment.
The new tables are folded up to there, and the views change in the same transaction. So no reader sees an older row than
before, and every fact is in both.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg import sql

from processors.following.patience import StoppedWaitingError
from processors.following.positions import TABLE, Partition
from processors.projector import generations
from processors.projector.bare import are_bare, make_bare
from processors.projector.generations import Generation, build_of, live, show
from processors.projector.span import Advance, Span, end_offsets_of
from processors.projector.worker import dead_letters
from processors.projector.write import READER
from processors.replay.rebuild import Task, rebuild
from processors.subjects import codec_for
from processors.verify import verify
from projections.catalogue import PROJECTIONS
from projections.model import Projection
from runtime import failpoints
from runtime.errors import Fault
from runtime.postgres import connect
from runtime.services import Services

Connection = psycopg.Connection[Any]

#: Called with what is done now, how much of it, of how much (0: unknown), and the unit.
Say = Callable[[str, int, int, str], None]

#: Any number that nothing else uses as an advisory lock: one switch at a time.
_LOCK = 0x0DE2_5A9B

#: The new tables are near enough when they lack fewer facts than this: the live projector waits while they are folded,
#: about a quarter of a second. A lower number is never reached under load.
NEAR_FACTS = 5_000

#: How long the switch waits for a reader of a view before it lets everybody go on and tries again. Longer makes new
#: readers wait behind it; shorter than a usual query never succeeds. Below PostgreSQL's `deadlock_timeout` (1 s): so a
#: reader who holds one view and wants another is never ended because of us.
VIEW_LOCK_MS = 400

#: How long to wait for a batch of the live projector.
WRITER_LOCK_MS = 30_000

#: How often the switch is tried, and the pause between two attempts: about a minute in all.
ATTEMPTS_MAX = 60
PAUSE_SECONDS = 0.5

#: How long a standby of another build has for its last facts, while the live projector waits.
STANDBY_SECONDS = 3.0

#: How often comparing is tried: a position within a decision that is cut by the end cannot be reached.
COMPARISONS_MAX = 5

#: How often to look whether a projector has come, and how often to say that none has. One that runs comes within two
#: seconds.
LOOK_SECONDS = 0.2
TELL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Swapped:
    """A switch. `before`, `now`: the schemas of the live tables. `facts`: folded by this call. `differed`: tables whose
    rows were not those of the tables before (`verify` has checked the new ones). `waited_seconds`: how long the
    projector of the live tables had to wait.
    """

    before: str
    now: str
    facts: int
    tables: int
    differed: tuple[str, ...]
    seconds: float
    waited_seconds: float

    def as_json(self) -> dict[str, Any]:
        """The document that `replay --swap --json` prints."""
        return {
            "before": self.before,
            "now": self.now,
            "facts": self.facts,
            "tables": self.tables,
            "differed": list(self.differed),
            "seconds": round(self.seconds, 3),
            "waited_seconds": round(self.waited_seconds, 3),
        }


def swap(
    services: Services,
    *,
    projections: Collection[Projection] = tuple(PROJECTIONS.values()),
    processes: int | None = None,
    stop: threading.Event | None = None,
    say: Say = lambda _what, _done, _total, _unit: None,
) -> Swapped:
    """Build a generation of this build and make it live. A call that was cut off goes on where it was. `processes`: how
    many fill it (`rebuild`).

    Raises Fault if there are no live tables, if the new tables are wrong (`verify`), or if readers never let a view
    go; the live tables then stay as they are. Raises StoppedWaitingError when `stop` is set.
    """
    began = time.monotonic()
    build = build_of(projections)
    with _alone(services) as connection:
        old = _live(connection)
        new = _place(connection, build)
        with _Filling(services, new, projections, stop, say) as filling:
            filling.begin(old, processes)
            filling.near(old)
            failpoints.reach("swap.filled")
            differed = _compare(services, filling, old, say)
            filling.near(old)
            waited = _switch(services, old, new, projections, filling.up_to)
        generations.drop_forgotten(connection)
    tables = sum(len(projection.tables) for projection in projections)
    seconds = time.monotonic() - began
    return Swapped(old.schema, new.schema, filling.facts, tables, differed, seconds, waited)


def keep_up(
    services: Services,
    *,
    projections: Collection[Projection] = tuple(PROJECTIONS.values()),
    stop: threading.Event | None = None,
    waiting: Callable[[], None] = lambda: None,
) -> None:
    """Keep the live tables up until a projector of their build has come, if they are of this build.

    A projector that runs comes within two seconds. After an upgrade somebody must start one; `waiting` is called
    then. Raises StoppedWaitingError when `stop` is set.
    """
    build = build_of(projections)
    patience = stop or threading.Event()
    told_at = time.monotonic() + TELL_SECONDS
    with connect(services, "replay", autocommit=True) as connection:
        now = _live(connection)
        if now.build != build or generations.is_taken(connection, now):
            return
        with Span(
            services,
            now.schema,
            projections=projections,
            stop=stop,
            set_aside=dead_letters(services),
            misses_in=generations.PUBLIC,
        ) as span:
            while not generations.is_taken(connection, now):
                end = end_offsets_of(services)
                if _lacking(end, _positions(connection, now.schema)):
                    span.up_to(end)
                if time.monotonic() > told_at:
                    waiting()
                    told_at += TELL_SECONDS
                if patience.wait(LOOK_SECONDS):
                    raise StoppedWaitingError


def back(
    services: Services,
    *,
    projections: Collection[Projection] = tuple(PROJECTIONS.values()),
    stop: threading.Event | None = None,
    say: Say = lambda _what, _done, _total, _unit: None,
) -> Swapped:
    """Make the standby live again. Raises Fault if there is none, or if it is behind and nobody keeps it up."""
    began = time.monotonic()
    with _alone(services) as connection:
        old = _live(connection)
        new = _standby(connection)
        facts = 0
        if new.build == build_of(projections):
            with _Filling(services, new, projections, stop, say) as filling:
                filling.near(old)
                waited = _switch(services, old, new, projections, filling.up_to)
                facts = filling.facts
        else:
            # Its folds are of another build: only a projector of that build can bring it up.
            waited = _switch(services, old, new, projections, _Watching(services, new).up_to)
    return Swapped(old.schema, new.schema, facts, 0, (), time.monotonic() - began, waited)


def drop_standby(services: Services) -> str:
    """Drop the tables that stand by; the schema they had. Raises Fault if there are none."""
    with _alone(services) as connection:
        found = _standby(connection)
        generations.drop(connection, found)
        return found.schema


class _Filling:
    """Folds facts into a generation. `facts`: how many so far."""

    def __init__(
        self,
        services: Services,
        generation: Generation,
        projections: Collection[Projection],
        stop: threading.Event | None,
        say: Say,
    ) -> None:
        self._services = services
        self._generation = generation
        self._projections = tuple(projections)
        self._stop = stop
        self._open: Span | None = None
        self._say = say
        self.facts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open is not None:
            self._open.__exit__()

    @property
    def _span(self) -> Span:
        """Opened when the tables have their keys: it would give them some that lack."""
        if self._open is None:
            self._open = Span(
                self._services,
                self.schema,
                projections=self._projections,
                stop=self._stop,
                misses_in=generations.PUBLIC,
            )
        return self._open

    @property
    def number(self) -> int:
        return self._generation.number

    @property
    def schema(self) -> str:
        return self._generation.schema

    def begin(self, other: Generation, processes: int | None) -> None:
        """Rebuild the tables to where the other ones are, if they are new, or were begun so."""
        with connect(self._services, "replay", autocommit=True) as connection:
            if not _is_there(connection, self.schema):
                make_bare(connection, self._projections, self.schema)
            elif not are_bare(connection, self.schema):
                return
            positions = _positions(connection, self.schema)
        goals = _positions_of(self._services, other.schema)
        task = Task(self.schema, self._projections, misses_in=generations.PUBLIC)
        say, keyed = self._advanced(goals), self._keyed
        rebuild(self._services, task, positions, goals, processes=processes, stop=self._stop, say=say, keyed=keyed)

    def _keyed(self, done: int, total: int) -> None:
        self._say(f"keys and indexes of {self.schema}", done, total, "tables")

    def near(self, other: Generation) -> None:
        """Come within NEAR_FACTS of the other one, which moves on meanwhile, or as near as it lets us."""
        lacked = None
        while True:
            reached = self.up_to(_positions_of(self._services, other.schema))
            lacking = _lacking(_positions_of(self._services, other.schema), reached)
            if lacking <= NEAR_FACTS or (lacked is not None and lacking >= lacked):
                return
            lacked = lacking

    def up_to(self, goals: Mapping[Partition, int]) -> Mapping[Partition, int]:
        """Fold up to these offsets; where each partition is then."""
        return self._span.up_to(goals, self._advanced(goals))

    def _advanced(self, goals: Mapping[Partition, int]) -> Callable[[Advance], None]:
        before = self.facts

        def advanced(now: Advance) -> None:
            self.facts = before + now.facts
            lacking = _lacking(goals, now.reached)
            self._say(f"filling {self.schema}", self.facts, self.facts + lacking, "facts")

        return advanced


class _Watching:
    """Waits for whoever keeps a generation up."""

    def __init__(self, services: Services, generation: Generation) -> None:
        self._services = services
        self._generation = generation

    def up_to(self, goals: Mapping[Partition, int]) -> Mapping[Partition, int]:
        """Wait until it has these offsets. Raises Fault if it does not come there in time."""
        deadline = time.monotonic() + STANDBY_SECONDS
        while _lacking(goals, reached := _positions_of(self._services, self._generation.schema)):
            if time.monotonic() > deadline:
                raise Fault(
                    f"the tables on standby are {_lacking(goals, reached):,} facts behind",
                    f"{self._generation.schema} is of build {self._generation.build}, and no projector of it keeps up",
                    "start the projector of that build, wait until it has caught up, and call again",
                )
            time.sleep(0.02)
        return reached


@contextlib.contextmanager
def _alone(services: Services) -> Iterator[Connection]:
    """A connection that holds the lock of switches."""
    with connect(services, "replay", autocommit=True) as connection:
        (free,) = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone() or (False,)
        if not free:
            raise Fault("another process switches tables now", "one at a time", "wait for it")
        yield connection  # the lock goes with the connection


def _live(connection: Connection) -> Generation:
    found = live(connection)
    if found is None:
        raise Fault("there are no tables yet", "no projector has run", "`order-ledger run` makes and fills them")
    return found


def _standby(connection: Connection) -> Generation:
    found = next((one for one in generations.every(connection) if one.state == "standby"), None)
    if found is None:
        raise Fault(
            "no tables stand by",
            "there was no switch, or its way back was given up",
            "`order-ledger replay --swap` builds new tables beside the live ones",
        )
    return found


def _place(connection: Connection, build: str) -> Generation:
    """The generation to fill: the one that a call before has begun, or a new one."""
    generations.drop_forgotten(connection)
    for one in generations.every(connection):
        if one.state == "filling":
            if one.build == build:
                return one
            generations.drop(connection, one)  # begun by another build, which did not finish it, or wrong
    row = connection.execute(
        "INSERT INTO public.generations (number, build, state) SELECT max(number) + 1, %s, 'filling'"
        " FROM public.generations RETURNING number, build, state",
        [build],
    ).fetchone()
    assert row is not None, "an insert returns its row"
    return Generation(*row)


def _compare(services: Services, filling: _Filling, old: Generation, say: Say) -> tuple[str, ...]:
    """Compare the new tables with the live ones at one position; the tables that differ. Raises Fault if they differ
    and `verify` finds the new ones wrong.
    """
    for _ in range(COMPARISONS_MAX):
        with connect(services, "replay") as connection:
            # Tables and positions of one moment, although the projector goes on.
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            goals = _positions(connection, old.schema)
            before = _digests(connection, old.schema, say)
        if filling.up_to(goals) == goals:
            break
    else:
        raise Fault(
            "the new tables cannot be brought to the position of the live ones",
            f"tried {COMPARISONS_MAX} times",
            "call again; if it stays so, `order-ledger verify` says what is wrong with the live tables",
        )
    with connect(services, "replay") as connection:
        after = _digests(connection, filling.schema, say)
    differed = tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))
    if differed:
        codec = codec_for(services.schema_registry, services.topic_prefix)
        report = verify(services, codec, schema=filling.schema, progress=say)
        if not report.equal:
            with connect(services, "replay") as connection:  # the next call, perhaps of a mended fold, begins anew
                connection.execute("UPDATE public.generations SET build = 'wrong' WHERE number = %s", [filling.number])
            raise Fault(
                f"the new tables are wrong, and nothing was switched: {report.first_difference}",
                f"they differ from the live ones in {', '.join(differed)}, and from a fold by separate code",
                f"`order-ledger diff public {filling.schema}` shows rows; `order-ledger verify` checks the live tables",
            )
    return differed


def _switch(
    services: Services,
    old: Generation,
    new: Generation,
    projections: Collection[Projection],
    up_to: Callable[[Mapping[Partition, int]], Mapping[Partition, int]],
) -> float:
    """Make `new` live and `old` the standby; how long the projector of `old` had to wait. Raises Fault if readers of
    the views never let go.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            with connect(services, "replay") as connection:
                return _switch_now(connection, old, new, projections, up_to)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            if attempt == ATTEMPTS_MAX:
                raise Fault(
                    "the views cannot be switched: somebody reads them all the time",
                    _readers(services) or str(error).strip(),
                    "wait until these queries have ended, or end them, and call again: nothing is lost",
                ) from error
        time.sleep(PAUSE_SECONDS)
    raise AssertionError("the last attempt raises")


def _switch_now(
    connection: Connection,
    old: Generation,
    new: Generation,
    projections: Collection[Projection],
    up_to: Callable[[Mapping[Partition, int]], Mapping[Partition, int]],
) -> float:
    _wait_at_most(connection, WRITER_LOCK_MS)
    # The projector of the old tables moves its positions first in each transaction: it waits here, and readers do not.
    place = sql.Identifier(old.schema, TABLE)
    connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(place))
    began = time.monotonic()
    goals = _positions(connection, old.schema)
    if _lacking(goals, up_to(goals)):
        raise Fault(
            "the new tables did not reach the position of the live ones",
            "a decision is cut by it",
            "call again: the next position will be another one",
        )
    _wait_at_most(connection, VIEW_LOCK_MS)
    show(connection, new, projections)
    # One way back is enough: an earlier standby is forgotten now, and dropped later.
    connection.execute("DELETE FROM public.generations WHERE state = 'standby' AND number <> %s", [new.number])
    connection.execute("UPDATE public.generations SET state = 'standby' WHERE number = %s", [old.number])
    connection.execute("UPDATE public.generations SET state = 'live' WHERE number = %s", [new.number])
    failpoints.reach("swap.before_commit")
    connection.commit()
    failpoints.reach("swap.after_commit")
    return time.monotonic() - began


def _wait_at_most(connection: Connection, ms: int) -> None:
    connection.execute(sql.SQL("SET LOCAL lock_timeout TO {}").format(sql.Literal(f"{ms}ms")))


def _readers(services: Services) -> str:
    """Who holds a view of `public` now."""
    with connect(services, "replay", autocommit=True) as connection:
        rows = connection.execute(
            "SELECT DISTINCT a.pid, a.application_name, c.relname, date_trunc('second', now() - a.xact_start)::text"
            " FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation JOIN pg_stat_activity AS a USING (pid)"
            " WHERE c.relkind = 'v' AND c.relnamespace = 'public'::regnamespace AND l.granted"
            " AND a.pid <> pg_backend_pid() ORDER BY 4 DESC LIMIT 5"
        ).fetchall()
    return "; ".join(f"process {pid} ({name or 'no name'}) reads {view} for {age}" for pid, name, view, age in rows)


def _digests(connection: Connection, schema: str, say: Say) -> dict[str, tuple[int, str]]:
    """Of each table: the number of rows, and the sum of their hashes, which does not depend on their order."""
    rows = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> ALL(%s) ORDER BY 1",
        [schema, [TABLE, "skipped_facts", "slow_paths"]],
    ).fetchall()
    found = {}
    for number, (name,) in enumerate(rows):
        say(f"comparing {schema}", number, len(rows), "tables")
        query = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM {} AS t"
        row = connection.execute(sql.SQL(query).format(sql.Identifier(schema, name))).fetchone()
        assert row is not None, "an aggregate has a row"
        found[name] = (int(row[0]), str(row[1]))
    return found


def _is_there(connection: Connection, schema: str) -> bool:
    return connection.execute("SELECT to_regnamespace(quote_ident(%s))", [schema]).fetchone() != (None,)


def _positions(connection: Connection, schema: str) -> dict[Partition, int]:
    query = sql.SQL("SELECT topic, partition, next_offset FROM {} WHERE follower = %s")
    rows = connection.execute(query.format(sql.Identifier(schema, TABLE)), [READER])
    return {(topic, number): offset for topic, number, offset in rows}


def _positions_of(services: Services, schema: str) -> dict[Partition, int]:
    with connect(services, "replay") as connection:
        return _positions(connection, schema)


def _lacking(goals: Mapping[Partition, int], reached: Mapping[Partition, int]) -> int:
    return sum(max(0, goal - reached.get(one, 0)) for one, goal in goals.items())
