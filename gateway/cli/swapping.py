"""`order-ledger replay --swap | --back | --drop-standby`: other live tables, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from confluent_kafka import KafkaException

from gateway.cli.asking import fail_with, running_services
from gateway.cli.terminal import print_json, say
from runtime.errors import Fault
from runtime.progress import progress

if TYPE_CHECKING:
    from processors.replay.swap import Swapped
    from runtime.services import Services


def swap_tables(*, as_json: bool, processes: int | None) -> None:
    """Build tables beside the live ones, compare, switch; then keep them up until a projector has come."""
    from processors.replay.swap import keep_up, swap

    services = running_services()
    done = _switched("filling new tables", partial(swap, processes=processes), services)
    if as_json:
        print_json(done.as_json())
    else:
        say(f"live: {done.now}, before {done.before}: {done.facts:,} facts in {done.seconds:.1f} s")
        if done.differed:
            say(f"rows differ from those before, and `verify` finds them right: {', '.join(done.differed)}")
        else:
            say(f"all {done.tables} tables are equal to those before")
        say(f"the projector waited {done.waited_seconds * 1000:.0f} ms; readers saw no moment without tables")
        say(f"{done.before} stands by: `order-ledger replay --back` returns, `--drop-standby` gives it up")
    try:
        keep_up(services, waiting=_tell_who_is_missing)
    except (Fault, KafkaException, psycopg.Error) as error:
        fail_with(error)


def _switched(title: str, switch: Callable[..., Swapped], services: Services) -> Swapped:
    from gateway.cli.verification import shown_by

    with progress(title, unit="facts") as bar:
        try:
            return switch(services, say=shown_by(bar))
        except (Fault, KafkaException, psycopg.Error) as error:
            fail_with(error)


def _tell_who_is_missing() -> None:
    say("no projector of this build runs: start one (`order-ledger run`); this command keeps the tables up", err=True)


def swap_back(*, as_json: bool) -> None:
    """Show the tables on standby again."""
    from processors.replay.swap import back

    done = _switched("catching up", back, running_services())
    if as_json:
        print_json(done.as_json())
        return
    say(f"live: {done.now}, before {done.before}; the projector waited {done.waited_seconds * 1000:.0f} ms")


def drop_standby_tables(*, as_json: bool) -> None:
    """Drop the tables on standby."""
    from processors.replay.swap import drop_standby

    try:
        dropped = drop_standby(running_services())
    except (Fault, psycopg.Error) as error:
        fail_with(error)
    if as_json:
        print_json({"dropped": dropped})
    else:
        say(f"dropped: {dropped}")
