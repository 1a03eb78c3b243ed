"""Plans in words: for the answer (Markdown), for comments in the code and for the titles of charts (plain)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import markdown
from ipython_assistant.engine.models.analyst.markdown import listed, one_line
from ipython_assistant.engine.models.analyst.plan import (
    Between,
    Chart,
    Compare,
    Condition,
    Describe,
    Group,
    How,
    InYears,
    Measure,
    OneOf,
    Plan,
    Rows,
    Sign,
    Top,
)
from ipython_assistant.engine.models.analyst.tables import Column, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipython_assistant.engine.models.analyst.draft import Draft

HOW_WORDS: Final = {
    How.MEAN: "mean", How.SUM: "total", How.MEDIAN: "median", How.MIN: "minimum", How.MAX: "maximum",
    How.COUNT: "number",
}  # fmt: skip
_SIGN_WORDS: Final = {
    Sign.LESS: "under {}", Sign.AT_MOST: "at most {}", Sign.MORE: "over {}", Sign.AT_LEAST: "at least {}",
    Sign.EQUAL: "{}",
}  # fmt: skip
_TIME_WORDS: Final = {
    Sign.LESS: "before {}", Sign.AT_MOST: "{} or earlier", Sign.MORE: "after {}", Sign.AT_LEAST: "{} or later",
    Sign.EQUAL: "{}",
}  # fmt: skip
_MOST_VALUES: Final = 5
"""Values of a condition that are written out in a title."""


@dataclass(frozen=True, slots=True)
class _Style:
    name: Callable[[str], str]
    value: Callable[[str], str]
    file: Callable[[str], str]


MARKDOWN: Final = _Style(markdown.bold, markdown.quoted, markdown.code)
_PLAIN: Final = _Style(one_line, lambda value: f'"{one_line(value)}"', str)


def in_words(plan: Plan, *, plain: bool = False) -> str:
    """What a plan does, in one sentence without a full stop: Markdown, or one plain line."""
    style = _PLAIN if plain else MARKDOWN
    where = f"rows where {listed([condition_in_words(one, style) for one in plan.where])}" if plan.where else "all rows"
    match plan.task:
        case Describe(columns):
            parts = [f"overview of {_names(columns, style) if columns else style.name(plan.table.name)}", where]
        case Chart(kind=kind, measures=measures, over=over, series=series, top=top):
            parts = [f"{kind} chart of {measures_in_words(measures, style)} by {style.name(over.name)}"]
            parts += [f"one {kind} per {style.name(series.name)}"] if series else []
            parts += [*_top(top), where]
        case Group(measures=measures, keys=keys, top=top):
            parts = [f"{measures_in_words(measures, style)}{f' per {_names(keys, style)}' if keys else ''}"]
            parts += [*_top(top), where]
        case Rows(columns=columns, top=top, by=by):
            parts = [where] if not (top and by) else [f"{_top(top)[0]} by {style.name(by.name)} of {where}"]
            parts.append(f"only {_names(columns, style)}" if columns else "every column")
            parts[-1] += ", as written in the file"
    if plan.picture:
        parts.append(f"saved as {style.file(plan.picture)}")
    if plan.save:
        parts.append(f"the points as {style.file(plan.save)}" if plan.picture else f"saved as {style.file(plan.save)}")
    return ", ".join(parts)


def _top(top: Top | None) -> list[str]:
    return [f"the {top.count} {'largest' if top.largest else 'smallest'}"] if top else []


def _names(columns: Sequence[Column], style: _Style) -> str:
    return listed([style.name(column.name) for column in columns])


def measures_in_words(measures: Sequence[Measure], style: _Style = _PLAIN) -> str:
    """`mean of coverage and total of treated`."""
    return listed([measure_in_words(measure, style) for measure in measures])


def measure_in_words(measure: Measure, style: _Style = _PLAIN) -> str:
    """`mean of coverage`, `number of rows`, or the column's name where it is taken as it is."""
    if measure.column is None:
        return "number of rows"
    name = style.name(measure.column.name)
    return f"{HOW_WORDS[measure.how]} of {name}" if measure.how else name


