"""Variables and paths → files that can be uploaded, each under its own name."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.naming import safe_name
from ipython_assistant.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


MOST_FOLDERS = 20
"""So many folders are looked into for a file that is not where it was named."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file to upload: its name in the container, where it is on disk, and what the model is told of it."""

    name: str
    path: Path
    size: int
    sha256: str
    description: str


def gather(
    named: Iterable[str], namespace: Mapping[str, Any], working_dir: Path, scratch: Callable[[], Path]
) -> tuple[Input, ...]:
    """What the `-i` options name, as files.

    Args:
        named: Each a variable that holds a DataFrame, or a path.
        namespace: The user's variables.
        working_dir: What relative paths are relative to.
        scratch: Makes a directory for the files that are made of variables.

    Raises:
        InputError: Nothing of that name (the nearest ones are listed), or something that cannot be sent.
    """
    inputs = tuple(_one(name, namespace, working_dir, scratch) for name in dict.fromkeys(named))
    seen: dict[str, Input] = {}
    for item in inputs:
        twin = seen.setdefault(item.name.casefold(), item)
        if twin is not item:
            raise InputError(
                f"Two inputs are both named {item.name}.", "Rename one, or load it into a variable with another name."
            )
    return inputs


def _one(name: str, namespace: Mapping[str, Any], working_dir: Path, scratch: Callable[[], Path]) -> Input:
    if name.isidentifier() and name in namespace:
        return _of_variable(name, namespace[name], scratch)
    if "://" in name:
        raise InputError(f"{name} is an address, not a file.", "Download it first, then name the file.")
    path = working_dir / Path(name).expanduser()
    if path.is_dir():
        raise InputError(f"{name} is a folder.", "Name the files in it, one -i each.")
    if not path.is_file():
        raise InputError(
            f"There is no variable and no file {name!r} (looked in {working_dir}).", _nearest(name, namespace, path)
        )
    return _of_file(path, safe_name(path.name), "a file")


def _of_variable(name: str, value: Any, scratch: Callable[[], Path]) -> Input:
    kind = type(value)
    # By name, so that pandas is not imported for a look at something else.
    if kind.__module__.partition(".")[0] != "pandas" or kind.__name__ != "DataFrame":
        raise InputError(
            f"The variable {name} is of type {kind.__name__}, not a DataFrame.",
            "Give a DataFrame, or save it to a file and name the file.",
        )
    path = scratch() / f"{name}.csv"
    default_index = type(value.index).__name__ == "RangeIndex" and value.index.name is None
    value.to_csv(path, index=not default_index)
    rows, columns = value.shape
    described = f"DataFrame {name}, {_count(rows, 'row')} × {_count(columns, 'column')}"
    return _of_file(path, path.name, described)


def _of_file(path: Path, name: str, description: str) -> Input:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
    return Input(name, path, path.stat().st_size, digest.hexdigest(), description)


def _nearest(name: str, namespace: Mapping[str, Any], path: Path) -> str:
    variables = [
        known for known, value in namespace.items() if type(value).__name__ == "DataFrame" and not known.startswith("_")
    ]
    files = _files_near(Path(name), path)
    near = difflib.get_close_matches(Path(name).name, [*variables, *files], n=3, cutoff=0.5)
    shown = [item if item in variables else files[item] for item in near]
    if shown:
        return f"Did you mean {_either(shown)}?"
    tables = [written for file, written in files.items() if file.endswith((".csv", ".tsv", ".xlsx", ".parquet"))]
    others = [*variables, *tables][:5]
    return f"There is: {', '.join(others)}." if others else "Check the name, or the notebook's working directory."


def _files_near(name: Path, path: Path) -> dict[str, str]:
    """Files where the named one should be, or one folder further down: name → how to write it."""
    there, written = path.parent, name.parent
    if not there.is_dir():
        there, written = path.parent.parent, name.parent.parent
    if not there.is_dir():
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


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
