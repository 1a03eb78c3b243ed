"""Code that says for each row whether it counts."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.plan.plan import COMPARISONS, PlanError
from ipython_assistant.engine.models.table_profiles import py

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.plan.plan import RowFilter
    from ipython_assistant.engine.models.table_profiles import Column

_TEXT_METHODS: Final = {
    "contains": ".str.contains({}, case=False, regex=False, na=False)",
    "starts with": ".str.lower().str.startswith({}, na=False)",
}
_DATE_OPS: Final = {"before": "<", "after": ">", "since": ">=", "until": "<="}


def condition(one: RowFilter, column: Column | None) -> str:
    """The code that compares the cells of `data` as a filter does.

    Raises `PlanError`: such cells are not compared so.
    """
    cells = f"data[{py(one.column)}]"
    if one.op in {"is missing", "is not missing"}:
        return f"{cells}.{'isna' if one.op == 'is missing' else 'notna'}()"
    if not one.values:
        raise PlanError(f"{one.column} is compared with nothing.")
    if column is None or column.numeric:
        return _number(cells, one.op, one.values)
    texts = [str(value) for value in one.values]
    if column.kind == "date":
        return _date(cells, column, one.op, texts)
    if one.op == "is":
        return _yes_no(cells, column, wanted=texts[0] == "yes")
    return _text(cells, one.op, texts)


def _number(cells: str, op: str, values: Sequence[Any]) -> str:
    if op == "between":
        return f"{cells}.between({py(min(values))}, {py(max(values))})"
    if op in {"in", "not in"}:
        return f"{'~' if op == 'not in' else ''}{cells}.isin({py([*values])})"
    if op not in {"==", "!=", *COMPARISONS}:
        raise PlanError(f"Numbers are not compared by “{op}”.")
    return f"{cells} {op} {py(values[0])}"


def _yes_no(cells: str, column: Column, *, wanted: bool) -> str:
    if column.boolean:
        return f"{cells}.eq({wanted})"
    words = ["yes", "y", "true"] if wanted else ["no", "n", "false"]
    used = {value.lower() for value in column.values}
    return f"{cells}.str.lower().isin({py([word for word in words if word in used] or words[:1])})"


def _text(cells: str, op: str, values: Sequence[str]) -> str:
    if op in {"in", "=="} and len(values) == 1:
        return f"{cells} == {py(values[0])}"
    if op in {"in", "==", "not in", "!="}:
        return f"{'' if op in {'in', '=='} else '~'}{cells}.isin({py([*values])})"
    method = _TEXT_METHODS.get(op.replace("does not contain", "contains"))
    if method is None:
        raise PlanError(f"Texts are not compared by “{op}”.")
    value = values[0].lower() if op == "starts with" else values[0]
    return f"{'~' if op == 'does not contain' else ''}{cells}{method.format(py(value))}"


def _date(cells: str, column: Column, op: str, values: Sequence[str]) -> str:
    day = f"{cells}.dt.normalize()" if column.grain == "time" else cells
    if op in {"in", "not in", "=="}:
        tests = [_within(cells, day, value) for value in values]
        joined = tests[0] if len(tests) == 1 else " | ".join(f"({test})" for test in tests)
        return f"~({joined})" if op == "not in" else joined
    if any(not value[:1].isdigit() for value in values):
        raise PlanError(f"{values[0]} has no year: dates are compared with a day, a month or a year.")
    first, last = days_of(min(values)), days_of(max(values))
    if op == "between":
        return f"{day}.between({py(first[0])}, {py(last[1])})"
    sign = _DATE_OPS.get(op, op)
    if sign not in COMPARISONS:
        raise PlanError(f"Dates are not compared by “{op}”.")
    return f"{day} {sign} {py(first[sign in {'>', '<='}])}"


def _within(cells: str, day: str, value: str) -> str:
    if value.startswith(("latest", "earliest")):
        freq = {"week": "W", "month": "M", "quarter": "Q", "year": "Y"}.get(value.partition(" ")[2])
        part = f'{cells}.dt.to_period("{freq}")' if freq else day
        return f"{part} == {part}.{'max()' if value.startswith('latest') else 'min()'}"
    if re.fullmatch(r"Q[1-4]", value):
        return f"{cells}.dt.quarter == {value[1]}"
    if value.isalpha():
        return f"{cells}.dt.month_name() == {py(value)}"
    if re.fullmatch(r"\d{4}", value):
        return f"{cells}.dt.year == {value}"
    first, last = days_of(value)
    return f"{day} == {py(first)}" if first == last else f"{day}.between({py(first)}, {py(last)})"


def days_of(period: str) -> tuple[str, str]:
    """The first and the last day of `2024`, `2024-Q1`, `2024-03` or `2024-03-01`. Raises `PlanError`."""
    try:
        year, _, rest = period.partition("-")
        if rest.startswith("Q"):
            first, months = dt.date(int(year), int(rest[1]) * 3 - 2, 1), 3
        elif rest.count("-"):
            return str(dt.date.fromisoformat(period)), period
        else:
            first, months = dt.date(int(year), int(rest or 1), 1), 1 if rest else 12
    except ValueError:
        raise PlanError(f"{period} is not a date.") from None
    after = first.year * 12 + first.month - 1 + months
    return str(first), str(dt.date(after // 12, after % 12 + 1, 1) - dt.timedelta(days=1))


def edges_of(bands: Sequence[str]) -> tuple[str, list[str]]:
    """Bands as the code of their edges, and their names: `0-17, 18-64, 65+` begin at 0, 18 and 65.

    Raises `PlanError`: one does not begin where the one before it ends.
    """
    parts = (band.rstrip("+").partition("-") for band in bands)
    pairs = sorted((int(low), int(high or -1)) for low, _, high in parts)
    if any(low != high + 1 for (_, high), (low, _) in itertools.pairwise(pairs)):
        raise PlanError(f"The bands {', '.join(bands)} do not follow one another.")
    last = pairs[-1][1]
    edges = [*(str(low) for low, _ in pairs), str(last + 1) if last >= 0 else 'float("inf")']
    return f"[{', '.join(edges)}]", [f"{low}-{high}" if high >= 0 else f"{low}+" for low, high in pairs]
