"""What the text cells of one column hold: numbers, dates, truth values or text; and the column as pandas holds it.

Every cell decides, not the first few. A column that can be read in two ways stays text, and a sentence says so. Codes
with leading zeros, such as 00412, are text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ipython_assistant.core.wording import first_words, on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Kind = Literal[
    "empty", "text", "integer", "number", "amount", "unclear number",
    "truth", "iso date", "day first", "month first", "unclear date",
]  # fmt: skip

# What counts as missing in any column; what does only in columns that are not text (NA is Namibia, None is a name); and
# the marks of statistical offices, which a note mentions where a column of numbers has them.
NO_VALUE = ("", "nan", "NaN", "-nan", "-NaN", "<NA>", "NaT", "#N/A", "#NA", "1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND")
_WORDS = ("NA", "N/A", "n/a", "NULL", "null", "None")
_MARKS = ("-", "–", "—", "..", "...", "…", ":")
_GAPS = frozenset((*NO_VALUE, *_WORDS, *_MARKS))

# A longer whole number is an identifier: as a number it would lose its last digits.
_WHOLE = r"(?:0|[1-9]\d{0,17})"
_PLAIN = rf"[+-]?(?:{_WHOLE}(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?|[+-]?inf"
_POINT = rf"(?:[1-9]\d{{0,2}}(?:,\d{{3}}){{1,5}}+|{_WHOLE})(?:\.\d++)?"
_COMMA = rf"(?:[1-9]\d{{0,2}}(?:[.\u00a0\u202f ]\d{{3}}){{1,5}}+|{_WHOLE})(?:,\d++)?"
_DECORATED = r"\(?[+-]?[$€£¥]?[ \u00a0]?{}[ \u00a0]?[%$€£¥]?\)?"
_ISO = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
# With two digits for the year only what cannot be a version or a code.
_DAY = (
    r"(?:\d{1,2}[/.-]\d{1,2}[/.-]\d{4}|\d{1,2}/\d{1,2}/\d{2}|\d{2}\.\d{2}\.\d{2})"
    r"(?:[T ]\d{1,2}:\d{2}(?::\d{2})?(?: ?[AP]M)?)?"
)
# Each matches cells joined by line ends; possessive, so that hostile cells cost no more than others.
_PATTERNS = {
    name: re.compile(rf"(?:[ \t]*+(?:{cell})[ \t]*+\n)*+", re.ASCII)
    for name, cell in {
        "integer": rf"[+-]?{_WHOLE}",
        "plain": _PLAIN,
        "point": _DECORATED.format(_POINT),
        "comma": _DECORATED.format(_COMMA),
        "truth": "(?i:true|false|yes|no|y|n)",
        "iso": _ISO,
        "day": _DAY,
    }.items()
}
_NUMBERS = frozenset({"integer", "plain", "point", "comma"})
_OVER_12: dict[Kind, re.Pattern[str]] = {
    "day first": re.compile(r"^[ \t]*((?:1[3-9]|2\d|3[01])[/.-]\d[^\n]*)", re.MULTILINE),
    "month first": re.compile(r"^[ \t]*(\d{1,2}[/.-](?:1[3-9]|2\d|3[01])[/.-][^\n]*)", re.MULTILINE),
}
_WORDS_FOR_TRUE = frozenset({"true", "yes", "y"})
_KEPT = "so the column was kept as text"


@dataclass(frozen=True, slots=True)
class CsvColumn:
    """What a column holds; its name is the only one of its kind in the table.

    An `amount` is a number with thousands, a decimal comma, a currency or a percent sign, and `decimal` its decimal
    sign; what is unclear is kept as text. `gaps` says that cells are missing, `note` (may name one) how it is read.
    """

    name: str
    kind: Kind
    decimal: str = "."
    gaps: bool = False
    note: str = ""

    @property
    def dtype(self) -> str:
        """The dtype that pandas gives it, or how its numbers or dates are written; never any of its cells."""
        return {
            "text": "str",
            "integer": "float64" if self.gaps else "int64",
            "number": "float64",
            "amount": "number, decimal comma" if self.decimal == "," else "number, with thousands or units",
            "unclear number": "str, numbers, not certain how written",
            "truth": "boolean" if self.gaps else "bool",
            "iso date": "datetime64",
            "day first": "date, day first",
            "month first": "date, month first",
            "unclear date": "str, dates: day or month first",
        }.get(self.kind, self.kind)


class ColumnCells:
    """The cells of one column, seen in pieces; afterwards `column` says what they hold."""

    def __init__(self, *, has_gaps: bool = False) -> None:
        self._fits = set(_PATTERNS)
        self._first = ""
        self._gaps = {""} if has_gaps else set[str]()
        self._unplain = ""
        self._over_12: dict[Kind, str] = {}
        self._truths: set[str] = set()

    def see(self, cells: Sequence[str]) -> None:
        """Take the next cells."""
        distinct = dict.fromkeys(cells)
        self._gaps |= distinct.keys() & _GAPS
        values = [cell for cell in distinct if cell not in _GAPS]
        self._first = self._first or next(iter(values), "")
        if not self._fits or not values:
            return
        joined = "\n".join(values) + "\n"
        self._fits = {fit for fit in self._fits if _PATTERNS[fit].fullmatch(joined)}
        if not self._unplain and "plain" not in self._fits and self._fits & _NUMBERS:
            self._unplain = next((cell for cell in values if not _PATTERNS["plain"].fullmatch(f"{cell}\n")), "")
        if "day" in self._fits:
            for order, pattern in _OVER_12.items():
                if order not in self._over_12 and (found := pattern.search(joined)):
                    self._over_12[order] = found[1].strip()
        if "truth" in self._fits:
            self._truths |= {cell.strip() for cell in values}

    @property
    def is_empty(self) -> bool:
        """Whether every cell is empty."""
        return not self._first and self._gaps <= {""}

    @property
    def decimal(self) -> str:
        """The decimal sign that its numbers prove: a comma, a point, or neither."""
        fits = self._fits & _NUMBERS if self._first else set()
        if fits == {"comma"}:
            return ","
        return "." if fits and "comma" not in fits else ""

    def column(self, name: str, decimal: str, *, unsure: bool) -> CsvColumn:
        """The finished column. `decimal` is the table's decimal sign; `unsure`: unproven, and a comma is likely."""
        sign = self.decimal or decimal
        kind, said = self._kind(sign, unsure=unsure and not self.decimal)
        if kind in {"integer", "number", "amount"} and (marks := self._gaps.intersection(_MARKS)):
            said += f"{'; ' if said else ''}read as missing: {_listed(marks)}"
        note = f"{name}: {said}." if said else ""
        return CsvColumn(name, kind, sign, not self._gaps.isdisjoint(missing_in(kind)), note)

    def _kind(self, sign: str, *, unsure: bool) -> tuple[Kind, str]:
        """What it holds, and what is to be said of that."""
        if not self._first:
            return "empty" if self._gaps <= set(NO_VALUE) else "text", ""
        if "integer" in self._fits:
            return "integer", ""
        if self._fits & _NUMBERS:
            example = self._unplain or self._first
            if unsure:
                return "unclear number", f"“{_short(example)}” has a decimal sign or thousands, {_KEPT}"
            if "plain" in self._fits and sign == ".":
                return "number", ""
            return "amount", f"{_short(example)} was read as {_number(example, sign)}"
        if "iso" in self._fits:
            return "iso date", ""
        if "day" in self._fits:
            return self._date_kind()
        true = {cell for cell in self._truths if cell.casefold() in _WORDS_FOR_TRUE}
        if {cell.casefold() for cell in self._truths} <= {"true", "false"} and "truth" in self._fits:
            return "truth", ""
        # Yes and No alone are words, a third spelling makes them truth values.
        if "truth" not in self._fits or len(self._truths) <= 2:  # noqa: PLR2004
            return "text", ""
        return "truth", f"read as True: {_listed(true)}; read as False: {_listed(self._truths - true)}"

    def _date_kind(self) -> tuple[Kind, str]:
        if len(self._over_12) > 1:
            return "unclear date", f"{' and '.join(self._over_12.values())} cannot both be dates, {_KEPT}"
        has_points = "." in self._first
        for order, cell in self._over_12.items():
            return order, "" if has_points else f"dates were read {order}, because {cell} occurs"
        said = f"{self._first} can be day/month or month/day, {_KEPT}"
        return ("day first", "") if has_points else ("unclear date", said)


