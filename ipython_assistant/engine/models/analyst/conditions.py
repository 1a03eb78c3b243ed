"""Phrases that say which rows count: values, years, dates and comparisons. Part of the grammar in `phrases`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.lexing import plain_words
from ipython_assistant.engine.models.analyst.markdown import bold, listed, quoted
from ipython_assistant.engine.models.analyst.mentions import Day, Number, ValueMention
from ipython_assistant.engine.models.analyst.plan import Between, Compare, InYears, OneOf, Sign
from ipython_assistant.engine.models.analyst.tables import Column, Kind

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft

_JOINTS: Final = frozenset({"and", "or", ",", "&"})
_LEAD: Final = known.TIES | {"the", "that"}
_YEARS: Final = range(1800, 2101)


def valued(clause: Clause, at: int, draft: Draft) -> int:
    """`for Arvessa North`, `where disease is LF or Oncho`, `except district A`, `Arvessa North district`."""
    unless = clause.phrase(at, known.EXCEPT)
    start = clause.past(at + len(unless), _LEAD)
    owner = clause.column(start)
    first = clause.past(start + 1, known.TIES) if owner else start
    if owner and not unless:  # "where disease is not LF"
        unless = clause.phrase(first, known.EXCEPT)
        first = clause.past(first + len(unless), known.TIES)
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
    draft.require(OneOf(column, tuple(values), negated=bool(unless)))
    return clause.past(end, {"only"})


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
    start = _to_sign(clause, at, _LEAD)
    mention = clause.column(start)
    if mention is None:
        return _bound_first(clause, at, start, draft)
    sign_at = _to_sign(clause, start + 1, known.TIES | {"has", "have", "had"})
    if not _measured(mention.choices) or (sign_at == start + 1 and _speaks_of_years(clause, sign_at, draft)):
        return at
    between = _between(clause, sign_at, mention.choices[0], draft)
    if between:
        end, low, high = between
        draft.require(Between(draft.column(mention), low, high))
        return end
    bound = _bound(clause, sign_at) or _equal(clause, sign_at, mention.choices[0])
    if bound is None:
        return at
    if clause.word(clause.back(start - 1, {"the", "of"})) in known.HOWS:
        draft.problem("I compare single rows, not a mean or a total per group.")
    column = draft.column(mention)
    end = _require(draft, column, bound)
    joint = clause.past(end, {"and", ",", "but"})
    if joint > end and (second := _bound(clause, joint)) and clause.column(second.end) is None:
        end = _require(draft, column, second)
    return end


def _speaks_of_years(clause: Clause, at: int, draft: Draft) -> bool:
    """`Cases between 2018 and 2020` are those of these years, where the table has them; `from … to`, `up to` too."""
    words = clause.word(at)
    year = _year(clause, at + 2 if words == "up" else at + 1)
    times = [column for column in draft.table.columns if column.in_time and column.low is not None]
    within = any(year is not None and (column.low or 0) <= year <= (column.high or 0) for column in times)
    return within and words in {"between", "from", "up"}


def _to_sign(clause: Clause, at: int, ties: frozenset[str]) -> int:
    """Past small words, but not past the "at" of "at least"."""
    while not clause.phrase(at, tuple(known.COMPARISONS)) and clause.word(at) and clause.word(at) in ties - {"from"}:
        at += 1
    return at


def _bound_first(clause: Clause, at: int, start: int, draft: Draft) -> int:
    bound = _bound(clause, start)
    if bound is None or _speaks_of_years(clause, start, draft):
        return at
    mention = clause.column(clause.past(bound.end, {"of", "the", "in"}))
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
    if not phrase or not isinstance(number, Number):
        return None
    end = at + len(phrase) + 1
    percent = clause.word(end) == "percent"
    return _Bound(end + percent, known.COMPARISONS[phrase], number.value, number.tokens[0].text, percent)


def _equal(clause: Clause, at: int, column: Column) -> _Bound | None:
    """`round 2`: one of the few whole numbers that a column has."""
    number = clause.at(at)
    if not isinstance(number, Number) or column.kind is not Kind.NUMBER or not column.groups:
        return None
    there = column.low is not None and column.high is not None and column.low <= number.value <= column.high
    return _Bound(at + 1, Sign.EQUAL, number.value, number.tokens[0].text) if there else None


def _require(draft: Draft, column: Column, bound: _Bound) -> int:
    _check_scale(draft, column, bound.number, percent=bound.percent)
    if column.whole and _THREE_DECIMALS.fullmatch(bound.written):
        draft.problem(f"{quoted(bound.written)} could be {bound.number:g} or {bound.written.replace('.', '')}.")
    draft.require(Compare(column, bound.sign, bound.number))
    return bound.end


_THREE_DECIMALS: Final = re.compile(r"[1-9]\d{0,2}\.\d{3}")


def _between(clause: Clause, at: int, column: Column, draft: Draft) -> tuple[int, float, float] | None:
    """`between 60 and 80%`, `from 60 to 80`."""
    joints = {"between": {"and"}, "from": {"to"}}.get(clause.word(at), set())
    low, high = clause.at(at + 1), clause.at(at + 3)
    if clause.word(at + 2) not in joints or not isinstance(low, Number) or not isinstance(high, Number):
        return None
    percent = clause.word(at + 4) == "percent"
    for number in (low, high):
        _check_scale(draft, column, number.value, percent=percent)
    if low.value > high.value:
        draft.problem(f"No number is between {low.value:g} and {high.value:g}.")
    return at + 4 + percent, low.value, high.value


def _check_scale(draft: Draft, column: Column, number: float, *, percent: bool) -> None:
    """65 % and 0.65 are the same share on two scales: comparing across them would be silently wrong."""
    fractions = (
        column.high is not None and column.low is not None and -1 <= column.low <= column.high <= _LARGEST_FRACTION
    )
    shares = percent or (column.share and abs(number) > _LARGEST_FRACTION)
    if fractions and shares and "percent" not in column.conversion and "percent" not in plain_words(column.name):
        draft.problem(
            f"{bold(column.name)} goes from {column.low:g} to {column.high:g}: write the number on that scale."
        )


_LARGEST_FRACTION: Final = 1.5
"""Shares written as fractions may exceed 1 (more people treated than targeted), but hardly by more."""


@dataclass(frozen=True, slots=True)
class _Years:
    """What stands before the first year: `except`, the column, `since`, `from`; the index of the year, and the year."""

    unless: tuple[str, ...]
    owner: Column | None
    since: tuple[str, ...]
    ranged: str
    at: int
    year: int


def in_years(clause: Clause, at: int, draft: Draft) -> int:
    """`in 2020`, `since 2018`, `from 2018 to 2020`, `2018-2020`, `before year 2020`, `except 2020`, `2020 and 2021`."""
    said = _years(clause, at)
    if said is None:
        return at
    column = said.owner or _time_column(draft, said.year, tied=said.at > at)
    if column is None:
        return at
    end = said.at + 1
    last = _range_end(clause, end, said.ranged)
    if said.since and not said.unless:
        draft.require(Compare(column, known.TIME_BOUNDS[said.since], said.year))
        return end
    if last is not None and not said.unless and not said.since:
        final = _year(clause, last) or said.year
        if final < said.year:
            draft.problem(f"No year is between {said.year} and {final}.")
        draft.require(Between(column, said.year, final))
        return last + 1
    if clause.word(end) in known.ONWARDS and not said.unless:
        draft.require(Compare(column, Sign.AT_LEAST, said.year))
        return end + 1
    if said.ranged or said.since:
        # "from 2020" is said of the rows of 2020 and of all since: either reading would be a guess
        words = said.ranged or " ".join(said.since)
        draft.problem(f"“{words} {said.year}” has two readings: write “in {said.year}” or “since {said.year}”.")
    years = {said.year}
    while (more := clause.past(end, _JOINTS)) > end and (following := _year(clause, more)) is not None:
        years.add(following)
        end = more + 1
    draft.require(InYears(column, tuple(sorted(years)), negated=bool(said.unless)))
    return clause.past(end, {"only"})


def _years(clause: Clause, at: int) -> _Years | None:
    """The way to the first year, if there is one."""
    unless = clause.phrase(at, known.EXCEPT)
    start = clause.past(at + len(unless), _YEAR_TIES if _may_be_of(clause, at) else _YEAR_TIES - {"of"})
    owner = _in_time(clause, start)
    if owner:
        start = clause.past(start + 1, known.TIES - {"from"})
    since = clause.phrase(start, tuple(known.TIME_BOUNDS))
    ranged = clause.word(start) if clause.word(start) in {"from", "between"} else ""
    first = start + len(since) + bool(ranged)
    if owner is None and (inner := _in_time(clause, first)):  # "since year 2018"
        owner, first = inner, first + 1
    year = _year(clause, first)
    return None if year is None else _Years(unless, owner, since, ranged, first, year)


def _in_time(clause: Clause, at: int) -> Column | None:
    """The column of years or dates that is named there, if it is certain which."""
    mention = clause.column(at)
    return mention.choices[0] if mention and len(mention.choices) == 1 and mention.choices[0].in_time else None


_YEAR_TIES: Final = frozenset(["for", "in", "of", "during", "within", "where", "when", "only", "the", "years"])


def _may_be_of(clause: Clause, at: int) -> bool:
    """`Rows of 2020` are those of a year; a `population of 2020` need not be."""
    return clause.column(clause.back(at - 1, {"the"})) is None


def _range_end(clause: Clause, at: int, ranged: str) -> int | None:
    """The index of the last year of a range, if one follows."""
    joints = {"and"} if ranged == "between" else known.RANGE_JOINTS - {"and"} | known.DASHES
    return at + 1 if clause.word(at) in joints and _year(clause, at + 1) is not None else None


def _year(clause: Clause, at: int) -> int | None:
    item = clause.at(at)
    if not isinstance(item, Number) or not isinstance(item.value, int) or clause.word(at + 1) == "percent":
        return None
    return item.value if item.value in _YEARS and len(item.tokens[0].text) == len("2020") else None


def _time_column(draft: Draft, year: int, *, tied: bool) -> Column | None:
    """The table's years or dates; a year that stands alone counts only if the table has it."""
    columns = [column for column in draft.table.columns if column.kind is Kind.YEAR]
    columns = columns or [column for column in draft.table.columns if column.kind is Kind.DATE]
    if not columns:
        return None
    if len(columns) > 1:
        names = listed([bold(column.name) for column in columns], "or")
        draft.problem(f"“{year}” could be a year of {names}: name the column.")
    low, high = columns[0].low, columns[0].high
    return columns[0] if tied or (low is not None and high is not None and low <= year <= high) else None


