"""What would be silently wrong of the rows that are there: why it is refused, or what has to be said with it.

Totals over rows that lack a part, of looked-up rows that repeat, changes of nothing; means of ratios; values that are
the same but for their spelling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.lexing import fold
from ipython_assistant.engine.models.analyst.plan import (
    Distinct,
    Group,
    How,
    Measure,
    Plan,
    Proportion,
    keys_of,
    taken_of,
)
from ipython_assistant.engine.models.analyst.tables import spoken
from ipython_assistant.engine.models.markdown import bold, code, listed, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.analyst.counts import Counts, Known
    from ipython_assistant.engine.models.analyst.tables import Column

MAX_SPELLINGS: Final = 5
"""Values written in several ways that are named."""


def misleading(plan: Plan, measures: Sequence[Measure], counts: Counts) -> str:
    """Why the outcome would not be what it is called, as Markdown; empty if it would.

    Args:
        plan: A chart or groups.
        measures: Its measures, and those of its conditions on groups, each with the way it is taken.
        counts: What there is for them, in that order.
    """
    for one, known in zip(measures, counts.measures, strict=True):
        if one.how is How.SUM and one.column and known.partial:
            return _partial(one.column, known)
        if one.how is How.SUM and one.column and plan.table.repeats(one.column):
            return _repeated(plan, one.column)
        if one.how is How.RATE and (repeated := [part for part in taken_of(one) if plan.table.repeats(part)]):
            return _repeated(plan, repeated[0])
    task = plan.task
    if isinstance(task, Group) and task.wide and task.then and counts.keys[task.wide.name] < 2:  # noqa: PLR2004
        return f"There is only one {bold(task.wide.name)} in these rows: nothing changes from it to another."
    return ""


def reservations(plan: Plan, measures: Sequence[Measure]) -> tuple[str, ...]:
    """What has to be said of means that are taken of several rows each, as Markdown sentences."""
    means = [one.column for one in measures if one.how is How.MEAN and one.column]
    said = [_of_ratios(column) for column in means if column.ratio]
    said += [_of_totals(one.column) for one in measures if one.how is How.RATE and one.column]
    return (*said, *(_of_rows(plan, column) for column in means if plan.table.repeats(column)))


def spellings(plan: Plan) -> tuple[str, ...]:
    """That values which may be the same are not taken for the same: “Yes” and “yes”; Markdown sentences."""
    return tuple(filter(None, map(_written_apart, _told_apart(plan))))


def _partial(column: Column, known: Known) -> str:
    """Why a total of a sum is not taken where rows have only some of what is added up, and what to ask instead."""
    parts = [part for part in column.parts if known.missing.get(part.name)]
    rows = "1 row has" if known.partial == 1 else f"{known.partial:,} rows have"
    totals = " and ".join(f"total {spoken(part)}" for part in dict.fromkeys(column.parts))
    filled = " and ".join(f"{spoken(part)} is known" for part in parts)
    return (
        f"{rows} no {listed([bold(part.name) for part in parts], 'or')}: a total of {bold(column.name)} would leave "
        f"out the rest of what these rows hold. Ask for {code(totals)}, or add {code(f'where {filled}')}."
    )


def _repeated(plan: Plan, column: Column) -> str:
    """Why a total is not taken of what two tables put together repeat."""
    join = plan.table.join
    left, right = (bold(side.shown) for side in ((join.left, join.right) if join else (plan.table, plan.table)))
    return (
        f"Several rows of {left} share one row of {right}: a total would count its {bold(column.name)} once for each "
        f"of them. Ask for the total in {right} alone."
    )


def _of_ratios(column: Column) -> str:
    return (
        f"The mean of {bold(column.name)} is the mean of the rows' ratios, each row counting once: "
        "it is not the ratio of the totals."
    )


def _of_totals(column: Column) -> str:
    return (
        f"The rate {bold(column.name)} is that of the totals, over rows that have all of its numbers: "
        "it is not the mean of the rows' rates."
    )


def _of_rows(plan: Plan, column: Column) -> str:
    left = plan.table.join.left.shown if plan.table.join else plan.table.shown
    return f"The mean of {bold(column.name)} counts it once for each row of {bold(left)}."


def _told_apart(plan: Plan) -> tuple[Column, ...]:
    """The columns whose values are told apart."""
    match plan.task:
        case Distinct(columns=columns):
            return columns
        case Proportion(keys=keys):
            return keys
        case Group(measures=measures):
            counted = (one.column for one in measures if one.how is How.DISTINCT and one.column)
            return (*keys_of(plan), *counted)
        case _:
            return keys_of(plan)


def _written_apart(column: Column) -> str:
    spellings: dict[str, list[str]] = {}
    for value in column.values if column.made is None else ():
        spellings.setdefault(" ".join(fold(value).split()), []).append(value)
    several = [values for values in spellings.values() if len(values) > 1]
    if not several:
        return ""
    shown = [listed(list(map(quoted, values))) for values in several[:MAX_SPELLINGS]]
    return f"In {bold(column.name)}, {'; '.join(shown)} differ only in how they are written: each is kept apart."
