"""Calls to the outside world: a fact becomes one call, and its answer may become a command.

    fact ──make_call──► a row of `effect_calls`, in the transaction of the position ──► the call ──answer──► a command

The position never waits for a receiver: the follower only writes rows, and a separate loop calls. The fact's id is the
idempotency key. A row stays for ever, so a position that is set back, or a rebuild, makes no second call.

rows.py      what an effect is; each file exports one as `EFFECT`
wiring.py    the list of all effects
outbox.py    the rows: written, claimed, closed, in order within a stream
worker.py    the follower that writes them, and the process
calling.py   the loop that calls, with back-off and a limit
webhook.py   the first effect: a signed POST to a URL
"""

from events.catalogue import LEDGER_TOPICS
from processors.worker import Worker
from runtime.errors import Fault
from runtime.settings import Settings


def _wanted(settings: Settings) -> bool:
    """Whether an effect is configured. A wrong setting counts as yes: the worker then says what is wrong with it."""
    from processors.effects.wiring import configured  # here: the list imports this package

    try:
        return bool(configured(settings))
    except Fault:
        return True


WORKER = Worker(
    "effects",
    run="processors.effects.worker:run_effects",
    reads=LEDGER_TOPICS,
    needed=False,
    wanted=_wanted,
    checks="processors.effects.checks:effects_checks",
)

__all__ = ["WORKER"]
