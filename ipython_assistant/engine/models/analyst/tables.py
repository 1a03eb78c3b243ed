"""What the analyst knows of the uploaded tables: values only, filled from the survey that runs in the container."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.analyst.lexing import forms, plain_words, words

if TYPE_CHECKING:
    from collections.abc import Mapping

READABLE: Final = (".csv", ".tsv", ".xlsx", ".xlsm", ".json", ".jsonl", ".ndjson", ".parquet")
"""Endings of the files the analyst reads."""

MAX_KEY_VALUES: Final = 60
"""A whole number with at most this many different values (a week, a round) may stand on an axis or make groups."""

_SHARE_WORDS: Final = words(
    "coverage rate ratio share proportion percent percentage prevalence incidence density index score rating",
    "mean average median efficacy accuracy margin yield",
)
_ADDED_WORDS: Final = words(
    "sales sale revenue turnover unit units quantity amount count counts case cases death deaths birth births",
    "treated targeted tested vaccinated population cost costs spend spending expense expenses profit total",
    "subtotal orders visits visitors passengers trips hours minutes doses goals points income budget donations",
    "rainfall precipitation production consumption kwh downloads clicks impressions signups tickets admissions",
    "discharges samples eggs household households inhabitants people persons staff students pupils vehicles",
    "payments payment fee fees tax shipped sold ordered delivered produced returned infected recovered",
    "positives",
)
ID_WORDS: Final = words(
    "id code number no nr key identifier uuid",
)
_MEASURED: Final = words(
    "age height weight price value size length width depth score distance v n x y",
)
_SURFACES: Final = words("area surface hectares land")
_EACH_WORDS: Final = words(
    "unit per price avg mean average median min max minimum maximum rate each id code number no",
)
"""Beside a word for what is added up, these say that it is not: a `unit price`, a `cost per visit`."""


_BRACKETS: Final = re.compile(r"[(\[{].*?[)\]}]")


class Kind(StrEnum):
    """What the cells of a column are."""

    NUMBER = "number"
    TEXT = "text"
    DATE = "date"
    YEAR = "year"
    BOOL = "yes/no"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Column:
    """One column as it is written in the file.

    Args:
        name: The header, as pandas reads it.
        kind: What its cells are.
        values: The different cells of a text or yes/no column, spaces around them removed; empty if there are too many.
        distinct: How many different cells it has, missing ones aside.
        missing: Cells that are blank or hold a word pandas reads as missing (`n/a`, `NULL`).
        ignored: Cells of a number column that are no numbers, with how often each is there.
        low: Smallest number; the earliest year of dates; None without any.
        high: Largest number; the latest year of dates.
        whole: All its numbers are whole.
        conversion: How a cell becomes a number beyond what pandas does by itself: any of `percent`, `thousands`,
            `spaces`, `decimal comma`, `coerce`.
        sample: One cell that shows why a conversion is needed.
        floats: Its numbers are whole, but pandas may make floats of them (blanks, decimal points).
        date_format: How dates are written, in the terms of `strptime`.
        digits: A text column that pandas would take for numbers or truth values unless told not to.
        padded: Some cells have spaces around them.
        doubt: Why a column that looks like numbers or dates is kept as text; empty if there is no doubt.
        unique: No two rows have the same, and none is without.
        earliest: The first date, year first.
        latest: The last date.
        made: How it is made of other columns, where it is not in the file.
    """

    name: str
    kind: Kind
    values: tuple[str, ...] = ()
    distinct: int = 0
    missing: int = 0
    ignored: tuple[tuple[str, int], ...] = ()
    low: float | None = None
    high: float | None = None
    whole: bool = False
    conversion: tuple[str, ...] = ()
    sample: str = ""
    floats: bool = False
    date_format: str = ""
    digits: bool = False
    padded: bool = False
    doubt: str = ""
    unique: bool = False
    earliest: str = ""
    latest: str = ""
    made: Period | Formula | None = None

    @property
    def share(self) -> bool:
        """True for a rate, a percentage or a mean: numbers whose sum means nothing."""
        return "percent" in self.conversion or not _SHARE_WORDS.isdisjoint(plain_words(self.name))

    @property
    def added(self) -> bool:
        """True for amounts, such as units sold or people treated, that are added up when rows become one."""
        if isinstance(self.made, Formula):
            return _adds_up(self.made)
        words = set(plain_words(_BRACKETS.sub(" ", self.name)))
        apart = words & _EACH_WORDS - ({"unit"} if "price" not in words else set())
        return (
            self.kind is Kind.NUMBER
            and self.made is None
            and not self.share
            and not apart
            and not words.isdisjoint(_ADDED_WORDS)
        )

    @property
    def summed(self) -> bool:
        """True for amounts, areas and whole numbers of things: numbers whose total over rows means something."""
        words = [word for word in plain_words(_BRACKETS.sub(" ", self.name)) if word.isalpha()]
        things = self.whole and any(word.endswith("s") and len(forms(word)) > 1 for word in words)
        counted = self.calculable and self.made is None and not self.share and _EACH_WORDS.isdisjoint(words)
        return self.added or (counted and (things or not _SURFACES.isdisjoint(words)))

    @property
    def ratio(self) -> bool:
        """True for what is divided by another column: totals of it mean nothing, and its mean is not that of totals."""
        return isinstance(self.made, Formula) and _divides(self.made)

    @property
    def parts(self) -> tuple[Column, ...]:
        """The columns that are added to or taken from each other in it: a row with only some of them has no sum."""
        return sources(self) if isinstance(self.made, Formula) and _adds(self.made) else ()

    @property
    def named_id(self) -> bool:
        """True for whole numbers and texts whose name says that they tell things apart."""
        words = plain_words(self.name)
        return bool(words) and words[-1] in ID_WORDS and (self.kind is Kind.TEXT or self.whole)

    @property
    def numbers_rows(self) -> bool:
        """True for a column such as `patient_id` or `Patient` that has another whole number in every row."""
        named = plain_words(self.name)
        bare = self.kind is Kind.NUMBER and self.whole and len(named) == 1 and named[0] not in _MEASURED
        return self.unique and (self.named_id or (bare and not self.added))

    @property
    def calculable(self) -> bool:
        """True for numbers that may be calculated with: not for those that only tell things apart."""
        return self.kind is Kind.NUMBER and not self.named_id and not self.numbers_rows

    @property
    def groups(self) -> bool:
        """True where rows may be grouped by it, or it may be the axis of a chart."""
        if self.kind is Kind.NUMBER:
            return self.whole and (self.named_id or 0 < self.distinct <= MAX_KEY_VALUES)
        return self.kind is not Kind.EMPTY

    @property
    def in_time(self) -> bool:
        """True for years and dates, and for the weeks or months of dates."""
        running = isinstance(self.made, Period) and self.made.unit not in AGAIN
        return self.kind in {Kind.YEAR, Kind.DATE} or running


def spoken(column: Column) -> str:
    """A column's name as it can be written in a prompt, on one line."""
    return " ".join(column.name.split())


