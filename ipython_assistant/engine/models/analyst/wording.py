"""Plans in words: for the answer (Markdown), for comments in the code and for the titles of charts (plain)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models import markdown
from ipython_assistant.engine.models.analyst.plan import (
    PERCENTILES,
    AnyOf,
    Between,
    Blank,
    Chart,
    Compare,
    Condition,
    Contains,
    Correlation,
    Describe,
    Distinct,
    Duplicates,
    Group,
    How,
    InPart,
    InYears,
    Measure,
    Missing,
    OneOf,
    Plan,
    Proportion,
    Rows,
    Scatter,
    Sign,
    Sort,
    Spread,
    Task,
    Then,
    Top,
)
from ipython_assistant.engine.models.analyst.tables import (
    DAYS,
    MONTHS,
    WEEKDAYS,
    Column,
    Formula,
    Kind,
    Period,
    Unit,
)
from ipython_assistant.engine.models.markdown import listed, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


HOW_WORDS: Final = {
    How.MEAN: "mean", How.SUM: "total", How.MEDIAN: "median", How.MIN: "minimum", How.MAX: "maximum",
    How.COUNT: "number", How.DISTINCT: "number of different", How.STD: "standard deviation", How.RATE: "rate",
    How.IQR: "interquartile range", **{how: f"{how[1:]}th percentile" for how in PERCENTILES},
}  # fmt: skip
_SIGN_WORDS: Final = {
    Sign.LESS: "under {}", Sign.AT_MOST: "at most {}", Sign.MORE: "over {}", Sign.AT_LEAST: "at least {}",
    Sign.EQUAL: "{}", Sign.OTHER: "not {}",
}  # fmt: skip
_TIME_WORDS: Final = {
    Sign.LESS: "before {}", Sign.AT_MOST: "{} or earlier", Sign.MORE: "after {}", Sign.AT_LEAST: "{} or later",
    Sign.EQUAL: "{}", Sign.OTHER: "not {}",
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
    parts = _task_in_words(plan, where, style)
    if plan.picture:
        parts.append(f"saved as {style.file(plan.picture)}")
    if plan.save:
        written = "the coefficients" if isinstance(plan.task, Correlation) else "the points"
        parts.append(f"{written} as {style.file(plan.save)}" if plan.picture else f"saved as {style.file(plan.save)}")
    return ", ".join(parts)


def _task_in_words(plan: Plan, where: str, style: _Style) -> list[str]:
    match plan.task:
        case Describe(columns):
            return [f"overview of {_names(columns, style) if columns else style.name(plan.table.shown)}", where]
        case Missing(columns, keys):
            per = f" per {_names(keys, style)}" if keys else ""
            return [f"missing cells of {_names(columns, style) if columns else 'each column'}{per}", where]
        case Duplicates(columns, keep):
            same = f"the same {_names(columns, style)}" if columns else "the same in every column"
            kept = {
                "all": "every row that has another with",
                "first": "the first of the rows with",
                "count": "how many rows follow another with",
            }
            return [f"{kept[keep]} {same}", where]
        case Distinct(columns):
            return [
                f"the different {'values' if len(columns) == 1 else 'combinations'} of {_names(columns, style)}",
                where,
            ]
        case Correlation(columns, drawn):
            what = "heat map of the correlations" if drawn else "correlations (Pearson)"
            return [f"{what} of {_names(columns, style)}", where]
        case Proportion(condition, keys, amount):
            per = f" per {_names(keys, style)}" if keys else ""
            of = f"the total of {_column(amount, style)}" if amount else "rows"
            return [f"share of {of} where {condition_in_words(condition, style)}{per}, out of {where}"]
        case Chart() | Spread() | Scatter():
            return [*_drawn(plan.task, style), where]
        case Group():
            return [*_grouped(plan.task, style), where]
        case Rows():
            return _rows(plan.task, where, style)


def _drawn(task: Chart | Spread | Scatter, style: _Style) -> list[str]:
    match task:
        case Chart(kind=kind, over=over, series=series, top=top, sort=sort):
            named = {"stacked": "stacked bar chart", "heat": "heat map"}.get(kind, f"{kind} chart")
            parts = [f"{named} of {drawn_in_words(task, style)} by {_column(over, style)}"]
            one = {"stacked": "part", "heat": "row"}.get(kind, kind)
            return (
                parts
                + ([f"one {one} per {_column(series, style)}"] if series else [])
                + _top(top)
                + _sorted(sort, style)
            )
        case Spread(kind, columns, per):
            parts = [f"{'histogram' if kind == 'hist' else 'box plot'} of {_names(columns, style)}"]
            return parts + ([f"one per {_column(per, style)}"] if per else [])
        case Scatter(x, y, series):
            parts = [f"scatter chart of {_column(y, style)} against {_column(x, style)}"]
            return parts + ([f"one colour per {_column(series, style)}"] if series else [])


def _grouped(task: Group, style: _Style) -> list[str]:
    parts = [measures_in_words(task.measures, style) + (f" per {_names(task.keys, style)}" if task.keys else "")]
    if task.then and not task.wide:
        parts[0] = f"{parts[0]}, and {_THEN_WORDS[task.then]}"
    if task.wide:
        parts.append(f"one column per {_column(task.wide, style)}")
        if task.then:
            parts.append(f"and the {task.then.value} from the first to the last of them")
    for one in task.having:
        named = measure_in_words(one.measure, style)
        parts.append(f"only groups whose {named} is {_SIGN_WORDS[one.sign].format(f'{one.bound:,}')}")
    within = f" within each {_names(task.within, style)}" if task.within else ""
    parts += [f"{words}{within}" for words in _top(task.top)] + _sorted(task.sort, style)
    return parts + ([f"rounded to {task.decimals} decimals"] if task.decimals >= 0 else [])


_THEN_WORDS: Final = {
    Then.SHARE: "each as a share of their sum in percent",
    Then.RUNNING: "the running total",
    Then.CHANGE: "the change from the one before",
    Then.GROWTH: "the change from the one before in percent",
}


def _rows(task: Rows, where: str, style: _Style) -> list[str]:
    parts = [where]
    if task.top and task.by:
        parts = [f"{_top(task.top)[0]} by {_column(task.by, style)} of {where}"]
    if task.first:
        parts = [f"the {'first' if task.first > 0 else 'last'} {abs(task.first)} of {where}"]
    parts += _sorted(task.sort, style)
    columns = [column for column in task.columns if not column.made]
    parts.append(f"only {_names(columns, style)}" if columns else "every column")
    parts[-1] += ", as written in the file"
    parts += [f"and {_column(column, style)}" for column in task.added]
    return parts


def _top(top: Top | None) -> list[str]:
    count = f"{top.count}{' %' if top.percent else ''}" if top else ""
    return [f"the {count} {'largest' if top.largest else 'smallest'}"] if top else []


def _sorted(sort: Sort | None, style: _Style) -> list[str]:
    if sort is None:
        return []
    words = ("latest first", "earliest first") if sort.by and sort.by.in_time else ("largest first", "smallest first")
    if sort.by and sort.by.kind is Kind.TEXT and not sort.by.in_time:
        words = ("from Z to A", "from A to Z")
    by = f" by {_column(sort.by, style)}" if sort.by else ""
    return [f"sorted{by}, {words[0] if sort.descending else words[1]}"]


def drawn_in_words(task: Chart, style: _Style = _PLAIN) -> str:
    """What a chart's points are: `total of units`, `running total of units`."""
    words = measures_in_words(task.measures, style)
    match task.then:
        case None:
            return words
        case Then.SHARE:
            return f"share of {words} in percent"
        case Then.RUNNING:
            return f"{task.then.value} of {words.removeprefix('total of ')}"
        case _:
            return f"{task.then.value} of {words}"


