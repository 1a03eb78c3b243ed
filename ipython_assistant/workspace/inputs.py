"""Variables, paths and globs → files that can be uploaded, each under its own name.

What the model is told of an input is its kind, its shape and the names and dtypes of its columns, never its contents.
"""

from __future__ import annotations

import difflib
import glob
import json
import re
import time
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from ipython_assistant.core.artifacts import TABLE_TYPES
from ipython_assistant.core.naming import media_type, safe_name
from ipython_assistant.core.reasons import disk_reason
from ipython_assistant.core.wording import counted
from ipython_assistant.errors import InputError
from ipython_assistant.workspace import logical
from ipython_assistant.workspace.descriptions import columns_in_words
from ipython_assistant.workspace.dialect import NotATable
from ipython_assistant.workspace.frames import kind_of_frame, table_of
from ipython_assistant.workspace.tables import read_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ipython_assistant.core.artifacts import TableHead


MOST_FOLDERS = 20
"""So many folders are looked into for a file that is not where it was named."""
COARSEST_CLOCK_NS = 2 * 10**9
"""The coarsest time of writing that a disk keeps: that of FAT."""
_LONGEST_PATH = 1_000
_EXPRESSION = re.compile(r"(?P<variable>[^\W\d]\w*)(?:[\[(]|\.(?:loc|iloc|head|query|T)\b)")
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


class _Fingerprint(NamedTuple):
    """What changes when somebody writes to a file or puts another one in its place; of a link, what it leads to."""

    device: int
    inode: int
    size: int
    written_ns: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in a file of the user's, which need not be read again while its fingerprint is the same."""

    fingerprint: _Fingerprint
    hashes: logical.FileHashes
    head: TableHead | None


@dataclass(frozen=True, slots=True)
class Input:
    """A file to upload.

    Attributes:
        name: Its name in the container.
        path: Where it is on disk.
        size: In bytes.
        sha256: Of its bytes, in hexadecimal.
        description: What the model is told of it, on one line.
        logical: The hash of what it holds, whatever wrote it; see `workspace.logical`.
        source: The variable or path it is made of, as the user wrote it (of a glob, the file that matched).
        rows: How many rows its table has, if it is known to be one.
        columns: How many columns.
        estimated: The rows are about that many.
        dtypes: The columns' names and pandas dtypes, where it was a DataFrame: what `-o` restores them by.
        reading: Of a file of the user's, what was found in it; None where it may change unseen.
    """

    name: str
    path: Path
    size: int
    sha256: str
    description: str
    logical: str = ""
    source: str = ""
    rows: int | None = None
    columns: int | None = None
    estimated: bool = False
    dtypes: tuple[tuple[str, Any], ...] = ()
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class _Around:
    """What is the same for all inputs of a cell."""

    namespace: Mapping[str, Any]
    working_dir: Path
    scratch: Callable[[], Path]
    parquet: bool
    known: Mapping[tuple[str, str], Input]
    read: Mapping[Path, Reading]
    clock_ns: Callable[[], int]


def gather(
    named: Iterable[str],
    namespace: Mapping[str, Any],
    working_dir: Path,
    scratch: Callable[[], Path],
    *,
    parquet: bool = False,
    known: Iterable[Input] = (),
    clock_ns: Callable[[], int] = time.time_ns,
) -> tuple[Input, ...]:
    """What the `-i` options name, as files.

    A variable comes before a file. DataFrames and Series (pandas, polars), dicts of columns and lists of records become
    tables; other dicts and lists JSON; a matplotlib figure a PNG; bytes and text files of their own. Text that names a
    file that is there, a path, or a list of paths stands for those files. A glob stands for the files it matches.

    Args:
        named: Each a variable, a path or a glob.
        namespace: The user's variables.
        working_dir: What relative paths are relative to.
        scratch: Makes a directory for the files that are made of variables.
        parquet: Tables as Parquet, not as CSV.
        known: Inputs of earlier cells: what has not changed since is neither read nor written again.
        clock_ns: The time, in nanoseconds since the epoch.

    Raises:
        InputError: Nothing of that name (the nearest ones are listed), or something that cannot be sent.
    """
    known = tuple(known)
    written = {(item.name, item.logical): item for item in known}
    read = {item.path: item.reading for item in known if item.reading is not None}
    around = _Around(namespace, working_dir, scratch, parquet, written, read, clock_ns)
    inputs = tuple(chain.from_iterable(_each(name, around) for name in dict.fromkeys(named)))
    seen: dict[str, Input] = {}
    for item in inputs:
        twin = seen.setdefault(item.name.casefold(), item)
        if twin.path != item.path:
            raise InputError(
                f"Two inputs are both named {item.name}.", "Rename one, or load it into a variable with another name."
            )
    return tuple(seen.values())


