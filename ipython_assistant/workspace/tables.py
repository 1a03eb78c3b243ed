"""Files → the heads of tables with their true sizes, and DataFrames when asked.

A head is read with the csv and json modules, in memory that does not grow with the file; pandas is imported only for a
DataFrame. The rows of a very large file are estimated: counting them takes longer than all the rest of the answer.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.artifacts import TABLE_TYPES, TableHead
from ipython_assistant.workspace.estimates import estimated_lines, rounded
from ipython_assistant.workspace.records import MOST_COLUMNS, json_head, json_records
from ipython_assistant.workspace.sheets import excel_head, excel_rows, parquet_head
from ipython_assistant.workspace.texts import marked_encoding

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Iterable, Mapping
    from pathlib import Path

    from _typeshed import WriteableBuffer

Passing = Callable[[int, bytes], None]
"""Called with bytes of a file and their place in it while they are read for something else."""

EXACT_BYTES = 128_000_000
"""Up to this size the rows of a CSV file are counted: a tenth of a second, or a second where cells are quoted."""
_SAMPLE_BYTES = 64 << 10
_PIECE_BYTES = 1 << 18
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


def read_head(path: Path, media_type: str, rows: int = 10, passing: Passing | None = None) -> TableHead | None:
    """The first rows of a table as they stand there, and how many there are.

    CSV and TSV: the delimiter is the one of comma, semicolon and tab that gives the most regular rows; the encoding is
    UTF-8 (UTF-16 with its mark), else Windows-1252 or Latin-1. Rows that are too short are filled with None; the header
    is filled for rows that are too long. Blank lines do not count, as in pandas. JSON: an array of objects, or one
    object a line. Excel and Parquet: where openpyxl or pyarrow is installed.

    Args:
        path: The file.
        media_type: What it is said to be.
        rows: How many rows to read, the header not counted.
        passing: Called while the rows of a CSV or TSV file are counted, so that nobody has to read it again.

    Returns:
        The head, or None where the file cannot be read as a table.

    Raises:
        OSError: The file cannot be read at all.
    """
    match _format(path, media_type):
        case "delimited":
            return _delimited_head(path, media_type, rows, passing)
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
    frame = None
    match _format(path, media_type):
        case "delimited":
            frame = _delimited_frame(path, media_type, dtypes or {})
        case "json" | "json lines" as kind:
            frame = _json_frame(path, dtypes or {}, lines=kind == "json lines")
        case "excel":
            frame = _excel_frame(path)
        case "parquet" if parquet_head(path, rows=0) is not None:
            import pandas as pd

            frame = pd.read_parquet(path, engine="pyarrow")
    if frame is None:
        raise ValueError(f"{path.name} cannot be read as a table.")
    return frame


def _json_frame(path: Path, dtypes: Mapping[str, Any], *, lines: bool) -> Any:
    import pandas as pd

    try:
        records = json_records(path, lines=lines)
    except (ValueError, RecursionError):
        return None
    if not 0 < len(set(chain.from_iterable(records))) <= MOST_COLUMNS:
        return None
    return _with_types(pd.DataFrame.from_records(records), _texts(dtypes))


def _excel_frame(path: Path) -> Any:
    import pandas as pd

    rows = excel_rows(path)
    if not rows:
        return None
    header = rows.pop(0)
    columns = distinct_names(_named("" if cell is None else str(cell) for cell in header))
    frame = pd.DataFrame(rows, columns=columns).infer_objects()
    return frame if header[0] else _with_its_index(frame)


def _format(path: Path, media_type: str) -> str:
    if media_type in TABLE_TYPES:
        return "delimited"
    return _OTHER_FORMATS.get(media_type) or _SUFFIXES.get(path.suffix.lower(), "")


def _delimited_head(path: Path, media_type: str, rows: int, passing: Passing | None) -> TableHead | None:
    for encoding in _encodings(path):
        try:
            return _head(path, encoding, media_type, rows, passing)
        except UnicodeError:
            continue
        except csv.Error:
            return None
    return None


def _delimited_frame(path: Path, media_type: str, dtypes: Mapping[str, Any]) -> Any:
    import pandas as pd

    written = _written(path, media_type)
    if written is None:
        return None
    names, texts = list(written.names), written.codes | _texts(dtypes).intersection(written.names)

    def read(**how: Any) -> Any:
        return pd.read_csv(
            path,
            sep=written.delimiter,
            encoding=written.encoding,
            # The header is passed over and its names given: pandas refuses rows that are longer than a header it reads.
            header=None,
            skiprows=_header_place(path, written.encoding, written.delimiter) + 1,
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
    return frame if written.header[0] else _with_its_index(frame)


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


def _head(path: Path, encoding: str, media_type: str, rows: int, passing: Passing | None) -> TableHead | None:
    delimiter = _delimiter(path, encoding, media_type)
    records = _records(path, encoding, delimiter)
    header = next(records, [])
    if not _is_header(header):
        return None
    first = list(islice(records, rows))
    records.close()
    size = path.stat().st_size
    estimated = size > EXACT_BYTES
    row_count = (
        rounded(estimated_lines(path, size) - 1) if estimated else _record_count(path, encoding, delimiter, passing) - 1
    )
    width = max(len(record) for record in (header, *first))
    columns = [*header, *[""] * (width - len(header))]
    return TableHead(
        columns=tuple(_named(columns)),
        rows=tuple(tuple(cell or None for cell in (*record, *[""] * (width - len(record)))) for record in first),
        row_count=row_count,
        estimated=estimated,
    )


def _is_header(cells: list[str]) -> bool:
    """Whether a first record names columns; that of an error page under a table's name does not."""
    return any(cell.strip() for cell in cells) and _MARKUP.match(cells[0]) is None