def _column(column: Column, style: _Style) -> str:
    """A column's name, and how it is made where it is not in the file."""
    match column.made:
        case Period(dates, unit):
            if column.name == unit.value:
                return f"{unit.value} of {style.name(dates.name)}"
            return f"{style.name(column.name)} ({unit.value} of {style.name(dates.name)})"
        case Formula() as formula if formula_in_words(formula) == column.name:
            return formula_in_words(formula, style)
        case Formula() as formula:
            return f"{style.name(column.name)} = {formula_in_words(formula, style)}"
        case _:
            return style.name(column.name)


def formula_in_words(part: Column | float | Formula, style: _Style = _PLAIN, *, inner: bool = False) -> str:
    """`treated / targeted * 100`."""
    if isinstance(part, Column):
        return style.name(part.name)
    if not isinstance(part, Formula):
        return f"{part:,}"
    if part.sign == DAYS:
        return f"days from {formula_in_words(part.right, style)} to {formula_in_words(part.left, style)}"
    sign = {"*": "×", "-": "\u2212"}.get(part.sign, part.sign)
    left, right = formula_in_words(part.left, style, inner=True), formula_in_words(part.right, style, inner=True)
    return f"({left} {sign} {right})" if inner else f"{left} {sign} {right}"


def _names(columns: Sequence[Column], style: _Style) -> str:
    return listed([_column(column, style) for column in columns])


