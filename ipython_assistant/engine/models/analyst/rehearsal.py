"""Settles what a prompt left open by counting rows first, and refuses what could only come out empty or unreadable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.analyst.markdown import bold, code, listed
from ipython_assistant.engine.models.analyst.plan import (
    Between,
    Chart,
    Compare,
    Group,
    How,
    InYears,
    Measure,
    Plan,
    Rows,
)
from ipython_assistant.engine.models.analyst.wording import conditions_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipython_assistant.engine.models.analyst.tables import Column

MAX_LINES: Final = 30
"""Lines in one chart that can still be told apart."""
MAX_BARS: Final = 60
"""Bars in one chart that can still be named."""


@dataclass(frozen=True, slots=True)
class Known:
    """Rows that have a value for one measure and its groups.

    Args:
        known: How many such rows there are.
        missing: For each of the columns, the rows without a value.
        groups: How many groups they make.
        largest: The rows of the largest group.
    """

    known: int
    missing: Mapping[str, int]
    groups: int
    largest: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows a plan is about.

    Args:
        all: Rows of the table.
        rows: Rows that meet the conditions.
        uncompared: For each column in a comparison, rows of the table without a value, which meet no condition.
        keys: For each column that makes groups, its different values.
        measures: What there is for each measure.
    """

    all: int
    rows: int
    uncompared: Mapping[str, int]
    keys: Mapping[str, int]
    measures: tuple[Known, ...]


def counts_from(found: Mapping[str, Any]) -> Counts:
    """One plan's counts out of the kernel's JSON."""
    return Counts(**{**found, "measures": tuple(Known(**measure) for measure in found["measures"])})


def request(plan: Plan, select: str) -> dict[str, object]:
    """What has to be counted for a plan; `select` is the code that selects its rows."""
    measures = plan.task.measures if isinstance(plan.task, Chart | Group) else ()
    compared = [one.column.name for one in plan.where if isinstance(one, Compare | Between | InYears)]
    return {
        "select": select,
        "compared": list(dict.fromkeys(compared)),
        "keys": [key.name for key in keys_of(plan)],
        "measures": [measure.column.name if measure.column else None for measure in measures],
    }


def keys_of(plan: Plan) -> tuple[Column, ...]:
    """The columns that make a plan's groups, or the axis and lines of its chart."""
    match plan.task:
        case Chart(over=over, series=series):
            return (over, series) if series else (over,)
        case Group(keys=keys):
            return keys
        case _:
            return ()


def settled(plan: Plan, counts: Counts) -> Plan | str:
    """The plan with nothing left open, or why it cannot be done, as Markdown."""
    if counts.rows == 0 and plan.where:
        return f"No row of {bold(plan.table.name)} fits: {conditions_in_words(plan)}."
    task = plan.task
    if not isinstance(task, Chart | Group):
        return plan
    if not any(measure.known for measure in counts.measures):
        return f"No row has a value for {_columns(plan)}."
    several = [known.largest > 1 for known in counts.measures]
    unsaid = [one for one, more in zip(task.measures, several, strict=True) if more and one.how is None and one.column]
    if asked := [one.column for one in unsaid if one.column and not one.column.share]:
        return _ask(plan, asked[0])
    if isinstance(task, Group):
        return _group(plan, task, unsaid)
    if task.series and counts.keys[task.series.name] > MAX_LINES:
        number = counts.keys[task.series.name]
        return f"{bold(task.series.name)} has {number} values: over {MAX_LINES} lines cannot be told apart. Name some."
    if task.kind == "bar" and not task.top and max(known.groups for known in counts.measures) > MAX_BARS:
        return f"There would be over {MAX_BARS} bars. Ask for a line, for the top 20, or for fewer values."
    measures = tuple(replace(one, how=How.MEAN) if one in unsaid else one for one in task.measures)
    notes = (_shared(plan, unsaid),) if unsaid else ()
    return replace(plan, task=replace(task, measures=measures), notes=plan.notes + notes)


def _group(plan: Plan, task: Group, unsaid: list[Measure]) -> Plan:
    """A top of groups: their mean if they have several rows, else the rows themselves."""
    if unsaid:
        measures = tuple(replace(one, how=one.how or How.MEAN) for one in task.measures)
        return replace(plan, task=replace(task, measures=measures), notes=(*plan.notes, _shared(plan, unsaid)))
    first = task.measures[0]
    if first.how is None and first.column:
        return replace(plan, task=Rows((*task.keys, first.column), task.top, first.column))
    return plan


def _shared(plan: Plan, unsaid: list[Measure]) -> str:
    keys = listed([bold(key.name) for key in keys_of(plan)])
    columns = listed([bold(one.column.name) for one in unsaid if one.column])
    return f"Several rows share one {keys}: I take the mean of {columns}, each row counting once."


def _ask(plan: Plan, column: Column) -> str:
    keys = listed([bold(key.name) for key in keys_of(plan)])
    name = " ".join(column.name.split())
    lines = ", or name a column for one line per value" if isinstance(plan.task, Chart) and not plan.task.series else ""
    ways = f"{code(f'mean {name}')} or {code(f'total {name}')}{lines}"
    return f"Several rows share one {keys}, and it is not said how they become one: write {ways}."


def _columns(plan: Plan) -> str:
    columns = [one.column for one in plan.task.measures if one.column] if isinstance(plan.task, Chart | Group) else []
    return listed([bold(column.name) for column in (*columns, *keys_of(plan))])
