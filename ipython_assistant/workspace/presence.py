"""Which kernels are at work in a folder.

Each kernel holds a lock on a small file of its own for as long as it lives. The system lets go of the lock however the
process ends, so a lock that can be taken belongs to a kernel that is no more. A process id would not do: ids are used
again, and mean nothing on another machine that shares the folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SUFFIX = ".lock"
_KERNEL = re.compile(r"[0-9a-f]{12}")
_TAKEN = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


class Presence:
    """One kernel's presence in a folder.

    Args:
        folder: Where the lock files are; has to be there when `announce` is called.
        kernel: The kernel's own name, twelve hexadecimal digits.
    """

    def __init__(self, folder: Path, kernel: str) -> None:
        self._folder = folder
        self._kernel = kernel
        self._descriptor: int | None = None

    def announce(self) -> None:
        """Be at work from now on. May be called again. Raises `OSError`."""
        path = self._folder / f"{self._kernel}{SUFFIX}"
        while self._descriptor is None:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINKS, 0o666)
            # A disk without locks still has the file: others then take this kernel for one that may be at work. Where
            # another was just looking, it may have removed the file before it was locked.
            if _take(descriptor) is not False and _is_at(descriptor, path):
                self._descriptor = descriptor
            else:
                os.close(descriptor)

    def end(self) -> None:
        """Be at work no more. May be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            with contextlib.suppress(OSError):
                (self._folder / f"{self._kernel}{SUFFIX}").unlink()

    def at_work(self, names: Iterable[str] | None = None) -> frozenset[str]:
        """The kernels that are at work here, this one included if it announced itself.

        Lock files of kernels that are no more are removed on the way.

        Args:
            names: The names in the folder; if not given, it is looked at.
        """
        if names is None:
            names = []
            with contextlib.suppress(OSError):
                names = [entry.name for entry in os.scandir(self._folder)]
        kernels = [name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)]
        return frozenset(kernel for kernel in kernels if _KERNEL.fullmatch(kernel) and self._is_at_work(kernel))

    def _is_at_work(self, kernel: str) -> bool:
        if kernel == self._kernel:
            return self._descriptor is not None
        path = self._folder / f"{kernel}{SUFFIX}"
        try:
            descriptor = os.open(path, os.O_RDWR | _NO_LINKS)
        except FileNotFoundError:
            return False
        except OSError:
            # It is there and not ours to open.
            return True
        try:
            if not _take(descriptor):
                return True
        finally:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            path.unlink()
        return False


def _take(descriptor: int) -> bool | None:
    """Lock an open file for as long as it is open; False where another has it, None where there are no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _TAKEN else None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
