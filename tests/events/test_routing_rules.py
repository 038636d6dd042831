"""Rules that a planner writes: what can be used, what is wrong and where, and the versions that come of it."""

from __future__ import annotations

import pytest

from events.routing.commands import SetRoutingRules
from events.routing.facts import RoutingRulesSet
from events.routing.rules import RulesError, groups_of, read_rules
from processors.routing.default import default_rules, default_text
from tests.support.given import ask, given, like

GOOD = 'name = "one"\n[[rules]]\nname = "all"\ncriteria = ["parcels", { cost = 1, distance = 0.5 }]\n'


def set_rules(text: str = GOOD, rules_id: str = "routing") -> SetRoutingRules:
    return SetRoutingRules(rules_id=rules_id, text=text)


def test_rules_that_can_be_read_become_the_next_version() -> None:
    ask(set_rules()).then(RoutingRulesSet(rules_id="routing", number=1, name="one", text=GOOD))
    story = given(set_rules()).when(set_rules(GOOD.replace("one", "two"))).then(like(RoutingRulesSet, number=2))
    story.when(set_rules()).then(like(RoutingRulesSet, number=3, name="one"))


def test_rules_that_cannot_be_used_change_nothing_and_the_refusal_says_where() -> None:
    story = given(set_rules()).when(set_rules(GOOD + "kinds = 3\n"))
    story.then_refused("invalid", says='line 5, rules[0] (rule "all"): unknown key `kinds`')
    story.when(set_rules(GOOD + "\n")).then(like(RoutingRulesSet, number=2))


def test_the_rules_that_ship_can_be_used() -> None:
    assert default_rules() == read_rules(default_text())
    assert [rule.name for rule in default_rules().rules] == ["every order"]


def test_criteria_are_groups_of_weights_one_after_the_other() -> None:
    (rule,) = read_rules(GOOD).rules
    assert groups_of(rule) == [{"parcels": 1.0}, {"cost": 1.0, "distance": 0.5}]
    weighted = GOOD.replace('criteria = ["parcels", { cost = 1, distance = 0.5 }]', "objective = { cost = 1 }")
    assert groups_of(read_rules(weighted).rules[0]) == [{"cost": 1.0}]


RULE = '[[rules]]\nname = "all"\ncriteria = ["parcels"]\n'
WRONG = [
    ("name = one", "not TOML", "line 1"),
    ('name = "x"', "the file", "missing required field `rules`"),
    ('name = "x"\nrules = []', "line 2, rules", "length"),
    ('name = "x"\nversion = 2\n' + RULE, "line 2, the file", "unknown key `version`"),
    ('name = "x"\n' + RULE + 'criterai = ["cost"]', "line 5, rules[0]", "unknown key `criterai`"),
    ('name = "x"\n' + RULE.replace("parcels", "parcel"), "line 4, rules[0].criteria", "unknown word `parcel`"),
    ('name = "x"\n' + RULE + 'filters = { kinds = ["shop"] }', "line 5, rules[0].filters.kinds", "`shop`"),
    ('name = "x"\n' + RULE + "[rules.filters]\ndistance_km_max = -1", "line 6, rules[0].filters.distance", ">= 0"),
    ('name = "x"\n' + RULE + "objective = { cost = 1 }", "rules[0]", "both criteria and an objective"),
    ('name = "x"\n[[rules]]\nname = "all"', "rules[0]", "no criteria and no objective"),
    ('name = "x"\n' + RULE.replace('["parcels"]', "[{ cost = 0 }]"), "rules[0]", "all weights are 0"),
    ('name = "x"\n' + RULE + RULE.replace("all", "b"), "line 5, rules[1]", "no order reaches this rule"),
    (
        'name = "x"\n' + RULE + 'when = { channels = ["web"] }\n' + RULE,
        "line 7, rules[1].name", 'two rules "all"',
    ),
    ('name = "x"\n' + RULE + 'when = { channels = ["web"] }', "line 5, rules[0].when", "does not take every order"),
    (
        'name = "x"\n' + RULE + "when = { value_from_minor = 9, value_below_minor = 9 }\n" + RULE.replace("all", "b"),
        "line 5, rules[0].when.value_below_minor", "no order is worth at least 9 and less than 9",
    ),
    ('name = "x"\n' + RULE.replace("parcels", "priority"), "rules[0]", "lists none"),
    ('name = "x"\n' + RULE + 'priority = ["WH1"]', "line 5, rules[0].priority", "the list is not used"),
    ('name = "x"\n' + RULE.replace("parcels", "markdown"), "rules[0]", "nothing is marked down"),
    ('name = "x"\n' + RULE + "limits = { split = false, parcels_max = 2 }", "line 5", "allows one parcel"),
    ('name = "x"\n' + RULE + "limits = { split = false, split_from_minor = 2 }", "line 5", "never splits"),
    ('name = "x"\n' + RULE + 'fallbacks = ["queue", "backorder"]', "line 5", "nothing comes after `queue`"),
    ('name = "x"\n' + RULE + 'fallbacks = ["relax splits"]', "line 5", "is no fallback"),
    ('name = "x"\n' + RULE + 'fallbacks = ["relax split"]', "line 5", "relaxes a limit that the rule does not set"),
    ('name = "x"\n' + RULE + "[transit]\nexpress = [{ km = 5, days = 1 }]", "line 6, transit.express", "longest"),
    (
        'name = "x"\n' + RULE + "[transit]\nexpress = [{ km = 5, days = 1 }, { km = 4, days = 1 }, { days = 2 }]",
        "line 6, transit.express", "do not increase",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "what"), WRONG)
def test_what_is_wrong_is_said_with_its_place(text: str, place: str, what: str) -> None:
    with pytest.raises(RulesError) as caught:
        read_rules(text)
    assert place in caught.value.detail
    assert what in caught.value.detail
    assert caught.value.hint


def test_a_misspelt_key_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(RulesError) as caught:
        read_rules('name = "x"\n' + RULE + "[rules.filters]\nkind = ['store']")
    assert "did you mean `kinds`?" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5_000, "a = " + "{a = [" * 30, 'a = ["]]]]", ' + "[" * 30],
    ids=["lists", "tables", "behind a text that seems to close"],
)
def test_rules_too_deep_for_a_parser_are_refused_by_their_depth_not_by_its_stack(text: str) -> None:
    ask(set_rules(text)).then_refused("invalid", says="more than 20 deep")


def test_brackets_in_texts_and_comments_are_letters() -> None:
    text = 'description = "' + "[" * 99 + '"  # ' + "[" * 99 + "\n" + GOOD
    rules = read_rules(text)
    assert rules.name == "one"


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    ask(set_rules("a = " + "1" * 5_000)).then_refused("invalid", says="unreadable TOML")