def _each(name: str, around: _Around) -> Iterator[Input]:
    if name.isidentifier() and name in around.namespace:
        yield from _of_variable(name, around.namespace[name], around)
        return
    if "://" in name:
        raise _no_address(name)
    path = around.working_dir / _expanded(name)
    if _is_file(path):
        yield _of_path(path, name, around)
    elif glob.has_magic(name):
        yield from _of_glob(name, around)
    elif _is_folder(path):
        raise InputError(
            f"{name} is a folder.", f"Name the files in it, or all of a kind: -i '{name.rstrip('/')}/*.csv'."
        )
    else:
        raise InputError(
            f"There is no variable and no file {name!r} (looked in {around.working_dir}).",
            _cure(name, around, path),
        )


# --- paths ------------------------------------------------------------------------------------------------------------


def _of_glob(pattern: str, around: _Around) -> Iterator[Input]:
    found = glob.glob(str(_expanded(pattern)), root_dir=around.working_dir, recursive=True)  # noqa: PTH207 root_dir
    files = sorted(name for name in found if _is_file(around.working_dir / name))
    if not files:
        path = around.working_dir / _expanded(pattern)
        near = difflib.get_close_matches(path.name, there := _files_near(PurePath(pattern), path), n=3, cutoff=0.3)
        shown = [there[name] for name in near] or list(there.values())[:5]
        raise InputError(
            f"No file matches {pattern} (looked in {around.working_dir}).",
            f"There is: {', '.join(shown)}." if shown else "Check the pattern, or the notebook's working directory.",
        )
    for name in files:
        yield _of_path(around.working_dir / name, name, around)


def _of_path(path: Path, source: str, around: _Around, described: str = "") -> Input:
    """A file of the user's, as it is."""
    try:
        known, now = around.read.get(path), _fingerprint(path)
        reading = known if known is not None and known.fingerprint == now else _read(path, now)
        settled = reading is known or _is_settled(path, now, around.clock_ns())
    except OSError as error:
        raise _unreadable(path, error) from error
    kind, head = media_type(path.name), reading.head
    item = replace(
        _hashed(path, safe_name(path.name), source, f"a file{described}", reading.hashes),
        reading=reading if settled else None,
    )
    if head is None:
        return item
    word = "TSV" if kind == "text/tab-separated-values" else "CSV"
    about = "about " if head.estimated else ""
    size = f"{about}{counted(head.row_count, 'row')} × {counted(head.column_count, 'column')}"
    return replace(
        item,
        description=f"{word} file{described}, {size}: {columns_in_words(head.columns)}",
        rows=head.row_count,
        columns=head.column_count,
        estimated=head.estimated,
    )


def _read(path: Path, now: _Fingerprint) -> Reading:
    kind, hashing = media_type(path.name), logical.Hashing(path)
    try:
        head = read_head(path, kind, rows=0) if kind in TABLE_TYPES else None
    except NotATable:
        head = None
    return Reading(now, hashing.finish(), head)


def _fingerprint(path: Path) -> _Fingerprint:
    there = path.stat()
    return _Fingerprint(there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)


def _is_settled(path: Path, before: _Fingerprint, now_ns: int) -> bool:
    """Whether a file was the same from before it was read until after, and whoever writes to it now leaves a trace.

    The next one to write may do so within the same tick of the disk's clock. Git has the same difficulty:
    https://git-scm.com/docs/racy-git
    """
    return _fingerprint(path) == before and before.written_ns + COARSEST_CLOCK_NS < now_ns


def _of_file(path: Path, name: str, source: str, description: str) -> Input:
    try:
        return _hashed(path, name, source, description, logical.of_file(path))
    except OSError as error:
        raise _unreadable(path, error) from error


def _hashed(path: Path, name: str, source: str, description: str, hashes: logical.FileHashes) -> Input:
    return Input(name, path, hashes.size, hashes.sha256, description, hashes.logical, source)


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read: {disk_reason(error)}.", "Check its permissions.")


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)  # there is no such user


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False  # too long for a name, or no name at all


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


# --- variables --------------------------------------------------------------------------------------------------------


