"""A plan in words: in the answer (Markdown), as a comment in the code and as the title of a chart (plain)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ipython_assistant.engine.models import safe_markdown
from ipython_assistant.engine.models.plan.plan import OF_COLUMNS, ROWS, Filter, Key, Measure, NewColumn, Plan
from ipython_assistant.engine.models.safe_markdown import clean_line, listed

Name = Callable[[str], str]

_AGGREGATES: Final = {
    "sum": "sum of", "mean": "mean of", "median": "median of", "min": "smallest", "max": "largest",
    "std": "standard deviation of", "count": "number of values of", "count distinct": "number of different",
    "as it is": "",
}  # fmt: skip
_OPS: Final = {
    "in": "is", "not in": "is not", "==": "is", "!=": "is not", "<": "is under", "<=": "is at most", ">": "is over",
    ">=": "is at least", "between": "is from", "before": "is before", "after": "is after", "since": "is on or after",
    "until": "is on or before", "contains": "contains", "does not contain": "does not contain",
    "starts with": "starts with", "ends with": "ends with", "is": "is",
}  # fmt: skip
_THEN: Final = {
    "percent of total": "each as percent of the total", "difference": "and the change from the one before",
    "percent change": "and the change from the one before in percent", "running total": "and the running total",
    "rolling mean": "and the rolling mean", "rank": "and the rank",
}  # fmt: skip
_SIGNS: Final = {"*": "×", "-": "\u2212"}


def read_as(plan: Plan) -> str:
    """What a plan does, as Markdown, without a full stop."""
    return _sentence(plan, safe_markdown.bold, safe_markdown.quoted)


def plainly(plan: Plan) -> str:
    """The same on one plain line, for a comment."""
    return _sentence(plan, clean_line, clean_line)


def title(plan: Plan) -> str:
    """A chart's title: what is drawn, by what, and of which rows."""
    what = _measures(plan, clean_line) or plan.output
    if plan.output in {"histogram", "box", "scatter", "correlation heatmap"}:
        what = _what(plan, clean_line)
    elif plan.keys:
        then = f", {plan.then}" if plan.then else ""
        what = f"{what}{then} by {listed([_key(key, clean_line) for key in plan.all_keys])}"
    where = f" ({_rows(plan, clean_line, clean_line)})" if plan.filters else ""
    text = f"{what}{where}"
    return text[:1].upper() + text[1:]


def _sentence(plan: Plan, name: Name, value: Name) -> str:
    parts = [_what(plan, name), _rows(plan, name, value)]
    if plan.on:
        parts.append(f"joined where {name(plan.on[0])} is {name(plan.on[1])}")
    if plan.keep_groups:
        op, bound = plan.keep_groups
        parts.append(f"only groups where it {_OPS[op]} {_figure(bound)}")
    parts += [f"where {name(new.name)} is {_formula(new, name)}" for new in plan.new_columns]
    if plan.order or plan.limit:
        parts.append(_order(plan, name))
    return ", ".join(filter(None, parts))


def _what(plan: Plan, name: Name) -> str:
    columns = listed([name(column) for column in plan.columns])
    if plan.output in OF_COLUMNS:
        compared = f", compared by {columns}" if columns else ""
        return {
            "describe": f"overview of {columns or 'every column'}",
            "missing": f"missing cells of {columns or 'each column'}{_per(plan, name)}",
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
    if plan.output in {"histogram", "box"}:
        kind = "histogram" if plan.output == "histogram" else "box plot"
        return f"{kind} of {_measures(plan, name)}{_per(plan, name)}"
    if not plan.measures:
        return f"{columns} of the rows" if columns else "the rows with all their columns"
    what = f"{_measures(plan, name)}{_per(plan, name)}"
    if plan.drawn:
        kind = {"heatmap": "heat map", "pie": "pie chart"}.get(plan.output, f"{plan.output} chart")
        what = f"{kind} of {_measures(plan, name)} by {listed([_key(key, name) for key in plan.keys])}"
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
    if measure.percentile:
        return f"{measure.percentile}th percentile of {column}"
    return f"{_AGGREGATES[measure.aggregate]} {column}".strip()


def _per(plan: Plan, name: Name) -> str:
    return f" per {listed([_key(key, name) for key in plan.keys])}" if plan.keys else ""


def _key(key: Key | None, name: Name) -> str:
    if key is None:
        return ""
    if key.bands:
        return f"{name(key.column)} in bands {', '.join(key.bands)}"
    return f"{key.unit} of {name(key.column)}" if key.unit else name(key.column)


def _rows(plan: Plan, name: Name, value: Name) -> str:
    if not plan.filters:
        return "all rows"
    return (
        f"rows where {listed([_condition(one, name, value) for one in plan.filters], 'or' if plan.either else 'and')}"
    )


def _condition(one: Filter, name: Name, value: Name) -> str:
    column = name(one.column)
    if one.op in {"is missing", "is not missing"}:
        return f"{column} {one.op}"
    values = [value(part) if isinstance(part, str) else _figure(part) for part in one.values]
    if one.op == "between":
        return f"{column} is from {values[0]} to {values[-1]}"
    return f"{column} {_OPS.get(one.op, one.op)} {listed(values, 'or')}"


def _figure(number: float) -> str:
    """A number; one that may be a year has no comma."""
    return f"{number:,.12g}" if abs(number) >= 10_000 else f"{number:.12g}"  # noqa: PLR2004 longer than years


def _formula(new: NewColumn, name: Name) -> str:
    if new.op == "days since":
        return f"the days from {name(new.right)} to {name(new.left)}"
    if new.op == "% of":
        return f"{name(new.left)} in percent of {name(new.right)}"
    left, right = (
        part if part.replace(".", "").lstrip("-").isdigit() else name(part) for part in (new.left, new.right)
    )
    return f"{left} {_SIGNS.get(new.op, new.op)} {right}"


def _order(plan: Plan, name: Name) -> str:
    if plan.order is None:
        return f"the first {plan.limit}"
    by = "" if plan.order.by == "measure" else f" by {name(plan.order.by)}"
    if plan.limit:
        which = "largest" if plan.order.descending else "smallest"
        return f"the {plan.limit}{' %' if plan.percent else ''} {which}{by}"
    return f"sorted{by}, {'largest' if plan.order.descending else 'smallest'} first"
