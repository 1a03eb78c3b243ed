"""The files of one turn on their way: many at once, begun early, resumed where one broke.

Each download is in one of four states:

        wanted, or found ahead
                 │
              queued ◄───────────────────────────────┐
                 │  a thread is free,                │  the service asks to slow down (all files wait),
                 │  and no wait was asked for        │  or the connection broke
                 ▼                                   │
             fetching ───────────────────────────────┘
                 │                    │
                 │ all bytes came     │ refused, tried in vain, interrupted, or out of time
                 ▼                    ▼
             verified              failed

When a code call ends, its container is listed and what is new is fetched while the model still writes; such a copy
counts only if no code ran since, or a later listing shows the same id, name, size and time of creation. Proxies and
caches resume wrongly, send an older version, cut a body short or answer with a page of their own: bytes count only if
the announced length came, a resumed part continues the same version, and there are as many as the container lists.
"""

from __future__ import annotations

import hashlib
import os
import queue
import re
import threading
import time
from typing import IO, TYPE_CHECKING, Literal, Self

from ipython_assistant import errors
from ipython_assistant.core.artifacts import ContainerFile, FailedArtifact, key_of, listed_files
from ipython_assistant.core.wording import counted, disk_reason
from ipython_assistant.service.background import Threads
from ipython_assistant.service.client import LARGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from ipython_assistant.service.client import OnProgress, Reply, Wire
    from ipython_assistant.service.containers import Containers

MAX_FRUITLESS_TRIES = 4  # a file is given up after so many tries that brought nothing new
POLL_S, FIRST_BACKOFF_S, MOST_DOUBLINGS = 0.1, 0.25, 5
PIECES_AHEAD = 4  # so many are written and wait to be hashed
MAY_PASS = (errors.Unreachable, errors.TimedOut, errors.StreamBroken)
PARTIAL, NOT_FOUND, RANGE_NOT_SATISFIABLE, SERVER_FAULT = 206, 404, 416, 500


