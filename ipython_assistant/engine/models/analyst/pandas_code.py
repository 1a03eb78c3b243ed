"""Writes the code of plans: plain pandas and matplotlib, such as one would hand to a colleague.

Every name and value enters the code as a Python literal made by `repr`, so that no column name can be code. Comments
hold names too; they are kept on one line.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.markdown import one_line
from ipython_assistant.engine.models.analyst.plan import (
    Between,
    Chart,
    Compare,
    Condition,
    Describe,
    Group,
    How,
    InYears,
    Measure,
    OneOf,
    Plan,
    Rows,
    columns_of,
)
from ipython_assistant.engine.models.analyst.tables import Column, Kind, Table
from ipython_assistant.engine.models.analyst.wording import in_words, measures_in_words, title

if TYPE_CHECKING:
    from collections.abc import Sequence

IMPORT: Final = "import pandas as pd"
LINE_LENGTH: Final = 100
TITLE_LENGTH: Final = 70
"""Characters of a chart's title in one line; the figure is 7 inches wide."""
DOTS_PER_INCH: Final = 150
MANY_TICKS: Final = 6
"""Texts under an axis from which on they are turned."""
LONG_NUMBER: Final = 1000
"""From which on an axis has commas between thousands and no decimals."""
COLOURS: Final = 10
"""Colours matplotlib has before it begins again."""
MANY_YEARS: Final = 15
"""Years from first to last up to which each has its tick, also those that nothing is drawn at."""


@dataclass(frozen=True, slots=True)
class Section:
    """The code of one plan.

    Args:
        heading: What it does, for a comment.
        select: Makes `rows`, the rows that count.
        compute: Makes `drawn` or `summary` of them; empty for rows that are copied.
        write: Draws, prints, and writes the files.
    """

    heading: str
    select: str
    compute: str
    write: str


def program(plans: Sequence[Plan]) -> str:
    """The whole code of plans over one table."""
    table = plans[0].table
    imports = ["import matplotlib.pyplot as plt"] if any(isinstance(plan.task, Chart) for plan in plans) else []
    parts = ["\n".join([*imports, IMPORT]), load(table, plans)]
    if imports and any(_has_dollar(plan) for plan in plans):
        parts.append('plt.rcParams["text.parse_math"] = False  # a $ in a name is a dollar sign, not a formula')
    for number, plan in enumerate(plans, 1):
        part = section(plan)
        heading = f"# {number}. {part.heading}" if len(plans) > 1 else f"# {part.heading}"
        comment = "\n# ".join(textwrap.wrap(heading, LINE_LENGTH - 2, break_long_words=False, break_on_hyphens=False))
        parts.append("\n".join(filter(None, [comment, part.select, part.compute, part.write])))
    return "\n\n".join(parts) + "\n"


def load(table: Table, plans: Sequence[Plan]) -> str:
    """Reads the table as `data`, and makes numbers and dates of the columns the plans use."""
    used = {column.name for plan in plans for column in columns_of(plan)}
    columns = [column for column in table.columns if column.name in used]
    kept = {column.name: "string" for column in table.columns if column.digits}
    arguments = [py(table.path), *_file_arguments(table)]
    lines = [_call("data = pd.read_csv", [*arguments, f"dtype={py(kept)}"] if kept else arguments)]
    for column in columns:
        lines += _cleaned(column)
    return "\n".join(lines)


def _file_arguments(table: Table) -> list[str]:
    separator = [f"sep={py(table.separator)}"] if table.separator != "," else []
    return separator + ([f"encoding={py(table.encoding)}"] if table.encoding != "utf-8" else [])


def _cleaned(column: Column) -> list[str]:
    """What makes of a column's cells what they mean, where pandas does not by itself."""
    cells = f"data[{py(column.name)}]"
    if column.kind is Kind.DATE:
        stripped = f"{cells}.str.strip()" if column.padded else cells
        return [f"{cells} = pd.to_datetime({stripped}, format={py(column.date_format)})"]
    if column.kind in {Kind.TEXT, Kind.BOOL}:
        stripped = f'{cells} = {cells}.str.strip().replace("", pd.NA)  # some cells have spaces around them'
        return [stripped] if column.padded else []
    changes = "".join(_CONVERSIONS[name] for name in column.conversion)
    if changes:
        text = f'{cells}.astype("string"){changes}'
        return [f'{cells} = pd.to_numeric({text}, errors="coerce")  # e.g. {one_line(column.sample)}']
    if column.conversion or (column.padded and column.kind in {Kind.NUMBER, Kind.YEAR}):
        return [f'{cells} = pd.to_numeric({cells}, errors="coerce")  # what is no number counts as missing']
    return []


