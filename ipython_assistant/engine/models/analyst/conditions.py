"""Phrases that say which rows count: values, years, dates and comparisons. Part of the grammar in `phrases`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import times
from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.lexing import plain_words, words
from ipython_assistant.engine.models.analyst.mentions import Number, ValueMention
from ipython_assistant.engine.models.analyst.periods import of_unit, only_time
from ipython_assistant.engine.models.analyst.plan import (
    AnyOf,
    Between,
    Compare,
    Condition,
    Having,
    How,
    Measure,
    OneOf,
    Sign,
)
from ipython_assistant.engine.models.analyst.superlatives import group_by
from ipython_assistant.engine.models.analyst.tables import Column, Kind, Unit
from ipython_assistant.engine.models.analyst.texts import LEAD, blank, containing
from ipython_assistant.engine.models.markdown import bold, listed, quoted

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft

_JOINTS: Final = frozenset({"and", "or", ",", "&"})


def valued(clause: Clause, at: int, draft: Draft) -> int:
    """`for Arvessa North`, `where disease is LF or Oncho`, `except district A`, `Arvessa North district`."""
    unless = clause.phrase(at, known.EXCEPT)
    if clause.word(at) in {"leave", "leaving"} and isinstance(clause.at(at + 1), ValueMention):  # "leave Harbour out"
        unless = (clause.word(at),)
    by = clause.word(at) == "by" and isinstance(clause.at(at + 1), ValueMention)  # "visits by women"
    start = at + 1 if by else clause.past(at + len(unless), LEAD | (known.ROW_NOUNS if unless else frozenset()))
    owner = clause.column(start)
    first = clause.past(start + 1, known.TIES) if owner else start
    if owner and not unless:  # "where disease is not LF"
        unless = clause.phrase(first, known.EXCEPT)
        first = clause.past(first + len(unless), known.TIES | {"a", "an"})
    mention = clause.at(first)
    if owner and not (isinstance(mention, ValueMention) and _column(mention, owner.choices)):
        return at
    if not isinstance(mention, ValueMention) or (mention.column_too and start == at):
        return at
    after = clause.column(first + 1)
    column = _column(mention, owner.choices if owner else ()) or _column(mention, after.choices if after else ())
    if column is None:
        column = mention.choices[0][0]
        if len(mention.choices) > 1:
            names = listed([bold(choice.name) for choice, _ in mention.choices])
            draft.problem(f"{_written(mention)} is a value of {names}: say which column is meant.")
    values = list(_values(mention, column))
    end = _past_column(clause, first + 1, column)
    while (following := _another(clause, end, column)) is not None:
        draft.versus |= any(clause.word(index) in known.VERSUS for index in range(end, following[0]))
        end, more = following
        values += [value for value in more if value not in values]
    if unless in {("leave",), ("leaving",)}:
        if clause.word(end) != "out":
            return at
        end += 1
    draft.require(OneOf(column, tuple(values), negated=bool(unless)))
    only = end + 1 if clause.rows(end) and clause.word(end + 1) == "only" else end  # "female patients only"
    return clause.past(only, {"only"})


def spelt(clause: Clause, at: int, draft: Draft) -> int:
    """`…, however it is spelt`: right after a value, which is taken in upper and lower case alike."""
    start = clause.past(at, {","})
    phrase = clause.phrase(start, _HOWEVER)
    before = draft.where[-1] if phrase and draft.where and draft.where_end in {at, at - 1} else None
    if not isinstance(before, OneOf) or before.negated:
        return at
    draft.note(f"Taken as meant: {listed([quoted(value) for value in before.values])}.")
    return start + len(phrase)


_HOWEVER: Final = tuple(
    (*how, verb)
    for how in (
        ("however", "it", "is"),
        ("however", "it", "was"),
        ("however", "they", "are"),
        ("however",),
        ("however", "it's"),
    )
    for verb in ("spelt", "spelled", "written", "capitalised", "capitalized")
)


def _column(mention: ValueMention, wanted: tuple[Column, ...]) -> Column | None:
    """The only column of the value, or the only one that was named beside it."""
    found = [column for column, _ in mention.choices if not wanted or column in wanted]
    return found[0] if len(found) == 1 and (wanted or len(mention.choices) == 1) else None


def _values(mention: ValueMention, column: Column) -> tuple[str, ...]:
    return next((values for choice, values in mention.choices if choice is column), ())


def _written(mention: ValueMention) -> str:
    return quoted(" ".join(token.text for token in mention.tokens))


def _past_column(clause: Clause, at: int, column: Column) -> int:
    """After a value, the name of its own column says nothing new."""
    mention = clause.column(at)
    return at + 1 if mention and mention.choices == (column,) else at


def _another(clause: Clause, at: int, column: Column) -> tuple[int, tuple[str, ...]] | None:
    """`or Oncho`: one more value of the same column."""
    start = clause.past(at, _JOINTS | known.VERSUS)
    first = _past_column(clause, clause.past(start, {"the", "in", "for"}), column) if start > at else at
    mention = clause.at(first)
    if start == at or not isinstance(mention, ValueMention) or not _values(mention, column):
        return None
    return _past_column(clause, first + 1, column), _values(mention, column)


def compared(clause: Clause, at: int, draft: Draft) -> int:
    """`coverage under 65%`, `at least 1,000 treated`, `coverage between 60 and 80`, `coverage over 50 and under 80`."""
    start = _to_sign(clause, at, LEAD)
    mention = clause.column(start)
    if mention is None:
        return _bound_first(clause, at, start, draft)
    sign_at = _to_sign(
        clause, start + 1, known.TIES | {"has", "have", "had", "fell", "dropped", "falls", "drops", "rose"}
    )
    if not _measured(mention.choices) or (sign_at == start + 1 and _speaks_of_years(clause, sign_at, draft)):
        return at
    between = _between(clause, sign_at, mention.choices[0], draft)
    if between:
        end, low, high = between
        draft.require(Between(draft.column(mention), low, high))
        return end
    bound = _bound(clause, sign_at) or _or_more(clause, sign_at, mention.choices[0])
    bound = bound or _equal(clause, sign_at, mention.choices[0])
    if bound is None:
        return at
    column = draft.column(mention)
    bound = replace(bound, end=_past_unit(clause, bound.end, column))
    if how := known.HOWS.get(clause.word(clause.back(start - 1, {"the", "of"}))):
        return _of_groups(draft, Measure(column, how), bound)
    end = _require(draft, column, bound)
    joint = clause.past(end, {"and", ",", "but"})
    if joint > end and (second := _bound(clause, joint)) and clause.column(second.end) is None:
        end = _require(draft, column, second)
    return end


def _speaks_of_years(clause: Clause, at: int, draft: Draft) -> bool:
    """`Cases between 2018 and 2020` are those of these years, where the table has them; `from … to`, `up to` too."""
    word = clause.word(at)
    year = times.year_at(clause, at + 2 if word == "up" else at + 1)
    columns = [column for column in draft.table.columns if column.in_time and column.low is not None]
    within = any(year is not None and (column.low or 0) <= year <= (column.high or 0) for column in columns)
    return within and word in {"between", "from", "up"}


def _of_groups(draft: Draft, measure: Measure, bound: _Bound) -> int:
    """`a mean coverage over 80` is said of groups: the way to take the column was read just before."""
    if measure.how in draft.hows and not draft.hows_used:
        draft.hows.remove(measure.how)
    if measure.column:
        bound = replace(bound, number=_on_scale(draft, measure.column, bound.number, percent=bound.percent))
    draft.having.append(Having(measure, bound.sign, bound.number))
    return bound.end


def _to_sign(clause: Clause, at: int, ties: frozenset[str]) -> int:
    """Past small words, but not past the "at" of "at least"."""
    while not clause.phrase(at, tuple(known.COMPARISONS)) and clause.word(at) and clause.word(at) in ties - {"from"}:
        at += 1
    return at


def _bound_first(clause: Clause, at: int, start: int, draft: Draft) -> int:
    bound = _bound(clause, start)
    if bound is None or _speaks_of_years(clause, start, draft):
        return at
    noun = clause.past(bound.end, {"of", "the", "in"})
    if clause.rows(noun):
        return _of_groups(draft, Measure(None, How.COUNT), replace(bound, end=noun + 1))
    mention = clause.column(noun)
    if mention is None or not _measured(mention.choices):
        return at
    _require(draft, draft.column(mention), bound)
    return clause.past(bound.end, {"of", "the", "in"}) + 1


def _measured(columns: tuple[Column, ...]) -> bool:
    return all(column.kind in {Kind.NUMBER, Kind.YEAR} for column in columns)


@dataclass(frozen=True, slots=True)
class _Bound:
    """`under 65%`: the index after it, the comparison, the number, as written, and whether it was called percent."""

    end: int
    sign: Sign
    number: float
    written: str
    percent: bool = False


def _bound(clause: Clause, at: int) -> _Bound | None:
    phrase = clause.phrase(at, tuple(known.COMPARISONS))
    number = clause.at(at + len(phrase))
    value = number.value if isinstance(number, Number) else known.NUMBER_WORDS.get(clause.word(at + len(phrase)))
    if not phrase or number is None or value is None:
        return None
    end = at + len(phrase) + 1
    percent = clause.word(end) == "percent"
    return _Bound(end + percent, known.COMPARISONS[phrase], value, number.tokens[0].text, percent)


def _or_more(clause: Clause, at: int, column: Column | None) -> _Bound | None:
    """`45 minutes or longer`, `80 or older`, `90% or more`, `50+`; of a column, in its own unit."""
    number = clause.at(at)
    if not isinstance(number, Number):
        return None
    percent = clause.word(at + 1) == "percent"
    end = _past_unit(clause, at + 1 + percent, column) if column else clause.past(at + 1 + percent, _OF_AGE)
    plus = clause.at(end) if clause.word(end) == "+" else None
    if plus and plus.tokens[0].start == number.tokens[0].end and not isinstance(clause.at(end + 1), Number):
        return _Bound(end + 1, Sign.AT_LEAST, number.value, number.tokens[0].text, percent)
    sign = _OR_MORE.get(clause.word(end + 1)) if clause.word(end) in {"or", "and"} else None
    further = clause.word(end + 2) in {"than", "or"} or isinstance(clause.at(end + 2), Number)
    return None if sign is None or further else _Bound(end + 2, sign, number.value, number.tokens[0].text, percent)


_OR_MORE: Final = {
    **dict.fromkeys(("more", "longer", "older", "higher", "above", "over", "greater", "up", "upwards"), Sign.AT_LEAST),
    **dict.fromkeys(("less", "fewer", "younger", "shorter", "lower", "below", "under"), Sign.AT_MOST),
}


def reached(clause: Clause, at: int, draft: Draft) -> int:
    """`reached 90% MMR coverage or more in at least two months`; without “in so many”, it is not said how often."""
    start = clause.past(at, {"that", "which", "who", "have", "has", "had"})
    number = clause.at(start + 1)
    if clause.word(start) not in {"reached", "reach", "reaching", "achieved"} or not isinstance(number, Number):
        return at
    percent = clause.word(start + 2) == "percent"
    value_at = clause.past(start + 2 + percent, {"of", "the"})
    value = clause.at(value_at)
    told = isinstance(value, ValueMention) and not clause.column(value_at)
    mention = clause.column(value_at + told)
    often = any(
        clause.word(index) in {"in", "on"} and _bound(clause, index + 1) for index in range(at, len(clause.items))
    )
    if mention is None or not _measured(mention.choices) or not often:
        return at
    if isinstance(value, ValueMention) and told:
        if len(value.choices) > 1:
            return at
        draft.require(OneOf(*value.choices[0]))
    end = value_at + told + 1
    end += 2 if clause.phrase(end, (("or", "more"), ("or", "higher"), ("or", "above"))) else 0
    bound = _Bound(end, Sign.AT_LEAST, number.value, number.tokens[0].text, percent)
    return _require(draft, draft.column(mention), bound)


def in_so_many(clause: Clause, at: int, draft: Draft) -> int:
    """`districts … in at least two months`: groups with so many different months among the rows that fit."""
    time = clause.column(at + 2)
    timed = clause.word(at + 2) in _ANY or (time is not None and all(column.in_time for column in time.choices))
    if clause.phrase(at, (("in", "any"), ("on", "any"))) and timed and draft.where and not draft.hows:
        draft.any_time = True
        return at + 3
    bound = _bound(clause, at + 1) if clause.word(at) in {"in", "on"} else None
    unit = _SO_MANY.get(clause.word(bound.end)) or _SO_MANY.get(_plural(clause, bound.end)) if bound else None
    column = only_time(draft, unit) if unit else None
    if bound is None or unit is None or column is None or not draft.where:
        return at
    draft.having.append(Having(Measure(of_unit(column, unit), How.DISTINCT), bound.sign, bound.number))
    draft.so_many = True
    return bound.end + 1


def _plural(clause: Clause, at: int) -> str:
    mention = clause.column(at)
    return mention.tokens[-1].norm if mention and len(mention.tokens) == 1 else ""


_ANY: Final = frozenset({"month", "week", "day", "year"})
_SO_MANY: Final = {"months": Unit.MONTH, "days": Unit.DAY, "weeks": Unit.WEEK, "years": Unit.YEAR}


def _equal(clause: Clause, at: int, column: Column) -> _Bound | None:
    """`round 2`: one of the few whole numbers that a column has."""
    number = clause.at(at)
    told = clause.word(at - 1) in {"of", "is", "equals", "was", "are"} and clause.column(at - 2) is not None
    if not isinstance(number, Number) or column.kind is not Kind.NUMBER or not (column.groups or told):
        return None
    if clause.word(at + 1).isalnum() and clause.word(at + 1) not in known.KNOWN:
        return None
    there = column.low is not None and column.high is not None and column.low <= number.value <= column.high
    return _Bound(at + 1, Sign.EQUAL, number.value, number.tokens[0].text) if there else None


def _require(draft: Draft, column: Column, bound: _Bound) -> int:
    bound = replace(bound, number=_on_scale(draft, column, bound.number, percent=bound.percent))
    if column.whole and _THREE_DECIMALS.fullmatch(bound.written):
        draft.problem(f"{quoted(bound.written)} could be {bound.number:g} or {bound.written.replace('.', '')}.")
    draft.require(Compare(column, bound.sign, bound.number))
    return bound.end


def _past_unit(clause: Clause, at: int, column: Column) -> int:
    """After a number, the unit that the column's name gives says nothing new."""
    units = set(plain_words(column.name)) & _UNITS | (
        {"years", "year", "old"} if "age" in plain_words(column.name) else set()
    )
    units |= {name for unit in units for name in _UNIT_NAMES.get(unit, ())}
    forms = units | {f"{unit}s" for unit in units} | {unit.removesuffix("s") for unit in units}
    return clause.past(at, forms)


