"""Files → the heads of tables with their true sizes, and whole tables as DataFrames.

CSV and TSV (also in a gzip file), Excel, Parquet, JSON records, JSON lines and GeoJSON. A head is read in memory that
does not grow with the file, without pandas. What was left out, or could be read in two ways, is said in notes.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ipython_assistant.core.artifacts import TABLE_TYPES, WORKBOOK_TYPES, TableHead
from ipython_assistant.core.naming import folded, stem_of
from ipython_assistant.core.wording import counted, disk_reason, first_words
from ipython_assistant.workspace import sheets
from ipython_assistant.workspace.columns import CsvColumn, missing_in, typed
from ipython_assistant.workspace.csv_tables import NotATable, opened, read_csv_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.workspace.sheets import ReadLimits, TableRows

_FORMATS = {
    **dict.fromkeys(TABLE_TYPES, "csv"),
    "application/json": "json",
    "application/geo+json": "json",
    "application/x-ndjson": "json lines",
    **dict.fromkeys(WORKBOOK_TYPES, "workbook"),
    "application/vnd.apache.parquet": "parquet",
}
_PACKED = re.compile(r".*\.(?:csv|tsv)\.gz", re.IGNORECASE | re.DOTALL)
_MOST_SHEETS, _MOST_NOTES = 10, 12
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
_PREFERRED = ("parquet", "csv", "tsv", "xlsx", "jsonl", "ndjson", "json")
"""Where one name has several formats: first those that keep most of a table's types, then those most often written."""


class TableFrame(NamedTuple):
    """A table as a pandas DataFrame, and sentences on how it was read."""

    frame: Any
    notes: tuple[str, ...] = ()


def may_be_table(path: Path, media_type: str) -> bool:
    """Whether a file of this name and type can be a table; `read_head` knows whether it is one."""
    return media_type in _FORMATS or _PACKED.fullmatch(path.name) is not None


def read_head(path: Path, media_type: str, rows: int = 10, sheet: str = "") -> TableHead:
    """The first `rows` of a table, or a workbook's sheet, and how many there are. Raises `NotATable` or `OSError`."""
    kind = _format(path, media_type)
    if kind != "csv":
        read = sheets.parquet_rows(path, rows) if kind == "parquet" else _rows(path, kind, sheets.LOOK, sheet)
        cells = tuple(tuple(map(sheets.value_text, row)) for row in read.rows[:rows])
        dtypes = read.dtypes or tuple(map(_dtype, zip(*read.rows, strict=True))) or ("object",) * len(read.names)
        size = read.row_count, read.estimated
        return TableHead(tuple(read.names), cells, *size, read.notes, dtypes, read.notes, sheets=read.sheets)
    table = read_csv_table(path, media_type, rows)
    names = tuple(column.name for column in table.columns)
    padding = ("",) * len(names)
    cells = tuple(tuple(cell or None for cell in (row + padding)[: len(names)]) for row in table.rows)
    dtypes = tuple(column.dtype for column in table.columns)
    notes = _first_notes([*table.notes, *(column.note for column in table.columns if column.note)])
    return TableHead(names, cells, table.row_count, table.estimated, notes, dtypes, table.notes, table.hint())


def read_heads(path: Path, media_type: str) -> dict[str, TableHead]:
    """The columns and sizes of a file's tables: of a workbook's first ten sheets by name, of any other file by ""."""
    first = read_head(path, media_type, 0)
    heads = {} if len(first.sheets) > 1 else {"": first}
    for sheet in first.sheets[:_MOST_SHEETS] if not heads else ():
        with contextlib.suppress(NotATable):
            head = read_head(path, media_type, 0, sheet)
            heads[sheet] = replace(head, told=head.told[1:])  # without the names of the other sheets
    return heads