_CONVERSIONS: Final = {
    "coerce": "",
    "decimal comma": '.str.replace(",", ".")',
    "percent": '.str.replace("%", "")',
    "spaces": '.str.replace(r"\\s", "", regex=True)',
    "thousands": '.str.replace(",", "")',
}


def section(plan: Plan) -> Section:
    """The code of one plan, `data` having been read."""
    select, rows = _selected(plan.where)
    match plan.task:
        case Describe():
            compute, write = _described(plan, plan.task, rows)
        case Chart():
            compute, write = _charted(plan, plan.task, rows)
        case Group():
            compute, write = _grouped(plan, plan.task, rows)
        case Rows():
            compute, write = _copied(plan, plan.task, rows)
    return Section(in_words(plan, plain=True), select, compute, write)


# ---- rows


def _selected(where: Sequence[Condition]) -> tuple[str, str]:
    """The code that selects rows, and the name they have after it."""
    if not where:
        return "", "data"
    tests = [_test(condition) for condition in where]
    if len(tests) == 1:
        chosen = f"rows = data[{tests[0]}]"
    else:
        joined = "\n    & ".join(f"({test})" for test in tests)
        chosen = f"rows = data[\n    {joined}\n]"
    return f'{chosen}\nprint(f"{{len(rows):,}} of {{len(data):,}} rows selected")', "rows"


def _test(condition: Condition) -> str:
    cells = f"data[{py(condition.column.name)}]"
    if condition.column.kind is Kind.DATE:
        cells += (
            ".dt.year" if _by_year(condition) else ".dt.normalize()" if "%H" in condition.column.date_format else ""
        )
    match condition:
        case OneOf(values=several, negated=negated) | InYears(years=several, negated=negated):
            if len(several) == 1:
                return f"{cells} {'!=' if negated else '=='} {py(several[0])}"
            return f"{'~' if negated else ''}{cells}.isin({py(list(several))})"
        case Compare(sign=sign, bound=bound):
            return f"{cells} {sign.value} {py(bound)}"
        case Between(low=low, high=high):
            return f"{cells}.between({py(low)}, {py(high)})"


def _by_year(condition: Condition) -> bool:
    match condition:
        case InYears():
            return True
        case Compare(bound=bound) | Between(low=bound):
            return not isinstance(bound, str)
        case _:
            return False


def _copied(plan: Plan, task: Rows, rows: str) -> tuple[str, str]:
    """Rows are written as they stand in the file: a filter changes no cell."""
    read = _call(
        "written = pd.read_csv",
        [py(plan.table.path), *_file_arguments(plan.table), 'dtype="string"', "keep_default_na=False"],
    )
    chosen = rows
    lines = []
    if task.top and task.by:
        best = "nlargest" if task.top.largest else "nsmallest"
        lines.append(f'rows = {rows}.{best}({task.top.count}, {py(task.by.name)}, keep="all")')
        chosen = "rows"
    lines += ["# every cell as it stands in the file", read]
    part = f"written.loc[{chosen}.index" + (
        f", {py([column.name for column in task.columns])}]" if task.columns else "]"
    )
    lines.append(f"chosen = {part if chosen != 'data' or task.columns else 'written'}")
    write = [
        f"chosen.to_csv({py(plan.save)}, index=False)",
        "print(chosen.head(20).to_string(index=False))",
        _saved(plan.save, "chosen"),
    ]
    return "\n".join(lines), "\n".join(write)


# ---- tables


