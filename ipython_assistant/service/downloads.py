"""Many container files at once: streamed to disk and hashed on the way, resumed where one broke, begun early.

The downloads of one turn share their manners. When the service says "slow down", everybody waits as long as it asked,
what was only fetched ahead gives way, and that waiting is not held against the turn's time-out.

Fetching ahead: when a code call ends, its container is listed and what is new there is fetched while the model still
writes. Such a copy counts only if the file cannot have changed since: either no code ran after it was begun, or the
closing listing still shows the same id, size and time of creation.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import cycle
from typing import IO, TYPE_CHECKING, Self

from ipython_assistant.core.artifacts import ContainerFile, FailedArtifact, listed_files
from ipython_assistant.errors import (
    AssistantError,
    Interrupted,
    RateLimited,
    ServiceError,
    StreamBroken,
    TimedOut,
    Unreachable,
)
from ipython_assistant.service.pouring import pour
from ipython_assistant.service.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from ipython_assistant.service.containers import Containers
    from ipython_assistant.service.wire import Reply, Wire

VAIN_TRIES = 4
"""A file is given up after so many tries that brought nothing new."""
MOST_DELAYS = 30
"""A file is given up after the service asked to wait so many times."""
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.25, 8.0
LOOK_UP_S = 0.1
"""Whoever waits looks so often whether it was stopped."""
EVERYBODY = 32
"""So many requests at once, answered after a pause, end the care that is taken after it."""
LONGEST_ASKED_S = 120.0
"""A service that asks to wait longer than this will not be waited for."""
LARGE_BYTES, LARGE_AT_ONCE = 32_000_000, 2
"""From this size on a body is read in large pieces, which takes memory: two files at once, others as they come."""
PIECE_BYTES, PIECES = 1 << 19, 4
"""Smaller pieces cost more calls; larger ones, and more of them, only memory."""
NOT_FOUND, RANGE_NOT_SATISFIABLE, PARTIAL = 404, 416, 206
SERVER_FAULT = 500


def interrupted() -> Interrupted:
    """The error for Ctrl-C while files are on their way."""
    return Interrupted("The cell was interrupted as its files came.", "%assistant retry fetches the rest.")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A container file whose bytes are in a temporary file, not yet under its own name."""

    file: ContainerFile
    staged: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How downloads behave.

    Attributes:
        at_once: Connections at the same time, at most.
        timeout_s: Seconds for all files of a turn once the answer has ended, without the waiting the service asked for.
        ahead_bytes: Bytes that may be fetched ahead in one turn; 0 fetches nothing ahead.
    """

    at_once: int = 32
    timeout_s: float = 300.0
    ahead_bytes: int = 256_000_000


class Downloads:
    """The downloads of one turn. Used in a `with`; leaving it ends whatever is still under way.

    Args:
        wire: Who has the files.
        containers: Lists them.
        stage: Makes the directory for temporary files, when the first is needed. Raises `OSError`.
        limits: How to behave.
        clock: Seconds, from anywhere.
    """

    def __init__(
        self,
        wire: Wire,
        containers: Containers,
        stage: Callable[[], Path],
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wire = wire
        self._containers = containers
        self._stage = stage
        self._limits = limits
        self._clock = clock
        self._pool = Threads(limits.at_once, "ipython_assistant fetch")
        self._pace = _Pace(clock)
        self._large = threading.Semaphore(LARGE_AT_ONCE)
        self._lock = threading.RLock()
        self._ahead: dict[tuple[str, str], _Ahead] = {}
        self._ahead_bytes = 0
        self._code_calls = 0
        self._running: set[_Download] = set()
        self._staging: Path | None = None
        self._count = 0
        self._asked = False
        self._closed = False
        self._cut: Interrupted | None = None
        self._since: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._closed = True
            running = list(self._running)
        for download in running:
            download.stop()
        self._pool.close()

    def staging(self) -> Path:
        """The directory of the temporary files, made when it is first asked for. Raises `OSError`."""
        with self._lock:
            if self._staging is None:
                self._staging = self._stage()
            return self._staging

    @property
    def staged(self) -> Path | None:
        """The directory of the temporary files, if it was made."""
        return self._staging

    @property
    def cut(self) -> Interrupted | None:
        """What ended the last `fetch`, if that was Ctrl-C."""
        return self._cut

    def ahead(self, container_id: str) -> tuple[ContainerFile, ...]:
        """What was found ahead in a container: all that is known of it where the closing listing cannot be had."""
        with self._lock:
            return tuple(ahead.file for key, ahead in self._ahead.items() if key[0] == container_id)

    def current(self) -> tuple[ContainerFile, ...]:
        """What was found ahead after the last code call ended: no code has run since that could have changed it."""
        with self._lock:
            return tuple(
                ahead.file
                for ahead in self._ahead.values()
                if ahead.download.begun_ahead and ahead.code_calls == self._code_calls
            )

    def has(self, file: ContainerFile) -> bool:
        """Whether its copy is here, whole or given up, so that `fetch` would not wait for it."""
        with self._lock:
            ahead = self._ahead.get((file.container_id, file.file_id))
        return ahead is not None and ahead.download.future.done()

    def forget(self, file: ContainerFile) -> None:
        """The copy of this file is another than the file by now: the next `fetch` brings it anew."""
        with self._lock:
            ahead = self._ahead.pop((file.container_id, file.file_id), None)
        if ahead is not None:
            ahead.download.stop()

    def interrupt(self) -> None:
        """End it as Ctrl-C does: the next `fetch` waits for nothing."""
        self._cut = interrupted()

    def code_ended(self, container_id: str) -> None:
        """A code call ended: what it left may be fetched ahead, and copies made before it may be stale."""
        with self._lock:
            self._code_calls += 1
        if container_id and self._limits.ahead_bytes and not self._closed:
            self._pool.submit(self._look_ahead, container_id, self._code_calls)

    def fetch(
        self,
        files: Sequence[ContainerFile],
        listed: Iterable[ContainerFile] = (),
        on_progress: Callable[[int, int, int], None] = lambda _done, _total, _bytes: None,
    ) -> tuple[Fetched | FailedArtifact, ...]:
        """Bring these files; one that cannot be had is a value with a reason, and the rest goes on.

        Args:
            files: What is wanted.
            listed: The files as the closing listing shows them.
            on_progress: Called now and then, in the calling thread, with (files done, files in all, bytes so far).

        Returns:
            One outcome for each file, in the order of `files`. After Ctrl-C, what had not come is a failure.
        """
        with self._lock:
            self._asked = True
        if not files:
            return ()
        self._since = self._clock() if self._since is None else self._since
        rows = {(row.container_id, row.file_id): row for row in listed}
        downloads = [self._download_of(file, rows.get((file.container_id, file.file_id))) for file in files]
        began = self._since
        why = self._await(downloads, began, on_progress)
        if not why:
            # What was begun ahead may have given way just before it was wanted.
            downloads = [
                self._begin(file, speculative=False) if download.fell_short_of(file) else download
                for file, download in zip(files, downloads, strict=True)
            ]
            why = self._await(downloads, began, on_progress)
        for download in downloads:
            if why and not download.future.done():
                download.stop()
        # A copy begun early knows its file as it was found then; what is wanted says more: that it is cited, its name.
        return tuple(
            replace(outcome, file=file) if isinstance(outcome := download.outcome(why), Fetched) else outcome
            for file, download in zip(files, downloads, strict=True)
        )

    def _await(self, downloads: Sequence[_Download], began: float, on_progress: Callable[[int, int, int], None]) -> str:
        """Wait for all of them; says what ended the waiting, if that was not their end."""
        pending = {download.future for download in downloads}
        try:
            while pending:
                if self._cut is not None:
                    return "It was interrupted"
                _, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
                received = sum(download.received for download in downloads)
                on_progress(len(downloads) - len(pending), len(downloads), received)
                if pending and self._clock() - began - self._pace.asked_s(began) > self._limits.timeout_s:
                    return f"It had not come after {self._limits.timeout_s:g} s"
        except KeyboardInterrupt:
            self._cut = interrupted()
            return "It was interrupted"
        return ""

    def begin(self, files: Iterable[ContainerFile]) -> None:
        """Begin with files that are known to be wanted; `fetch` waits for them."""
        with self._lock:
            for file in files:
                key = (file.container_id, file.file_id)
                if file.container_id and key not in self._ahead and not self._closed:
                    self._ahead[key] = _Ahead(file, self._code_calls, self._begin(file, speculative=False))

    def _look_ahead(self, container_id: str, code_calls: int) -> None:
        """In a thread: list the container and begin with what is new. Nothing that fails here matters."""
        if self._pace.slowed:
            return
        try:
            rows = self._containers.file_rows(container_id)
        except RateLimited as error:
            self._pace.slow_down(error.retry_after_s or FIRST_BACKOFF_S)
            return
        except AssistantError:
            return
        for file in listed_files(rows, self._containers.seen(container_id)):
            key, size = (file.container_id, file.file_id), file.size
            with self._lock:
                # From the moment files are asked for, nothing is begun ahead: it would be fetched twice.
                if self._closed or self._asked:
                    return
                ahead = self._ahead.get(key)
                if size is None or self._ahead_bytes + size > self._limits.ahead_bytes:
                    continue
                if ahead is not None and _same(ahead.file, file):
                    continue
                self._ahead_bytes += size
                self._ahead[key] = _Ahead(file, code_calls, self._begin(file, speculative=True))

    def _download_of(self, file: ContainerFile, row: ContainerFile | None) -> _Download:
        """The copy that was fetched ahead, if it cannot be stale, else a new one."""
        with self._lock:
            ahead = self._ahead.get((file.container_id, file.file_id))
        if ahead is not None:
            current = ahead.code_calls == self._code_calls or (row is not None and _same(ahead.file, row))
            if current and not (ahead.download.begun_ahead and ahead.download.gave_up):
                ahead.download.speculative = False
                return ahead.download
            ahead.download.stop()
        return self._begin(file, speculative=False)

    def _begin(self, file: ContainerFile, *, speculative: bool) -> _Download:
        download = _Download(self._wire, file, self._pace, self._large, speculative=speculative)
        try:
            staging = self.staging()
        except OSError as error:
            download.fail(f"The folder for files cannot be written to: {error.strerror or type(error).__name__}.")
            return download
        with self._lock:
            self._count += 1
            download.staged = staging / f"{self._count}.part"
            self._running.add(download)
            if self._closed:
                download.stop()
            else:
                download.future = self._pool.submit(self._carry_out, download)
        return download

    def _carry_out(self, download: _Download) -> Fetched | FailedArtifact:
        try:
            return download.run()
        finally:
            with self._lock:
                self._running.discard(download)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A copy that was begun before anybody asked for it: the file as it was listed then, and after which code call."""

    file: ContainerFile
    code_calls: int
    download: _Download


