"""Holds the code of one container to its limits, while it runs and afterwards: a run may leave processes going on.

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
    from collections.abc import Awaitable, Callable, Coroutine

_log = logging.getLogger(__name__)

GIB: Final = 1 << 30
CPU_S: Final = 600.0
"""Seconds of each processor, for one run; more than `MOST_PROCESSORS` of them do not count."""
MOST_PROCESSORS: Final = 8
KEPT_FREE_BYTES: Final = 256_000_000
"""Code is stopped when it leaves less than this of the disk."""
SAMPLE_EVERY_S: Final = 0.3
"""How often the known processes and the files of running code are sampled; less often where that takes long."""
SAMPLING_SHARE: Final = 10
"""A sample is followed by a pause this many times as long, at least."""
SEARCH_EVERY_S: Final = 1.0
"""How often new processes are looked for, which takes a look at all of this machine."""
COUNT_EVERY_S: Final = 0.1
"""How often the processes are counted: a bomb of them doubles several times between two samples."""
REST_EVERY_S: Final = 2.0
"""How often it is looked whether a container that runs nothing has taken `BUSY_S` of processor time all the same."""
BUSY_S: Final = 0.02
INTERRUPT_GRACE_S: Final = 1.8
"""How long interrupted code may take to stop before its process is ended."""


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """What one container may use.

    Args:
        memory_bytes: Of all its processes together, and of each.
        cpu_s: Processor seconds of one run, with what it leaves going on until the next.
        processes: Processes and threads.
        file_bytes: One file.
        disk_bytes: All its files together.
        files: Files and directories.
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
    """A limit that was passed: which, for a person, and whether interrupting the code is worth a try."""

    message: str
    gentle: bool = False


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
        """The limit that the present run passed; between runs, that which was passed by what was left running."""
        self._pid = pid
        self._directory = directory
        self._limits = limits
        self._interrupt = interrupt
        self._kill = kill
        self._processes: list[psutil.Process] = []
        self._cpu_before = self._cpu_sampled = self._searched_at = 0.0
        self._disk_allowed, self._files_allowed = limits.disk_bytes, limits.files
        self._watching: asyncio.Task[None] | None = None

    def begin_run(self) -> None:
        """Code begins to run: what it uses counts from here."""
        self.passed = None
        self._watch(self._watch_run())

    def end_run(self, *, alive: bool) -> Excess | None:
        """The code has ended, and what it left running is watched if any is; return the limit that it passed."""
        passed, self.passed = self.passed, None
        self._watch(self._watch_rest() if alive else None)
        return passed

    def stop(self) -> None:
        """There is nothing to watch any more."""
        self._watch(None)

    def _watch(self, watching: Coroutine[None, None, None] | None) -> None:
        if self._watching is not None:
            self._watching.cancel()
        self._watching = asyncio.create_task(watching) if watching is not None else None
        if self._watching is not None:
            self._watching.add_done_callback(_log_failure)

    async def _watch_run(self) -> None:
        await asyncio.to_thread(self._take_stock)
        # Side by side: a sample of processes that double takes seconds, and by then they are too many to be counted.
        looks = [asyncio.create_task(look) for look in (self._sample(), self._count())]
        try:
            done, _ = await asyncio.wait(looks, return_when=asyncio.FIRST_COMPLETED)
            self.passed = done.pop().result()
        finally:
            for look in looks:
                look.cancel()
        if self.passed.gentle:
            await self._interrupt()
            await asyncio.sleep(INTERRUPT_GRACE_S)
        await self._kill()

    async def _sample(self) -> Excess:
        """Sample all limits until one is passed."""
        pause_s = SAMPLE_EVERY_S
        while True:
            await asyncio.sleep(pause_s)
            began = time.monotonic()
            search = began - self._searched_at > SEARCH_EVERY_S
            if excess := await asyncio.to_thread(self._excess, search=search):
                return excess
            pause_s = max(SAMPLE_EVERY_S, SAMPLING_SHARE * (time.monotonic() - began))

    async def _count(self) -> Excess:
        """Count the processes until they are too many."""
        while await asyncio.to_thread(_processes_below, self._pid, self._limits.processes) <= self._limits.processes:
            await asyncio.sleep(COUNT_EVERY_S)
        return self._too_many()

    async def _watch_rest(self) -> None:
        while self.passed is None:
            await asyncio.sleep(REST_EVERY_S)
            # Looking at the known processes alone is cheap, and a new one cannot come without one of them at work.
            if await asyncio.to_thread(self._cpu_seconds) - self._cpu_sampled > BUSY_S:
                self.passed = await asyncio.to_thread(self._excess, search=True)
        await self._kill()

    def _take_stock(self) -> None:
        """What is there before a run is not its excess: it may be what clears up after one that took too much."""
        if not self._processes:
            self._search()
        self._cpu_before = self._cpu_seconds()
        size_bytes, count = _size_below(self._directory)
        self._disk_allowed = max(self._limits.disk_bytes, size_bytes)
        self._files_allowed = max(self._limits.files, count)

    def _excess(self, *, search: bool) -> Excess | None:
        """The first limit that is passed, or None."""
        limits = self._limits
        if search:
            if _processes_below(self._pid, limits.processes) > limits.processes:
                return self._too_many()
            self._search()
        if self._total(lambda process: process.num_threads(), most=limits.processes + 1) > limits.processes:
            return self._too_many()
        resident = self._total(lambda process: process.memory_info().rss)
        self._cpu_sampled = self._cpu_seconds()
        if resident > limits.memory_bytes and self._total(_proportional_memory) > limits.memory_bytes:
            return Excess(f"its processes used more than {_in_words(limits.memory_bytes)} of memory")
        if self._cpu_sampled - self._cpu_before > limits.cpu_s:
            return Excess(f"it used more than {limits.cpu_s:g} s of processor time", gentle=True)
        size_bytes, count = _size_below(self._directory)
        if size_bytes > self._disk_allowed:
            return Excess(f"its files took more than {_in_words(limits.disk_bytes)}")
        if count > self._files_allowed:
            return Excess(f"it made more than {limits.files:,} files")
        if size_bytes > KEPT_FREE_BYTES > shutil.disk_usage(self._directory).free:
            return Excess("the disk was nearly full")
        return None

    def _too_many(self) -> Excess:
        return Excess(f"it started more than {self._limits.processes:,} processes and threads")

    def _search(self) -> None:
        self._searched_at = time.monotonic()
        with contextlib.suppress(psutil.Error):  # it may have just ended
            root = psutil.Process(self._pid)
            self._processes = [root, *root.children(recursive=True)]

    def _cpu_seconds(self) -> float:
        """Processor time of the processes that were found last, with that of their children that have ended."""
        return self._total(lambda process: sum(process.cpu_times()[:4]))

    def _total(self, part: Callable[[psutil.Process], float], *, most: int | None = None) -> float:
        """The sum over the first `most` of the processes that were found last; those that have ended count nothing."""
        total = 0.0
        for process in self._processes[:most]:
            with contextlib.suppress(psutil.Error):
                total += part(process)
        return total


def _proportional_memory(process: psutil.Process) -> float:
    """Bytes, with what processes share counted once: after a fork that is nearly everything."""
    memory = process.memory_full_info()
    return float(getattr(memory, "pss", memory.rss))


def _log_failure(watching: asyncio.Task[None]) -> None:
    if not watching.cancelled() and (error := watching.exception()) is not None:
        _log.error("The limits of a container are not watched any more: %r", error)


def _processes_below(pid: int, most: int) -> int:
    """How many processes descend from this one, counted on Linux alone and no further than to more than `most`.

    To look at all processes of the machine takes seconds while they double.
    """
    count, pending = 0, [str(pid)]
    while pending and count <= most:
        for children in Path("/proc", pending.pop(0), "task").glob("*/children"):
            with contextlib.suppress(OSError):
                pending += (found := children.read_text().split())
                count += len(found)
    return count


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