_UNITS: Final = words(
    "days day hours hour minutes min seconds years year months weeks mm cm m",
    "km kg g mg ml l usd eur gbp dollars euros kmh ha kwh c f people",
)
_UNIT_NAMES: Final = {
    "min": ("minutes", "minute"), "h": ("hours", "hour"), "eur": ("euros", "euro", "€"), "usd": ("dollars", "dollar"),
    "c": ("degrees", "celsius"), "kg": ("kilos", "kilograms"), "km": ("kilometres", "kilometers"),
}  # fmt: skip
_THREE_DECIMALS: Final = re.compile(r"[1-9]\d{0,2}\.\d{3}")


def _between(clause: Clause, at: int, column: Column, draft: Draft) -> tuple[int, float, float] | None:
    """`between 60 and 80%`, `from 60 to 80`."""
    joints = {"between": {"and"}, "from": {"to"}}.get(clause.word(at), set())
    low, high = clause.at(at + 1), clause.at(at + 3)
    if clause.word(at + 2) not in joints or not isinstance(low, Number) or not isinstance(high, Number):
        return None
    percent = clause.word(at + 4) == "percent"
    if low.value > high.value:
        draft.problem(f"No number is between {low.value:g} and {high.value:g}.")
    first, last = (_on_scale(draft, column, number.value, percent=percent) for number in (low, high))
    return at + 4 + percent, first, last


