"""Which are the best or the worst, and in what order an outcome is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipython_assistant.engine.models.analyst.plan import (
    Chart,
    Group,
    Measure,
    Rows,
    Sort,
    Task,
    Then,
    Top,
)
from ipython_assistant.engine.models.analyst.superlatives import good_if_large
from ipython_assistant.engine.models.markdown import bold, listed

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Draft


def judged_top(draft: Draft, measures: tuple[Measure, ...]) -> Top | None:
    """The top that is asked for; of the best or the worst, which ones these are."""
    if draft.top is None or draft.judged not in {"best", "worst"}:
        return draft.top
    column = measures[0].column if measures else None
    return replace(draft.top, largest=good_if_large(draft, column) is (draft.judged == "best"))


def order_named(draft: Draft, measures: tuple[Measure, ...]) -> Sort | None:
    """The order that is asked for; none where it is that of what was calculated first and is said so."""
    if draft.sort is None:
        return None
    figure = draft.sorted_by
    if figure and measures and draft.sort.by is None and not _same_figure(figure, measures[0]):
        name = bold(figure.column.name) if figure.column else "the number of rows"
        draft.problem(f"Groups are sorted by what is calculated first, not by {name}: ask for that first.")
    by = None if measures and draft.sort.by == measures[0].column else draft.sort.by
    if draft.sort.by and sum(measure.column == draft.sort.by for measure in measures) > 1:
        draft.problem(f"It is not said which figure of {bold(draft.sort.by.name)} is to be sorted by.")
    descending = draft.sort.descending
    if draft.judged in {"best", "worst"} and draft.top is None:
        column = draft.sort.by or (measures[0].column if measures else None)
        descending = good_if_large(draft, column) is (draft.judged == "best")
    return replace(draft.sort, by=by, descending=descending)


def _same_figure(named: Measure, measure: Measure) -> bool:
    return named.column == measure.column and named.how in {None, measure.how}


def with_order(draft: Draft, task: Task) -> Task | None:
    """A task with an order that was asked for after it; None if it has none."""
    match task:
        case Group(measures=measures):
            ordered = replace(task, sort=order_named(draft, measures))
            check_order(draft, ordered)
            return ordered
        case Chart(kind="bar", measures=measures, series=None):
            order = order_named(draft, measures)
            if order and order.by:
                draft.problem("Bars are sorted by what is drawn.")
            return replace(task, sort=order)
        case Rows() if draft.sort and draft.sort.by:
            return replace(task, sort=order_named(draft, ()))
        case _:
            return None


def check_order(draft: Draft, task: Group) -> None:
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
