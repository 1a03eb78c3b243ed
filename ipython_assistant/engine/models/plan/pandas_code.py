"""Writes the code of a plan: plain pandas, such as one would hand to a colleague.

The code leaves `data` (the table), `rows` (those that count) and `result`, from which the answer's facts are read.
"""

from __future__ import annotations

import textwrap
from functools import cached_property
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan.english import words_of
from ipython_assistant.engine.models.plan.plan import AS_IT_IS, OF_COLUMNS, OF_POINTS, ROWS, Measure, Plan, PlanError
from ipython_assistant.engine.models.plan.rows_code import UNIT_CODE, RowsCode
from ipython_assistant.engine.models.plan.words import title
from ipython_assistant.engine.models.table_profiles import py

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.table_profiles import TableProfile

_METHODS: Final = {
    "mean": "mean()", "sum": "sum(min_count=1)", "median": "median()", "min": "min()", "max": "max()", "std": "std()",
    "count": "count()", "count distinct": "nunique()",
}  # fmt: skip
_WRITERS: Final = {
    ".csv": "to_csv({}, index=False)", ".tsv": 'to_csv({}, sep="\\t", index=False)',
    ".xlsx": "to_excel({}, index=False)", ".parquet": "to_parquet({}, index=False)",
    ".json": 'to_json({}, orient="records", date_format="iso", indent=2)',
    ".jsonl": 'to_json({}, orient="records", date_format="iso", lines=True)',
    ".html": 'to_html({}, index=False, na_rep="")',
}  # fmt: skip
_TURNED: Final = 'plt.setp(ax.get_xticklabels(), rotation=45, ha="right")'


def program(plan: Plan, tables: Sequence[TableProfile], heading: str) -> str:
    """The whole code of a plan. Raises `PlanError`: it asks for something that the tables cannot give."""
    code = PlanCode(plan, tables)
    lines = [*code.loading(), "", f"# {' '.join(heading.split())}", *code.selecting(), *code.computing()]
    if plan.drawn:
        lines += ["", *_drawing(plan, code)]
    else:
        lines += [*_writing(plan.file), "print(result.head(20).to_string(index=False))"]
    imports = ["import json", "from pathlib import Path", ""] if any("json." in one.read for one in tables) else []
    imports += ["import matplotlib.pyplot as plt"] if plan.drawn else []
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


