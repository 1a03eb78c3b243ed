"""Makes a task of what a clause was understood to say: an intent claims a draft, and says what task it means.

A new intent is a claim and a reader in `INTENTS`; the first that claims a draft reads it. A reader that cannot make a
task without guessing notes a problem in the draft and returns None.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.lexing import plain_words
from ipython_assistant.engine.models.analyst.markdown import bold, listed
from ipython_assistant.engine.models.analyst.periods import of_unit
from ipython_assistant.engine.models.analyst.plan import (
    Between,
    Chart,
    Condition,
    Correlation,
    Describe,
    Distinct,
    Duplicates,
    Group,
    How,
    InYears,
    Measure,
    Missing,
    OneOf,
    Proportion,
    Rows,
    Scatter,
    Sort,
    Spread,
    Task,
    Then,
    Top,
    measured,
)
from ipython_assistant.engine.models.analyst.superlatives import good_if_large
from ipython_assistant.engine.models.analyst.tables import Column, Kind, Unit, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    Describe: frozenset(["describe", "measures"]),
    Missing: frozenset(["missing", "measures"]),
    Duplicates: frozenset(["duplicates", "measures"]),
    Distinct: frozenset(["distinct", "measures"]),
    Correlation: frozenset(["correlation", "measures", "keys", "chart", "shape"]),
    Proportion: frozenset(["proportion", "keys", "series"]),
    Chart: _CHARTED
    | {"shape", "hows", "over_time", "top", "ranking", "judged", "then", "sort", "distribution", "added", "over_key"}
    | {"pivot"},
    Spread: _CHARTED | {"spread", "distribution", "bins"},
    Scatter: _CHARTED | {"scatter", "versus"},
    Group: frozenset(
        ["measures", "hows", "keys", "series", "over_time", "top", "ranking", "judged", "then", "sort", "decimals",
         "wide", "pivot", "having", "describe", "added", "over_key"]
    ),
    Rows: frozenset(["measures", "top", "ranking", "judged", "sort", "first", "added", "left_out", "hows"]),
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
    "having": "a condition on groups", "first": "the first or last rows", "left_out": "columns left out", "versus": "",
}  # fmt: skip


def _check_used(draft: Draft, task: Task) -> None:
    """All that was said has to be in the task: what is only half of a request is none."""
    empty: tuple[object, ...] = (None, False, 0, "", [], -1)
    said = [name for name in _SAID if getattr(draft, name) not in empty]
    lost = [_SAID[name] for name in said if name not in _USED[type(task)] and _SAID[name]]
    unused = [column for column in draft.added if column not in _columns_used(task)]
    lost += [f"the new column {bold(column.name)}" for column in unused if not isinstance(task, Rows)]
    if lost:
        draft.problem(f"These do not go together with the rest: {listed(lost)}. Ask for one at a time.")


def _columns_used(task: Task) -> tuple[Column, ...]:
    match task:
        case Chart() | Group():
            return measured(task)
        case _:
            return ()


def _columns(draft: Draft) -> tuple[Column, ...]:
    return tuple(dict.fromkeys(measure.column for measure in draft.measures if measure.column))


def _describe(draft: Draft, before: Task | None) -> Task | None:
    del before
    if draft.keys and not (draft.chart or draft.hows or draft.series or draft.top):
        return _described_groups(draft)
    if draft.chart or draft.hows or draft.series or draft.top or any(measure.how for measure in draft.measures):
        draft.problem("An overview is asked for together with a chart, a mean or groups: ask for one of them.")
    return Describe(_columns(draft))


def _described_groups(draft: Draft) -> Task | None:
    """An overview of numbers per group: how many rows, and the usual figures of each column."""
    columns = _columns(draft)
    if not columns or any(not column.calculable for column in columns):
        draft.problem("It is not said which numbers are to be described per group.")
        return None
    hows = (How.MEAN, How.STD, How.MIN, How.MEDIAN, How.MAX)
    measures = (Measure(None, How.COUNT), *(Measure(column, how) for column in columns for how in hows))
    return Group(measures, tuple(draft.keys))


def _missing(draft: Draft, before: Task | None) -> Task | None:
    del before
    if draft.keys or draft.hows or draft.chart or draft.top or draft.series:
        draft.problem("I count missing cells of columns, not of groups.")
    return Missing(_columns(draft))


def _duplicates(draft: Draft, before: Task | None) -> Task | None:
    del before
    if draft.hows or draft.chart or draft.top or draft.keys or draft.series:
        draft.problem("Rows that repeat are asked for together with something else: ask for one of them.")
    return Duplicates(_columns(draft), draft.duplicates)


def _correlation(draft: Draft, before: Task | None) -> Task | None:
    del before
    numbers = [column for column in draft.table.columns if column.calculable]
    columns = tuple(dict.fromkeys((*_columns(draft), *(key for key in draft.keys if key.kind is Kind.NUMBER))))
    if draft.hows or draft.top or draft.series or len(columns) == 1 or any(key not in columns for key in draft.keys):
        draft.problem("A correlation is that of two or more columns of numbers, over all rows that are selected.")
    if any(column.kind is not Kind.NUMBER for column in columns):
        odd = next(column for column in columns if column.kind is not Kind.NUMBER)
        draft.problem(f"{bold(odd.name)} holds {_PLURAL[odd.kind]}; correlations are of numbers.")
    if not columns and len(numbers) < 2:  # noqa: PLR2004 - a correlation is of two
        draft.problem("The table has fewer than two columns of numbers.")
    if draft.chart and draft.shape != "heat":
        draft.problem("Correlations are drawn as a heat map.")
    return Correlation(columns or tuple(numbers), drawn=draft.chart)


def _proportion(draft: Draft, before: Task | None) -> Task | None:
    del before
    own = [one for one in draft.where if one not in draft.leading]
    if draft.base and len(own) == 2:  # noqa: PLR2004 - "of LF rows have coverage over 80": the first says which rows
        own = own[1:]
    if len(own) != 1 or draft.hows or draft.chart or draft.top or draft.measures:
        draft.problem("It is not clear which rows are to be counted, and out of which.")
        return None
    return Proportion(own[0], (*draft.keys, *draft.series))


def _spread(draft: Draft, before: Task | None) -> Task | None:
    del before
    columns = _columns(draft)
    numbers = tuple(column for column in columns if column.kind is Kind.NUMBER)
    per = [*draft.keys, *draft.series, *(column for column in columns if column not in numbers)]
    kind = draft.spread or "hist"
    if draft.versus or draft.hows or draft.top or draft.then or draft.over_time or len(per) > 1:
        draft.problem("A histogram or box plot shows the rows of one column, for one kind of group at most.")
    if not numbers:
        draft.problem(f"It is not said what to draw{_numbers_of(draft)}.")
        return None
    if len(numbers) > 1 and per:
        draft.problem("Several columns and groups are too much for one chart.")
    if per and (per[0] in numbers or not per[0].groups):
        draft.problem("The same column is asked for twice.")
    return Spread(kind, numbers, per[0] if per else None, draft.bins if kind == "hist" else 0)


def _scatter(draft: Draft, before: Task | None) -> Task | None:
    del before
    columns = tuple(dict.fromkeys((*_columns(draft), *draft.keys)))
    if len(columns) != 2 or draft.hows or draft.top or draft.then:  # noqa: PLR2004 - two axes
        draft.problem("A scatter chart is of two columns: write “scatter of … against …”.")
        return None
    if any(column.kind not in {Kind.NUMBER, Kind.YEAR, Kind.DATE} for column in columns):
        draft.problem("A scatter chart is of numbers.")
    first, second = columns
    x, y = (second, first) if draft.versus or draft.keys else (first, second)
    series = draft.series or [one.column for one in draft.where if _names_several(one) and isinstance(one, OneOf)]
    if len(series) > 1:
        draft.problem("A scatter chart has one kind of colour.")
    return Scatter(x, y, series[0] if series else None)


def _distinct(draft: Draft, before: Task | None) -> Task | None:
    del before
    if draft.hows or draft.keys or draft.top or draft.series or draft.chart or draft.sort:
        draft.problem("Different values are asked for together with something else: ask for one of them.")
    return Distinct(_columns(draft))


def _chart(draft: Draft, before: Task | None) -> Task | None:
    if draft.distribution and any(one.column and one.column.kind is not Kind.NUMBER for one in draft.measures):
        return _counted_values(draft)
    numbers = [one for one in draft.measures if one.column and one.column.kind is Kind.NUMBER]
    if draft.versus and not (draft.keys or draft.over_time or draft.hows) and len(numbers) == len(draft.measures) == 2:  # noqa: PLR2004
        if not draft.shape:
            return _scatter(draft, before)
        draft.problem("One column against another is a scatter chart; lines and bars are drawn over a third.")
    measures = _measures(draft, before)
    if draft.shape == "heat" and draft.wide:
        draft.keys, draft.series, draft.wide = [draft.wide], [key for key in draft.keys if key != draft.wide], None
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
    if len(measures) > 1 and (series or draft.top or draft.then or draft.sort):
        draft.problem("Several columns and one line per group, or a top, are too much for one chart.")
    shape = draft.shape or ("line" if over.in_time and not draft.top else "bar")
    _check_chart(draft, shape, over, series)
    return Chart(shape, measures, over, series, _judged(draft, measures), draft.then, _order(draft, measures))


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
    (column, *more) = _columns(draft)
    if more or draft.hows or draft.keys or draft.series or draft.then or not column.groups:
        draft.problem("It is not clear what is to be drawn.")
    measure = Measure(None, How.COUNT)
    return Chart(draft.shape or "bar", (measure,), column, None, draft.top, None, _order(draft, (measure,)))


def _judged(draft: Draft, measures: tuple[Measure, ...]) -> Top | None:
    """The top that is asked for; of the best or the worst, which ones these are."""
    if draft.top is None or draft.judged not in {"best", "worst"}:
        return draft.top
    column = measures[0].column if measures else None
    return replace(draft.top, largest=good_if_large(draft, column) is (draft.judged == "best"))


def _order(draft: Draft, measures: tuple[Measure, ...]) -> Sort | None:
    """The order that is asked for; none where it is that of what was calculated first and is said so."""
    if draft.sort is None:
        return None
    by = None if measures and draft.sort.by == measures[0].column else draft.sort.by
    if draft.sort.by and sum(measure.column == draft.sort.by for measure in measures) > 1:
        draft.problem(f"It is not said which figure of {bold(draft.sort.by.name)} is to be sorted by.")
    descending = draft.sort.descending
    if draft.judged in {"best", "worst"} and draft.top is None:
        column = draft.sort.by or (measures[0].column if measures else None)
        descending = good_if_large(draft, column) is (draft.judged == "best")
    return replace(draft.sort, by=by, descending=descending)


def with_order(draft: Draft, task: Task) -> Task | None:
    """A task with an order that was asked for after it; None if it has none."""
    match task:
        case Group(measures=measures):
            ordered = replace(task, sort=_order(draft, measures))
            _check_order(draft, ordered)
            return ordered
        case Chart(kind="bar", measures=measures, series=None):
            order = _order(draft, measures)
            if order and order.by:
                draft.problem("Bars are sorted by what is drawn.")
            return replace(task, sort=order)
        case Rows() if draft.sort and draft.sort.by:
            return replace(task, sort=_order(draft, ()))
        case _:
            return None


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
    chosen = [one for one in draft.where if isinstance(one, OneOf | InYears) and _names_several(one)]
    several = [_key_of(one) for one in chosen if one.column not in (over, *sources(over))]
    if not several or len(draft.measures) > 1:
        return None
    if (draft.hows and not (draft.versus or draft.compare)) or len(several) > 1:
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
    if draft.having:
        _grouped_by_mention(draft)
    measures = _measures(draft, before)
    if draft.having:
        measures = measures or (draft.having[0].measure,)
    keys = list(dict.fromkeys((*draft.keys, *draft.series)))
    if draft.over_time and not any(key.in_time for key in keys):
        _add_time(draft, keys)
    if draft.versus or draft.compare:
        _set_against(draft, keys)
    if draft.over_key and draft.then is None:
        draft.problem("“Over” has two readings: write “per” for one row each, or leave it out for all together.")
    if not measures:
        draft.problem(f"It is not said of which column{_numbers_of(draft)}.")
        return None
    if draft.top_rows and keys:
        draft.problem("A top of rows within each group is not something I do: ask for the top of all rows.")
    wide = _wide(draft, keys)
    _check_group(draft, measures, keys, wide)
    then = draft.then
    top = _judged(draft, measures)
    within = tuple(key for key in keys if key != draft.top_of) if top and draft.top_of in keys else ()
    if within and top and top.percent:
        draft.problem("So many percent within each group is not something I do: ask for a number of them.")
    order = _order(draft, measures)
    task = Group(measures, tuple(keys), top, wide, then, order, tuple(draft.having), within, draft.decimals)
    _check_order(draft, task)
    return task


def _check_order(draft: Draft, task: Group) -> None:
    """Groups are sorted by what is written of them; a pivot has no one column of what was calculated."""
    if task.sort is None or draft.sort is None:
        return
    by = task.sort.by
    if task.then and task.then is not Then.SHARE and draft.sort.by and draft.sort.by not in task.keys:
        draft.problem(f"{bold(draft.sort.by.name)} or the {task.then}: it is not said which of them is sorted by.")
    if task.wide is None:
        known = [*task.keys, *(measure.column for measure in task.measures)]
        if by is not None and by not in known:
            draft.problem(f"Groups are sorted by what is calculated for them, not by {bold(by.name)}.")
    elif (by is None and not task.then) or (
        by is not None and by not in (*task.keys, *(() if task.then else (task.wide,)))
    ):
        names = listed([bold(key.name) for key in task.keys], "or") or "nothing"
        draft.problem(
            f"A pivot has no single column of what is calculated to be sorted by: sort it by {names}, or ask for one "
            "row per group instead."
        )


def _key_of(condition: OneOf | InYears) -> Column:
    """What values are told apart by: years, where these are named, even if the column holds days."""
    return of_unit(condition.column, Unit.YEAR) if isinstance(condition, InYears) else condition.column


def _set_against(draft: Draft, keys: list[Column]) -> None:
    """`for LF vs Oncho` is one row each."""
    several = [_key_of(one) for one in draft.where if isinstance(one, OneOf | InYears) and _names_several(one)]
    if len(several) == 1:
        keys[:] = list(dict.fromkeys((several[0], *keys)))
    elif draft.versus:
        draft.problem("Two are set against each other: ask for a chart, or for one row per group.")


def _add_time(draft: Draft, keys: list[Column]) -> None:
    times = [column for column in draft.table.columns if column.in_time]
    if draft.then is None:
        draft.problem("“Over time” is drawn: ask for a chart, or write “per year”.")
    elif len(times) == 1:
        keys.append(times[0])
    else:
        names = listed([bold(column.name) for column in times], "or")
        draft.problem(f"“Over time” could be over {names}." if times else "There is no column of years or dates.")


def _grouped_by_mention(draft: Draft) -> None:
    """`districts with a mean coverage over 80`: what is listed makes the groups."""
    for measure in list(draft.measures):
        if measure.column and not measure.column.calculable and measure.how not in {How.DISTINCT, How.COUNT}:
            draft.measures.remove(measure)
            if measure.column not in draft.keys:
                draft.keys.append(measure.column)
    if not draft.keys:
        draft.problem("It is not said of which groups that has to hold.")


def _wide(draft: Draft, keys: list[Column]) -> Column | None:
    """What makes one column each: said so, the second key of a pivot, or the two years of a change."""
    if draft.wide:
        keys[:] = [key for key in keys if key != draft.wide]
        return draft.wide
    if draft.pivot and len(keys) >= 2:  # noqa: PLR2004 - rows and columns
        return keys.pop()
    if draft.pivot:
        draft.problem("A pivot is by two columns: write “by … and …”.")
    if draft.then in {Then.CHANGE, Then.GROWTH} and not any(key.in_time for key in keys):
        ends = [column for one in draft.where if (column := _from_year_to_year(one)) is not None]
        if len(ends) == 1:
            return of_unit(ends[0], Unit.YEAR)
        draft.problem("It is not said from when to when: write “from 2018 to 2020”, or “per year”.")
    return None


def _from_year_to_year(condition: Condition) -> Column | None:
    """The column of years or dates, where a condition names two years."""
    match condition:
        case Between(column, low, high) if column.in_time and not isinstance(low, str) and not isinstance(high, str):
            return column
        case InYears(column, (_, _), False):
            return column
        case _:
            return None


def between_as_years(where: tuple[Condition, ...], wide: Column) -> tuple[Condition, ...]:
    """A change from one year to another is of these two years, not of those between them."""
    column = sources(wide)[0]
    return tuple(
        InYears(column, (int(one.low), int(one.high)))
        if isinstance(one, Between)
        and one.column == column
        and not isinstance(one.low, str)
        and not isinstance(one.high, str)
        else one
        for one in where
    )


def _check_group(draft: Draft, measures: tuple[Measure, ...], keys: list[Column], wide: Column | None) -> None:
    used = {measure.column.name for measure in measures if measure.column and measure.how is not How.DISTINCT}
    if used & {key.name for key in [*keys, *([wide] if wide else [])]}:
        draft.problem("The same column is asked for twice, to group by and to calculate with.")
    if draft.top and not (keys and not wide):
        draft.problem("It is not said of what the top is wanted, for instance “top 5 districts by mean coverage”.")
    if (draft.top or wide) and len(measures) > 1:
        draft.problem("A top is taken by one column." if draft.top else "A pivot is of one column.")
    if wide and (draft.having or draft.then in {Then.SHARE, Then.RUNNING}):
        draft.problem("Shares and running totals are of groups in rows: leave the pivot out.")
    if wide and draft.then and not wide.in_time:
        draft.problem(f"A change is from one time to another, not from one {bold(wide.name)} to another.")
    if wide and draft.then and any(key.in_time for key in keys):
        draft.problem("It is not clear whether the change is along the rows or along the columns: leave the pivot out.")
    if any(measure.how is None for measure in measures) and not (draft.top or keys or wide or draft.then):
        draft.problem(_ask_how(draft))
    if any(one.how is None and one.column and one.column.made for one in measures):
        draft.problem(_ask_how(draft))
    _check_steps(draft, measures, keys, wide)
    if draft.chart:
        draft.problem("I make a table of that, not a chart.")


def _check_steps(draft: Draft, measures: tuple[Measure, ...], keys: list[Column], wide: Column | None) -> None:
    if draft.adverb and any(_twice(measure) for measure in measures):
        draft.problem(
            "An average of daily or monthly amounts has two readings: write “mean … per month” or “total … per month”."
        )
    if draft.then is Then.SHARE:
        _check_share(draft, measures, keys)
    if draft.then in {Then.RUNNING, Then.CHANGE, Then.GROWTH} and not wide and sum(key.in_time for key in keys) != 1:
        draft.problem("A running total or a change is over years, months or dates: write “per year”.")


_STEADY: Final = frozenset(["temperature", "price", "age", "speed", "pressure", "humidity", "weight", "height", "wait"])
"""Numbers of which nobody takes totals: their monthly average is that of the month."""


def _twice(measure: Measure) -> bool:
    column = measure.column
    steady = column is not None and (column.share or not _STEADY.isdisjoint(plain_words(column.name)))
    return not steady and measure.how in {How.MEAN, How.MEDIAN, How.STD}


def _check_share(draft: Draft, measures: tuple[Measure, ...], keys: list[Column]) -> None:
    if len(keys) != 1:
        draft.problem("A share is of one kind of group: write “share of total … per …”.")
    if any(one.how not in {How.SUM, How.COUNT, None} or (one.column and one.column.share) for one in measures):
        draft.problem("A share is of a total or a number of rows.")


def _counted(draft: Draft, before: Task | None) -> Task | None:
    """`orders in 2022 by region`: nothing but rows and groups."""
    if any(key.calculable for key in draft.keys):
        draft.problem("It is not said what to do with the rows: write “sorted by …”, or “number of rows per …”.")
    draft.note("Rows are counted.")
    draft.measures.append(Measure(None, How.COUNT))
    return _group(draft, before)


def _rows(draft: Draft, before: Task | None) -> Task | None:
    del before
    if draft.keys or draft.series or draft.over_time or draft.versus or draft.then or draft.pivot or draft.wide:
        draft.problem(_ask_how(draft))
        return None
    columns = _columns(draft)
    if columns and all(column.numbers_rows or column.unique for column in columns) and not (draft.listing or draft.top):
        columns, draft.of_table = (), True  # "patients older than 65" are rows
    added = tuple(dict.fromkeys((*draft.added, *(column for column in columns if column.made))))
    if draft.left_out and columns:
        draft.problem("Columns are asked for and left out at once.")
    if draft.left_out:
        columns = tuple(one for one in draft.table.columns if one not in draft.left_out and not one.made)
    if draft.top:
        return _top_rows(draft, columns, added)
    if draft.sort and draft.sort.by is None:
        draft.problem("It is not said by which column the rows are to be sorted.")
    if not (draft.first or added or draft.left_out or draft.sort):
        _check_rows(draft, columns)
    if columns and draft.sort and draft.sort.by not in columns and all(_shared_by_rows(draft, one) for one in columns):
        names = listed([bold(column.name) for column in columns])
        draft.problem(f"Several rows share one {names}: say by which figure, such as its mean, they are to be sorted.")
    if _only_values(draft, columns):
        return Distinct(columns)
    return Rows(columns, sort=_order(draft, ()), first=draft.first, added=added)


def _shared_by_rows(draft: Draft, column: Column) -> bool:
    """True for a column that makes groups of several rows."""
    return column.groups and not column.calculable and column.distinct < draft.table.rows - column.missing


def _top_rows(draft: Draft, columns: tuple[Column, ...], added: tuple[Column, ...]) -> Rows:
    ranking = [measure.column for measure in draft.ranking if measure.column]
    by = next(iter(ranking or [column for column in columns if column.kind is Kind.NUMBER]), None)
    if by is None or len(ranking) > 1:
        draft.problem("It is not said by which column the top is taken.")
    if draft.first or draft.left_out:
        draft.problem("A top is asked for together with other rows or columns: ask for one of them.")
    top = _judged(draft, (Measure(by),) if by else ())
    added = tuple(dict.fromkeys((*added, *([by] if by and by.made else []))))
    return Rows(columns if ranking else (), top, by, _order(draft, ()), added=added)


def _only_values(draft: Draft, columns: tuple[Column, ...]) -> bool:
    """`list the districts`: one column that makes groups is a list of its values."""
    plain = not (draft.first or draft.sort or draft.added or draft.left_out or draft.of_rows)
    if len(columns) == 1 and columns[0].kind is Kind.BOOL and not draft.listing:
        draft.problem(f"It is not said which rows of {bold(columns[0].name)} are wanted: write “where … is yes”.")
    return plain and len(columns) == 1 and not columns[0].calculable and bool(draft.listing or draft.where)


def _check_rows(draft: Draft, columns: tuple[Column, ...]) -> None:
    asked = bool(draft.listing or draft.saving or draft.name or draft.ending or draft.joined)
    compared = any(not isinstance(condition, OneOf | InYears) for condition in draft.where)
    if len(columns) == 1 and columns[0].calculable:
        draft.problem(
            f"It is not said what to do with {bold(columns[0].name)}: plot it by a column, take its mean or total per "
            "group, or list it with other columns."
        )
    elif columns and draft.of_rows:
        names = listed([bold(column.name) for column in columns])
        draft.problem(f"It is not clear whether whole rows are wanted, or only {names}.")
    elif columns and not (asked or compared or (len(columns) == 1 and draft.where)):
        draft.problem(
            "It is not said what to do with the columns: plot, list, save, or take a mean or total per group."
        )
    elif not columns and not (
        (draft.where and (asked or compared or draft.of_table))
        or (asked and (draft.of_table or draft.ending))
        or draft.joined
    ):
        draft.problem("It is not said what to do.")


def _claims_group(draft: Draft) -> bool:
    taken = bool(draft.hows or draft.having or any(one.how for one in [*draft.measures, *draft.ranking]))
    by_groups = bool((draft.keys or draft.series or draft.wide) and any(_is_number(one) for one in draft.measures))
    return taken or by_groups or bool(draft.top and draft.keys) or draft.then is not None or draft.wide is not None


def _is_number(measure: Measure) -> bool:
    return measure.column is not None and measure.column.calculable


INTENTS: Final[tuple[tuple[Callable[[Draft], bool], Callable[[Draft, Task | None], Task | None]], ...]] = (
    (lambda draft: draft.correlation, _correlation),
    (lambda draft: draft.describe, _describe),
    (lambda draft: draft.missing, _missing),
    (lambda draft: bool(draft.duplicates), _duplicates),
    (lambda draft: draft.proportion, _proportion),
    (lambda draft: bool(draft.spread), _spread),
    (lambda draft: draft.distribution and any(map(_is_number, draft.measures)) and not draft.shape, _spread),
    (lambda draft: draft.scatter, _scatter),
    (lambda draft: draft.chart or (draft.over_time and draft.then is None), _chart),
    (lambda draft: draft.distinct, _distinct),
    (_claims_group, _group),
    (
        lambda draft: (
            bool(draft.keys and draft.of_table)
            and not (draft.measures or draft.series or draft.added or draft.top or draft.first or draft.left_out)
        ),
        _counted,
    ),
    (lambda draft: True, _rows),  # noqa: ARG005 - what is left is about rows
)


def _measures(draft: Draft, before: Task | None) -> tuple[Measure, ...]:
    """The measures with the ways to take them, said before the column, after it, or of columns of the clause before."""
    measures = list(draft.measures)
    if not measures and draft.added:
        measures = [Measure(column) for column in draft.added]
    if draft.ranking:
        ranked = draft.ranking[0]
        if [measure.column for measure in measures] not in ([], [ranked.column]):
            draft.problem("A top is taken by the column that is asked for, not by another.")
        measures = [replace(measure, how=ranked.how or measure.how) for measure in measures] or [ranked]
    if draft.then in {Then.SHARE, Then.RUNNING} and not draft.hows:
        measures = [replace(one, how=one.how or How.SUM) for one in measures]
    if draft.hows and not draft.hows_used:
        if not measures:
            measures = list(_inherited(draft, before))
        if any(one.how for one in measures):
            draft.problem("It is not said which column each way of counting is for.")
        measures = [replace(one, how=how) for one in measures for how in draft.hows]
    _check_measures(draft, measures)
    return tuple(measures)


def _check_measures(draft: Draft, measures: Sequence[Measure]) -> None:
    for measure in (*measures, *(one.measure for one in draft.having)):
        column = measure.column
        if column is not None and column.ratio and measure.how is How.SUM:
            totals = listed([bold(one.name) for one in dict.fromkeys(sources(column))])
            draft.problem(
                f"A total of {bold(column.name)} would add up ratios, which means nothing: write “mean” for their "
                f"mean, or ask for the totals of {totals}."
            )
        of_dates = measure.how in {How.MIN, How.MAX} and column is not None and column.in_time
        if column is not None and column.kind is not Kind.NUMBER and measure.how is not How.DISTINCT and not of_dates:
            why = f" ({column.doubt})" if column.doubt else ""
            draft.problem(f"{bold(column.name)} holds {_PLURAL[column.kind]}{why}; I draw and calculate with numbers.")
        if (
            column is not None
            and column.kind is Kind.NUMBER
            and not column.calculable
            and measure.how is not How.DISTINCT
        ):
            draft.problem(f"{bold(column.name)} tells rows apart; it is nothing to calculate with.")
    if len(set(measures)) < len(measures):
        draft.problem("The same is asked for twice.")


_PLURAL: Final = {
    Kind.TEXT: "texts", Kind.DATE: "dates", Kind.YEAR: "years", Kind.BOOL: "yes and no", Kind.EMPTY: "nothing",
    Kind.NUMBER: "numbers",
}  # fmt: skip


def _inherited(draft: Draft, before: Task | None) -> tuple[Measure, ...]:
    """The columns of the clause before, or the only number column there is."""
    if isinstance(before, Chart | Group) and all(measure.column for measure in before.measures):
        return tuple(dict.fromkeys(Measure(measure.column) for measure in before.measures))
    numbers = [column for column in draft.table.columns if column.calculable]
    return (Measure(numbers[0]),) if len(numbers) == 1 and not draft.place else ()


def _numbers_of(draft: Draft) -> str:
    numbers = [bold(column.name) for column in draft.table.columns if column.kind is Kind.NUMBER]
    if not numbers:
        return "; the table has no number column"
    return f"; the number column{'s are' if len(numbers) > 1 else ' is'} {listed(numbers)}"


def _ask_how(draft: Draft) -> str:
    measured = [measure.column for measure in draft.measures if measure.column]
    columns = listed([bold(column.name) for column in measured]) or "each group"
    way = "mean" if any(column.ratio for column in measured) else "mean or total"
    return f"It is not said how the rows of a group become one: plot them, or take the {way} of {columns}."