def _on_scale(draft: Draft, column: Column, number: float, *, percent: bool) -> float:
    """A bound on the scale of its column: 65 % and 0.65 are the same share; a bare 65 beside fractions is refused."""
    fractions = (
        column.high is not None and column.low is not None and -1 <= column.low <= column.high <= _LARGEST_FRACTION
    )
    shares = percent or (column.share and abs(number) > _LARGEST_FRACTION)
    if not fractions or not shares or "percent" in column.conversion or "percent" in plain_words(column.name):
        return number
    if percent:
        draft.note(f"{bold(column.name)} holds fractions: {number:g} % is read as {number / 100:g}.")
        return number / 100
    draft.problem(f"{bold(column.name)} goes from {column.low:g} to {column.high:g}: write the number on that scale.")
    return number


_LARGEST_FRACTION: Final = 1.5
"""Shares written as fractions may exceed 1 (more people treated than targeted), but hardly by more."""
_AVERAGES: Final = {"average": How.MEAN, "mean": How.MEAN, "median": How.MEDIAN}
_BESIDE: Final = {
    ("above",): Sign.MORE, ("over",): Sign.MORE, ("below",): Sign.LESS, ("under",): Sign.LESS,
    ("more", "than"): Sign.MORE, ("less", "than"): Sign.LESS, ("greater", "than"): Sign.MORE,
    ("higher", "than"): Sign.MORE, ("lower", "than"): Sign.LESS, (">",): Sign.MORE, ("<",): Sign.LESS,
}  # fmt: skip
_FLAG_VERBS: Final = frozenset(["is", "are", "was", "were", "been", "be"])
_TRUE: Final = frozenset(["yes", "true", "y"])


