"""The user's variables → files: DataFrames become tables, and other values what they are usually kept in.

A table in a file has a header of one line with distinct names and no index. So the levels of an index come first as
columns, unless it only counts the rows; column levels are joined with `_`; equal names are told apart as pandas does
it (`a`, `a.1`). Types are known by their names: nothing is imported to look at a variable.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.wording import counted
from ipython_assistant.errors import InputError
from ipython_assistant.workspace.descriptions import columns_in_words, size_in_words
from ipython_assistant.workspace.dialect import distinct_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KINDS = {
    "pandas": ("DataFrame", "Series", "Index"),
    "polars": ("DataFrame", "LazyFrame", "Series"),
    "geopandas": ("GeoDataFrame",),
}


@dataclass(frozen=True, slots=True)
class FrameTable:
    """A table as it stands in a file.

    Attributes:
        frame: The pandas DataFrame.
        names: The columns' names in the file, those of the index first.
        dtypes: Their pandas dtypes; `str` for text that pandas keeps as objects.
        index_columns: So many of the columns are levels of the index.
    """

    frame: Any
    names: tuple[str, ...]
    dtypes: tuple[Any, ...]
    index_columns: int = 0

    def describe(self) -> str:
        """Its size and its columns with their dtypes, never its contents; one line."""
        size = size_in_words(len(self.frame), len(self.names))
        return f"{size}: {columns_in_words(self.names, [*map(str, self.dtypes)])}" if self.names else size

    def write_csv(self, path: Path) -> None:
        """Write it as UTF-8 with commas."""
        self.frame.to_csv(
            path,
            index=self.index_columns > 0,
            index_label=list(self.names[: self.index_columns]) or None,
            header=list(self.names[self.index_columns :]),
            lineterminator="\n",
            encoding="utf-8",
            errors="backslashreplace",  # half of a surrogate pair is no text; it is shown rather than refused
        )


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


def kind_of_frame(value: Any) -> str:
    """The type's name, such as `DataFrame`, of what pandas, polars or geopandas made; empty for anything else.

    >>> kind_of_frame([1, 2])
    ''
    """
    for base in type(value).__mro__:
        if base.__name__ in _KINDS.get(_library(base), ()):
            return base.__name__
    return ""


def content_of(name: str, value: Any) -> VariableFile:
    """What a variable is sent as.

    DataFrames and Series, dicts of columns, lists of records and arrays become tables; other dicts and lists JSON; a
    GeoDataFrame GeoJSON; a matplotlib figure a PNG; text a text file.

    Args:
        name: The variable's name.
        value: Its value.

    Raises:
        InputError: It is nothing that can be sent as a file.
    """
    kind = kind_of_frame(value)
    if kind == "GeoDataFrame":
        return _of_geometries(name, value)
    if kind:
        return _of_table(table_of(value, name), f"{kind} {name}")
    if _is_array(value):
        import pandas as pd

        frame = pd.DataFrame({name: value} if value.ndim == 1 and value.dtype.names is None else value)
        return _of_table(table_of(frame, name), f"array {name}")
    if isinstance(value, dict | list | tuple):
        return _of_container(name, value)
    if isinstance(value, str):
        lines = counted(len(value.splitlines()), "line")
        return VariableFile("txt", f"the text of the variable {name}, {lines}", lambda path: _write_text(path, value))
    figure = _figure(value)
    if callable(getattr(figure, "savefig", None)):
        # Without the version of matplotlib in it, the same figure has the same hash.
        described, about = f"the matplotlib figure {name} as a picture", {"Software": None}
        return VariableFile("png", described, lambda path: figure.savefig(path, format="png", metadata=about))
    raise InputError(
        f"The variable {name} is of type {type(value).__name__}, which cannot be sent as a file.",
        f"Send a DataFrame, dict, list, figure or text; a single value can stand in the question as {{{name}}}.",
    )


# --- tables -----------------------------------------------------------------------------------------------------------


def table_of(value: Any, name: str) -> FrameTable:
    """What one of the kinds of `kind_of_frame` is as a table.

    Args:
        value: A DataFrame, Series or Index of pandas, or a DataFrame, LazyFrame or Series of polars.
        name: The variable's name; a Series without a name has its column named so.

    Raises:
        InputError: It has columns of lists or structs, which a table in a file cannot hold.
    """
    kind = kind_of_frame(value)
    if any(_library(base) == "polars" for base in type(value).__mro__):
        frame = _of_polars(value, kind, name)
    elif kind == "Series":
        frame = value.to_frame(name=value.name if value.name is not None else name)
    elif kind == "Index":
        frame = value.to_frame(index=False)
        if value.nlevels == 1:
            frame.columns = [value.name if value.name is not None else name]
    else:
        frame = value
    index = frame.index
    levels = [] if _only_counts(index) else [index.get_level_values(level) for level in range(index.nlevels)]
    names = ["index" if len(levels) == 1 else f"level_{place}" for place in range(len(levels))]
    names = [_column_name(own) if own is not None else name for own, name in zip(index.names, names, strict=False)]
    columns = [*levels, *(frame.iloc[:, place] for place in range(frame.shape[1]))]
    names += map(_column_name, frame.columns)
    return FrameTable(frame, tuple(distinct_names(names)), tuple(map(_dtype, columns)), len(levels))


def frame_of_records(columns: Any) -> Any:
    """A pandas DataFrame of records or columns; whole numbers and truth values stay such although some are missing."""
    import pandas as pd

    frame = pd.DataFrame(columns, dtype=object)
    kinds = {name: pd.api.types.infer_dtype(frame[name], skipna=True) for name in frame}
    gapless = {"integer": "Int64", "boolean": "boolean"}
    return frame.astype({name: gapless[kind] for name, kind in kinds.items() if kind in gapless}).infer_objects()


def _of_polars(value: Any, kind: str, name: str) -> Any:
    import pandas as pd

    def held(column: Any) -> Any:
        if column.dtype.is_temporal() or (column.dtype.is_numeric() and not column.null_count()):
            return column.to_numpy()
        return frame_of_records({"": column.to_list()})[""]

    frame = value.collect() if kind == "LazyFrame" else value.to_frame() if kind == "Series" else value
    columns = frame.get_columns()
    if nested := [column.name for column in columns if column.dtype.is_nested()]:
        raise InputError(f"The column {nested[0]} of {name} holds lists or structs.", "Unnest the column, or drop it.")
    return pd.DataFrame({column.name or name: held(column) for column in columns})


def _only_counts(index: Any) -> bool:
    """Whether an index only counts the rows."""
    import pandas as pd

    if index.nlevels > 1 or index.name is not None:
        return False
    return not len(index) or (index.dtype.kind in "iu" and index.equals(pd.RangeIndex(len(index))))


def _column_name(name: Any) -> str:
    if isinstance(name, tuple):
        return "_".join(text for text in map(_column_name, name) if text)
    return "" if name is None else str(name)


def _dtype(column: Any) -> Any:
    import pandas as pd

    is_text = column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "string"
    return "str" if is_text else column.dtype


def _of_table(table: FrameTable, what: str) -> VariableFile:
    return VariableFile("csv", f"{what}, {table.describe()}", table.write_csv, table)


# --- other values -----------------------------------------------------------------------------------------------------


def _of_container(name: str, value: Any) -> VariableFile:
    """A table where the dict holds columns or the list records of plain values; JSON otherwise."""
    kind = "dict" if isinstance(value, dict) else "list"
    items = list(value.values()) if isinstance(value, dict) else list(value)
    if any(kind_of_frame(item) in {"DataFrame", "LazyFrame", "GeoDataFrame"} for item in items):
        cure = "Give each its own variable and name those, one -i each."
        raise InputError(f"The {kind} {name} holds DataFrames.", cure)
    is_columns = kind == "dict" and bool(items) and all(map(_is_column, items)) and len(set(map(len, items))) == 1
    if is_columns or (kind == "list" and bool(items) and all(map(_is_record, items))):
        import pandas as pd

        frame = pd.DataFrame(value) if is_columns else frame_of_records(items)
        return _of_table(table_of(frame, name), f"{kind} {name}")
    try:
        written = json.dumps(value, ensure_ascii=False, indent=1, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        cure = "Give a table, or write the file yourself and name it."
        raise InputError(f"The {kind} {name} cannot be written as JSON: {error}.", cure) from error
    description = f"the {kind} {name} as JSON, {counted(len(items), 'item')}"
    return VariableFile("json", description, lambda path: _write_text(path, written))


def _of_geometries(name: str, value: Any) -> VariableFile:
    """GeoJSON, which knows one coordinate system: https://datatracker.ietf.org/doc/html/rfc7946#section-4."""
    system = "its own coordinates" if value.crs is None else "WGS 84"
    frame = value if value.crs is None else value.to_crs(4326)
    columns = columns_in_words([*map(str, value.columns)], [*map(str, value.dtypes)])
    described = f"GeoDataFrame {name} as GeoJSON in {system}, {size_in_words(*value.shape)}: {columns}"
    return VariableFile("geojson", described, lambda it: _write_text(it, frame.to_json(default=str, drop_id=True)))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _is_record(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(_is_cell, value.values()))


def _is_column(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_cell, value))
    is_array = _is_array(value) and value.ndim == 1
    return is_array or isinstance(value, range) or kind_of_frame(value) in {"Series", "Index"}


def _is_cell(value: Any) -> bool:
    return not isinstance(value, dict | list | tuple | set | bytes)


def _is_array(value: Any) -> bool:
    kind = type(value)
    return (_library(kind), kind.__name__) == ("numpy", "ndarray") and value.ndim in {1, 2}


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


def _library(kind: type) -> str:
    return kind.__module__.partition(".")[0]
