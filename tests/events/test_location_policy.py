"""Which channels a location does not serve, whatever the SKU."""

from __future__ import annotations

from msgspec.structs import replace

from events.locations import commands as c
from events.locations import facts as f
from tests.support.given import ask, given

REGISTER = c.RegisterLocation(location_id="WH1", name="Here", kind="store")


def exclude(*channels: str) -> c.SetLocationPolicy:
    return c.SetLocationPolicy(location_id="WH1", excluded_channels=channels)


def test_a_policy_says_who_is_not_served_and_who_is_served_again() -> None:
    story = given(REGISTER, exclude("web", "till")).when(exclude("till", "fair"))
    story.then(f.LocationPolicySet(location_id="WH1", excluded_channels=("fair", "till"), served_again=("web",)))


def test_registering_a_location_otherwise_leaves_its_policy() -> None:
    story = given(REGISTER, exclude("web"), replace(REGISTER, name="There")).when(exclude())
    story.then(f.LocationPolicySet(location_id="WH1", excluded_channels=(), served_again=("web",)))


def test_a_location_that_nobody_knows_has_no_policy() -> None:
    ask(exclude("web")).then_refused("unknown")
