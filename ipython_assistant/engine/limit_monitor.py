"""Holds the code of one container to its limits, from its first run on: a run may leave processes going on.

What a single process may have is the system's business (`setrlimit`, see `confine`). What the processes of a container
have together, and what its files take, is sampled here with psutil.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)

GIB: Final = 1 << 30
CPU_S: Final = 600.0
"""Seconds of each processor, for one run; more than `MOST_PROCESSORS` of them do not count."""
MOST_PROCESSORS: Final = 8
KEPT_FREE_BYTES: Final = 256_000_000
"""Code is stopped when it leaves less than this of the disk."""
SAMPLE_EVERY_S: Final = 0.3
REST_EVERY_S: Final = 3.0
"""How often what a run has left going on is sampled."""
COUNTS_A_SAMPLE: Final = 3
"""How often the processes are counted: a bomb of them doubles several times between two samples."""
SAMPLING_SHARE: Final = 10
"""A sample is followed by a pause this many times as long, at least."""
INTERRUPT_GRACE_S: Final = 1.8
"""How long interrupted code may take to stop before its process is ended."""

_CHILDREN_LISTED: Final = Path("/proc/thread-self/children").exists()


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """What one container may use: memory of all its processes together, and of each; processor seconds of one run.

    `processes` counts threads too, `files` directories; `file_bytes` is one file, `disk_bytes` all of them.
    """

    memory_bytes: int
    cpu_s: float = CPU_S
    processes: int = 256
    file_bytes: int = 4 * GIB
    disk_bytes: int = 8 * GIB
    files: int = 100_000


def most_memory() -> int:
    """Three quarters of this machine's memory, in bytes: more is never given to one container."""
    return int(psutil.virtual_memory().total) * 3 // 4


def default_limits() -> ContainerLimits:
    """The limits of a container that asked for none: 4 GB, and ten minutes of each processor."""
    processors = min(os.cpu_count() or 1, MOST_PROCESSORS)
    return ContainerLimits(memory_bytes=min(4 * GIB, most_memory()), cpu_s=processors * CPU_S)


class Excess(NamedTuple):
    """A limit that was passed: which, in words, and whether interrupting the code is worth a try."""

    message: str
    gentle: bool = False


class _Usage(NamedTuple):
    """What a container uses: threads of all processes, bytes of memory, seconds, bytes and number of files."""

    threads: int = 0
    memory_bytes: int = 0
    cpu_s: float = 0.0
    disk_bytes: int = 0
    files: int = 0