def _described(plan: Plan, task: Describe, rows: str) -> tuple[str, str]:
    columns = task.columns or plan.table.columns
    kinds = {column.name: column.kind.value for column in columns}
    numbers = [column.name for column in columns if column.kind is Kind.NUMBER]
    years = [column.name for column in columns if column.kind is Kind.YEAR]
    part = f"{rows}[list(kinds)]"
    lines = [
        f"kinds = {_literal(kinds)}",
        f"part = {part}",
        'summary = pd.DataFrame({"kind": kinds, "filled": part.count(), "missing": part.isna().sum()})',
        'summary["distinct"] = part.nunique()',
    ]
    if numbers:
        lines.append(f'summary = summary.join(part[{py(numbers)}].agg(["min", "mean", "median", "max"]).T)')
    if years and numbers:
        lines.append(f'summary.loc[{py(years)}, ["min", "max"]] = part[{py(years)}].agg(["min", "max"]).T')
    elif years:
        lines.append(f'summary = summary.join(part[{py(years)}].agg(["min", "max"]).T)')
    lines.append('summary = summary.rename_axis("column").reset_index()')
    write = [
        f'print(f"{{len({rows}):,}} rows × {{{rows}.shape[1]}} columns")',
        "print(summary.to_string(index=False))",
        f"summary.to_csv({py(plan.save)}, index=False)",
        _saved(plan.save, "summary"),
    ]
    return "\n".join(lines), "\n".join(write)


def _grouped(plan: Plan, task: Group, rows: str) -> tuple[str, str]:
    names = measure_names(task)
    keys = [key.name for key in task.keys]
    if keys:
        lines = [f"groups = {rows}{_whole_keys(task.keys)}.groupby({_one_or_list(keys)})"]
        lines.append(f"summary = {_frame({name: _taken(measure) for name, measure in names.items()})}.reset_index()")
    else:
        lines = [f"summary = {_frame({name: f'[{_of_all(measure, rows)}]' for name, measure in names.items()})}"]
    if task.top:
        best = "nlargest" if task.top.largest else "nsmallest"
        lines.append(f'summary = summary.{best}({task.top.count}, {py(next(iter(names)))}, keep="all")')
    write = [
        f"summary.to_csv({py(plan.save)}, index=False)",
        "print(summary.head(20).to_string(index=False))",
        _saved(plan.save, "summary"),
    ]
    return "\n".join(lines), "\n".join(write)


def measure_names(task: Group | Chart) -> dict[str, Measure]:
    """The column each measure has in what is written: its own name, with the way it is taken where that is needed."""
    columns = [measure.column.name for measure in task.measures if measure.column]
    taken = [
        *columns,
        *(key.name for key in (task.keys if isinstance(task, Group) else filter(None, (task.over, task.series)))),
    ]
    names = {}
    for measure in task.measures:
        name = measure.column.name if measure.column else "rows" if "rows" not in taken else "number of rows"
        if taken.count(name) > 1:
            name = f"{name} {measure.how or How.MEAN}"
        names[name] = measure
    return names


def _frame(columns: dict[str, str]) -> str:
    """A table, from the code of each column."""
    line = f"pd.DataFrame({{{', '.join(f'{py(name)}: {code}' for name, code in columns.items())}}})"
    if len(line) <= LINE_LENGTH - len("summary = .reset_index()"):
        return line
    return "\n".join(["pd.DataFrame({", *(f"    {py(name)}: {code}," for name, code in columns.items()), "})"])


def _taken(measure: Measure) -> str:
    """One measure of `groups`; a total of nothing is missing, not 0."""
    if measure.column is None:
        return "groups.size()"
    whole = measure.column.floats and measure.how in {How.SUM, How.MIN, How.MAX}
    return f"groups[{py(measure.column.name)}].{_method(measure)}" + ('.astype("Int64")' if whole else "")


def _of_all(measure: Measure, rows: str) -> str:
    """One measure of all rows."""
    return f"{rows}[{py(measure.column.name)}].{_method(measure)}" if measure.column else f"len({rows})"


def _method(measure: Measure) -> str:
    return "sum(min_count=1)" if measure.how is How.SUM else f"{measure.how or How.MEAN}()"


def _whole_keys(keys: Sequence[Column]) -> str:
    """Whole numbers that pandas holds as floats because of blanks become whole again, without the blanks."""
    floats = [key.name for key in keys if key.floats]
    return (
        f".dropna(subset={py(floats)}).astype({{{', '.join(f'{py(name)}: int' for name in floats)}}})" if floats else ""
    )


# ---- charts


