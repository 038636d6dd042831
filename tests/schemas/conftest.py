"""What the contract tests share."""

import pytest

from schemas.codec import Codec


@pytest.fixture(scope="session")
def codec() -> Codec:
    """A codec with the fixed ids."""
    return Codec()
