"""How the files of a container get to its kernel and back: by a disk they share, or through the kernel itself.

A kernel on another machine, a pod for one, shares no disk with the engine. Then the container's directory here is a
copy: what is new here is brought over before code runs, what code made is fetched after. Code over there is no more
trusted than here: the names it gives its files are looked at before they are used.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Protocol

from ipython_assistant.engine.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipython_assistant.engine.kernels import Kernel

CHUNK: Final = 600_000
"""Bytes in one message: as text they are a third more, and a kernel's text is cut at a million characters."""

MAX_QUOTED: Final = 80
"""Characters of an answer that makes no sense, in the message that says so."""

_LIST: Final = """
import json, os, stat
def _found(top):
    for at, directories, names in os.walk(top):
        directories[:] = [name for name in directories if name != "__pycache__"]
        for name in names:
            path = os.path.join(at, name)
            try:
                status = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield [os.path.relpath(path, top).replace(os.sep, "/"), status.st_size, status.st_mtime_ns]
print(json.dumps(list(_found({work!r}))))
"""
_READ: Final = """
import base64, os
with open(os.path.join({work!r}, {name!r}), "rb") as _file:
    _file.seek({start})
    print(base64.b64encode(_file.read({length})).decode())
"""
_WRITE: Final = """
import base64, json, os
_path = os.path.join({work!r}, {name!r})
os.makedirs(os.path.dirname(_path), exist_ok=True)
with open(_path, {mode!r}) as _file:
    _file.write(base64.b64decode({content!r}))
_status = os.lstat(_path)
print(json.dumps([_status.st_size, _status.st_mtime_ns]))
"""
_REMOVE: Final = """
import os
_path = os.path.join({work!r}, {name!r})
if os.path.lexists(_path):
    os.remove(_path)
"""
_EMPTY: Final = "import shutil\nshutil.rmtree({work!r}, ignore_errors=True)"


class Transfer(Protocol):
    """Keeps the container's directory on this machine and the kernel's working directory the same."""

    async def bring(self, kernel: Kernel) -> None:
        """Give the kernel what is new on this side, before code runs. Raises `KernelError`."""
        ...

    async def fetch(self, kernel: Kernel) -> None:
        """Take what code made or changed, after it ran. Raises `KernelError`."""
        ...

    async def leave(self, kernel: Kernel) -> None:
        """Leave nothing behind on the other side, if it can be reached."""
        ...


class SharedDisk:
    """Both are one directory: there is nothing to do."""

    async def bring(self, kernel: Kernel) -> None:
        """Nothing."""

    async def fetch(self, kernel: Kernel) -> None:
        """Nothing."""

    async def leave(self, kernel: Kernel) -> None:
        """Nothing."""


class ThroughKernel:
    """The two are apart, and all there is between them is the kernel.

    Args:
        here: The container's directory on this machine; nothing but the engine writes to it.
        there: The kernel's working directory, as the kernel sees it.
        most: Bytes that are fetched at most.
    """

    def __init__(self, here: Path, there: str, *, most: int) -> None:
        self._here = here
        self._there = there
        self._most = most
        self._kernel: Kernel | None = None
        self._ours: dict[str, tuple[int, int, int]] = {}
        self._theirs: dict[str, tuple[int, int]] = {}

    async def bring(self, kernel: Kernel) -> None:
        """Write what is new here over there, and remove there what was removed here.

        Raises:
            KernelError: It could not be written.
        """
        if kernel is not self._kernel:  # a new one has nothing
            self._kernel, self._ours, self._theirs = kernel, {}, {}
        ours = dict(self._files())
        for name in self._ours.keys() - ours.keys():
            await kernel.probe(_REMOVE.format(work=self._there, name=name))
            self._theirs.pop(name, None)
        for name, version in ours.items():
            if self._ours.get(name) != version:
                self._theirs[name] = await self._send(kernel, name)
        self._ours = ours

    async def fetch(self, kernel: Kernel) -> None:
        """Read what is new there, and remove here what was removed there.

        Raises:
            KernelError: It could not be read, or there is too much of it.
        """
        theirs = _listed(await kernel.probe(_LIST.format(work=self._there)))
        if sum(size for size, _ in theirs.values()) > self._most:
            raise KernelError(f"The files take more than {self._most:,} bytes, which is the limit here.")
        for name in self._theirs.keys() - theirs.keys():
            with contextlib.suppress(OSError):  # it may be a directory by now, or be gone
                self._here.joinpath(name).unlink()
        for name, version in theirs.items():
            if self._theirs.get(name) != version:
                await self._receive(kernel, name, version[0])
        self._theirs, self._ours = theirs, dict(self._files())

    async def leave(self, kernel: Kernel) -> None:
        """Delete the directory over there."""
        if kernel is self._kernel and not kernel.ended:
            with contextlib.suppress(KernelError):
                await kernel.probe(_EMPTY.format(work=self._there))

    async def _send(self, kernel: Kernel, name: str) -> tuple[int, int]:
        with self._here.joinpath(name).open("rb") as file:
            chunk, mode, answer = file.read(CHUNK), "wb", ""
            while chunk or mode == "wb":
                content = base64.b64encode(chunk).decode()
                code = _WRITE.format(work=self._there, name=name, mode=mode, content=content)
                answer = await kernel.probe(code)
                chunk, mode = file.read(CHUNK), "ab"
        try:
            size, changed = json.loads(answer)
            return int(size), int(changed)
        except (ValueError, TypeError):
            raise KernelError(f"{name!r} could not be brought over: the answer was {answer[:MAX_QUOTED]!r}.") from None

    async def _receive(self, kernel: Kernel, name: str, size: int) -> None:
        path = self._here / name
        staged = self._here.parent / "received"
        try:
            with staged.open("wb") as file:
                for start in range(0, size, CHUNK):
                    length = min(CHUNK, size - start)
                    code = _READ.format(work=self._there, name=name, start=start, length=length)
                    file.write(_chunk(await kernel.probe(code), length))
            path.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(path)
        except OSError as error:  # over there a file became a directory meanwhile, or the other way round
            raise KernelError(f"{name!r} could not be fetched: {error.strerror}.") from error
        except ValueError as error:
            raise KernelError(f"{name!r} could not be fetched: what came is not its content.") from error

    def _files(self) -> Iterator[tuple[str, tuple[int, int, int]]]:
        for at, _, names in os.walk(self._here):
            for name in names:
                path = Path(at, name)
                status = path.lstat()
                yield path.relative_to(self._here).as_posix(), (status.st_size, status.st_mtime_ns, status.st_ino)


def _listed(said: str) -> dict[str, tuple[int, int]]:
    """Name → size and time of change, of what a kernel says of its files. Raises `KernelError` if that is no list."""
    try:
        listed = [(name, int(size), int(changed)) for name, size, changed in json.loads(said)]
    except (ValueError, TypeError, RecursionError):
        raise KernelError(f"Instead of a list of the files there came {said[:MAX_QUOTED]!r}.") from None
    return {name: (size, changed) for name, size, changed in listed if is_inside(name) and size >= 0}


def _chunk(said: str, length: int) -> bytes:
    """A piece of a file. Raises `ValueError` if it is not so many bytes: the file changed, or the kernel is odd."""
    content = base64.b64decode(said.strip(), validate=True)
    if len(content) != length:
        raise ValueError(length)
    return content


def is_inside(name: object) -> bool:
    """Whether a name that came from over there stays below the directory it is for, and is one at all."""
    if not isinstance(name, str) or "\0" in name or "\\" in name:
        return False
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts
