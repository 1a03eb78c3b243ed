"""Code that makes a plan's rows: tables are read and joined, columns calculated, and those rows chosen that count.

Every name and value enters the code as a Python literal: no column name can be code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.plan.plan import COMPARISONS, NEGATED, ROWS, Key, PlanError, days_of, is_number
from ipython_assistant.engine.models.table_profiles import columns_of, loading_code, py

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.plan.plan import NewColumn, Plan, RowFilter
    from ipython_assistant.engine.models.table_profiles import Column, TableProfile

UNIT_CODE: Final = {
    "year": "{}.dt.year", "quarter": '{}.dt.to_period("Q").astype(str)', "month": '{}.dt.strftime("%Y-%m")',
    "week": '{}.dt.to_period("W").dt.start_time.dt.strftime("%Y-%m-%d")  # the Monday',
    "day": '{}.dt.strftime("%Y-%m-%d")', "hour": "{}.dt.hour",
    "weekday": "pd.Categorical({}.dt.day_name(), "
    '["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"], ordered=True)',
}  # fmt: skip
"""The code of the unit of time that dates fall in."""
_DATE_OPS: Final = {"before": "<", "after": ">", "since": ">=", "until": "<="}
_ANSWERS: Final = (["no", "n", "false"], ["yes", "y", "true"])


class RowsCode:
    """The code of one plan's rows: it leaves `data`, the table, and `rows`, those that count."""

    def __init__(self, plan: Plan, tables: Sequence[TableProfile]) -> None:
        self.plan = plan
        self.tables = tables
        self.columns = columns_of(tables)
        self.new = {one.name for one in plan.new_columns}
        if unknown := [name for name in plan.used() if name not in self.columns and name not in self.new]:
            raise PlanError(f"There is no column {unknown[0]}.")
        self.names: dict[Key, str] = {}  # the column that each key has in the result
        for key in plan.all_keys:
            taken = key.unit in self.columns and key.unit != key.column
            self.names[key] = f"{key.unit} of {key.column}" if taken else key.unit or key.column

    def numeric(self, name: str) -> bool:
        """Whether it can be calculated with."""
        return name in self.new or self.columns[name].numeric

    def loading(self) -> list[str]:
        """Reads the table, or both and puts them together, and makes the columns that are calculated."""
        whole = self.plan.output in {"describe", "missing"} and not self.plan.columns
        used = None if whole else {*self.plan.used(), *(self.plan.on or ())}
        lines = [loading_code(self.tables[0], "data", used)]
        if self.plan.on:
            left, right = map(py, self.plan.on)
            on = f"on={left}" if left == right else f"left_on={left}, right_on={right}"
            suffix = f'suffixes=("", {py(" of " + self.tables[1].stem)})'
            lines += [
                loading_code(self.tables[1], "other", used),
                f"unmatched = [(~data[{left}].isin(other[{right}])).sum(), (~other[{right}].isin(data[{left}])).sum()]",
                f'data = data.merge(other, {on}, how="left", validate="many_to_one", {suffix})',
            ]
        lines += [f"data[{py(one.name)}] = {self._calculated(one)}" for one in self.plan.new_columns]
        for measure in self.plan.measures:
            cells = f"data[{py(measure.column)}]"
            if measure.aggregate == "weighted mean":
                lines.append(f'data["weighted"] = {cells} * data[{py(measure.by)}]')
            if measure.part:
                fits = self._condition(measure.part[0])
                lines.append(f'data["that fits"] = {fits if measure.column == ROWS else f"{cells}.where({fits}, 0)"}')
        for key, name in self.names.items() if self.plan.measures else ():
            column = self.columns.get(key.column)
            if column and column.kind == "date" and (key.unit or column.grain not in {"day", "time"}):
                made = UNIT_CODE[key.unit or column.grain].format(f"data[{py(key.column)}]")
                lines.append(f"data[{py(name)}] = {made}")
        return lines

    def _calculated(self, new: NewColumn) -> str:
        if new.op not in {"+", "-", "*", "/"}:  # a server that is held to no schema may send anything, even code
            raise PlanError(f"There is no operation {new.op}.")
        columns = [one for one in (new.left, new.right) if one in self.columns or not is_number(one)]
        left, right = (f"data[{py(one)}]" if one in columns else py(float(one)) for one in (new.left, new.right))
        if bad := [one for one in columns if not self.numeric(one)]:
            raise PlanError(f"{bad[0]} holds no numbers.")
        if new.op == "/" and new.right in columns:
            right += '.replace(0, float("nan"))'
        return f"{left} {new.op} {right}"

    def selecting(self) -> list[str]:
        """Makes `rows`, those that count."""
        tests = [self._condition(one) for one in self.plan.filters]
        if len(tests) < 2:  # noqa: PLR2004 one needs no joint
            return [f"rows = data[{tests[0]}]" if tests else "rows = data"]
        joint = "|" if self.plan.either else "&"
        return ["rows = data[", "    " + f"\n    {joint} ".join(f"({test})" for test in tests), "]"]

    def _condition(self, one: RowFilter) -> str:
        """The code that compares the cells of `data` as a filter does. Raises `PlanError` where it cannot be done."""
        cells, column = f"data[{py(one.column)}]", self.columns.get(one.column)
        if one.op in {"is missing", "is not missing"}:
            return f"{cells}.{'isna' if one.op == 'is missing' else 'notna'}()"
        if not one.values:
            raise PlanError(f"{one.column} is compared with nothing.")
        texts = [str(value) for value in one.values]
        if column is None or column.numeric:
            test = _number(cells, one.op, one.values)
        elif column.kind == "date":
            test = _date(cells, column, one.op, texts)
        else:
            test = _text(cells, column, one.op, texts)
        if not test:
            raise PlanError(f"{one.column} is not compared by “{one.op}”.")
        return test