def read_table(path: Path, media_type: str, dtypes: Mapping[str, Any] | None = None, sheet: str = "") -> TableFrame:
    """The whole table as a pandas DataFrame, with notes on how it was read.

    Codes with leading zeros stay text, and so does what `dtypes` says is text. ISO dates become dates, and others where
    day and month cannot be confused; truth values with gaps become `boolean`. Among text only an empty cell is missing,
    or what software writes for one: `NA` is Namibia. Raises as `read_head` does.
    """
    import pandas as pd

    kind = _format(path, media_type)
    if kind == "csv":
        return _csv_frame(path, media_type, dtypes or {})
    if kind == "parquet":
        return TableFrame(sheets.parquet_frame(path))
    read = _rows(path, kind, sheets.WHOLE, sheet)
    if read.estimated:
        raise NotATable(f"holds over {sheets.WHOLE.cells:,} cells")
    frame = pd.DataFrame(read.rows, columns=list(read.names)).infer_objects()
    return TableFrame(_with_its_index(frame), read.notes)


def read_frame(path: Path, media_type: str, dtypes: Mapping[str, Any] | None = None) -> Any:
    """As `read_table`, the DataFrame alone; a `ValueError` it raises names the file."""
    try:
        return read_table(path, media_type, dtypes).frame
    except NotATable as reason:
        raise ValueError(f"{path.name} {reason}.") from reason


def _format(path: Path, media_type: str) -> str:
    """The format of a file that may be a table, by its first bytes. Raises `NotATable` for any other, or `OSError`."""
    if not may_be_table(path, media_type):
        raise NotATable("is not a table")
    promised = _FORMATS.get(media_type, "csv")
    with path.open("rb") as file:
        start = file.read(4)
    if start == _OLD_WORKBOOK:
        raise NotATable("is an old Excel workbook; save it as .xlsx")
    if start == b"PAR1":
        return "parquet"
    # A web page or a text file under a workbook's name is what many sites hand out.
    return "csv" if promised == "workbook" and start != b"PK\x03\x04" else promised


def _rows(path: Path, kind: str, limits: ReadLimits, sheet: str) -> TableRows:
    if kind == "workbook":
        return sheets.workbook_rows(path, limits, sheet)
    return sheets.json_rows(path, limits, is_lines=kind != "json")


def _csv_frame(path: Path, media_type: str, dtypes: Mapping[str, Any]) -> TableFrame:
    import pandas as pd

    table = read_csv_table(path, media_type, rows=0, whole=True)
    words = {name for name, dtype in dtypes.items() if _holds_words(dtype)}
    columns = [CsvColumn(column.name, "text") if column.name in words else column for column in table.columns]
    arguments: dict[str, Any] = {
        # The header is passed over and its names given: pandas refuses rows that are longer than a header it reads.
        "header": None,
        "skiprows": table.above + 1 + table.tags,
        "nrows": table.row_count,
        "names": [column.name for column in columns],
        "usecols": range(len(columns)),
        "index_col": False,
        # Plain numbers are read as such, and the rest as text.
        "dtype": {it.name: str for it in columns if it.kind not in {"integer", "number", "empty"}},
        "keep_default_na": False,
        "na_values": {column.name: missing_in(column.kind) for column in columns},
        # Read column by column, not in pieces: a column then has one type, whatever the file's size.
        "low_memory": False,
    }
    # From 3.1 on pandas reads numbers to their last digit unasked, and warns where it is asked.
    if tuple(int(part) for part in pd.__version__.split(".")[:2]) < (3, 1):
        arguments["float_precision"] = "round_trip"
    try:
        with opened(path) as file:
            frame = pd.read_csv(file, sep=table.separator, encoding=table.encoding, **arguments)
    except pd.errors.ParserError as error:
        raise NotATable("has a cell whose quotation mark is never closed") from error
    notes, new = [*table.notes], {}
    for column in columns:
        note = column.note
        try:
            new[column.name] = typed(frame[column.name], column)
        except ValueError:
            note = f"{column.name}: not every cell is a date of one calendar, so the column was kept as text."
        notes += [note] if note else []
    return TableFrame(_with_its_index(frame.assign(**new)), _first_notes(notes))


def _first_notes(notes: Sequence[str]) -> tuple[str, ...]:
    more = len(notes) - _MOST_NOTES
    return (*notes[:_MOST_NOTES], f"{counted(more, 'more note')} of this kind.") if more > 0 else tuple(notes)


def _with_its_index(frame: Any) -> Any:
    """Without a first column that has no name, which becomes the index unless it only counts the rows."""
    labels = frame.iloc[:, 0]
    if labels.name != "Unnamed: 0" or frame.shape[1] == 1 or not labels.is_unique or labels.hasnans:
        return frame
    rest = frame.set_index(labels.name).rename_axis(None)
    return rest.reset_index(drop=True) if labels.tolist() == list(range(len(labels))) else rest


