"""Files → the heads of tables with their true sizes, and whole tables as DataFrames.

CSV and TSV (also in a gzip file), Excel, Parquet, JSON records, JSON lines and GeoJSON. A head is read in memory that
does not grow with the file, without pandas. What was left out, or could be read in two ways, is said in notes.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.artifacts import TABLE_TYPES, WORKBOOK_TYPES, TableHead
from ipython_assistant.core.naming import folded, stem_of
from ipython_assistant.core.wording import counted, disk_reason
from ipython_assistant.workspace.columns import CsvColumn, typed
from ipython_assistant.workspace.csv_tables import (
    SAMPLE_RECORDS,
    NotATable,
    distinct_names,
    header_place,
    notes_around,
    notes_below,
    opened,
    read_csv_table,
)
from ipython_assistant.workspace.sheets import LOOK, WHOLE, check_parquet, json_rows, parquet_rows, workbook_rows

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
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class TableFrame:
    """A table as a pandas DataFrame, and sentences on how it was read."""

    frame: Any
    notes: tuple[str, ...] = ()


def may_be_table(path: Path, media_type: str) -> bool:
    """Whether a file of this name and type can be a table; `read_head` knows whether it is one."""
    return media_type in _FORMATS or _PACKED.fullmatch(path.name) is not None


def read_head(path: Path, media_type: str, rows: int = 10, sheet: str = "") -> TableHead:
    """The first `rows` of a table as they stand there, and how many there are; of a workbook's first or named sheet.

    Raises `NotATable` with the reason, or `OSError` where the file cannot be read at all.
    """
    kind = _format(path, media_type)
    if kind != "csv":
        read = _rows(path, kind, LOOK, rows, sheet)
        width, size = len(read.names), (read.row_count, read.estimated)
        cells = tuple(tuple(map(_text, _filled(row, width))) for row in read.rows[:rows])
        dtypes = read.dtypes or tuple(map(_dtype, zip(*(_filled(row, width) for row in read.rows), strict=True)))
        return TableHead(tuple(read.names), cells, *size, read.notes, dtypes, read.notes, sheets=read.sheets)
    table = read_csv_table(path, media_type, rows)
    names = tuple(column.name for column in table.columns)
    cells = tuple(tuple(cell or None for cell in _filled(row, len(names))[: len(names)]) for row in table.rows)
    dtypes = tuple(column.dtype for column in table.columns)
    notes = _first_notes([*table.notes, *(column.note for column in table.columns if column.note)])
    return TableHead(names, cells, table.row_count, table.estimated, notes, dtypes, table.notes, table.hint())


def read_heads(path: Path, media_type: str) -> dict[str, TableHead]:
    """The columns and sizes of a file's tables: of a workbook by sheet, of any other by "".

    Sheets that are no tables are left out, and so are those after the first ten. Raises as `read_head` does.
    """
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
    or what software writes for one: `NA` is Namibia. A first column without a name is the index that pandas saved, and
    becomes the index again, unless it only counts the rows.

    `dtypes` are the pandas dtypes of columns for which they are known. Raises as `read_head` does.
    """
    import pandas as pd

    kind = _format(path, media_type)
    if kind == "csv":
        known = dtypes or {}
        texts = {name for name, dtype in known.items() if isinstance(dtype, pd.StringDtype) or dtype == "str"}
        return _csv_frame(path, media_type, texts)
    if kind == "parquet":
        check_parquet(path)
        return TableFrame(pd.read_parquet(path, engine="pyarrow"))
    read = _rows(path, kind, WHOLE, None, sheet)
    if not read.is_whole:
        raise NotATable(f"holds over {WHOLE.cells:,} cells")
    rows = [_filled(row, len(read.names)) for row in read.rows]
    frame = pd.DataFrame(rows, columns=list(read.names)).infer_objects()
    return TableFrame(_with_its_index(frame, unnamed=read.names[0] == "Unnamed: 0"), read.notes)


def read_frame(path: Path, media_type: str, dtypes: Mapping[str, Any] | None = None) -> Any:
    """As `read_table`, the DataFrame alone; a `ValueError` it raises names the file."""
    try:
        return read_table(path, media_type, dtypes).frame
    except NotATable as reason:
        raise ValueError(f"{path.name} {reason}.") from reason


