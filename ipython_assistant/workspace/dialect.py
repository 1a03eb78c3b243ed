"""The form a table is written in: its bytes, its encoding and separator, its header, and the notes above and below.

Tables as people publish them have titles above the header, tags below it and notes at their foot. One place decides
what they are, for text files and workbooks alike.
"""

from __future__ import annotations

import csv
import gzip
import re
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, cast

from ipython_assistant.core.wording import counted
from ipython_assistant.workspace.excerpts import marked_encoding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SAMPLE_RECORDS = 100
"""The number of records that decide on the separator and the header."""
MOST_BELOW = 60
"""The most records at the foot that may be notes."""
_MOST_ABOVE = 30
_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r"\ufeff?sep=(.)\s*", re.IGNORECASE)
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\r\f\x1b\b"))
_MOST_CONTROLS = 0.05
_MARKUP = re.compile(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)
# One or two accented letters, or a sign, between bytes of ASCII: so looks Windows-1252, and Big5 or Cyrillic do not.
_WESTERN = re.compile(
    rb"(?<![\x80-\xff])(?:[\xc0-\xff\x8a\x8c\x8e\x9a\x9c\x9e\x9f]{1,2}"
    rb"|[\x80\x82-\x87\x91-\x97\x99\xa0\xa3\xa7\xa9\xab\xb0-\xb3\xb5\xb7\xbb])(?![\x80-\xff])"
)
_MOSTLY_WESTERN = 0.7
_NUMBER = re.compile(r"[+-]?[\d.,]+%?")
_YEAR = re.compile(r"(?:1[5-9]|2[01])\d\d")
_NOTE = re.compile(
    r"(?:sources?|notes?|quelle|anmerkung|fuente|nota|updated|\d\))\b.*|[*†].*", re.IGNORECASE | re.DOTALL
)


class NotATable(ValueError):
    """Why a file cannot be read as a table: the end of a sentence that begins with its name, such as `is empty`."""


def opened(path: Path) -> BinaryIO:
    """The file's bytes, unpacked if it is a gzip file or a ZIP archive of one file. Raises `NotATable` or `OSError`."""
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.open(path))
    if start != b"PK\x03\x04":
        return path.open("rb")
    archive = zipfile.ZipFile(path)
    members = [item for item in archive.infolist() if not item.is_dir() and not item.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        archive.close()
        raise NotATable(f"is an archive of {counted(len(members), 'file')}, not of one table")
    return cast("BinaryIO", archive.open(members[0]))


def encoding_of(start: bytes) -> str:
    """The encoding by a file's first bytes: that of its mark, else UTF-8. Raises `NotATable`."""
    if not start.strip():
        raise NotATable("is empty")
    encoding = marked_encoding(start)
    if not encoding and len(start) - len(start.translate(None, _CONTROLS)) > _MOST_CONTROLS * len(start):
        raise NotATable("is not a text file")
    if _MARKUP.match(start.decode("utf-8", "replace")):
        raise NotATable("holds a web page")
    return encoding or "utf-8"


def is_western(sample: bytes) -> bool:
    """Whether bytes that are not UTF-8 look like Windows-1252, of which Latin-1 is a part."""
    high = len(sample) - len(sample.translate(None, bytes(range(0x80, 0x100))))
    return sum(map(len, _WESTERN.findall(sample))) >= _MOSTLY_WESTERN * high


def separator_line(line: str) -> str:
    """The separator that a first line such as `sep=;` gives to Excel; empty for any other line."""
    given = _SEPARATOR_LINE.fullmatch(line)
    return given[1] if given is not None else ""


def separator_of(text: str) -> str:
    """The separator under which most of the lines have the same number of cells, and more than one."""
    lines = text.splitlines(keepends=True)
    if lines and (given := separator_line(lines[0])):
        return given
    # The last line may be cut, unless it is one of few.
    whole = lines[:SAMPLE_RECORDS] if len(lines) > SAMPLE_RECORDS else lines[: max(len(lines) - 1, 2)]

    def regularity(separator: str) -> tuple[int, int]:
        widths = Counter(len(record) for record in csv.reader(whole, delimiter=separator) if record)
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        return (count, width) if width > 1 else (0, 0)

    return max(_SEPARATORS, key=regularity)


def header_place(records: Sequence[Sequence[str]]) -> int:
    """The place of the header among a table's first records: the first that is not blank, unless it is a title.

    Raises `NotATable` where every record is blank.
    """
    place = next((place for place, record in enumerate(records) if _filled(record)), None)
    if place is None:
        raise NotATable("is empty")
    widths = Counter(len(record) for record in records if record)
    width = max(widths, key=lambda width: (widths[width], width))
    if len(records[place]) >= width and 2 * _filled(records[place]) >= width:
        return place
    below = range(place + 1, min(place + _MOST_ABOVE, len(records)))
    return next((at for at in below if len(records[at]) >= width and _is_header(records[at], width)), place)


def are_tags(record: Sequence[str]) -> bool:
    """Whether a record below a header holds HXL tags: https://hxlstandard.org."""
    return _filled(record) > 0 and all(not cell.strip() or cell.lstrip().startswith("#") for cell in record)


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
    return (
        [*notes, f"Below the table {counted(below, 'line')} with notes or nothing were left out."] if below else notes
    )


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


def _is_header(record: Sequence[str], width: int) -> bool:
    """Whether at least half of a record is filled, with names and years and no other numbers."""
    cells = [cell.strip() for cell in record if cell.strip()]
    return 2 * len(cells) >= width and not any(_NUMBER.fullmatch(cell) and not _YEAR.fullmatch(cell) for cell in cells)


def _filled(record: Sequence[str]) -> int:
    return sum(1 for cell in record if cell.strip())
