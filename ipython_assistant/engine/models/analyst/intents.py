"""Makes a task of what a clause was understood to say: an intent claims a draft, and says what task it means.

A new intent is a claim and a reader in `INTENTS`; the first that claims a draft reads it. A reader that cannot make a
task without guessing notes a problem in the draft and returns None.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.markdown import bold, listed
from ipython_assistant.engine.models.analyst.plan import (
    Between,
    Chart,
    Compare,
    Condition,
    Describe,
    Group,
    InYears,
    Measure,
    OneOf,
    Rows,
    Task,
)
from ipython_assistant.engine.models.analyst.tables import Column, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipython_assistant.engine.models.analyst.draft import Draft


def task_of(draft: Draft, before: Task | None) -> Task | None:
    """The task a draft means; None, with a problem noted, if it means none or several.

    Args:
        draft: What the clause was understood to say.
        before: The task of the clause before, whose measure a clause such as "and the mean per district" speaks of.
    """
    return next(read(draft, before) for claims, read in INTENTS if claims(draft))


def _describe(draft: Draft, before: Task | None) -> Task | None:
    del before
    if (
        draft.chart
        or draft.hows
        or draft.keys
        or draft.series
        or draft.top
        or any(measure.how for measure in draft.measures)
    ):
        draft.problem("An overview is asked for together with a chart, a mean or groups: ask for one of them.")
    return Describe(tuple(measure.column for measure in draft.measures if measure.column))


def _chart(draft: Draft, before: Task | None) -> Task | None:
    measures = _measures(draft, before)
    if draft.versus and not (draft.keys or draft.over_time):
        draft.problem("One column against another is a scatter chart; I draw lines and bars over a third.")
    over, series = _axes(draft)
    if not measures:
        draft.problem(f"It is not said what to draw{_numbers_of(draft)}.")
    if over is None or not measures:
        return None
    clash = {measure.column.name for measure in measures if measure.column} & {
        over.name,
        *((series.name,) if series else ()),
    }
    if clash or over == series:
        draft.problem("The same column is asked for twice, to be drawn and to draw over.")
    if len(measures) > 1 and (series or draft.top):
        draft.problem("Several columns and one line per group, or a top, are too much for one chart.")
    shape = draft.shape or ("bar" if over.kind in {Kind.TEXT, Kind.BOOL} or draft.top else "line")
    if draft.top and (series or shape == "line"):
        draft.problem("A top is drawn as bars, without groups.")
    return Chart(shape, measures, over, series, draft.top)


def _axes(draft: Draft) -> tuple[Column | None, Column | None]:
    """What the chart is drawn over, and what makes one line each."""
    keys, series = list(draft.keys), list(draft.series)
    if draft.over_time:
        times = [column for column in draft.table.columns if column.in_time and column not in keys]
        if len(times) != 1 and not any(key.in_time for key in keys):
            names = listed([bold(column.name) for column in times], "or")
            draft.problem(f"“Over time” could be over {names}." if times else "There is no column of years or dates.")
            return None, None
        keys = [*(key for key in keys if key.in_time), *times[:1]][:1] + [key for key in keys if not key.in_time]
    if not keys and len(series) == 2:  # noqa: PLR2004 - an axis and lines
        keys, series = series, []
    if len(keys) == 2 and not series:  # noqa: PLR2004 - an axis and lines
        keys.sort(key=lambda key: not key.in_time)
        keys, series = keys[:1], keys[1:]
    if len(keys) != 1 or len(series) > 1:
        drawn = "not said what to draw over, for instance “by year”" if not keys else "too much to draw over at once"
        draft.problem(f"It is {drawn}{': ' + listed([bold(key.name) for key in keys + series]) if keys else ''}.")
        return None, None
    return keys[0], _compared_values(draft, keys[0]) if not series else series[0]


def _compared_values(draft: Draft, over: Column) -> Column | None:
    """`for LF and Oncho` asks for a line each, unless all are taken together in so many words."""
    several = [one.column for one in draft.where if one.column != over and _names_several(one)]
    if not several or len(draft.measures) > 1:
        return None
    if draft.hows or len(several) > 1:
        names = listed([bold(column.name) for column in several])
        draft.problem(f"Several values of {names} are named: say “one line per …”, or ask for each on its own.")
    return several[0]


def _names_several(condition: Condition) -> bool:
    match condition:
        case OneOf(values=several) | InYears(years=several):
            return len(several) > 1 and not condition.negated
        case _:
            return False


def _group(draft: Draft, before: Task | None) -> Task | None:
    measures = _measures(draft, before)
    if draft.over_time:
        draft.problem("“Over time” is drawn: ask for a chart.")
    if draft.versus:
        draft.problem("Two are set against each other: ask for a chart, or for one row per group.")
    if draft.over_key:
        draft.problem("“Over” has two readings: write “per” for one row each, or leave it out for all together.")
    if not measures:
        draft.problem(f"It is not said of which column{_numbers_of(draft)}.")
        return None
    keys = (*draft.keys, *draft.series)
    clash = {measure.column.name for measure in measures if measure.column} & {key.name for key in keys}
    if clash:
        draft.problem("The same column is asked for twice, to group by and to calculate with.")
    if draft.top and not keys:
        draft.problem("It is not said of what the top is wanted, for instance “top 5 districts by mean coverage”.")
    if draft.top and len(measures) > 1:
        draft.problem("A top is taken by one column.")
    if any(measure.how is None for measure in measures) and not draft.top:
        draft.problem(_ask_how(draft))
    return Group(measures, keys, draft.top)


def _rows(draft: Draft, before: Task | None) -> Task | None:
    del before
    if draft.keys or draft.series or draft.over_time or draft.versus:
        draft.problem(_ask_how(draft))
        return None
    columns = tuple(measure.column for measure in draft.measures if measure.column)
    if draft.top:
        ranking = [measure.column for measure in draft.ranking if measure.column]
        by = next(iter(ranking or [column for column in columns if column.kind is Kind.NUMBER]), None)
        if by is None or len(ranking) > 1:
            draft.problem("It is not said by which column the top is taken.")
        return Rows(columns if ranking else (), draft.top, by)
    asked = bool(draft.listing or draft.saving or draft.name)
    compared = any(isinstance(condition, Compare | Between) for condition in draft.where)
    if len(columns) == 1 and columns[0].kind is Kind.NUMBER:
        draft.problem(
            f"It is not said what to do with {bold(columns[0].name)}: plot it by a column, take its mean or total per "
            "group, or list it with other columns."
        )
    elif columns and draft.of_rows:
        names = listed([bold(column.name) for column in columns])
        draft.problem(f"It is not clear whether whole rows are wanted, or only {names}.")
    elif columns and not (asked or compared):
        draft.problem(
            "It is not said what to do with the columns: plot, list, save, or take a mean or total per group."
        )
    elif not columns and not (draft.where and (asked or compared or draft.of_table)) and not (asked and draft.of_table):
        draft.problem("It is not said what to do.")
    return Rows(columns)


INTENTS: Final[tuple[tuple[Callable[[Draft], bool], Callable[[Draft, Task | None], Task | None]], ...]] = (
    (lambda draft: draft.describe, _describe),
    (lambda draft: draft.chart, _chart),
    (lambda draft: bool(draft.hows or any(one.how for one in [*draft.measures, *draft.ranking])), _group),
    (lambda draft: bool(draft.top and draft.keys), _group),
    (lambda draft: True, _rows),  # noqa: ARG005 - what is left is about rows
)


def _measures(draft: Draft, before: Task | None) -> tuple[Measure, ...]:
    """The measures with the ways to take them, said before the column, after it, or of columns of the clause before."""
    measures = list(draft.measures)
    if draft.ranking:
        ranked = draft.ranking[0]
        if [measure.column for measure in measures] not in ([], [ranked.column]):
            draft.problem("A top is taken by the column that is asked for, not by another.")
        measures = [replace(measure, how=ranked.how or measure.how) for measure in measures] or [ranked]
    if draft.hows and not draft.hows_used:
        if not measures:
            measures = list(_inherited(draft, before))
        if any(one.how for one in measures):
            draft.problem("It is not said which column each way of counting is for.")
        measures = [replace(one, how=how) for one in measures for how in draft.hows]
    for measure in measures:
        column = measure.column
        if column is not None and column.kind is not Kind.NUMBER:
            why = f" ({column.doubt})" if column.doubt else ""
            draft.problem(f"{bold(column.name)} holds {_PLURAL[column.kind]}{why}; I draw and calculate with numbers.")
    if len(set(measures)) < len(measures):
        draft.problem("The same is asked for twice.")
    return tuple(measures)


_PLURAL: Final = {
    Kind.TEXT: "texts", Kind.DATE: "dates", Kind.YEAR: "years", Kind.BOOL: "yes and no", Kind.EMPTY: "nothing",
    Kind.NUMBER: "numbers",
}  # fmt: skip


def _inherited(draft: Draft, before: Task | None) -> tuple[Measure, ...]:
    """The columns of the clause before, or the only number column there is."""
    if isinstance(before, Chart | Group) and all(measure.column for measure in before.measures):
        return tuple(dict.fromkeys(Measure(measure.column) for measure in before.measures))
    numbers = [column for column in draft.table.columns if column.kind is Kind.NUMBER]
    return (Measure(numbers[0]),) if len(numbers) == 1 else ()


def _numbers_of(draft: Draft) -> str:
    numbers = [bold(column.name) for column in draft.table.columns if column.kind is Kind.NUMBER]
    if not numbers:
        return "; the table has no number column"
    return f"; the number column{'s are' if len(numbers) > 1 else ' is'} {listed(numbers)}"


def _ask_how(draft: Draft) -> str:
    columns = listed([bold(measure.column.name) for measure in draft.measures if measure.column]) or "each group"
    return f"It is not said how the rows of a group become one: plot them, or take the mean or total of {columns}."
