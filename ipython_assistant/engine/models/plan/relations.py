"""How the things a question names stand to one another: what is left out, and what a number is said of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan import english

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.plan.mentions import Mention, Mentions
    from ipython_assistant.engine.models.plan.table_profiles import Column

COMPARED_BY: Final = {
    "comparison more": ">", "comparison less": "<", "comparison least": ">=", "comparison most": "<=",
}  # fmt: skip
"""What each term of comparison is in a plan."""
MAX_LISTED: Final = 1000
"""The largest number that may be so many rows, bars or groups."""
_NEGATION: Final = re.compile(rf"\b(?:{english.TERMS['not']})\b")
_CLAUSES: Final = re.compile(
    r"[.;:!?\n]|\bonly\b|\bfor\b|\bbut\b(?! not| no)|,(?! *(?:and|or|except|excluding|without|not)\b)"
)
_IS: Final = re.compile(r"\s*(?:is|are|was|equals?|of|=|==|not|no|:)*\s*")
_AGED: Final = re.compile(r"\b(?:older|younger|aged?|old)\b")
_NEAR: Final = 5
"""Words between a column and the number that it is compared with."""


def is_excluded(mentions: Mentions, at: int) -> bool:
    """Whether a word such as `excluding` stands before a place of the question, in the same clause."""
    return _NEGATION.search(_CLAUSES.split(mentions.prompt.lower()[:at])[-1]) is not None


def counts_in(mentions: Mentions) -> list[int]:
    """Whole numbers that are compared with nothing: so many rows, groups or bars."""
    found = []
    for one in mentions.of("number"):
        before = [other for other in mentions.found if other.end <= one.start and other.kind != "glue"]
        free = not before or (before[-1].kind != "column" and before[-1].term not in {*COMPARED_BY, "between"})
        number = one.numbers[0]
        if free and number == int(number) and 0 < number < MAX_LISTED:
            found.append(int(number))
    return list(dict.fromkeys(found))


def bound_numbers(mentions: Mentions, columns: Sequence[Column]) -> dict[Mention, tuple[str, ...]]:
    """The columns that each compared number may be said of.

    In `cost over 100` it is the cost, in `more than 5 doses` the doses; `patients over 65` have an age. A number that
    nothing compares is not among them.
    """
    numeric = {column.name for column in columns if column.numeric}
    ages = tuple(name for name in numeric if "age" in english.words_of(name))
    found: dict[Mention, tuple[str, ...]] = {}
    told = [one for one in mentions.found if one.kind != "glue" or one.text.lower() in english.PERSONS]
    text = mentions.prompt.lower()
    for at, one in enumerate(told):
        before = [other for other in told[max(at - 4, 0) : at] if other.term not in {"not", "or", "between"}][::-1]
        compared = bool(before) and before[0].term in COMPARED_BY
        rest = [other for other in before if other.term not in COMPARED_BY and other.kind != "number"]
        own = tuple(name for name in rest[0].columns if name in numeric) if rest else ()
        between = text[rest[0].end : one.start] if rest else ""
        if one.kind != "number" or not (compared or (own and _IS.fullmatch(between)) or "between" in mentions.terms):
            continue
        following = told[at + 1] if at + 1 < len(told) else None
        after = tuple(name for name in following.columns if name in numeric) if following else ()
        if own and len(between.split()) <= _NEAR:
            found[one] = own
        elif after and following and not text[one.end : following.start].strip():
            found[one] = after
        elif compared:
            persons = bool(rest) and rest[0].text.lower() in english.PERSONS
            aged = persons or not own or _AGED.search(text[max(one.start - 20, 0) : one.end + 12])
            found[one] = ages if ages and aged else own or tuple(numeric)
    return found


def axes_of(mentions: Mentions, numbers: Sequence[str]) -> tuple[list[str], list[str]]:
    """What may stand across and what up in a scatter chart: of two columns the first goes up, unless it is said."""
    order = list(dict.fromkeys(name for one in mentions.of("column") for name in one.columns if name in numbers))
    if len(order) != 2:  # noqa: PLR2004 two axes
        return [*numbers], [*numbers]
    turned = re.search(
        r"\b(?:on|as) (?:the )?x\b.*\b(?:on|as) (?:the )?y\b|\bx ?= ?.*\by ?= ?", mentions.prompt.lower()
    )
    y, x = reversed(order) if turned else order
    return [x], [y]


def calculates(mentions: Mentions) -> bool:
    """Whether the question may ask for a calculated column."""
    written = mentions.prompt
    for one in mentions.of("column", "value", "file", "table"):
        written = written[: one.start] + "_" * (one.end - one.start) + written[one.end :]
    written = re.sub(r"\d+[-/]\d+([-/]\d+)?|\w+/\w+/\w+|->|=>", " ", written)
    if {"product", "minus", "plus", "days between"} & mentions.terms:
        return True
    formula = re.search(r"[=/*×÷+]|\s-\s|divided by", written.lower())
    return bool(formula) and len(mentions.of("column")) > 1
