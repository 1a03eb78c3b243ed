"""DataFrames and Series, of pandas or polars → a file with one table in it, and what there is to say about that.

A table in a file has a header of one line with distinct names and no index. So the levels of an index come first as
columns, unless it only counts the rows; column levels are joined with `_`; equal names are told apart as pandas does
it (`a`, `a.1`); a name that is no text is written as text. Nothing is imported here to look at a variable: both
libraries are known by the names of their types, and whoever has a DataFrame has imported its library.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.wording import counted, on_one_line
from ipython_assistant.errors import InputError
from ipython_assistant.workspace import logical
from ipython_assistant.workspace.descriptions import columns_in_words
from ipython_assistant.workspace.dialect import distinct_names

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {"pandas": ("DataFrame", "Series", "Index"), "polars": ("DataFrame", "LazyFrame", "Series")}


def kind_of_frame(value: Any) -> str:
    """`DataFrame`, `Series`, `Index` or `LazyFrame` for one of pandas or polars or what is made from it; else empty.

    >>> kind_of_frame([1, 2])
    ''
    """
    for base in type(value).__mro__:
        if base.__name__ in _KINDS.get(base.__module__.partition(".")[0], ()):
            return base.__name__
    return ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it stands in a file.

    Attributes:
        frame: The DataFrame of pandas or polars.
        names: The columns' names in the file, those of the index first.
        series: Their values.
        rows: How many rows there are.
        index_columns: So many of the columns are levels of the index.
    """

    frame: Any
    names: tuple[str, ...]
    series: tuple[Any, ...]
    rows: int
    index_columns: int = 0

    @property
    def is_polars(self) -> bool:
        """Whether polars holds it, not pandas."""
        return type(self.frame).__module__.partition(".")[0] == "polars"

    @property
    def logical(self) -> str:
        """Its logical hash."""
        return logical.of_table(zip(self.names, self.series, strict=True), self.rows)

    @property
    def dtypes(self) -> tuple[tuple[str, Any], ...]:
        """Each column's name and pandas dtype; `str` for text that pandas keeps as objects. Empty for polars."""
        if self.is_polars:
            return ()
        return tuple((name, _dtype(series)) for name, series in zip(self.names, self.series, strict=True))

    def describe(self) -> str:
        """Its size and its columns with their dtypes, never its contents; one line."""
        size = f"{counted(self.rows, 'row')} × {counted(len(self.names), 'column')}"
        dtypes = [_dtype_in_words(series) for series in self.series]
        return f"{size}: {columns_in_words(self.names, dtypes)}" if self.names else size

    def write_csv(self, path: Path) -> None:
        """Write it as UTF-8 with commas.

        Raises:
            InputError: It has cells that CSV cannot hold.
        """
        if self.is_polars:
            self._write_polars("write_csv", path, "Columns of lists and structs are not for CSV: give --parquet.")
            return
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
            InputError: pyarrow is not installed (polars brings its own writer), or the table is not for Parquet.
        """
        if self.is_polars:
            self._write_polars("write_parquet", path, "Leave --parquet out.")
            return
        if find_spec("pyarrow") is None:
            raise InputError(
                "--parquet needs pyarrow, which is not installed.",
                "Run `%pip install pyarrow`, or leave --parquet out.",
            )
        frame = self.frame
        if self.index_columns:
            frame = frame.reset_index(allow_duplicates=True, names=list(self.names[: self.index_columns]))
        else:
            frame = frame.reset_index(drop=True)
        frame.columns = list(self.names)
        try:
            frame.to_parquet(path, engine="pyarrow", index=False)
        except (ValueError, TypeError, NotImplementedError) as error:  # Arrow's errors are made from these
            raise _refused(error, "Leave --parquet out, or give the column one type.") from error

    def _write_polars(self, way: str, path: Path, cure: str) -> None:
        import polars  # type: ignore[import-not-found,unused-ignore] # nobody has to install it

        try:
            getattr(self.frame, way)(path)
        except polars.exceptions.PolarsError as error:
            raise _refused(error, cure) from error


def table_of(value: Any, name: str) -> Table:
    """What one of the kinds of `kind_of_frame` is as a table.

    Args:
        value: A DataFrame, Series or Index of pandas, or a DataFrame, LazyFrame or Series of polars.
        name: The variable's name; a Series without a name has its column named so.
    """
    kind = kind_of_frame(value)
    if any(base.__module__.partition(".")[0] == "polars" for base in type(value).__mro__):
        frame = value.collect() if kind == "LazyFrame" else value.to_frame() if kind == "Series" else value
        names = [column or name for column in frame.columns]
        if names != frame.columns:
            frame.columns = names
        return Table(frame, tuple(names), tuple(frame.get_columns()), frame.height)
    if kind != "DataFrame":
        named = value.name if value.name is not None else name
        frame = value.to_frame(name=named) if kind == "Series" else value.to_frame(index=False)
        if kind == "Index" and value.nlevels == 1:
            frame.columns = [named]
    else:
        frame = value
    levels = _levels(frame)
    names = [*_index_names(frame, len(levels)), *(_column_name(column) for column in frame.columns)]
    series = (*levels, *(frame.iloc[:, place] for place in range(frame.shape[1])))
    return Table(frame, tuple(distinct_names(names)), series, len(frame), len(levels))


def _refused(error: Exception, cure: str) -> InputError:
    said = on_one_line(error)[:200].rstrip(".")
    return InputError(f"The table cannot be written as it is: {said}.", cure)


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


def _dtype_in_words(series: Any) -> str:
    return str(_dtype(series)) if type(series).__module__.partition(".")[0] == "pandas" else str(series.dtype)
