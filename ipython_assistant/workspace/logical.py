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
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

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
_POLARS_KINDS = {"String": "text", "Categorical": "text", "Enum": "text", "Boolean": "boolean"}


class FileHashes(NamedTuple):
    """What is known of a file once it has been read: its size in bytes, and both hashes in hexadecimal."""

    size: int
    sha256: str
    logical: str


class Hashing:
    """Both hashes of a file, taken of its bytes as others read them: whoever reads it whole reads it once.

    Needs memory that does not grow with the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self._exact = hashlib.sha256()
        # Without a carriage return and a mark both hashes are one: there is no second one to compute until the first.
        self._plain: Any = None
        self._start = b""
        self._is_text: bool | None = None
        self._held = b""

    def see(self, offset: int, piece: bytes) -> None:
        """Take what is new of the bytes at a place; what comes after a gap is left for `finish`."""
        if offset <= self._size < offset + len(piece):
            self._take(piece[self._size - offset :])

    def finish(self) -> FileHashes:
        """Read what has not been seen.

        Raises:
            OSError: The file cannot be read.
        """
        with self._path.open("rb") as file:
            file.seek(self._size)
            while piece := file.read(_BYTES):
                self._take(piece)
        if self._is_text is None:
            self._begin()
        if self._plain is not None:
            self._plain.update(self._held.replace(b"\r", b"\n"))
        sha256 = self._exact.hexdigest()
        return FileHashes(self._size, sha256, self._plain.hexdigest() if self._plain is not None else sha256)

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._is_text is not None:
            self._digest(piece)
            return
        # Whether it is text is always asked of as much, however it is cut.
        self._start += piece
        if len(self._start) >= _BYTES:
            self._begin()

    def _begin(self) -> None:
        start, self._start = self._start, b""
        self._is_text = _is_text(self._path, start[:_BYTES])
        if self._is_text and start.startswith(codecs.BOM_UTF8):
            self._plain = hashlib.sha256()
            self._exact.update(codecs.BOM_UTF8)
            start = start[len(codecs.BOM_UTF8) :]
        self._digest(start)

    def _digest(self, piece: bytes) -> None:
        if self._is_text and self._plain is None and b"\r" in piece:
            self._plain = self._exact.copy()
        self._exact.update(piece)
        if self._plain is not None:
            joined = self._held + piece
            # The second half of a line end may come with the next piece.
            self._held = b"\r" if joined.endswith(b"\r") else b""
            self._plain.update(joined.removesuffix(self._held).replace(b"\r\n", b"\n").replace(b"\r", b"\n"))


def of_file(path: Path) -> FileHashes:
    """Both hashes of a file in one pass.

    Raises:
        OSError: The file cannot be read.
    """
    return Hashing(path).finish()


def of_table(columns: Iterable[tuple[str, Any]], rows: int) -> str:
    """The hash of a table.

    Args:
        columns: Each column's name and its values, a pandas or polars Series; those of the index that matter first.
        rows: How many rows there are.
    """
    digest = hashlib.sha256(f"table\n{rows}\n".encode())
    for name, series in columns:
        polars = type(series).__module__.partition(".")[0] == "polars"
        kind, values = _of_polars(series) if polars else _of_pandas(series)
        digest.update(f"{json.dumps([name, kind])}\n".encode())
        separator = ""
        for piece in values:
            digest.update(f"{separator}{piece}".encode())
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


# --- pandas -----------------------------------------------------------------------------------------------------------


def _of_pandas(series: Any) -> tuple[str, Iterator[str]]:
    import numpy as np
    import pandas as pd

    if isinstance(series.dtype, pd.SparseDtype):
        series = pd.Series(np.asarray(series))
    dtype = series.dtype
    if series.isna().all():
        return "empty", iter(())
    if isinstance(dtype, pd.CategoricalDtype):
        return _of_categories(series)
    if isinstance(dtype, pd.StringDtype):
        return "text", _json(_objects(series))
    in_numpy = isinstance(dtype, np.dtype)
    match getattr(dtype, "kind", "O"):
        case "M":
            return _of_moments(series)
        case "m":
            held = series if in_numpy else pd.to_timedelta(series.astype(object))
            return "duration", _durations(held.to_numpy())
        case "i" | "u":
            return "integer", _json(_plain(series) if in_numpy else _objects(series))
        case "b":
            return "boolean", _json(_plain(series) if in_numpy else _objects(series))
        case "f":
            held = series if in_numpy else pd.Series(series.to_numpy(dtype=float, na_value=np.nan))
            return "number", _numbers(_plain(held))
    kind = _KINDS.get(pd.api.types.infer_dtype(series, skipna=True), "mixed")
    values = _objects(series)
    return kind, _json(values) if kind in _EXACT else _mixed(values)


def _of_categories(series: Any) -> tuple[str, Iterator[str]]:
    import pandas as pd

    kind, _ = _of_pandas(pd.Series(series.cat.categories))
    if kind in _EXACT or kind == "number":
        return kind, _json(_objects(series))
    return _of_pandas(pd.Series(series.astype(object)).infer_objects())


def _of_moments(series: Any) -> tuple[str, Iterator[str]]:
    import numpy as np
    import pandas as pd

    if not isinstance(series.dtype, np.dtype | pd.DatetimeTZDtype):
        series = pd.to_datetime(series.astype(object))
    zone = getattr(series.dtype, "tz", None)
    if zone is None:
        return "date", _dates(series.to_numpy())
    return f"date {zone}", _dates(series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())


def _pieces(series: Any) -> Iterator[Any]:
    for start in range(0, len(series), _ROWS):
        yield series.iloc[start : start + _ROWS]


def _plain(series: Any) -> Iterator[list[Any]]:
    for piece in _pieces(series):
        yield piece.tolist()


def _objects(series: Any) -> Iterator[list[Any]]:
    """The values as Python's own, None for missing ones."""
    for piece in _pieces(series):
        values = piece.astype(object).tolist()
        missing = piece.isna()
        if missing.any():
            values = [None if gone else value for value, gone in zip(values, missing.tolist(), strict=True)]
        yield values


