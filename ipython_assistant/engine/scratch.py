"""The engine's one private directory, gone when the engine is; and the ones of engines that were killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX: Final = "ipython-assistant-"
_LOCK: Final = "lock"
_LONGEST_PARENT: Final = 48
"""Bytes; sockets below it have paths that must stay short."""
_SETTLED_S: Final = 60.0
"""A directory younger than this may not be locked yet, though somebody is about to."""


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """Make a directory that only this user can read, and delete it afterwards.

    Directories left by engines that were killed are deleted too: they hold what was uploaded.
    """
    parent = Path(tempfile.gettempdir())
    if os.name == "posix" and len(os.fsencode(parent.resolve())) > _LONGEST_PARENT:
        parent = Path("/tmp")  # noqa: S108 - a new private directory in it
    sweep(parent)
    # Resolved: what code prints of it must be recognised (on macOS the temporary directory is a symbolic link).
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)).resolve()
    try:
        with _held(directory):
            yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def sweep(parent: Path, *, now: float | None = None) -> None:
    """Delete this user's engine directories below `parent` that no living engine holds.

    Args:
        parent: Where to look.
        now: Seconds since the epoch.
    """
    moment = time.time() if now is None else now
    for path in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            own = stat.S_ISDIR(status.st_mode) and (os.name != "posix" or status.st_uid == os.getuid())
            if own and moment - status.st_mtime > _SETTLED_S:
                with _held(path):
                    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, which the system lets go when the process ends, however it ends.

    Raises:
        OSError: Another process holds it, or there are no such locks on this system.
    """
    with (directory / _LOCK).open("w") as lock:
        try:
            import fcntl
        except ImportError:  # Windows deletes no open file: there `rmtree` itself finds out
            yield
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
