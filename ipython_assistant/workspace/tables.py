"""Files → the heads of tables with their true sizes, and DataFrames when asked.

A head is read with the csv module, in memory that does not grow with the file; pandas is imported only for a DataFrame.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.artifacts import TABLE_TYPES, TableHead

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import TextIOWrapper
    from pathlib import Path

_SAMPLE_BYTES = 64 << 10
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Spreadsheets save the second as "CSV" on Windows; the last one reads anything.
_ENCODINGS = ("utf-8", "cp1252", "latin-1")
_DELIMITERS = (",", ";", "\t")
_MARKUP = re.compile(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)


def read_head(path: Path, media_type: str, rows: int = 10) -> TableHead | None:
    """The first rows of a CSV or TSV file as they stand there, and how many there are.

    The delimiter is the one of comma, semicolon and tab that gives the most regular rows; the encoding is UTF-8 (UTF-16
    with its mark), else Windows-1252 or Latin-1. Rows that are too short are filled with None; the header is filled for
    rows that are too long. Blank lines do not count, as in pandas.

    Args:
        path: The file.
        media_type: What it is said to be; only `text/csv` and `text/tab-separated-values` are read.
        rows: How many rows to read, the header not counted.

    Returns:
        The head, or None where the file cannot be read as a table.

    Raises:
        OSError: The file cannot be read at all.
    """
    if media_type not in TABLE_TYPES:
        return None
    for encoding in _encodings(path):
        try:
            return _head(path, encoding, media_type, rows)
        except UnicodeError:
            continue
        except csv.Error:
            return None
    return None


def read_frame(path: Path, media_type: str) -> Any:
    """The whole table as a pandas DataFrame. Codes with leading zeros stay text.

    Args:
        path: The file.
        media_type: What it is said to be.

    Raises:
        ValueError: It is not a table.
        OSError: The file cannot be read at all.
    """
    if read_head(path, media_type, rows=0) is None:
        raise ValueError(f"{path.name} cannot be read as a table.")
    import pandas as pd

    encoding = _readable(path)
    delimiter = _delimiter(path, encoding, media_type)
    names, codes = _columns(path, encoding, delimiter)
    return pd.read_csv(
        path,
        sep=delimiter,
        encoding=encoding,
        # The header is passed over and its names given: pandas refuses rows that are longer than a header it reads.
        header=None,
        skiprows=_header_place(path, encoding, delimiter) + 1,
        names=names,
        index_col=False,
        dtype=dict.fromkeys(codes, str),
        # Read column by column, not in pieces: a column then has one type, whatever the file's size.
        low_memory=False,
    )


def _head(path: Path, encoding: str, media_type: str, rows: int) -> TableHead | None:
    records = _records(path, encoding, _delimiter(path, encoding, media_type))
    header = next(records, None)
    if header is None or not any(cell.strip() for cell in header):
        return None
    if _MARKUP.match(header[0]):
        # An error page under a table's name.
        return None
    first = list(islice(records, rows))
    row_count = len(first) + sum(1 for _ in records)
    width = max(len(record) for record in (header, *first))
    columns = [*header, *[""] * (width - len(header))]
    return TableHead(
        columns=tuple(_named(columns)),
        rows=tuple(tuple(cell or None for cell in (*record, *[""] * (width - len(record)))) for record in first),
        row_count=row_count,
    )


def _records(path: Path, encoding: str, delimiter: str) -> Iterator[list[str]]:
    """The records of the file, header first, without blank lines."""
    with _open(path, encoding) as file:
        yield from filter(None, csv.reader(file, delimiter=delimiter))


def _open(path: Path, encoding: str) -> TextIOWrapper:
    return path.open(encoding=encoding, newline="")


def _encodings(path: Path) -> tuple[str, ...]:
    """The encodings to try, in order; none for a binary file under a table's name."""
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            return (encoding,)
    return () if b"\0" in start else _ENCODINGS


def _readable(path: Path) -> str:
    """The first encoding in which the whole file can be read."""
    *candidates, last = _encodings(path)
    for encoding in candidates:
        try:
            with _open(path, encoding) as file:
                while file.read(1 << 20):
                    pass
        except UnicodeError:
            continue
        return encoding
    return last


def _delimiter(path: Path, encoding: str, media_type: str) -> str:
    """The delimiter under which most of the first records have the same number of cells, and more than one."""
    if media_type == "text/tab-separated-values":
        return "\t"
    with _open(path, encoding) as file:
        sample = file.read(_SAMPLE_BYTES)
    # The last line may be cut, unless it is the only one.
    lines = sample.splitlines(keepends=True)
    whole = lines[:-1] if len(sample) == _SAMPLE_BYTES and len(lines) > 1 else lines

    def regularity(delimiter: str) -> tuple[int, int]:
        try:
            widths = Counter(len(record) for record in csv.reader(whole, delimiter=delimiter) if record)
        except csv.Error:
            return (0, 0)
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        return (count, width) if width > 1 else (0, 0)

    return max(_DELIMITERS, key=regularity)


def _columns(path: Path, encoding: str, delimiter: str) -> tuple[list[str], set[str]]:
    """The names of all columns, one for each cell of the longest row, and of those that hold codes.

    A column holds codes if some cell of it is a number with a leading zero, such as `00412`.
    """
    records = _records(path, encoding, delimiter)
    header = next(records)
    width, codes = len(header), set[int]()
    for record in records:
        width = max(width, len(record))
        codes.update(place for place, cell in enumerate(record) if cell[:1] == "0" and cell[1:2].isdecimal())
    names = _distinct(_named([*header, *[""] * (width - len(header))]))
    return names, {names[place] for place in codes}


def _header_place(path: Path, encoding: str, delimiter: str) -> int:
    """How many blank lines stand before the header."""
    with _open(path, encoding) as file:
        return next(place for place, record in enumerate(csv.reader(file, delimiter=delimiter)) if record)


def _named(columns: Iterable[str]) -> list[str]:
    """As pandas names a column that has no name."""
    return [name or f"Unnamed: {place}" for place, name in enumerate(columns)]


def _distinct(names: list[str]) -> list[str]:
    """As pandas tells columns of one name apart: `a`, `a.1`, `a.2`."""
    given, distinct = set(names), dict[str, None]()
    for name in names:
        new, count = name, 0
        while new in distinct or (count and new in given):
            count += 1
            new = f"{name}.{count}"
        distinct[new] = None
    return list(distinct)
