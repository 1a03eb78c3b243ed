"""JSON records, JSON lines and GeoJSON → rows of values."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from ipython_assistant.workspace.dialect import NotATable
from ipython_assistant.workspace.sheets import TableRows, estimated_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ipython_assistant.workspace.sheets import ReadLimits

MOST_COLUMNS = 2_000
LONGEST_LINE = 4_000_000
"""In characters."""


def json_rows(path: Path, limits: ReadLimits) -> TableRows:
    """An array of objects, or the properties of a GeoJSON collection: https://datatracker.ietf.org/doc/html/rfc7946.

    The columns are the keys of all objects, in the order in which they first come.

    Raises:
        NotATable: It is other JSON, too large, or no JSON.
        OSError: It cannot be read at all.
    """
    if path.stat().st_size > limits.json_bytes:
        raise NotATable(f"is over {limits.json_bytes // 1_000_000} MB, which is too much JSON to look at")
    try:
        value = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise NotATable("is not JSON") from error
    if isinstance(value, dict) and value.get("type") == "FeatureCollection" and isinstance(value.get("features"), list):
        features = [feature for feature in value["features"] if isinstance(feature, dict)]
        return _rows((feature.get("properties") or {} for feature in features), "The geometries were left out.")
    if isinstance(value, dict):
        inside = [name for name, item in value.items() if isinstance(item, list) and item]
        raise NotATable(f"is not a list of records{f', but has one under {inside[0]!r}' if inside else ''}")
    return _rows(value if isinstance(value, list) else [value])


def json_lines(path: Path, limits: ReadLimits) -> TableRows:
    """A file with one JSON object a line; of one that is too large, the first thousand.

    Raises:
        NotATable: Not every line is an object.
        OSError: It cannot be read at all.
    """
    size = path.stat().st_size
    is_whole = size <= limits.json_bytes
    try:
        with path.open(encoding="utf-8-sig") as file:
            rows = _rows(islice(_lines(file), None if is_whole else 1_000))
    except NotATable:
        raise
    except (ValueError, RecursionError) as error:
        raise NotATable("is not one JSON object a line") from error
    return rows if is_whole else TableRows(rows.names, rows.rows, estimated_rows(path, size), is_whole, estimated=True)


def _lines(file: Any) -> Iterator[Any]:
    while line := file.readline(LONGEST_LINE):
        if line.strip():
            yield json.loads(line)


def _rows(items: Iterable[Any], *notes: str) -> TableRows:
    records = list(items)
    if not all(isinstance(record, dict) for record in records):
        raise NotATable("is not a list of records")
    names = list({name: None for record in records for name in record})
    if not 0 < len(names) <= MOST_COLUMNS:
        raise NotATable(f"has over {MOST_COLUMNS:,} columns" if names else "has no columns")
    return TableRows(names, [[record.get(name) for name in names] for record in records], len(records), notes=notes)
