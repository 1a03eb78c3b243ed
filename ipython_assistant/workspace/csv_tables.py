"""A CSV or TSV file → how it is written and what it holds, and with which arguments pandas reads exactly that.

Tables as people publish them have titles above the header, tags below it and notes at their foot. What these are is
decided here for text files and workbooks alike.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from itertools import chain, islice, repeat, zip_longest
from typing import TYPE_CHECKING, BinaryIO, cast

from ipython_assistant.core.wording import counted, on_one_line
from ipython_assistant.workspace.columns import ColumnCells, CsvColumn
from ipython_assistant.workspace.excerpts import marked_encoding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

EXACT_BYTES = 32_000_000  # up to here the rows are counted; those of a larger table are estimated
MOST_COLUMNS = 20_000
LONGEST_LINE = 16_000_000  # in characters; also of a field, such as a polygon
LARGEST_UNPACKED = 2_000_000_000  # in bytes; a larger table in a gzip file is not read
SAMPLE_RECORDS = 100  # so many decide on the separator and the header
MOST_BELOW, _MOST_ABOVE = 60, 30  # the most records that may be notes
_SAMPLE_BYTES = 1 << 16
_BATCH = 500  # one long row makes a batch as wide as itself, so there are not too many rows in it
_TYPED_ROWS = 20_000
_SHOWN = 3
_TOTALS = frozenset({"total", "grand total", "sum", "all", "overall", "gesamt", "insgesamt", "summe", "ensemble"})
_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r"\ufeff?sep=(.)\s*", re.IGNORECASE)
_MARKUP = re.compile(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)
# One or two accented letters, or a sign, between bytes of ASCII: so looks Windows-1252, and Big5 or Cyrillic do not.
_WESTERN = re.compile(
    rb"(?<![\x80-\xff])(?:[\xc0-\xff\x8a\x8c\x8e\x9a\x9c\x9e\x9f]{1,2}"
    rb"|[\x80\x82-\x87\x91-\x97\x99\xa0\xa3\xa7\xa9\xab\xb0-\xb3\xb5\xb7\xbb])(?![\x80-\xff])"
)
_MOSTLY_WESTERN = 0.7
_NUMBER = re.compile(r"[+-]?[\d.,]+%?")
_YEAR = re.compile(r"(?:1[5-9]|2[01])\d\d")
_NOTE = re.compile(r"(?is)(?:sources?|notes?|quelle|anmerkung|fuente|nota|updated|\d\))\b.*|[*†].*")


class NotATable(ValueError):
    """Why a file cannot be read as a table: the end of a sentence that begins with its name, such as `is empty`."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    """How a CSV file is written, and what it holds; it has one column for each cell of its longest row.

    `above` lines stand above its header, perhaps a row of HXL `tags` below that, and `below` lines of notes at the
    foot. `rows` are the first ones as they stand there. `notes` name no cell.
    """

    encoding: str
    separator: str
    above: int
    tags: bool
    below: int
    columns: tuple[CsvColumn, ...]
    rows: tuple[tuple[str, ...], ...]
    row_count: int
    estimated: bool
    notes: tuple[str, ...]

    def hint(self) -> str:
        """The arguments of `pandas.read_csv` that differ from its defaults, as code; empty where it needs none."""
        decimals = {column.decimal for column in self.columns if column.kind == "amount"}
        above: int | list[int] = [*range(self.above), self.above + 1] if self.tags else self.above
        wanted = {
            "sep": self.separator if self.separator != "," else None,
            "encoding": self.encoding if not self.encoding.startswith("utf-8") else None,
            "skiprows": above or None,
            "skipfooter": self.below or None,
            "engine": "python" if self.below else None,
            "decimal": "," if decimals == {","} else None,
            "thousands": {",": ".", ".": ","}[decimals.pop()] if len(decimals) == 1 else None,
        }
        return ", ".join(f"{name}={value!r}" for name, value in wanted.items() if value is not None)


def read_csv_table(path: Path, media_type: str, rows: int = 10, *, whole: bool = False) -> CsvTable:
    """Find out how a CSV or TSV file is written, also within a gzip file, and keep its first `rows`.

    If `whole`, every row decides on its columns and all are counted. Raises `NotATable` or `OSError`.
    """
    # One limit for the whole process, 131,072 by default: a polygon is longer. It is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    try:
        with opened(path) as file:
            start = file.read(_SAMPLE_BYTES)
        encoding = marked_encoding(start) or "utf-8"
        text = start.decode(encoding, "replace")
        if not text.strip() or _MARKUP.match(text):
            raise NotATable("holds a web page" if text.strip() else "is empty")
        separator, given = ("\t", 0) if media_type == "text/tab-separated-values" else _separator_of(text)
        try:
            return _scan(path, encoding, separator, given, rows, whole=whole)
        except UnicodeDecodeError as error:
            high = len(error.object) - len(error.object.translate(None, bytes(range(0x80, 0x100))))
            if encoding != "utf-8" or sum(map(len, _WESTERN.findall(error.object))) < _MOSTLY_WESTERN * high:
                raise
            return _scan(path, "cp1252", separator, given, rows, whole=whole)
    except UnicodeDecodeError as error:
        raise NotATable("is not a text file in UTF-8 or Windows-1252; save it as UTF-8") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise NotATable(f"cannot be unpacked ({on_one_line(error)})") from error
    except csv.Error as error:
        raise NotATable(f"has a cell of over {LONGEST_LINE:,} characters") from error


def opened(path: Path) -> BinaryIO:
    """The file's bytes, unpacked if it is a gzip file. Raises `NotATable` or `OSError`."""
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":
        raise NotATable("is a ZIP archive, or a workbook whose name does not say so; unpack or rename it")
    return cast("BinaryIO", gzip.open(path)) if start.startswith(b"\x1f\x8b") else path.open("rb")


