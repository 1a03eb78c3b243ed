"""The DataFrames a cell asked for with `-o`: found among its files by name, and given the dtypes of what went in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.naming import folded, stem_of
from ipython_assistant.core.wording import disk_reason
from ipython_assistant.workspace.dialect import NotATable
from ipython_assistant.workspace.tables import TableFrame, may_be_table, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact

_PREFERRED = ("parquet", "csv", "tsv", "xlsx", "jsonl", "ndjson", "json")
"""Where one name has several formats: first those that keep most of a table's types, then those most often written."""
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class NoFrame:
    """Why there is no DataFrame of this name: a sentence that says what came instead."""

    name: str
    reason: str


def named_frame(
    artifacts: Iterable[Artifact], name: str, dtypes: Mapping[str, Any] | None = None
) -> TableFrame | NoFrame:
    """The table among the files of an answer whose stem is `name`, with the inputs' `dtypes`; see `restored`.

    The model's own name for a file counts, then the one it was saved under; case only if nothing else matches. Of
    several formats the first is taken that can be read, Parquet before CSV.
    """
    files = list(artifacts)
    reasons: list[str] = []
    for artifact in sorted(_of_that_name(files, name), key=_preference):
        if not may_be_table(artifact.path, artifact.media_type):
            reasons.append(f"{artifact.own_name} is not a table")
            continue
        try:
            table = read_table(artifact.path, artifact.media_type, dtypes)
            return replace(table, frame=restored(table.frame, dtypes or {}))
        except NotATable as reason:
            reasons.append(f"{artifact.own_name} {reason}")
        except OSError as error:
            reasons.append(f"{artifact.own_name} cannot be read: {disk_reason(error)}")
    if reasons:
        return NoFrame(name, f"{'; '.join(reasons)}.")
    if not files:
        return NoFrame(name, "the answer came without any file.")
    named = ", ".join(artifact.own_name or artifact.name for artifact in files[:_MOST_NAMED])
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    return NoFrame(name, f"the answer's file{'s are' if len(files) > 1 else ' is'} {named}{more}.")


def restored(frame: Any, dtypes: Mapping[str, Any]) -> Any:
    """The frame with each column that an input had too in the input's dtype, if no value changes by it.

    A file of text knows no dtypes: dates, categories and whole numbers with gaps come back as something else. Columns
    that cannot be what they were stay as they are: a district `Total` is in no category, a mean is no whole number.
    """
    if not frame.columns.is_unique:
        return frame
    new = {name: _as(frame[name], dtypes[name]) for name in frame.columns if name in dtypes}
    return frame.assign(**{name: column for name, column in new.items() if column is not None})


def _as(column: Any, dtype: Any) -> Any:
    """The column in that dtype; None where it has it already or cannot have it."""
    import pandas as pd

    wanted = pd.api.types.pandas_dtype(dtype)
    if column.dtype == wanted:
        return None
    try:
        new = _converted(column, dtype, wanted)
    except (ValueError, TypeError, OverflowError, ArithmeticError):
        return None
    return new if new is not None and new.isna().equals(column.isna()) else None


def _converted(column: Any, dtype: Any, wanted: Any) -> Any:
    import pandas as pd

    kinds = pd.api.types
    if str(wanted) == "object" and dtype != "str":
        return None
    is_date = kinds.is_datetime64_any_dtype(column.dtype)
    if isinstance(wanted, pd.CategoricalDtype):
        are_words = kinds.infer_dtype(wanted.categories) == "string"
        values = _as(column, "str" if are_words else wanted.categories.dtype)
        values = column if values is None else values
        return values.astype(wanted) if values.dropna().isin(wanted.categories).all() else None
    if dtype == "str" or isinstance(wanted, pd.StringDtype):
        # How a number or a date was written is not known any more.
        text = None if is_date or kinds.is_float_dtype(column.dtype) else column.astype(object).map(str, "ignore")
        return text if text is None else text.infer_objects() if dtype == "str" else text.astype(wanted)
    if kinds.is_timedelta64_dtype(wanted):
        return pd.to_timedelta(column).astype(wanted)
    if kinds.is_datetime64_any_dtype(wanted):
        column = column if is_date else pd.to_datetime(column, format="ISO8601")
        zone = getattr(wanted, "tz", None)
        new = (column if zone is None else column.dt.tz_convert(zone)).astype(wanted)
    elif kinds.is_bool_dtype(wanted) != (kinds.infer_dtype(column, skipna=True) == "boolean"):
        return None
    else:
        new = column.astype(_with_room_for_gaps(wanted) if column.hasnans else wanted)
    both_floats = kinds.is_float_dtype(wanted) and kinds.is_float_dtype(column.dtype)
    # As Python's numbers, which compare exactly: NumPy would take 2**60 + 1 and its float for the same.
    return new if both_floats or new.dropna().tolist() == column.dropna().tolist() else None


def _with_room_for_gaps(wanted: Any) -> Any:
    import numpy as np

    if not isinstance(wanted, np.dtype) or wanted.kind not in "iub":
        return wanted
    return "boolean" if wanted.kind == "b" else str(wanted).replace("i", "I").replace("u", "U")


def _of_that_name(files: Sequence[Artifact], name: str) -> list[Artifact]:
    wanted = stem_of(name) if name.rpartition(".")[2].lower() in _PREFERRED else name
    for found in (
        [artifact for artifact in files if stem_of(artifact.own_name) == wanted],
        [artifact for artifact in files if stem_of(artifact.name) == wanted],
        [artifact for artifact in files if folded(stem_of(artifact.own_name)) == folded(wanted)],
    ):
        if found:
            return found
    return []


def _preference(artifact: Artifact) -> int:
    suffix = artifact.name.rpartition(".")[2].lower()
    return _PREFERRED.index(suffix) if suffix in _PREFERRED else len(_PREFERRED)
