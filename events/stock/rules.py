"""What a channel may sell of the available units. Of several buffers, the most specific one counts; they are not added.

buffers: category 5, SKU 10, SKU at this location 20  ->  of 50 available units, the channel may sell 30
excluded by any of these rules                        ->  the channel may sell 0
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

#: Stands for channels. As a buffer: every channel without a buffer of its own. As an exclusion: every channel.
EVERY = "*"


class Rules(Struct, frozen=True, array_like=True):
    """The units kept back by channel, and the channels that may sell none, of one rule."""

    buffers: Mapping[str, int] = {}
    excluded: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.buffers or self.excluded)


NO_RULES = Rules()


def kept_back(chain: Sequence[Rules], channel: str | None) -> int | None:
    """Units kept back from a channel; None if it may sell none. `chain`: most specific first."""
    buffer: int | None = None
    for rules in chain:
        if EVERY in rules.excluded or channel in rules.excluded:
            return None
        if buffer is None and rules.buffers:
            named = None if channel is None else rules.buffers.get(channel)
            buffer = rules.buffers.get(EVERY) if named is None else named
    return buffer or 0


def resolved(chain: Sequence[Rules]) -> dict[str, int | None]:
    """`kept_back` for each channel that the rules name. `*` stands for all other channels."""
    named = {channel for rules in chain for channel in (*rules.buffers, *rules.excluded)}
    return {channel: kept_back(chain, channel) for channel in sorted(named)}
