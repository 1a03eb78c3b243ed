"""The bytes of one container file into one local file, over as many tries as it takes.

Between here and the service stand proxies and caches that resume wrongly, send an older version, cut a body short or
answer with a page of their own. So the bytes count only if the length that was announced came, if a resumed part begins
where the last one broke and belongs to the same version, and if there are as many as the container lists.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import IO, TYPE_CHECKING, Literal

from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.wording import counted
from ipython_assistant.errors import ServiceError, StreamBroken

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ipython_assistant.core.artifacts import ContainerFile
    from ipython_assistant.service.client import Reply, Wire

LARGE_BYTES = 32_000_000
"""From this size on a body is read past the transport, and hashed in a thread of its own."""
PIECE_BYTES, PIECES = 1 << 18, 4
"""Smaller pieces cost more calls; larger ones, and more of them, only memory."""
PARTIAL, RANGE_NOT_SATISFIABLE = 206, 416


class FileDownload:
    """One file on its way, and the state it is in; `attempt` brings what is missing.

    `received` bytes are in the local file at `path`; `total` is what the service said there will be, None before.
    """

    def __init__(self, wire: Wire, file: ContainerFile, path: Path, *, wanted: bool, code_calls: int) -> None:
        self.file, self.path, self.wanted, self.code_calls = file, path, wanted, code_calls
        self.state: Literal["queued", "fetching", "verified", "failed"] = "queued"
        self.total: int | None = None
        self.stopped = threading.Event()
        self.received = self.waits = self.fruitless = self.furthest = 0
        self._wire = wire
        self._target: IO[bytes]
        self._digest = hashlib.sha256()
        self._etag, self._resumable = "", True
        self._reply: Reply | None = None
        self._reason, self._gone = "", False

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return self.state in {"verified", "failed"}

    @property
    def size(self) -> int | None:
        """Bytes in all, as the service states them; None while it has not."""
        return self.total or self.file.size

    @property
    def sha256(self) -> str:
        """The hash of what is in the local file, in hexadecimal."""
        return self._digest.hexdigest()

    def fail(self, reason: str, *, gone: bool = False) -> None:
        """End it without the file; `gone` where the service does not have it."""
        self._reason, self._gone, self.state = reason, gone, "failed"

    def failure(self, file: ContainerFile, why: str) -> FailedArtifact:
        """How `file` failed; `why` says what ended a download that did not come to its end."""
        reason, total = self._reason, self.total or file.size
        if why and (self.stopped.is_set() or not self.done):
            reason = f"{why} ({self.received:,} of {total:,} bytes came)." if total else f"{why}."
        return FailedArtifact(file.name, reason, file.container_id, file.file_id, self._gone)

    def stop(self) -> None:
        """End it, from any thread: a read that is under way is cut off."""
        self.stopped.set()
        if self._reply is not None:
            self._reply.close()

    def attempt(self, target: IO[bytes]) -> None:
        """Bring the file, from where the last attempt broke if that can be trusted, else from its beginning.

        Raises `ServiceError` where it is not whole (a `StreamBroken` may go better the next time), `OSError` where
        the local file cannot be written.
        """
        self._target = target
        self._go_on()
        if not self._resumable:
            self._begin_again()
        try:
            reply = self._wire.content(self.file.container_id, self.file.file_id, self.received, self._etag)
        except ServiceError as error:
            self._resumable = error.status != RANGE_NOT_SATISFIABLE
            raise
        self._reply = reply
        with reply:
            self._go_on()  # it may have been stopped before there was a reply to cut
            page = "text/html" in reply.headers.get("content-type", "")
            if page and not self.file.name.casefold().endswith((".html", ".htm", ".xhtml")):
                raise StreamBroken("A web page came instead of the file: a proxy or a login page may have answered.")
            if not self._continues(reply):
                self._begin_again()
                self._etag, self.total = reply.headers.get("etag", ""), _length(reply)
            self._resumable = not reply.headers.get("content-encoding")
            self._read(reply)
        self._target.flush()
        self._check_size()

    def _continues(self, reply: Reply) -> bool:
        """Whether a reply goes on where the last one broke; False where it is the whole file.

        https://www.rfc-editor.org/rfc/rfc9110#section-14.4
        """
        if reply.status != PARTIAL:
            return False
        found = re.fullmatch(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)", reply.headers.get("content-range", ""))
        if found is not None and int(found[2]) + 1 == (total := int(found[3])):
            if int(found[1]) == 0:
                return False
            same_version = self.total in {None, total} and reply.headers.get("etag", "") in {"", self._etag}
            if int(found[1]) == self.received and same_version:
                self.total = total
                return True
        # A cache, or a proxy that does not understand ranges: it is not asked for one again.
        self._resumable = False
        raise StreamBroken("Another part of the file came than was asked for.")

    def _read(self, reply: Reply) -> None:
        if reply.read_into is not None and (_length(reply) or 0) >= LARGE_BYTES:
            self._read_large(reply.read_into)
            return
        for chunk in reply.chunks:
            self._go_on()
            self._target.write(chunk)
            self._digest.update(chunk)
            self.received += len(chunk)

    def _read_large(self, read_into: Callable[[memoryview], int]) -> None:
        """In large pieces, each hashed in a thread of its own while the next are read and written.

        All three leave the interpreter to others meanwhile. However it ends, what was written is hashed by then.
        """
        pieces = [memoryview(bytearray(PIECE_BYTES)) for _ in range(PIECES)]
        hashing: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="ipython_assistant hash") as hasher:
            for piece in cycle(pieces):
                if len(hashing) == PIECES:
                    hashing.popleft().result()  # what was in this piece
                size = 0
                while size < len(piece) and (count := read_into(piece[size:])):
                    size += count
                self._go_on()
                self._target.write(piece[:size])
                hashing.append(hasher.submit(self._digest.update, piece[:size]))
                self.received += size
                if size < PIECE_BYTES:
                    return

    def _check_size(self) -> None:
        listed = self.file.size
        expected = self.total if self.total is not None else listed
        if expected is not None and self.received < expected:
            raise StreamBroken(f"Only {self.received:,} of {counted(expected, 'byte')} came.")
        if listed and self.received != listed:  # some servers list every file with 0 bytes
            self._resumable = False
            raise StreamBroken(f"{counted(self.received, 'byte')} came where the container lists {listed:,}.")

    def _begin_again(self) -> None:
        self._target.seek(0)
        self._target.truncate()
        self._digest = hashlib.sha256()
        self.received = 0
        self._etag, self.total, self._resumable = "", None, True

    def _go_on(self) -> None:
        if self.stopped.is_set():
            raise StreamBroken("It was interrupted.")


def _length(reply: Reply) -> int | None:
    """The length of the body in bytes, where it is stated and the body is not encoded."""
    stated = reply.headers.get("content-length", "")
    return int(stated) if stated.isascii() and stated.isdigit() and not reply.headers.get("content-encoding") else None
