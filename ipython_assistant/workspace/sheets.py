"""Workbooks, Parquet files and JSON → rows of cells; openpyxl and pyarrow are imported when such a file comes.

A small file of these kinds can unpack to any size, so what it says of itself is checked, and cells are counted.
"""

from __future__ import annotations

import json
import math
import zipfile
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from ipython_assistant.core.wording import on_one_line
from ipython_assistant.workspace import csv_tables
from ipython_assistant.workspace.csv_tables import NotATable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MOST_KEYS = 2_000  # the most columns of a table of JSON


class ReadLimits(NamedTuple):
    """How much of a file is read: bytes that it unpacks to, bytes of JSON, and cells."""

    unpacked_bytes: int
    json_bytes: int
    cells: int


LOOK = ReadLimits(100_000_000, 32_000_000, 500_000)  # for a preview, or for what the model is told
WHOLE = ReadLimits(2_000_000_000, 2_000_000_000, 100_000_000)  # for a table that was asked for


class TableRows(NamedTuple):
    """The rows of a table that were read, all of one width; `row_count` is that of the table, perhaps `estimated`."""

    names: Sequence[str]
    rows: Sequence[Sequence[Any]]
    row_count: int
    estimated: bool = False
    sheets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()


def workbook_rows(path: Path, limits: ReadLimits, sheet: str = "") -> TableRows:
    """The rows of the named or first filled sheet, without titles and notes. Raises `NotATable` or `OSError`."""
    with _workbook(path, limits) as book:
        sheets = {one.title: one for one in book.worksheets}
        if sheet and sheet not in sheets:
            raise NotATable(f"has no sheet {sheet!r}; there are: {', '.join(sheets)}")
        rows: list[Sequence[Any]] = []
        claimed = cells = 0  # a workbook may hold nothing but charts
        for name in [sheet] if sheet else sheets:
            claimed = sheets[name].max_row or 0
            sheets[name].reset_dimensions()
            cells = 0
            for row in sheets[name].iter_rows(values_only=True):
                cells += max(len(row), 1)
                if cells > limits.cells:
                    break
                if any(cell is not None for cell in row):
                    rows.append(row)
            if rows:
                break
    is_cut = cells > limits.cells
    texts = [[value_text(cell) or "" for cell in row] for row in rows]
    place = csv_tables.header_place(texts[: csv_tables.SAMPLE_RECORDS])
    below = csv_tables.notes_below(texts[place + 1 :], len(texts[place])) if not is_cut else 0
    body = rows[place + 1 : len(rows) - below]
    width = max(map(len, rows[place : len(rows) - below]))
    names = csv_tables.distinct_names([*texts[place], *[""] * (width - len(texts[place]))])
    padded = [[*row, *[None] * (width - len(row))] for row in body]
    notes = [f"There are {len(sheets)} sheets ({', '.join(sheets)}); this is {name}."] if len(sheets) > 1 else []
    notes += csv_tables.notes_around(texts[:place], below)
    count = max(claimed - place - 1, len(body)) if is_cut else len(body)
    return TableRows(names, padded, count, is_cut, tuple(sheets), tuple(notes))


def parquet_rows(path: Path, rows: int) -> TableRows:
    """The first rows of a Parquet file below its columns' names, without lists and structs. Raises `NotATable`."""
    with _parquet_file(path) as file:
        about = file.metadata
        # A list of millions can be a few bytes in the file, so only columns with one value a row are looked at.
        flat = [column.name for column in file.schema if column.path == column.name and not column.max_repetition_level]
        nested = ", ".join(name for name in file.schema_arrow.names if name not in flat)
        notes = (f"Columns of lists and structs are not shown: {nested}.",) if nested else ()
        size = about.row_group(0).total_byte_size if about.num_row_groups else 0
        batches = file.iter_batches(rows or 1, row_groups=[0], columns=flat) if 0 < size <= LOOK.unpacked_bytes else ()
        first = next(iter(batches), None)
        cells = zip(*(column.to_pylist()[:rows] for column in first.columns), strict=True) if first is not None else ()
        dtypes = tuple(str(file.schema_arrow.field(name).type) for name in flat)
        return TableRows(flat, [*cells], about.num_rows, notes=notes, dtypes=dtypes)


def parquet_frame(path: Path) -> Any:
    """A Parquet file as a pandas DataFrame. Raises `NotATable`, also where it unpacks to far more than its size."""
    with _parquet_file(path) as file:
        groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
        values = sum(group.column(place).num_values for group in groups for place in range(group.num_columns))
        if values > WHOLE.cells:
            raise NotATable(f"holds {values:,} values, which is too much to read")
        return file.read().to_pandas()


def json_rows(path: Path, limits: ReadLimits, *, is_lines: bool) -> TableRows:
    """The rows of JSON: an array or lines of objects, or the properties of GeoJSON. Raises `NotATable` or `OSError`."""
    if path.stat().st_size > limits.json_bytes:
        raise NotATable(f"is over {limits.json_bytes // 1_000_000} MB, which is too much JSON to look at")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        value = [json.loads(line) for line in text.split("\n") if line.strip()] if is_lines else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotATable("is not one JSON object a line" if is_lines else "is not JSON") from error
    notes: tuple[str, ...] = ()
    if isinstance(value, dict) and value.get("type") == "FeatureCollection" and isinstance(value.get("features"), list):
        value = [one.get("properties") or {} for one in value["features"] if isinstance(one, dict)]
        notes = ("The geometries were left out.",)
    if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
        items = value.items() if isinstance(value, dict) else ()
        lists = [name for name, item in items if isinstance(item, list) and item]
        raise NotATable(f"is not a list of records{f', but has one under {lists[0]!r}' if lists else ''}")
    names = list({name: None for record in value for name in record})
    if not 0 < len(names) <= MOST_KEYS:
        raise NotATable(f"has over {MOST_KEYS:,} columns" if names else "has no columns")
    return TableRows(names, [[record.get(name) for name in names] for record in value], len(value), notes=notes)


def value_text(value: Any) -> str | None:
    """A cell of one of these files as text; None where it is missing."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else str(value)


@contextmanager
def _workbook(path: Path, limits: ReadLimits) -> Iterator[Any]:
    openpyxl = _installed("openpyxl")
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > limits.unpacked_bytes:
                raise NotATable(f"unpacks to {unpacked // 1_000_000:,} MB, which is too much to read")  # noqa: TRY301
            # By its bytes: by its name openpyxl would refuse one that is called otherwise.
            yield openpyxl.load_workbook(file, read_only=True, data_only=True)
    except (NotATable, OSError):
        raise
    except Exception as error:  # openpyxl says in a dozen ways that a file is not a workbook
        raise NotATable(f"is not a workbook that can be read ({on_one_line(error)[:100]})") from error


@contextmanager
def _parquet_file(path: Path) -> Iterator[Any]:
    arrow = _installed("pyarrow")
    try:
        with import_module("pyarrow.parquet").ParquetFile(path) as file:
            yield file
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:  # dates beyond the year 9999
        if isinstance(error, NotATable | FileNotFoundError):
            raise
        # Arrow's own reading errors are OSErrors too.
        raise NotATable(f"is not a Parquet file that can be read ({on_one_line(error)[:100]})") from error


def _installed(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise NotATable(f"needs {package}, which is not installed: `%pip install {package}`") from error
