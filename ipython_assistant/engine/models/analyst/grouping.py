"""Reads a clause as a table of groups: their keys, pivots, and what follows from their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.lexing import plain_words
from ipython_assistant.engine.models.analyst.measuring import ask_how, is_number, measures_named, numbers_offered
from ipython_assistant.engine.models.analyst.ordering import check_order, judged_top, order_named
from ipython_assistant.engine.models.analyst.periods import of_unit
from ipython_assistant.engine.models.analyst.plan import (
    Between,
    Compare,
    Condition,
    Group,
    How,
    InYears,
    Measure,
    OneOf,
    Task,
    Then,
)
from ipython_assistant.engine.models.analyst.ratios import ratio_of
from ipython_assistant.engine.models.analyst.tables import Column, Unit, sources
from ipython_assistant.engine.models.markdown import bold, listed

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Draft


def names_several(condition: Condition) -> bool:
    """True for a condition that names several values or years."""
    match condition:
        case OneOf(values=several) | InYears(years=several):
            return len(several) > 1 and not condition.negated
        case _:
            return False


def read_group(draft: Draft, before: Task | None) -> Task | None:
    """A table with a row for each group, or one for all."""
    if draft.having:
        _grouped_by_mention(draft)
    measures = measures_named(draft, before)
    if draft.having:
        if draft.so_many and measures:
            draft.problem("It is not clear whether the numbers are to be of these rows only: ask for the groups alone.")
        measures = measures or (draft.having[0].measure,)
    keys = list(dict.fromkeys((*draft.keys, *draft.series)))
    if draft.over_time and not any(key.in_time for key in keys):
        _add_time(draft, keys)
    if draft.versus or draft.compare:
        _set_against(draft, keys)
    if draft.over_key and draft.then is None:
        draft.problem("“Over” has two readings: write “per” for one row each, or leave it out for all together.")
    if not measures:
        draft.problem(f"It is not said of which column{numbers_offered(draft)}.")
        return None
    if draft.top_rows and keys:
        draft.problem("A top of rows within each group is not something I do: ask for the top of all rows.")
    _check_each(draft, keys)
    wide = _wide(draft, keys)
    _check_group(draft, measures, keys, wide)
    then = draft.then
    top = judged_top(draft, measures)
    within = tuple(key for key in keys if key != draft.top_of) if top and draft.top_of in keys else ()
    if within and top and top.percent:
        draft.problem("So many percent within each group is not something I do: ask for a number of them.")
    order = order_named(draft, measures)
    task = Group(measures, tuple(keys), top, wide, then, order, tuple(draft.having), within, draft.decimals)
    check_order(draft, task)
    return task


def _check_each(draft: Draft, keys: list[Column]) -> None:
    """What was said of one of two measures only, and days that several rows share."""
    if len({count for count in draft.conditions_at if count}) > 1:
        draft.problem("It is not clear which of the measures each condition is about: ask for one measure at a time.")
    if len({count for count in draft.keys_at if count}) > 1:
        draft.problem("It is not clear which of the measures each group is for: ask for one measure at a time.")
    distinct = [one.column for one in draft.measures if one.how is How.DISTINCT and one.column and one.column.in_time]
    compared = [one.column for one in draft.where if isinstance(one, Compare | Between) and one.column.calculable]
    rows = draft.table.rows
    of_one = bool(keys) or any(
        isinstance(one, OneOf) and not one.negated and not names_several(one) for one in draft.where
    )
    if compared and not of_one and any(column.distinct < rows for column in distinct):
        draft.problem(
            f"Several rows may share one day or month: it is not clear whether {bold(compared[0].name)} of one row is "
            "meant, or of all of them together."
        )


def key_of(condition: OneOf | InYears) -> Column:
    """What values are told apart by: years, where these are named, even if the column holds days."""
    return of_unit(condition.column, Unit.YEAR) if isinstance(condition, InYears) else condition.column


def _set_against(draft: Draft, keys: list[Column]) -> None:
    """`for LF vs Oncho` is one row each."""
    several = [key_of(one) for one in draft.where if isinstance(one, OneOf | InYears) and names_several(one)]
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
        draft.problem(ask_how(draft))
    if any(one.how is None and one.column and one.column.made for one in measures):
        draft.problem(ask_how(draft))
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
    return not steady and measure.how not in {None, How.SUM, How.COUNT, How.DISTINCT, How.MIN, How.MAX, How.RATE}


def _check_share(draft: Draft, measures: tuple[Measure, ...], keys: list[Column]) -> None:
    if len(keys) != 1:
        draft.problem("A share is of one kind of group: write “share of total … per …”.")
    if any(one.how not in {How.SUM, How.COUNT, None} or (one.column and one.column.share) for one in measures):
        draft.problem("A share is of a total or a number of rows.")


def read_count(draft: Draft, before: Task | None) -> Task | None:
    """`orders in 2022 by region`: nothing but rows and groups."""
    if any(key.calculable for key in draft.keys):
        draft.problem("It is not said what to do with the rows: write “sorted by …”, or “number of rows per …”.")
    draft.note("Rows are counted.")
    draft.measures.append(Measure(None, How.COUNT))
    return read_group(draft, before)


def claims_group(draft: Draft) -> bool:
    """True where something is calculated, or groups of numbers are asked for."""
    taken = bool(draft.hows or draft.having or any(one.how for one in [*draft.measures, *draft.ranking]))
    numbers = any(is_number(one) for one in draft.measures) or any(map(ratio_of, draft.added))
    by_groups = bool((draft.keys or draft.series or draft.wide) and numbers)
    return (
        taken
        or by_groups
        or draft.overall
        or bool(draft.top and draft.keys)
        or draft.then is not None
        or draft.wide is not None
    )
