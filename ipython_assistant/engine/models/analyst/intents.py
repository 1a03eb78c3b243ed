"""Makes a task of what a clause was understood to say: an intent claims a draft, and says what task it means.

A new intent is a claim and a reader in `INTENTS`; the first that claims a draft reads it. A reader that cannot make a
task without guessing notes a problem in the draft and returns None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.charting import read_chart, read_scatter, read_spread
from ipython_assistant.engine.models.analyst.grouping import claims_group, read_count, read_group
from ipython_assistant.engine.models.analyst.listing import read_rows
from ipython_assistant.engine.models.analyst.measuring import PLURAL, columns_named, is_number
from ipython_assistant.engine.models.analyst.plan import (
    Chart,
    Correlation,
    Describe,
    Distinct,
    Duplicates,
    Group,
    How,
    Measure,
    Missing,
    Proportion,
    Rows,
    Scatter,
    Spread,
    Task,
    measured,
)
from ipython_assistant.engine.models.analyst.tables import Column, Kind
from ipython_assistant.engine.models.markdown import bold, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipython_assistant.engine.models.analyst.draft import Draft


def task_of(draft: Draft, before: Task | None) -> Task | None:
    """The task a draft means; None, with a problem noted, if it means none or several.

    Args:
        draft: What the clause was understood to say.
        before: The task of the clause before, whose measure a clause such as "and the mean per district" speaks of.
    """
    task = next(read(draft, before) for claims, read in INTENTS if claims(draft))
    if task is not None and not draft.problems:
        _check_used(draft, task)
    return task


_CHARTED: Final = frozenset(["chart", "measures", "keys", "series"])
_USED: Final[dict[type, frozenset[str]]] = {
    Describe: frozenset(["all_columns", "describe", "measures"]),
    Missing: frozenset(["all_columns", "missing", "measures", "keys"]),
    Duplicates: frozenset(["all_columns", "duplicates", "measures"]),
    Distinct: frozenset(["any_time", "all_columns", "distinct", "measures"]),
    Correlation: frozenset(["all_columns", "correlation", "measures", "keys", "chart", "shape"]),
    Proportion: frozenset(["proportion", "keys", "series"]),
    Chart: _CHARTED
    | {"shape", "hows", "over_time", "top", "ranking", "judged", "then", "sort", "distribution", "added", "over_key"}
    | {"pivot"},
    Spread: _CHARTED | {"spread", "distribution", "bins"},
    Scatter: _CHARTED | {"scatter", "versus"},
    Group: frozenset(
        ["measures", "hows", "keys", "series", "over_time", "top", "ranking", "judged", "then", "sort", "decimals",
         "wide", "pivot", "having", "describe", "added", "over_key", "known_only"]
    ),
    Rows: frozenset(
        ["all_columns", "measures", "top", "ranking", "judged", "sort", "first", "added", "left_out", "hows"]
    ),
}  # fmt: skip
"""What each task makes something of: what was said besides would be lost without a word."""
_SAID: Final = {
    "describe": "an overview", "missing": "missing cells", "duplicates": "duplicates", "distinct": "different values",
    "correlation": "correlations", "proportion": "a share of rows", "chart": "a chart", "shape": "a kind of chart",
    "measures": "columns", "hows": "a way to calculate", "keys": "groups", "series": "one line or part each",
    "over_time": "a course over time", "top": "a top", "ranking": "a ranking", "judged": "best or worst",
    "then": "a share or a change",
    "sort": "an order", "distribution": "a distribution", "added": "a new column", "over_key": "an axis",
    "spread": "a histogram or box plot",
    "bins": "bins", "scatter": "a scatter chart", "decimals": "rounding", "wide": "one column each", "pivot": "a pivot",
    "having": "a condition on groups",
    "all_columns": "every column", "any_time": "any month or day",
    "known_only": "missing values left out",
    "first": "the first or last rows", "left_out": "columns left out",
    "versus": "",
}  # fmt: skip


def _check_used(draft: Draft, task: Task) -> None:
    """All that was said has to be in the task: what is only half of a request is none."""
    empty: tuple[object, ...] = (None, False, 0, "", [], -1)
    said = [name for name in _SAID if getattr(draft, name) not in empty]
    lost = [_SAID[name] for name in said if name not in _USED[type(task)] and _SAID[name]]
    unused = [column for column in draft.added if column not in _columns_used(task)]
    if draft.known_only and (not isinstance(task, Group) or any(one.column is None for one in task.measures)):
        draft.problem("It is not said of which column the missing values are to be left out.")
    lost += [f"the new column {bold(column.name)}" for column in unused if not isinstance(task, Rows)]
    if lost:
        draft.problem(f"These do not go together with the rest: {listed(lost)}. Ask for one at a time.")


def _columns_used(task: Task) -> tuple[Column, ...]:
    match task:
        case Chart() | Group():
            return (*measured(task), *(one.column for one in task.measures if one.column))
        case _:
            return ()


def _read_overview(draft: Draft, before: Task | None) -> Task | None:
    del before
    if draft.keys and not (draft.chart or draft.hows or draft.series or draft.top):
        return _described_groups(draft)
    if draft.chart or draft.hows or draft.series or draft.top or any(measure.how for measure in draft.measures):
        draft.problem("An overview is asked for together with a chart, a mean or groups: ask for one of them.")
    return Describe(columns_named(draft))


def _described_groups(draft: Draft) -> Task | None:
    """An overview of numbers per group: how many rows, and the usual figures of each column."""
    columns = columns_named(draft)
    if not columns or any(not column.calculable for column in columns):
        draft.problem("It is not said which numbers are to be described per group.")
        return None
    hows = (How.MEAN, How.STD, How.MIN, How.MEDIAN, How.MAX)
    measures = (Measure(None, How.COUNT), *(Measure(column, how) for column in columns for how in hows))
    return Group(measures, tuple(draft.keys))


def _read_missing(draft: Draft, before: Task | None) -> Task | None:
    del before
    if draft.hows or draft.chart or draft.top or draft.series or (draft.keys and draft.then):
        draft.problem("I count missing cells of columns and groups: ask for that alone.")
    keys, columns = tuple(dict.fromkeys(draft.keys)), columns_named(draft)
    if keys and not set(keys).isdisjoint(columns):
        draft.problem("The same column is asked for twice.")
    if any(measure.how for measure in draft.measures) and len(columns_named(draft)) != 1:
        draft.problem(
            "Rows without any of these, or without all of them: ask for one column, or for the missing cells."
        )
    if keys and not columns:
        columns = tuple(column for column in draft.table.columns if column not in keys and not column.made)
    return Missing(columns, keys)


def _read_duplicates(draft: Draft, before: Task | None) -> Task | None:
    del before
    if draft.hows or draft.chart or draft.top or draft.keys or draft.series:
        draft.problem("Rows that repeat are asked for together with something else: ask for one of them.")
    return Duplicates(columns_named(draft), draft.duplicates)


def _read_correlation(draft: Draft, before: Task | None) -> Task | None:
    del before
    numbers = [column for column in draft.table.columns if column.calculable]
    columns = tuple(dict.fromkeys((*columns_named(draft), *(key for key in draft.keys if key.kind is Kind.NUMBER))))
    if draft.hows or draft.top or draft.series or len(columns) == 1 or any(key not in columns for key in draft.keys):
        draft.problem("A correlation is that of two or more columns of numbers, over all rows that are selected.")
    if any(column.kind is not Kind.NUMBER for column in columns):
        odd = next(column for column in columns if column.kind is not Kind.NUMBER)
        draft.problem(f"{bold(odd.name)} holds {PLURAL[odd.kind]}; correlations are of numbers.")
    if not columns and len(numbers) < 2:  # noqa: PLR2004 - a correlation is of two
        draft.problem("The table has fewer than two columns of numbers.")
    if draft.chart and draft.shape != "heat":
        draft.problem("Correlations are drawn as a heat map.")
    return Correlation(columns or tuple(numbers), drawn=draft.chart)


def _read_proportion(draft: Draft, before: Task | None) -> Task | None:
    del before
    own = [one for one in draft.where if one not in draft.leading]
    if draft.base and len(own) == 2:  # noqa: PLR2004 - "of LF rows have coverage over 80": the first says which rows
        own = own[1:]
    if len(own) != 1 or draft.hows or draft.chart or draft.top or draft.measures:
        draft.problem("It is not clear which rows are to be counted, and out of which.")
        return None
    return Proportion(own[0], (*draft.keys, *draft.series), draft.amount)


def _read_distinct(draft: Draft, before: Task | None) -> Task | None:
    del before
    if draft.hows or draft.keys or draft.top or draft.series or draft.chart or draft.sort:
        draft.problem("Different values are asked for together with something else: ask for one of them.")
    return Distinct(columns_named(draft))


INTENTS: Final[tuple[tuple[Callable[[Draft], bool], Callable[[Draft, Task | None], Task | None]], ...]] = (
    (lambda draft: draft.correlation, _read_correlation),
    (lambda draft: draft.describe, _read_overview),
    (lambda draft: draft.missing, _read_missing),
    (lambda draft: bool(draft.duplicates), _read_duplicates),
    (lambda draft: draft.proportion, _read_proportion),
    (lambda draft: bool(draft.spread), read_spread),
    (lambda draft: draft.distribution and any(map(is_number, draft.measures)) and not draft.shape, read_spread),
    (lambda draft: draft.scatter, read_scatter),
    (lambda draft: draft.chart or (draft.over_time and draft.then is None), read_chart),
    (lambda draft: draft.distinct, _read_distinct),
    (claims_group, read_group),
    (
        lambda draft: (
            bool(draft.keys and draft.of_table)
            and not (draft.measures or draft.series or draft.added or draft.top or draft.first or draft.left_out)
        ),
        read_count,
    ),
    (lambda draft: True, read_rows),  # noqa: ARG005 - what is left is about rows
)
