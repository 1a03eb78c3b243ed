"""Directories that others can write to as well: nothing is done through a link, and nothing over what is there.

What came with a notebook may hold a link that leads elsewhere, a pipe that would be waited for forever, or a file that
another kernel has just made. So a directory is opened one component at a time without following links, and what is done
in it is done by its handle, to a regular file or not at all. Windows has no such handles; there, each component is
looked at first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

_HAS_HANDLES = {os.open, os.mkdir, os.link, os.rename, os.unlink, os.stat} <= os.supports_dir_fd
# Windows has none of these, and no links that an ordinary user can make.
_NO_SURPRISES = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Fingerprint(NamedTuple):
    """Kind, place, size in bytes and time of a file: another file or content has another one."""

    mode: int
    inode: int
    device: int
    size: int
    written_ns: int

    @property
    def is_regular(self) -> bool:
        """Whether it is a regular file, not a link to one."""
        return stat.S_ISREG(self.mode)


class SafeDirectory:
    """An open directory, made by `open_directory`. Each method raises `OSError` where the system refuses.

    Its handle is a file descriptor; None where the system has none for directories.
    """

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path = path
        self.handle = handle

    def names(self) -> list[str]:
        """Everything in it."""
        return os.listdir(self.path if self.handle is None else self.handle)

    def fingerprint(self, name: str) -> Fingerprint:
        """The fingerprint of what has this name, be it a link."""
        path, at = self.at(name)
        there = os.stat(path, follow_symlinks=False, **at)
        return Fingerprint(there.st_mode, there.st_ino, there.st_dev, there.st_size, there.st_mtime_ns)

    def open(self, name: str) -> BufferedReader:
        """Open a file for reading; an `OSError` too if it is a link or not a regular file."""
        path, at = self.at(name)
        # Looked at before it is opened, since that alone does something to some devices, and after it.
        _check_is_file(os.stat(path, follow_symlinks=False, **at).st_mode)
        with contextlib.ExitStack() as on_error:
            file = on_error.enter_context(os.fdopen(os.open(path, os.O_RDONLY | _NO_SURPRISES, **at), "rb"))
            _check_is_file(os.fstat(file.fileno()).st_mode)
            on_error.pop_all()
        return file

    def write(self, name: str, content: bytes | IO[bytes], *, over: bool = True) -> None:
        """Write a file whole or not at all. Without `over`, `FileExistsError` if the name is taken."""
        temporary, at = self.at(f".{secrets.token_hex(6)}.tmp")
        # Not by `tempfile`, whose files are for their owner alone: all who may read the notebook may read a record.
        file = os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_SURPRISES, 0o666, **at), "wb")
        try:
            with file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    shutil.copyfileobj(content, file, 1 << 20)
            self.place(temporary, name, over=over, **{f"src_{key}": value for key, value in at.items()})
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary, **at)

    def place(self, staged: Path | str, name: str, *, over: bool, **source: Any) -> None:
        """Move a file here, whole or not at all. Without `over`, `FileExistsError` for all but the first who tries."""
        path, at = self.at(name)
        both = {**source, **{f"dst_{key}": value for key, value in at.items()}}
        if over:
            os.replace(staged, path, **both)
            return
        try:
            # A second name for the same file is the one thing that every system gives to the first who asks.
            os.link(staged, path, **both)
        except FileExistsError:
            raise
        except OSError:
            # FAT, some network disks and some containers have no second names. There an empty file holds the place;
            # what is really wrong with the disk shows here again.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, **at))
            try:
                os.replace(staged, path, **both)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(path, **at)
                raise
        else:
            os.unlink(staged, **{key.removeprefix("src_"): value for key, value in source.items()})

    def make(self, name: str) -> None:
        """Make a directory in it."""
        path, at = self.at(name)
        os.mkdir(path, **at)

    def remove(self, name: str) -> int:
        """Remove a file; gives its size."""
        path, at = self.at(name)
        size = os.stat(path, follow_symlinks=False, **at).st_size
        os.unlink(path, **at)
        return size

    def remove_tree(self, name: str) -> None:
        """Remove a directory and what is in it; `RecursionError` where it is too deep."""
        path, at = self.at(name)
        shutil.rmtree(path, **at)

    def at(self, name: str) -> tuple[str, dict[str, Any]]:
        """How a function of `os` is told of this name here: as a path, and with its keyword `dir_fd` if it has one."""
        return (str(self.path / name), {}) if self.handle is None else (name, {"dir_fd": self.handle})


@contextlib.contextmanager
def open_directory(path: Path, within: Path, *, make: bool = False) -> Iterator[SafeDirectory]:
    """Open a directory, made if need be, without following a link on the way from `within` to it.

    `within` is the notebook's directory. The user chose it, and may choose any directory that is not below it; what is
    below it may have come with the notebook. Raises `OSError` where the directory is not there, or a component below
    `within` is a link; its `filename` says which.
    """
    below = path.relative_to(within).parts if path.is_relative_to(within) else ()
    below = () if ".." in below else below
    here = within if below else path
    if make:
        here.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as opened:
        handle = _opened(opened, here, None)
        for name in below:
            here /= name
            target, at = SafeDirectory(here.parent, handle).at(name)
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(target, **at)
            if stat.S_ISLNK(os.stat(target, follow_symlinks=False, **at).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(here))
            handle = _opened(opened, target, handle)
        yield SafeDirectory(path, handle)


def directory_id(path: Path) -> tuple[int, int] | None:
    """Identifies a directory also after it was renamed; None where it does not exist."""
    with contextlib.suppress(OSError):
        there = path.stat()
        return there.st_dev, there.st_ino
    return None


def renamed_directory(path: Path, identity: tuple[int, int] | None, working_dir: Path) -> Path | None:
    """Where a directory is now, if it was renamed since it had this `directory_id`; None otherwise.

    It is found as the process's working directory, which the system follows, or as one above that.
    """
    if identity is None or directory_id(path) == identity:
        return None
    return next((above for above in (working_dir, *working_dir.parents) if directory_id(above) == identity), None)


def write_whole(path: Path, text: str) -> None:
    """Write a file of the user's own whole or not at all; one that is replaced keeps its mode. Raises `OSError`."""
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as folder:
        staged = Path(folder, path.name)
        staged.write_text(text, encoding="utf-8")
        if path.exists():
            shutil.copymode(path, staged)
        staged.replace(path)


def _opened(stack: contextlib.ExitStack, path: Path | str, parent: int | None) -> int | None:
    if not _HAS_HANDLES:
        os.listdir(path)
        return None
    # What the user chose may be a link, what is below it may not.
    flags = os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if parent is not None else 0)
    handle = os.open(path, flags, dir_fd=parent)
    stack.callback(os.close, handle)
    return handle


def _check_is_file(mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "it is a link")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EISDIR, "it is not a file")