def _charted(plan: Plan, task: Chart, rows: str) -> tuple[str, str]:
    names = measure_names(task)
    axes = [task.over, *filter(None, [task.series])]
    needed = [column.name for column in axes]
    if len(names) == 1 and task.measures[0].column:
        needed.append(task.measures[0].column.name)
    whole = _whole_keys(axes).partition(".astype")
    lines = [
        f"known = {rows}.dropna(subset={py(needed)}){whole[1]}{whole[2]}",
        f'print(f"rows left out for missing values: {{len({rows}) - len(known):,}}")',
        *_points(task, names),
    ]
    if task.top:
        lines.append(f'drawn = drawn.{"nlargest" if task.top.largest else "nsmallest"}({task.top.count}, keep="all")')
    several = bool(task.series) or len(names) > 1
    points = "drawn.count().sum()" if several else "drawn.count()"
    write = [
        "",
        _figure(task, plan, several=several),
        f"fig.savefig({py(plan.picture)}, dpi={DOTS_PER_INCH})",
        "plt.close(fig)",
        f'print(f"{{{points}:,}} points drawn, saved as", {py(plan.picture)})',
    ]
    if plan.save:
        write += [f"drawn.to_csv({py(plan.save)})", _saved(plan.save, "drawn")]
    return "\n".join(lines), "\n".join(write)


def _points(task: Chart, names: dict[str, Measure]) -> list[str]:
    """What is drawn: a series over the axis, or a table with a column per line."""
    axes = [task.over.name, *([task.series.name] if task.series else [])]
    measure = task.measures[0]
    if len(names) > 1 and all(one.how is None for one in names.values()):
        return [f"drawn = known.set_index({py(axes[0])})[{py(list(names))}].sort_index()"]
    if len(names) > 1:
        columns = {name: _taken(one) for name, one in names.items()}
        return [f"groups = known.groupby({py(axes[0])})", f"drawn = {_frame(columns)}"]
    if measure.column is None:
        size = f"drawn = known.groupby({_one_or_list(axes)}).size()"
        return [f"{size}.unstack()" if task.series else f'{size}.rename("rows")']
    if measure.how is None and task.series:
        return [f"drawn = known.pivot(index={py(axes[0])}, columns={py(axes[1])}, values={py(measure.column.name)})"]
    if measure.how is None:
        return [f"drawn = known.set_index({py(axes[0])})[{py(measure.column.name)}].sort_index()"]
    taken = f"drawn = known.groupby({_one_or_list(axes)})[{py(measure.column.name)}].{measure.how}()"
    return [f"{taken}.unstack()" if task.series else taken]


def _figure(task: Chart, plan: Plan, *, several: bool) -> str:
    lines = ['fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")']
    lines += _bars(task, several=several) if task.kind == "bar" else _lines(task, plan, several=several)
    heading = "\n".join(part for line in title(plan).split("\n") for part in textwrap.wrap(line, TITLE_LENGTH))
    value = measures_in_words(task.measures) if len(task.measures) == 1 else "value"
    labels = [
        f"title={py(heading)}",
        f"xlabel={py(one_line(task.over.name))}",
        f"ylabel={py(value[:1].upper() + value[1:])}",
    ]
    lines.append(_call("ax.set", labels))
    lines += _ticks(task, several=several)
    if task.kind == "line" and all(
        one.column and one.column.share and (one.column.low or 0) >= 0 for one in task.measures
    ):
        lines.append("ax.set_ylim(0, ax.get_ylim()[1] * 1.05)")
    if any(_thousands(one) for one in task.measures):
        lines.append('ax.yaxis.set_major_formatter("{x:,.0f}")')
    lines += ['ax.grid(axis="y", alpha=0.3)' if task.kind == "bar" else "ax.grid(alpha=0.3)", "ax.set_axisbelow(True)"]
    lines.append('ax.spines[["top", "right"]].set_visible(False)')
    return "\n".join(lines)


def _thousands(measure: Measure) -> bool:
    """True where the axis has numbers long enough for commas."""
    return measure.column is not None and not measure.column.share and (measure.column.high or 0) >= LONG_NUMBER


