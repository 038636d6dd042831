"""Tables of the past: the log folded into a schema of its own, beside the live tables.

wish      what a replay is asked for: as of which time or offsets, and which projections; pure
run       a replay: the schema and its wish, the fold, progress
rebuild   several processes that fill new tables, each from partitions of its own
finished  replays that are complete: to be read, or to go on from
build     what folds in this build, as a digest
order     one order of the past, in temporary tables
diff      which rows differ between two schemas
swap      new live tables: built beside the old ones, compared, and shown to all readers at one moment

The fold is the projector's own (`processors.projector.span`); only the writing differs in new tables (`bare`).
"""

from processors.replay.diff import Difference, diff
from processors.replay.run import Progress, Replayed, replay
from processors.replay.wish import Wish

__all__ = ["Difference", "Progress", "Replayed", "Wish", "diff", "replay"]