def on_dates(clause: Clause, at: int, draft: Draft) -> int:
    """`since 2020-03-01`, `from 2020-03-01 to 2020-06-30`, `on 2020-03-01`."""
    start = clause.past(at, {"the", "with", "where"})
    owner = _in_time(clause, start)
    owner = owner if owner and owner.kind is Kind.DATE else None
    if owner:
        start = clause.past(start + 1, {"is", "was"})
    since = clause.phrase(start, tuple(known.TIME_BOUNDS))
    ranged = clause.word(start) if clause.word(start) in {"from", "between", "on"} else ""
    first = clause.at(start + len(since) + bool(ranged))
    columns = [owner] if owner else [column for column in draft.table.columns if column.kind is Kind.DATE]
    if not isinstance(first, Day) or not columns or not (since or ranged):
        return at
    if len(columns) > 1:
        names = listed([bold(column.name) for column in columns], "or")
        draft.problem(f"{quoted(first.text)} could be a date of {names}: name the column.")
    end = start + len(since) + bool(ranged) + 1
    if since:
        draft.require(Compare(columns[0], known.TIME_BOUNDS[since], first.text))
        return end
    if ranged == "on":
        draft.require(Compare(columns[0], Sign.EQUAL, first.text))
        return end
    last = clause.at(end + 1)
    if clause.word(end) not in known.RANGE_JOINTS or not isinstance(last, Day):
        return at
    draft.require(Between(columns[0], first.text, last.text))
    return end + 2