class PlanCode(RowsCode):
    """The code of one plan: its rows, and the `result` that is made of them."""

    def computing(self) -> list[str]:
        """Makes `result`."""
        if self.plan.then and not (self.plan.measures and self.names and self.plan.output != "pivot"):
            raise PlanError(f"The {self.plan.then} of what? Name a column, and say how it is grouped.")
        if self.plan.output in OF_COLUMNS:
            return self._of_columns()
        if self.plan.output in OF_POINTS:
            names = [measure.column for measure in self.plan.measures]
            if len(names) < 1 + (self.plan.output == "scatter") or not all(map(self.numeric, names)):
                raise PlanError(f"A {self.plan.output} chart of which columns of numbers?")
            if self.plan.then or any(measure.aggregate != AS_IT_IS for measure in self.plan.measures):
                raise PlanError(f"A {self.plan.output} chart shows the rows as they are, without calculations.")
            return [f"result = rows[{py(list(dict.fromkeys([*self.names.values(), *names])))}].dropna()"]
        return self._groups() if self.plan.measures else self._rows()

    # ---- rows and columns

    def _rows(self) -> list[str]:
        """The rows themselves; their months, quarters and weeks are written as such again, not as their first day."""
        shown = [*self.plan.columns]
        shown += [name for name in self.new if shown and name not in shown]
        cells = []
        for name in shown or self.plan.used():
            grain = self.columns[name].grain if name in self.columns else ""
            if grain in {"week", "month", "quarter"}:
                code = UNIT_CODE[grain].partition("  #")[0].format(f"result[{py(name)}]")
                cells.append(f"{py(name)}: {code}")
        written = [f"result = result.assign(**{{{', '.join(cells)}}})"] if cells else []
        return [f"result = rows[{py(shown)}]" if shown else "result = rows", *self._ordered(), *written]

    def _of_columns(self) -> list[str]:
        names = list(self.plan.columns)
        part, chosen = (f"rows[{py(names)}]", py(names)) if names else ("rows", "")
        named = '.rename_axis("column").reset_index()'
        match self.plan.output:
            case "describe":
                counted = '"filled": part.count(), "missing": part.isna().sum(), "different": part.nunique()'
                numbers = [name for name in names or self.columns if self.numeric(name)]
                joined = f'.join(part[{py(numbers)}].agg(["min", "mean", "median", "max", "std"]).T)' if numbers else ""
                return [f"part = {part}", f"result = pd.DataFrame({{{counted}}}){joined}{named}"]
            case "missing":
                counts = '"missing": part.isna().sum(), "missing (%)": 100 * part.isna().mean()'
                return [f"part = {part}", f"result = pd.DataFrame({{{counts}}}){named}"]
            case "duplicates":
                again = f"rows.duplicated(subset={chosen or None}, keep=False)"
                return [f"result = rows[{again}].sort_values({py(names or [*self.columns])})"]
            case "without duplicates":
                return [f"result = rows.drop_duplicates({chosen})"]
            case "distinct":
                return [f"result = {part}.dropna().drop_duplicates().sort_values({chosen})"]
        if bad := [name for name in names if not self.numeric(name)]:
            raise PlanError(f"{bad[0]} holds no numbers, so that nothing is correlated with it.")
        if len(names) == 2:  # noqa: PLR2004 one pair, one number
            left, right = map(py, names)
            return [f'result = pd.DataFrame({{"correlation": [rows[{left}].corr(rows[{right}])]}})']
        return [f"result = {part}.corr(){named}"]

    # ---- groups

    @cached_property
    def measured(self) -> dict[str, Measure]:
        """The measures by the column that each has in the result."""
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

    @property
    def value(self) -> str:
        """The column of the result that is calculated last: a chart shows it, and groups are ordered by it."""
        first = next(iter(self.measured))
        return f"{self.plan.then} of {first}" if self.plan.then else first

    def _groups(self) -> list[str]:
        keys, lines, source = list(self.names.values()), [], "rows"
        first, one = next(iter(self.measured.items()))
        if {"ratio", "weighted mean"}.intersection(each.aggregate for each in self.plan.measures):
            if len(self.measured) > 1:
                raise PlanError("A ratio or weighted mean is calculated alone; ask for the rest in another question.")
            if not self._per_other(one):
                needed = [name for name in (one.column, one.by) if name != ROWS]
                lines, source = [f"known = rows.dropna(subset={py(needed)})"], "known"
        of, counted = source, f"len({source})"
        if keys:
            lines.append(f"groups = {source}.groupby({_one_or_list(keys)}, observed=True)")
            of, counted = "groups", "groups.size()"
        made: dict[str, str] = {}
        for name, measure in self.measured.items():
            if measure.part and measure.column == ROWS:
                made |= {"rows": counted, "that fits": f'{of}["that fits"].sum()'}
            made[name] = self._measured(measure, of, counted)
        parts = [f"{py(name)}: {code if keys else f'[{code}]'}" for name, code in made.items()]
        inner = parts[0] if len(parts) == 1 else "\n" + "".join(f"    {part},\n" for part in parts)
        lines.append(f"result = pd.DataFrame({{{inner}}}){'.reset_index()' if keys else ''}")
        lines += [*(self._then(first) if self.plan.then else []), *self._ordered()]
        if self.plan.output != "pivot":
            return lines
        if self.plan.across is None or not self.plan.keys:
            raise PlanError("What stands in the rows and the columns of the pivot?")
        index, across = _one_or_list([self.names[key] for key in self.plan.keys]), py(self.names[self.plan.across])
        zero = ".fillna(0).astype(int)" if one.column == ROWS else ""
        lines.append(f"result = result.pivot(index={index}, columns={across}, values={py(first)}){zero}")
        return [*lines, "result.columns = result.columns.astype(str)", "result = result.reset_index()"]

    def _measured(self, measure: Measure, of: str, counted: str) -> str:
        """The code of one measure; `of` is what it is calculated of, `counted` the number of its rows."""
        cells = f"{of}[{py(measure.column)}]"
        match measure.aggregate:
            case "ratio":
                times = f"{py(measure.per)} * " if measure.per != 1 else ""
                below = self._other_total(measure) if self._per_other(measure) else f"{of}[{py(measure.by)}].sum()"
                return f"{times}{counted if measure.column == ROWS else f'{cells}.sum()'} / {below}"
            case "weighted mean":
                return f'{of}["weighted"].sum() / {of}[{py(measure.by)}].sum()'
            case "percent that fit":
                fits = f'{of}["that fits"]'
                return f"100 * {fits}.mean()" if measure.column == ROWS else f"100 * {fits}.sum() / {cells}.sum()"
            case "count" if measure.column == ROWS:
                return counted
        if measure.column == ROWS or measure.aggregate not in _METHODS:
            raise PlanError(f"There is no {measure.aggregate} of {measure.column}.")
        column = self.columns.get(measure.column)
        dated = measure.aggregate in {"min", "max"} and column is not None and column.kind == "date"
        if measure.aggregate not in {"count", "count distinct"} and not (dated or self.numeric(measure.column)):
            raise PlanError(f"{measure.column} holds no numbers: it has no {measure.aggregate}.")
        return f"{cells}.{_METHODS[measure.aggregate]}"

    def _per_other(self, measure: Measure) -> bool:
        """Whether a ratio divides by a column of the table that is looked up: its rows are not counted twice."""
        return bool(self.plan.on) and self.tables[0].find(measure.by) is None

    def _other_total(self, measure: Measure) -> str:
        """What a ratio divides by: the total in the table that is looked up, of the same groups."""
        other, (left, right) = self.tables[1], self.plan.on or ("", "")
        if any(self.tables[0].find(one.column) is None for one in self.plan.filters):
            raise PlanError(f"{other.name} is filtered, so its {measure.by} cannot be the divisor: ask in two steps.")
        alike = {words_of(column.name): column.name for column in other.columns}
        theirs = {name: right if name == left else alike.get(words_of(name), "") for name in self.names.values()}
        if lacking := [name for name, there in theirs.items() if not there]:
            raise PlanError(f"{other.name} has no {lacking[0]} to divide by.")
        if not theirs:
            return f"other[{py(measure.by)}].sum()"
        renamed = {there: here for here, there in theirs.items() if there != here}
        frame = f"other.rename(columns={py(renamed)})" if renamed else "other"
        return f"{frame}.groupby({_one_or_list([*theirs])})[{py(measure.by)}].sum()"

    def _then(self, first: str) -> list[str]:
        value = f"result[{py(first)}]"
        dates = {column.name for column in self.columns.values() if column.in_time}
        timed = [key for key in self.plan.all_keys if key.unit or key.column in dates]
        others = [self.names[key] for key in self.plan.all_keys if key not in timed] if timed else []
        within = f"result.groupby({_one_or_list(others)}, observed=True)[{py(first)}]" if others else value
        rolling = f"rolling({self.plan.window or 3}).mean()"
        code = {
            "percent of total": f"100 * {value} / {value}.sum()",
            "difference": f"{within}.diff()",
            "percent change": f"100 * {within}.pct_change(fill_method=None)",
            "running total": f"{within}.cumsum()",
            "rolling mean": f"{within}.transform(lambda part: part.{rolling})" if others else f"{value}.{rolling}",
        }.get(self.plan.then)
        if code is None:
            raise PlanError(f"There is no {self.plan.then}.")
        return [f"result[{py(self.value)}] = {code}"]

    def _ordered(self) -> list[str]:
        order, limit = self.plan.order, self.plan.limit
        head = [f"result = result.head({limit})"] if limit else []
        if order is None:
            return head
        known = {name: name for name in (*self.columns, *self.new)}
        if self.plan.measures:
            known = {key.column: name for key, name in self.names.items()}
            known |= {one.column: name for name, one in self.measured.items()} | {"measure": self.value}
        if order.by not in known:
            raise PlanError("Ranked by which column? Name one.")
        by = known[order.by]
        if limit and (by in self.new or by not in self.columns or self.columns[by].numeric):
            return [f'result = result.{"nlargest" if order.descending else "nsmallest"}({limit}, {py(by)}, keep="all")']
        return [f'result = result.sort_values({py(by)}, ascending={not order.descending}, kind="stable")', *head]


