"""The user's variables → what is sent of each as a file. Types are known by name: nothing is imported to look."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.wording import counted
from ipython_assistant.errors import InputError
from ipython_assistant.workspace.descriptions import columns_in_words, size_in_words
from ipython_assistant.workspace.frames import frame_of_records, kind_of_frame, table_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ipython_assistant.workspace.frames import FrameTable

# What a file begins with that came as bytes: https://en.wikipedia.org/wiki/List_of_file_signatures
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpg",
    b"GIF8": "gif",
    b"%PDF-": "pdf",
    b"PAR1": "parquet",
    b"PK\x03\x04": "zip",
    b"\x1f\x8b": "gz",
}


@dataclass(frozen=True, slots=True)
class VariableFile:
    """What a variable is sent as.

    Attributes:
        suffix: Of the file, without a point.
        description: What the model is told of it, on one line.
        write: Writes it to a path.
        table: The table that it is, if it is one.
    """

    suffix: str
    description: str
    write: Callable[[Path], object]
    table: FrameTable | None = None


def content_of(name: str, value: Any, *, parquet: bool) -> VariableFile:
    """What a variable is sent as.

    DataFrames and Series, dicts of columns, lists of records and arrays become tables; other dicts and lists JSON; a
    GeoDataFrame GeoJSON; a matplotlib figure a PNG; bytes and text files of their own.

    Args:
        name: The variable's name.
        value: Its value.
        parquet: Whether tables become Parquet, not CSV.

    Raises:
        InputError: It is nothing that can be sent as a file.
    """
    kind = kind_of_frame(value)
    if kind == "GeoDataFrame":
        return _of_geometries(name, value)
    if kind:
        return _of_table(table_of(value, name), f"{kind} {name}", parquet=parquet)
    if _is_array(value):
        import pandas as pd

        frame = pd.DataFrame({name: value} if value.ndim == 1 and value.dtype.names is None else value)
        return _of_table(table_of(frame, name), f"array {name}", parquet=parquet)
    if isinstance(value, dict | list | tuple):
        return _of_container(name, value, parquet=parquet)
    if isinstance(value, str):
        lines = counted(len(value.splitlines()), "line")
        return VariableFile("txt", f"the text of the variable {name}, {lines}", lambda path: _write_text(path, value))
    if isinstance(value, bytes | bytearray | memoryview):
        content = bytes(value)
        return VariableFile(
            _suffix(content), f"the bytes of the variable {name}", lambda path: path.write_bytes(content)
        )
    figure = _figure(value)
    if callable(getattr(figure, "savefig", None)):
        # Without the version of matplotlib in it, the same figure has the same hash.
        return VariableFile(
            "png",
            f"the matplotlib figure {name} as a picture",
            lambda path: figure.savefig(path, format="png", metadata={"Software": None}),
        )
    raise InputError(
        f"The variable {name} is of type {type(value).__name__}, which cannot be sent as a file.",
        f"Send a DataFrame, dict, list, figure, text or bytes; a single value can stand in the question as {{{name}}}.",
    )


def _of_table(table: FrameTable, what: str, *, parquet: bool) -> VariableFile:
    write = table.write_parquet if parquet else table.write_csv
    return VariableFile("parquet" if parquet else "csv", f"{what}, {table.describe()}", write, table)


def _of_container(name: str, value: Any, *, parquet: bool) -> VariableFile:
    """A table where the dict holds columns or the list records of plain values; JSON otherwise."""
    kind = "dict" if isinstance(value, dict) else "list"
    items = list(value.values()) if isinstance(value, dict) else list(value)
    if any(kind_of_frame(item) in {"DataFrame", "LazyFrame", "GeoDataFrame"} for item in items):
        raise InputError(
            f"The {kind} {name} holds DataFrames.", "Give each its own variable and name those, one -i each."
        )
    is_columns = kind == "dict" and bool(items) and all(map(_is_column, items)) and len(set(map(len, items))) == 1
    if is_columns or (kind == "list" and bool(items) and all(map(_is_record, items))):
        import pandas as pd

        frame = pd.DataFrame(value) if is_columns else frame_of_records(items)
        return _of_table(table_of(frame, name), f"{kind} {name}", parquet=parquet)
    try:
        written = json.dumps(value, ensure_ascii=False, indent=1, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"The {kind} {name} cannot be written as JSON: {error}.",
            "Give a table, or write the file yourself and name it.",
        ) from error
    description = f"the {kind} {name} as JSON, {counted(len(items), 'item')}"
    return VariableFile("json", description, lambda path: _write_text(path, written))


def _of_geometries(name: str, value: Any) -> VariableFile:
    """GeoJSON, which knows one coordinate system: https://datatracker.ietf.org/doc/html/rfc7946#section-4."""
    system = value.crs
    columns = columns_in_words([*map(str, value.columns)], [*map(str, value.dtypes)])
    size = size_in_words(*value.shape)
    about = f"GeoDataFrame {name} as GeoJSON in {'WGS 84' if system is not None else 'its own coordinates'}"
    frame = value if system is None else value.to_crs(4326)
    return VariableFile(
        "geojson",
        f"{about}, {size}: {columns}",
        lambda path: _write_text(path, frame.to_json(default=str, drop_id=True)),
    )


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _is_record(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(_is_cell, value.values()))


def _is_column(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_cell, value))
    return (
        isinstance(value, range)
        or kind_of_frame(value) in {"Series", "Index"}
        or (_is_array(value) and value.ndim == 1)
    )


def _is_cell(value: Any) -> bool:
    return not isinstance(value, dict | list | tuple | set | bytes)


def _is_array(value: Any) -> bool:
    kind = type(value)
    return (kind.__module__.partition(".")[0], kind.__name__) == ("numpy", "ndarray") and value.ndim in {1, 2}


def _figure(value: Any) -> Any:
    """The matplotlib figure that a value is, or that an Axes belongs to; None otherwise."""
    bases = {(base.__module__, base.__name__) for base in type(value).__mro__}
    if ("matplotlib.figure", "FigureBase") in bases:
        return value
    return value.get_figure() if ("matplotlib.axes._base", "_AxesBase") in bases else None


def _plain(value: Any) -> Any:
    """A value that JSON has no form for: dates as ISO text, numbers and arrays of NumPy as Python's, paths as text."""
    for way in ("isoformat", "tolist", "to_dict"):
        if callable(found := getattr(value, way, None)):
            return found()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"it holds a {type(value).__name__}")


def _suffix(content: bytes) -> str:
    """How a file of these bytes is usually named."""
    if known := next((suffix for signature, suffix in _SIGNATURES.items() if content.startswith(signature)), ""):
        return "xlsx" if known == "zip" and b"xl/" in content else known
    try:
        content.decode()
    except UnicodeDecodeError:
        return "bin"
    return "bin" if b"\0" in content else "txt"