def condition_in_words(condition: Condition, style: _Style = _PLAIN) -> str:
    """`district is “Arvessa North”`, `year is 2018 to 2020`."""
    name = style.name(condition.column.name)
    match condition:
        case OneOf(values=values, negated=negated):
            shown = [style.value(value) for value in values]
            return f"{name} is {'not ' if negated else ''}{listed(shown, 'or')}"
        case InYears(years=years, negated=negated):
            return f"{name} is {'not ' if negated else ''}{listed([str(year) for year in years], 'or')}"
        case Compare(column, sign, bound):
            words = _TIME_WORDS if column.in_time else _SIGN_WORDS
            return f"{name} is {words[sign].format(_bound(column, bound))}"
        case Between(column, low, high):
            return f"{name} is {_bound(column, low)} to {_bound(column, high)}"


def _bound(column: Column, bound: float | str) -> str:
    if isinstance(bound, str) or column.kind in {Kind.YEAR, Kind.DATE}:
        return str(bound)
    return f"{bound:,}"


def title(plan: Plan) -> str:
    """A chart's title: what is drawn, and of which rows."""
    task = plan.task
    if not isinstance(task, Chart):
        return ""
    drawn = ", ".join([f"{measures_in_words(task.measures)} by {one_line(task.over.name)}", *_top(task.top)])
    shown = [_short(condition) for condition in plan.where]
    return drawn[:1].upper() + drawn[1:] + (f"\n{', '.join(shown)}" if shown else "")


def _short(condition: Condition) -> str:
    if isinstance(condition, OneOf) and len(condition.values) > _MOST_VALUES:
        return f"{len(condition.values)} values of {one_line(condition.column.name)}"
    if isinstance(condition, OneOf) and not condition.negated:
        return f"{one_line(condition.column.name)}: {listed([one_line(value) for value in condition.values], 'or')}"
    return condition_in_words(condition)


def reading_notes(column: Column) -> str:
    """How the cells of a column were read, where that is not obvious; a Markdown sentence or nothing."""
    name = markdown.bold(column.name)
    sentences = []
    if column.sample and column.conversion:
        plain = column.sample
        for old, new in _AS_READ:
            plain = plain.replace(old, new)
        if "decimal comma" in column.conversion:
            plain = plain.replace(",", ".")
        sentences.append(
            f"In {name}, {markdown.quoted(column.sample)} is read as {markdown.escape(plain.replace(',', ''))}."
        )
    if column.ignored:
        cells = [f"{markdown.quoted(cell)} ({times:,})" for cell, times in column.ignored[:_MOST_VALUES]]
        more = len(column.ignored) - len(cells)
        cells += [f"{more:,} more"] if more > 0 else []
        sentences.append(f"In {name}, what is no number counts as missing: {listed(cells)}.")
    return " ".join(sentences)


_AS_READ: Final = (("%", ""), (" ", ""), ("\u00a0", ""), ("\u202f", ""))


def conditions_in_words(plan: Plan) -> str:
    """All of a plan's conditions, as Markdown."""
    return listed([condition_in_words(one, MARKDOWN) for one in plan.where])


def drafted(draft: Draft) -> list[str]:
    """What was understood of a clause that could not be understood as a whole, as Markdown."""
    parts = []
    if draft.chart:
        parts.append(f"a {draft.shape} chart".replace("  ", " "))
    parts += ["an overview"] if draft.describe else []
    parts += [f"the {'top' if draft.top.largest else 'bottom'} {draft.top.count}"] if draft.top else []
    parts += [HOW_WORDS[how] for how in draft.hows] if draft.hows and not draft.hows_used else []
    parts += [measure_in_words(measure, MARKDOWN) for measure in [*draft.measures, *draft.ranking]]
    parts += [f"by {markdown.bold(key.name)}" for key in [*draft.keys, *draft.series]]
    if draft.where:
        parts.append(f"rows where {listed([condition_in_words(one, MARKDOWN) for one in draft.where])}")
    parts += [f"a file {markdown.code(draft.name)}"] if draft.name else []
    return parts
