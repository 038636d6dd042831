"""Reads a rule file (TOML), or says what is wrong with it and where.

    read_rules('name = "one"\n[[rules]]\nname = "all"\ncriteria = ["parcels", "cost"]')

>>> read_rules('name = "one"\\n[[rules]]\\nname = "all"\\ncriteria = ["parcels"]\\n[rules.filters]\\nkind = ["store"]')
Traceback (most recent call last):
    ...
events.routing.rules.RulesError: line 6, rules[0].filters (rule "all"): unknown key `kind`
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from typing import Any, get_args

import msgspec

from events.form import holds_nul
from events.routing.language import (
    Filters,
    Kind,
    Leg,
    Limits,
    Markdown,
    Measure,
    Rule,
    RuleBook,
    ServiceLevel,
    Supply,
    Transit,
    When,
)
from events.spelling import meant

#: Limits that a fallback can relax, if the rule sets them.
RELAXABLE = (
    "kinds", "not_kinds", "locations", "not_locations", "countries", "same_country", "distance_km_max",
    "wait_days_max", "supply_weeks_min", "parcels_max", "split",
)  # fmt: skip

#: What happens to units that no fallback could place although there is stock.
LAST_RESORTS = ("backorder", "queue")

_PARTS: tuple[tuple[re.Pattern[str], type[Any]], ...] = (
    (re.compile(r"^\$$"), RuleBook),
    (re.compile(r"^\$\.rules\[\d+\]$"), Rule),
    (re.compile(r"^\$\.rules\[\d+\]\.when$"), When),
    (re.compile(r"^\$\.rules\[\d+\]\.filters$"), Filters),
    (re.compile(r"^\$\.rules\[\d+\]\.limits$"), Limits),
    (re.compile(r"^\$\.transit$"), Transit),
    (re.compile(r"^\$\.transit\.\w+\[\d+\]$"), Leg),
    (re.compile(r"^\$\.markdowns\[\d+\]$"), Markdown),
    (re.compile(r"^\$\.supply$"), Supply),
)
#: The allowed words, by the end of their path in the file. At all other paths the allowed words are measures.
_WORDS: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"kinds(\[|$)"), Kind),
    (re.compile(r"service_levels(\[|$)"), ServiceLevel),
)
_UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]*)`")
_AT = re.compile(r" - at (?:`key` in )?`(?P<path>[^`]*)`$")
_WORD = re.compile(r"Invalid enum value '(?P<word>[^']*)'")


#: How deep brackets may be nested. The parser's own limit depends on its stack, and all processes must decide the same.
DEPTH_MAX = 20
_BRACKETS = re.compile(
    r'''"""(?:\\.|[^\\])*?"""|\'{3}.*?\'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*|(?P<open>[\[{])|(?P<close>[\]}])''',
    re.DOTALL,
)


class RulesError(ValueError):
    """A rule file that cannot be used: `detail` begins with the place, `hint` says what to do."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint


def read_rules(text: str) -> RuleBook:
    """The rules of a file's text. Raises RulesError."""
    if _depth(text) > DEPTH_MAX:
        raise RulesError(f"brackets are nested more than {DEPTH_MAX} deep", "rules need only three levels")
    try:
        document = tomllib.loads(text.removeprefix("\N{BYTE ORDER MARK}"))
        nul = holds_nul(document)
    except tomllib.TOMLDecodeError as error:
        raise RulesError(f"not TOML: {error}", "see https://toml.io; texts need quotes, lists need brackets") from error
    except RecursionError as error:
        raise RulesError("unreadable TOML: it is nested too deep", "rules need only three levels") from error
    except ValueError as error:  # an integer of thousands of digits
        raise RulesError(f"unreadable TOML: {error}", "use shorter numbers") from error
    if nul:
        raise RulesError("a text holds a NUL character", "leave NUL characters out")
    try:
        book = msgspec.convert(document, RuleBook)
    except msgspec.ValidationError as error:
        raise _misfit(text, document, str(error)) from error
    for check in (_check_names, _check_reach, _check_measures, _check_limits, _check_fallbacks, _check_transit):
        check(book, lambda path, what, hint: RulesError(f"{_place(text, document, path)}: {what}", hint))
    return book


