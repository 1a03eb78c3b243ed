"""Variables, paths and globs → files that can be uploaded, each under its own name.

What the model is told of an input is its kind, its size and the names and dtypes of its columns, never its contents.
"""

from __future__ import annotations

import contextlib
import difflib
import glob
import hashlib
import os
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from ipython_assistant.core.naming import media_type, safe_name
from ipython_assistant.core.wording import disk_reason, first_words
from ipython_assistant.errors import InputError
from ipython_assistant.workspace.csv_tables import NotATable
from ipython_assistant.workspace.frames import content_of, dtypes_of, file_in_words, kind_of_frame
from ipython_assistant.workspace.tables import may_be_table, read_heads, read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ipython_assistant.core.artifacts import TableHead

MOST_FILES = 2_000  # so many are looked at for a similar name
_LONGEST_PATH = 1_000
_PIECE_BYTES = 1 << 20
_BYTE_ORDER_MARK = "\xef\xbb\xbf"


class FileHashes(NamedTuple):
    r"""The size of a file in bytes and its hashes; `logical` is that of a text with `\n` and no byte order mark."""

    size: int
    sha256: str
    logical: str


@dataclass(frozen=True, slots=True)
class Input:
    """A file to upload, by its name in the container; its `source` is the variable or path as the user wrote it.

    Its size is in bytes, and `dtypes` are those of the columns of a DataFrame, by name. For the rest see `FileHashes`.
    """

    name: str
    path: Path
    size: int
    sha256: str
    description: str
    logical: str = ""
    source: str = ""
    dtypes: tuple[tuple[str, Any], ...] = ()


class _Around(NamedTuple):
    """What surrounds a cell's inputs; `known` are those of earlier cells."""

    namespace: Mapping[str, Any]
    working_dir: Path
    scratch: Callable[[], Path]
    known: tuple[Input, ...]

    def path(self, name: str) -> Path:
        """Where a file of this name is, with `~` for the home directory."""
        return self.working_dir / os.path.expanduser(name)  # noqa: PTH111 Path's raises where there is no such user


def gather(
    named: Iterable[str],
    namespace: Mapping[str, Any],
    working_dir: Path,
    scratch: Callable[[], Path],
    *,
    known: Iterable[Input] = (),
) -> tuple[Input, ...]:
    """What the `-i` options name, as files.

    A variable comes before a file. Text that names a file that is there, a path, or a list of paths stands for those
    files; for other variables see `content_of`: `scratch` makes a directory for theirs, unless an input that is `known`
    says the same. A glob stands for the files it matches, `book.xlsx#Sheet` for one sheet, sent as a table. Raises
    `InputError` where nothing has that name (the nearest are listed), or it cannot be sent.
    """
    around = _Around(namespace, working_dir, scratch, tuple(known))
    seen: dict[str, Input] = {}
    for name in dict.fromkeys(named):
        try:
            found = _inputs_of(name, around)
        except NotATable as reason:
            raise InputError(f"{name} {reason}.", "Name a sheet that is there, or the whole file.") from reason
        except OSError as error:
            raise InputError(f"{name} cannot be read: {disk_reason(error)}.", "Check its permissions.") from error
        for item in found:
            twin = seen.setdefault(item.name.casefold(), item)
            if twin.path != item.path:
                cure = "Rename one, or load it into a variable with another name."
                raise InputError(f"Two inputs are both named {item.name}.", cure)
    return tuple(seen.values())


def _inputs_of(name: str, around: _Around) -> list[Input]:
    path, (book, _, sheet) = around.path(name), name.rpartition("#")
    if name.isidentifier() and name in around.namespace:
        value = around.namespace[name]
        paths = _paths(value, around)
        if not paths:
            return [_written(name, value, around)]
        if missing := next((one for one in paths if not _is_file(around.path(one))), None):
            what = f"The variable {name} names {missing!r}, and there is no such file"
            raise _not_there(what, missing, (), around)
        return [_of_path(around.path(one), name, name) for one in paths]
    if _is_file(path):
        return [_of_path(path, name)]
    if book and _is_file(around.path(book)):
        return [_of_sheet(around.path(book), sheet, name, around)]
    if glob.has_magic(name):
        found = glob.glob(os.path.expanduser(name), root_dir=around.working_dir, recursive=True)  # noqa: PTH111, PTH207
        if files := sorted(one for one in found if _is_file(around.working_dir / one)):
            return [_of_path(around.working_dir / one, one) for one in files]
        raise _not_there(f"No file matches {name}", name, (), around)
    if os.path.isdir(path):  # noqa: PTH112 as `_is_file`
        cure = f"Name the files in it, or all of a kind: -i '{name.rstrip('/')}/*.csv'."
        raise InputError(f"{name} is a folder.", cure)
    own = {known: value for known, value in around.namespace.items() if not known.startswith("_")}
    can_be_sent = [known for known, value in own.items() if isinstance(value, _SENT) or kind_of_frame(value)]
    raise _not_there(f"There is no variable and no file {name!r}", name, can_be_sent, around)


