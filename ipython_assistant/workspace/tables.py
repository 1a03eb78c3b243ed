"""Files → the heads of tables with their true sizes, and DataFrames when asked.

A head is read with the csv and json modules, in memory that does not grow with the file; pandas is imported only for a
DataFrame. The rows of a very large file are estimated: counting them takes longer than all the rest of the answer.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.artifacts import TABLE_TYPES, TableHead
from ipython_assistant.workspace.estimates import estimated_lines, rounded
from ipython_assistant.workspace.records import json_head, json_records
from ipython_assistant.workspace.sheets import excel_head, excel_rows, parquet_head
from ipython_assistant.workspace.texts import marked_encoding

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from io import TextIOWrapper
    from pathlib import Path

EXACT_BYTES = 128_000_000
"""Up to this size the rows of a CSV file are counted: a tenth of a second, or a second where cells are quoted."""
_SAMPLE_BYTES = 64 << 10
_SAMPLE_LINES = 200
_OTHER_FORMATS = {
    "application/json": "json",
    "application/x-ndjson": "json lines",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "excel",
    "application/vnd.apache.parquet": "parquet",
}
_SUFFIXES = {".jsonl": "json lines", ".ndjson": "json lines"}
# Spreadsheets save the second as "CSV" on Windows; the last one reads anything.
_ENCODINGS = ("utf-8", "cp1252", "latin-1")
_DELIMITERS = (",", ";", "\t")
# What software writes for a missing value; `NA`, `None` and `null` are words, and people have these names.
_WRITTEN_FOR_MISSING = ("", "nan", "NaN", "-nan", "-NaN", "<NA>", "NaT", "#N/A", "#NA", "1.#QNAN", "-1.#QNAN", "1.#IND")
_BATCH = 5_000
_CODE = re.compile(r"^0\d", re.MULTILINE)
_ISO_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?", re.ASCII
)
_MARKUP = re.compile(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)


def may_be_table(path: Path, media_type: str) -> bool:
    """Whether a file of this name and type can be a table; `read_head` knows whether it is one."""
    return bool(_format(path, media_type))


def read_head(path: Path, media_type: str, rows: int = 10) -> TableHead | None:
    """The first rows of a table as they stand there, and how many there are.

    CSV and TSV: the delimiter is the one of comma, semicolon and tab that gives the most regular rows; the encoding is
    UTF-8 (UTF-16 with its mark), else Windows-1252 or Latin-1. Rows that are too short are filled with None; the header
    is filled for rows that are too long. Blank lines do not count, as in pandas. JSON: an array of objects, or one
    object a line. Excel and Parquet: where openpyxl or pyarrow is installed.

    Args:
        path: The file.
        media_type: What it is said to be.
        rows: How many rows to read, the header not counted.

    Returns:
        The head, or None where the file cannot be read as a table.

    Raises:
        OSError: The file cannot be read at all.
    """
    match _format(path, media_type):
        case "delimited":
            return _delimited_head(path, media_type, rows)
        case "json" | "json lines" as kind:
            return json_head(path, rows, lines=kind == "json lines")
        case "excel":
            return excel_head(path, rows)
        case "parquet":
            return parquet_head(path, rows)
    return None


def read_frame(path: Path, media_type: str, dtypes: Mapping[str, Any] | None = None) -> Any:
    """The whole table as a pandas DataFrame.

    CSV and TSV: codes with leading zeros stay text, and so does what `dtypes` says is text. A column of ISO dates
    becomes dates. In a column of text only an empty cell is missing, or what software writes for one (`nan`, `<NA>`):
    `NA` is Namibia. Truth values with gaps become `boolean`. A first column without a name is the index that pandas
    saved, and is one again; where it only counts the rows it goes.

    Args:
        path: The file.
        media_type: What it is said to be.
        dtypes: Columns whose pandas dtype is known, by name.

    Raises:
        ValueError: It is not a table.
        OSError: The file cannot be read at all.
    """
    if read_head(path, media_type, rows=0) is None:
        raise ValueError(f"{path.name} cannot be read as a table.")
    import pandas as pd

    match _format(path, media_type):
        case "json" | "json lines" as kind:
            frame = pd.DataFrame.from_records(json_records(path, lines=kind == "json lines"))
            return _with_types(frame, _texts(dtypes or {}))
        case "excel":
            header, *rows = excel_rows(path)
            columns = distinct_names(_named("" if cell is None else str(cell) for cell in header))
            frame = pd.DataFrame(rows, columns=columns).infer_objects()
            return frame if header[0] else _with_its_index(frame)
        case "parquet":
            return pd.read_parquet(path, engine="pyarrow")
    return _delimited_frame(path, media_type, dtypes or {})


def _format(path: Path, media_type: str) -> str:
    if media_type in TABLE_TYPES:
        return "delimited"
    return _OTHER_FORMATS.get(media_type) or _SUFFIXES.get(path.suffix.lower(), "")


def _delimited_head(path: Path, media_type: str, rows: int) -> TableHead | None:
    for encoding in _encodings(path):
        try:
            return _head(path, encoding, media_type, rows)
        except UnicodeError:
            continue
        except csv.Error:
            return None
    return None


def _delimited_frame(path: Path, media_type: str, dtypes: Mapping[str, Any]) -> Any:
    import pandas as pd

    encoding = _readable(path)
    delimiter = _delimiter(path, encoding, media_type)
    header, names, codes = _columns(path, encoding, delimiter)
    texts = codes | _texts(dtypes).intersection(names)

    def read(**how: Any) -> Any:
        return pd.read_csv(
            path,
            sep=delimiter,
            encoding=encoding,
            # The header is passed over and its names given: pandas refuses rows that are longer than a header it reads.
            header=None,
            skiprows=_header_place(path, encoding, delimiter) + 1,
            names=names,
            index_col=False,
            # Read column by column, not in pieces: a column then has one type, whatever the file's size.
            low_memory=False,
            **_exactly(),
            **how,
        )

    frame = read(dtype=dict.fromkeys(texts, str))
    # A second look at columns with gaps: pandas takes the words NA, None and null for gaps too.
    doubtful = [name for name in names if frame[name].isna().any() and _may_hold_words(frame[name])]
    if doubtful:
        again = read(usecols=doubtful, dtype=str, keep_default_na=False, na_values=_WRITTEN_FOR_MISSING)
        frame = frame.assign(**{name: again[name] for name in doubtful if again[name].notna().any()})
    frame = _with_types(frame, texts)
    return frame if header[0] else _with_its_index(frame)


def _exactly() -> dict[str, Any]:
    """What makes pandas read numbers to their last digit: from 3.1 on it does, before it has to be told."""
    import pandas as pd

    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    return {"float_precision": "round_trip"} if version < (3, 1) else {}


def _texts(dtypes: Mapping[str, Any]) -> set[str]:
    """The columns that are known to be text."""
    import pandas as pd

    return {name for name, dtype in dtypes.items() if isinstance(dtype, pd.StringDtype) or dtype == "str"}


def _may_hold_words(column: Any) -> bool:
    """Whether it was read as text, or as nothing at all."""
    import pandas as pd

    return pd.api.types.infer_dtype(column, skipna=True) in {"string", "empty"} or bool(column.isna().all())


def _with_types(frame: Any, texts: Container[str]) -> Any:
    """The frame with its dates as dates and its truth values as such, but for the columns that are known to be text."""
    typed = {name: _typed(frame[name]) for name in frame.columns if name not in texts}
    return frame.assign(**{name: column for name, column in typed.items() if column is not None})


def _typed(column: Any) -> Any:
    """The column as truth values with gaps or as dates, or None where it holds neither."""
    import pandas as pd

    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "boolean" and column.dtype == object:
        return column.astype("boolean")
    if kind != "string":
        return None
    there = column.dropna()
    if _ISO_DATE.fullmatch(str(there.iloc[0])) is None or not there.str.fullmatch(_ISO_DATE.pattern).all():
        return None
    try:
        return pd.to_datetime(column, format="ISO8601")
    except ValueError:
        return None  # the 30th of February, or several time zones


def _with_its_index(frame: Any) -> Any:
    """Without the column that has no name, which becomes the index unless it only counts the rows."""
    import pandas as pd

    labels = frame.iloc[:, 0]
    if frame.shape[1] == 1 or not labels.is_unique or labels.isna().any():
        return frame
    rest = frame.iloc[:, 1:]
    if pd.api.types.is_integer_dtype(labels.dtype) and labels.tolist() == list(range(len(labels))):
        return rest
    return rest.set_axis(pd.Index(labels).rename(None), axis=0)


def _head(path: Path, encoding: str, media_type: str, rows: int) -> TableHead | None:
    records = _records(path, encoding, _delimiter(path, encoding, media_type))
    header = next(records, None)
    if header is None or not any(cell.strip() for cell in header):
        return None
    if _MARKUP.match(header[0]):
        # An error page under a table's name.
        return None
    first = list(islice(records, rows))
    size = path.stat().st_size
    estimated = size > EXACT_BYTES
    if estimated:
        row_count = rounded(estimated_lines(path, size) - 1)
    else:
        lines = _plain_lines(path, encoding)
        row_count = lines - 1 if lines is not None else len(first) + sum(1 for _ in records)
    width = max(len(record) for record in (header, *first))
    columns = [*header, *[""] * (width - len(header))]
    return TableHead(
        columns=tuple(_named(columns)),
        rows=tuple(tuple(cell or None for cell in (*record, *[""] * (width - len(record)))) for record in first),
        row_count=row_count,
        estimated=estimated,
    )


def _plain_lines(path: Path, encoding: str) -> int | None:
    """How many lines the file has, if each is a record: no quotes, no blank lines, no carriage return alone.

    Raises:
        UnicodeError: The encoding is another.
    """
    if encoding == "utf-16":
        return None
    decoder, count, end = codecs.getincrementaldecoder(encoding)(), 0, b"\n"
    with path.open("rb") as file:
        while piece := file.read(1 << 18):
            if not piece.isascii():
                decoder.decode(piece)
            joined = end + piece
            if b'"' in piece or b"\n\n" in joined or b"\n\r" in joined:
                return None
            if b"\r" in joined and joined.count(b"\r") != joined.count(b"\r\n") + joined.endswith(b"\r"):
                return None
            count += piece.count(b"\n")
            end = piece[-1:]
    return None if end == b"\r" else count + (end != b"\n")


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
    if marked := marked_encoding(start):
        return (marked,)
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
    del whole[_SAMPLE_LINES:]

    def regularity(delimiter: str) -> tuple[int, int]:
        try:
            widths = Counter(len(record) for record in csv.reader(whole, delimiter=delimiter) if record)
        except csv.Error:
            return (0, 0)
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        return (count, width) if width > 1 else (0, 0)

    return max(_DELIMITERS, key=regularity)


def _columns(path: Path, encoding: str, delimiter: str) -> tuple[list[str], list[str], set[str]]:
    """The header; the names of all columns, one for each cell of the longest row; the names of those that hold codes.

    A column holds codes if some cell of it is a number with a leading zero, such as `00412`.
    """
    records = _records(path, encoding, delimiter)
    header = next(records)
    width, codes = len(header), set[int]()
    while batch := list(islice(records, _BATCH)):
        width = max(width, *map(len, batch))
        for place, cells in enumerate(zip_longest(*batch, fillvalue="")):
            if place not in codes and _CODE.search("\n".join(cells)):
                codes.add(place)
    names = distinct_names(_named([*header, *[""] * (width - len(header))]))
    return header, names, {names[place] for place in codes}


def _header_place(path: Path, encoding: str, delimiter: str) -> int:
    """How many blank lines stand before the header."""
    with _open(path, encoding) as file:
        return next(place for place, record in enumerate(csv.reader(file, delimiter=delimiter)) if record)


def _named(columns: Iterable[str]) -> list[str]:
    """As pandas names a column that has no name."""
    return [name or f"Unnamed: {place}" for place, name in enumerate(columns)]


def distinct_names(names: list[str]) -> list[str]:
    """As pandas tells columns of one name apart: `a`, `a.1`, `a.2`."""
    given, distinct = set(names), dict[str, None]()
    for name in names:
        new, count = name, 0
        while new in distinct or (count and new in given):
            count += 1
            new = f"{name}.{count}"
        distinct[new] = None
    return list(distinct)
