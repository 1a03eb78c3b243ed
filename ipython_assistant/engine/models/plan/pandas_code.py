"""Writes the code of a plan: plain pandas, such as one would hand to a colleague.

Every name and value enters the code as a Python literal: no column name can be code. The code leaves `data` (the
table), `rows` (those that count) and `result` (what is written); the answer's facts are read from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan.conditions import condition, edges_of
from ipython_assistant.engine.models.plan.english import words_of
from ipython_assistant.engine.models.plan.plan import (
    OF_COLUMNS,
    OF_POINTS,
    ROWS,
    Key,
    Measure,
    NewColumn,
    Plan,
    PlanError,
    RowFilter,
    is_number,
)
from ipython_assistant.engine.models.table_profiles import columns_of, loading_code, py

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.table_profiles import Column, TableProfile

_METHODS: Final = {
    "mean": "mean()", "sum": "sum(min_count=1)", "median": "median()", "min": "min()", "max": "max()", "std": "std()",
    "count": "count()", "count distinct": "nunique()",
}  # fmt: skip
_WRITERS: Final = {
    ".csv": "to_csv({}, index=False)", ".tsv": 'to_csv({}, sep="\\t", index=False)',
    ".xlsx": "to_excel({}, index=False)",
    ".json": 'to_json({}, orient="records", date_format="iso", indent=2)', ".parquet": "to_parquet({}, index=False)",
    ".jsonl": 'to_json({}, orient="records", date_format="iso", lines=True)',
    ".html": 'to_html({}, index=False, na_rep="")', ".htm": 'to_html({}, index=False, na_rep="")',
    ".txt": 'to_string({}, index=False, na_rep="")',
}  # fmt: skip
_UNITS: Final = {
    "year": "{}.dt.year", "quarter": '{}.dt.to_period("Q").astype(str)', "month": '{}.dt.strftime("%Y-%m")',
    "week": '{}.dt.to_period("W").dt.start_time.dt.strftime("%Y-%m-%d")  # the Monday',
    "day": '{}.dt.strftime("%Y-%m-%d")', "hour": "{}.dt.hour",
    "weekday": "pd.Categorical({}.dt.day_name(), "
    '["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"], ordered=True)',
}  # fmt: skip
_COARSE: Final = frozenset({"week", "month", "quarter"})
_LENGTH: Final = 100
"""Characters of a line of code that is not broken."""


def program(plan: Plan, tables: Sequence[TableProfile], heading: str) -> str:
    """The whole code of a plan. Raises `PlanError`: it asks for something that the tables cannot give."""
    from ipython_assistant.engine.models.plan.chart_code import drawing

    code = PlanCode(plan, tables)
    lines = [*code.loading(), "", f"# {heading}", *code.selecting(), *code.computing()]
    imports = ["import json", "from pathlib import Path", ""] if any("json." in one.read for one in tables) else []
    imports += ["import matplotlib.pyplot as plt"] if plan.drawn else []
    lines += (
        ["", *drawing(plan, code)]
        if plan.drawn
        else [*_writing(plan.file), "print(result.head(20).to_string(index=False))"]
    )
    return "\n".join([*imports, "import pandas as pd", "", *lines]) + "\n"


def _writing(file: str) -> list[str]:
    """The lines that write the result to a file, by the file's ending."""
    ending = file[file.rfind(".") :].lower()
    if ending == ".md":
        return [
            'cells = result.astype(object).where(result.notna(), "").astype(str)',
            'lines = [[*cells.columns], ["---"] * cells.shape[1], *cells.to_numpy().tolist()]',
            'text = [" | ".join(str(cell).replace("|", "\\\\|") for cell in line) for line in lines]',
            f'with open({py(file)}, "w", encoding="utf-8") as file:',
            '    file.writelines(f"| {line} |\\n" for line in text)',
        ]
    if ending not in _WRITERS:
        raise PlanError(f"Tables are not written as {ending or 'files without an ending'}.")
    return [f"result.{_WRITERS[ending].format(py(file))}"]


