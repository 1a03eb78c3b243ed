"""What the model is told of a table: its size, its columns and their dtypes, and how to read it; never its cells."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from ipython_assistant.core.artifacts import WORKBOOK_TYPES
from ipython_assistant.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipython_assistant.core.artifacts import TableHead

MOST_COLUMNS = 40
"""So many columns are named to the model; of the others it is told how many there are of each dtype."""
LONGEST_NAME = 80
_KINDS = {
    "text/csv": "CSV",
    "text/tab-separated-values": "TSV",
    "application/json": "JSON",
    "application/geo+json": "GeoJSON",
    "application/x-ndjson": "JSON lines",
    "application/vnd.apache.parquet": "Parquet",
    **dict.fromkeys(WORKBOOK_TYPES, "Excel"),
}
_NEEDS_QUOTES = re.compile(r"^\s|\s$|[,;:\"()]|^$")


def file_in_words(media_type: str, named_by: str, heads: Mapping[str, TableHead], reason: str = "") -> str:
    """A file of the user's on one line: its kind, the variable that names it, its tables or the `reason` of none."""
    kind = _KINDS.get(media_type, "packed CSV")
    named = f", named by the variable {named_by}" if named_by else ""
    if not heads:
        return f"a file{named}" + (f", not read as a table: it {reason}" if reason else "")
    if len(heads) == 1:
        return f"{kind} file{named}, {head_in_words(*heads.values())}"
    sheets = "; ".join(f"{_quoted(name)}, {head_in_words(head)}" for name, head in heads.items())
    return f"{kind} file{named}, with {len(heads)} tables: {sheets}"


def head_in_words(head: TableHead) -> str:
    """A table's size and columns, and what pandas needs to read it, on one line."""
    size = size_in_words(head.row_count, head.column_count, estimated=head.estimated)
    words = f"{size}: {columns_in_words(head.columns, head.dtypes)}"
    if head.read_with:
        words += f". Read it with pandas.read_csv(path, {head.read_with})"
    return ". ".join((words, *(note.rstrip(".") for note in head.told)))


def size_in_words(rows: int, columns: int, *, estimated: bool = False) -> str:
    """The size of a table.

    >>> size_in_words(1, 2), size_in_words(22_000_000, 3, estimated=True)
    ('1 row × 2 columns', 'about 22,000,000 rows × 3 columns')
    """
    return f"{'about ' if estimated else ''}{counted(rows, 'row')} × {counted(columns, 'column')}"


def columns_in_words(names: Sequence[str], dtypes: Sequence[str] = ()) -> str:
    """The columns with their dtypes, if known; of a wide table the first, and how many more there are of each dtype.

    >>> columns_in_words(["district", "mean, sd"], ["str", "float64"])
    'district (str), "mean, sd" (float64)'
    """
    shown = [_quoted(name) for name in names[:MOST_COLUMNS]]
    if dtypes:
        shown = [f"{name} ({dtype})" for name, dtype in zip(shown, dtypes, strict=False)]
    more = len(names) - MOST_COLUMNS
    if more <= 0:
        return ", ".join(shown)
    kinds = ", ".join(f"{count:,} {dtype}" for dtype, count in Counter(dtypes[MOST_COLUMNS:]).most_common())
    return f"{', '.join(shown)} and {more:,} more{f' ({kinds})' if kinds else ''}"


def _quoted(name: str) -> str:
    """A column's name in a line of several: hostile ones stay on that line."""
    plain = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    if _NEEDS_QUOTES.search(plain) is None and plain.isprintable():
        return plain
    inside = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in plain.replace('"', "'"))
    return f'"{inside}"'
