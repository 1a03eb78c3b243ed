"""Code that calculates tables: overviews, groups and what follows from them, correlations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.code_rows import best, says
from ipython_assistant.engine.models.analyst.code_write import write
from ipython_assistant.engine.models.analyst.literals import dictionary, literal, one_or_list, py
from ipython_assistant.engine.models.analyst.plan import (
    Chart,
    Correlation,
    Describe,
    Group,
    Having,
    How,
    Measure,
    Missing,
    Plan,
    Proportion,
    Then,
    taken_of,
)
from ipython_assistant.engine.models.analyst.ratios import code_of, ratio_of
from ipython_assistant.engine.models.analyst.tables import AGAIN, Column, Kind, Period

if TYPE_CHECKING:
    from collections.abc import Sequence


def described(plan: Plan, task: Describe, rows: str) -> tuple[str, str]:
    """An overview of columns."""
    columns = task.columns or plan.table.columns
    kinds = {column.name: column.kind.value for column in columns}
    numbers = [column.name for column in columns if column.kind is Kind.NUMBER]
    years = [column.name for column in columns if column.kind is Kind.YEAR]
    lines = [
        f"kinds = {literal(kinds)}",
        f"part = {rows}[list(kinds)]",
        'summary = pd.DataFrame({"kind": kinds, "filled": part.count(), "missing": part.isna().sum()})',
        'summary["distinct"] = part.nunique()',
    ]
    if numbers:
        lines.append(f'summary = summary.join(part[{py(numbers)}].agg(["min", "mean", "median", "max", "std"]).T)')
    if years and numbers:
        lines.append(f'summary.loc[{py(years)}, ["min", "max"]] = part[{py(years)}].agg(["min", "max"]).T')
    elif years:
        lines.append(f'summary = summary.join(part[{py(years)}].agg(["min", "max"]).T)')
    lines.append('summary = summary.rename_axis("column").reset_index()')
    shown = [f'print(f"{{len({rows}):,}} rows × {{{rows}.shape[1]}} columns")', "print(summary.to_string(index=False))"]
    return "\n".join(lines), "\n".join([*shown, write(plan.save, "summary", shown=False)])


def missing(plan: Plan, task: Missing, rows: str) -> tuple[str, str]:
    """How many cells are missing."""
    part = f"{rows}[{py([column.name for column in task.columns])}]" if task.columns else rows
    if task.keys:
        keys = ", ".join(f"{rows}[{py(key.name)}]" for key in task.keys)
        return f"summary = {part}.isna().groupby([{keys}]).sum().reset_index()", write(plan.save, "summary")
    lines = [
        f"part = {part}",
        'summary = pd.DataFrame({"missing": part.isna().sum(), "missing (%)": 100 * part.isna().mean()})',
        'summary = summary.rename_axis("column").reset_index()',
    ]
    return "\n".join(lines), write(plan.save, "summary")


def correlated(plan: Plan, task: Correlation, rows: str) -> tuple[str, str]:
    """Pearson's coefficients."""
    names = [column.name for column in task.columns]
    lines = [f"drawn = {rows}[{py(names)}].corr()", 'summary = drawn.rename_axis("column").reset_index()']
    return "\n".join(lines), write(plan.save, "summary") if plan.save else ""


def proportion(plan: Plan, task: Proportion, rows: str) -> tuple[str, str]:
    """How many rows meet a condition."""
    keys = [key.name for key in task.keys]
    lines = [f"fits = {says(task.condition, rows)}"]
    if task.of:
        lines.append(f"amount = {rows}[{py(task.of.name)}]")
        total, part = "amount.sum()", "amount[fits].sum()"
        if keys:
            groups = f".groupby([{', '.join(f'{rows}[{py(key)}]' for key in keys)}]).sum()"
            total, part = f"amount{groups}", f"amount.where(fits, 0){groups}"
        lines += [f"total = {total}", f"part = {part}"]
        name = task.of.name
        codes = {name: "total", f"{name} that fits": "part", "share (%)": "100 * part / total"}
        codes = codes if keys else {one: f"[{code}]" for one, code in codes.items()}
        lines.append(f"summary = {frame(codes)}{'.reset_index()' if keys else ''}")
    elif keys:
        lines.append(f"groups = fits.groupby([{', '.join(f'{rows}[{py(key)}]' for key in keys)}])")
        columns = {"rows": "groups.size()", "rows that fit": "groups.sum()", "share (%)": "100 * groups.mean()"}
        lines.append(f"summary = {frame(columns)}.reset_index()")
    else:
        columns = {"rows": "[len(fits)]", "rows that fit": "[fits.sum()]", "share (%)": "[100 * fits.mean()]"}
        lines.append(f"summary = {frame(columns)}")
    return "\n".join(lines), write(plan.save, "summary")


# ---- groups


