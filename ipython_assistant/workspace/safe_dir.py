"""Directories that others can write to as well: nothing is done through a link, and nothing over what is there.

What came with a notebook may hold a link that leads elsewhere, or a pipe that would be waited for forever. So the way
to a directory is looked at first, and a file is opened only if it is a regular one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from itertools import chain, takewhile
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

# Windows has none of the first two, and no links that an ordinary user can make.
_NO_SURPRISES = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Fingerprint(NamedTuple):
    """Place, size in bytes and time of a regular file: another file or content has another one."""

    inode: int
    device: int
    size: int
    written_ns: int


def real_directory(path: Path, within: Path, *, make: bool = False) -> Path:
    """The directory at this path, made if need be, where no link is on the way from `within` to it.

    What is below `within`, the notebook's directory, may have come with the notebook. Raises `OSError` where the
    directory is not there, or there is a link; its `filename` says which.
    """
    for component in takewhile(within.__ne__, chain((path,), path.parents)):
        if component.is_symlink():
            raise OSError(errno.ELOOP, "a link is in its place", str(component))
    if make:
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True, exist_ok=True)
    if not stat.S_ISDIR(path.stat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    return path


def fingerprint(path: Path) -> Fingerprint:
    """The fingerprint of a file. Raises `OSError`; `IsADirectoryError` for all that is no regular file, as a link."""
    there = path.lstat()
    if not stat.S_ISREG(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a link, or not a file")
    return Fingerprint(there.st_ino, there.st_dev, there.st_size, there.st_mtime_ns)


def open_file(path: Path) -> BufferedReader:
    """Open a file for reading. Raises `OSError`, also if it is a link or not a regular file."""
    fingerprint(path)  # before it is opened, since that alone does something to some devices
    return os.fdopen(os.open(path, os.O_RDONLY | _NO_SURPRISES), "rb")


def write_file(path: Path, content: bytes | IO[bytes], *, over: bool = True) -> None:
    """Write a file whole or not at all; one that is replaced keeps its mode. Raises as `place_file` does."""
    temporary = path.with_name(f".{secrets.token_hex(6)}.tmp")
    # Not by `tempfile`, whose files are for their owner alone: all who may read the notebook may read a record.
    file = os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_SURPRISES, 0o666), "wb")
    try:
        with file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                shutil.copyfileobj(content, file, 1 << 20)
        if path.exists():
            shutil.copymode(path, temporary)
        place_file(temporary, path, over=over)
    finally:
        temporary.unlink(missing_ok=True)


def place_file(staged: Path, path: Path, *, over: bool) -> None:
    """Move a file to its name, whole or not at all; without `over`, `FileExistsError` if another was there first."""
    if not over:
        try:
            # A second name for the same file is the one thing that every system gives to the first who asks.
            os.link(staged, path)
        except FileExistsError:
            raise
        except OSError:
            # FAT, some network disks and some containers have no second names. There an empty file holds the place;
            # what is really wrong with the disk shows here again.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        else:
            staged.unlink()
            return
    try:
        os.replace(staged, path)
    except OSError:
        if not over:
            with contextlib.suppress(OSError):
                path.unlink()
        raise
