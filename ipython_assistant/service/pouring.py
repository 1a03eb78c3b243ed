"""A large body from its socket into its file within the kernel, past the memory of this process.

What is copied into memory and out again costs two cores more than the network on loopback and the disk together. Linux
moves it through a pipe instead (splice(2)); the hash is then taken of the file's pages, which are still in memory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

PIECE_BYTES = 1 << 21
"""So much is hashed at once: with less, two threads wait for each other too often; with more, only memory is taken."""
ROOM_BYTES = 1 << 20
"""Of the pipe, where the system grants it: an ordinary user may have this much (`/proc/sys/fs/pipe-max-size`)."""

Pour: TypeAlias = "Callable[[int, int], int]"
"""Moves at least one byte and at most so many into a pipe, which has to be empty; gives their number, 0 at the end."""


class Digest(Protocol):
    """What `hashlib` gives."""

    def update(self, piece: memoryview, /) -> None:
        """Hash what comes next."""
        ...


def pour(
    pouring: Callable[[], AbstractContextManager[Pour]],
    target: IO[bytes],
    start: int,
    digest: Digest,
    on_bytes: Callable[[int], None],
) -> None:
    """Bring a body into a file, hashed by a thread of its own. However it ends, what is in the file by then is hashed.

    Args:
        pouring: See `wire.Reply`.
        target: The file, open for reading and writing; afterwards it stands behind the last byte that came.
        start: Where in the file the body begins, in bytes.
        digest: What hashes it.
        on_bytes: Is told of every so many bytes that are in the file; may raise to end it.

    Raises:
        OSError: The file could not be written.
        AssistantError: From `pouring`.
    """
    target.flush()
    file, end, hashed, hashing = target.fileno(), start, start, list[Future[None]]()
    buffer = memoryview(bytearray(PIECE_BYTES))

    def take_hash(begin: int, until: int) -> None:
        while begin < until:
            count = os.preadv(file, [buffer[: until - begin]], begin)
            if not count:
                raise OSError(errno.EIO, "what was written is gone")
            digest.update(buffer[:count])
            begin += count

    with pouring() as pour_into, _pipe() as (out_of, into), ThreadPoolExecutor(1, "ipython_assistant hash") as hasher:
        try:
            while count := pour_into(into, ROOM_BYTES):
                _empty(out_of, file, end, count)
                end += count
                on_bytes(count)
                if end - hashed >= PIECE_BYTES:
                    hashing.append(hasher.submit(take_hash, hashed, end))
                    hashed = end
        finally:
            hashing.append(hasher.submit(take_hash, hashed, end))
            target.seek(end)
            for piece in hashing:
                piece.result()


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    out_of, into = os.pipe()
    try:
        if sys.platform == "linux":
            import fcntl

            with contextlib.suppress(OSError):  # the user has many pipes: a small one does, too
                fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, ROOM_BYTES)
        yield out_of, into
    finally:
        os.close(out_of)
        os.close(into)


def _empty(pipe: int, file: int, start: int, count: int) -> None:
    """So many bytes out of a pipe to their place in a file."""
    while count:
        moved = _moved(pipe, file, start, count)
        start += moved
        count -= moved


def _moved(pipe: int, file: int, start: int, count: int) -> int:
    if sys.platform == "linux":
        try:
            return os.splice(pipe, file, count, offset_dst=start)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # A file system that does not take part. Nothing was moved.
    piece, written = memoryview(os.read(pipe, min(count, PIECE_BYTES))), 0
    while written < len(piece):
        written += os.pwrite(file, piece[written:], start + written)
    return written