def flagged(clause: Clause, at: int, draft: Draft) -> int:
    """`orders that were returned`, `is not active`, `returned orders`: a column of yes and no as a condition."""
    start = clause.past(at, known.IDLE - {"the", "a", "an"})
    having = clause.phrase(start, _HAVE) or clause.phrase(at, _HAVE)
    if having:
        return _had(clause, (start if clause.phrase(start, _HAVE) else at) + len(having), draft, having) or at
    verb = start > at and clause.word(start - 1) in _FLAG_VERBS
    negated = clause.word(start) == "not"
    mention = clause.column(start + negated)
    if mention is None or len(mention.choices) > 1 or mention.choices[0].kind is not Kind.BOOL:
        return at
    end = start + negated + 1
    ones = clause.word(end) == "ones"  # "just the hospitalised ones"
    adjective = ones or clause.rows(end) or clause.word(end) in known.YOUNG
    if not (verb or adjective) or isinstance(clause.at(end), ValueMention):
        return at
    column = draft.column(mention)
    true = tuple(value for value in column.values if value.casefold() in _TRUE)
    draft.require(OneOf(column, true if not negated else tuple(value for value in column.values if value not in true)))
    return end + ones


def with_and_without(clause: Clause, at: int, draft: Draft) -> int:
    """`with and without a hospital`, `with a hospital against districts without one`: one group each."""
    start = at + clause.rows(at)
    if clause.word(start) != "with":
        return at
    both = clause.word(start + 1) in _AGAINST and clause.word(start + 2) == "without"
    column_at = clause.past(start + (3 if both else 1), {"a", "an", "the", "any"})
    mention = clause.column(column_at)
    if mention is None or len(mention.choices) > 1 or mention.choices[0].kind is not Kind.BOOL:
        if both:
            draft.problem("“With and without” is read of a column of yes and no: ask for each of the two on its own.")
        return at
    end = column_at + 1
    if not both:
        other = clause.past(end, {","})
        noun = other + 1 + (clause.rows(other + 1) or clause.word(other + 1) in {"those", "districts"})
        again_at = clause.past(noun + 1, {"a", "an", "the", "any"})
        again = clause.column(again_at)
        same = again is not None and again.choices == mention.choices
        if clause.word(other) not in _AGAINST or clause.word(noun) != "without":
            return at
        if not (same or clause.word(again_at) in {"one", "it"}):
            return at
        end = again_at + 1
    group_by(draft, draft.keys, draft.column(mention))
    return end