class _Pace:
    """What the service asked for: until when everybody waits, how much waiting that was, and who goes first afterwards.

    After a pause one request goes alone; each that is answered lets twice as many go. All at once would run into the
    same limit again, since a service counts the requests of the last minute and forgets them one by one.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._until = 0.0
        self._spans: list[tuple[float, float]] = []
        self._pauses = 0
        self._allowed: int | None = None
        self._under_way = 0

    @property
    def slowed(self) -> bool:
        return self._clock() < self._until

    def slow_down(self, seconds: float) -> None:
        with self._changed:
            now = self._clock()
            until = now + seconds
            if until > self._until:
                self._spans.append((max(now, self._until), until))
                self._until = until
            self._pauses += 1
            self._allowed, self._under_way = 1, 0

    def asked_s(self, since: float) -> float:
        """Seconds of asked-for waiting between `since` and now."""
        now = self._clock()
        with self._changed:
            return sum(max(0.0, min(end, now) - max(start, since)) for start, end in self._spans)

    def enter(self, stopped: threading.Event) -> int | None:
        """Wait for one's turn to ask; gives what `leave` wants to have, or None if it was stopped on the way."""
        with self._changed:
            while not stopped.is_set():
                left = self._until - self._clock()
                if left <= 0 and (self._allowed is None or self._under_way < self._allowed):
                    self._under_way += 1
                    return self._pauses
                self._changed.wait(min(left, LOOK_UP_S) if left > 0 else LOOK_UP_S)
        return None

    def leave(self, pauses: int, *, answered: bool) -> None:
        """The request of `enter` came back."""
        with self._changed:
            if pauses != self._pauses:
                return  # it was asked before the pause, and says nothing about what goes now
            self._under_way -= 1
            if answered and self._allowed is not None:
                self._allowed = self._allowed * 2 if self._allowed < EVERYBODY else None
            self._changed.notify_all()