class Unit(StrEnum):
    """A stretch of time that dates fall in; the value names the column made of it."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    WEEKDAY = "weekday"
    MONTH_OF_YEAR = "month of the year"
    HOUR = "hour"


WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip

AGAIN: Final = frozenset({Unit.WEEKDAY, Unit.MONTH_OF_YEAR, Unit.HOUR})
"""Those that come again: no point in time, but a place in the week, the year or the day."""


@dataclass(frozen=True, slots=True)
class Period:
    """The day, week, month, quarter or year that a date falls in."""

    column: Column
    unit: Unit


DAYS: Final = "days from"
"""The sign of the days from one date to another."""


@dataclass(frozen=True, slots=True)
class Formula:
    """Two columns, numbers or formulas, and what is done with them: one of `+ - * /`, or the days between them."""

    left: Column | float | Formula
    sign: str
    right: Column | float | Formula


def _adds_up(formula: Formula) -> bool:
    """True for an amount times a price, and for sums and differences of amounts; not for what is divided."""
    parts = [part for part in (formula.left, formula.right) if not isinstance(part, int | float)]
    amounts = [part.added if isinstance(part, Column) else _adds_up(part) for part in parts]
    return any(amounts) if formula.sign == "*" else all(amounts) and formula.sign in {"+", "-"}


def _divides(formula: Formula) -> bool:
    """True for one column by another, times a number or not; an amount times such a ratio is an amount again."""
    if formula.sign == "/" and _columns_in(formula.right):
        return True
    parts = (formula.left, formula.right)
    divided = any(isinstance(part, Formula) and _divides(part) for part in parts)
    return divided and not (formula.sign == "*" and _adds_up(formula))


def _adds(formula: Formula) -> bool:
    """True where columns are on both sides of a plus or minus."""
    if formula.sign in {"+", "-"} and _columns_in(formula.left) and _columns_in(formula.right):
        return True
    return any(isinstance(part, Formula) and _adds(part) for part in (formula.left, formula.right))


def sources(column: Column) -> tuple[Column, ...]:
    """The columns of the file that a column is made of; itself, if it is in the file."""
    match column.made:
        case None:
            return (column,)
        case Period(column=dates):
            return (dates,)
        case Formula() as formula:
            return _columns_in(formula)


def _columns_in(part: Column | float | Formula) -> tuple[Column, ...]:
    if isinstance(part, Formula):
        return (*_columns_in(part.left), *_columns_in(part.right))
    return sources(part) if isinstance(part, Column) else ()


@dataclass(frozen=True, slots=True)
class Join:
    """Two tables put together: each row of the left one, with the one row of the right one that has the same key.

    Args:
        left: The table whose rows are kept.
        right: The table that is looked up; each key is there once.
        left_key: The key's column on the left.
        right_key: The key's column on the right.
        how: `left` keeps rows without a match, `inner` does not.
        asked: Whether the prompt asked for it in so many words.
    """

    left: Table
    right: Table
    left_key: Column
    right_key: Column
    how: str = "left"
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One uploaded table.

    Args:
        path: Where it is, relative to the working directory of the code.
        rows: How many rows it has below the header.
        columns: Its columns, in order.
        separator: What stands between the cells of a row.
        encoding: The file's encoding, as Python names it.
        problem: Why it could not be read; empty if it could.
        form: How it is written: `csv`, `excel`, `json`, `lines` (one JSON object a line) or `parquet`.
        sheet: The sheet of a workbook that has several.
        join: The two tables it is put together from, where it is not one file.
    """

    path: str
    rows: int = 0
    columns: tuple[Column, ...] = ()
    separator: str = ","
    encoding: str = "utf-8"
    problem: str = ""
    form: str = "csv"
    sheet: str = ""
    join: Join | None = None

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def stem(self) -> str:
        """The sheet's name where the workbook has several, else the file's name without its ending."""
        return self.sheet or self.name.rsplit(".", 1)[0]

    def repeats(self, column: Column) -> bool:
        """True for a looked-up column whose cells stand beside several rows: the population of each case's district."""
        join = self.join
        if join is None or join.left_key.distinct == join.left.rows - join.left_key.missing:
            return False
        own = {one.name for one in join.left.columns}
        looked_up = {one.name for one in join.right.columns} - own
        return any(one.name in looked_up for one in (column.parts if column.made else (column,)))

    @property
    def shown(self) -> str:
        """What an answer calls it."""
        if self.join:
            return f"{self.join.left.shown} with {self.join.right.shown}"
        return f"{self.name}, sheet {self.sheet}" if self.sheet else self.name


def table_from(found: Mapping[str, Any]) -> Table:
    """One table out of the survey's JSON."""
    columns = tuple(
        Column(
            **{
                **column,
                "kind": Kind(column["kind"]),
                "values": tuple(column["values"]),
                "ignored": tuple((cell, times) for cell, times in column["ignored"]),
                "conversion": tuple(column["conversion"]),
            }
        )
        for column in found["columns"]
    )
    return Table(**{**found, "columns": columns})
