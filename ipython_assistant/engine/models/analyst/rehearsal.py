"""Settles what a prompt left open by counting rows first, and refuses what could only come out empty or unreadable."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.caveats import misleading, reservations, spellings
from ipython_assistant.engine.models.analyst.plan import (
    AnyOf,
    Blank,
    Chart,
    Condition,
    Contains,
    Correlation,
    Group,
    How,
    InYears,
    Measure,
    Missing,
    OneOf,
    Plan,
    Proportion,
    Rows,
    Scatter,
    Spread,
    Top,
    compared,
    keys_of,
    taken_of,
)
from ipython_assistant.engine.models.analyst.tables import Column, sources, spoken
from ipython_assistant.engine.models.analyst.wording import conditions_in_words
from ipython_assistant.engine.models.markdown import bold, code, listed

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.counts import Counts

MAX_LINES: Final = 30
"""Lines in one chart that can still be told apart."""
MAX_BARS: Final = 60
"""Bars in one chart that can still be named."""


def request(plan: Plan, select: str) -> dict[str, object]:
    """What has to be counted for a plan; `select` is the code that selects its rows."""
    unknown = [column.name for one in plan.where if _needs_value(one) for column in compared(one)]
    if isinstance(plan.task, Proportion):  # rows without a value count among all
        unknown += [column.name for column in compared(plan.task.condition)]
    join = plan.table.join
    return {
        "select": select,
        "compared": list(dict.fromkeys(unknown)),
        "keys": [key.name for key in keys_of(plan)],
        "measures": [_asked(one) for one in _numbers_of(plan)],
        "join": [join.left_key.name, join.right_key.name] if join else [],
    }


def _asked(measure: Measure) -> dict[str, object]:
    """What is to be counted of a column of numbers; nothing but rows where there is none, and those of a rate."""
    column = measure.column
    if column is None or measure.how is How.RATE:
        return {"name": None, "made_of": [one.name for one in taken_of(measure)], "parts": []}
    made_of = sources(column) if column.made else ()
    names = {"made_of": made_of, "parts": column.parts}
    return {"name": column.name, **{key: list(dict.fromkeys(one.name for one in some)) for key, some in names.items()}}


def _needs_value(condition: Condition) -> bool:
    """True where a row without a value would go unnoticed: comparisons with what is missing are never true."""
    match condition:
        case OneOf(negated=negated):
            return negated
        case Blank() | Contains():
            return False
        case AnyOf(conditions=several):
            return all(map(_needs_value, several))
        case _:
            return True


def kept_without_value(plan: Plan) -> frozenset[str]:
    """The columns of which rows without a value are kept by a condition: they are not this or that either."""
    return frozenset(one.column.name for one in plan.where if isinstance(one, OneOf | InYears) and one.negated)


def _numbers_of(plan: Plan) -> tuple[Measure, ...]:
    match plan.task:
        case Chart(measures=measures):
            return measures
        case Group(measures=measures, having=having):
            return (*measures, *(one.measure for one in having))
        case Proportion(of=Column() as of):
            return (Measure(of, How.SUM),)
        case Missing(keys=(_, *_)) | Proportion(keys=(_, *_)):
            return (Measure(None, How.COUNT),)
        case Rows(top=Top(), by=by):
            return (Measure(by),)
        case Spread(columns=columns) | Correlation(columns=columns):
            return tuple(map(Measure, columns))
        case Scatter(x, y, _):
            return (Measure(x), Measure(y))
        case _:
            return ()


def settled(plan: Plan, counts: Counts) -> Plan | str:
    """The plan with nothing left open, or why it cannot be done, as Markdown."""
    if counts.rows == 0 and plan.where:
        return f"No row of {bold(plan.table.name)} fits: {conditions_in_words(plan)}."
    task = plan.task
    plan = replace(plan, notes=plan.notes + spellings(plan))
    if not isinstance(task, Chart | Group):
        return plan
    if not any(measure.known for measure in counts.measures):
        return f"No row has a value for {_columns(plan)}."
    several = [known.largest > 1 for known in counts.measures[: len(task.measures)]]
    unsaid = [one for one, more in zip(task.measures, several, strict=True) if more and one.how is None and one.column]
    if asked := [one.column for one in unsaid if one.column and not (one.column.share or one.column.added)]:
        return _ask(plan, asked[0])
    if isinstance(task, Chart) and (why := _crowded(task, counts)):
        return why
    measures = tuple(replace(one, how=_natural(one)) if one in unsaid else one for one in task.measures)
    taken = [*measures, *(one.measure for one in task.having)] if isinstance(task, Group) else measures
    if why := misleading(plan, taken, counts):
        return why
    notes = plan.notes + tuple(_shared(plan, [one]) for one in unsaid)
    notes += reservations(plan, [one for one, more in zip(measures, several, strict=True) if more])
    if isinstance(task, Group):
        return replace(_group(plan, task, measures, counts), notes=notes)
    return replace(plan, task=replace(task, measures=measures), notes=notes)


def _crowded(task: Chart, counts: Counts) -> str:
    if task.series and task.kind != "heat" and counts.keys[task.series.name] > MAX_LINES:
        number = counts.keys[task.series.name]
        return f"{bold(task.series.name)} has {number} values: over {MAX_LINES} lines cannot be told apart. Name some."
    bars = counts.keys[task.over.name] if task.kind == "stacked" else max(known.groups for known in counts.measures)
    if task.kind in {"bar", "stacked"} and not task.top and bars > MAX_BARS:
        return f"There would be over {MAX_BARS} bars. Ask for a line, for the top 20, or for fewer values."
    return ""


def _natural(measure: Measure) -> How:
    """How rows become one where it is not said: shares by their mean, amounts by their total."""
    return How.SUM if measure.column and measure.column.added else How.MEAN


def _group(plan: Plan, task: Group, measures: tuple[Measure, ...], counts: Counts) -> Plan:
    """What has one row per group is taken as it stands, and a top of such groups is a top of rows."""
    first = measures[0]
    named = not any(counts.measures[0].missing.get(key.name) for key in task.keys)  # a row without a key is no group
    bare = named and not (task.wide or task.then or task.having or task.within or task.sort or task.decimals >= 0)
    if task.top and bare and first.how is None and first.column and len(measures) == 1:
        return replace(plan, task=Rows((*task.keys, first.column), task.top, first.column))
    taken = tuple(one if one.how or one.column is None else replace(one, how=_as_is(one)) for one in measures)
    return replace(plan, task=replace(task, measures=taken))


def _as_is(measure: Measure) -> How:
    """A way to take one number that leaves it as it is, whole numbers whole."""
    return How.MAX if measure.column and measure.column.whole else How.MEAN


def _shared(plan: Plan, unsaid: list[Measure]) -> str:
    keys = listed([bold(key.name) for key in keys_of(plan)])
    columns = listed([bold(one.column.name) for one in unsaid if one.column])
    way = "total of {}" if _natural(unsaid[0]) is How.SUM else "mean of {}, each row counting once"
    if not keys:
        return f"It is not said how the rows become one: I take the {way.format(columns)}."
    return f"Several rows share one {keys}: I take the {way.format(columns)}."


def _ask(plan: Plan, column: Column) -> str:
    keys = listed([bold(key.name) for key in keys_of(plan)])
    name = spoken(column)
    lines = ", or name a column for one line per value" if isinstance(plan.task, Chart) and not plan.task.series else ""
    total = "" if column.ratio else f" or {code(f'total {name}')}"
    ways = f"{code(f'mean {name}')}{total}{lines}"
    share = f"Several rows share one {keys}" if keys else "There are several rows"
    return f"{share}, and it is not said how they become one: write {ways}."


def _columns(plan: Plan) -> str:
    columns = [one.column for one in plan.task.measures if one.column] if isinstance(plan.task, Chart | Group) else []
    return listed([bold(column.name) for column in (*columns, *keys_of(plan))])