def _depth(text: str) -> int:
    """How deep brackets are nested; brackets in texts and comments do not count."""
    depth = deepest = 0
    for found in _BRACKETS.finditer(text):
        depth += (found["open"] is not None) - (found["close"] is not None)
        deepest = max(deepest, depth)
    return deepest


_Wrong = Callable[[str, str, str], RulesError]


def _check_names(book: RuleBook, wrong: _Wrong) -> None:
    seen: set[str] = set()
    for number, rule in enumerate(book.rules):
        if rule.name in seen:
            raise wrong(f"$.rules[{number}].name", f'there are two rules "{rule.name}"', "give each its own name")
        seen.add(rule.name)


def _check_reach(book: RuleBook, wrong: _Wrong) -> None:
    for number, rule in enumerate(book.rules):
        last = number == len(book.rules) - 1
        for_all = rule.when == When()
        if for_all and not last:
            raise wrong(
                f"$.rules[{number + 1}]",
                f'no order reaches this rule: "{rule.name}" before it takes every order',
                "give the earlier rule a `when`, or move it to the end",
            )
        if last and not for_all:
            raise wrong(
                f"$.rules[{number}].when",
                "the last rule does not take every order",
                "end with a rule without `when`, so that each order has a rule",
            )
        when = rule.when
        low, high = when.value_from_minor or 0, when.value_below_minor
        if high is not None and high <= low:
            raise wrong(
                f"$.rules[{number}].when.value_below_minor",
                f"no order is worth at least {low} and less than {high}",
                "value_from_minor must be the smaller one",
            )


def _check_measures(book: RuleBook, wrong: _Wrong) -> None:
    for number, rule in enumerate(book.rules):
        path = f"$.rules[{number}]"
        if (rule.criteria is None) == (rule.objective is None):
            raise wrong(
                path,
                "it has both criteria and an objective" if rule.criteria else "it has no criteria and no objective",
                "give `criteria` (one after the other) or `objective` (weighted), not both",
            )
        named = _measures(rule)
        if "priority" in named and rule.priority is None:
            raise wrong(path, "`priority` is a criterion, but the rule lists none", 'add priority = ["WH1", "ST-*"]')
        if rule.priority is not None and "priority" not in named:
            raise wrong(f"{path}.priority", "the list is not used", 'name "priority" in criteria or objective')
        if not any(weight > 0 for group in groups_of(rule) for weight in group.values()):
            raise wrong(path, "all weights are 0", "give at least one measure a weight")
        if "markdown" in named and not book.markdowns:
            raise wrong(path, "`markdown` is a criterion, but nothing is marked down", "add a [[markdowns]] table")


def groups_of(rule: Rule) -> list[dict[Measure, float]]:
    """How the rule judges a plan: weights per measure, in groups, the most important group first."""
    if rule.objective is not None:
        return [{**rule.objective}]
    return [{group: 1.0} if isinstance(group, str) else {**group} for group in rule.criteria or ()]


def _measures(rule: Rule) -> set[str]:
    return {measure for group in groups_of(rule) for measure in group}


def _check_limits(book: RuleBook, wrong: _Wrong) -> None:
    for number, rule in enumerate(book.rules):
        limits, path = rule.limits, f"$.rules[{number}].limits"
        if not limits.split and (limits.parcels_max or 1) > 1:
            raise wrong(
                f"{path}.parcels_max",
                f"split = false allows one parcel, parcels_max {limits.parcels_max}",
                "leave one of them out",
            )
        if not limits.split and limits.split_from_minor is not None:
            raise wrong(
                f"{path}.split_from_minor",
                "split = false never splits, split_from_minor splits orders from that value",
                "leave one of them out",
            )


def _check_fallbacks(book: RuleBook, wrong: _Wrong) -> None:
    for number, rule in enumerate(book.rules):
        for place, step in enumerate(rule.fallbacks):
            path = f"$.rules[{number}].fallbacks"
            if step in LAST_RESORTS:
                if place != len(rule.fallbacks) - 1:
                    raise wrong(path, f"nothing comes after `{step}`", f"move `{step}` to the end")
                continue
            verb, _, what = step.partition(" ")
            if verb != "relax" or what not in RELAXABLE:
                near = meant(step, [*(f"relax {one}" for one in RELAXABLE), *LAST_RESORTS])
                raise wrong(
                    path,
                    f"`{step}` is no fallback",
                    f"did you mean `{near}`?" if near else "use `relax LIMIT`, `backorder` or `queue`",
                )
            if not _sets(rule, what):
                raise wrong(path, f"`{step}` relaxes a limit that the rule does not set", f"set {what}, or omit it")