def _separator_of(text: str) -> tuple[str, int]:
    """The separator under which most lines have equally many cells; and 1 where the first line is `sep=;`, else 0."""
    lines = text.splitlines(keepends=True)
    if lines and (given := _SEPARATOR_LINE.fullmatch(lines[0])):
        return given[1], 1
    # The last line may be cut, unless it is one of few.
    whole = lines[:SAMPLE_RECORDS] if len(lines) > SAMPLE_RECORDS else lines[: max(len(lines) - 1, 2)]

    def regularity(separator: str) -> tuple[int, int]:
        widths = Counter(len(record) for record in csv.reader(whole, delimiter=separator) if record)
        count, width = max(((count, width) for width, count in widths.items()), default=(0, 0))
        return (count, width) if width > 1 else (0, 0)

    return max(_SEPARATORS, key=regularity), 0


def _scan(path: Path, encoding: str, separator: str, given: int, rows: int, *, whole: bool) -> CsvTable:
    """Read a file whose first lines, as many as `given`, only say what its separator is."""
    size = path.stat().st_size
    most = max(LARGEST_UNPACKED, size) if whole else EXACT_BYTES if size <= EXACT_BYTES else _SAMPLE_BYTES // 8
    with io.TextIOWrapper(opened(path), encoding, newline="") as text:
        reader = csv.reader(_lines(text, most), delimiter=separator)
        records = ((reader.line_num, record) for record in reader)
        held = list(islice(records, _BATCH))
        sample = [record for _, record in held[:SAMPLE_RECORDS]]
        above = given + header_place(sample[given:])
        # HXL tags: https://hxlstandard.org.
        below_header = [cell.strip() for cell in sample[above + 1]] if len(sample) > above + 1 else []
        tags = any(below_header) and all(not cell or cell.startswith("#") for cell in below_header)
        del held[: above + 1 + tags]
        scan = _RowScan(sample[above], sample[above + 1 + tags :], rows)
        while batch := list(islice(records, _BATCH)):
            held += batch
            scan.take(held[:-MOST_BELOW], typed=whole or scan.count < _TYPED_ROWS)
            del held[:-MOST_BELOW]
        is_cut = bool(text.read(1))
    if is_cut and whole:
        raise NotATable(f"unpacks to over {LARGEST_UNPACKED:,} bytes")
    below = 0 if is_cut else notes_below([record for _, record in held], len(scan.header))
    scan.take(held[: len(held) - below], typed=True)
    columns, row_count = scan.columns(separator), scan.count
    notes = ["The row of HXL tags below the header was left out."] if tags else []
    notes += [*notes_around(sample[given:above], below), *scan.notes()]
    if is_cut and size <= EXACT_BYTES:
        notes.append(f"Only the first {EXACT_BYTES // 1_000_000} MB of it were unpacked and counted.")
    elif is_cut:
        with path.open("rb") as file:
            lines = sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
        row_count = max(row_count, lines - above - 1 - tags)
    kept = tuple(scan.first)
    return CsvTable(encoding, separator, above, tags, below, columns, kept, row_count, is_cut, tuple(notes))


def _lines(text: io.TextIOWrapper, most: int) -> Iterator[str]:
    """The lines of a text with their ends, up to `most` characters."""
    number = 0
    while most > 0 and (line := text.readline(LONGEST_LINE)):
        number, most = number + 1, most - len(line)
        if len(line) == LONGEST_LINE:
            raise NotATable(f"has a line of over {LONGEST_LINE:,} characters")
        if "\0" in line:
            raise NotATable(f"has a NUL character in line {number}, so it is damaged; save it anew")
        yield line


