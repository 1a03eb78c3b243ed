"""Phrases that make groups of dates: `per month`, `weekly`, `by day of the week`. Part of the grammar in `phrases`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.mentions import ValueMention
from ipython_assistant.engine.models.analyst.superlatives import group_by
from ipython_assistant.engine.models.analyst.tables import AGAIN, MONTHS, WEEKDAYS, Column, Kind, Period, Unit
from ipython_assistant.engine.models.markdown import bold, listed

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft

_UNITS: Final[dict[tuple[str, ...], Unit]] = {
    ("day", "of", "the", "week"): Unit.WEEKDAY, ("day", "of", "week"): Unit.WEEKDAY, ("weekday",): Unit.WEEKDAY,
    ("weekdays",): Unit.WEEKDAY, ("week", "day"): Unit.WEEKDAY,
    ("month", "of", "the", "year"): Unit.MONTH_OF_YEAR, ("month", "of", "year"): Unit.MONTH_OF_YEAR,
    ("calendar", "month"): Unit.MONTH_OF_YEAR, ("hour", "of", "the", "day"): Unit.HOUR,
    ("hour", "of", "day"): Unit.HOUR,
    ("hour",): Unit.HOUR, ("day",): Unit.DAY, ("days",): Unit.DAY, ("calendar", "day"): Unit.DAY, ("week",): Unit.WEEK,
    ("weeks",): Unit.WEEK, ("calendar", "week"): Unit.WEEK, ("month",): Unit.MONTH, ("months",): Unit.MONTH,
    ("quarter",): Unit.QUARTER, ("quarters",): Unit.QUARTER, ("year",): Unit.YEAR, ("years",): Unit.YEAR,
    ("calendar", "year"): Unit.YEAR,
}  # fmt: skip
_ADVERBS: Final = {
    "daily": Unit.DAY, "weekly": Unit.WEEK, "monthly": Unit.MONTH, "quarterly": Unit.QUARTER, "yearly": Unit.YEAR,
    "annual": Unit.YEAR, "annually": Unit.YEAR,
}  # fmt: skip

ADVERBS: Final = frozenset(_ADVERBS)


def per_period(clause: Clause, at: int, draft: Draft) -> int:
    """`per month`, `by week of order date`, `monthly`, `on a daily basis`."""
    adverb = clause.past(at, {"on", "a"}) if clause.word(at) == "on" else at
    if (unit := _ADVERBS.get(clause.word(adverb))) is not None:
        end = adverb + 1 + (clause.word(adverb + 1) == "basis")
        averaged = clause.word(at - 1) in known.HOWS  # "average monthly rain": of the rows, or of monthly totals?
        draft.adverb |= averaged and end == adverb + 1 and adverb == at
        return _grouped(clause, end, draft, unit) or at
    if (
        stretch := {"mom": Unit.MONTH, "yoy": Unit.YEAR, "qoq": Unit.QUARTER, "wow": Unit.WEEK}.get(clause.word(at))
    ) is not None:
        return _grouped(clause, at + 1, draft, stretch) or at  # "month by month"
    per = clause.phrase(at, known.PER)
    first = clause.past(at + len(per), {"the", "each", "every"})
    phrase = clause.phrase(first, tuple(_UNITS))
    if not per or not phrase:
        return at
    last = _grouped(clause, first + len(phrase), draft, _UNITS[phrase])
    return more_keys(clause, last, draft) if last else at


_JOINTS: Final = frozenset({"and", ",", "&"})


def more_keys(clause: Clause, at: int, draft: Draft) -> int:
    """`and year`, `, month`, `per year`: further columns that make groups; numbers are more likely calculated with."""
    while (end := _one_more(clause, at, draft)) > at:
        at = end
    return at


def _one_more(clause: Clause, at: int, draft: Draft) -> int:
    start = clause.past(at, _JOINTS)
    per = clause.phrase(start, (("by",), ("per",)))
    column_at = clause.past(start + len(per), {"the", "each"})
    if start + len(per) == at:
        return at
    mention = clause.column(column_at)
    if mention is None:
        phrase = clause.phrase(column_at, tuple(_UNITS))
        return (_grouped(clause, column_at + len(phrase), draft, _UNITS[phrase]) or at) if phrase else at
    told = isinstance(clause.at(column_at + 1), ValueMention)  # "…, district Arvessa North"
    sided = clause.word(column_at + 1) in {"as", "in", "on", "across"} and clause.word(column_at + 2) in {
        "columns", "column", "rows", "top"
    }  # fmt: skip
    if told or sided or not all(column.groups and not column.calculable for column in mention.choices):
        return at
    group_by(draft, draft.keys, draft.column(mention))
    return column_at + 1


def _grouped(clause: Clause, end: int, draft: Draft, unit: Unit) -> int | None:
    """Group by the unit of the dates that are named next, or the only ones; None if there are none."""
    named_at = clause.past(end, {"of", "the"}) if clause.word(end) == "of" else end
    mention = clause.column(named_at) if named_at > end else None
    if mention and all(column.in_time for column in mention.choices):
        column, end = draft.column(mention), named_at + 1
    elif (found := only_time(draft, unit)) is not None:
        column = found
    else:
        return None
    key = of_unit(column, unit)
    if key not in draft.keys:
        draft.keys.append(key)
    return end


def only_time(draft: Draft, unit: Unit) -> Column | None:
    """The column whose dates make such stretches; several are a problem, to be named."""
    join = draft.table.join
    rows = join.left.columns if join else draft.table.columns
    times = [column for column in rows if column.kind is Kind.DATE]
    times = times or [column for column in draft.table.columns if column.kind is Kind.DATE]
    if unit is Unit.YEAR:
        times = [column for column in rows if column.kind is Kind.YEAR] or times
    if len(times) > 1:
        draft.problem(f"“{unit.value.capitalize()}” could be of {listed([bold(one.name) for one in times], 'or')}.")
    return times[0] if times else None


def of_unit(column: Column, unit: Unit) -> Column:
    """The column of the days, weeks, months … of dates; years are that already."""
    if column.kind is Kind.YEAR:
        return column
    values = {Unit.WEEKDAY: WEEKDAYS, Unit.MONTH_OF_YEAR: MONTHS}.get(unit, ())
    kind = Kind.YEAR if unit is Unit.YEAR else Kind.NUMBER if unit is Unit.HOUR else Kind.TEXT
    number = kind is not Kind.TEXT
    return Column(
        unit.value, kind, values=values, distinct=min(column.distinct, 24), missing=column.missing, low=column.low,
        high=column.high, whole=number, floats=number and column.missing > 0, made=Period(column, unit),
    )  # fmt: skip


def comes_again(column: Column) -> bool:
    """True for weekdays and the like: no point in time."""
    return isinstance(column.made, Period) and column.made.unit in AGAIN
