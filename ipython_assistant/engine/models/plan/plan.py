"""The typed plan: what is to be done with a table, before any code is written.

A plan is plain data with one JSON form, the one that a model fills in: names of columns and values, never code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """Rows that count: `op` is `in`, `not in`, `==`, `<`, `between`, `contains`, `is missing`, ...; `since` for dates.

    Values are texts, numbers, or periods such as `2024`, `2024-03` and `latest month`.
    """

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


def plan_from_json(found: Mapping[str, Any], columns: frozenset[str]) -> Plan:
    """The plan that a model filled in. Raises `PlanError`: it is no plan, or names a column that is not there."""
    try:
        plan = _plan({name: value for name, value in found.items() if value is not None}, columns)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise PlanError(f"The model's plan is not one: {type(error).__name__} {error}") from None
    if plan.output not in (*TABLES, *CHARTS):
        raise PlanError(f"The model asks for a {plan.output}, which there is not.")
    known = columns | {new.name for new in plan.new_columns}
    if unknown := [name for name in plan.used() if name not in known]:
        raise PlanError(f"There is no column {unknown[0]}.")
    return plan


def _plan(found: Mapping[str, Any], columns: frozenset[str]) -> Plan:
    filters = found.get("filters", {})
    if isinstance(filters, dict):  # by column; models that are held to nothing also write a list
        filters = [{"column": column, **one} for column, one in filters.items()]
    points = [Measure(AS_IT_IS, str(found[name])) for name in ("of", "y", "x") if name in found]
    new = [(one["name"], one["left"], one["op"], one["right"]) for one in found.get("new_columns", ())]
    keys = dict.fromkeys(_key(one, columns) for one in found.get("group_by", ()))
    across = _key(found["across"], columns) if found.get("across") else None
    across = None if list(keys) == [across] else across
    sort = found.get("sort")
    return Plan(
        output=str(found["output"]),
        tables=tuple(found.get("tables", ())),
        filters=tuple(map(_filter, filters)),
        either=found.get("filters_match") == "any",
        new_columns=tuple(NewColumn(*map(str, parts)) for parts in new),
        keys=tuple(one for one in keys if one != across),
        across=across,
        measures=tuple(dict.fromkeys(points or map(_measure, found.get("measures", ())))),
        then=str(found.get("then", "")),
        window=max(int(found.get("window", 0)), 0),
        order=Order(str(sort["by"]), sort["order"] == "descending") if sort else None,
        limit=max(int(found.get("limit", 0)), 0),
        columns=tuple(dict.fromkeys(found.get("columns", ()))),
    )


def _key(text: str, columns: frozenset[str]) -> Key:
    column, _, unit = text.rpartition(" by ")
    return Key(text) if text in columns or unit not in UNITS else Key(column, unit)


def _filter(one: Mapping[str, Any]) -> RowFilter:
    values = one.get("value", [])
    values = tuple(values) if isinstance(values, list) else (values,)
    if not all(isinstance(value, str | int | float) for value in values):
        raise TypeError(f"{one['column']} is compared with {values}")
    return RowFilter(str(one["column"]), str(one["op"]), values)


def _measure(one: Mapping[str, Any]) -> Measure:
    part = (_filter(one["part"]),) if one.get("part") else ()
    how, column, by = (str(one.get(name) or other) for name, other in (("agg", ""), ("column", ROWS), ("by", "")))
    return Measure(how, column, by, float(one.get("per", 1)), part)