def measures_in_words(measures: Sequence[Measure], style: _Style = _PLAIN) -> str:
    """`mean of coverage and total of treated`."""
    return listed([measure_in_words(measure, style) for measure in measures])


def measure_in_words(measure: Measure, style: _Style = _PLAIN) -> str:
    """`mean of coverage`, `number of rows`, or the column's name where it is taken as it is."""
    if measure.column is None:
        return "number of rows"
    if measure.how is How.RATE and isinstance(measure.column.made, Formula):
        totals = _Style(lambda name: f"total of {style.name(name)}", style.value, style.file)
        return formula_in_words(measure.column.made, totals)
    name = _column(measure.column, style)
    return f"{HOW_WORDS[measure.how]} of {name}" if measure.how else name


def condition_in_words(condition: Condition, style: _Style = _PLAIN) -> str:
    """`district is “Arvessa North”`, `year is 2018 to 2020`."""
    if isinstance(condition, AnyOf):
        return listed([condition_in_words(one, style) for one in condition.conditions], "or")
    name = _column(condition.column, style)
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
        case InPart(unit=unit, numbers=numbers):
            return f"{name} is in {listed([_part(unit, number) for number in numbers], 'or')}"
        case Contains(text=text, where=place, negated=negated):
            verb = {"contains": "contain", "startswith": "begin with", "endswith": "end with"}[place]
            return f"{name} {'does not' if negated else 'does'} {verb} {style.value(text)}"
        case Blank(negated=negated):
            return f"{name} is {'not ' if negated else ''}missing"


def _part(unit: Unit, number: int) -> str:
    names = {Unit.MONTH_OF_YEAR: MONTHS, Unit.WEEKDAY: WEEKDAYS}.get(unit)
    return names[number - 1] if names else f"quarter {number}" if unit is Unit.QUARTER else f"hour {number}"


def _bound(column: Column, bound: float | str | How) -> str:
    if isinstance(bound, How):
        return f"its {HOW_WORDS[bound]}"
    if isinstance(bound, str) or column.kind in {Kind.YEAR, Kind.DATE}:
        return str(bound)
    return f"{bound:,}"


def title(plan: Plan) -> str:
    """A chart's title: what is drawn, and of which rows."""
    drawn = ", ".join(_titled(plan.task))
    shown = [_short(condition) for condition in plan.where]
    return drawn[:1].upper() + drawn[1:] + (f"\n{', '.join(shown)}" if shown else "")


def _titled(task: Task) -> list[str]:
    match task:
        case Chart(over=over, top=top):
            return [f"{drawn_in_words(task)} by {one_line(over.name)}", *_top(top)]
        case Spread() | Scatter():
            return _drawn(task, _PLAIN)
        case Correlation():
            return ["correlations"]
        case _:
            return []


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