def _record_count(path: Path, encoding: str, delimiter: str, passing: Passing | None) -> int:
    """How many records the file has, its header included: by its line ends while that is certain, then by their cells.

    Raises:
        UnicodeError: The encoding is another.
        csv.Error: It is no table.
    """
    lines, end = (0, 0) if encoding == "utf-16" else _plain_lines(path, encoding, passing)
    with path.open("rb", buffering=0) as file:
        file.seek(end)
        # A mark is only at the beginning.
        rest = encoding if end == 0 else encoding.removesuffix("-sig")
        read = io.BufferedReader(file if passing is None else _Watched(file, passing), _PIECE_BYTES)
        with io.TextIOWrapper(read, rest, newline="") as text:
            return lines + sum(1 for record in csv.reader(text, delimiter=delimiter) if record)


def _plain_lines(path: Path, encoding: str, passing: Passing | None) -> tuple[int, int]:
    """How many lines the file has up to a place, and that place: each is a record, and what follows may be anything.

    Such a line has no quotes and no carriage return alone, and it is not blank.

    Raises:
        UnicodeError: The encoding is another.
    """
    decoder, count, place, end = codecs.getincrementaldecoder(encoding)(), 0, 0, b"\n"
    at = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            if passing is not None:
                passing(at, piece)
            if not piece.isascii():
                decoder.decode(piece)
            joined = end + piece
            if b'"' in piece or b"\n\n" in joined or b"\n\r" in joined:
                break
            if b"\r" in joined and joined.count(b"\r") != joined.count(b"\r\n") + joined.endswith(b"\r"):
                break
            count += piece.count(b"\n")
            place = at + piece.rfind(b"\n") + 1 if b"\n" in piece else place
            at, end = at + len(piece), piece[-1:]
    return count, place


class _Watched(io.RawIOBase):
    """A file whose bytes another sees too while they are read."""

    def __init__(self, file: io.FileIO, passing: Passing) -> None:
        self._file = file
        self._passing = passing

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        at, count = self._file.tell(), self._file.readinto(buffer)
        self._passing(at, bytes(memoryview(buffer)[:count]))
        return count


def _records(path: Path, encoding: str, delimiter: str) -> Generator[list[str], None, None]:
    """The records of the file, header first, without blank lines."""
    with _open(path, encoding) as file:
        yield from filter(None, csv.reader(file, delimiter=delimiter))


def _open(path: Path, encoding: str) -> io.TextIOWrapper:
    return path.open(encoding=encoding, newline="")


def _encodings(path: Path) -> tuple[str, ...]:
    """The encodings to try, in order; none for a binary file under a table's name."""
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    if marked := marked_encoding(start):
        return (marked,)
    return () if b"\0" in start else _ENCODINGS


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


@dataclass(frozen=True, slots=True)
class _Written:
    """How a table is written.

    Attributes:
        encoding: The first in which the whole file can be read.
        delimiter: What stands between its cells.
        header: Its first record.
        names: The names of all columns, one for each cell of the longest row.
        codes: The names of those with some number that has a leading zero, such as `00412`.
    """

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    names: tuple[str, ...]
    codes: frozenset[str]


def _written(path: Path, media_type: str) -> _Written | None:
    """How it is written, read to its end; None where it is no table."""
    for encoding in _encodings(path):
        try:
            return _written_in(path, encoding, media_type)
        except UnicodeError:
            continue
        except csv.Error:
            return None
    return None


def _written_in(path: Path, encoding: str, media_type: str) -> _Written | None:
    delimiter = _delimiter(path, encoding, media_type)
    records = _records(path, encoding, delimiter)
    header = next(records, [])
    if not _is_header(header):
        return None
    width, codes = len(header), set[int]()
    while batch := list(islice(records, _BATCH)):
        width = max(width, *map(len, batch))
        for place, cells in enumerate(zip_longest(*batch, fillvalue="")):
            if place not in codes and _CODE.search("\n".join(cells)):
                codes.add(place)
    names = distinct_names(_named([*header, *[""] * (width - len(header))]))
    return _Written(encoding, delimiter, tuple(header), tuple(names), frozenset(names[place] for place in codes))


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