def _format(path: Path, media_type: str) -> str:
    """The format of a file that may be a table, by its first bytes; empty for any other."""
    if not may_be_table(path, media_type):
        return ""
    promised = _FORMATS.get(media_type, "csv")
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(_OLD_WORKBOOK):
        raise NotATable("is an old Excel workbook; save it as .xlsx")
    if start.startswith(b"PAR1"):
        return "parquet"
    # A web page or a text file under a workbook's name is what many sites hand out.
    is_text = promised == "workbook" and not start.startswith(b"PK\x03\x04")
    return "csv" if is_text else promised


def _csv_frame(path: Path, media_type: str, texts: set[str]) -> TableFrame:
    import pandas as pd

    table = read_csv_table(path, media_type, rows=0, whole=True)
    columns = tuple(CsvColumn(column.name, "text") if column.name in texts else column for column in table.columns)
    table = replace(table, columns=columns)
    # From 3.1 on pandas reads numbers to their last digit unasked, and warns where it is asked.
    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    exactly: dict[str, Any] = {"float_precision": "round_trip"} if version < (3, 1) else {}
    try:
        with opened(path) as file:
            frame = pd.read_csv(file, **table.pandas_arguments(), **exactly)
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
    return TableFrame(_with_its_index(frame.assign(**new), unnamed=table.has_index), _first_notes(notes))


def _first_notes(notes: Sequence[str]) -> tuple[str, ...]:
    more = len(notes) - _MOST_NOTES
    return (*notes[:_MOST_NOTES], f"{counted(more, 'more note')} of this kind.") if more > 0 else tuple(notes)


def _with_its_index(frame: Any, *, unnamed: bool) -> Any:
    """Without a first column that has no name, which becomes the index unless it only counts the rows."""
    import pandas as pd

    labels = frame.iloc[:, 0]
    if not unnamed or frame.shape[1] == 1 or not labels.is_unique or labels.isna().any():
        return frame
    rest = frame.iloc[:, 1:]
    if pd.api.types.is_integer_dtype(labels.dtype) and labels.tolist() == list(range(len(labels))):
        return rest
    return rest.set_axis(pd.Index(labels).rename(None), axis=0)


def _rows(path: Path, kind: str, limits: ReadLimits, most: int | None, sheet: str) -> TableRows:
    if kind == "parquet":
        return parquet_rows(path, most or 0)
    if kind != "workbook":
        if not kind:
            raise NotATable("is not a table")
        return json_rows(path, limits, is_lines=kind == "json lines")
    read = workbook_rows(path, limits, sheet)
    # Without what stands above its header and below its last row.
    rows = [[_text(cell) or "" for cell in row] for row in read.rows]
    place = header_place(rows[:SAMPLE_RECORDS])
    below = notes_below(rows[place + 1 :], len(rows[place])) if read.is_whole else 0
    body = read.rows[place + 1 : len(rows) - below]
    names = distinct_names(_filled(rows[place], max(map(len, [rows[place], *body])), ""))
    notes = (*read.notes, *notes_around(rows[:place], below))
    return replace(read, names=names, rows=body, row_count=read.row_count - place - 1 - below, notes=notes)


def _filled(row: Sequence[Any], width: int, value: Any = None) -> list[Any]:
    return [*row, *[value] * (width - len(row))]


def _dtype(values: Sequence[Any]) -> str:
    """The dtype that pandas gives to values of Python."""
    kinds = {type(value) for value in values} - {type(None)}
    has_gaps = None in values
    if kinds == {bool}:
        return "boolean" if has_gaps else "bool"
    if kinds and kinds <= {int, float}:
        return "float64" if has_gaps or float in kinds else "int64"
    return "datetime64" if kinds == {datetime} else "str" if kinds <= {str} else "object"


def _text(value: Any) -> str | None:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else str(value)


# --- tables that were asked for by name -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NoFrame:
    """A table that did not come: `reason` is a sentence that says what came instead."""

    name: str
    reason: str


