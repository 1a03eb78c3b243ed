"""Writes the code of a plan: plain pandas, such as one would hand to a colleague.

Every name and value enters the code as a Python literal: no column name can be code. The code leaves `data` (the
table), `rows` (those that count) and `result` (what is written); the answer's facts are read from them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan.conditions import condition, edges_of
from ipython_assistant.engine.models.plan.plan import (
    OF_COLUMNS,
    ROWS,
    Filter,
    Key,
    Measure,
    NewColumn,
    Plan,
    PlanError,
)
from ipython_assistant.engine.models.plan.tables import load, py

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.plan.tables import Column, TableProfile

NEEDS: Final = {".xlsx": "openpyxl", ".parquet": "pyarrow"}
"""Endings of files that pandas writes with a package of its own, which may not be installed."""
_METHODS: Final = {
    "mean": "mean()", "sum": "sum(min_count=1)", "median": "median()", "min": "min()", "max": "max()", "std": "std()",
    "count": "count()", "count distinct": "nunique()",
}  # fmt: skip
_LENGTH: Final = 100
"""Characters of a line of code that is not broken."""


def program(plan: Plan, tables: Sequence[TableProfile], heading: str) -> str:
    """The whole code of a plan.

    Args:
        plan: What to do; its values are those of the table.
        tables: Its tables, in its order.
        heading: What it does, for a comment.

    Raises:
        PlanError: It asks for something that the tables cannot give.
    """
    from ipython_assistant.engine.models.plan import chart_code

    code = _Code(plan, tables)
    lines = [*code.loading(), "", f"# {heading}", *code.selecting(), *code.computing()]
    imports = ["import json", "from pathlib import Path", ""] if any("json." in one.read for one in tables) else []
    imports += ["import matplotlib.pyplot as plt"] if plan.drawn else []
    imports += ["import pandas as pd", ""]
    if plan.drawn:
        lines += ["", *chart_code.drawing(plan, code)]
    else:
        lines += writing(plan.file)
        lines.append("print(result.head(20).to_string(index=False))")
    return "\n".join([*imports, *lines]) + "\n"


def writing(file: str, frame: str = "result") -> list[str]:
    """The lines that write a frame to a file, by the file's ending."""
    name = py(file)
    match file[file.rfind(".") :].lower():
        case ".tsv":
            return [f'{frame}.to_csv({name}, sep="\\t", index=False)']
        case ".xlsx":
            return [f"{frame}.to_excel({name}, index=False)"]
        case ".json":
            return [f'{frame}.to_json({name}, orient="records", date_format="iso", indent=2)']
        case ".jsonl":
            return [f'{frame}.to_json({name}, orient="records", date_format="iso", lines=True)']
        case ".parquet":
            return [f"{frame}.to_parquet({name}, index=False)"]
        case ".html" | ".htm":
            return [f'{frame}.to_html({name}, index=False, na_rep="")']
        case ".txt":
            return [f'{frame}.to_string({name}, index=False, na_rep="")']
        case ".md":
            return [
                f'cells = {frame}.astype(object).where({frame}.notna(), "").astype(str)',
                'lines = [[*cells.columns], ["---"] * cells.shape[1], *cells.to_numpy().tolist()]',
                'text = [" | ".join(str(cell).replace("|", "\\\\|") for cell in line) for line in lines]',
                f'with open({name}, "w", encoding="utf-8") as file:',
                '    file.writelines(f"| {line} |\\n" for line in text)',
            ]
        case ".csv":
            return [f"{frame}.to_csv({name}, index=False)"]
        case ending:
            raise PlanError(f"Tables are not written as {ending or 'files without an ending'}.")