class _Download:
    """One file, in a thread: tries until it is here, given up, or stopped."""

    def __init__(
        self, wire: Wire, file: ContainerFile, pace: _Pace, large: threading.Semaphore, *, speculative: bool
    ) -> None:
        self.future: Future[Fetched | FailedArtifact] = Future()
        self.received = 0
        self.staged: Path | None = None
        self.speculative = self.begun_ahead = speculative
        self.gave_up = False
        """Whether it ended without the file: a fetch ahead is then begun again when the file is wanted."""
        self._wire = wire
        self._file = file
        self._pace = pace
        self._large = large
        self._taken_large = False
        self._stopped = threading.Event()
        self._reply: Reply | None = None
        self._digest = hashlib.sha256()
        self._whole: int | None = None
        self._encoded = False

    def fail(self, reason: str) -> None:
        """It cannot even begin."""
        self.gave_up = True
        self.future.set_result(self._failure(reason))

    def stop(self) -> None:
        """End it: a read that is under way is cut off."""
        self._stopped.set()
        self.future.cancel()
        reply = self._reply
        if reply is not None:
            reply.close()

    def fell_short_of(self, file: ContainerFile) -> bool:
        """Whether it gave way before it was wanted, or holds less than is known of the file by now."""
        short = not self.gave_up and file.size is not None and self.received < file.size
        return short or (self.begun_ahead and self.gave_up)

    def outcome(self, why: str) -> Fetched | FailedArtifact:
        """What came of it; `why` says what ended those that did not come to their end."""
        if self.future.done() and not self.future.cancelled():
            ended = self.future.result()
            # One that was stopped may have noticed by now; why it was is known here alone.
            if isinstance(ended, Fetched) or not (why and self._stopped.is_set()):
                return ended
        whole = self._whole or self._file.size
        got = f" ({self.received:,} of {whole:,} bytes came)" if whole else ""
        return self._failure(f"{why}{got}.")

    def run(self) -> Fetched | FailedArtifact:
        assert self.staged is not None  # noqa: S101 for the type checker: whoever runs it has set it
        try:
            with self.staged.open("w+b") as target:
                outcome = self._try_until_it_is_here(target, self.staged)
        except OSError as error:
            outcome = self._failure(f"It could not be written: {error.strerror or type(error).__name__}.")
        except Exception as error:  # noqa: BLE001 whatever goes wrong with one file must not cost the others
            outcome = self._failure(f"It could not be fetched: {type(error).__name__}: {error}.")
        self.gave_up = isinstance(outcome, FailedArtifact)
        return outcome

    def _try_until_it_is_here(self, target: IO[bytes], staged: Path) -> Fetched | FailedArtifact:
        vain = delays = 0
        furthest = 0
        while True:
            pauses = self._pace.enter(self._stopped)
            if pauses is None:
                return self._failure("It was interrupted.")
            try:
                self._bring(target, pauses)
            except RateLimited as error:
                delays += 1
                asked_s = error.retry_after_s or min(FIRST_BACKOFF_S * 2**delays, LONGEST_BACKOFF_S)
                self._pace.slow_down(asked_s)
                if self.speculative or delays > MOST_DELAYS or asked_s > LONGEST_ASKED_S:
                    return self._failure(error.message)
            except (Unreachable, TimedOut, StreamBroken, ServiceError) as error:
                if not _passing(error):
                    return self._failure(error.message, gone=error.status == NOT_FOUND)
                if error.status == RANGE_NOT_SATISFIABLE:
                    self._begin_again(target)
                vain = 0 if self.received > furthest else vain + 1
                furthest = max(furthest, self.received)
                if vain >= VAIN_TRIES:
                    return self._failure(error.message)
                self._stopped.wait(min(FIRST_BACKOFF_S * 2 ** max(0, vain - 1), LONGEST_BACKOFF_S))
            else:
                return Fetched(self._file, staged, self.received, self._digest.hexdigest())

    def _bring(self, target: IO[bytes], pauses: int) -> None:
        """One try: from where the last one broke, if the server agrees, else from the beginning."""
        if self._encoded:
            # What was counted are decoded bytes: nobody could say where they go on.
            self._begin_again(target)
        reply = self._ask(pauses)
        self._reply = reply
        with reply:
            self._go_on()  # it may have been stopped before there was a reply to close
            resumed = reply.status == PARTIAL and _starts_at(reply, self.received)
            self._encoded = bool(reply.headers.get("content-encoding"))
            if self.received and not resumed:
                self._begin_again(target)
            promised = _length(reply)
            if promised is not None:
                self._whole = self.received + promised
            self._take(reply, promised or 0, target)
        target.flush()
        expected = max(self._whole or 0, self._file.size or 0)
        if self.received < expected:
            raise StreamBroken(f"Only {self.received:,} of {expected:,} bytes came.")
        if self._whole is not None and self.received > self._whole:
            self._begin_again(target)
            raise StreamBroken("More bytes came than were announced.")

    def _take(self, reply: Reply, promised: int, target: IO[bytes]) -> None:
        """The body into the file, hashed on the way."""
        if promised >= LARGE_BYTES and not self._taken_large and self._take_large(reply, target):
            return
        for chunk in reply.chunks:
            self._go_on()
            target.write(chunk)
            self._digest.update(chunk)
            self.received += len(chunk)

    def _take_large(self, reply: Reply, target: IO[bytes]) -> bool:
        """Past the transport, where there is a way; says whether there was."""
        if (reply.pouring or reply.read_into) is None or not self._large.acquire(blocking=False):
            return False
        # Once: if it breaks, whatever was unusual about it, the next try takes the ordinary way.
        self._taken_large = True
        try:
            if reply.pouring is not None:
                pour(reply.pouring, target, self.received, self._digest, self._came)
            elif reply.read_into is not None:
                self._read_large(reply.read_into, target)
        finally:
            self._large.release()
        return True

    def _read_large(self, read_into: Callable[[memoryview], int], target: IO[bytes]) -> None:
        """In large pieces, each hashed in a thread of its own while the next are read and written.

        All three leave the interpreter to others meanwhile. However it ends, what was written is hashed by then.
        """
        pieces = [memoryview(bytearray(PIECE_BYTES)) for _ in range(PIECES)]
        hashing: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="ipython_assistant hash") as hasher:
            for piece in cycle(pieces):
                if len(hashing) == PIECES:
                    hashing.popleft().result()  # what was in this piece
                size = _fill(piece, read_into)
                self._go_on()
                target.write(piece[:size])
                hashing.append(hasher.submit(self._digest.update, piece[:size]))
                self.received += size
                if size < PIECE_BYTES:
                    return

    def _came(self, count: int) -> None:
        """So many bytes are in the file."""
        self.received += count
        self._go_on()

    def _go_on(self) -> None:
        """Raise if it was stopped."""
        if self._stopped.is_set():
            raise StreamBroken("It was interrupted.")

    def _ask(self, pauses: int) -> Reply:
        answered = False
        try:
            reply = self._wire.content(self._file.container_id, self._file.file_id, self.received)
            answered = True
        finally:
            self._pace.leave(pauses, answered=answered)
        return reply

    def _begin_again(self, target: IO[bytes]) -> None:
        target.seek(0)
        target.truncate()
        self._digest = hashlib.sha256()
        self.received = 0

    def _failure(self, reason: str, *, gone: bool = False) -> FailedArtifact:
        file = self._file
        return FailedArtifact(file.name, reason, file.container_id, file.file_id, gone)


def _fill(piece: memoryview, read_into: Callable[[memoryview], int]) -> int:
    """Read until the piece is full or the body at its end; gives the number of bytes."""
    size = 0
    while size < len(piece) and (count := read_into(piece[size:])):
        size += count
    return size


def _same(one: ContainerFile, other: ContainerFile) -> bool:
    return (one.file_id, one.size, one.created_at) == (other.file_id, other.size, other.created_at)


def _passing(error: ServiceError) -> bool:
    """Whether trying again makes sense."""
    if isinstance(error, Unreachable | TimedOut | StreamBroken):
        return True
    return error.status is not None and (error.status >= SERVER_FAULT or error.status == RANGE_NOT_SATISFIABLE)


def _length(reply: Reply) -> int | None:
    promised = reply.headers.get("content-length", "")
    return int(promised) if promised.isdigit() and not reply.headers.get("content-encoding") else None


def _starts_at(reply: Reply, start: int) -> bool:
    """Whether a partial answer begins where the last try broke (RFC 9110, section 14.4)."""
    return reply.headers.get("content-range", "").startswith(f"bytes {start}-")
