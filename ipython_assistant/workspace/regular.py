"""Files in a folder that others can write to as well: never through a link, never over what is there.

A name in such a folder may be a symbolic link that somebody planted, a pipe that would be waited for forever, or a file
that came a moment ago. What is done here is done to a regular file or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

# Windows has none of these, and no links that an ordinary user can make.
_NO_SURPRISES = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)


def refuse_links(path: Path, within: Path) -> None:
    """Raise `OSError` where `path`, or a folder between `within` and it, is a link.

    What is not below `within` was chosen by the user, and may lead anywhere; what is below it may have come with a
    folder that somebody else made.
    """
    below = path.relative_to(within).parts if path.is_relative_to(within) else ()
    for number in range(len(below)):
        part = within.joinpath(*below[: number + 1])
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISLNK(part.lstat().st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(part))


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading.

    Raises:
        OSError: It cannot be read, or is a link or no file at all.
    """
    _check(path.lstat().st_mode)
    descriptor = os.open(path, os.O_RDONLY | _NO_SURPRISES | _BINARY)
    file = os.fdopen(descriptor, "rb")
    try:
        # It may have become another since.
        _check(os.fstat(descriptor).st_mode)
    except OSError:
        file.close()
        raise
    return file


def sha256_of(path: Path) -> str:
    """The hash of a regular file's bytes. Raises `OSError` as `open_regular`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Fingerprint(NamedTuple):
    """What changes when somebody writes to a file or puts another one in its place."""

    mode: int
    inode: int
    device: int
    size: int
    written_ns: int

    @property
    def is_regular(self) -> bool:
        """Whether it is a regular file, not a link to one."""
        return stat.S_ISREG(self.mode)


def fingerprint(path: Path) -> Fingerprint:
    """The fingerprint of what has this name now, be it a link. Raises `OSError`."""
    there = path.lstat()
    return Fingerprint(there.st_mode, there.st_ino, there.st_dev, there.st_size, there.st_mtime_ns)


def place_new(staged: Path, target: Path) -> None:
    """Move a file to a name that nobody has: whole or not at all, and for one of several who try at once.

    Raises:
        FileExistsError: Somebody has the name.
        OSError: It cannot be done.
    """
    try:
        # A second name for the same file is the one thing that every system gives to the first who asks.
        os.link(staged, target)
    except FileExistsError:
        raise
    except OSError:
        # FAT, some network disks and some containers have no second names. There an empty file holds the place; what is
        # really wrong with the disk shows here again.
        _place_over_reservation(staged, target)
    else:
        staged.unlink()


def _place_over_reservation(staged: Path, target: Path) -> None:
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        staged.replace(target)
    except OSError:
        with contextlib.suppress(OSError):
            target.unlink()
        raise


def _check(mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "it is a link")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EISDIR, "it is not a file")
