"""What is calculated, of which columns and in which way: the measures that a clause was understood to name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.plan import (
    Chart,
    Group,
    How,
    Measure,
    Task,
    Then,
)
from ipython_assistant.engine.models.analyst.ratios import ratio_of
from ipython_assistant.engine.models.analyst.tables import Column, Kind, sources
from ipython_assistant.engine.models.markdown import bold, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.analyst.draft import Draft


def columns_named(draft: Draft) -> tuple[Column, ...]:
    """The columns a clause names to be drawn, calculated or listed, each once."""
    return tuple(dict.fromkeys(measure.column for measure in draft.measures if measure.column))


def is_number(measure: Measure) -> bool:
    """True for a measure of numbers that may be calculated with."""
    return measure.column is not None and measure.column.calculable


def measures_named(draft: Draft, before: Task | None) -> tuple[Measure, ...]:
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
    measures = [replace(one, how=How.RATE) if one.how is None and ratio_of(one.column) else one for one in measures]
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
            draft.problem(f"{bold(column.name)} holds {PLURAL[column.kind]}{why}; I draw and calculate with numbers.")
        if (
            column is not None
            and column.kind is Kind.NUMBER
            and not column.calculable
            and measure.how is not How.DISTINCT
        ):
            draft.problem(f"{bold(column.name)} tells rows apart; it is nothing to calculate with.")
    if any(one.how is How.RATE for one in measures) and (len(measures) > 1 or draft.having):
        draft.problem("A rate is calculated by itself: ask for one at a time.")
    if len(set(measures)) < len(measures):
        draft.problem("The same is asked for twice.")


PLURAL: Final = {
    Kind.TEXT: "texts", Kind.DATE: "dates", Kind.YEAR: "years", Kind.BOOL: "yes and no", Kind.EMPTY: "nothing",
    Kind.NUMBER: "numbers",
}  # fmt: skip


def _inherited(draft: Draft, before: Task | None) -> tuple[Measure, ...]:
    """The columns of the clause before, or the only number column there is."""
    if isinstance(before, Chart | Group) and all(measure.column for measure in before.measures):
        return tuple(dict.fromkeys(Measure(measure.column) for measure in before.measures))
    numbers = [column for column in draft.table.columns if column.calculable]
    return (Measure(numbers[0]),) if len(numbers) == 1 and not draft.place else ()


def numbers_offered(draft: Draft) -> str:
    """The columns of numbers there are, to go on a sentence with."""
    numbers = [bold(column.name) for column in draft.table.columns if column.kind is Kind.NUMBER]
    if not numbers:
        return "; the table has no number column"
    return f"; the number column{'s are' if len(numbers) > 1 else ' is'} {listed(numbers)}"


def ask_how(draft: Draft) -> str:
    """What to write where it is not said how rows become one."""
    measured = list(columns_named(draft)) or draft.added
    columns = listed([bold(column.name) for column in measured]) or "each group"
    way = "mean" if any(column.ratio for column in measured) else "mean or total"
    return f"It is not said how the rows of a group become one: plot them, or take the {way} of {columns}."