class Downloads:
    """The downloads of one turn, so many `at_once`. Used in a `with`; leaving it ends those that are still under way.

    Once the answer has ended all files have `timeout_s` seconds; before, up to `ahead_bytes` bytes are fetched ahead.
    `stage` makes the directory for temporary files; `interruption` is what to raise where Ctrl-C ended the fetching.
    """

    def __init__(
        self,
        wire: Wire,
        containers: Containers,
        stage: Callable[[], Path],
        *,
        at_once: int = 32,
        timeout_s: float = 300.0,
        ahead_bytes: int = 256_000_000,
    ) -> None:
        self._wire, self._containers, self._stage = wire, containers, stage
        self._timeout_s, self._ahead_left = timeout_s, ahead_bytes
        self._pool = Threads(at_once, "ipython_assistant fetch")
        self._changed = threading.Condition(threading.RLock())
        self._copies: dict[tuple[str, str], FileDownload] = {}
        self._code_calls = self._count = self._under_way = 0
        self.staged: Path | None = None
        self._closed, self._not_before = False, 0.0
        self._deadline: float | None = None
        self.interruption: errors.Interrupted | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._changed:
            self._closed = True
            for download in self._copies.values():
                download.stop()
        self._pool.close()

    def staging(self) -> Path:
        """The directory of the temporary files, made when it is first asked for. Raises `OSError`."""
        with self._changed:
            if self.staged is None:
                self.staged = self._stage()
            return self.staged

    @property
    def left_s(self) -> float:
        """Seconds until the deadline, which is set when this is asked first, or when the answer ends."""
        with self._changed:
            if self._deadline is None:
                self._deadline = time.monotonic() + self._timeout_s
            return self._deadline - time.monotonic()

    def code_ended(self, container_id: str) -> None:
        """A code call ended: what it left may be fetched ahead, and copies made before it may be stale."""
        with self._changed:
            self._code_calls += 1
            for copy in self._copies.values():
                copy.before_code = True
        if container_id and self._ahead_left and not self._closed:
            self._pool.submit(self._fetch_ahead, container_id)

    def answer_ended(self, cited: Iterable[ContainerFile]) -> None:
        """The answer ended: begin with the files it cites. From here on nothing is begun ahead, and the time counts."""
        with self._changed:
            _ = self.left_s  # the time counts from here on
            for file in cited:
                if file.container_id and key_of(file) not in self._copies:
                    self._begin(file, wanted=True)

    def current(self) -> tuple[FileDownload, ...]:
        """The copies, whole or on their way, of files that no code can have changed since they were begun."""
        with self._changed:
            return tuple(copy for copy in self._copies.values() if not copy.before_code)

    def found_ahead(self, container_id: str) -> tuple[ContainerFile, ...]:
        """What was found ahead in a container: all that is known of it where the closing listing failed."""
        with self._changed:
            return tuple(download.file for key, download in self._copies.items() if key[0] == container_id)

    def interrupt(self) -> None:
        """End it as Ctrl-C does: nothing is waited for any more."""
        says = "The cell was interrupted while fetching files."
        self.interruption = errors.Interrupted(says, "%assistant retry fetches the rest.")

    def fetch(
        self,
        files: Sequence[ContainerFile],
        listed: Iterable[ContainerFile] = (),
        on_progress: OnProgress = lambda *_: None,
    ) -> tuple[FileDownload | FailedArtifact, ...]:
        """Fetch these files: each is on disk at its `path`, or a value with the reason why not.

        `listed` are the files as the closing listing shows them. `on_progress` is called now and then, in this thread,
        with (files done, files in all, bytes so far, bytes in all; 0 while the size of a file is not known).
        """
        rows = {key_of(row): row for row in listed}
        with self._changed:
            downloads = [self._wanted(file, rows.get(key_of(file))) for file in files]
        why = ""
        try:
            while not why and (done := sum(download.done for download in downloads)) < len(downloads):
                sizes = [download.total or download.file.size for download in downloads]
                received = sum(download.received for download in downloads)
                on_progress(done, len(downloads), received, sum(filter(None, sizes)) if all(sizes) else 0)
                with self._changed:
                    # The progress is told now and then, not at each file: looking at all of them takes a while.
                    self._changed.wait_for(lambda: not self._under_way, max(0.0, min(POLL_S, self.left_s)))
                if self.interruption is not None or self.left_s <= 0:
                    why = "Interrupted" if self.interruption else f"Not fetched within {self._timeout_s:g} s"
        except KeyboardInterrupt:
            self.interrupt()
            why = "Interrupted"
        for download in downloads:
            if not download.done:
                download.stop()
        # A copy begun early knows its file as it was found then; what is wanted says more: that it is cited, its name.
        pairs = zip(files, downloads, strict=True)
        return tuple(it if it.state == "verified" else it.failure(file, why) for file, it in pairs)

    def _wanted(self, file: ContainerFile, row: ContainerFile | None) -> FileDownload:
        """The copy that was begun early, if it cannot be stale, else a new one."""
        copy = self._copies.get(key_of(file))
        if copy is not None:
            current = not copy.before_code if row is None or copy.file.size is None else _same(copy.file, row)
            # A cut body without a stated length shows only now, where the size was not known before.
            is_cut = copy.state == "verified" and bool(file.size) and file.size != copy.received
            if current and not is_cut and (copy.wanted or copy.state != "failed"):
                copy.wanted, copy.file = True, file
                return copy
        return self._begin(file, wanted=True)

    def _fetch_ahead(self, container_id: str) -> None:
        """In a thread: list the container and begin with what is new. Nothing that fails here matters."""
        code_calls = self._code_calls
        try:
            rows = self._containers.file_rows(container_id) if time.monotonic() >= self._not_before else []
        except errors.AssistantError as error:
            if isinstance(error, errors.RateLimited):
                self._slow_down(error.retry_after_s or FIRST_BACKOFF_S)
            return
        for file in listed_files(rows, frozenset(self._containers.known(container_id).saved)):
            with self._changed:
                # What is begun once the answer has ended is wanted: it must not be fetched twice.
                if self._closed or self._deadline is not None or code_calls != self._code_calls:
                    return
                copy = self._copies.get(key_of(file))
                if copy is not None and _same(copy.file, file):
                    copy.before_code = False
                elif file.size is not None and file.size <= self._ahead_left:
                    self._ahead_left -= file.size
                    self._begin(file, wanted=False)

    def _begin(self, file: ContainerFile, *, wanted: bool) -> FileDownload:
        """Queue a download in the place of one of the same file, which is stopped."""
        if (old := self._copies.get(key_of(file))) is not None:
            old.stop()
        download = self._copies[key_of(file)] = FileDownload(self._wire, file, wanted=wanted)
        self._under_way += 1
        self._pool.submit(self._carry_out, download)
        return download

    def _carry_out(self, download: FileDownload) -> None:
        """In a thread: take one download from its queue to its end."""
        try:
            with self._changed:
                if self._closed:
                    return
                self._count += 1
                download.path = self.staging() / f"{self._count}.part"
            with download.path.open("w+b") as target:
                while not download.done:
                    wait_s = self._not_before - time.monotonic()
                    if wait_s <= 0 or download.stopped.wait(wait_s):
                        self._attempt(download, target)
        except Exception as error:  # noqa: BLE001 whatever goes wrong with one file must not cost the others
            says = disk_reason(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            download.fail(f"It could not be saved: {says}.")
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _slow_down(self, seconds: float) -> None:
        """Let every request wait so many seconds from now."""
        with self._changed:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def _attempt(self, download: FileDownload, target: IO[bytes]) -> None:
        download.state = "fetching"
        try:
            download.attempt(target)
        except errors.ServiceError as error:
            with self._changed:
                if isinstance(error, errors.RateLimited):
                    download.waits += 1
                    wait_s = error.retry_after_s or FIRST_BACKOFF_S * 2 ** min(download.waits, MOST_DOUBLINGS)
                    self._slow_down(wait_s)
                    goes_on = download.wanted and wait_s < self.left_s
                else:
                    download.fruitless = 0 if download.received > download.furthest else download.fruitless + 1
                    download.furthest = max(download.furthest, download.received)
                    wait_s = FIRST_BACKOFF_S * 2 ** min(max(0, download.fruitless - 1), MOST_DOUBLINGS)
                    status = error.status or 0
                    may_pass = isinstance(error, MAY_PASS) or status >= SERVER_FAULT or status == RANGE_NOT_SATISFIABLE
                    goes_on = may_pass and download.fruitless < MAX_FRUITLESS_TRIES
                if goes_on and not download.stopped.is_set():
                    download.state = "queued"
                else:
                    download.fail(error.message, gone=error.status == NOT_FOUND)
            if not download.done:
                download.stopped.wait(wait_s)
        else:
            download.state = "verified"


class FileDownload:
    """One file on its way, and the state it is in; `attempt` brings what is missing.

    `received` bytes with this `digest` are in the local file at `path`, which it has once it is begun; `total` is what
    the service said there will be, None before. One that was begun `before_code` ran may be stale.
    """

    def __init__(self, wire: Wire, file: ContainerFile, *, wanted: bool) -> None:
        self.file, self.wanted, self.before_code = file, wanted, False
        self.path: Path
        self.state: Literal["queued", "fetching", "verified", "failed"] = "queued"
        self.total: int | None = None
        self.stopped = threading.Event()
        self.received = self.waits = self.fruitless = self.furthest = 0
        self._wire = wire
        self.digest = hashlib.sha256()
        self._etag, self._resumable, self._reason, self._gone = "", True, "", False
        self._reply: Reply | None = None

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return self.state in {"verified", "failed"}

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
        """Bring the file, from where it broke if that can be trusted. Raises `ServiceError` if it is not whole."""
        if not self._resumable:
            self._begin_again(target)
        self._check_stopped()
        try:
            self._reply = reply = self._wire.content(*key_of(self.file), self.received, self._etag)
        except errors.ServiceError as error:
            self._resumable = error.status != RANGE_NOT_SATISFIABLE
            raise
        with reply:
            page = "text/html" in reply.headers.get("content-type", "")
            if page and not self.file.name.casefold().endswith((".html", ".htm", ".xhtml")):
                raise errors.StreamBroken("A web page came instead of the file: a proxy may have answered.")
            is_plain = not reply.headers.get("content-encoding")
            if not self._continues(reply):
                self._begin_again(target)
                stated = reply.headers.get("content-length", "")
                self._etag = reply.headers.get("etag", "")
                self.total = int(stated) if is_plain and stated.isascii() and stated.isdigit() else None
            self._resumable = is_plain
            self._read(reply, target)
        listed = self.file.size
        expected = self.total if self.total is not None else listed
        if expected is not None and self.received < expected:
            raise errors.StreamBroken(f"Only {self.received:,} of {counted(expected, 'byte')} came.")
        if listed and self.received != listed:  # some servers list every file with 0 bytes
            self._resumable = False
            raise errors.StreamBroken(f"{counted(self.received, 'byte')} came where the container lists {listed:,}.")

    def _continues(self, reply: Reply) -> bool:
        """Whether a reply goes on where the last one broke (https://www.rfc-editor.org/rfc/rfc9110#section-14.4)."""
        if reply.status != PARTIAL:
            return False
        found = re.fullmatch(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)", reply.headers.get("content-range", ""))
        first, last, total = map(int, found.groups()) if found is not None else (-1, -1, -1)
        if first == 0 and last + 1 == total:
            return False
        same_version = self.total in {None, total} and reply.headers.get("etag", "") in {"", self._etag}
        if first == self.received and last + 1 == total and same_version:
            self.total = total
            return True
        # A cache, or a proxy that does not understand ranges: it is not asked for one again.
        self._resumable = False
        raise errors.StreamBroken("Another part of the file came than was asked for.")

    def _read(self, reply: Reply, target: IO[bytes]) -> None:
        """Write what comes, and hash it: of a large file in a thread of its own, meanwhile."""
        pieces: queue.Queue[bytes | None] = queue.Queue(PIECES_AHEAD)
        hasher = threading.Thread(target=lambda: [*map(self.digest.update, iter(pieces.get, None))], daemon=True)
        is_large = self.total is None or self.total >= LARGE_BYTES
        if is_large:
            hasher.start()
        try:
            self._check_stopped()  # it may have been stopped before there was a reply to cut
            for piece in reply.chunks:
                self._check_stopped()
                target.write(piece)
                pieces.put(piece) if is_large else self.digest.update(piece)
                self.received += len(piece)
        finally:
            if is_large:
                pieces.put(None)
                hasher.join()
        target.flush()

    def _begin_again(self, target: IO[bytes]) -> None:
        if target.seek(0, os.SEEK_END):  # ext4 writes a file that was cut to nothing to the disk when it is closed
            target.seek(0)
            target.truncate()
        self.digest = hashlib.sha256()
        self.received = 0
        self._etag, self.total, self._resumable = "", None, True

    def _check_stopped(self) -> None:
        if self.stopped.is_set():
            raise errors.StreamBroken("It was interrupted.")


def _same(one: ContainerFile, other: ContainerFile) -> bool:
    first, second = ((file.file_id, file.name, file.size, file.created_at) for file in (one, other))
    return first == second