_SENT = (dict, list, tuple, str, PurePath)


def _of_path(path: Path, source: str, named_by: str = "") -> Input:
    kind, hashes, reason = media_type(path.name), read_hashes(path), ""
    heads: Mapping[str, TableHead] = {}
    if may_be_table(path, kind):
        try:
            heads = read_heads(path, kind)
        except NotATable as error:
            reason = str(error)
    # A reserved name of Windows is one in the container too, and was one where it comes from.
    safe = safe_name(path.name)
    name = path.name if safe == f"_{path.name}" and path.name[0].isalnum() else safe
    description = file_in_words(path.name.rpartition(".")[2], named_by, heads, reason)
    return Input(name, path, hashes.size, hashes.sha256, description, hashes.logical, source)


def _of_sheet(path: Path, sheet: str, source: str, around: _Around) -> Input:
    table = read_table(path, media_type(path.name), sheet=sheet)
    item = _written(f"{path.stem}-{sheet}", table.frame, around)
    size_and_columns = item.description.partition(", ")[2]
    return replace(item, source=source, description=f"sheet {sheet} of {path.name}, {size_and_columns}")


def _written(name: str, value: Any, around: _Around) -> Input:
    """A variable's value in a file; in that of an earlier cell, if it says the same."""
    made = content_of(name, value)
    path = around.scratch() / safe_name(f"{name}.{made.suffix}")
    made.write(path)
    hashes, table = read_hashes(path), made.table
    same = (it.path for it in around.known if (it.name, it.sha256) == (path.name, hashes.sha256) and _is_file(it.path))
    if (earlier := next(same, None)) is not None:
        path.unlink()
        with contextlib.suppress(OSError):
            path.parent.rmdir()
        path = earlier
    item = Input(path.name, path, hashes.size, hashes.sha256, made.description, hashes.logical, name)
    return item if table is None else replace(item, logical=hashes.sha256, dtypes=dtypes_of(table))


def read_hashes(path: Path) -> FileHashes:
    """The size and both hashes of a file, in memory that does not grow with it. Raises `OSError`."""
    with path.open("rb") as file:
        exact = logical = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    # Read as Latin-1 it is the same byte for byte, but for the line ends.
    with path.open(encoding="latin-1") as text:
        piece, digest = text.read(_PIECE_BYTES), hashlib.sha256()
        if "\0" not in piece:
            piece = piece.removeprefix(_BYTE_ORDER_MARK)
            while piece:
                digest.update(piece.encode("latin-1"))
                piece = text.read(_PIECE_BYTES)
            logical = digest.hexdigest()
    return FileHashes(size, exact, logical)


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 False, too, for what is too long for a name, or no name at all


def _paths(value: Any, around: _Around) -> list[str]:
    """The files that a variable names: a path, a list of them, or text of one line that names a file or looks so."""
    if isinstance(value, PurePath):
        return [str(value)]
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_PATH and value.isprintable():
        looks_like_one = " " not in value and ("://" in value or media_type(value) != "application/octet-stream")
        return [value] if looks_like_one or _is_file(around.path(value)) else []
    if isinstance(value, list | tuple) and all(
        isinstance(it, PurePath) or (isinstance(it, str) and len(it) <= _LONGEST_PATH and _is_file(around.path(it)))
        for it in value
    ):
        return [*map(str, value)]
    return []


def _not_there(what: str, name: str, variables: Sequence[str], around: _Around) -> InputError:
    """The error for a name that nothing has, with the variables and files whose names are nearest."""
    if "://" in name:
        cure = "Download it first, then name the file: what is sent should be what you have seen."
        return InputError(f"{name} is an address, not a file.", cure)
    known = {variable: variable for variable in variables}
    for pattern in ("*/*", "*"):  # those of the directory itself come last, and count
        for file in islice(glob.iglob(pattern, root_dir=around.working_dir), MOST_FILES):  # noqa: PTH207
            if _is_file(around.working_dir / file):
                known[PurePath(file).name] = file
    near = difflib.get_close_matches(PurePath(name).name[:_LONGEST_PATH], known, n=3, cutoff=0.5)
    there = first_words(", ".join(dict.fromkeys([*variables, *sorted(known.values())])), 200) or "nothing"
    cure = f"Did you mean {' or '.join(known[one] for one in near)}?" if near else f"There is: {there}."
    return InputError(f"{what} (looked in {around.working_dir}).", cure)
