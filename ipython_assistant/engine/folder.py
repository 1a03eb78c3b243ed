"""The files of one container: which there are, under which id, and who made them.

A folder is a working directory plus a place for displayed figures. What code leaves in the directory is found by
walking it; a file that is new or changed gets a new id, as on the hosted service. Code in the directory is not
trusted: symbolic links are never followed, neither when walking nor when opening.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from ipython_assistant.engine import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MOUNT: Final = "/mnt/data"
"""Where the directory is in the container, whatever it is called on this machine."""

_BENEATH: Final = os.open in os.supports_dir_fd
_DIRECTORY: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

Source = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one version of a file from another."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class ContainerFile:
    """One version of one file.

    Args:
        id: `cfile_...`.
        container_id: The container it is in.
        name: Its path below `/mnt/data`, as text.
        source: Who made it.
        stamp: The version.
        created_at: Seconds since the epoch.
        shown: True for a figure that code displayed; it is not in the working directory.
        parts: Where it is on disk below its root, one name each.
    """

    id: str
    container_id: str
    name: str
    source: Source
    stamp: Stamp
    created_at: int
    shown: bool
    parts: tuple[str, ...]


class Folder:
    """The working directory of a container and the figures shown in it.

    Args:
        container_id: Whose files these are.
        work: The working directory.
        figures: Where displayed figures are kept, out of reach of the code's own listing.
        mint: Makes ids.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        container_id: str,
        work: Path,
        figures: Path,
        *,
        mint: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        self._container_id = container_id
        self._work = work
        self._figures = figures
        self._mint = mint
        self._clock = clock
        self._files: dict[str, ContainerFile] = {}

    def files(self) -> tuple[ContainerFile, ...]:
        """All files as last seen, oldest first."""
        return tuple(self._files.values())

    def made(self) -> tuple[ContainerFile, ...]:
        """The files that code made or changed in the working directory, as last seen, sorted by name."""
        made = [file for file in self._files.values() if file.source == "assistant" and not file.shown]
        return tuple(sorted(made, key=lambda file: file.name))

    def file(self, file_id: str) -> ContainerFile:
        """The file of this id.

        Raises:
            ApiError: There is none (any more).
        """
        for file in self._files.values():
            if file.id == file_id:
                return file
        raise errors.container_file_not_found(file_id, self._container_id)

    def scan(self) -> None:
        """Look at the directory again: what is new or changed becomes a new file, what is gone is forgotten."""
        found = dict(_walk(self._work, keep=frozenset(self._files)))
        for name in [name for name, file in self._files.items() if not file.shown and name not in found]:
            del self._files[name]
        for name, (parts, stamp) in sorted(found.items()):
            known = self._files.get(name)
            if known is None or known.stamp != stamp:
                self._enter(name, parts, stamp, "assistant")

    def add(self, staged: Path, name: str) -> ContainerFile:
        """Move an uploaded file in under its own name, replacing what is there.

        Args:
            staged: The file, on the same file system; it is gone afterwards.
            name: The name the uploader gave, from which only the last part is taken.

        Raises:
            ApiError: The name cannot be used.
        """
        base = base_name(name)
        try:
            staged.replace(self._work / base)
        except OSError as error:
            raise errors.bad_upload(f"{base!r} cannot be used as a file name ({error.strerror})") from error
        status = (self._work / base).lstat()
        return self._enter(base, (base,), _stamp(status), "user")

    def show(self, png: bytes) -> ContainerFile:
        """Keep a figure that code displayed, as `<id>.png`."""
        file_id = self._mint("cfile_")
        name = f"{file_id}.png"
        path = self._figures / name
        path.write_bytes(png)
        return self._enter(name, (name,), _stamp(path.lstat()), "assistant", shown_as=file_id)

    def remove(self, file_id: str) -> None:
        """Delete a file.

        Raises:
            ApiError: There is none of this id.
        """
        file = self.file(file_id)
        with contextlib.suppress(OSError):
            _unlink_beneath(self._root(file), file.parts)
        del self._files[file.name]

    def open(self, file: ContainerFile) -> int:
        """A file descriptor to read this very version from.

        Raises:
            ApiError: The file is gone, is another version by now, or is no longer a regular file.
        """
        try:
            descriptor = _open_beneath(self._root(file), file.parts)
        except OSError as error:
            raise errors.container_file_not_found(file.id, self._container_id) from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or _stamp(status) != file.stamp:
            os.close(descriptor)
            raise errors.container_file_not_found(file.id, self._container_id)
        return descriptor

    def _root(self, file: ContainerFile) -> Path:
        return self._figures if file.shown else self._work

    def _enter(
        self, name: str, parts: tuple[str, ...], stamp: Stamp, source: Source, *, shown_as: str | None = None
    ) -> ContainerFile:
        file = ContainerFile(
            id=shown_as or self._mint("cfile_"),
            container_id=self._container_id,
            name=name,
            source=source,
            stamp=stamp,
            created_at=int(self._clock()),
            shown=shown_as is not None,
            parts=parts,
        )
        self._files.pop(name, None)  # a new version is listed as the newest
        self._files[name] = file
        return file


