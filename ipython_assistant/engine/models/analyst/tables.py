"""What the analyst knows of the uploaded tables: values only, filled from the survey that runs in the container."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.analyst.lexing import plain_words

if TYPE_CHECKING:
    from collections.abc import Mapping

READABLE: Final = (".csv", ".tsv")
"""Endings of the files the analyst reads."""

MAX_KEY_VALUES: Final = 60
"""A whole number with at most this many different values (a week, a round) may stand on an axis or make groups."""

_SHARE_WORDS: Final = frozenset(
    [
        "coverage",
        "rate",
        "ratio",
        "share",
        "proportion",
        "percent",
        "prevalence",
        "incidence",
        "density",
        "index",
        "score",
        "mean",
        "average",
        "median",
    ]
)


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

    @property
    def share(self) -> bool:
        """True for a rate, a percentage or a mean: numbers whose sum means nothing."""
        return "percent" in self.conversion or not _SHARE_WORDS.isdisjoint(plain_words(self.name))

    @property
    def groups(self) -> bool:
        """True where rows may be grouped by it, or it may be the axis of a chart."""
        if self.kind is Kind.NUMBER:
            return self.whole and 0 < self.distinct <= MAX_KEY_VALUES
        return self.kind is not Kind.EMPTY

    @property
    def in_time(self) -> bool:
        """True for years and dates."""
        return self.kind in {Kind.YEAR, Kind.DATE}


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
    """

    path: str
    rows: int = 0
    columns: tuple[Column, ...] = ()
    separator: str = ","
    encoding: str = "utf-8"
    problem: str = ""

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return self.name.rsplit(".", 1)[0]


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