def _number(cells: str, op: str, values: Sequence[Any]) -> str:
    if any(isinstance(value, str) and not is_number(value) for value in values):
        return ""
    values = [float(value) if isinstance(value, str) else value for value in values]  # some models quote numbers
    if op == "between":
        return f"{cells}.between({py(min(values))}, {py(max(values))})"
    if op in {"in", "not in"}:
        return f"{'~' if op == 'not in' else ''}{cells}.isin({py([*values])})"
    return f"{cells} {op} {py(values[0])}" if op in {"==", "!=", *COMPARISONS} else ""


def _text(cells: str, column: Column, op: str, values: Sequence[str]) -> str:
    if op == "is" and not column.values:  # they are true and false
        return f"{cells}.eq({values[0] == 'yes'})"
    if op == "is":
        words, used = _ANSWERS[values[0] == "yes"], {value.lower() for value in column.values}
        return f"{cells}.str.lower().isin({py([word for word in words if word in used] or words[:1])})"
    negation = "~" if op in NEGATED else ""
    if op in {"in", "==", "not in", "!="}:
        one = len(values) == 1 and not negation
        return f"{cells} == {py(values[0])}" if one else f"{negation}{cells}.isin({py([*values])})"
    if op in {"contains", "does not contain"}:
        return f"{negation}{cells}.str.contains({py(values[0])}, case=False, regex=False, na=False)"
    return f"{cells}.str.lower().str.startswith({py(values[0].lower())}, na=False)" if op == "starts with" else ""


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
    return f"{day} {sign} {py(first[sign in {'>', '<='}])}" if sign in COMPARISONS else ""


def _within(cells: str, day: str, value: str) -> str:
    if value.startswith(("latest", "earliest")):
        freq = {"week": "W", "month": "M", "quarter": "Q", "year": "Y"}.get(value.partition(" ")[2])
        part = f'{cells}.dt.to_period("{freq}")' if freq else day
        return f"{part} == {part}.{'max()' if value.startswith('latest') else 'min()'}"
    if re.fullmatch(r"Q[1-4]", value):
        return f"{cells}.dt.quarter == {value[1]}"
    if value.isalpha():
        return f"{cells}.dt.month_name() == {py(value)}"
    if re.fullmatch("[0-9]{4}", value):
        return f"{cells}.dt.year == {value}"
    first, last = days_of(value)
    return f"{day} == {py(first)}" if first == last else f"{day}.between({py(first)}, {py(last)})"
