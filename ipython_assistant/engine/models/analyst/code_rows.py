"""Code that selects rows, and that writes rows: filtered, ranked, sorted, without copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.engine.models.analyst.code_load import as_written
from ipython_assistant.engine.models.analyst.code_write import write
from ipython_assistant.engine.models.analyst.literals import call, one_or_list, py
from ipython_assistant.engine.models.analyst.plan import (
    AnyOf,
    Between,
    Blank,
    Compare,
    Condition,
    Contains,
    Distinct,
    Duplicates,
    How,
    InPart,
    InYears,
    OneOf,
    Plan,
    Rows,
    Sort,
    Top,
)
from ipython_assistant.engine.models.analyst.tables import Kind, Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.analyst.tables import Column


def selected(where: Sequence[Condition]) -> tuple[str, str]:
    """The code that selects rows, and the name they have after it."""
    if not where:
        return "", "data"
    tests = [says(condition) for condition in where]
    if len(tests) == 1:
        chosen = f"rows = data[{tests[0]}]"
    else:
        joined = "\n    & ".join(f"({one})" for one in tests)
        chosen = f"rows = data[\n    {joined}\n]"
    return f'{chosen}\nprint(f"{{len(rows):,}} of {{len(data):,}} rows selected")', "rows"


def says(condition: Condition, frame: str = "data") -> str:
    """The code that says for each row whether it meets a condition."""
    if isinstance(condition, AnyOf):
        return " | ".join(f"({says(one, frame)})" for one in condition.conditions)
    cells = f"{frame}[{py(condition.column.name)}]"
    match condition:
        case OneOf(values=several, negated=negated) | InYears(years=several, negated=negated):
            cells += _as_compared(condition)
            if len(several) == 1 and not (negated and condition.column.digits):  # what is missing is no other text
                return f"{cells} {'!=' if negated else '=='} {py(several[0])}"
            return f"{'~' if negated else ''}{cells}.isin({py(list(several))})"
        case Compare(sign=sign, bound=bound):
            limit = f"{cells}.{bound}()" if isinstance(bound, How) else py(bound)
            return f"{cells}{_as_compared(condition)} {sign.value} {limit}"
        case Between(low=low, high=high):
            return f"{cells}{_as_compared(condition)}.between({py(low)}, {py(high)})"
        case InPart(unit=unit, numbers=numbers):
            return _in_part(cells, unit, numbers)
        case Contains():
            return _contains(cells, condition)
        case Blank(negated=negated):
            return f"{cells}.{'notna' if negated else 'isna'}()"


def _as_compared(condition: OneOf | InYears | Compare | Between) -> str:
    """Dates are compared by their year, or without the time of day."""
    column = condition.column
    if column.kind is not Kind.DATE:
        return ".astype(str)" if isinstance(condition, OneOf) and column.kind is Kind.BOOL and not column.digits else ""
    if _by_year(condition):
        return ".dt.year"
    return ".dt.normalize()" if "%H" in column.date_format else ""


def _by_year(condition: Condition) -> bool:
    match condition:
        case InYears():
            return True
        case Compare(bound=bound) | Between(low=bound):
            return not isinstance(bound, str)
        case _:
            return False


def _in_part(cells: str, unit: Unit, numbers: tuple[int, ...]) -> str:
    part = {Unit.MONTH_OF_YEAR: "month", Unit.QUARTER: "quarter", Unit.WEEKDAY: "dayofweek", Unit.HOUR: "hour"}[unit]
    counted = [number - 1 if unit is Unit.WEEKDAY else number for number in numbers]
    return f"{cells}.dt.{part} == {counted[0]}" if len(counted) == 1 else f"{cells}.dt.{part}.isin({py(counted)})"


def _contains(cells: str, condition: Contains) -> str:
    if condition.where == "contains":
        code = f"{cells}.str.contains({py(condition.text)}, case=False, regex=False, na=False)"
    else:
        code = f"{cells}.str.lower().str.{condition.where}({py(condition.text.lower())}, na=False)"
    return f"~{code} & {cells}.notna()" if condition.negated else code


def copied(plan: Plan, task: Rows, rows: str) -> tuple[str, str]:
    """Rows are written as they stand in the file: a filter changes no cell. Excel, JSON and Parquet get typed cells."""
    lines = []
    chosen = rows
    if task.top and task.by:
        lines.append(f"rows = {best(rows, task.top, py(task.by.name))}")
        chosen = "rows"
        if task.top.percent and not task.sort:
            lines.append(f"rows = rows.sort_values({_by(Sort(task.top.largest), task.by)})")
    if task.sort and task.sort.by:
        lines.append(f"rows = {chosen}.sort_values({_by(task.sort, task.sort.by)})")
        chosen = "rows"
    if task.first:
        lines.append(f"rows = {chosen}.{'head' if task.first > 0 else 'tail'}({abs(task.first)})")
        chosen = "rows"
    lines += ["# every cell as it stands in the file", as_written(plan.table)]
    names = [column.name for column in task.columns if not column.made]
    part = f"written.loc[{chosen}.index" + (f", {py(names)}]" if names else "]")
    lines.append(f"chosen = {part if chosen != 'data' or names else 'written'}")
    if task.added:
        lines[-1] += "" if chosen == "data" and not names else ".copy()"
    lines += [f"chosen[{py(column.name)}] = {chosen}[{py(column.name)}]" for column in task.added]
    typed = plan.table.form == "csv" and not plan.save.endswith((".csv", ".tsv", ".md", ".html"))
    if typed:
        lines[lines.index("# every cell as it stands in the file") :] = _typed(plan, task, names, chosen)
    return "\n".join(lines), write(plan.save, "chosen")


def _typed(plan: Plan, task: Rows, names: list[str], chosen: str) -> list[str]:
    """Cells as numbers, dates and texts, for files that tell these apart."""
    wanted = [*(names or [column.name for column in plan.table.columns]), *(column.name for column in task.added)]
    if names or task.added or any(column.made for column in plan.table.columns):
        return [f"chosen = {chosen}[{py(wanted)}]"]
    return [f"chosen = {chosen}"]


def best(frame: str, top: Top, by: str) -> str:
    """The code of the largest or smallest of a frame, so many or so many percent, all that share the last place too."""
    if top.percent:
        share = top.count / 100
        at = f"quantile({1 - share:.10g})" if top.largest else f"quantile({share:.10g})"
        return f"{frame}[{frame}[{by}] {'>=' if top.largest else '<='} {frame}[{by}].{at}]"
    return f'{frame}.{"nlargest" if top.largest else "nsmallest"}({top.count}, {by}, keep="all")'


def _by(sort: Sort, column: Column) -> str:
    return f'{py(column.name)}{", ascending=False" if sort.descending else ""}, kind="stable"'


def deduplicated(plan: Plan, task: Duplicates, rows: str) -> tuple[str, str]:
    """Copies of rows, compared as they are written."""
    names = [column.name for column in task.columns]
    part = "written" if rows == "data" else "written.loc[rows.index]"
    lines = [as_written(plan.table), f"chosen = {part}"]
    subset = f"subset={py(names)}" if names else ""
    if task.keep == "first":
        lines.append(f"chosen = chosen.drop_duplicates({subset})")
    elif task.keep == "count":
        lines.append(
            f'chosen = pd.DataFrame({{"rows": [len(chosen)], "duplicates": [chosen.duplicated({subset}).sum()]}})'
        )
    else:
        arguments = ", ".join(filter(None, [subset, "keep=False"]))
        lines.append(f"chosen = chosen[chosen.duplicated({arguments})]")
        lines.append(
            call("chosen = chosen.sort_values", [py(names) if names else "list(chosen.columns)", 'kind="stable"'])
        )
    return "\n".join(lines), write(plan.save, "chosen")


def distinct(plan: Plan, task: Distinct, rows: str) -> tuple[str, str]:
    """The different values of columns."""
    names = [column.name for column in task.columns]
    lines = [f"chosen = {rows}[{py(names)}].dropna().drop_duplicates().sort_values({one_or_list(names)})"]
    floats = [column.name for column in task.columns if column.floats and column.kind in {Kind.NUMBER, Kind.YEAR}]
    if floats and all(column.whole or column.kind is Kind.YEAR for column in task.columns if column.name in floats):
        lines[-1] += f".astype({{{', '.join(f'{py(name)}: int' for name in floats)}}})"
    return "\n".join(lines), write(plan.save, "chosen")