class _Code:
    """The parts of one plan's code."""

    def __init__(self, plan: Plan, tables: Sequence[TableProfile]) -> None:
        self.plan = plan
        self.tables = tables
        self.columns: dict[str, Column] = {}
        for table in tables:
            for column in table.columns:
                self.columns.setdefault(column.name, column)
        self.new = {one.name for one in plan.new_columns}
        self.names = {key: self._name_of(key) for key in plan.all_keys}

    def _name_of(self, key: Key) -> str:
        """The column a key has in the result."""
        wanted = f"{key.column} group" if key.bands else key.unit or key.column
        if wanted == key.column or wanted not in self.columns:
            return wanted
        return f"{wanted} of {key.column}"

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
        lines = [load(self.tables[0], "data", used)]
        if self.plan.on:
            left, right = map(py, self.plan.on)
            same = left == right
            lines.append(load(self.tables[1], "other", used))
            lines.append(
                f"unmatched = [(~data[{left}].isin(other[{right}])).sum(), (~other[{right}].isin(data[{left}])).sum()]"
            )
            on = f"on={left}" if same else f"left_on={left}, right_on={right}"
            suffix = f'suffixes=("", {py(" of " + self.tables[1].stem)})'
            lines.append(f'data = data.merge(other, {on}, how="left", validate="many_to_one", {suffix})')
        lines += [f"data[{py(one.name)}] = {self._calculated(one)}" for one in self.plan.new_columns]
        for measure in self.plan.measures:
            if measure.aggregate == "weighted mean":
                lines.append(f'data["weighted"] = data[{py(measure.column)}] * data[{py(measure.by)}]')
            if measure.part:
                fits = self._condition(measure.part[0])
                part = fits if measure.column == ROWS else f"data[{py(measure.column)}].where({fits}, 0)"
                lines.append(f'data["that fits"] = {part}')
        return lines + [line for key in self.plan.all_keys for line in self._made_key(key)]

    def _calculated(self, new: NewColumn) -> str:
        if new.op == "days since":
            if {self.column(new.left).kind, self.column(new.right).kind} != {"date"}:
                raise PlanError(f"{new.left} and {new.right} are not both dates.")
            return f"(data[{py(new.left)}] - data[{py(new.right)}]).dt.days"
        left, right = (self._term(one) for one in (new.left, new.right))
        if new.op in {"/", "% of"} and right.startswith("data["):
            right += '.replace(0, float("nan"))'
        return f"100 * {left} / {right}" if new.op == "% of" else f"{left} {new.op} {right}"

    def _term(self, text: str) -> str:
        if re.fullmatch(r"-?\d+(\.\d+)?", text) and text not in self.columns:
            return text
        if not self.numeric(text):
            raise PlanError(f"{text} holds no numbers.")
        return f"data[{py(text)}]"

    def _made_key(self, key: Key) -> list[str]:
        name = py(self.names[key])
        cells = f"data[{py(key.column)}]"
        column = self.columns.get(key.column)
        if key.bands:
            edges, labels = edges_of(key.bands)
            return [f"data[{name}] = pd.cut({cells}, {edges}, right=False, labels={py(labels)})"]
        if column is None or column.kind != "date" or (not key.unit and column.grain in {"day", "time"}):
            return []
        days = py(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"])
        made = {
            "year": f"{cells}.dt.year",
            "quarter": f'{cells}.dt.to_period("Q").astype(str)',
            "month": f'{cells}.dt.strftime("%Y-%m")',
            "week": f'{cells}.dt.to_period("W").dt.start_time.dt.strftime("%Y-%m-%d")  # the Monday',
            "day": f'{cells}.dt.strftime("%Y-%m-%d")',
            "weekday": f"pd.Categorical({cells}.dt.day_name(), {days}, ordered=True)",
            "hour": f"{cells}.dt.hour",
        }[key.unit or column.grain]
        return [f"data[{name}] = {made}"]

    def selecting(self) -> list[str]:
        """Makes `rows`, those that count."""
        tests = [self._condition(one) for one in self.plan.filters]
        if not tests:
            return ["rows = data"]
        joint = " | " if self.plan.either else " & "
        line = f"rows = data[{tests[0] if len(tests) == 1 else joint.join(f'({test})' for test in tests)}]"
        if len(line) > _LENGTH and len(tests) > 1:
            line = "rows = data[\n    " + f"\n    {joint.strip()} ".join(f"({test})" for test in tests) + "\n]"
        return [line]

    def _condition(self, one: Filter) -> str:
        return condition(one, None if one.column in self.new else self.column(one.column))

    # ---- calculating

    def computing(self) -> list[str]:
        """Makes `result`."""
        if self.plan.output in OF_COLUMNS:
            return self._of_columns()
        if self.plan.output in {"histogram", "box", "scatter"}:
            return self._points()
        if not self.plan.measures:
            return [*self._rows(), *self._ordered("result")]
        return self._groups()

    def _of_columns(self) -> list[str]:
        names = list(self.plan.columns)
        part = f"rows[{py(names)}]" if names else "rows"
        match self.plan.output:
            case "describe":
                known = [self.column(name) for name in names] or list(self.columns.values())
                counted = '"filled": part.count(), "missing": part.isna().sum(), "different": part.nunique()'
                lines = [f"part = {part}", f"result = pd.DataFrame({{{counted}}})"]
                if numbers := [column.name for column in known if column.numeric]:
                    lines += [f'numbers = part[{py(numbers)}].agg(["min", "mean", "median", "max", "std"])']
                    lines += ["result = result.join(numbers.T)"]
                return [*lines, 'result = result.rename_axis("column").reset_index()']
            case "missing":
                if self.names:
                    keys = ", ".join(f"rows[{py(name)}]" for name in self.names.values())
                    return [f"result = {part}.isna().groupby([{keys}]).sum().reset_index()"]
                return [
                    f"part = {part}",
                    'result = pd.DataFrame({"missing": part.isna().sum(), "missing (%)": 100 * part.isna().mean()})',
                    'result = result.rename_axis("column").reset_index()',
                ]
            case "duplicates":
                subset = f"{py(names)}, " if names else ""
                order = py(names or list(self.columns))
                return [f"result = rows[rows.duplicated({subset}keep=False)].sort_values({order})"]
            case "without duplicates":
                return [f"result = rows.drop_duplicates({py(names) if names else ''})"]
            case "distinct":
                return [f"result = {part}.dropna().drop_duplicates().sort_values({py(names)})"]
            case _:
                if bad := [name for name in names if not self.numeric(name)]:
                    raise PlanError(f"{bad[0]} holds no numbers, so that nothing is correlated with it.")
                if len(names) == 2 and self.plan.output == "correlation":  # noqa: PLR2004 one pair, one number
                    left, right = map(py, names)
                    return [f'result = pd.DataFrame({{"correlation": [rows[{left}].corr(rows[{right}])]}})']
                return [f'result = {part}.corr().rename_axis("column").reset_index()']

    def _points(self) -> list[str]:
        names = [measure.column for measure in self.plan.measures]
        if bad := [name for name in names if not self.numeric(name)]:
            raise PlanError(f"{bad[0]} holds no numbers to draw.")
        keys = [self.names[key] for key in self.plan.all_keys]
        return [f"result = rows[{py(list(dict.fromkeys([*keys, *names])))}].dropna()"]

    def _rows(self) -> list[str]:
        if self.plan.then:
            raise PlanError(f"The {self.plan.then} of what? Name a column, or say how it is grouped.")
        shown = list(self.plan.columns)
        if shown:
            shown += [name for name in self.new if name not in shown]
            return [f"result = rows[{py(shown)}]"]
        made = [self.names[key] for key in self.plan.all_keys if self.names[key] not in self.columns]
        return [f"result = rows.drop(columns={py(made)})" if made else "result = rows"]

    def measure_names(self) -> dict[str, Measure]:
        """The column that each measure has in the result."""
        found: dict[str, Measure] = {}
        often = [measure.column for measure in self.plan.measures]
        taken = {*self.names.values()}
        for measure in self.plan.measures:
            name = measure.column
            if measure.aggregate == "ratio":
                name = (
                    f"{measure.column} per {measure.per:,g} {measure.by}"
                    if measure.per != 1
                    else f"{name} / {measure.by}"
                )
            elif measure.aggregate == "percent that fit":
                name = f"{measure.column} that fit (%)"
            elif measure.aggregate == "count distinct":
                name = f"different {name}"
            elif (often.count(name) > 1 and name != ROWS) or name in taken:
                name = f"{measure.aggregate} {name}"
            found[name] = measure
        return found

    def _groups(self) -> list[str]:
        measures = self.measure_names()
        keys = list(self.names.values())
        alone = [one for one in measures.values() if one.aggregate in {"ratio", "weighted mean"}]
        if alone and len(measures) > 1:
            raise PlanError(f"A {alone[0].aggregate} is calculated alone; ask for the rest in a question of its own.")
        lines, source = [], "rows"
        if alone and not self._per_other(alone[0]):
            needed = [name for name in (alone[0].column, alone[0].by) if name != ROWS]
            lines, source = [f"known = rows.dropna(subset={py(needed)})"], "known"
        if keys:
            lines.append(f"groups = {source}.groupby({py(keys) if len(keys) > 1 else py(keys[0])}, observed=True)")
        made = {name: self._measured(one, source, grouped=bool(keys)) for name, one in measures.items()}
        for one in measures.values():
            if one.part and one.column == ROWS:
                counted = {"rows": "groups.size()", "that fit": 'groups["that fits"].sum()'} if keys else {
                    "rows": f"len({source})", "that fit": f'{source}["that fits"].sum()'}  # fmt: skip
                made = {**counted, **made}
        inner = {name: one if keys else f"[{one}]" for name, one in made.items()}
        lines.append(_frame(inner, ".reset_index()" if keys else ""))
        first = next(iter(measures))
        if self.plan.keep_groups:
            op, value = self.plan.keep_groups
            lines.append(f"result = result[result[{py(first)}] {op} {py(value)}]")
        if self.plan.then:
            lines += self._then(first)
        lines += self._ordered("result")
        return lines + (self._pivoted(first) if self.plan.output == "pivot" else [])

    def value_name(self) -> str:
        """The column of the result that a chart shows: what is calculated last."""
        first = next(iter(self.measure_names()))
        return f"{self.plan.then} of {first}" if self.plan.then else first

    def _per_other(self, measure: Measure) -> bool:
        """Whether a ratio divides by a column of the table that is looked up: its rows are not counted twice."""
        return bool(self.plan.on) and self.tables[0].find(measure.by) is None

    def _measured(self, measure: Measure, source: str, *, grouped: bool) -> str:
        of = "groups" if grouped else source
        cells = f"{of}[{py(measure.column)}]"
        times = f"{py(measure.per)} * " if measure.per != 1 else ""
        match measure.aggregate:
            case "ratio":
                top = (f"{of}.size()" if grouped else f"len({of})") if measure.column == ROWS else f"{cells}.sum()"
                return f"{times}{top} / {self._below(measure, of)}"
            case "weighted mean":
                return f'{of}["weighted"].sum() / {of}[{py(measure.by)}].sum()'
            case "percent that fit" if measure.column == ROWS:
                return f'100 * {of}["that fits"].mean()'
            case "percent that fit":
                return f'100 * {of}["that fits"].sum() / {cells}.sum()'
            case "count" if measure.column == ROWS:
                return f"{of}.size()" if grouped else f"len({of})"
        if measure.column == ROWS:
            raise PlanError(f"The {measure.aggregate} of rows means nothing.")
        counted = measure.aggregate in {"count", "count distinct"}
        extreme = measure.aggregate in {"min", "max"} and self.columns.get(measure.column)
        if not counted and not self.numeric(measure.column) and not (extreme and extreme.kind == "date"):
            raise PlanError(f"{measure.column} holds no numbers: it has no {measure.aggregate}.")
        if measure.percentile:
            return f"{cells}.quantile({measure.percentile / 100:g})"
        if measure.aggregate not in _METHODS:
            raise PlanError(f"There is no {measure.aggregate} of a group.")
        return f"{cells}.{_METHODS[measure.aggregate]}"

    def _below(self, measure: Measure, of: str) -> str:
        if not self._per_other(measure):
            return f"{of}[{py(measure.by)}].sum()"
        names = [self._in_other(name) for name in self.names.values()]
        if self.plan.filters and any(self.tables[0].find(one.column) is None for one in self.plan.filters):
            raise PlanError(
                f"Rows of {self.tables[1].name} are chosen, and its {measure.by} is divided by: ask in two steps."
            )
        if not names:
            return f"other[{py(measure.by)}].sum()"
        left, right = self.plan.on or ("", "")
        frame = f"other.rename(columns={py({right: left})})" if left in names and left != right else "other"
        return f"{frame}.groupby({py(names) if len(names) > 1 else py(names[0])})[{py(measure.by)}].sum()"

    def _in_other(self, name: str) -> str:
        """A key that the looked-up table has as well. Raises `PlanError`."""
        if name != (self.plan.on or ("",))[0] and self.tables[1].find(name) is None:
            raise PlanError(f"{self.tables[1].name} has no {name} to divide by.")
        return name

    def _then(self, first: str) -> list[str]:
        name, value = py(f"{self.plan.then} of {first}"), f"result[{py(first)}]"
        timed = [key for key in self.plan.all_keys if key.unit or self.columns[key.column].kind in {"date", "year"}]
        others = [self.names[key] for key in self.plan.all_keys if key not in timed] if timed else []
        within = (
            f"result.groupby({py(others) if len(others) > 1 else py(others[0])}, observed=True)[{py(first)}]"
            if others
            else value
        )
        window = self.plan.window or 3
        code = {
            "percent of total": f"100 * {value} / {value}.sum()",
            "difference": f"{within}.diff()",
            "percent change": f"100 * {within}.pct_change(fill_method=None)",
            "running total": f"{within}.cumsum()",
            "rolling mean": f"{within}.rolling({window}).mean()",
            "rank": f"{value}.rank(ascending=False)",
        }.get(self.plan.then)
        if code is None:
            raise PlanError(f"There is no {self.plan.then}.")
        if self.plan.then == "rolling mean" and others:
            code = f"{within}.transform(lambda part: part.rolling({window}).mean())"
        if not self.names:
            raise PlanError(f"The {self.plan.then} of one number means nothing: say what it is grouped by.")
        return [f"result[{name}] = {code}"]

    def _ordered(self, frame: str) -> list[str]:
        order, limit = self.plan.order, self.plan.limit
        if order is None:
            return [f"{frame} = {frame}.head({limit})"] if limit else []
        if order.by == "measure":
            if not self.plan.measures:
                raise PlanError("Ranked by which column? Name one.")
            by = self.value_name()
        else:
            named = {key.column: name for key, name in self.names.items()}
            measured = {one.column: name for name, one in self.measure_names().items()} if self.plan.measures else {}
            by = measured.get(order.by) or named.get(order.by) or order.by
            if self.plan.measures and order.by not in {*measured, *named}:
                raise PlanError(f"The groups have no {order.by} to be ordered by.")
        name, ascending = py(by), not order.descending
        if limit and self.plan.percent:
            share = limit / 100 if ascending else 1 - limit / 100
            sign = "<=" if ascending else ">="
            return [
                f"{frame} = {frame}[{frame}[{name}] {sign} {frame}[{name}].quantile({share:g})]",
                f"{frame} = {frame}.sort_values({name}, ascending={ascending})",
            ]
        if limit and (by in self.new or by not in self.columns or self.columns[by].numeric):
            return [f'{frame} = {frame}.{"nsmallest" if ascending else "nlargest"}({limit}, {name}, keep="all")']
        lines = [f'{frame} = {frame}.sort_values({name}, ascending={ascending}, kind="stable")']
        return lines + ([f"{frame} = {frame}.head({limit})"] if limit else [])

    def _pivoted(self, first: str) -> list[str]:
        if self.plan.across is None:
            raise PlanError("What stands in the columns of the pivot?")
        if self.plan.then:
            raise PlanError(f"The {self.plan.then} in a pivot is not calculated.")
        rows = [self.names[key] for key in self.plan.keys]
        index = py(rows) if len(rows) > 1 else py(rows[0])
        zero = ".fillna(0).astype(int)" if self.plan.measures[0].column == ROWS else ""
        across = py(self.names[self.plan.across])
        line = f"result = result.pivot(index={index}, columns={across}, values={py(first)}){zero}"
        return [line, "result.columns = result.columns.astype(str)", "result = result.reset_index()"]


def _frame(made: dict[str, str], ending: str) -> str:
    parts = [f"{py(name)}: {code}" for name, code in made.items()]
    line = f"result = pd.DataFrame({{{', '.join(parts)}}}){ending}"
    if len(line) <= _LENGTH:
        return line
    return "result = pd.DataFrame({\n" + "".join(f"    {part},\n" for part in parts) + f"}}){ending}"
