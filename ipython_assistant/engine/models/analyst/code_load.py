"""Code that reads tables as `data`, and makes of their cells what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.literals import call, py
from ipython_assistant.engine.models.analyst.plan import columns_of
from ipython_assistant.engine.models.analyst.tables import (
    DAYS,
    MONTHS,
    WEEKDAYS,
    Column,
    Formula,
    Join,
    Kind,
    Period,
    Table,
    Unit,
)
from ipython_assistant.engine.models.markdown import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.analyst.plan import Plan


def load(table: Table, plans: Sequence[Plan]) -> str:
    """Reads the table as `data`, and makes numbers and dates of the columns the plans use."""
    used = list(dict.fromkeys(column for plan in plans for column in columns_of(plan)))
    lines = _joined(table.join) if table.join else [_read("data", table)]
    made = {one.name: one for one in used if one.made}
    for column in (*(one for one in table.columns if one in used and not one.made), *made.values()):
        lines += _made(column) if column.made else _cleaned(column)
    return "\n".join(lines)


def as_written(table: Table, name: str = "written") -> str:
    """Reads the table as `name`, every cell as it stands in the file."""
    if table.join is None:
        return _read(name, table, as_text=True)
    return "\n".join(_joined(table.join, name, as_text=True))


def _read(name: str, table: Table, *, as_text: bool = False) -> str:
    kept = {column.name: "string" for column in table.columns if column.digits and not column.made}
    text = ['dtype="string"', "keep_default_na=False"] if as_text else [f"dtype={py(kept)}"] if kept else []
    match table.form:
        case "excel":
            sheet = [f"sheet_name={py(table.sheet)}"] if table.sheet else []
            codes = [f"dtype={py(kept)}"] if kept else []
            return call(f"{name} = pd.read_excel", [py(table.path), *sheet, *codes])
        case "json" | "lines":
            lines = ["lines=True"] if table.form == "lines" else []
            return call(f"{name} = pd.read_json", [py(table.path), *lines, "dtype=False", "convert_dates=False"])
        case "parquet":
            return call(f"{name} = pd.read_parquet", [py(table.path)])
        case _:
            separator = [f"sep={py(table.separator)}"] if table.separator != "," else []
            encoding = [f"encoding={py(table.encoding)}"] if table.encoding != "utf-8" else []
            return call(f"{name} = pd.read_csv", [py(table.path), *separator, *encoding, *text])


# ---- two tables


def _joined(join: Join, name: str = "data", *, as_text: bool = False) -> list[str]:
    lines = [_read("left", join.left, as_text=as_text), _read("right", join.right, as_text=as_text)]
    for frame, key in (("left", join.left_key), ("right", join.right_key)):
        if key.padded:
            lines.append(f"{frame}[{py(key.name)}] = {frame}[{py(key.name)}].str.strip()")
    same = join.left_key.name == join.right_key.name
    on = ["on"] if same else ["left_on", "right_on"]
    keys = [f"{word}={py(key.name)}" for word, key in zip(on, (join.left_key, join.right_key), strict=False)]
    suffix = f'suffixes=("", {py(f" ({join.right.stem})")})'
    return [*lines, call(f"{name} = left.merge", ["right", *keys, f"how={py(join.how)}", suffix])]


# ---- cells


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


# ---- columns that are made


def _made(column: Column) -> list[str]:
    match column.made:
        case Period(dates, unit):
            code = _period(f"data[{py(dates.name)}]", unit)
        case Formula() as formula:
            code = _formula(formula)
        case _:
            return []
    return [f"data[{py(column.name)}] = {code}"]


def _period(dates: str, unit: Unit) -> str:
    match unit:
        case Unit.DAY:
            return f'{dates}.dt.strftime("%Y-%m-%d")'
        case Unit.WEEK:
            return f'{dates}.dt.to_period("W").dt.start_time.dt.strftime("%Y-%m-%d")  # the week\'s Monday'
        case Unit.MONTH:
            return f'{dates}.dt.strftime("%Y-%m")'
        case Unit.QUARTER:
            return f'{dates}.dt.strftime("%Y") + "Q" + {dates}.dt.quarter.astype("Int64").astype("string")'
        case Unit.YEAR:
            return f"{dates}.dt.year"
        case Unit.WEEKDAY:
            return f"pd.Categorical({dates}.dt.day_name(), {py(list(WEEKDAYS))}, ordered=True)"
        case Unit.MONTH_OF_YEAR:
            return (
                "\n    ".join([f"pd.Categorical({dates}.dt.month_name(), [", *(f"    {py(name)}," for name in MONTHS)])
                + "\n], ordered=True)"
            )
        case Unit.HOUR:
            return f"{dates}.dt.hour"


def _formula(part: Column | float | Formula, *, inner: bool = False, divisor: bool = False) -> str:
    if isinstance(part, Column):
        cells = f"data[{py(part.name)}]"
        return f'{cells}.replace(0, float("nan"))' if divisor else cells
    if not isinstance(part, Formula):
        return py(part)
    if part.sign == DAYS:
        return f"({_formula(part.left)} - {_formula(part.right)}).dt.days"
    left, right = _formula(part.left, inner=True), _formula(part.right, inner=True, divisor=part.sign == "/")
    code = f"{left} {part.sign} {right}"
    return f"({code})" if inner else code
