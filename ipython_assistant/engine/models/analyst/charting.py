"""Reads a clause as a picture: charts of groups over an axis, histograms, box plots and scatters of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.engine.models.analyst.grouping import key_of, names_several
from ipython_assistant.engine.models.analyst.measuring import columns_named, measures_named, numbers_offered
from ipython_assistant.engine.models.analyst.ordering import judged_top, order_named
from ipython_assistant.engine.models.analyst.plan import (
    Chart,
    How,
    InYears,
    Measure,
    OneOf,
    Scatter,
    Spread,
    Task,
    Then,
)
from ipython_assistant.engine.models.analyst.tables import Column, Kind, sources
from ipython_assistant.engine.models.markdown import bold, listed

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Draft


def read_spread(draft: Draft, before: Task | None) -> Task | None:
    """A histogram or box plot of numbers, for each group or for all."""
    del before
    columns = columns_named(draft)
    numbers = tuple(column for column in columns if column.kind is Kind.NUMBER)
    per = [*draft.keys, *draft.series, *(column for column in columns if column not in numbers)]
    kind = draft.spread or "hist"
    several = [one.column for one in draft.where if isinstance(one, OneOf) and names_several(one)]
    if draft.versus and not per and len(several) == 1:  # "women vs men": one each
        per, draft.versus = several, False
    if draft.versus or draft.hows or draft.top or draft.then or draft.over_time or len(per) > 1:
        draft.problem("A histogram or box plot shows the rows of one column, for one kind of group at most.")
    if not numbers:
        draft.problem(f"It is not said what to draw{numbers_offered(draft)}.")
        return None
    if len(numbers) > 1 and per:
        draft.problem("Several columns and groups are too much for one chart.")
    if per and (per[0] in numbers or not per[0].groups):
        draft.problem("The same column is asked for twice.")
    return Spread(kind, numbers, per[0] if per else None, draft.bins if kind == "hist" else 0)


def read_scatter(draft: Draft, before: Task | None) -> Task | None:
    """A point for each row, of two columns."""
    del before
    columns = tuple(dict.fromkeys((*columns_named(draft), *draft.keys)))
    if len(columns) != 2 or draft.hows or draft.top or draft.then:  # noqa: PLR2004 - two axes
        draft.problem("A scatter chart is of two columns: write “scatter of … against …”.")
        return None
    if any(column.kind not in {Kind.NUMBER, Kind.YEAR, Kind.DATE} for column in columns):
        draft.problem("A scatter chart is of numbers.")
    first, second = columns
    x, y = (second, first) if draft.versus or draft.keys else (first, second)
    series = draft.series or [one.column for one in draft.where if names_several(one) and isinstance(one, OneOf)]
    if len(series) > 1:
        draft.problem("A scatter chart has one kind of colour.")
    return Scatter(x, y, series[0] if series else None)


def read_chart(draft: Draft, before: Task | None) -> Task | None:
    """Lines, bars, stacks or a heat map of what is measured, over an axis."""
    if draft.distribution and any(one.column and one.column.kind is not Kind.NUMBER for one in draft.measures):
        return _counted_values(draft)
    numbers = [one for one in draft.measures if one.column and one.column.kind is Kind.NUMBER]
    if draft.versus and not (draft.keys or draft.over_time or draft.hows) and len(numbers) == len(draft.measures) == 2:  # noqa: PLR2004
        if not draft.shape:
            return read_scatter(draft, before)
        draft.problem("One column against another is a scatter chart; lines and bars are drawn over a third.")
    measures = measures_named(draft, before)
    if draft.shape == "heat" and draft.wide:
        draft.keys, draft.series, draft.wide = [draft.wide], [key for key in draft.keys if key != draft.wide], None
    over, series = _axes(draft)
    if not measures:
        draft.problem(f"It is not said what to draw{numbers_offered(draft)}.")
    if over is None or not measures:
        return None
    clash = {measure.column.name for measure in measures if measure.column} & {
        over.name,
        *((series.name,) if series else ()),
    }
    if clash or over == series:
        draft.problem("The same column is asked for twice, to be drawn and to draw over.")
    if len(measures) > 1 and (series or draft.top or draft.then or draft.sort):
        draft.problem("Several columns and one line per group, or a top, are too much for one chart.")
    shape = draft.shape or ("line" if over.in_time and not draft.top else "bar")
    if shape == "stacked" and any(one.how is How.RATE for one in measures):
        draft.problem("Rates do not add up to a bar: ask for lines, or for bars beside each other.")
    _check_chart(draft, shape, over, series)
    return Chart(shape, measures, over, series, judged_top(draft, measures), draft.then, order_named(draft, measures))


def _check_chart(draft: Draft, shape: str, over: Column, series: Column | None) -> None:
    if (draft.top or draft.sort) and (series or shape != "bar"):
        draft.problem("A top, or an order by size, is drawn as bars without groups.")
    if draft.sort and draft.sort.by and draft.sort.by not in [one.column for one in [*draft.measures, *draft.ranking]]:
        draft.problem("Bars are sorted by what is drawn.")
    if shape in {"heat", "stacked"} and series is None and len(draft.measures) < 2:  # noqa: PLR2004 - two axes
        draft.problem("It is said what to draw by, but not the second column: write “by … and …”.")
    if shape == "heat" and series is None:
        draft.problem("A heat map is drawn by two columns.")
    if draft.then in {Then.RUNNING, Then.CHANGE, Then.GROWTH} and not over.in_time:
        draft.problem("A running total or a change is drawn over years or dates.")
    if draft.wide or draft.having or (draft.top and draft.top.percent):
        draft.problem("I make a table of that, not a chart.")


def _counted_values(draft: Draft) -> Task | None:
    """How texts are distributed is how many rows each has."""
    (column, *more) = columns_named(draft)
    if more or draft.hows or draft.keys or draft.series or draft.then or not column.groups:
        draft.problem("It is not clear what is to be drawn.")
    measure = Measure(None, How.COUNT)
    return Chart(draft.shape or "bar", (measure,), column, None, draft.top, None, order_named(draft, (measure,)))


def _axes(draft: Draft) -> tuple[Column | None, Column | None]:
    """What the chart is drawn over, and what makes one line each."""
    keys, series = list(draft.keys), list(draft.series)
    if draft.over_time and not any(key.in_time for key in keys):
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
    chosen = [one for one in draft.where if isinstance(one, OneOf | InYears) and names_several(one)]
    several = [key_of(one) for one in chosen if one.column not in (over, *sources(over))]
    if not several or len(draft.measures) > 1:
        return None
    if (draft.hows and not (draft.versus or draft.compare)) or len(several) > 1:
        names = listed([bold(column.name) for column in several])
        draft.problem(f"Several values of {names} are named: say “one line per …”, or ask for each on its own.")
    return several[0]
