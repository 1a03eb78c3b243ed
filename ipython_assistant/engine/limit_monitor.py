"""Holds a container's processes together, and its files, to its limits by samples; `confine` holds each process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from ipython_assistant.engine.sandbox import GIB

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ipython_assistant.engine.sandbox import ContainerLimits

KEPT_FREE_BYTES: Final = 256_000_000  # code is stopped when it leaves less than this of the disk
SAMPLE_EVERY_S, REST_EVERY_S = 0.3, 3.0
"""Seconds between two samples: while code runs, and afterwards, while processes that it started may still run."""
COUNTS_A_SAMPLE: Final = 3
"""How often the processes are counted: a bomb of them doubles several times between two samples."""
SAMPLING_SHARE: Final = 10  # the files are sampled again after this many times the seconds that it took, at least
INTERRUPT_GRACE_S: Final = 1.8  # how long interrupted code may take to stop before its process is ended

_TOO_MANY: Final = "it started more than {:,} processes and threads"
_TOO_LONG: Final = "it used more than {:g} s of processor time"


@dataclass(eq=False)
class LimitMonitor:
    """Watches a kernel, whose processes descend from `pid`; `passed` is the limit that its last code passed, if any."""

    pid: int
    directory: Path
    limits: ContainerLimits
    interrupt: Callable[[], Awaitable[None]]
    kill: Callable[[], Awaitable[None]]
    passed: str = ""
    _cpu_s_before: float = 0.0
    _disk_bytes_before: int = 0
    _disk_bytes: int = 0
    _files_due_s: float = 0.0
    _watching: asyncio.Task[None] | None = None

    def watch(self, *, run: bool) -> None:
        """Watch a run, counting what it uses from now on; with `run` false, watch the processes that it left behind."""
        self.stop()
        self.passed = "" if run else self.passed
        self._watching = asyncio.create_task(self._end_excess(run=run))

    def stop(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()

    async def _end_excess(self, *, run: bool) -> None:
        """End the code when a limit is passed; one that used too much processor time is interrupted first."""
        if run:  # files from before it may exceed the limit: it may be what deletes them
            self._files_due_s = 0.0
            _, _, self._cpu_s_before, self._disk_bytes_before = await asyncio.to_thread(self._usage)
        every_s = SAMPLE_EVERY_S if run else REST_EVERY_S
        # Side by side: a sample of processes that double takes seconds, and by then they are too many to be counted.
        looks = ((self._excess, every_s), (self._too_many, every_s / COUNTS_A_SAMPLE))
        tasks = [asyncio.create_task(self._repeated(*look)) for look in looks]
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
        limits, (threads, memory_bytes, cpu_s, disk_bytes) = self.limits, self._usage()
        if threads > limits.processes:
            return _TOO_MANY.format(limits.processes)
        if memory_bytes > limits.memory_bytes:
            return f"its processes used more than {_in_words(limits.memory_bytes)} of memory"
        if cpu_s - self._cpu_s_before > limits.cpu_s:
            return _TOO_LONG.format(limits.cpu_s)
        if disk_bytes > max(limits.disk_bytes, self._disk_bytes_before):
            return f"its files took more than {_in_words(limits.disk_bytes)}"
        if disk_bytes > KEPT_FREE_BYTES > shutil.disk_usage(self.directory).free:
            return "the disk was nearly full"
        return ""

    def _usage(self) -> tuple[int, int, float, int]:
        """Threads of all processes, their bytes of memory and processor seconds, bytes of the files."""
        found, threads, memory_bytes, cpu_s = list[psutil.Process](), 0, 0, 0.0
        for pid in _processes_of(self.pid, self.limits.processes):
            with contextlib.suppress(psutil.Error):  # it may have just ended
                found.append(process := psutil.Process(pid))
                threads += process.num_threads()
                memory_bytes += process.memory_info().rss
                cpu_s += sum(process.cpu_times()[:4])  # with that of its children that have ended
        if memory_bytes > self.limits.memory_bytes:
            memory_bytes = 0
            for process in found:
                with contextlib.suppress(psutil.Error):
                    memory = process.memory_info()
                    with contextlib.suppress(psutil.AccessDenied):  # code can have the system refuse this
                        memory = process.memory_full_info()
                    memory_bytes += getattr(memory, "pss", memory.rss)  # shared memory once: it is most after a fork
        if time.monotonic() >= self._files_due_s:
            began_s = time.thread_time()
            self._disk_bytes = _size_below(self.directory)
            self._files_due_s = time.monotonic() + SAMPLING_SHARE * (time.thread_time() - began_s)
        return threads, memory_bytes, cpu_s, self._disk_bytes


def _processes_of(pid: int, most: int) -> list[int]:
    """This process and those that descend from it; where they are more than `most`, some of them."""
    if not Path("/proc/thread-self/children").exists():  # psutil looks at all there are: seconds, while they double
        with contextlib.suppress(psutil.Error):
            return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    found = [pid]
    for each in found:  # which grows meanwhile
        with contextlib.suppress(OSError):  # it has just ended
            for thread in os.listdir(f"/proc/{each}/task") if len(found) <= most else ():  # noqa: PTH208 names alone
                with contextlib.suppress(OSError):
                    found += map(int, Path(f"/proc/{each}/task/{thread}/children").read_text().split())
    return found


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
