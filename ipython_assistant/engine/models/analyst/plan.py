"""The typed plan: what is going to be done with a table, before any code is written.

A plan is a table, the rows of it that count, one task, and the names of the files to write. A new intent is a new task
here, a reader in `intents`, a writer in `pandas_code`, and a sentence in `wording`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.tables import sources

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.tables import Column, Table, Unit


class How(StrEnum):
    """How many values become one; the names are those of pandas' methods, but for the count of rows and the rate.

    A rate is that of a column made by dividing: the total of what is above by the total of what is below. Percentiles
    are read off between the two nearest rows, as pandas does.
    """

    MEAN = "mean"
    SUM = "sum"
    MEDIAN = "median"
    MIN = "min"
    MAX = "max"
    COUNT = "count"
    DISTINCT = "nunique"
    STD = "std"
    RATE = "rate"
    P5 = "p5"
    P10 = "p10"
    P25 = "p25"
    P75 = "p75"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"
    IQR = "iqr"


PERCENTILES: Final = (How.P5, How.P10, How.P25, How.P75, How.P90, How.P95, How.P99)


class Sign(StrEnum):
    """A comparison, as Python writes it."""

    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    EQUAL = "=="
    OTHER = "!="


@dataclass(frozen=True, slots=True)
class OneOf:
    """Rows whose cell is one of these texts, or none of them."""

    column: Column
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InYears:
    """Rows of these years, or of all others; the column holds years or dates."""

    column: Column
    years: tuple[int, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """Rows whose number, year or date compares so with a bound; a whole number beside dates is a year.

    A bound that is a way to take numbers is that of the column itself, over all rows: its mean, its median.
    """

    column: Column
    sign: Sign
    bound: float | str | How


@dataclass(frozen=True, slots=True)
class Between:
    """Rows whose number, year or date lies between two bounds, both included."""

    column: Column
    low: float | str
    high: float | str


@dataclass(frozen=True, slots=True)
class InPart:
    """Rows whose date falls in these months, quarters or weekdays, of any year; counted from 1."""

    column: Column
    unit: Unit
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """Rows whose text holds another, begins or ends with it, upper and lower case alike; or all others.

    Args:
        column: The column of texts.
        text: What is looked for, as it is written.
        where: `contains`, `startswith` or `endswith`, as pandas calls it.
        negated: All other rows that have a text.
    """

    column: Column
    text: str
    where: str = "contains"
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Blank:
    """Rows without a value, or those with one."""

    column: Column
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Rows that meet at least one of these."""

    conditions: tuple[Condition, ...]


Condition = OneOf | InYears | Compare | Between | InPart | Contains | Blank | AnyOf


def compared(condition: Condition) -> tuple[Column, ...]:
    """The columns a condition looks at."""
    if isinstance(condition, AnyOf):
        return tuple(column for one in condition.conditions for column in compared(one))
    return (condition.column,)


@dataclass(frozen=True, slots=True)
class Measure:
    """What is drawn or calculated: a column taken in some way, or the count of rows (no column).

    `how` is None where the prompt named no way; it stays so if one row stands for each value.
    """

    column: Column | None
    how: How | None = None


@dataclass(frozen=True, slots=True)
class Top:
    """The n largest or smallest, or that many percent of all; all that share the last place are kept."""

    count: int
    largest: bool
    percent: bool = False


@dataclass(frozen=True, slots=True)
class Sort:
    """In what order rows or groups are written; no column means by what was calculated first."""

    descending: bool
    by: Column | None = None


class Then(StrEnum):
    """What is done with the numbers of groups once they are calculated."""

    SHARE = "share"
    RUNNING = "running total"
    CHANGE = "change"
    GROWTH = "change in percent"


@dataclass(frozen=True, slots=True)
class Having:
    """Groups whose number compares so with a bound."""

    measure: Measure
    sign: Sign
    bound: float


@dataclass(frozen=True, slots=True)
class Describe:
    """An overview of the columns: kind, filled and missing cells, smallest, mean, largest. No columns means all."""

    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """How many cells of each column are missing; with keys, in each group. No columns means all."""

    columns: tuple[Column, ...] = ()
    keys: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Rows that are there more than once, compared by some columns or, without any, as a whole.

    Args:
        columns: What makes two rows the same.
        keep: `all` lists every copy, `first` is the table with each row once, `count` says how many are too many.
    """

    columns: tuple[Column, ...] = ()
    keep: str = "all"


@dataclass(frozen=True, slots=True)
class Distinct:
    """The different values of columns, or their combinations, each once."""

    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Correlation:
    """How columns of numbers go together: Pearson's coefficient for each two; as a heat map where a chart is wanted."""

    columns: tuple[Column, ...]
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Proportion:
    """How many of the rows meet a condition, and what share of all that is; with keys, of each group.

    With `of`, it is not the rows that are counted but the total of that column.
    """

    condition: Condition
    keys: tuple[Column, ...] = ()
    of: Column | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """A line, bar, stacked or heat chart of measures over a column; with `series`, one line for each of its values."""

    kind: str
    measures: tuple[Measure, ...]
    over: Column
    series: Column | None = None
    top: Top | None = None
    then: Then | None = None
    sort: Sort | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """A histogram or box plot of numbers; with `per`, one for each of its values."""

    kind: str
    columns: tuple[Column, ...]
    per: Column | None = None
    bins: int = 0