def _dtype(values: Sequence[Any]) -> str:
    """The dtype that pandas gives to values of Python."""
    kinds = {type(value) for value in values} - {type(None)}
    has_gaps = None in values
    if kinds == {bool}:
        return "boolean" if has_gaps else "bool"
    if kinds and kinds <= {int, float}:
        return "float64" if has_gaps or float in kinds else "int64"
    return "datetime64" if kinds == {datetime} else "str" if kinds <= {str} else "object"


def named_frame(artifacts: Iterable[Artifact], name: str, dtypes: Mapping[str, Any] | None = None) -> TableFrame | str:
    """The table among the files of an answer whose stem is `name`, with the inputs' `dtypes`; see `restored`.

    The model's own name for a file counts, then the one it was saved under; case only if nothing else matches. Where
    there is none that can be read, gives a sentence that says what came instead.
    """
    files, reasons = list(artifacts), list[str]()
    order = {suffix: place for place, suffix in enumerate(_PREFERRED)}
    wanted = stem_of(name) if name.rpartition(".")[2].lower() in order else name
    found = (
        [it for it in files if stem_of(it.own_name) == wanted]
        or [it for it in files if stem_of(it.name) == wanted]
        or [it for it in files if folded(stem_of(it.own_name)) == folded(wanted)]
    )
    for artifact in sorted(found, key=lambda it: order.get(it.name.rpartition(".")[2].lower(), len(order))):
        try:
            table = read_table(artifact.path, artifact.media_type, dtypes)
            return TableFrame(restored(table.frame, dtypes or {}), table.notes)
        except NotATable as reason:
            reasons.append(f"{artifact.own_name} {reason}")
        except OSError as error:
            reasons.append(f"{artifact.own_name} cannot be read: {disk_reason(error)}")
    named = first_words(", ".join(it.own_name or it.name for it in files), 200) or "no file"
    return f"{'; '.join(reasons) or f'the answer came with {named}'}."


def restored(frame: Any, dtypes: Mapping[str, Any]) -> Any:
    """The frame with each column that an input had too in the input's dtype, if no value changes by it.

    A file of text knows no dtypes: categories and whole numbers with gaps come back as something else. Columns that
    cannot be what they were stay as they are: a district `Total` is in no category, a mean is no whole number.
    """
    from pandas.api import types

    new = {}
    for name in dtypes if frame.columns.is_unique else ():
        column, wanted = frame.get(name), types.pandas_dtype(dtypes[name])
        if column is None or column.dtype == wanted or str(dtypes[name]) in {"str", "object"}:
            continue
        # How a number or a date was written is not known any more; 0 and 1 are counts more often than truth values.
        kinds = (_holds_words, types.is_bool_dtype, types.is_datetime64_any_dtype)
        is_other_kind = wanted.kind != "m" and any(is_kind(column) != is_kind(wanted) for is_kind in kinds)
        words = getattr(wanted, "categories", None)
        if is_other_kind or (words is not None and not column.dropna().isin(words).all()):
            continue
        if column.hasnans and type(wanted).__module__.startswith("numpy") and wanted.kind in "iu":
            # pandas' own dtype of the same kind has a place for a missing value.
            wanted = types.pandas_dtype(str(wanted).title().replace("Ui", "UI"))
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            there = column.astype(wanted)
            are_floats = types.is_float_dtype(wanted) and types.is_float_dtype(column.dtype)
            # Before pandas 3 a column of text is one of objects, and missing in another way.
            back = there.astype(str if wanted.kind == "m" else column.dtype)
            is_same = back.isna().equals(column.isna()) and back.dropna().equals(column.dropna())
            if are_floats or is_same:
                new[name] = there
    return frame.assign(**new)


def _holds_words(dtype: Any) -> bool:
    """Whether a column, or one of this dtype, holds text, if only as categories."""
    from pandas.api import types

    values = getattr(dtype, "categories", dtype)
    if hasattr(values, "dtype"):
        return types.infer_dtype(values, skipna=True) == "string"
    return types.is_string_dtype(values) and str(values) != "object"
