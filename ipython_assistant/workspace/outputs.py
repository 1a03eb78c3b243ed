"""The DataFrames a cell asked for with `-o`: found among its files by name, and given the dtypes of what went in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.naming import folded
from ipython_assistant.workspace.tables import may_be_table, read_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact

_PREFERRED = ("parquet", "csv", "tsv", "xlsx", "jsonl", "ndjson", "json")
"""Where one name has several formats: first those that keep most of a table's types, then those most often written."""
_MOST_NAMED = 10
_LARGEST_EXACT_FLOAT = 2**53


@dataclass(frozen=True, slots=True)
class NoFrame:
    """Why there is no DataFrame of this name: a sentence that says what came instead."""

    name: str
    reason: str


def named_frame(artifacts: Iterable[Artifact], name: str, dtypes: Mapping[str, Any] | None = None) -> Any:
    """The table among the files of an answer whose stem is `name`, as a pandas DataFrame.

    The model's own name for a file counts, then the one it was saved under; case only if nothing else matches. Of
    several formats the first is taken that can be read, Parquet before CSV.

    Args:
        artifacts: The files of the answer.
        name: What stood after `-o`.
        dtypes: Columns of the inputs → their dtypes; see `restored`.

    Returns:
        A DataFrame, or a `NoFrame`.
    """
    files = list(artifacts)
    candidates = _of_that_name(files, name)
    reasons: list[str] = []
    for artifact in sorted(candidates, key=_preference):
        if not may_be_table(artifact.path, artifact.media_type):
            reasons.append(f"{artifact.own_name} is no table")
            continue
        try:
            return restored(read_frame(artifact.path, artifact.media_type, dtypes), dtypes or {})
        except ImportError as error:
            reasons.append(f"{artifact.own_name} cannot be read here: {error.name or error} is not installed")
        except (ValueError, OSError) as error:
            said = error.strerror if isinstance(error, OSError) and error.strerror else str(error).rstrip(".")
            reasons.append(f"{artifact.own_name} cannot be read as a table ({said})")
    if reasons:
        return NoFrame(name, f"{'; '.join(reasons)}.")
    if not files:
        return NoFrame(name, "the answer came without any file.")
    named = ", ".join(artifact.own_name or artifact.name for artifact in files[:_MOST_NAMED])
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    return NoFrame(name, f"the answer's file{'s are' if len(files) > 1 else ' is'} {named}{more}.")


def restored(frame: Any, dtypes: Mapping[str, Any]) -> Any:
    """The frame with each column that an input had too in the input's dtype, where no value changes by it.

    A file of text knows no dtypes: dates, categories and whole numbers with gaps come back as something else. Columns
    that cannot be what they were stay as they are: a district `Total` is in no category, a mean is no whole number.

    Args:
        frame: A table as it was read.
        dtypes: Columns of the inputs → their pandas dtypes; `str` for text.
    """
    if not frame.columns.is_unique:
        return frame
    new = {name: _as(frame[name], dtypes[name]) for name in frame.columns if name in dtypes}
    return frame.assign(**{name: column for name, column in new.items() if column is not None})


def _as(column: Any, dtype: Any) -> Any:
    """The column in that dtype, or None where it has it already or cannot have it."""
    import pandas as pd

    wanted = pd.api.types.pandas_dtype(dtype)
    if column.dtype == wanted:
        return None
    try:
        return _converted(column, dtype, wanted)
    except (ValueError, TypeError, OverflowError, ArithmeticError):
        return None


def _converted(column: Any, dtype: Any, wanted: Any) -> Any:
    import pandas as pd

    kinds = pd.api.types
    new = None
    if isinstance(wanted, pd.CategoricalDtype):
        new = _as_categories(column, wanted)
    elif dtype == "str" or isinstance(wanted, pd.StringDtype):
        new = _as_text(column, dtype, wanted)
    elif kinds.is_datetime64_any_dtype(wanted):
        new = _as_moments(column, wanted)
    elif kinds.is_timedelta64_dtype(wanted):
        new = pd.to_timedelta(column).astype(wanted)
    elif kinds.is_bool_dtype(wanted):
        new = _as_booleans(column, wanted)
    elif kinds.is_numeric_dtype(wanted):
        new = _as_numbers(column, wanted)
    return new if new is not None and (new.isna() == column.isna()).all() else None


def _as_categories(column: Any, wanted: Any) -> Any:
    import pandas as pd

    words = pd.api.types.infer_dtype(wanted.categories) == "string"
    converted = _as(column, "str" if words else wanted.categories.dtype)
    values = column if converted is None else converted
    return values.astype(wanted) if values.dropna().isin(wanted.categories).all() else None


def _as_text(column: Any, dtype: Any, wanted: Any) -> Any:
    import pandas as pd

    if pd.api.types.is_float_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(column.dtype):
        return None  # how it was written is not known any more
    text = column.astype(object).map(str, na_action="ignore")
    return text.infer_objects() if dtype == "str" else text.astype(wanted)


def _as_moments(column: Any, wanted: Any) -> Any:
    import pandas as pd

    moments = column if pd.api.types.is_datetime64_any_dtype(column.dtype) else pd.to_datetime(column, format="ISO8601")
    zone = getattr(wanted, "tz", None)
    if (zone is None) != (moments.dt.tz is None):
        return None
    new = (moments if zone is None else moments.dt.tz_convert(zone)).astype(wanted)
    return new if (new.dropna() == moments.dropna()).all() else None


def _as_booleans(column: Any, wanted: Any) -> Any:
    import pandas as pd

    if pd.api.types.infer_dtype(column, skipna=True) != "boolean":
        return None
    gaps = column.isna().any() and not pd.api.types.is_extension_array_dtype(wanted)
    return column.astype("boolean" if gaps else wanted)


def _as_numbers(column: Any, wanted: Any) -> Any:
    import pandas as pd

    kinds = pd.api.types
    if not kinds.is_numeric_dtype(column.dtype) or kinds.is_bool_dtype(column.dtype):
        return None
    there = column.dropna()
    if kinds.is_integer_dtype(column.dtype) != kinds.is_integer_dtype(wanted) and (
        (there.abs() > _LARGEST_EXACT_FLOAT).any() or (there % 1 != 0).any()
    ):
        return None
    if kinds.is_integer_dtype(wanted) and len(there) < len(column) and not kinds.is_extension_array_dtype(wanted):
        wanted = str(wanted).replace("uint", "UInt").replace("int", "Int")
    new = column.astype(wanted)
    return new if kinds.is_float_dtype(wanted) or (new.dropna() == there).all() else None


def _of_that_name(files: Sequence[Artifact], name: str) -> list[Artifact]:
    wanted = _stem(name) if name.rpartition(".")[2].lower() in _PREFERRED else name
    for found in (
        [artifact for artifact in files if _stem(artifact.own_name) == wanted],
        [artifact for artifact in files if _stem(artifact.name) == wanted],
        [artifact for artifact in files if folded(_stem(artifact.own_name)) == folded(wanted)],
    ):
        if found:
            return found
    return []


def _stem(file_name: str) -> str:
    return file_name.rpartition(".")[0] or file_name


def _preference(artifact: Artifact) -> int:
    suffix = artifact.name.rpartition(".")[2].lower()
    return _PREFERRED.index(suffix) if suffix in _PREFERRED else len(_PREFERRED)