@dataclass(frozen=True, slots=True)
class Scatter:
    """A point for each row; with `series`, a colour for each of its values."""

    x: Column
    y: Column
    series: Column | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A table with one row per group and one column per measure; no keys means one row for all.

    Args:
        measures: What is calculated.
        keys: What makes groups.
        top: Only the largest or smallest of them.
        wide: A further key whose values become columns.
        then: What is done with the numbers after that.
        sort: The order of the groups; by their keys if there is none.
        having: Which groups are kept.
        within: The top is taken within each of these keys, not of all groups.
        decimals: Numbers are rounded to so many decimals; not at all if negative.
    """

    measures: tuple[Measure, ...]
    keys: tuple[Column, ...]
    top: Top | None = None
    wide: Column | None = None
    then: Then | None = None
    sort: Sort | None = None
    having: tuple[Having, ...] = ()
    within: tuple[Column, ...] = ()
    decimals: int = -1


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as they are written in the file; no columns means all.

    Args:
        columns: Which columns are written.
        top: Only the rows with the largest or smallest numbers.
        by: What they are ranked by.
        sort: Their order; that of the file if there is none.
        first: Only so many from the beginning; from the end if negative.
        added: Columns that are calculated and written after the others.
    """

    columns: tuple[Column, ...] = ()
    top: Top | None = None
    by: Column | None = None
    sort: Sort | None = None
    first: int = 0
    added: tuple[Column, ...] = ()


Task = Describe | Missing | Duplicates | Distinct | Correlation | Proportion | Chart | Spread | Scatter | Group | Rows
PICTURED: Final = (Chart, Spread, Scatter)
"""Tasks that make a picture, and a table file only where it is asked for."""


def drawn(task: Task) -> bool:
    """True where the outcome is a picture."""
    return isinstance(task, PICTURED) or (isinstance(task, Correlation) and task.drawn)


@dataclass(frozen=True, slots=True)
class Plan:
    """One thing to do.

    Args:
        table: The table it works on.
        task: What to do.
        where: The conditions a row must meet, all of them.
        picture: The picture's file name, for a chart; empty until it is named.
        save: The table file's name; empty until it is named, or for a chart whose points are not asked for.
        notes: How words of the prompt were read where that was not obvious, as Markdown sentences.
    """

    table: Table
    task: Task
    where: tuple[Condition, ...] = ()
    picture: str = ""
    save: str = ""
    notes: tuple[str, ...] = ()


def keys_of(plan: Plan) -> tuple[Column, ...]:
    """The columns that make a plan's groups, or the axis and lines of its chart."""
    match plan.task:
        case Chart(over=over, series=series):
            return (over, series) if series else (over,)
        case Group(keys=keys, wide=wide):
            return (*keys, wide) if wide else keys
        case Spread(per=per):
            return (per,) if per else ()
        case Missing(keys=keys) | Proportion(keys=keys):
            return keys
        case _:
            return ()


def columns_of(plan: Plan) -> tuple[Column, ...]:
    """The columns of the table a plan uses, in its order; then those that are made of them."""
    used = [*(column for condition in plan.where for column in compared(condition)), *_used_by(plan.task, plan.table)]
    made = list(dict.fromkeys(column for column in used if column.made))
    needed = {source.name for column in used for source in sources(column)}
    return (*(column for column in plan.table.columns if column.name in needed), *made)


def _used_by(task: Task, table: Table) -> tuple[Column, ...]:
    match task:
        case Describe(columns) | Missing(columns):
            return (*(columns or table.columns), *(task.keys if isinstance(task, Missing) else ()))
        case Duplicates():
            return ()
        case Distinct(columns) | Correlation(columns):
            return columns
        case Proportion(condition, keys, of):
            return (*compared(condition), *keys, *_some(of))
        case Chart(over=over, series=series, sort=sort):
            return (over, *_some(series, _by(sort)), *measured(task))
        case Spread(columns=columns, per=per):
            return (*columns, *_some(per))
        case Scatter(x, y, series):
            return (x, y, *_some(series))
        case Group(keys=keys, wide=wide, sort=sort):
            return (*keys, *_some(wide, _by(sort)), *measured(task))
        case Rows(by=by, sort=sort, added=added):
            return (*_some(by, _by(sort)), *added)


def measured(task: Chart | Group) -> tuple[Column, ...]:
    """The columns that are calculated with, those of conditions on groups too."""
    conditions = task.having if isinstance(task, Group) else ()
    measures = (*task.measures, *(one.measure for one in conditions))
    return tuple(column for measure in measures for column in taken_of(measure))


def taken_of(measure: Measure) -> tuple[Column, ...]:
    """The columns whose cells a measure is taken of; of a rate, those whose totals are divided."""
    if measure.column is None:
        return ()
    return tuple(dict.fromkeys(sources(measure.column))) if measure.how is How.RATE else (measure.column,)


def _by(sort: Sort | None) -> Column | None:
    return sort.by if sort else None


def _some(*columns: Column | None) -> tuple[Column, ...]:
    return tuple(column for column in columns if column is not None)