def _one_or_list(names: Sequence[str]) -> str:
    return py(names[0]) if len(names) == 1 else py([*names])


# ---- charts: plain matplotlib, one pair of axes, labelled


def _drawing(plan: Plan, code: PlanCode) -> list[str]:
    """The lines that draw and save the picture. Raises `PlanError` where it lacks what such a chart needs."""
    lines, across, up = (_chart_of_points if plan.output in OF_POINTS else _chart_of_groups)(plan, code)
    heading = "\n".join(textwrap.wrap(title(plan), 70))  # characters, in a figure of 7 inches
    return [
        'plt.rcParams["text.parse_math"] = False  # a $ in a name is a dollar sign',
        'fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")',
        *lines,
        f"ax.set(\n    title={py(heading)},\n    xlabel={py(across)},\n    ylabel={py(up)},\n)",
        f"fig.savefig({py(plan.file)}, dpi=150)",
        "plt.close(fig)",
        f'print(f"{{len(result):,}} points, saved as", {py(plan.file)})',
    ]


def _chart_of_points(plan: Plan, code: PlanCode) -> tuple[list[str], str, str]:
    names = [measure.column for measure in plan.measures]
    keys, y = [code.names[key] for key in plan.all_keys], py(names[0])
    parts = f"result.groupby({py(keys[0])}, observed=True)" if keys else ""
    if plan.output == "histogram":
        return [f'ax.hist(result[{y}], bins=20, edgecolor="white")'], names[0], "rows"
    if plan.output == "scatter":
        x, dots = py(names[1]), "ax.scatter({0}[{1}], {0}[{2}], s=18, alpha=0.7{3})"
        if not keys:
            return [dots.format("result", x, y, "")], names[1], names[0]
        lines = [f"for name, part in {parts}:", "    " + dots.format("part", x, y, ", label=str(name)")]
        return [*lines, f"ax.legend(title={py(keys[0])})"], names[1], names[0]
    if not keys:
        return [f"ax.boxplot(result[{y}])", "ax.set_xticks([])"], "", names[0]
    lines = [
        f"groups = [(str(name), part) for name, part in {parts}[{y}]]",
        "ax.boxplot([part for _, part in groups])",
        "ax.set_xticks(range(1, len(groups) + 1), [name for name, _ in groups])",
        _TURNED,
    ]
    return lines, keys[0], names[0]


