"""The user's variables → files: DataFrames become tables, and other values what they are usually kept in.

A table in a file has a header of one line with distinct names and no index. So the levels of an index come first as
columns, unless it only counts the rows; column levels are joined with `_`; equal names are told apart as pandas does
it (`a`, `a.1`). Types are known by their names: nothing is imported to look at a variable. What the model is told of a
table is its size, its columns and their dtypes, and how to read it; never its cells.
"""

from __future__ import annotations

import json
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from ipython_assistant.core.wording import counted
from ipython_assistant.errors import InputError
from ipython_assistant.workspace.csv_tables import distinct_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from ipython_assistant.core.artifacts import TableHead

MOST_COLUMNS = 40  # so many the model is told by name; the others are counted
LONGEST_NAME = 80
_NEEDS_QUOTES = re.compile(r"^\s|\s$|[,;:\"()]|^$")
_FRAMES = {
    ("pandas", "DataFrame"), ("pandas", "Series"), ("geopandas", "GeoDataFrame"),
    ("polars", "DataFrame"), ("polars", "LazyFrame"), ("polars", "Series"),
}  # fmt: skip


class VariableFile(NamedTuple):
    """The file a variable is sent as: what the model is told of it, what writes it, and its DataFrame if it is one."""

    suffix: str
    description: str
    write: Callable[[Path], object]
    table: Any = None


def kind_of_frame(value: Any) -> str:
    """The type's name, such as `DataFrame`, of what pandas, polars or geopandas made; empty for anything else."""
    return _library_and_kind(value)[1]


def _library_and_kind(value: Any) -> tuple[str, str]:
    types = [(base.__module__.partition(".")[0], base.__name__) for base in type(value).__mro__]
    return next((pair for pair in types if pair in _FRAMES), ("", ""))


def content_of(name: str, value: Any) -> VariableFile:
    """The file that a variable is sent as.

    DataFrames and Series, dicts of columns and lists of records become tables; other dicts and lists JSON; a
    GeoDataFrame GeoJSON; a matplotlib figure a PNG; text a text file. Raises `InputError` for anything else.
    """
    kind = kind_of_frame(value)
    if kind == "GeoDataFrame":
        # GeoJSON knows one coordinate system: https://datatracker.ietf.org/doc/html/rfc7946#section-4.
        system, frame = ("its own coordinates", value) if value.crs is None else ("WGS 84", value.to_crs(4326))
        columns = _columns_in_words(len(value), [*map(str, value.columns)], value.dtypes)
        described = f"GeoDataFrame {name} as GeoJSON in {system}, {columns}"
        written = frame.to_json(default=str, drop_id=True)
        return VariableFile("geojson", described, lambda path: _write_text(path, written))
    if kind:
        return _of_table(value, name, kind)
    if isinstance(value, dict | list | tuple):
        return _of_container(name, value)
    if isinstance(value, str):
        lines = counted(len(value.splitlines()), "line")
        return VariableFile("txt", f"the text of the variable {name}, {lines}", lambda path: _write_text(path, value))
    if any((base.__module__, base.__name__) == ("matplotlib.figure", "Figure") for base in type(value).__mro__):
        # Without the version of matplotlib in it, the same figure has the same hash.
        described, about = f"the matplotlib figure {name} as a picture", {"Software": None}
        return VariableFile("png", described, lambda path: value.savefig(path, format="png", metadata=about))
    raise InputError(
        f"The variable {name} is of type {type(value).__name__}, which cannot be sent as a file.",
        f"Send a DataFrame, dict, list, figure or text; a single value can stand in the question as {{{name}}}.",
    )


def table_of(value: Any, name: str) -> Any:
    """What pandas, polars or geopandas made as a DataFrame without an index. Raises `InputError` for nested columns."""
    import pandas as pd

    library, kind = _library_and_kind(value)
    if library == "polars":
        polars = value.collect() if kind == "LazyFrame" else value.to_frame() if kind == "Series" else value
        columns = polars.get_columns()
        if nested := [column.name for column in columns if column.dtype.is_nested()]:
            cure = "Unnest the column, or drop it."
            raise InputError(f"The column {nested[0]} of {name} holds lists or structs.", cure)
        frame = frame_of_records({column.name or name: column.to_list() for column in columns})
    elif kind == "Series":
        frame = value.to_frame(name=value.name if value.name is not None else name)
    else:
        frame = value
    index, table = frame.index, pd.DataFrame(frame, copy=False)
    names, table.columns = [*map(_column_name, frame.columns)], [*range(frame.shape[1])]
    only_counts = not len(index) or (index.dtype.kind in "iu" and index.equals(pd.RangeIndex(len(index))))
    if index.nlevels > 1 or index.name is not None or not only_counts:
        table = table.reset_index(allow_duplicates=True)
        names = [*map(_column_name, table.columns[: index.nlevels]), *names]
    table.columns = distinct_names(names)
    return table


def dtypes_of(table: Any) -> tuple[tuple[str, Any], ...]:
    """The columns of a table with their dtypes; that of text which pandas keeps as objects is `str`."""
    import pandas as pd

    def dtype(column: Any) -> Any:
        is_text = column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "string"
        return "str" if is_text else column.dtype

    return tuple((name, dtype(column)) for name, column in table.items())