# --- polars -----------------------------------------------------------------------------------------------------------


def _of_polars(series: Any) -> tuple[str, Iterator[str]]:
    dtype = series.dtype
    name = str(dtype.base_type())
    missing = series.null_count() + (series.is_nan().sum() if dtype.is_float() else 0)
    if missing == len(series):
        return "empty", iter(())
    if name in {"Date", "Datetime"}:
        zone = getattr(dtype, "time_zone", None)
        return f"date {zone}" if zone else "date", _dates(series.to_numpy())
    if name == "Duration":
        return "duration", _durations(series.to_numpy())
    values = (series.slice(start, _ROWS).to_list() for start in range(0, len(series), _ROWS))
    if dtype.is_float():
        return "number", _numbers(values)
    kind = "integer" if dtype.is_integer() else _POLARS_KINDS.get(name, "mixed")
    return kind, _json(values) if kind in _EXACT else _mixed(values)


# --- values -----------------------------------------------------------------------------------------------------------


def _json(pieces: Iterable[list[Any]]) -> Iterator[str]:
    """Lists of text, numbers, booleans and None as they stand in JSON."""
    for values in pieces:
        yield json.dumps(values, separators=(",", ":"), default=_value)[1:-1]


def _numbers(pieces: Iterable[list[float]]) -> Iterator[str]:
    """Numbers; no number is missing too."""
    return (text.replace("NaN", "null") for text in _json(pieces))


def _dates(values: Any) -> Iterator[str]:
    """ISO dates, with a time of day where one value of the column has one, as exact as the most exact value."""
    import numpy as np

    there = values[~np.isnat(values)]
    units: tuple[Literal["D", "s", "us"], ...] = ("D", "s", "us")
    exact = (unit for unit in units if bool((there.astype(f"datetime64[{unit}]") == there).all()))
    unit: Literal["D", "s", "us", "ns"] = next(exact, "ns")
    for start in range(0, len(values), _ROWS):
        written = np.datetime_as_string(values[start : start + _ROWS], unit=unit).tolist()
        yield json.dumps(written, separators=(",", ":"))[1:-1].replace('"NaT"', "null")


def _durations(values: Any) -> Iterator[str]:
    """Nanoseconds."""
    import numpy as np

    unit, count = np.datetime_data(values.dtype)
    factor = _NANOSECONDS[unit] * count
    for start in range(0, len(values), _ROWS):
        piece = values[start : start + _ROWS]
        numbers = zip(piece.astype("int64").tolist(), np.isnat(piece).tolist(), strict=True)
        yield json.dumps([None if gone else number * factor for number, gone in numbers], separators=(",", ":"))[1:-1]


def _mixed(pieces: Iterable[list[Any]]) -> Iterator[str]:
    return _json([_value(value) for value in values] for values in pieces)


def _value(value: Any) -> Any:
    """A value of any type as it may stand in JSON; the numbers of NumPy are Python's."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    for way in ("isoformat", "item"):
        if callable(found := getattr(value, way, None)) and getattr(value, "ndim", 0) == 0:
            return found()
    return {type(value).__name__: str(value)}