def grouped(plan: Plan, task: Group, rows: str) -> tuple[str, str]:
    """One row per group."""
    if task.wide:
        lines = _widened(task, task.wide, rows)
    elif task.keys:
        lines = _per_key(task, rows)
    else:
        known = "known" if with_all(task.measures) else rows
        columns = {name: f"[{_of_all(one, known)}]" for name, one in measure_names(task).items()}
        lines = [f"known = {rows}{with_all(task.measures)}"] if known != rows else []
        lines.append(f"summary = {frame(columns)}")
    if task.decimals >= 0:
        lines.append(f"summary = summary.round({task.decimals})")
    return "\n".join(lines), write(plan.save, "summary")


def _per_key(task: Group, rows: str) -> list[str]:
    names = measure_names(task)
    lines = [groups_of(task.keys, rows + with_all(task.measures))]
    lines.append(f"summary = {frame({name: taken(measure) for name, measure in names.items()})}.reset_index()")
    lines += _then(task, list(names))
    lines += [f"summary = summary[summary[{py(name)}] {one.sign.value} {py(one.bound)}]" for name, one in _having(task)]
    lines += _dropped(task, names)
    if task.top and task.within:
        lines += _top_within(task, _ranked_by(task, names))
    elif task.top:
        ranked = py(_ranked_by(task, names))
        lines.append(f"summary = {best('summary', task.top, ranked)}")
        if task.top.percent and not task.sort:
            ascending = not task.top.largest
            lines.append(f'summary = summary.sort_values({ranked}, ascending={ascending}, kind="stable")')
    if task.sort:
        by = _sorted_by(task, names)
        order = ", ascending=False" if task.sort.descending else ""
        lines.append(f'summary = summary.sort_values({py(by)}{order}, kind="stable")')
    return lines


def _top_within(task: Group, first: str) -> list[str]:
    """So many of each group; all that share the last place are kept."""
    if task.top is None:
        return []
    within = [key.name for key in task.within]
    ascending = f"ascending={not task.top.largest}"
    order = f"ascending={[True] * len(within) + [not task.top.largest]}"
    return [
        f'place = summary.groupby({one_or_list(within)})[{py(first)}].rank(method="min", {ascending})',
        f"summary = summary[place <= {task.top.count}].sort_values({py([*within, first])}, {order})",
    ]


def _ranked_by(task: Group, names: dict[str, Measure]) -> str:
    first = next(iter(names))
    return then_name(task.then, first) if task.then else first


def _sorted_by(task: Group, names: dict[str, Measure]) -> str:
    """The column of the outcome that it is sorted by: a key, a measure, or what was calculated first."""
    if task.sort is None or task.sort.by is None:
        return _ranked_by(task, names)
    of_measure = (name for name, measure in names.items() if measure.column == task.sort.by)
    return task.sort.by.name if task.sort.by in task.keys else next(of_measure, task.sort.by.name)


def _having(task: Group) -> list[tuple[str, Having]]:
    names = {measure: name for name, measure in measure_names(task).items()}
    return [(names[one.measure], one) for one in task.having]


def _dropped(task: Group, names: dict[str, Measure]) -> list[str]:
    """What only a condition on groups needed is not written."""
    spare = [name for name, measure in names.items() if measure not in task.measures]
    return [f"summary = summary.drop(columns={py(spare)})"] if spare else []


def groups_of(keys: Sequence[Column], rows: str) -> str:
    """The code that makes `groups`."""
    names = one_or_list([key.name for key in keys])
    again = any(isinstance(key.made, Period) and key.made.unit in AGAIN for key in keys)
    return f"groups = {rows}{whole_keys(keys)}.groupby({names}{', observed=True' if again else ''})"


def _then(task: Group, names: Sequence[str]) -> list[str]:
    """Shares, running totals and changes, each in a column of its own beside the numbers they are of."""
    if task.then is None:
        return []
    others = [key.name for key in task.keys if not key.in_time]
    lines = []
    for name in names:
        within = f"summary.groupby({one_or_list(others)})[{py(name)}]" if others else f"summary[{py(name)}]"
        code = {
            Then.SHARE: f"100 * summary[{py(name)}] / summary[{py(name)}].sum()",
            Then.RUNNING: f"{within}.cumsum()",
            Then.CHANGE: f"{within}.diff()",
            Then.GROWTH: f"100 * {within}.pct_change(fill_method=None)",
        }[task.then]
        lines.append(f"summary[{py(then_name(task.then, name))}] = {code}")
    return lines


def then_name(then: Then, name: str) -> str:
    """The column of what follows from a measure."""
    return {
        Then.SHARE: f"share of {name} (%)",
        Then.RUNNING: f"running total of {name}",
        Then.CHANGE: f"change in {name}",
        Then.GROWTH: f"change in {name} (%)",
    }[then]


