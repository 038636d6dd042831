"""The reactions as the product runs them, but they look for new locations and rules at once, not every five seconds.

python -m tests.support.quick_reactions run --only reactions
"""

from __future__ import annotations

import time

from gateway.cli import main
from processors.reactions import lookups

PLACES_KEPT_SECONDS = 0.3


def wait_until_places_are_known() -> None:
    """So long the reactions may go by the locations and rules that they knew."""
    time.sleep(PLACES_KEPT_SECONDS + 0.2)


if __name__ == "__main__":
    lookups.PLACES_KEPT_SECONDS = PLACES_KEPT_SECONDS
    main()