def table_in_words(table: Any) -> str:
    """A table's size and its columns with their dtypes, never its contents; one line."""
    return _columns_in_words(len(table), [*table.columns], [dtype for _, dtype in dtypes_of(table)])


def frame_of_records(columns: Any) -> Any:
    """A pandas DataFrame of records or columns; whole numbers and truth values stay such although some are missing."""
    import pandas as pd

    frame = pd.DataFrame(columns, dtype=object)
    kinds = {name: pd.api.types.infer_dtype(frame[name], skipna=True) for name in frame if frame[name].hasnans}
    roomy = {"integer": "Int64", "boolean": "boolean"}
    return frame.astype({name: roomy[kind] for name, kind in kinds.items() if kind in roomy}).infer_objects()


def _column_name(name: Any) -> str:
    if isinstance(name, tuple):
        return "_".join(text for text in map(_column_name, name) if text)
    return "" if name is None else str(name)


def _of_table(value: Any, name: str, kind: str) -> VariableFile:
    # Half of a surrogate pair is no text; it is shown rather than refused.
    form = {"index": False, "lineterminator": "\n", "encoding": "utf-8", "errors": "backslashreplace"}
    table = table_of(value, name)
    described = f"{kind} {name}, {table_in_words(table)}"
    return VariableFile("csv", described, lambda path: table.to_csv(path, **form), table)


def _of_container(name: str, value: Any) -> VariableFile:
    """A table where the dict holds columns or the list records of plain values; JSON otherwise."""
    kind, items = ("dict", list(value.values())) if isinstance(value, dict) else ("list", list(value))
    if any(kind_of_frame(item) not in {"", "Series"} for item in items):
        raise InputError(f"The {kind} {name} holds DataFrames.", "Give each a variable of its own, and name those.")
    if items and kind == "dict" and all(map(_is_column, items)) and len(set(map(len, items))) == 1:
        import pandas as pd

        return _of_table(pd.DataFrame(value), name, "dict")
    if items and kind == "list" and all(isinstance(it, dict) and it and _is_plain(it.values()) for it in items):
        return _of_table(frame_of_records(items), name, "list")
    try:
        written = json.dumps(value, ensure_ascii=False, indent=1, default=_json_value)
    except (TypeError, ValueError, RecursionError) as error:
        cure = "Give a table, or write the file yourself and name it."
        raise InputError(f"The {kind} {name} cannot be written as JSON: {error}.", cure) from error
    description = f"the {kind} {name} as JSON, {counted(len(items), 'item')}"
    return VariableFile("json", description, lambda path: _write_text(path, written))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _is_column(value: Any) -> bool:
    is_plain_list = isinstance(value, list | tuple) and _is_plain(value)
    return is_plain_list or isinstance(value, range) or kind_of_frame(value) == "Series"


def _is_plain(cells: Iterable[Any]) -> bool:
    return not any(isinstance(cell, dict | list | tuple | set | bytes) for cell in cells)


def _json_value(value: Any) -> Any:
    """A value that JSON has no form for: dates as ISO text, numbers and arrays of NumPy as Python's, paths as text."""
    for way in ("isoformat", "tolist", "to_dict"):
        if callable(found := getattr(value, way, None)):
            return found()
    if isinstance(value, set | PurePath):
        return sorted(value) if isinstance(value, set) else str(value)
    raise TypeError(f"it holds a {type(value).__name__}")


def file_in_words(suffix: str, named_by: str, heads: Mapping[str, TableHead], reason: str = "") -> str:
    """A file of the user's on one line: its kind, the variable that names it, its tables or why it has no table."""
    named = f" file{f', named by the variable {named_by}' if named_by else ''}"
    if not heads:
        return f"a{named}" + (f", not read as a table: it {reason}" if reason else "")
    if len(heads) == 1:
        return f"{suffix.upper()}{named}, {_head_in_words(*heads.values())}"
    sheets = "; ".join(f"{_quoted(name)}, {_head_in_words(head)}" for name, head in heads.items())
    return f"{suffix.upper()}{named}, with {len(heads)} tables: {sheets}"


def _head_in_words(head: TableHead) -> str:
    """A table's size and columns, and what pandas needs to read it, on one line."""
    words = _columns_in_words(head.row_count, head.columns, head.dtypes, "about " if head.estimated else "")
    if head.read_with:
        words += f". Read it with pandas.read_csv(path, {head.read_with})"
    return ". ".join((words, *(note.rstrip(".") for note in head.told)))


def _columns_in_words(rows: int, names: Sequence[str], dtypes: Iterable[Any], about: str = "") -> str:
    """The size of a table and its columns with their dtypes; of a wide one the first, and how many more there are."""
    size = f"{about}{counted(rows, 'row')} × {counted(len(names), 'column')}"
    shown = [f"{_quoted(name)} ({dtype})" for name, dtype in zip(names[:MOST_COLUMNS], dtypes, strict=False)]
    more = f" and {len(names) - MOST_COLUMNS:,} more" if len(names) > MOST_COLUMNS else ""
    return f"{size}: {', '.join(shown)}{more}" if names else size


def _quoted(name: str) -> str:
    """A column's name in a line of several: hostile ones stay on that line."""
    plain = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    if _NEEDS_QUOTES.search(plain) is None and plain.isprintable():
        return plain
    inside = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in plain.replace('"', "'"))
    return f'"{inside}"'
