"""The files of one container: which there are, under which id, and who made them; and the files of the Files API.

What code leaves in the working directory is found by walking it; a file that is new or changed gets a new id, as on the
hosted service. Code is not trusted: symbolic links are never followed, neither when walking nor when opening.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from ipython_assistant.engine import shapes

if TYPE_CHECKING:
    from ipython_assistant.engine.sandbox import ContainerPaths
    from ipython_assistant.engine.shapes import IdMint

DEEPEST: Final = 32
"""Levels of directories in which files are looked for."""

_REMOVE: Final = """
cat > /dev/null
for attempt in 1 2 3; do
    rm -rf -- "$1"
    [ -e "$1" ] || exit 0
    chmod -R u+rwx -- "$1"
    sleep 1
done
"""
"""A shell script that waits for the end of its input, and deletes a directory.

Python 3.11's `rmtree` recurses, and code may have nested directories thousands deep: `rm` does not mind.
"""
_RELATIVE: Final = os.open in os.supports_dir_fd
_DIRECTORY: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)


class FileStamp(NamedTuple):
    """What tells one version of a file from another."""

    size_bytes: int
    mtime_ns: int
    inode: int


Source = Literal["user", "assistant"]
_Found = tuple[tuple[str, ...], FileStamp]


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One version of one file in a container; `name` is its path below `/mnt/data`, `parts` the same below `root`.

    A `displayed` one is a figure that code showed: it is not in the working directory.
    """

    id: str
    container_id: str
    name: str
    source: Source
    stamp: FileStamp
    created_at: int
    root: Path
    parts: tuple[str, ...]
    displayed: bool = False

    def unchanged(self, descriptor: int) -> bool:
        """True if the open file is still this version."""
        return _stamp(os.fstat(descriptor)) == self.stamp


class ContainerFolder:
    """The working directory of a container, and the files that are kept beside it, out of reach of its code.

    Those are displayed figures, and uploads that were replaced.
    """

    def __init__(self, container_id: str, paths: ContainerPaths, mint: IdMint) -> None:
        self.too_deep = False
        """Whether the last scan left out what lies deeper than it looks."""
        self._container_id = container_id
        self._work = paths.work
        self._aside = paths.aside
        self._mint = mint
        self._by_name: dict[str, FileVersion] = {}
        self._by_id: dict[str, FileVersion] = {}
        self._changing = asyncio.Lock()

    def files(self) -> tuple[FileVersion, ...]:
        """All files as last scanned, oldest first."""
        return tuple(self._by_name.values())

    def made(self) -> tuple[FileVersion, ...]:
        """The files that code made or changed in the working directory, as last scanned."""
        return tuple(file for file in self._by_name.values() if file.source == "assistant" and not file.displayed)

    def file(self, file_id: str) -> FileVersion:
        """The file of this id. Raises `ApiError` where it does not exist (any more)."""
        if file_id not in self._by_id:
            raise self._not_found(file_id)
        return self._by_id[file_id]

    async def scan(self) -> None:
        """Look at the directory again: what is new or changed becomes a new file, what is gone is forgotten."""
        async with self._changing:
            found, self.too_deep = await asyncio.to_thread(_files_below, self._work, frozenset(self._by_name))
            for file in self.files():
                if file.name not in found and not file.displayed:
                    self._forget(file)
            for name, (parts, stamp) in found.items():
                known = self._by_name.get(name)
                if known is None or known.stamp != stamp:
                    self._enter(name, stamp, "assistant", parts)

    async def add(self, staged: Path, name: str) -> FileVersion:
        """Move an uploaded file in under its own name; raises ApiError if that cannot be used.

        An upload of that name that is there already stays available by its id.
        """
        base = base_name(name)
        async with self._changing:
            before = self._by_name.get(base)
            if before is not None and before.source == "user":
                with contextlib.suppress(OSError):
                    (self._work / base).rename(self._aside / before.id)
                    self._by_id[before.id] = replace(before, root=self._aside, parts=(before.id,))
            try:
                staged.replace(self._work / base)
            except OSError as error:
                raise shapes.bad_upload(f"{base!r} cannot be used as a file name ({error.strerror})") from error
            return self._enter(base, _stamp((self._work / base).lstat()), "user", (base,))

    def display(self, png: bytes) -> FileVersion:
        """Keep a figure that code displayed, as `<id>.png`."""
        file_id = self._mint("cfile_")
        name = f"{file_id}.png"
        (self._aside / name).write_bytes(png)
        return self._enter(name, _stamp((self._aside / name).lstat()), "assistant", (name,), displayed_as=file_id)

    def open(self, file: FileVersion) -> int:
        """A file descriptor to read this very version from; raises ApiError if it is gone or something else by now."""
        # O_NONBLOCK: a named pipe put in the file's place must not stop us
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        path, directory = os.fspath(file.root.joinpath(*file.parts)), None
        try:
            with contextlib.ExitStack() as opened:
                if _RELATIVE:  # not on Windows: part by part, since any of them may have become a symbolic link
                    directory = os.open(file.root, _DIRECTORY)
                    opened.callback(os.close, directory)
                    for part in file.parts[:-1]:
                        directory = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
                        opened.callback(os.close, directory)
                    path = file.parts[-1]
                descriptor = os.open(path, flags, dir_fd=directory)
        except OSError as error:
            raise self._not_found(file.id) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or not file.unchanged(descriptor):
            os.close(descriptor)
            raise self._not_found(file.id)
        return descriptor

    def _not_found(self, file_id: str) -> shapes.ApiError:
        """https://github.com/sbslee/streamlit-openai/issues/18 ."""
        return shapes.ApiError(404, f"File {file_id} not found on container {self._container_id}.")

    def _enter(
        self, name: str, stamp: FileStamp, source: Source, parts: tuple[str, ...], *, displayed_as: str = ""
    ) -> FileVersion:
        file_id, root = displayed_as or self._mint("cfile_"), self._aside if displayed_as else self._work
        about = (self._container_id, name, source, stamp, self._mint.now(), root, parts, bool(displayed_as))
        file = FileVersion(file_id, *about)
        before = self._by_name.pop(name, None)  # a new version is listed as the newest
        if before is not None and self._by_id[before.id] is before:  # not where it was put aside
            del self._by_id[before.id]
        self._by_name[name] = self._by_id[file.id] = file
        return file

    def _forget(self, file: FileVersion) -> None:
        del self._by_id[file.id]
        if self._by_name.get(file.name) == file:
            del self._by_name[file.name]