def named_frame(
    artifacts: Iterable[Artifact], name: str, dtypes: Mapping[str, Any] | None = None
) -> TableFrame | NoFrame:
    """The table among the files of an answer whose stem is `name`, with the inputs' `dtypes`; see `restored`.

    The model's own name for a file counts, then the one it was saved under; case only if nothing else matches. Of
    several formats the first is taken that can be read, Parquet before CSV.
    """
    files = list(artifacts)
    reasons: list[str] = []
    order = {suffix: place for place, suffix in enumerate(_PREFERRED)}
    found = _of_that_name(files, name)
    for artifact in sorted(found, key=lambda it: order.get(it.name.rpartition(".")[2].lower(), len(order))):
        if not may_be_table(artifact.path, artifact.media_type):
            reasons.append(f"{artifact.own_name} is not a table")
            continue
        try:
            table = read_table(artifact.path, artifact.media_type, dtypes)
            return replace(table, frame=restored(table.frame, dtypes or {}))
        except NotATable as reason:
            reasons.append(f"{artifact.own_name} {reason}")
        except OSError as error:
            reasons.append(f"{artifact.own_name} cannot be read: {disk_reason(error)}")
    if reasons:
        return NoFrame(name, f"{'; '.join(reasons)}.")
    if not files:
        return NoFrame(name, "the answer came without any file.")
    named = ", ".join(artifact.own_name or artifact.name for artifact in files[:_MOST_NAMED])
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    return NoFrame(name, f"the answer's file{'s are' if len(files) > 1 else ' is'} {named}{more}.")


def restored(frame: Any, dtypes: Mapping[str, Any]) -> Any:
    """The frame with each column that an input had too in the input's dtype, if no value changes by it.

    A file of text knows no dtypes: dates, categories and whole numbers with gaps come back as something else. Columns
    that cannot be what they were stay as they are: a district `Total` is in no category, a mean is no whole number.
    """
    if not frame.columns.is_unique:
        return frame
    new = {name: _as(frame[name], dtypes[name]) for name in frame.columns if name in dtypes}
    return frame.assign(**{name: column for name, column in new.items() if column is not None})


def _as(column: Any, dtype: Any) -> Any:
    """The column in that dtype; None where it has it already or cannot have it."""
    import pandas as pd

    wanted = pd.api.types.pandas_dtype(dtype)
    if column.dtype == wanted:
        return None
    try:
        new = _converted(column, dtype, wanted)
    except (ValueError, TypeError, OverflowError, ArithmeticError):
        return None
    return new if new is not None and new.isna().equals(column.isna()) else None


def _converted(column: Any, dtype: Any, wanted: Any) -> Any:
    import pandas as pd

    kinds = pd.api.types
    is_date, is_text = kinds.is_datetime64_any_dtype(column.dtype), dtype == "str" or isinstance(wanted, pd.StringDtype)
    if isinstance(wanted, pd.CategoricalDtype):
        are_words = kinds.infer_dtype(wanted.categories) == "string"
        values = _as(column, "str" if are_words else wanted.categories.dtype)
        values = column if values is None else values
        return values.astype(wanted) if values.dropna().isin(wanted.categories).all() else None
    if is_text and not is_date and not kinds.is_float_dtype(column.dtype):
        text = column.astype(object).map(str, "ignore")
        return text.infer_objects() if dtype == "str" else text.astype(wanted)
    if kinds.is_timedelta64_dtype(wanted):
        return pd.to_timedelta(column).astype(wanted)
    is_truth = kinds.infer_dtype(column, skipna=True) == "boolean"
    # How a number or a date was written is not known any more.
    if is_text or str(wanted) == "object" or kinds.is_bool_dtype(wanted) != is_truth:
        return None
    if kinds.is_datetime64_any_dtype(wanted):
        column = column if is_date else pd.to_datetime(column, format="ISO8601")
        zone = getattr(wanted, "tz", None)
        new = (column if zone is None else column.dt.tz_convert(zone)).astype(wanted)
    else:
        # Where NumPy's dtype has no place for a missing value, pandas' own of the same kind has.
        roomy = {"b": "boolean", "i": str(wanted).title(), "u": str(wanted).replace("ui", "UI")}
        is_numpy = type(wanted).__module__.startswith("numpy")
        new = column.astype(roomy.get(wanted.kind, wanted) if column.hasnans and is_numpy else wanted)
    both_floats = kinds.is_float_dtype(wanted) and kinds.is_float_dtype(column.dtype)
    # As Python's numbers, which compare exactly: NumPy would take 2**60 + 1 and its float for the same.
    return new if both_floats or new.dropna().tolist() == column.dropna().tolist() else None


def _of_that_name(files: Sequence[Artifact], name: str) -> list[Artifact]:
    wanted = stem_of(name) if name.rpartition(".")[2].lower() in _PREFERRED else name
    return (
        [artifact for artifact in files if stem_of(artifact.own_name) == wanted]
        or [artifact for artifact in files if stem_of(artifact.name) == wanted]
        or [artifact for artifact in files if folded(stem_of(artifact.own_name)) == folded(wanted)]
    )
