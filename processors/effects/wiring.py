"""The list of all effects: one row per file.

configured(settings) -> {"webhook": (EFFECT, its address)}
"""

from collections.abc import Mapping, Sequence

from processors.effects import webhook
from processors.effects.rows import Address, Effect
from runtime.settings import Settings

EFFECTS: Sequence[Effect] = (webhook.EFFECT,)

Configured = Mapping[str, tuple[Effect, Address]]


def configured(settings: Settings) -> Configured:
    """The effects that have an address in these settings. Raises Fault for a wrong setting."""
    found = ((effect, effect.address(settings)) for effect in EFFECTS)
    return {effect.name: (effect, address) for effect, address in found if address is not None}
