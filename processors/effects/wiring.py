"""All effects in one list: the row that each file exports.

configured(settings) -> {"webhook": (EFFECT, its address)}
"""

from collections.abc import Mapping, Sequence

from processors.effects import webhook
from processors.effects.rows import Address, Effect
from runtime.settings import Settings

EFFECTS: Sequence[Effect] = (webhook.EFFECT,)

Configured = Mapping[str, tuple[Effect, Address]]


def configured(settings: Settings) -> Configured:
    """The effects that these settings name an address for. Raises Fault for a setting that cannot be meant."""
    found = ((effect, effect.address(settings)) for effect in EFFECTS)
    return {effect.name: (effect, address) for effect, address in found if address is not None}
