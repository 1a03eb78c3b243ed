"""Holds the code of one container to its limits: what its processes have together and its files take is sampled.

What a single process may have is the system's business (`setrlimit`, see `confine`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GIB: Final = 1 << 30
CPU_S: Final = 600.0
"""Seconds of each processor, for one run; more than `MOST_PROCESSORS` of them do not count."""
MOST_PROCESSORS: Final = 8
KEPT_FREE_BYTES: Final = 256_000_000
"""Code is stopped when it leaves less than this of the disk."""
SAMPLE_EVERY_S, REST_EVERY_S = 0.3, 3.0
"""How often a run is sampled, and what it has left going on."""
COUNTS_A_SAMPLE: Final = 3
"""How often the processes are counted: a bomb of them doubles several times between two samples."""
SAMPLING_SHARE: Final = 10
"""The files are sampled again after this many times the seconds that it took, at least."""
INTERRUPT_GRACE_S: Final = 1.8
"""How long interrupted code may take to stop before its process is ended."""

_TOO_MANY: Final = "it started more than {:,} processes and threads"
_TOO_LONG: Final = "it used more than {:g} s of processor time"


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """What one container may use: memory of all its processes together, and of each; processor seconds of one run.

    `processes` counts threads too; `file_bytes` is one file, `disk_bytes` all of them.
    """

    memory_bytes: int
    cpu_s: float = CPU_S
    processes: int = 256
    file_bytes: int = 4 * GIB
    disk_bytes: int = 8 * GIB


def most_memory() -> int:
    """Three quarters of this machine's memory, in bytes: more is never given to one container."""
    return int(psutil.virtual_memory().total) * 3 // 4


def default_limits() -> ContainerLimits:
    """The limits of a container that asked for none: 4 GB, and ten minutes of each processor."""
    processors = min(os.cpu_count() or 1, MOST_PROCESSORS)
    return ContainerLimits(memory_bytes=min(4 * GIB, most_memory()), cpu_s=processors * CPU_S)


@dataclass(slots=True)
class _Usage:
    """What a container uses: threads of all processes, their bytes of memory and seconds, bytes of its files."""

    threads: int = 0
    memory_bytes: int = 0
    cpu_s: float = 0.0
    disk_bytes: int = 0


@dataclass(eq=False)
class LimitMonitor:
    """Watches one kernel, all of whose processes descend from `pid`, from its first code to its end."""

    pid: int
    directory: Path
    limits: ContainerLimits
    interrupt: Callable[[], Awaitable[None]]
    kill: Callable[[], Awaitable[None]]
    passed: str = ""
    """The limit that the last code passed, in words."""
    _before: _Usage = field(default_factory=_Usage)
    _used: _Usage = field(default_factory=_Usage)
    _files_due_s: float = 0.0
    _watching: asyncio.Task[None] | None = None

    def watch(self, *, run: bool) -> None:
        """Watch a run that begins, and what it uses from here; or what it has left going on."""
        self.stop()
        self.passed = "" if run else self.passed
        self._watching = asyncio.create_task(self._end_excess(run=run))

    def stop(self) -> None:
        """There is nothing to watch any more."""
        if self._watching is not None:
            self._watching.cancel()

    async def _end_excess(self, *, run: bool) -> None:
        """End the code when a limit is passed; one that used too much processor time is interrupted first."""
        if run:  # what is there before it may be what it clears up
            self._files_due_s = 0.0
            self._before = await asyncio.to_thread(self._usage)
        every_s = SAMPLE_EVERY_S if run else REST_EVERY_S
        # Side by side: a sample of processes that double takes seconds, and by then they are too many to be counted.
        looks = (self._repeated(self._excess, every_s), self._repeated(self._too_many, every_s / COUNTS_A_SAMPLE))
        tasks = [asyncio.create_task(look) for look in looks]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self.passed = done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
        if self.passed == _TOO_LONG.format(self.limits.cpu_s):
            await self.interrupt()
            await asyncio.sleep(INTERRUPT_GRACE_S)
        await self.kill()

    async def _repeated(self, look: Callable[[], str], every_s: float) -> str:
        while not (passed := await asyncio.to_thread(look)):
            await asyncio.sleep(every_s)
        return passed

    def _too_many(self) -> str:
        most = self.limits.processes
        return _TOO_MANY.format(most) if len(_processes_of(self.pid, most)) > most else ""

    def _excess(self) -> str:
        """The first limit that is passed, in words."""
        limits, before, used = self.limits, self._before, self._usage()
        if used.threads > limits.processes:
            return _TOO_MANY.format(limits.processes)
        if used.memory_bytes > limits.memory_bytes:
            return f"its processes used more than {_in_words(limits.memory_bytes)} of memory"
        if used.cpu_s - before.cpu_s > limits.cpu_s:
            return _TOO_LONG.format(limits.cpu_s)
        if used.disk_bytes > max(limits.disk_bytes, before.disk_bytes):
            return f"its files took more than {_in_words(limits.disk_bytes)}"
        if used.disk_bytes > KEPT_FREE_BYTES > shutil.disk_usage(self.directory).free:
            return "the disk was nearly full"
        return ""

    def _usage(self) -> _Usage:
        found = list[psutil.Process]()
        used = self._used = _Usage(disk_bytes=self._used.disk_bytes)
        for pid in _processes_of(self.pid, self.limits.processes):
            with contextlib.suppress(psutil.Error):  # it may have just ended
                found.append(process := psutil.Process(pid))
                used.threads += process.num_threads()
                used.memory_bytes += process.memory_info().rss
                used.cpu_s += sum(process.cpu_times()[:4])  # with that of its children that have ended
        if used.memory_bytes > self.limits.memory_bytes:
            used.memory_bytes = sum(map(_proportional_memory, found))
        if time.monotonic() >= self._files_due_s:
            began_s = time.thread_time()
            used.disk_bytes = _size_below(self.directory)
            self._files_due_s = time.monotonic() + SAMPLING_SHARE * (time.thread_time() - began_s)
        return used


def _processes_of(pid: int, most: int) -> list[int]:
    """This process and those that descend from it; where they are more than `most`, some of them."""
    # Looking at all processes of the machine, as psutil does, takes seconds while they double.
    if not Path("/proc/thread-self/children").exists():
        with contextlib.suppress(psutil.Error):
            return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    found = [pid]
    for each in found:  # which grows meanwhile
        with contextlib.suppress(OSError):  # it has just ended
            for thread in os.listdir(f"/proc/{each}/task") if len(found) <= most else ():  # noqa: PTH208 names alone
                with contextlib.suppress(OSError):
                    found += map(int, Path(f"/proc/{each}/task/{thread}/children").read_text().split())
    return found


def _proportional_memory(process: psutil.Process) -> int:
    """Bytes, with what processes share counted once: after a fork that is nearly everything."""
    with contextlib.suppress(psutil.Error):
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    return 0


def _size_below(directory: Path) -> int:
    """Bytes of the files and directories below a directory; links are not followed."""
    size_bytes, pending = 0, [os.fspath(directory)]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # deleted while we looked; the others still count
                    status = entry.stat(follow_symlinks=False)
                    size_bytes += getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
    return size_bytes


def _in_words(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.3g} GB" if size_bytes >= GIB else f"{size_bytes >> 20} MB"