def _lines(task: Chart, plan: Plan, *, several: bool) -> list[str]:
    if not several:
        return ['ax.plot(drawn.index, drawn, marker="o")']
    count = _line_count(task, plan)
    cycle = [
        'colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]',
        'ax.set_prop_cycle(plt.cycler(linestyle=["-", "--", ":"]) * plt.cycler(color=colours))',
    ]
    cycle = cycle if count > COLOURS else []
    return [
        *cycle,
        "for name, line in drawn.items():",
        "    line = line.dropna()",
        '    ax.plot(line.index, line, marker="o", markersize=4, label=name)',
        _legend(task, count),
    ]


def _bars(task: Chart, *, several: bool) -> list[str]:
    if not several:
        index = {Kind.DATE: 'drawn.index.strftime("%Y-%m-%d")', Kind.YEAR: "drawn.index", Kind.NUMBER: "drawn.index"}
        if task.top:
            return ["ax.bar(drawn.index.astype(str), drawn)"]
        return [f"ax.bar({index.get(task.over.kind, 'drawn.index.astype(str)')}, drawn)"]
    dates = ['drawn.index = drawn.index.strftime("%Y-%m-%d")'] if task.over.kind is Kind.DATE else []
    return [*dates, "drawn.plot.bar(ax=ax, width=0.8, rot=0)", _legend(task, 0)]


def _legend(task: Chart, count: int) -> str:
    heading = [f"title={py(one_line(task.series.name))}"] if task.series else []
    outside = (
        ['loc="upper left"', "bbox_to_anchor=(1, 1)", 'fontsize="small"']
        if count > MANY_TICKS or task.kind == "bar"
        else []
    )
    return _call("ax.legend", [*heading, *outside])


def _line_count(task: Chart, plan: Plan) -> int:
    chosen = [one for one in plan.where if isinstance(one, OneOf) and one.column == task.series and not one.negated]
    return min(
        [len(task.measures) if task.series is None else task.series.distinct, *(len(one.values) for one in chosen)]
    )


def _ticks(task: Chart, *, several: bool) -> list[str]:
    """Whole years on the axis; many or long texts turned."""
    over = task.over
    text = over.kind in {Kind.TEXT, Kind.BOOL, Kind.DATE} or task.top is not None
    if text:
        crowded = over.distinct >= MANY_TICKS or sum(map(len, over.values)) > TITLE_LENGTH
        return ['plt.setp(ax.get_xticklabels(), rotation=45, ha="right")'] if crowded else []
    if task.kind == "bar" and several:
        return []
    if (over.high or 0) - (over.low or 0) < MANY_YEARS:
        return ["ax.set_xticks(range(drawn.index.min(), drawn.index.max() + 1))"]
    return ['ax.locator_params(axis="x", integer=True)']


def _has_dollar(plan: Plan) -> bool:
    """True where a name or a value may stand in a chart and hold a dollar sign."""
    if not isinstance(plan.task, Chart):
        return False
    return any(
        "$" in text
        for column in columns_of(plan)
        for text in (column.name, *(column.values or ["$"] * (column.kind is Kind.TEXT)))
    )


# ---- literals


def py(value: object) -> str:
    """A Python literal: what `repr` makes of it, in double quotes where that changes nothing else."""
    if isinstance(value, list):
        return f"[{', '.join(map(py, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{py(key)}: {py(item)}' for key, item in value.items())}}}"
    literal = repr(value)
    plain = isinstance(value, str) and '"' not in literal and "\\" not in literal
    return f'"{value}"' if plain else literal


def _one_or_list(names: Sequence[str]) -> str:
    return py(names[0]) if len(names) == 1 else py(list(names))


def _literal(mapping: dict[str, str]) -> str:
    """A dictionary, on one line if it fits."""
    line = py(mapping)
    if len(line) <= LINE_LENGTH - len("kinds = "):
        return line
    return "\n".join(["{", *(f"    {py(key)}: {py(value)}," for key, value in mapping.items()), "}"])


def _call(start: str, arguments: Sequence[str]) -> str:
    """A call, on one line if it fits."""
    line = f"{start}({', '.join(arguments)})"
    return (
        line
        if len(line) <= LINE_LENGTH
        else "\n".join([f"{start}(", *(f"    {argument}," for argument in arguments), ")"])
    )


def _saved(name: str, frame: str) -> str:
    return f'print("Saved", {py(name)}, {frame}.shape)'
