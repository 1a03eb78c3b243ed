"""The typed plan: what is to be done with a table, before any code is written.

A plan is plain data with one JSON form, the one that a model fills in: names of columns and values, never code. A new
operation is a new word here, a case in `pandas_code`, a phrase in `words`, and a test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TABLES: Final = ("table", "pivot", "describe", "missing", "duplicates", "without duplicates", "distinct", "correlation")
"""Outputs that are a table."""
CHARTS: Final = (
    "line", "bar", "stacked bar", "horizontal bar", "pie", "heatmap", "histogram", "box", "scatter",
    "correlation heatmap",
)  # fmt: skip
"""Outputs that are a picture."""
OF_COLUMNS: Final = frozenset({*TABLES[2:], "correlation heatmap"})
"""Outputs that say something about columns, without groups or measures."""
UNITS: Final = ("year", "quarter", "month", "week", "day", "weekday", "hour")
"""Stretches of time that dates fall in."""
COMPARISONS: Final = ("<", "<=", ">", ">=")
NEGATED: Final = frozenset({"not in", "!=", "does not contain", "is not missing"})
ROWS: Final = "rows"
"""Stands for the rows themselves where a column could stand."""
AS_IT_IS: Final = "as it is"
"""The aggregate that the question leaves open."""
_PERCENTILE: Final = re.compile(r"p([1-9]\d?)")


class PlanError(ValueError):
    """A plan that cannot be carried out; the message says why, to a person."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Rows that count.

    Attributes:
        column: The column that is compared.
        op: `in`, `not in`, `==`, `!=`, `<`, ..., `between`, `is missing`, `contains`, ...; for dates `before`, `since`
            and so on.
        values: Texts, numbers, or periods such as `2024`, `2024-03` and `2024-03-01`; `latest` and `earliest`.
    """

    column: str
    op: str
    values: tuple[str | float, ...] = ()


@dataclass(frozen=True, slots=True)
class NewColumn:
    """A column that is calculated: two columns or numbers, and what is done with them.

    `days since` counts the days from the right date to the left one.
    """

    name: str
    left: str
    op: str
    right: str


@dataclass(frozen=True, slots=True)
class Measure:
    """What is calculated: an aggregate of a column, or the count of rows.

    Attributes:
        aggregate: `sum`, `mean`, `median`, `min`, `max`, `std`, `count`, `count distinct`, `p90` for a percentile,
            `weighted mean`, `ratio` (total over total), `percent that fit`, or `as it is`.
        column: The column; `rows` counts rows.
        by: The weights of a weighted mean, or what a ratio divides by.
        per: A ratio is given for so many of what it divides by: 1, 100, 1000, ...
        part: What fits, for `percent that fit`.
    """

    aggregate: str
    column: str = ROWS
    by: str = ""
    per: float = 1
    part: tuple[Filter, ...] = ()

    @property
    def percentile(self) -> int:
        """Which percentile it is; 0 if it is none."""
        found = _PERCENTILE.fullmatch(self.aggregate)
        return int(found[1]) if found else 0


@dataclass(frozen=True, slots=True)
class Key:
    """What makes groups: a column, the unit of time that its dates fall in, or bands of its numbers."""

    column: str
    unit: str = ""
    bands: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.bands:
            return f"{self.column} in bands {', '.join(self.bands)}"
        return f"{self.column} by {self.unit}" if self.unit else self.column


@dataclass(frozen=True, slots=True)
class Order:
    """In what order rows or groups come; `measure` stands for what is calculated first."""

    by: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """One thing to do.

    Attributes:
        output: One of `TABLES` or `CHARTS`.
        tables: The table; two where they are joined, the one whose rows are counted first.
        on: The columns they are joined on, left and right.
        filters: The rows that count.
        either: A row counts if it fits one of the filters, not all.
        new_columns: Columns that are calculated first.
        keys: What makes groups, or stands on the axis of a chart.
        across: What makes the columns of a pivot, or the lines and colours of a chart.
        measures: What is calculated.
        then: What is done with the numbers after that.
        window: The length of a rolling mean, in rows.
        keep_groups: Only groups whose first measure compares so with a number.
        order: The order of rows or groups.
        limit: Only the first so many of that order; all where it is 0.
        percent: `limit` counts percent of the rows.
        columns: The columns that are shown, compared or correlated, where not all are.
        bins: The bars of a histogram; 20 where it is 0.
        file: The file's name.
    """

    output: str
    tables: tuple[str, ...] = ()
    on: tuple[str, str] | None = None
    filters: tuple[Filter, ...] = ()
    either: bool = False
    new_columns: tuple[NewColumn, ...] = ()
    keys: tuple[Key, ...] = ()
    across: Key | None = None
    measures: tuple[Measure, ...] = ()
    then: str = ""
    window: int = 0
    keep_groups: tuple[str, float] | None = None
    order: Order | None = None
    limit: int = 0
    percent: bool = False
    columns: tuple[str, ...] = ()
    bins: int = 0
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
    def all_filters(self) -> tuple[Filter, ...]:
        """The filters, and what fits in shares."""
        return (*self.filters, *(one for measure in self.measures for one in measure.part))

    def used(self) -> tuple[str, ...]:
        """The columns it names anywhere, each once; those it calculates too."""
        return tuple(dict.fromkeys(self._used()))

    def _used(self) -> Iterator[str]:
        for one in self.all_filters:
            yield one.column
        for new in self.new_columns:
            yield from (part for part in (new.left, new.right) if not _is_number(part))
        for key in self.all_keys:
            yield key.column
        for measure in self.measures:
            yield from (name for name in (measure.column, measure.by) if name and name != ROWS)
        if self.order and self.order.by != "measure":
            yield self.order.by
        yield from self.columns


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


# ---- the JSON form


def key_of(text: str, bands: tuple[str, ...] = ()) -> Key:
    """A key as it is written in JSON: `age`, `visit date by month`, `age in bands`."""
    if text.endswith(" in bands"):
        return Key(text.removesuffix(" in bands"), bands=bands)
    column, _, unit = text.rpartition(" by ")
    return Key(column, unit) if column and unit in UNITS else Key(text)


def from_json(found: Mapping[str, Any], columns: frozenset[str], bands: tuple[str, ...] = ()) -> Plan:
    """The plan that a model filled in; a server need not have held it to the schema.

    Args:
        found: The JSON object.
        columns: The names of all columns: one of them may itself end in ` by month`.
        bands: The bands of numbers that the question names.

    Raises:
        PlanError: It is no plan, or names a column that is not there.
    """
    try:
        plan = _plan(found, columns, bands)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise PlanError(f"The model's plan is not one: {type(error).__name__} {error}") from None
    known = columns | {new.name for new in plan.new_columns} | {"measure"}
    if plan.output not in (*TABLES, *CHARTS):
        raise PlanError(f"The model asks for a {plan.output}, which there is not.")
    if unknown := [name for name in plan.used() if name not in known]:
        raise PlanError(f"There is no column {unknown[0]}.")
    return plan


def _plan(found: Mapping[str, Any], columns: frozenset[str], bands: tuple[str, ...]) -> Plan:
    def key(text: str) -> Key:
        return Key(text) if text in columns else key_of(text, bands)

    output = found["output"]
    measures = tuple(_measure(one) for one in found.get("measures", ()))
    if output in {"histogram", "box"} and "of" in found:
        measures = (Measure(AS_IT_IS, found["of"]),)
    if output == "scatter" and "y" in found:
        measures = (Measure(AS_IT_IS, found["y"]), Measure(AS_IT_IS, found["x"]))
    if output in {"correlation", "correlation heatmap"} and "of" in found:
        found = {**found, "columns": found["of"]}
    sort, keep = found.get("sort"), found.get("keep_groups")
    across = key(found["across"]) if found.get("across") else None
    keys = tuple(dict.fromkeys(key(one) for one in found.get("group_by", ())))
    return Plan(
        output=output,
        tables=tuple(found.get("tables", ())),
        filters=_filters(found.get("filters", {})),
        either=found.get("filters_match") == "any",
        new_columns=tuple(
            NewColumn(one["name"], str(one["left"]), one["op"], str(one["right"]))
            for one in found.get("new_columns", ())
        ),
        keys=tuple(one for one in keys if one != across) or keys,
        across=across if across and (across not in keys or len(keys) > 1) else None,
        measures=tuple(dict.fromkeys(measures)),
        then=found.get("then", ""),
        window=int(found.get("window", 0)),
        keep_groups=(keep["op"], float(keep["value"])) if keep else None,
        order=Order(sort["by"], sort["order"] == "descending") if sort else None,
        limit=int(found.get("limit", 0)),
        percent=bool(found.get("limit_percent")),
        columns=tuple(dict.fromkeys(found.get("columns", ()))),
        bins=int(found.get("bins", 0)),
    )


def _filters(found: Any) -> tuple[Filter, ...]:
    """Filters by column, `{"age": {"op": ">", "value": [65]}}`; models that are held to nothing also write a list."""
    if isinstance(found, dict):
        found = [{"column": column, **one} for column, one in found.items()]
    return tuple(_filter(one) for one in found)


def _filter(found: Mapping[str, Any]) -> Filter:
    values = found.get("value", [])
    return Filter(found["column"], found["op"], tuple(values) if isinstance(values, list) else (values,))


def _measure(found: Mapping[str, Any]) -> Measure:
    part = found.get("part")
    return Measure(
        found["agg"],
        found.get("column", ROWS),
        found.get("by", ""),
        float(found.get("per", 1)),
        (_filter(part),) if part else (),
    )
