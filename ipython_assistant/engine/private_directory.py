"""The engine's one private directory: made, marked and locked at the start, gone at the end.

What engines that were killed have left is removed at the next start, and nothing else: its name has the form that
`mkdtemp` gives, it and the mark in it belong to this user, and no living engine holds the mark's lock.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import shutil
import stat
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

if os.name == "posix":  # elsewhere directories are neither marked nor swept
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK: Final = "engine-directory"
MARK_TEXT: Final = (
    b"A directory of the ipython_assistant engine. It is deleted when the engine that holds it has ended.\n"
)

_PREFIX: Final = "ipa-engine-"
_NAME: Final = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
_LONGEST_PARENT: Final = 48
"""Bytes; sockets below it have paths that must stay short."""
_RELATIVE: Final = {os.open, os.unlink, os.rmdir, os.rename} <= os.supports_dir_fd and os.scandir in os.supports_fd
_DIRECTORY: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """Make a directory that only this user can read, and delete it afterwards.

    Directories of killed engines are deleted meanwhile, since they hold what was uploaded.
    """
    parent = Path(tempfile.gettempdir())
    if os.name == "posix" and len(os.fsencode(parent.resolve())) > _LONGEST_PARENT:
        parent = Path("/tmp")  # noqa: S108 - a new private directory in it
    # In the background: whatever killed engines have left, it must not hold up the start.
    threading.Thread(target=sweep, args=(parent,), name="sweep", daemon=True).start()
    # Resolved: what code prints of it must be recognised (on macOS the temporary directory is a symbolic link).
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)).resolve()
    mark = _mark(directory) if os.name == "posix" else None
    try:
        yield directory
    finally:
        if mark is not None:
            os.close(mark)
        remove_tree(directory)


def sweep(parent: Path) -> None:
    """Delete this user's marked engine directories below `parent` that no living engine holds. Never raises."""
    with contextlib.suppress(OSError):
        for name in os.listdir(parent) if os.name == "posix" else ():  # noqa: PTH208 - names
            if _NAME.fullmatch(name):
                _remove_if_abandoned(parent / name)


def remove_tree(directory: Path) -> None:
    """Delete a directory with everything below it; what cannot be deleted is left. Never raises.

    Code may have nested directories thousands deep, so nothing here recurses: directories are moved up to the top
    before they are emptied, and each is moved once.
    """
    if not _RELATIVE:
        with contextlib.suppress(RecursionError):
            shutil.rmtree(directory, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        top = os.open(directory, _DIRECTORY)
        try:
            fresh_names = (f"{secrets.token_hex(8)}-{number}" for number in itertools.count())
            pending = os.listdir(top)  # noqa: PTH208 - a descriptor
            while pending:
                pending += _remove_or_lift(top, pending.pop(), fresh_names)
        finally:
            os.close(top)
        os.rmdir(directory)  # noqa: PTH106 - as its neighbours


def _remove_or_lift(top: int, name: str, fresh_names: Iterator[str]) -> list[str]:
    """Delete an entry of `top`; if it is a directory, move those in it up to `top` first and return their new names."""
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=top)
        return []
    lifted: list[str] = []
    with contextlib.suppress(OSError):
        os.chmod(name, stat.S_IRWXU, dir_fd=top)
        descriptor = os.open(name, _DIRECTORY, dir_fd=top)
        try:
            for inner in os.listdir(descriptor):  # noqa: PTH208
                with contextlib.suppress(OSError):
                    os.unlink(inner, dir_fd=descriptor)
                    continue
                with contextlib.suppress(OSError):
                    os.chmod(inner, stat.S_IRWXU, dir_fd=descriptor)
                    new_name = next(fresh_names)
                    os.rename(inner, new_name, src_dir_fd=descriptor, dst_dir_fd=top)
                    lifted.append(new_name)
        finally:
            os.close(descriptor)
        os.rmdir(name, dir_fd=top)
    return lifted


def _mark(directory: Path) -> int:
    """Put a locked mark into the directory; the system lets go of the lock when this process ends, however it ends.

    Returns:
        The descriptor that holds the lock.
    """
    unfinished = directory / f"{MARK}.new"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, MARK_TEXT)
    unfinished.rename(directory / MARK)  # from here on a sweep sees the mark, and that it is locked
    return descriptor


def _remove_if_abandoned(directory: Path) -> None:
    with contextlib.suppress(OSError):
        status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return
        descriptor = os.open(directory / MARK, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid == os.getuid() and os.read(descriptor, len(MARK_TEXT) + 1) == MARK_TEXT:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where a living engine holds it
                remove_tree(directory)
        finally:
            os.close(descriptor)