class LimitMonitor:
    """Watches one kernel, all of whose processes descend from `pid`, from its first code to its end."""

    def __init__(
        self,
        pid: int,
        directory: Path,
        limits: ContainerLimits,
        *,
        interrupt: Callable[[], Awaitable[None]],
        kill: Callable[[], Awaitable[None]],
    ) -> None:
        self.passed: Excess | None = None
        """The limit that the last code passed."""
        self._pid = pid
        self._directory = directory
        self._limits = limits
        self._interrupt = interrupt
        self._kill = kill
        self._before = _Usage()
        self._passed_processes = Excess(f"it started more than {limits.processes:,} processes and threads")
        self._watching: asyncio.Task[None] | None = None

    def begin_run(self) -> None:
        """Code begins to run: what it uses counts from here."""
        self.passed = None
        self._watch(SAMPLE_EVERY_S)

    def end_run(self, *, alive: bool) -> None:
        """The code has ended: what it left going on is watched from here, if its process is still there."""
        self._watch(REST_EVERY_S) if alive else self.stop()

    def stop(self) -> None:
        """There is nothing to watch any more."""
        if self._watching is not None:
            self._watching.cancel()

    def _watch(self, every_s: float) -> None:
        self.stop()
        self._watching = asyncio.create_task(self._end_excess(every_s))
        self._watching.add_done_callback(_log_failure)

    async def _end_excess(self, every_s: float) -> None:
        """End the code when a limit is passed, gently where that helps."""
        if every_s == SAMPLE_EVERY_S:  # what is there before a run may be what the run clears up
            self._before = await asyncio.to_thread(self._usage)
        # Side by side: a sample of processes that double takes seconds, and by then they are too many to be counted.
        looks = (self._repeated(self._excess, every_s), self._repeated(self._too_many, every_s / COUNTS_A_SAMPLE))
        tasks = [asyncio.create_task(look) for look in looks]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self.passed = done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
        if self.passed.gentle:
            await self._interrupt()
            await asyncio.sleep(INTERRUPT_GRACE_S)
        await self._kill()

    async def _repeated(self, look: Callable[[], Excess | None], every_s: float) -> Excess:
        while True:
            began = time.monotonic()
            if excess := await asyncio.to_thread(look):
                return excess
            await asyncio.sleep(max(every_s, SAMPLING_SHARE * (time.monotonic() - began)))

    def _too_many(self) -> Excess | None:
        most = self._limits.processes
        return self._passed_processes if len(_processes_of(self._pid, most)) > most else None

    def _excess(self) -> Excess | None:
        """The first limit that is passed, or None."""
        limits, before, used = self._limits, self._before, self._usage()
        if used.threads > limits.processes:
            return self._passed_processes
        if used.memory_bytes > limits.memory_bytes:
            return Excess(f"its processes used more than {_in_words(limits.memory_bytes)} of memory")
        if used.cpu_s - before.cpu_s > limits.cpu_s:
            return Excess(f"it used more than {limits.cpu_s:g} s of processor time", gentle=True)
        if used.disk_bytes > max(limits.disk_bytes, before.disk_bytes):
            return Excess(f"its files took more than {_in_words(limits.disk_bytes)}")
        if used.files > max(limits.files, before.files):
            return Excess(f"it made more than {limits.files:,} files")
        if used.disk_bytes > KEPT_FREE_BYTES > shutil.disk_usage(self._directory).free:
            return Excess("the disk was nearly full")
        return None

    def _usage(self) -> _Usage:
        threads, memory_bytes, cpu_s, found = 0, 0, 0.0, list[psutil.Process]()
        for pid in _processes_of(self._pid, self._limits.processes):
            with contextlib.suppress(psutil.Error):  # it may have just ended
                found.append(process := psutil.Process(pid))
                threads += process.num_threads()
                memory_bytes += process.memory_info().rss
                cpu_s += sum(process.cpu_times()[:4])  # with that of its children that have ended
        if memory_bytes > self._limits.memory_bytes:
            memory_bytes = sum(map(_proportional_memory, found))
        return _Usage(threads, memory_bytes, cpu_s, *_size_below(self._directory))


def _log_failure(watching: asyncio.Task[None]) -> None:
    if not watching.cancelled() and (error := watching.exception()) is not None:
        _log.error("The limits of a container are not watched any more: %r", error)


def _processes_of(pid: int, most: int) -> list[int]:
    """This process and those that descend from it; where they are more than `most`, some of them.

    Looking at all processes of the machine, as psutil does, takes seconds while they double.
    """
    if not _CHILDREN_LISTED:
        with contextlib.suppress(psutil.Error):
            return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    found = [pid]
    for each in found:  # which grows meanwhile
        for children in Path("/proc", str(each), "task").glob("*/children") if len(found) <= most else ():
            with contextlib.suppress(OSError):
                found += map(int, children.read_text().split())
    return found


def _proportional_memory(process: psutil.Process) -> int:
    """Bytes, with what processes share counted once: after a fork that is nearly everything."""
    with contextlib.suppress(psutil.Error):
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    return 0


def _size_below(directory: Path) -> tuple[int, int]:
    """Bytes and number of the files and directories below a directory; links are not followed."""
    size_bytes, count, pending = 0, 0, [os.fspath(directory)]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                count += 1
                with contextlib.suppress(OSError):  # deleted while we looked; the others still count
                    status = entry.stat(follow_symlinks=False)
                    size_bytes += getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
    return size_bytes, count


def _in_words(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.3g} GB" if size_bytes >= GIB else f"{size_bytes >> 20} MB"