def _widened(task: Group, wide: Column, rows: str) -> list[str]:
    """The values of a key as columns; with a change, that from the first to the last of them."""
    (measure,) = task.measures
    keys = [*task.keys, wide]
    zero = "fill_value=0" if measure.column is None else ""
    lines = [groups_of(keys, rows + with_all(task.measures)), f"summary = {taken(measure)}.unstack({zero})"]
    if task.then:
        first, last = "summary.iloc[:, 0]", "summary.iloc[:, -1]"
        code = f"{last} - {first}" if task.then is Then.CHANGE else f"100 * ({last} / {first} - 1)"
        lines.append(f'summary["{"change" if task.then is Then.CHANGE else "change (%)"}"] = {code}')
    if not task.keys:
        return [*lines, "summary = summary.to_frame().T"]
    lines += _widened_order(task, wide)
    if wide.kind is Kind.DATE:
        written = wide.date_format if "%H" in wide.date_format else "%Y-%m-%d"
        dates = "summary.columns[:-1]" if task.then else "summary.columns"
        lines.append(f"dates = pd.to_datetime({dates}).strftime({py(written)})")
        lines.append(f"summary.columns = [*dates{', summary.columns[-1]' if task.then else ''}]")
    else:
        lines.append("summary.columns = summary.columns.astype(str)")
    return [*lines, "summary = summary.reset_index()"]


def _widened_order(task: Group, wide: Column) -> list[str]:
    """A pivot is sorted by its change, by a key of its rows, or its columns are by what they are of."""
    if task.sort is None:
        return []
    descending = task.sort.descending
    if task.sort.by is None:
        return [f"summary = summary.sort_values(summary.columns[-1], ascending={not descending})"]
    if task.sort.by == wide:
        return [f"summary = summary.sort_index(axis=1, ascending={not descending})"]
    return [f"summary = summary.sort_index(level={py(task.sort.by.name)}, ascending={not descending})"]


def measure_names(task: Group | Chart) -> dict[str, Measure]:
    """The column each measure has in what is written: its own name, with the way it is taken where that is needed."""
    extra = [one.measure for one in task.having if one.measure not in task.measures] if isinstance(task, Group) else []
    measures = [*task.measures, *dict.fromkeys(extra)]
    columns = [measure.column.name for measure in measures if measure.column]
    keys = task.keys if isinstance(task, Group) else filter(None, (task.over, task.series))
    in_use = [*columns, *(key.name for key in keys)]
    names = {}
    for measure in measures:
        name = measure.column.name if measure.column else "rows" if "rows" not in in_use else "number of rows"
        if measure.how is How.DISTINCT:
            name = f"different {name}"
        elif in_use.count(name) > 1:
            name = f"{name} {measure.how or How.MEAN}"
        names[name] = measure
    return names


def frame(columns: dict[str, str]) -> str:
    """A table, from the code of each column."""
    return f"pd.DataFrame({dictionary(columns, room=len('summary = pd.DataFrame().reset_index()'))})"


def taken(measure: Measure) -> str:
    """One measure of `groups`; a total of nothing is missing, not 0."""
    if measure.column is None:
        return "groups.size()"
    if measure.how is How.RATE and (ratio := ratio_of(measure.column)):
        return code_of(ratio, lambda name: f"groups[{name}].sum()", of_groups=True)
    whole = measure.column.floats and measure.column.whole and measure.how in {How.SUM, How.MIN, How.MAX}
    if measure.how is How.IQR:
        cells = f"groups[{py(measure.column.name)}]"
        return f"{cells}.quantile(0.75) - {cells}.quantile(0.25)"
    return f"groups[{py(measure.column.name)}].{method(measure)}" + ('.astype("Int64")' if whole else "")


def _of_all(measure: Measure, rows: str) -> str:
    """One measure of all rows."""
    if measure.how is How.RATE and (ratio := ratio_of(measure.column)):
        return code_of(ratio, lambda name: f"{rows}[{name}].sum()", of_groups=False)
    if measure.how is How.IQR and measure.column:
        cells = f"{rows}[{py(measure.column.name)}]"
        return f"{cells}.quantile(0.75) - {cells}.quantile(0.25)"
    return f"{rows}[{py(measure.column.name)}].{method(measure)}" if measure.column else f"len({rows})"


def method(measure: Measure) -> str:
    """The method that makes one of many values, called."""
    if measure.how and _PERCENTILE.fullmatch(measure.how):
        return f"quantile({int(measure.how[1:]) / 100:g})"
    return "sum(min_count=1)" if measure.how is How.SUM else f"{measure.how or How.MEAN}()"


def with_all(measures: Sequence[Measure]) -> str:
    """The code that keeps the rows which have all of what a rate is made of; nothing where no rate is taken."""
    names = dict.fromkeys(column.name for one in measures if one.how is How.RATE for column in taken_of(one))
    return f".dropna(subset={py(list(names))})" if names else ""


_PERCENTILE: Final = re.compile(r"p\d+")


def whole_keys(keys: Sequence[Column]) -> str:
    """Whole numbers that pandas holds as floats because of blanks become whole again, without the blanks."""
    floats = [key.name for key in keys if key.floats]
    return (
        f".dropna(subset={py(floats)}).astype({{{', '.join(f'{py(name)}: int' for name in floats)}}})" if floats else ""
    )