_AGAINST: Final = frozenset({"and", "vs", "versus", "against"})
_HAVE: Final = (
    ("have",), ("has",), ("with",), ("having",), ("don't", "have"), ("do", "not", "have"), ("doesn't", "have"),
    ("does", "not", "have"),
    ("without",), ("with", "no"), ("and", "no"), ("have", "no"), ("has", "no"), ("lacking",),
)  # fmt: skip


def _had(clause: Clause, at: int, draft: Draft, having: tuple[str, ...]) -> int:
    """`that don't have a hospital`: a column called `has hospital`."""
    column_at = clause.past(at, {"a", "an", "the", "any"})
    mention = clause.column(column_at)
    if mention is None or len(mention.choices) > 1 or mention.choices[0].kind is not Kind.BOOL:
        return 0
    follows = clause.at(column_at + 1)
    if plain_words(mention.choices[0].name)[:1] not in {("has",), ("have",), ("with",)} or isinstance(
        follows, ValueMention
    ):
        return 0
    true = tuple(value for value in mention.choices[0].values if value.casefold() in _TRUE)
    negated = not {"don't", "not", "doesn't", "without", "no", "lacking"}.isdisjoint(having)
    others = tuple(value for value in mention.choices[0].values if value not in true)
    draft.require(OneOf(draft.column(mention), others if negated else true))
    return column_at + 1


