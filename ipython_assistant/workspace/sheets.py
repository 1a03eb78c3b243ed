"""Excel and Parquet → the head of a table, where the reader of each is installed.

Neither reader is a dependency: openpyxl and pyarrow are imported when such a file has come, and a file whose reader is
not there keeps its place in the card. Both formats are compressed, so what they say of themselves is looked at first.
"""

from __future__ import annotations

import math
import zipfile
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.artifacts import TableHead

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LARGEST_BYTES = 200_000_000
"""Of a workbook's sheet or a Parquet file's first row group, uncompressed. A larger one is not opened for a look."""


def excel_head(path: Path, rows: int) -> TableHead | None:
    """The head of a workbook's first sheet; None without openpyxl, or where it is no workbook."""
    try:
        if not _is_small_workbook(path):
            return None
        records = _sheet(path)
        header = next(records, ())
        first = list(islice(records, rows))
        row_count = len(first) + sum(1 for _ in records)
    except _unreadable():
        return None
    width = max(len(header), *(len(row) for row in first), 0)
    if not width:
        return None
    names = [_text(cell) for cell in (*header, *[None] * (width - len(header)))]
    columns = [name or f"Unnamed: {place}" for place, name in enumerate(names)]
    cells = tuple(tuple(_text(cell) for cell in (*row, *[None] * (width - len(row)))) for row in first)
    return TableHead(tuple(columns), cells, row_count)


def excel_rows(path: Path) -> list[Sequence[Any]]:
    """Every row of the first sheet, its header first; none where it is no workbook, or too large to be opened.

    Raises:
        ImportError: openpyxl is not installed.
        OSError: The file cannot be read at all.
    """
    try:
        return list(_sheet(path)) if _is_small_workbook(path) else []
    except ImportError:
        raise
    except _unreadable():
        return []


def parquet_head(path: Path, rows: int) -> TableHead | None:
    """The head of a Parquet file, its size from the footer; None without pyarrow, or where it is no such file."""
    if find_spec("pyarrow") is None:
        return None
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            about, names = file.metadata, file.schema_arrow.names
            fits = about.num_row_groups > 0 and about.row_group(0).total_byte_size <= LARGEST_BYTES
            batches = file.iter_batches(batch_size=max(rows, 1), row_groups=[0]) if fits and rows else iter(())
            batch = next(batches, None)
            columns = [column.to_pylist()[:rows] for column in batch.columns] if batch is not None else []
            return TableHead(
                tuple(names),
                tuple(tuple(_text(cell) for cell in row) for row in zip(*columns, strict=True)),
                about.num_rows,
            )
    except (arrow.ArrowException, OSError, ValueError):
        # Arrow's own reading errors are OSErrors too; one that is not about the file shows in the card.
        return None


def _is_small_workbook(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist()) <= LARGEST_BYTES


def _sheet(path: Path) -> Iterator[Sequence[Any]]:
    book = import_module("openpyxl").load_workbook(path, read_only=True, data_only=True)
    try:
        for row in book.worksheets[0].iter_rows(values_only=True):
            if any(cell is not None for cell in row):
                yield row
    finally:
        book.close()


def _unreadable() -> tuple[type[Exception], ...]:
    """What a file that is no workbook makes openpyxl raise; it says so in many ways."""
    return (ImportError, zipfile.BadZipFile, KeyError, ValueError, TypeError, IndexError, AttributeError, SyntaxError)


def _text(cell: Any) -> str | None:
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        return None
    return str(cell)
