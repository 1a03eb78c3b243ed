"""A plan in words: in the answer (Markdown), as a comment in the code and as the title of a chart (plain)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ipython_assistant.engine.models.plan.plan import (
    OF_COLUMNS,
    OF_POINTS,
    ROWS,
    Key,
    Measure,
    NewColumn,
    Plan,
    RowFilter,
    is_number,
)
from ipython_assistant.engine.models.safe_markdown import bold, clean_line, listed, quoted

Name = Callable[[str], str]

_AGGREGATES: Final = {
    "sum": "sum of", "mean": "mean of", "median": "median of", "min": "smallest", "max": "largest",
    "std": "standard deviation of", "count": "number of values of", "count distinct": "number of different",
    "as it is": "",
}  # fmt: skip
_OPS: Final = {
    "in": "is", "not in": "is not", "==": "is", "!=": "is not", "<": "is under", "<=": "is at most", ">": "is over",
    ">=": "is at least", "between": "is from", "before": "is before", "after": "is after", "since": "is on or after",
    "until": "is on or before",
}  # fmt: skip
_THEN: Final = {
    "percent of total": "each as percent of the total", "difference": "and the change from the one before",
    "percent change": "and the change from the one before in percent", "running total": "and the running total",
    "rolling mean": "and the rolling mean",
}  # fmt: skip
_SIGNS: Final = {"*": "×", "-": "\u2212"}


def read_as(plan: Plan) -> str:
    """What a plan does, as Markdown, without a full stop."""
    return _sentence(plan, bold, quoted)


def plainly(plan: Plan) -> str:
    """The same on one plain line, for a comment."""
    return _sentence(plan, clean_line, clean_line)


def title(plan: Plan) -> str:
    """A chart's title: what is drawn, by what, and of which rows."""
    what = _what(plan, clean_line)
    if plan.keys and plan.output not in OF_POINTS:
        then = f", {plan.then}" if plan.then else ""
        what = f"{_measures(plan, clean_line)}{then} by {_keys(plan.all_keys, clean_line)}"
    text = f"{what} ({_rows(plan, clean_line, clean_line)})" if plan.filters else what
    return text[:1].upper() + text[1:]


def _sentence(plan: Plan, name: Name, value: Name) -> str:
    parts = [_what(plan, name), _rows(plan, name, value)]
    if plan.on:
        parts.append(f"joined where {name(plan.on[0])} is {name(plan.on[1])}")
    parts += [f"where {name(new.name)} is {_formula(new, name)}" for new in plan.new_columns]
    if plan.order or plan.limit:
        parts.append(_order(plan, name))
    return ", ".join(parts)


def _what(plan: Plan, name: Name) -> str:
    columns = listed([name(column) for column in plan.columns])
    per = f" per {_keys(plan.keys, name)}" if plan.keys else ""
    if plan.output in OF_COLUMNS:
        compared = f", compared by {columns}" if columns else ""
        return {
            "describe": f"overview of {columns or 'every column'}",
            "missing": f"missing cells of {columns or 'each column'}{per}",
            "duplicates": f"rows that are there more than once{compared}",
            "without duplicates": f"each row once{compared}",
            "distinct": f"the different values of {columns}",
            "correlation": f"correlation (Pearson) of {columns}",
            "correlation heatmap": f"heat map of the correlations (Pearson) of {columns}",
        }[plan.output]
    if plan.output == "scatter":
        y, x = (name(measure.column) for measure in plan.measures[:2])
        return f"scatter chart of {y} against {x}" + (
            f", a colour for each {_key(plan.across, name)}" if plan.across else ""
        )
    if not plan.measures:
        return f"{columns} of the rows" if columns else "the rows with all their columns"
    kinds = {"heatmap": "heat map", "box": "box plot", "histogram": "histogram"}
    kind = f"{kinds.get(plan.output, f'{plan.output} chart')} of " if plan.drawn else ""
    what = f"{kind}{_measures(plan, name)}{per}"
    if plan.across:
        what += f", {'one' if plan.drawn else 'a column'} for each {_key(plan.across, name)}"
    return f"{what}, {_THEN[plan.then]}" if plan.then else what


def _measures(plan: Plan, name: Name) -> str:
    return listed([_measure(measure, name) for measure in plan.measures])


def _measure(measure: Measure, name: Name) -> str:
    column = "rows" if measure.column == ROWS else name(measure.column)
    match measure.aggregate:
        case "ratio":
            per = f"{measure.per:,g} " if measure.per != 1 else ""
            return f"{'number of rows' if measure.column == ROWS else f'sum of {column}'} per {per}{name(measure.by)}"
        case "weighted mean":
            return f"mean of {column} weighted by {name(measure.by)}"
        case "percent that fit":
            return f"percent of {column} where {_condition(measure.part[0], name, name)}"
        case "count" if measure.column == ROWS:
            return "number of rows"
    how = f"{measure.percentile}th percentile of" if measure.percentile else _AGGREGATES[measure.aggregate]
    return f"{how} {column}".strip()


def _keys(keys: tuple[Key, ...], name: Name) -> str:
    return listed([_key(key, name) for key in keys])


def _key(key: Key, name: Name) -> str:
    if key.bands:
        return f"{name(key.column)} in bands {', '.join(key.bands)}"
    return f"{key.unit} of {name(key.column)}" if key.unit else name(key.column)


def _rows(plan: Plan, name: Name, value: Name) -> str:
    conditions = [_condition(one, name, value) for one in plan.filters]
    return f"rows where {listed(conditions, 'or' if plan.either else 'and')}" if conditions else "all rows"


def _condition(one: RowFilter, name: Name, value: Name) -> str:
    if one.op in {"is missing", "is not missing"}:
        return f"{name(one.column)} {one.op}"
    values = [value(part) if isinstance(part, str) else _figure(part) for part in one.values]
    said = f"{values[0]} to {values[-1]}" if one.op == "between" else listed(values, "or")
    return f"{name(one.column)} {_OPS.get(one.op, one.op)} {said}"


def _figure(number: float) -> str:
    """A number; one that may be a year has no comma."""
    return f"{number:,.12g}" if abs(number) >= 10_000 else f"{number:.12g}"  # noqa: PLR2004 longer than years


def _formula(new: NewColumn, name: Name) -> str:
    left, right = (part if is_number(part) else name(part) for part in (new.left, new.right))
    if new.op == "days since":
        return f"the days from {right} to {left}"
    if new.op == "% of":
        return f"{left} in percent of {right}"
    return f"{left} {_SIGNS.get(new.op, new.op)} {right}"


def _order(plan: Plan, name: Name) -> str:
    if plan.order is None:
        return f"the first {plan.limit}"
    by = "" if plan.order.by == "measure" else f" by {name(plan.order.by)}"
    which = "largest" if plan.order.descending else "smallest"
    if plan.limit:
        return f"the {plan.limit}{' %' if plan.percent else ''} {which}{by}"
    return f"sorted{by}, {which} first"