def _of_variable(name: str, value: Any, around: _Around) -> Iterator[Input]:
    if isinstance(value, PurePath):
        yield _named_by(name, str(value), around)
    elif isinstance(value, str):
        yield _of_text(name, value, around)
    elif (paths := _paths(value, around)) is not None:
        yield from (_named_by(name, path, around) for path in paths)
    elif kind_of_frame(value):
        yield _of_frame(name, value, kind_of_frame(value), around)
    elif _is_array(value):
        yield _of_frame(name, _as_frame(value, name), "array", around)
    elif isinstance(value, dict | list | tuple):
        yield _of_container(name, value, around)
    elif isinstance(value, bytes | bytearray | memoryview):
        content = bytes(value)
        path = around.scratch() / safe_name(f"{name}.{_suffix(content)}")
        path.write_bytes(content)
        yield _of_file(path, path.name, name, f"the bytes of the variable {name}")
    elif callable(getattr(_figure(value), "savefig", None)):
        path = around.scratch() / safe_name(f"{name}.png")
        # Without the version of matplotlib in it, the same figure has the same hash.
        _figure(value).savefig(path, format="png", metadata={"Software": None})
        yield _of_file(path, path.name, name, f"the matplotlib figure {name} as a picture")
    else:
        raise InputError(
            f"The variable {name} is of type {type(value).__name__}, which cannot be sent as a file.",
            "Send a DataFrame, dict, list, figure, text or bytes; "
            f"a single value can stand in the question as {{{name}}}.",
        )


def _named_by(name: str, value: str, around: _Around) -> Input:
    """The file that a variable's text or path names."""
    if "://" in value:
        raise _no_address(value)
    path = around.working_dir / _expanded(value)
    if not _is_file(path):
        raise InputError(
            f"The variable {name} names {value!r}, and there is no such file (looked in {around.working_dir}).",
            _nearest(value, {}, path),
        )
    return _of_path(path, name, around, f", named by the variable {name}")


def _of_text(name: str, value: str, around: _Around) -> Input:
    """A text file; or the file that the text names: one line that is a file's name is hardly ever meant as text."""
    one_line = 0 < len(value) <= _LONGEST_PATH and value.isprintable()
    if one_line and "://" in value and not any(char.isspace() for char in value):
        raise _no_address(value)
    looks_like_one = one_line and " " not in value and media_type(value) != "application/octet-stream"
    if one_line and (looks_like_one or _is_file(around.working_dir / _expanded(value))):
        return _named_by(name, value, around)
    path = around.scratch() / safe_name(f"{name}.txt")
    path.write_text(value, encoding="utf-8", errors="backslashreplace", newline="\n")
    lines = len(value.splitlines())
    return _of_file(path, path.name, name, f"the text of the variable {name}, {counted(lines, 'line')}")


def _paths(value: Any, around: _Around) -> list[str] | None:
    """The paths in a list of them: each a path, or text that names a file."""
    if not isinstance(value, list | tuple) or not value or not isinstance(value[0], str | PurePath):
        return None
    if all(isinstance(item, PurePath) for item in value):
        return [str(item) for item in value]
    if all(isinstance(item, str) and len(item) <= _LONGEST_PATH for item in value[:1]) and all(
        isinstance(item, str) and _is_file(around.working_dir / _expanded(item)) for item in value
    ):
        return list(value)
    return None


def _of_frame(name: str, value: Any, kind: str, around: _Around) -> Input:
    table = table_of(value, name)
    file_name = safe_name(f"{name}.{'parquet' if around.parquet else 'csv'}")
    held = table.logical
    described = f"{'polars ' if table.is_polars else ''}{kind} {name}, {table.describe()}"
    known = around.known.get((file_name, held))
    if known is not None and _is_file(known.path) and known.path.stat().st_size == known.size:
        item = replace(known, description=described)
    else:
        path = around.scratch() / file_name
        (table.write_parquet if around.parquet else table.write_csv)(path)
        item = _of_file(path, file_name, name, described)
    return replace(item, logical=held, source=name, rows=table.rows, columns=len(table.names), dtypes=table.dtypes)


def _of_container(name: str, value: Any, around: _Around) -> Input:
    """A table where the dict holds columns or the list records of plain values; JSON otherwise."""
    kind = "dict" if isinstance(value, dict) else "list"
    if any(kind_of_frame(item) in {"DataFrame", "LazyFrame"} for item in (value.values() if kind == "dict" else value)):
        raise InputError(
            f"The {kind} {name} holds DataFrames.", "Give each its own variable and name those, one -i each."
        )
    if _holds_columns(value) or _holds_records(value):
        return _of_frame(name, _as_frame(value, name), kind, around)
    try:
        written = json.dumps(value, ensure_ascii=False, indent=1, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"The {kind} {name} cannot be written as JSON: {error}.",
            "Give a table, or write the file yourself and name it.",
        ) from error
    path = around.scratch() / safe_name(f"{name}.json")
    path.write_text(written, encoding="utf-8", errors="backslashreplace", newline="\n")
    return _of_file(path, path.name, name, f"the {kind} {name} as JSON, {counted(len(value), 'item')}")