class _RowScan:
    """The rows below a `header`: the `first` of them, how many there are, and what their columns hold."""

    def __init__(self, header: Sequence[str], sample: Sequence[Sequence[str]], keep: int) -> None:
        body = [record for record in sample if record]
        # As R writes a table: the column of row names has no name, so that the header is one cell short.
        is_short = len(body) > 1 and all(len(record) == len(header) + 1 and record[-1] for record in body)
        self.header = ["", *header] if is_short else [*header]
        self.count = 0
        self.first: list[tuple[str, ...]] = []
        self._keep = keep
        self._named = max(place for place, name in enumerate(self.header, 1) if name)
        self._cells: list[ColumnCells] = []
        self._widen(len(self.header))
        self._uneven: list[str] = []
        self._last = ""

    def take(self, records: Sequence[tuple[int, list[str]]], *, typed: bool) -> None:
        """Take the next records, each with its line; `typed` if they help to decide what the columns hold."""
        # A line with a quoted empty cell, or with separators, is not blank.
        rows = [row for row in records if row[1] and not (len(row[1]) == 1 and row[1][0].isspace())]
        if not rows:
            return
        self.first += [tuple(record) for _, record in rows[: max(self._keep - len(self.first), 0)]]
        self._last = rows[-1][1][0]
        if typed:
            width = len(self.header)
            uneven = ((line, record) for line, record in rows if len(record) < self._named or any(record[width:]))
            self._uneven += [f"line {line} has {len(record)}" for line, record in uneven]
            self._widen(max(len(record) for _, record in rows))
            columns = zip_longest(*(record for _, record in rows), fillvalue="")
            for column, cells in zip(self._cells, chain(columns, repeat(("",))), strict=False):
                column.see(cells)
        self.count += len(rows)

    def _widen(self, width: int) -> None:
        if width > MOST_COLUMNS:
            raise NotATable(f"has over {MOST_COLUMNS:,} columns")
        self._cells += [ColumnCells(has_gaps=self.count > 0) for _ in range(width - len(self._cells))]

    def columns(self, separator: str) -> tuple[CsvColumn, ...]:
        """What each column holds, without those at the end that have neither a name nor a value."""
        header = [*self.header, *[""] * (len(self._cells) - len(self.header))]
        while not header[-1] and self._cells[len(header) - 1].is_empty:
            header.pop()
        proven = {cells.decimal for cells in self._cells} - {""}
        decimal = "," if "," in proven and (len(proven) == 1 or separator == ";") else "."
        unsure = separator == ";" and not proven
        named = zip(distinct_names(header), self._cells, strict=False)
        return tuple(cells.column(name, decimal, unsure=unsure) for name, cells in named)

    def notes(self) -> Iterator[str]:
        """What is odd about the header and the rows, in sentences."""
        twins = [name for name, count in Counter(filter(None, self.header)).items() if count > 1]
        if twins:
            yield f"Several columns are called {_some(twins)}; they are numbered here, such as {twins[0]}.1."
        if self._uneven:
            width = counted(len(self.header), "cell")
            yield f"The header has {width}, but {_some(self._uneven)}; what is missing was taken to be at the end."
        if self.count >= _SHOWN and self._last.strip().casefold().rstrip(":") in _TOTALS:
            yield "The last row is called a total: it may be the sum of the others."


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{', '.join(items[:_SHOWN])}{more}"


def header_place(records: Sequence[Sequence[str]]) -> int:
    """The place of the header: the first record that is not blank, nor a title. Raises `NotATable` if all are blank."""
    place = next((place for place, record in enumerate(records) if _filled(record)), None)
    if place is None:
        raise NotATable("is empty")
    widths = Counter(len(record) for record in records if record)
    width = max(widths, key=lambda width: (widths[width], width))

    def is_header(record: Sequence[str]) -> bool:
        cells = [cell.strip() for cell in record if cell.strip()]
        has_numbers = any(_NUMBER.fullmatch(cell) and not _YEAR.fullmatch(cell) for cell in cells)
        return len(record) >= width <= 2 * len(cells) and not has_numbers

    if len(records[place]) >= width <= 2 * _filled(records[place]):
        return place
    below = range(place + 1, min(place + _MOST_ABOVE, len(records)))
    return next((at for at in below if is_header(records[at])), place)


def notes_below(records: Sequence[Sequence[str]], width: int) -> int:
    """How many of a table's last records are notes or blank: those below a blank one, and sources."""
    if width < 2:  # noqa: PLR2004 in a single column, a note cannot be told from any other text
        return 0
    notes = 0
    for count, record in enumerate(reversed(records[-MOST_BELOW:]), 1):
        first = record[0].strip() if record else ""
        if _filled(record) > bool(first) or _NUMBER.fullmatch(first):
            break
        if not first or _NOTE.fullmatch(first):
            notes = count
    return notes


def notes_around(above: Sequence[Sequence[str]], below: int) -> list[str]:
    """What was left out above a header, and how many lines below the last row, in sentences."""
    notes = ["The lines above the header were left out."] if any(map(_filled, above)) else []
    notes += [f"Below the table {counted(below, 'line')} with notes or nothing were left out."] if below else []
    return notes


def distinct_names(header: Iterable[str]) -> list[str]:
    """As pandas names columns: `Unnamed: 2` for one without a name, `a`, `a.1`, `a.2` for columns of one name."""
    names = [name or f"Unnamed: {place}" for place, name in enumerate(header)]
    given, counts, distinct = set(names), Counter[str](), dict[str, None]()
    for name in names:
        new = name
        while new in distinct or (new != name and new in given):
            counts[name] += 1
            new = f"{name}.{counts[name]}"
        distinct[new] = None
    return list(distinct)


def _filled(record: Sequence[str]) -> int:
    return sum(1 for cell in record if cell.strip())
