"""The files of one container: which there are, under which id, and who made them; and the files of the Files API.

What code leaves in the working directory is found by walking it; a file that is new or changed gets a new id, as on the
hosted service. Code is not trusted: symbolic links are never followed, and what is opened has to be what was found.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ipython_assistant.engine.api import ApiError, bad_upload, base_name, shortened

if TYPE_CHECKING:
    from ipython_assistant.engine.api import IdMint

DEEPEST: Final = 32  # levels of directories in which files are looked for

# O_NONBLOCK: a named pipe put in a file's place must not stop us.
_READ: Final = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"))

FileStamp = tuple[int, int, int, int]
"""Size in bytes, time, device and inode: tell one version of a file from another, and from every file elsewhere."""


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One version of one file in a container; `name` is its path below `/mnt/data`, `path` that on this machine."""

    id: str
    container_id: str
    name: str
    source: Literal["user", "assistant"]
    stamp: FileStamp
    created_at: int
    path: Path

    @property
    def size_bytes(self) -> int:
        """The size when it was found."""
        return self.stamp[0]


class ContainerFolder:
    """The working directory of a container."""

    def __init__(self, container_id: str, work: Path, mint: IdMint) -> None:
        self._container_id = container_id
        self._work = work
        self._mint = mint
        self._by_name: dict[str, FileVersion] = {}
        self._changing = asyncio.Lock()

    def files(self) -> tuple[FileVersion, ...]:
        """All files as last scanned, oldest first."""
        return tuple(self._by_name.values())

    def made(self) -> tuple[FileVersion, ...]:
        """The files that code made or changed, as last scanned."""
        return tuple(file for file in self._by_name.values() if file.source == "assistant")

    async def scan(self) -> None:
        """Look at the directory again: what is new or changed becomes a new file, what is gone is forgotten."""
        async with self._changing:
            found = await asyncio.to_thread(_files_below, self._work, frozenset(self._by_name))
            for file in self.files():
                if file.name not in found:
                    del self._by_name[file.name]
            for name, (path, stamp) in found.items():
                known = self._by_name.get(name)
                if known is None or known.stamp != stamp:
                    self._enter(name, "assistant", path, stamp)

    async def add(self, staged: Path, name: str) -> FileVersion:
        """Move an uploaded file in under its own name, over one that has it. Raises ApiError if it cannot be used."""
        base = base_name(name)
        path = self._work / base
        async with self._changing:
            try:
                staged.replace(path)
            except OSError as error:
                raise bad_upload(f"{base!r} cannot be used as a file name ({error.strerror})") from error
            return self._enter(base, "user", path, _stamp(path.lstat()))

    def open(self, file_id: str) -> int:
        """A file descriptor to read this very version from; raises ApiError if it is gone or something else by now."""
        # https://github.com/sbslee/streamlit-openai/issues/18
        missing = ApiError(404, f"File {shortened(file_id)} not found on container {self._container_id}.")
        file = next((file for file in self.files() if file.id == file_id), None)
        if file is None:
            raise missing
        try:
            descriptor = os.open(file.path, _READ)
        except OSError as error:
            raise missing from error
        if _stamp(os.fstat(descriptor)) != file.stamp:  # a directory on its path may have become a link
            os.close(descriptor)
            raise missing
        return descriptor

    def _enter(self, name: str, source: Literal["user", "assistant"], path: Path, stamp: FileStamp) -> FileVersion:
        self._by_name.pop(name, None)  # a new version is listed as the newest
        about = (self._container_id, name, source, stamp, self._mint.now(), path)
        self._by_name[name] = FileVersion(self._mint("cfile_"), *about)
        return self._by_name[name]


class UploadStore:
    """All files of the Files API, which live as long as the engine, and the directory in which files arrive."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._kept: dict[str, tuple[str, Path]] = {}

    def staging(self) -> Path:
        """A new directory to write an incoming file to, for container files too; the caller deletes it."""
        return Path(tempfile.mkdtemp(prefix="part", dir=self._directory))

    def add(self, upload_id: str, staged: Path, filename: str) -> str:
        """Keep a file that was written to a `staging` directory; return its name. Raises ApiError if there is none."""
        name = base_name(filename)
        self._kept[upload_id] = (name, staged.replace(self._directory / upload_id))
        return name

    def get(self, upload_id: str) -> tuple[str, Path]:
        """Name and content of the file of this id. Raises ApiError if it does not exist."""
        if upload_id not in self._kept:
            raise ApiError(404, f"No such File object: {shortened(upload_id)}", param="id")
        return self._kept[upload_id]


def _files_below(root: Path, known: frozenset[str]) -> dict[str, tuple[Path, FileStamp]]:
    """Path and version of each regular file by its readable name, sorted; hidden ones only if `known` (uploaded)."""
    found: dict[str, tuple[Path, FileStamp]] = {}
    for directory, below, names in os.walk(root):
        deep = len(Path(directory).relative_to(root).parts) + 1 >= DEEPEST
        below[:] = [name for name in below if not (deep or name.startswith(".") or name == "__pycache__")]
        for path in (Path(directory, name) for name in names):
            # Bytes that are not UTF-8 are written as in a URL, so that names that differ in them stay apart.
            name = re.sub("[\udc80-\udcff]", lambda one: f"%{ord(one[0]) & 255:02X}", path.relative_to(root).as_posix())
            if not path.name.startswith(".") or name in known:
                with contextlib.suppress(OSError):  # it was removed or closed to us while we looked
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode):
                        found[name] = (path, _stamp(status))
    return dict(sorted(found.items()))


def _stamp(status: os.stat_result) -> FileStamp:
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino
