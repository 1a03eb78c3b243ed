"""DataFrames and Series, of pandas or polars → a file with one table in it, and what there is to say about that.

A table in a file has a header of one line with distinct names and no index. So the levels of an index come first as
columns, unless it only counts the rows; column levels are joined with `_`; equal names are told apart as pandas does
it (`a`, `a.1`); a name that is no text is written as text. Nothing is imported here to look at a variable: types are
known by their names, and where there is a DataFrame its library has been imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.wording import on_one_line
from ipython_assistant.errors import InputError
from ipython_assistant.workspace import logical
from ipython_assistant.workspace.descriptions import columns_in_words, size_in_words
from ipython_assistant.workspace.dialect import distinct_names

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {
    "pandas": ("DataFrame", "Series", "Index"),
    "polars": ("DataFrame", "LazyFrame", "Series"),
    "geopandas": ("GeoDataFrame",),
}


def kind_of_frame(value: Any) -> str:
    """The type's name, such as `DataFrame`, of what pandas, polars or geopandas made; empty for anything else.

    >>> kind_of_frame([1, 2])
    ''
    """
    for base in type(value).__mro__:
        if base.__name__ in _KINDS.get(_library(base), ()):
            return base.__name__
    return ""


@dataclass(frozen=True, slots=True)
class FrameTable:
    """A table as it stands in a file.

    Attributes:
        frame: The pandas DataFrame.
        names: The columns' names in the file, those of the index first.
        series: Their values.
        index_columns: So many of the columns are levels of the index.
    """

    frame: Any
    names: tuple[str, ...]
    series: tuple[Any, ...]
    index_columns: int = 0

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.frame)

    @property
    def logical(self) -> str:
        """Its logical hash."""
        return logical.of_table(zip(self.names, self.series, strict=True), self.rows)

    @property
    def dtypes(self) -> tuple[tuple[str, Any], ...]:
        """Each column's name and pandas dtype; `str` for text that pandas keeps as objects."""
        return tuple(zip(self.names, map(_dtype, self.series), strict=True))

    def describe(self) -> str:
        """Its size and its columns with their dtypes, never its contents; one line."""
        size, dtypes = size_in_words(self.rows, len(self.names)), [str(dtype) for _, dtype in self.dtypes]
        return f"{size}: {columns_in_words(self.names, dtypes)}" if self.names else size

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

    def write_parquet(self, path: Path) -> None:
        """Write it as Parquet.

        Raises:
            InputError: pyarrow is not installed, or the table is not for Parquet.
        """
        frame = self.frame
        if self.index_columns:
            frame = frame.reset_index(allow_duplicates=True, names=list(self.names[: self.index_columns]))
        frame = frame.set_axis(list(self.names), axis=1)
        try:
            frame.to_parquet(path, engine="pyarrow", index=False)
        except ImportError as error:
            raise InputError(
                "--parquet needs pyarrow, which is not installed.",
                "Run `%pip install pyarrow`, or leave --parquet out.",
            ) from error
        except (ValueError, TypeError, NotImplementedError) as error:  # Arrow's errors are made from these
            said = on_one_line(error)[:200].rstrip(".")
            raise InputError(
                f"The table cannot be written as Parquet: {said}.", "Leave --parquet out, or give the column one type."
            ) from error


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
    levels = _levels(frame)
    names = [*_index_names(frame, len(levels)), *(_column_name(column) for column in frame.columns)]
    series = (*levels, *(frame.iloc[:, place] for place in range(frame.shape[1])))
    return FrameTable(frame, tuple(distinct_names(names)), series, len(levels))


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


def _levels(frame: Any) -> tuple[Any, ...]:
    """The index's levels as Series, none if it only counts the rows."""
    import pandas as pd

    index = frame.index
    if index.nlevels == 1 and index.name is None:
        if isinstance(index, pd.RangeIndex):
            counts = index.start == 0 and index.step == 1
        else:
            counts = index.dtype.kind in "iu" and index.tolist() == list(range(len(index)))
        if counts or not len(index):
            return ()
    return tuple(pd.Series(index.get_level_values(level)) for level in range(index.nlevels))


def _index_names(frame: Any, count: int) -> list[str]:
    given = [*frame.index.names[:count]]
    return [
        _column_name(name) if name is not None else ("index" if count == 1 else f"level_{place}")
        for place, name in enumerate(given)
    ]


def _column_name(name: Any) -> str:
    if isinstance(name, tuple):
        return "_".join(text for text in map(_column_name, name) if text)
    return "" if name is None else str(name)


def _dtype(series: Any) -> Any:
    import pandas as pd

    if series.dtype == object and pd.api.types.infer_dtype(series, skipna=True) == "string":
        return "str"
    return series.dtype


def _library(kind: type) -> str:
    return kind.__module__.partition(".")[0]
