"""JSON records and JSON lines → the head of a table; read one record at a time, never the whole file into memory."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.artifacts import TableHead
from ipython_assistant.workspace.estimates import estimated_lines, rounded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXACT_BYTES = 32_000_000
"""Up to this size every record is read, and counted; about a third of a second."""
SAMPLE_RECORDS = 1_000
LONGEST_RECORD = 4_000_000
"""In characters; a file with a longer one is no table to look at."""
MOST_COLUMNS = 2_000
_CHUNK = 1 << 16
_BETWEEN = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


def json_head(path: Path, rows: int, *, lines: bool) -> TableHead | None:
    """The head of an array of objects, or with `lines` of a file with one object a line; None where it is neither.

    The columns are the keys of all records that were read, in the order in which they first come. Nested values stay
    JSON. A file too large to be read to its end has an estimated number of rows, and the columns of its beginning.

    Raises:
        OSError: The file cannot be read at all.
    """
    size = path.stat().st_size
    exact = size <= EXACT_BYTES
    columns: dict[str, None] = {}
    first: list[dict[str, Any]] = []
    count = 0
    try:
        records = _lines(path) if lines else _array(path)
        for record in records if exact else islice(records, SAMPLE_RECORDS):
            columns.update(dict.fromkeys(record))
            if len(columns) > MOST_COLUMNS:
                return None
            if count < rows:
                first.append(record)
            count += 1
    except (ValueError, RecursionError):
        return None
    if not columns:
        return None
    if not exact:
        count = rounded(_estimated_records(path, size) if not lines else estimated_lines(path, size))
    cells = tuple(tuple(_cell(record.get(column)) for column in columns) for record in first)
    return TableHead(tuple(columns), cells, count, estimated=not exact)


def json_records(path: Path, *, lines: bool) -> list[dict[str, Any]]:
    """All records. Raises `ValueError` or `RecursionError` where it is no table, `OSError` where it cannot be read."""
    return list(_lines(path) if lines else _array(path))


def _array(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of an array, each as soon as it is whole."""
    with path.open(encoding="utf-8-sig") as file:
        text, at = file.read(_CHUNK).lstrip(), 1
        if not text.startswith("["):
            raise ValueError("It is not an array.")
        while True:
            at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing too
            if at == len(text):
                text, at = file.read(_CHUNK), 0
                if not text:
                    raise ValueError("The array does not end.")
            elif text[at] == "]":
                return
            elif text[at] != "{":
                raise ValueError("Not every item is an object.")
            else:
                try:
                    record, at = _DECODER.raw_decode(text, at)
                except json.JSONDecodeError:
                    # As much again each time: a long record is tried a few times, not once a chunk.
                    more = file.read(max(_CHUNK, len(text) - at))
                    if not more or len(text) - at > LONGEST_RECORD:
                        raise
                    text, at = text[at:] + more, 0
                else:
                    yield record


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        while line := file.readline(LONGEST_RECORD):
            if not line.strip():
                continue
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("Not every line is an object.")  # noqa: TRY004 it is the file that is wrong
            yield record


def _estimated_records(path: Path, size: int) -> float:
    """How many records there are, if all are as long as the first ones."""
    with path.open(encoding="utf-8-sig") as file:
        text = file.read(16 * _CHUNK)
    at, count = text.find("{"), 0
    began = at
    while at >= 0:
        try:
            at = _DECODER.raw_decode(text, at)[1]
        except json.JSONDecodeError:
            break
        count, ended = count + 1, at
        at = text.find("{", at)
    return count * size / max(len(text[began:ended].encode()), 1) if count else 0


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    return json.dumps(value, ensure_ascii=False)