def base_name(name: str) -> str:
    """The last part of a name that came with an upload.

    Raises:
        ApiError: Nothing usable is left.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    base = "".join(character for character in base if character.isprintable())
    if base in {"", ".", ".."}:
        raise errors.bad_upload(f"{name!r} is not a file name")
    return base


def changed(descriptor: int, file: ContainerFile) -> bool:
    """True if the open file is not the version it was when it was opened."""
    return _stamp(os.fstat(descriptor)) != file.stamp


def _walk(root: Path, *, keep: frozenset[str]) -> Iterator[tuple[str, tuple[tuple[str, ...], Stamp]]]:
    """Regular files below `root`: readable name → (path parts, version). Hidden ones only where already known."""
    pending: list[tuple[str, ...]] = [()]
    while pending:
        above = pending.pop()
        try:
            entries = _entries_beneath(root, above)
        except OSError:
            continue  # removed or made unreadable while we looked: there is nothing to offer
        for entry in entries:
            parts = (*above, entry.name)
            name = "/".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            if (entry.name.startswith(".") and name not in keep) or entry.name == "__pycache__":
                continue
            if stat.S_ISDIR(entry.status.st_mode):
                pending.append(parts)
            elif stat.S_ISREG(entry.status.st_mode):
                yield name, (parts, _stamp(entry.status))


class _Entry(NamedTuple):
    name: str
    status: os.stat_result


def _entries_beneath(root: Path, parts: tuple[str, ...]) -> list[_Entry]:
    """What is in a directory, reached without following a symbolic link."""
    if not _BENEATH:
        return [_Entry(entry.name, entry.stat(follow_symlinks=False)) for entry in os.scandir(root.joinpath(*parts))]
    with _directory_beneath(root, parts) as descriptor, os.scandir(descriptor) as entries:
        found = []
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found.append(_Entry(entry.name, entry.stat(follow_symlinks=False)))
        return found


def _open_beneath(root: Path, parts: tuple[str, ...]) -> int:
    """Open a file for reading without following a symbolic link in any part of its path."""
    if not _BENEATH:
        return os.open(root.joinpath(*parts), os.O_RDONLY | getattr(os, "O_BINARY", 0))
    with _directory_beneath(root, parts[:-1]) as directory:
        # O_NONBLOCK: a named pipe put in the file's place must not stop us
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)


def _unlink_beneath(root: Path, parts: tuple[str, ...]) -> None:
    """Delete a file without following a symbolic link in any part of its path."""
    if not _BENEATH:
        root.joinpath(*parts).unlink()
        return
    with _directory_beneath(root, parts[:-1]) as directory:
        os.unlink(parts[-1], dir_fd=directory)


@contextlib.contextmanager
def _directory_beneath(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """A descriptor of a directory below `root`; no part of the way may be a symbolic link."""
    descriptor = os.open(root, _DIRECTORY)
    try:
        for part in parts:
            below = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