_AGES: Final = {("older", "than"): Sign.MORE, ("younger", "than"): Sign.LESS, ("aged", "over"): Sign.MORE,
                ("aged", "under"): Sign.LESS, ("aged", "at", "least"): Sign.AT_LEAST}  # fmt: skip


def aged(clause: Clause, at: int, draft: Draft) -> int:
    """`older than 65`, said of the one column of ages."""
    ages = [
        column for column in draft.table.columns if "age" in plain_words(column.name) and column.kind is Kind.NUMBER
    ]
    if len(ages) != 1:
        return at
    bound = _of_persons(clause, at)
    if bound and clause.column(bound.end) is None and (clause.persons(bound.end) or not clause.rows(bound.end)):
        draft.require(Compare(ages[0], bound.sign, bound.number))
        draft.note(f"{quoted(bound.written)} is compared with {bold(ages[0].name)}.")
        return clause.past(bound.end, _OF_AGE | {")"} | (known.PERSONS if clause.of_persons else frozenset()))
    start = clause.past(at, known.IDLE)
    aged_at = start + (clause.word(start) == "aged")
    if aged_at > start and (between := _ages_between(clause, aged_at)):
        draft.require(Between(ages[0], *between[:2]))
        return clause.past(between[2], _OF_AGE)
    phrase = clause.phrase(start, tuple(_AGES))
    number = clause.at(start + len(phrase))
    if not phrase or not isinstance(number, Number):
        return at
    draft.require(Compare(ages[0], _AGES[phrase], number.value))
    return clause.past(start + len(phrase) + 1, _OF_AGE)