@dataclass(frozen=True, slots=True)
class EngineUpload:
    """One file of the Files API; `created_at` is in seconds since the epoch, `path` is where its content is."""

    id: str
    filename: str
    purpose: str
    size_bytes: int
    created_at: int
    path: Path


class UploadStore:
    """All files of the Files API, which live as long as the engine, and the directory in which files arrive."""

    def __init__(self, directory: Path, mint: IdMint) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._mint = mint
        self._uploads: dict[str, EngineUpload] = {}

    def staging(self) -> Path:
        """A new directory to write an incoming file to, for container files too; the caller deletes it."""
        return Path(tempfile.mkdtemp(prefix="part", dir=self._directory))

    def add(self, staged: Path, filename: str, purpose: str) -> EngineUpload:
        """Keep a file that was written to a `staging` directory. Raises ApiError if the name cannot be used."""
        name, upload_id = base_name(filename), self._mint("file-")
        path = staged.replace(self._directory / upload_id)
        upload = EngineUpload(upload_id, name, purpose, path.stat().st_size, self._mint.now(), path)
        self._uploads[upload_id] = upload
        return upload

    def get(self, file_id: str) -> EngineUpload:
        """The file of this id. Raises ApiError if it does not exist."""
        if file_id not in self._uploads:
            raise shapes.ApiError(404, f"No such File object: {shapes.shortened(file_id)}", param="id")
        return self._uploads[file_id]


def removal(directory: Path) -> list[str]:
    """The command that deletes a directory with everything below it, when its standard input ends."""
    return ["/bin/sh", "-c", _REMOVE, "sh", str(directory)]


def remove_tree(directory: Path) -> None:
    """Delete a directory with everything below it; what cannot be deleted is left. Never raises."""
    if os.name == "posix":
        subprocess.run(removal(directory), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    else:
        shutil.rmtree(directory, ignore_errors=True)


def base_name(name: str) -> str:
    """The last part of a name that came with an upload; raises ApiError if nothing usable is left."""
    base = name.replace("\\", "/").rpartition("/")[2]
    base = "".join(character for character in base if character.isprintable())
    if base in {"", ".", ".."}:
        raise shapes.bad_upload(f"{name!r} is not a file name")
    return base


def _files_below(root: Path, known: frozenset[str]) -> tuple[dict[str, _Found], bool]:
    """Regular files below a directory that code may change meanwhile; `known` are hidden ones that were uploaded.

    Returns:
        Path parts and version of each by its readable name, sorted; whether there are directories too deep to look at.
    """
    found: dict[str, _Found] = {}
    too_deep = False
    for directory, below, names in os.walk(root):
        above = Path(directory).relative_to(root).parts
        below[:] = [name for name in below if not name.startswith(".") and name != "__pycache__"]
        if below and len(above) + 1 >= DEEPEST:
            below.clear()
            too_deep = True
        for each in names:
            name = "/".join((*above, each)).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            if not each.startswith(".") or name in known:
                with contextlib.suppress(OSError):  # it was removed or closed to us while we looked
                    status = os.lstat(Path(directory, each))
                    if stat.S_ISREG(status.st_mode):
                        found[name] = ((*above, each), _stamp(status))
    return dict(sorted(found.items())), too_deep


def _stamp(status: os.stat_result) -> FileStamp:
    return FileStamp(status.st_size, status.st_mtime_ns, status.st_ino)