def _chart_of_groups(plan: Plan, code: PlanCode) -> tuple[list[str], str, str]:
    if not (plan.keys and plan.measures):
        raise PlanError(f"A {plan.output} chart of what, over what? Say “Y by X”.")
    keys = [code.names[key] for key in plan.all_keys]
    x, across = keys[0], keys[1] if len(keys) > 1 else ""
    values = [code.value, *list(code.measured)[1:]]
    y = values[0] if len(values) == 1 else "value"
    if (len(values) > 1 and (across or plan.output == "pie")) or len(keys) > 2:  # noqa: PLR2004 an axis and its colours
        raise PlanError("A chart shows one number for each line or colour; ask for two charts.")
    if plan.output == "pie":
        return [f"ax.pie(result[{py(y)}], labels=result[{py(x)}].astype(str))"], "", ""
    made = [f"shown = result.set_index({py(x)})[{py(values)}]"]
    if across:
        zero = ".fillna(0)" if plan.measures[0].aggregate == "count" else ""
        made = [f"shown = result.pivot(index={py(x)}, columns={py(across)}, values={py(y)}){zero}"]
    if plan.output == "heatmap":
        made += [
            'image = ax.imshow(shown.T.to_numpy(dtype=float), aspect="auto")',
            'ax.set_xticks(range(len(shown)), shown.index.astype(str), rotation=45, ha="right")',
            "ax.set_yticks(range(shown.shape[1]), shown.columns.astype(str))",
            f"fig.colorbar(image, label={py(y)})",
        ]
        return made, x, across
    several = bool(across) or len(values) > 1
    made += _lines(plan, code, several=several) if plan.output == "line" else _bars(plan, several=several)
    if several:
        heading = f"title={py(across)}, " if across else ""
        made.append(f'ax.legend({heading}loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")')
    made.append("ax.grid(alpha=0.3)")
    return (made, y, x) if plan.output == "horizontal bar" else (made, x, y)


def _lines(plan: Plan, code: PlanCode, *, several: bool) -> list[str]:
    key = plan.keys[0]
    column = code.columns.get(key.column)
    number = column is not None and (column.numeric or key.unit in {"year", "hour"})
    dates = column is not None and column.kind == "date" and not key.unit and column.grain in {"day", "time"}
    # Lines over texts keep every place of the axis, so that all of them share its order.
    lines = [] if plan.order else ["shown = shown.sort_index()"]
    lines += ["for name, line in shown.items():", *(["    line = line.dropna()"] if number or dates else [])]
    index = "line.index" if number or dates else "line.index.astype(str)"
    lines += [f'    ax.plot({index}, line, marker="o", markersize=4{", label=str(name)" if several else ""})']
    return [*lines, 'ax.locator_params(axis="x", integer=True)' if number else _TURNED]


def _bars(plan: Plan, *, several: bool) -> list[str]:
    flat = "h" if plan.output == "horizontal bar" else ""
    lines = ['shown.index = shown.index.astype(str).str.removesuffix(" 00:00:00")']
    if several:
        stacked = ", stacked=True" if plan.output == "stacked bar" else ""
        return [*lines, f"shown.plot.bar{flat}(ax=ax, width=0.8{stacked})", *([] if flat else [_TURNED])]
    return [*lines, f"ax.bar{flat}(shown.index, shown.iloc[:, 0])", "ax.invert_yaxis()" if flat else _TURNED]