def _of_persons(clause: Clause, at: int) -> _Bound | None:
    """`patients over 65`, `children under ten`, `by minors (under 18)`, `people of 80 or older`, `50+`."""
    named = clause.past(at, {"by", "from", "in", "among", "of"})
    if clause.word(named) in known.YOUNG | known.PERSONS:
        start = clause.past(named + 1, {"(", "of", "aged", "who", "are", "were"})
        return _bound(clause, start) or _or_more(clause, start, None)
    before = clause.word(at - 1) in known.PERSONS or isinstance(clause.at(at - 1), ValueMention)
    start = clause.past(at, {"aged", "&", "and", "who", "are"})
    after = _or_more(clause, start, None)
    older = after and clause.word(after.end - 1) in {"older", "younger"}
    if after and (older or (clause.of_persons and (before or clause.word(start - 1) == "aged"))):
        return after
    return _bound(clause, at) if before else None


_OF_AGE: Final = frozenset(["years", "year", "old", "of", "age"])


def _ages_between(clause: Clause, at: int) -> tuple[float, float, int] | None:
    """`between 18 and 40`, `18 to 40`, `18-40`, after `aged`."""
    first = clause.past(at, {"between", "from"})
    low, high = clause.at(first), clause.at(first + 2)
    if isinstance(low, Number) and isinstance(high, Number) and clause.word(first + 1) in {"and", "to", "-", "–"}:
        return low.value, high.value, first + 3
    return None


def beside_average(clause: Clause, at: int, draft: Draft) -> int:
    """`coverage above the average`, `with below-average coverage`: the mean of all rows of the table."""
    start = clause.past(at, LEAD)
    mention = clause.column(start)
    sign_at = clause.past(start + 1, {"is", "are", "was", "were"}) if mention else start
    phrase = clause.phrase(sign_at, tuple(_BESIDE))
    word_at = clause.past(sign_at + len(phrase), {"the", "-", "overall", "its"})
    how = _AVERAGES.get(clause.word(word_at))
    if not phrase or how is None:
        return at
    end = word_at + 1
    if mention is None:
        mention = clause.column(end)
        end += 1
    elif (again := clause.column(end)) and again.choices == mention.choices:
        end += 1
    if mention is None or len(mention.choices) > 1 or mention.choices[0].kind is not Kind.NUMBER:
        return at
    draft.require(Compare(draft.column(mention), _BESIDE[phrase], how))
    return end


def alternative(clause: Clause, at: int, draft: Draft) -> int:
    """`coverage under 65 or over 85`, `disease is LF or coverage is missing`: right after a condition."""
    if clause.word(at) != "or" or not draft.where or draft.where_end != at:
        return at
    before = draft.where[-1]
    bound = _bound(clause, at + 1)
    if bound and isinstance(before, Compare) and clause.column(bound.end) is None:
        end = _require(draft, before.column, bound)
    else:
        kinds = (containing, blank, compared, valued)
        end = next((end for kind in kinds if (end := kind(clause, at + 1, draft)) > at + 1), at)
    if end == at or draft.where[-1] is before:
        return at
    other = draft.where.pop()
    draft.where.pop()
    if other in draft.leading:
        draft.leading.remove(other)
    joint = clause.word(clause.back(draft.where_start - 1, {"the", "where"}))
    if draft.where and joint == "and":
        draft.problem("“And” and “or” are mixed: ask for one of them at a time.")
    if isinstance(before, OneOf) and isinstance(other, OneOf) and before.column != other.column:
        draft.problem("“Or” joins values of two columns: say “where … is … or … is …”, or ask for each on its own.")
    parts = before.conditions if isinstance(before, AnyOf) else (before,)
    together: Condition = AnyOf((*parts, other))
    draft.where.append(together)
    draft.leading[:] = [together if one is before else one for one in draft.leading]
    return end
