"""The typed plan: what is to be done with a table, before any code is written.

A plan is plain data with one JSON form, the one that a model fills in: names of columns and values, never code.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

TABLES: Final = ("table", "pivot", "describe", "missing", "duplicates", "without duplicates", "distinct", "correlation")
"""Outputs that are a table."""
CHARTS: Final = ("line", "bar", "stacked bar", "horizontal bar", "pie", "heatmap", "histogram", "box", "scatter")
"""Outputs that are a picture."""
OF_COLUMNS: Final = frozenset(TABLES[2:])  # what is said of columns, without groups or measures
OF_POINTS: Final = frozenset({"histogram", "box", "scatter"})  # charts of the rows themselves
UNITS: Final = ("year", "quarter", "month", "week", "weekday", "day", "hour")
COMPARISONS: Final = ("<", "<=", ">", ">=")
NEGATED: Final = frozenset({"not in", "!=", "does not contain", "is not missing"})
ROWS: Final = "rows"  # stands for the rows themselves where a column could stand
AS_IT_IS: Final = "as it is"  # the aggregate that the question leaves open


class PlanError(ValueError):
    """A plan that cannot be carried out; the message says why, to a person."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Rows that count: `op` is `in`, `<`, `contains`, `since`, ...; a value may be `2024-03`, `latest month`."""

    column: str
    op: str
    values: tuple[str | float, ...] = ()


@dataclass(frozen=True, slots=True)
class NewColumn:
    """A column calculated of two columns or numbers."""

    name: str
    left: str
    op: str
    right: str


@dataclass(frozen=True, slots=True)
class Measure:
    """What is calculated: an aggregate of a column, or the count of `rows`.

    The aggregate is as pandas calls it, or `count distinct`, `weighted mean` with weights in `by`, `ratio` (total over
    total, for `per` so many of what `by` counts), `percent that fit` the `part`, `as it is`.
    """

    aggregate: str
    column: str = ROWS
    by: str = ""
    per: float = 1
    part: tuple[RowFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """What makes groups: a column, or the unit of time that its dates fall in."""

    column: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """In what order rows or groups come; `measure` stands for what is calculated first."""

    by: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """One thing to do with a table, or with two that are joined where the two columns of `on` are the same.

    All filters must fit, or one of them where `either` is set. Keys make groups, or stand on the axis of a chart;
    `across` makes the columns of a pivot, or a chart's lines and colours. `then` is done with the numbers after that,
    such as `running total`, or `rolling mean` of `window` rows. A `limit` of 0 keeps all; no `columns` are all of them.
    """

    output: str
    tables: tuple[str, ...] = ()
    on: tuple[str, str] | None = None
    filters: tuple[RowFilter, ...] = ()
    either: bool = False
    new_columns: tuple[NewColumn, ...] = ()
    keys: tuple[Key, ...] = ()
    across: Key | None = None
    measures: tuple[Measure, ...] = ()
    then: str = ""
    window: int = 0
    order: Order | None = None
    limit: int = 0
    columns: tuple[str, ...] = ()
    file: str = ""

    @property
    def drawn(self) -> bool:
        """True where the outcome is a picture."""
        return self.output in CHARTS

    @property
    def all_keys(self) -> tuple[Key, ...]:
        """The keys, and what goes across."""
        return (*self.keys, self.across) if self.across else self.keys

    @property
    def all_filters(self) -> tuple[RowFilter, ...]:
        """The filters, and what fits in shares."""
        return (*self.filters, *(one for measure in self.measures for one in measure.part))

    def used(self) -> tuple[str, ...]:
        """The columns it names anywhere, each once; those it calculates too."""
        sides = [side for new in self.new_columns for side in (new.left, new.right) if not is_number(side)]
        measured = [name for one in self.measures for name in (one.column, one.by) if name not in {"", ROWS}]
        ranked = [self.order.by] if self.order and self.order.by != "measure" else []
        chosen, keys = [one.column for one in self.all_filters], [key.column for key in self.all_keys]
        return tuple(dict.fromkeys([*chosen, *sides, *keys, *measured, *ranked, *self.columns]))


def is_number(text: str) -> bool:
    """Whether a side of a calculation is a number, not a column."""
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def days_of(period: str) -> tuple[str, str]:
    """The first and the last day of `2024`, `2024-Q1`, `2024-03` or `2024-03-01`. Raises `PlanError`."""
    try:
        year, _, rest = period.partition("-")
        if rest.count("-"):
            return str(dt.date.fromisoformat(period)), period
        first, last = (int(rest or 1), int(rest or 12)) if rest[:1] != "Q" else (int(rest[1]) * 3 - 2, int(rest[1]) * 3)
        return str(dt.date(int(year), first, 1)), str(dt.date(int(year), last, calendar.monthrange(int(year), last)[1]))
    except ValueError:
        raise PlanError(f"{period} is not a date.") from None