class PlanCode:
    """The parts of one plan's code."""

    def __init__(self, plan: Plan, tables: Sequence[TableProfile]) -> None:
        self.plan = plan
        self.tables = tables
        self.columns = columns_of(tables)
        self.new = {one.name for one in plan.new_columns}
        self.names = {key: self._name_of(key) for key in plan.all_keys}

    def _name_of(self, key: Key) -> str:
        """The column a key has in the result."""
        wanted = f"{key.column} group" if key.bands else key.unit or key.column
        return wanted if wanted == key.column or wanted not in self.columns else f"{wanted} of {key.column}"

    def column(self, name: str) -> Column:
        """The column of that name. Raises `PlanError`."""
        if name not in self.columns:
            raise PlanError(f"There is no column {name}.")
        return self.columns[name]

    def numeric(self, name: str) -> bool:
        """Whether it can be calculated with."""
        return name in self.new or self.column(name).numeric

    # ---- reading and choosing rows

    def loading(self) -> list[str]:
        """Reads the table, or both and puts them together, and makes the columns that are calculated."""
        used = {*self.plan.used(), *(self.plan.on or ())}
        lines = [loading_code(self.tables[0], "data", used)]
        if self.plan.on:
            left, right = map(py, self.plan.on)
            lines.append(loading_code(self.tables[1], "other", used))
            lines.append(
                f"unmatched = [(~data[{left}].isin(other[{right}])).sum(), (~other[{right}].isin(data[{left}])).sum()]"
            )
            on = f"on={left}" if left == right else f"left_on={left}, right_on={right}"
            suffix = f'suffixes=("", {py(" of " + self.tables[1].stem)})'
            lines.append(f'data = data.merge(other, {on}, how="left", validate="many_to_one", {suffix})')
        lines += [f"data[{py(one.name)}] = {self._calculated(one)}" for one in self.plan.new_columns]
        for measure in self.plan.measures:
            cells = f"data[{py(measure.column)}]"
            if measure.aggregate == "weighted mean":
                lines.append(f'data["weighted"] = {cells} * data[{py(measure.by)}]')
            if measure.part:
                fits = self._condition(measure.part[0])
                lines.append(f'data["that fits"] = {fits if measure.column == ROWS else f"{cells}.where({fits}, 0)"}')
        return lines + [line for key in self.plan.all_keys for line in self._made_key(key)]

    def _calculated(self, new: NewColumn) -> str:
        if new.op == "days since":
            if {self.column(new.left).kind, self.column(new.right).kind} != {"date"}:
                raise PlanError(f"{new.left} and {new.right} are not both dates.")
            return f"(data[{py(new.left)}] - data[{py(new.right)}]).dt.days"
        sides = [
            one if is_number(one) and one not in self.columns else f"data[{py(one)}]" for one in (new.left, new.right)
        ]
        for text, side in zip((new.left, new.right), sides, strict=True):
            if side != text and not self.numeric(text):
                raise PlanError(f"{text} holds no numbers.")
        left, right = sides
        if new.op in {"/", "% of"} and right.startswith("data["):
            right += '.replace(0, float("nan"))'
        return f"100 * {left} / {right}" if new.op == "% of" else f"{left} {new.op} {right}"

    def _made_key(self, key: Key) -> list[str]:
        name, cells, column = f"data[{py(self.names[key])}]", f"data[{py(key.column)}]", self.columns.get(key.column)
        if key.bands:
            edges, labels = edges_of(key.bands)
            return [f"{name} = pd.cut({cells}, {edges}, right=False, labels={py(labels)})"]
        if column is None or column.kind != "date" or (not key.unit and column.grain in {"day", "time"}):
            return []
        return [f"{name} = {_UNITS[key.unit or column.grain].format(cells)}"]

    def selecting(self) -> list[str]:
        """Makes `rows`, those that count."""
        tests = [self._condition(one) for one in self.plan.filters]
        if len(tests) < 2:  # noqa: PLR2004 one needs no joint
            return [f"rows = data[{tests[0]}]" if tests else "rows = data"]
        joint = "|" if self.plan.either else "&"
        line = f"rows = data[{f' {joint} '.join(f'({test})' for test in tests)}]"
        if len(line) > _LENGTH:
            line = "rows = data[\n    " + f"\n    {joint} ".join(f"({test})" for test in tests) + "\n]"
        return [line]

    def _condition(self, one: RowFilter) -> str:
        return condition(one, None if one.column in self.new else self.column(one.column))

    # ---- calculating

    def computing(self) -> list[str]:
        """Makes `result`."""
        if self.plan.output in OF_COLUMNS:
            return self._of_columns()
        if self.plan.output in OF_POINTS:
            names = [measure.column for measure in self.plan.measures]
            if bad := [name for name in names if not self.numeric(name)]:
                raise PlanError(f"{bad[0]} holds no numbers to draw.")
            return [f"result = rows[{py(list(dict.fromkeys([*self.names.values(), *names])))}].dropna()"]
        return self._groups() if self.plan.measures else [*self._rows(), *self._ordered(), *self._as_written()]

    def _as_written(self) -> list[str]:
        """Months, quarters and weeks of rows are written as such again, not as their first day."""
        dates = [one for one in self.columns.values() if one.name in self.plan.used() and one.grain in _COARSE]
        coarse = [one for one in dates if one.name not in self.names.values()]
        shown = [one for one in coarse if not self.plan.columns or one.name in self.plan.columns]
        cells = [
            f"{py(one.name)}: {_UNITS[one.grain].format(f'result[{py(one.name)}]').partition('  #')[0]}"
            for one in shown
        ]
        return [f"result = result.assign(**{{{', '.join(cells)}}})"] if cells else []

    def _of_columns(self) -> list[str]:
        names = list(self.plan.columns)
        part = f"rows[{py(names)}]" if names else "rows"
        named = '.rename_axis("column").reset_index()'
        match self.plan.output:
            case "describe":
                known = [self.column(name) for name in names] or list(self.columns.values())
                counted = '"filled": part.count(), "missing": part.isna().sum(), "different": part.nunique()'
                lines = [f"part = {part}", f"result = pd.DataFrame({{{counted}}})"]
                if numbers := [column.name for column in known if column.numeric]:
                    lines += [f'numbers = part[{py(numbers)}].agg(["min", "mean", "median", "max", "std"])']
                    lines += ["result = result.join(numbers.T)"]
                return [*lines, f"result = result{named}"]
            case "missing" if self.names:
                others = [name for name in names if name not in self.names.values()]
                part = f"rows[{py(others)}]" if others else f"rows.drop(columns={py([*self.names.values()])})"
                keys = ", ".join(f"rows[{py(name)}]" for name in self.names.values())
                return [f"result = {part}.isna().groupby([{keys}]).sum().reset_index()"]
            case "missing":
                counts = '"missing": part.isna().sum(), "missing (%)": 100 * part.isna().mean()'
                return [f"part = {part}", f"result = pd.DataFrame({{{counts}}}){named}"]
            case "duplicates":
                subset = f"{py(names)}, " if names else ""
                return [
                    f"result = rows[rows.duplicated({subset}keep=False)].sort_values({py(names or [*self.columns])})"
                ]
            case "without duplicates":
                return [f"result = rows.drop_duplicates({py(names) if names else ''})"]
            case "distinct":
                return [f"result = {part}.dropna().drop_duplicates().sort_values({py(names)})"]
        if bad := [name for name in names if not self.numeric(name)]:
            raise PlanError(f"{bad[0]} holds no numbers, so that nothing is correlated with it.")
        if len(names) == 2 and self.plan.output == "correlation":  # noqa: PLR2004 one pair, one number
            left, right = map(py, names)
            return [f'result = pd.DataFrame({{"correlation": [rows[{left}].corr(rows[{right}])]}})']
        return [f"result = {part}.corr(){named}"]

    def _rows(self) -> list[str]:
        if self.plan.then:
            raise PlanError(f"The {self.plan.then} of what? Name a column, or say how it is grouped.")
        if shown := list(self.plan.columns):
            return [f"result = rows[{py([*shown, *(name for name in self.new if name not in shown)])}]"]
        made = [name for name in self.names.values() if name not in self.columns]
        return [f"result = rows.drop(columns={py(made)})" if made else "result = rows"]

    def measure_names(self) -> dict[str, Measure]:
        """The column that each measure has in the result."""
        found: dict[str, Measure] = {}
        often = [measure.column for measure in self.plan.measures]
        for measure in self.plan.measures:
            name = measure.column
            if measure.aggregate == "ratio":
                name = f"{name} per {measure.per:,g} {measure.by}" if measure.per != 1 else f"{name} / {measure.by}"
            elif measure.aggregate == "percent that fit":
                name = f"{name} that fit (%)"
            elif measure.aggregate == "count distinct":
                name = f"different {name}"
            elif (often.count(name) > 1 and name != ROWS) or name in self.names.values():
                name = f"{measure.aggregate} {name}"
            found[name] = measure
        return found

    def value_name(self) -> str:
        """The column of the result that a chart shows: what is calculated last."""
        first = next(iter(self.measure_names()))
        return f"{self.plan.then} of {first}" if self.plan.then else first

    def _groups(self) -> list[str]:
        measures, keys = self.measure_names(), list(self.names.values())
        alone = [one for one in measures.values() if one.aggregate in {"ratio", "weighted mean"}]
        if alone and len(measures) > 1:
            raise PlanError(f"A {alone[0].aggregate} is calculated alone; ask for the rest in a question of its own.")
        lines, source = [], "rows"
        if alone and not self._per_other(alone[0]):
            needed = [name for name in (alone[0].column, alone[0].by) if name != ROWS]
            lines, source = [f"known = rows.dropna(subset={py(needed)})"], "known"
        if keys:
            lines.append(f"groups = {source}.groupby({_one_or_list(keys)}, observed=True)")
        made = {}
        for name, one in measures.items():
            if one.part and one.column == ROWS:
                made["rows"] = "groups.size()" if keys else f"len({source})"
                made["that fits"] = f'{"groups" if keys else source}["that fits"].sum()'
            made[name] = self._measured(one, source, grouped=bool(keys))
        parts = [f"{py(name)}: {one if keys else f'[{one}]'}" for name, one in made.items()]
        ending = ".reset_index()" if keys else ""
        line = f"result = pd.DataFrame({{{', '.join(parts)}}}){ending}"
        if len(line) > _LENGTH:
            line = "result = pd.DataFrame({\n" + "".join(f"    {part},\n" for part in parts) + f"}}){ending}"
        first = next(iter(measures))
        lines += [line, *(self._then(first) if self.plan.then else []), *self._ordered()]
        return lines + (self._pivoted(first) if self.plan.output == "pivot" else [])

    def _per_other(self, measure: Measure) -> bool:
        """Whether a ratio divides by a column of the table that is looked up: its rows are not counted twice."""
        return bool(self.plan.on) and self.tables[0].find(measure.by) is None

    def _measured(self, measure: Measure, source: str, *, grouped: bool) -> str:
        of = "groups" if grouped else source
        cells, counted = f"{of}[{py(measure.column)}]", f"{of}.size()" if grouped else f"len({of})"
        match measure.aggregate:
            case "ratio":
                times = f"{py(measure.per)} * " if measure.per != 1 else ""
                return f"{times}{counted if measure.column == ROWS else f'{cells}.sum()'} / {self._below(measure, of)}"
            case "weighted mean":
                return f'{of}["weighted"].sum() / {of}[{py(measure.by)}].sum()'
            case "percent that fit":
                fits = f'{of}["that fits"]'
                return f"100 * {fits}.mean()" if measure.column == ROWS else f"100 * {fits}.sum() / {cells}.sum()"
            case "count" if measure.column == ROWS:
                return counted
        if measure.column == ROWS:
            raise PlanError(f"The {measure.aggregate} of rows means nothing.")
        extreme = measure.aggregate in {"min", "max"} and self.columns.get(measure.column)
        anything = measure.aggregate in {"count", "count distinct"} or (extreme and extreme.kind == "date")
        if not anything and not self.numeric(measure.column):
            raise PlanError(f"{measure.column} holds no numbers: it has no {measure.aggregate}.")
        if measure.percentile:
            return f"{cells}.quantile({measure.percentile / 100:g})"
        if measure.aggregate not in _METHODS:
            raise PlanError(f"There is no {measure.aggregate} of a group.")
        return f"{cells}.{_METHODS[measure.aggregate]}"

    def _below(self, measure: Measure, of: str) -> str:
        """What a ratio divides by."""
        if not self._per_other(measure):
            return f"{of}[{py(measure.by)}].sum()"
        other, left, right = self.tables[1], *(self.plan.on or ("", ""))
        alike = {words_of(column.name): column.name for column in other.columns}
        renamed = {alike[words_of(name)]: name for name in self.names.values() if words_of(name) in alike}
        renamed |= {right: left} if left in self.names.values() else {}
        for name in self.names.values():
            if name not in renamed.values():
                raise PlanError(f"{other.name} has no {name} to divide by.")
        if self.plan.filters and any(self.tables[0].find(one.column) is None for one in self.plan.filters):
            raise PlanError(f"Rows of {other.name} are chosen, and its {measure.by} is divided by: ask in two steps.")
        if not self.names:
            return f"other[{py(measure.by)}].sum()"
        names = list(self.names.values())
        renamed = {there: here for there, here in renamed.items() if there != here}
        frame = f"other.rename(columns={py(renamed)})" if renamed else "other"
        return f"{frame}.groupby({_one_or_list(names)})[{py(measure.by)}].sum()"

    def _then(self, first: str) -> list[str]:
        then, value = self.plan.then, f"result[{py(first)}]"
        if not self.names:
            raise PlanError(f"The {then} of one number means nothing: say what it is grouped by.")
        timed = [key for key in self.plan.all_keys if key.unit or self.column(key.column).in_time]
        others = [self.names[key] for key in self.plan.all_keys if key not in timed] if timed else []
        within = f"result.groupby({_one_or_list(others)}, observed=True)[{py(first)}]" if others else value
        rolling = f"rolling({self.plan.window or 3}).mean()"
        code = {
            "percent of total": f"100 * {value} / {value}.sum()",
            "difference": f"{within}.diff()",
            "percent change": f"100 * {within}.pct_change(fill_method=None)",
            "running total": f"{within}.cumsum()",
            "rolling mean": f"{within}.transform(lambda part: part.{rolling})" if others else f"{value}.{rolling}",
        }.get(then)
        if code is None:
            raise PlanError(f"There is no {then}.")
        return [f"result[{py(f'{then} of {first}')}] = {code}"]

    def _ordered(self) -> list[str]:
        order, limit = self.plan.order, self.plan.limit
        if order is None:
            return [f"result = result.head({limit})"] if limit else []
        by = order.by
        if self.plan.measures:
            known = {key.column: name for key, name in self.names.items()}
            known |= {one.column: name for name, one in self.measure_names().items()}
            by = (known | {"measure": self.value_name()}).get(order.by, "")
            if not by:
                raise PlanError(f"The groups have no {order.by} to be ordered by.")
        elif by == "measure":
            raise PlanError("Ranked by which column? Name one.")
        name, ascending = py(by), not order.descending
        if limit and self.plan.percent:
            share = limit / 100 if ascending else 1 - limit / 100
            return [
                f"result = result[result[{name}] {'<=' if ascending else '>='} result[{name}].quantile({share:g})]",
                f"result = result.sort_values({name}, ascending={ascending})",
            ]
        if limit and (by in self.new or by not in self.columns or self.columns[by].numeric):
            return [f'result = result.{"nsmallest" if ascending else "nlargest"}({limit}, {name}, keep="all")']
        lines = [f'result = result.sort_values({name}, ascending={ascending}, kind="stable")']
        return lines + ([f"result = result.head({limit})"] if limit else [])

    def _pivoted(self, first: str) -> list[str]:
        if self.plan.across is None:
            raise PlanError("What stands in the columns of the pivot?")
        if self.plan.then:
            raise PlanError(f"The {self.plan.then} in a pivot is not calculated.")
        index, across = _one_or_list([self.names[key] for key in self.plan.keys]), py(self.names[self.plan.across])
        zero = ".fillna(0).astype(int)" if self.plan.measures[0].column == ROWS else ""
        line = f"result = result.pivot(index={index}, columns={across}, values={py(first)}){zero}"
        return [line, "result.columns = result.columns.astype(str)", "result = result.reset_index()"]


def _one_or_list(names: Sequence[str]) -> str:
    return py(names[0]) if len(names) == 1 else py([*names])