def _holds_columns(value: Any) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    columns = list(value.values())
    if not all(isinstance(column, list | tuple | range) or _is_column(column) for column in columns):
        return False
    return len({len(column) for column in columns}) == 1 and all(
        _is_plain(cell) for column in columns if isinstance(column, list | tuple) for cell in column
    )


def _holds_records(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(record, dict) and record and all(map(_is_plain, record.values())) for record in value)
    )


def _is_plain(cell: Any) -> bool:
    return not isinstance(cell, dict | list | tuple | set | bytes)


def _is_column(value: Any) -> bool:
    return kind_of_frame(value) in {"Series", "Index"} or (_is_array(value) and value.ndim == 1)


def _is_array(value: Any) -> bool:
    kind = type(value)
    return (kind.__module__.partition(".")[0], kind.__name__) == ("numpy", "ndarray") and value.ndim in {1, 2}


def _as_frame(value: Any, name: str) -> Any:
    import pandas as pd

    if _is_array(value):
        return pd.DataFrame({name: value} if value.ndim == 1 and value.dtype.names is None else value)
    if isinstance(value, dict):
        return pd.DataFrame(value)
    # Whole numbers stay whole where some records have none.
    frame = pd.DataFrame(list(value), dtype=object)
    whole = [column for column in frame if pd.api.types.infer_dtype(frame[column], skipna=True) == "integer"]
    return frame.astype(dict.fromkeys(whole, "Int64")).infer_objects()


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


def _figure(value: Any) -> Any:
    """The matplotlib figure that a value is, or that an Axes belongs to; None otherwise."""
    bases = {(base.__module__, base.__name__) for base in type(value).__mro__}
    if ("matplotlib.figure", "FigureBase") in bases:
        return value
    return value.get_figure() if ("matplotlib.axes._base", "_AxesBase") in bases else None


def _suffix(content: bytes) -> str:
    """How a file of these bytes is usually named."""
    for signature, suffix in _SIGNATURES.items():
        if content.startswith(signature):
            if suffix != "zip":
                return suffix
            return next(
                (
                    office
                    for part, office in (("xl/", "xlsx"), ("word/", "docx"), ("ppt/", "pptx"))
                    if part.encode() in content
                ),
                suffix,
            )
    try:
        content.decode()
    except UnicodeDecodeError:
        return "bin"
    return "bin" if b"\0" in content else "txt"


# --- what is wrong ----------------------------------------------------------------------------------------------------


def _no_address(name: str) -> InputError:
    return InputError(
        f"{name} is an address, not a file.",
        "Download it first, then name the file: what is sent should be what you have seen.",
    )


def _cure(name: str, around: _Around, path: Path) -> str:
    expression = _EXPRESSION.match(name)
    if expression is not None and expression["variable"] in around.namespace:
        return f"-i takes names: put it into a variable in a cell above, such as `part = {name}`, then write -i part."
    return _nearest(name, around.namespace, path)


def _nearest(name: str, namespace: Mapping[str, Any], path: Path) -> str:
    variables = [known for known, value in namespace.items() if not known.startswith("_") and _can_be_sent(value)]
    files = _files_near(PurePath(name), path)
    near = difflib.get_close_matches(PurePath(name).name, [*variables, *files], n=3, cutoff=0.5)
    shown = [item if item in variables else files[item] for item in near]
    if shown:
        return f"Did you mean {_either(shown)}?"
    frames = [known for known in variables if kind_of_frame(namespace[known])]
    tables = [written for file, written in files.items() if file.endswith((".csv", ".tsv", ".xlsx", ".parquet"))]
    others = [*frames, *tables][:5]
    return f"There is: {', '.join(others)}." if others else "Check the name, or the notebook's working directory."


def _can_be_sent(value: Any) -> bool:
    return isinstance(value, dict | list | tuple | str | bytes | PurePath) or bool(kind_of_frame(value))


def _files_near(name: PurePath, path: Path) -> dict[str, str]:
    """Files where the named one should be, or one folder further down: name → how to write it."""
    there, written = path.parent, name.parent
    if not _is_folder(there):
        there, written = path.parent.parent, name.parent.parent
    if not _is_folder(there):
        return {}
    found: dict[str, str] = {}
    folders = sorted(item for item in there.iterdir() if item.is_dir() and not item.name.startswith("."))
    for folder, prefix in [(there, written), *((item, written / item.name) for item in folders[:MOST_FOLDERS])]:
        try:
            files = sorted(item.name for item in folder.iterdir() if item.is_file())
        except OSError:
            continue  # a folder that cannot be read has no hints to give
        for file in files:
            found.setdefault(file, str(prefix / file))
    return found


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
