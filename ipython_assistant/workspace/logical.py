r"""The logical hash of an input: the same for the same content, however a machine or a version of pandas holds it.

Of a table it is taken over a canonical text: for each column a line of JSON with its name and its kind, then its values
as JSON: whole numbers as they are, other numbers by `repr`, dates in ISO form (in UTC where they have a time zone),
`null` for whatever marks a missing one. Categories count as their values. Of a text file it is the SHA-256 of its bytes
with line ends as `\n` and without a byte order mark; of any other file that of its bytes, Parquet and Excel included.
"""

from __future__ import annotations

import codecs
import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ipython_assistant.core.naming import media_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_ROWS = 1 << 16
_BYTES = 1 << 20
_SAMPLE_BYTES = 1 << 16
_NANOSECONDS = {"D": 86_400 * 10**9, "h": 3_600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_TEXT_TYPES = frozenset({"application/json", "application/x-ndjson", "image/svg+xml"})
_KINDS = {"string": "text", "integer": "integer", "floating": "number", "boolean": "boolean", "date": "date"}
_EXACT = frozenset({"text", "integer", "boolean"})


class FileHashes(NamedTuple):
    """What is known of a file once it has been read: its size in bytes, and both hashes in hexadecimal."""

    size: int
    sha256: str
    logical: str


def of_file(path: Path) -> FileHashes:
    """Both hashes of a file, in one pass and in memory that does not grow with it.

    Raises:
        OSError: The file cannot be read.
    """
    size, exact, held = 0, hashlib.sha256(), b""
    # Without a carriage return and a mark both hashes are one: there is no second one to compute until the first.
    plain: Any = None
    is_text = False
    with path.open("rb") as file:
        while piece := file.read(_BYTES):
            if size == 0:
                is_text = _is_text(path, piece)
            if is_text and plain is None and (b"\r" in piece or (size == 0 and piece.startswith(codecs.BOM_UTF8))):
                plain = exact.copy()
            exact.update(piece)
            if plain is not None:
                joined = held + (piece.removeprefix(codecs.BOM_UTF8) if size == 0 else piece)
                # The second half of a line end may come with the next piece.
                held = b"\r" if joined.endswith(b"\r") else b""
                plain.update(joined.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
            size += len(piece)
    if plain is not None:
        plain.update(held.replace(b"\r", b"\n"))
    return FileHashes(size, exact.hexdigest(), (plain or exact).hexdigest())


def of_table(columns: Iterable[tuple[str, Any]], rows: int) -> str:
    """The hash of a table.

    Args:
        columns: Each column's name and its values, a pandas Series; those of the index that matter first.
        rows: How many rows there are.
    """
    digest = hashlib.sha256(f"table\n{rows}\n".encode())
    for name, series in columns:
        kind, pieces = _canonical(series)
        digest.update(f"{json.dumps([name, kind])}\n".encode())
        separator = ""
        for values in pieces:
            text = json.dumps(values, separators=(",", ":"), default=_value)[1:-1]
            if kind == "number" or kind.startswith("date"):
                text = text.replace('"NaT"', "null").replace("NaN", "null")
            digest.update(f"{separator}{text}".encode())
            separator = ","
        if separator:
            digest.update(b"\n")
    return digest.hexdigest()


def _is_text(path: Path, start: bytes) -> bool:
    if b"\0" in start:
        return False
    promised = media_type(path.name)
    if promised.startswith("text/") or promised in _TEXT_TYPES:
        return True
    try:
        # The last character may be cut.
        codecs.getincrementaldecoder("utf-8")().decode(start[:_SAMPLE_BYTES])
    except UnicodeDecodeError:
        return False
    return True


def _canonical(series: Any) -> tuple[str, Iterator[list[Any]]]:
    """The kind of a pandas Series, and its values in pieces as they stand in JSON."""
    import numpy as np
    import pandas as pd

    if isinstance(series.dtype, pd.SparseDtype):
        series = pd.Series(np.asarray(series))
    dtype, in_numpy = series.dtype, isinstance(series.dtype, np.dtype)
    letter = getattr(dtype, "kind", "O")
    if series.isna().all():
        return "empty", iter(())
    if isinstance(dtype, pd.CategoricalDtype):
        kind, _ = _canonical(pd.Series(series.cat.categories))
        if kind in _EXACT or kind == "number":
            return kind, _objects(series)
        return _canonical(pd.Series(series.astype(object)).infer_objects())
    if isinstance(dtype, pd.StringDtype):
        return "text", _objects(series)
    if letter == "M":
        return _moments(series)
    if letter == "m":
        return "duration", _durations((series if in_numpy else pd.to_timedelta(series.astype(object))).to_numpy())
    if letter in "iub":
        return "boolean" if letter == "b" else "integer", _plain(series) if in_numpy else _objects(series)
    if letter == "f":
        return "number", _plain(series if in_numpy else pd.Series(series.to_numpy(dtype=float, na_value=np.nan)))
    kind = _KINDS.get(pd.api.types.infer_dtype(series, skipna=True), "mixed")
    pieces = _objects(series)
    return kind, pieces if kind in _EXACT else ([_value(value) for value in piece] for piece in pieces)


def _moments(series: Any) -> tuple[str, Iterator[list[Any]]]:
    import numpy as np
    import pandas as pd

    if not isinstance(series.dtype, np.dtype | pd.DatetimeTZDtype):
        series = pd.to_datetime(series.astype(object))
    zone = getattr(series.dtype, "tz", None)
    if zone is None:
        return "date", _dates(series.to_numpy())
    return f"date {zone}", _dates(series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())


def _plain(series: Any) -> Iterator[list[Any]]:
    for start in range(0, len(series), _ROWS):
        yield series.iloc[start : start + _ROWS].tolist()


def _objects(series: Any) -> Iterator[list[Any]]:
    """The values as Python's own, None for missing ones."""
    for start in range(0, len(series), _ROWS):
        piece = series.iloc[start : start + _ROWS]
        values, missing = piece.astype(object).tolist(), piece.isna()
        if missing.any():
            values = [None if gone else value for value, gone in zip(values, missing.tolist(), strict=True)]
        yield values


def _dates(values: Any) -> Iterator[list[Any]]:
    """ISO dates, with a time of day where one value of the column has one, as exact as the most exact value."""
    import numpy as np

    there = values[~np.isnat(values)]
    exact = (unit for unit in ("D", "s", "us") if bool((there.astype(f"datetime64[{unit}]") == there).all()))
    unit: Any = next(exact, "ns")
    for start in range(0, len(values), _ROWS):
        yield np.datetime_as_string(values[start : start + _ROWS], unit=unit).tolist()


def _durations(values: Any) -> Iterator[list[Any]]:
    """Nanoseconds, as Python's numbers: centuries do not fit into NumPy's."""
    import numpy as np

    unit, count = np.datetime_data(values.dtype)
    factor = count * _NANOSECONDS[unit]
    for start in range(0, len(values), _ROWS):
        piece = values[start : start + _ROWS]
        pairs = zip(piece.astype("int64").tolist(), np.isnat(piece).tolist(), strict=True)
        yield [None if gone else number * factor for number, gone in pairs]


def _value(value: Any) -> Any:
    """A value of any type as it may stand in JSON; the numbers of NumPy are Python's."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    for way in ("isoformat", "item"):
        if callable(found := getattr(value, way, None)) and getattr(value, "ndim", 0) == 0:
            return found()
    return {type(value).__name__: str(value)}