def typed(cells: Any, column: CsvColumn) -> Any:
    """A pandas Series of text as the kind that its column is. Raises `ValueError` where a date is in no calendar."""
    import pandas as pd

    match column.kind:
        case "iso date":
            return pd.to_datetime(cells.str.strip(), format="ISO8601")
        case "day first" | "month first":
            return pd.to_datetime(cells.str.strip(), format="mixed", dayfirst=column.kind == "day first")
        case "amount":
            numbers = cells.map(lambda cell: _number(cell, column.decimal), na_action="ignore")
            return pd.to_numeric(numbers.astype(object).infer_objects())
        case "truth":
            truths = cells.map(lambda cell: cell.strip().casefold() in _WORDS_FOR_TRUE, na_action="ignore")
            return truths.astype("boolean" if column.gaps else "bool")
    return cells


def missing_in(kind: Kind) -> list[str]:
    """What stands for a missing value in a column of that kind."""
    is_text = kind in {"text", "empty", "unclear number", "unclear date"}
    return [*NO_VALUE] if is_text else [*NO_VALUE, *_WORDS, *_MARKS]


def _number(cell: str, decimal: str) -> float | int:
    digits = re.sub(rf"[^\d{re.escape(decimal)}]", "", cell).replace(decimal, ".")
    number = float(digits) if "." in digits else int(digits or 0)
    return -number if "(" in cell or "-" in cell else number


def _listed(cells: Iterable[str]) -> str:
    return ", ".join(map(_short, sorted(cells))) or "nothing"


def _short(cell: str) -> str:
    return first_words(on_one_line(cell), 30)