def _sets(rule: Rule, what: str) -> bool:
    if what == "split":
        return not rule.limits.split or rule.limits.split_from_minor is not None
    part: Any = rule.limits if what == "parcels_max" else rule.filters
    return getattr(part, what) not in (None, False)


def _check_transit(book: RuleBook, wrong: _Wrong) -> None:
    for level in ("standard", "express", "same_day"):
        legs: Sequence[Leg] = getattr(book.transit, level)
        path = f"$.transit.{level}"
        if legs[-1].km is not None:
            raise wrong(path, "the longest distance has no days", "end with an entry without `km`")
        bounds = [leg.km for leg in legs[:-1]]
        if any(km is None for km in bounds) or sorted(set(bounds), key=lambda km: km or 0) != bounds:
            raise wrong(path, "the distances do not increase", "sort them from near to far; only the last has no `km`")


def _misfit(text: str, document: Any, message: str) -> RulesError:
    """The error that msgspec found, with a place that a person can find."""
    found = _AT.search(message)
    path = found["path"] if found else "$"
    said = message[: found.start()] if found else message
    word = _WORD.search(said)
    if word is not None:
        words = get_args(next((kind for pattern, kind in _WORDS if pattern.search(path)), Measure))
        near = meant(word["word"], words)
        hint = f"did you mean `{near}`? " if near else ""
        hint += f"known here: {', '.join(words)}"
        return RulesError(f"{_place(text, document, path)}: unknown word `{word['word']}`", hint)
    unknown = _UNKNOWN.search(said)
    if unknown is None:
        return RulesError(f"{_place(text, document, path)}: {said}", "docs/routing.md lists the allowed values")
    key = unknown["key"]
    part = next((part for pattern, part in _PARTS if pattern.match(path)), None)
    known: Sequence[str] = part.__struct_fields__ if part is not None else ()
    near = meant(key, known)
    hint = f"did you mean `{near}`? " if near else ""
    return RulesError(
        f"{_place(text, document, f'{path}.{key}', shown=path)}: unknown key `{key}`",
        f"{hint}known here: {', '.join(known)}",
    )


def _place(text: str, document: Any, path: str, *, shown: str | None = None) -> str:
    """`line 12, rules[1].filters (rule "express")`, as exact as the text allows."""
    words = (path if shown is None else shown).removeprefix("$").removeprefix(".") or "the file"
    numbered = re.match(r"^\$\.rules\[(\d+)\]", path)
    if numbered:
        rules = document.get("rules", [])
        number = int(numbered[1])
        rule = rules[number] if isinstance(rules, list) and number < len(rules) else None
        name = rule.get("name") if isinstance(rule, dict) else None
        words += f' (rule "{name}")' if name else ""
    line = _line(text, path)
    return f"line {line}, {words}" if line else words


def _line(text: str, path: str) -> int | None:
    """The line of a path's last key: the first line in its array's table that begins with that key."""
    lines = text.splitlines()
    start, end = 0, len(lines)
    array = re.match(r"^\$\.(rules|markdowns)\[(\d+)\](.*)$", path)
    rest = path.removeprefix("$")
    if array:
        heads = [number for number, line in enumerate(lines) if re.match(rf"^\s*\[\[\s*{array[1]}\s*\]\]", line)]
        if int(array[2]) >= len(heads):
            return None
        start = heads[int(array[2])]
        end = next((number for number in heads if number > start), end)
        rest = array[3]
    keys = [key for key in re.split(r"[.\[\]]+", rest) if key and not key.isdigit() and key != "..."]
    # The innermost key that begins a line: an inline table may have the rest on the same line.
    for key in reversed(keys):
        wanted = re.compile(
            rf"^\s*(\[[\w.]*\b{re.escape(key)}\]|\"?{re.escape(key)}\"?\s*[=.]|.*[{{,]\s*{re.escape(key)}\s*=)"
        )
        for number in range(start, end):
            if wanted.match(lines[number]):
                return number + 1
    return start + 1 if array else None
