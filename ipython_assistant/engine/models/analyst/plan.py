"""The typed plan: what is going to be done with a table, before any code is written.

A plan is a table, the rows of it that count, one task, and the names of the files to write. A new intent is a new task
here, a reader in `intents`, a writer in `pandas_code`, and a sentence in `wording`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.tables import Column, Table


class How(StrEnum):
    """How many values become one; the names are those of pandas' methods, but for the count of rows."""

    MEAN = "mean"
    SUM = "sum"
    MEDIAN = "median"
    MIN = "min"
    MAX = "max"
    COUNT = "count"


class Sign(StrEnum):
    """A comparison, as Python writes it."""

    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    EQUAL = "=="


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
    """Rows whose number, year or date compares so with a bound; a whole number beside dates is a year."""

    column: Column
    sign: Sign
    bound: float | str


@dataclass(frozen=True, slots=True)
class Between:
    """Rows whose number, year or date lies between two bounds, both included."""

    column: Column
    low: float | str
    high: float | str


Condition = OneOf | InYears | Compare | Between


@dataclass(frozen=True, slots=True)
class Measure:
    """What is drawn or calculated: a column taken in some way, or the count of rows (no column).

    `how` is None where the prompt named no way; it stays so if one row stands for each value.
    """

    column: Column | None
    how: How | None = None


@dataclass(frozen=True, slots=True)
class Top:
    """The n largest or smallest; all that share the last place are kept."""

    count: int
    largest: bool


@dataclass(frozen=True, slots=True)
class Describe:
    """An overview of the columns: kind, filled and missing cells, smallest, mean, largest. No columns means all."""

    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A line or bar chart of measures over a column; with `series`, one line for each of its values."""

    kind: str
    measures: tuple[Measure, ...]
    over: Column
    series: Column | None = None
    top: Top | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A table with one row per group and one column per measure; no keys means one row for all."""

    measures: tuple[Measure, ...]
    keys: tuple[Column, ...]
    top: Top | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as they are written in the file; no columns means all. `by` ranks them where only the top is wanted."""

    columns: tuple[Column, ...] = ()
    top: Top | None = None
    by: Column | None = None


Task = Describe | Chart | Group | Rows


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


def columns_of(plan: Plan) -> tuple[Column, ...]:
    """The columns a plan uses, in the order of the table."""
    used = {condition.column.name for condition in plan.where}
    match plan.task:
        case Describe(columns):
            used |= {column.name for column in columns or plan.table.columns}
        case Chart(measures=measures, over=over, series=series):
            used |= {over.name} | ({series.name} if series else set())
            used |= {measure.column.name for measure in measures if measure.column}
        case Group(measures=measures, keys=keys):
            used |= {key.name for key in keys} | {measure.column.name for measure in measures if measure.column}
        case Rows(by=by):
            used |= {by.name} if by else set()
    return tuple(column for column in plan.table.columns if column.name in used)
