"""How much code may use, and whether it does: looks at its processes and its files.

What a single process may have is the system's business (`resource limits`). What the processes of one container have
together, and what their files take, is watched here, several times a second.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MB: Final = 1_000_000
GIB: Final = 1 << 30
CPU_S: Final = 600.0
"""Seconds of each processor, for one run."""
MOST_PROCESSORS: Final = 8
"""More of them do not count: a loop without end keeps one busy, for this many times ten minutes."""
KEPT_FREE: Final = 256 * MB
"""Code is stopped when it leaves less than this of the disk."""

FRESH_ENOUGH_S: Final = 0.4
"""A list of processes of so long ago will do for one that should be doing nothing."""
IDLE_TICKS: Final = 2
"""A process that took fewer ticks of the processor since its files were looked at has hardly written any."""

_PROC: Final = Path("/proc")
_PARENT, _SESSION, _USER_TIME, _THREADS, _RESIDENT = 1, 3, 11, 17, 21
"""Places in `/proc/<pid>/stat` after the name: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html ."""


@dataclass(frozen=True, slots=True)
class Limits:
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
    """Three quarters of this machine's memory: more is never given to one container."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4
    except (AttributeError, ValueError, OSError):  # Windows
        return 16 * GIB


def default_limits() -> Limits:
    """The limits of a container that asked for none.

    Ten minutes of each processor: a library that uses all of them takes ten times as much of ten as of one.
    """
    processors = min(os.cpu_count() or 1, MOST_PROCESSORS)
    return Limits(memory_bytes=min(4 * GIB, most_memory()), cpu_s=processors * CPU_S)


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit that was passed.

    Args:
        message: Which, for a person.
        gentle: True if interrupting the code is worth a try before its process is ended.
    """

    message: str
    gentle: bool = False


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    session: int
    cpu_ticks: int
    threads: int
    resident_pages: int


class Census:
    """The processes of this machine, read once for all who ask within a moment.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._taken = float("-inf")
        self._processes: tuple[_Process, ...] = ()

    def processes(self, within_s: float = 0.0) -> tuple[_Process, ...]:
        """All of them; none where there is no `/proc`.

        Args:
            within_s: How old the list may be.
        """
        with self._lock:
            if not within_s or self._clock() - self._taken > within_s:
                self._processes, self._taken = _all_processes(), self._clock()
            return self._processes


class Watch:
    """Looks at one run, and at what it leaves going on.

    Args:
        pid: The process that was started for the container; all others descend from it, or are of its session.
        directory: The container's directory.
        limits: What it may use.
        census: The machine's processes.
    """

    def __init__(self, pid: int, directory: Path, limits: Limits, census: Census | None = None) -> None:
        self.busy = False
        """Whether the last look at rest found it to do anything."""
        self._pid = pid
        self._directory = directory
        self._limits = limits
        self._census = census or Census()
        self._ticks = 0
        self._ticks_at_files = 0
        self._cpu_before: float | None = None
        self._disk_before, self._files_before = _used(directory)
        self._free_before = _free(directory)
        self._threads_before = _threads_of_machine()

    def glance(self) -> Excess | None:
        """Whether there are suddenly too many processes; takes next to no time where there are not.

        A bomb of processes doubles several times between two looks, and then leaves no time for any.
        """
        if _threads_of_machine() - self._threads_before <= self._limits.processes // 2:
            return None
        return self._swarm(family(self._pid))

    def look(self) -> Excess | None:
        """The first limit that is passed, or None. Reads many files: for a thread of its own."""
        return self._look_at_processes(self._census.processes()) or self._look_at_files()

    def look_at_rest(self) -> Excess | None:
        """The same where nothing is to be run. Files are looked at only if something was: others may write them too."""
        excess = self._look_at_processes(self._census.processes(FRESH_ENOUGH_S))
        self.busy = abs(self._ticks - self._ticks_at_files) >= IDLE_TICKS
        return excess or (self._look_at_files() if self.busy else None)

    def given(self, size: int) -> None:
        """A file of this many bytes, put there by somebody else, is not the code's excess."""
        self._disk_before = max(self._disk_before, self._limits.disk_bytes) + size
        self._files_before = max(self._files_before, self._limits.files) + 1

    def _swarm(self, processes: tuple[_Process, ...]) -> Excess | None:
        if sum(process.threads for process in processes) <= self._limits.processes:
            return None
        return Excess(f"it started more than {self._limits.processes:,} processes and threads")

    def _look_at_processes(self, there: tuple[_Process, ...]) -> Excess | None:
        limits, processes = self._limits, family(self._pid, there)
        if swarm := self._swarm(processes):
            return swarm
        page = os.sysconf("SC_PAGE_SIZE") if processes else 0
        resident = sum(process.resident_pages for process in processes) * page
        if resident > limits.memory_bytes and _proportional(processes, page) > limits.memory_bytes:
            return Excess(f"its processes used more than {_size(limits.memory_bytes)} of memory")
        if processes:
            self._ticks = sum(process.cpu_ticks for process in processes)
            used = self._ticks / os.sysconf("SC_CLK_TCK")
            self._cpu_before = used if self._cpu_before is None else self._cpu_before
            if used - self._cpu_before > limits.cpu_s:
                return Excess(f"it used more than {limits.cpu_s:g} s of processor time", gentle=True)
        return None

    def _look_at_files(self) -> Excess | None:
        limits = self._limits
        self._ticks_at_files = self._ticks
        size, count = _used(self._directory)
        if size > max(limits.disk_bytes, self._disk_before):
            return Excess(f"its files took more than {_size(limits.disk_bytes)}")
        if count > max(limits.files, self._files_before):
            return Excess(f"it made more than {limits.files:,} files")
        if _free(self._directory) < KEPT_FREE <= self._free_before:
            return Excess("the disk was nearly full")
        return None


def family(pid: int, processes: tuple[_Process, ...] | None = None) -> tuple[_Process, ...]:
    """A process, what descends from it, and what is of its session; empty where there is no `/proc`.

    Args:
        pid: The process.
        processes: Those of this machine, if they are known already.
    """
    if processes is None:
        processes = _all_processes()
    children: dict[int, list[_Process]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process)
    members = {process.pid: process for process in processes if pid in {process.pid, process.session}}
    pending = list(members.values())
    while pending:
        below = [child for child in children.get(pending.pop().pid, ()) if child.pid not in members]
        members |= {child.pid: child for child in below}
        pending += below
    return tuple(members.values())


def _all_processes() -> tuple[_Process, ...]:
    if not _PROC.is_dir():
        return ()
    names = os.listdir(_PROC)  # noqa: PTH208 - names
    return tuple(found for name in names if name.isdigit() and (found := _process(int(name))))


def _threads_of_machine() -> int:
    try:
        return int((_PROC / "loadavg").read_text().split()[3].partition("/")[2])
    except (OSError, IndexError, ValueError):
        return 0


def threads_of_user() -> int:
    """Processes and threads this user has now on this machine; 0 where there is no `/proc`."""
    if not _PROC.is_dir():
        return 0
    own, count = os.getuid(), 0
    for name in os.listdir(_PROC):  # noqa: PTH208 - names
        try:
            if name.isdigit() and (_PROC / name).stat().st_uid == own:
                process = _process(int(name))
                count += process.threads if process else 0
        except OSError:
            continue
    return count


def _process(pid: int) -> _Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - hundreds of times a second
            fields = file.read().rpartition(b")")[2].split()
        return _Process(
            pid=pid,
            parent=int(fields[_PARENT]),
            session=int(fields[_SESSION]),
            cpu_ticks=sum(map(int, fields[_USER_TIME : _USER_TIME + 4])),
            threads=int(fields[_THREADS]),
            resident_pages=int(fields[_RESIDENT]),
        )
    except (OSError, IndexError, ValueError):  # it has just ended
        return None


def _proportional(processes: tuple[_Process, ...], page: int) -> int:
    """Bytes of memory, with what processes share counted once: after a fork that is nearly everything."""
    total = 0
    for process in processes:
        own = process.resident_pages * page
        try:
            rollup = (_PROC / str(process.pid) / "smaps_rollup").read_text()
            own = next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
        except (OSError, StopIteration, IndexError, ValueError):  # ended, or not to be looked at
            pass
        total += own
    return total


def _used(directory: Path) -> tuple[int, int]:
    """Bytes and number of the files below a directory; links are not followed."""
    size, count, pending = 0, 0, [os.fspath(directory)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    count += 1
                    with contextlib.suppress(OSError):  # deleted while we looked; the others still count
                        status = entry.stat(follow_symlinks=False)
                        size += getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
        except OSError:
            continue
    return size, count


def _free(directory: Path) -> int:
    try:
        found = os.statvfs(directory)
    except (AttributeError, OSError):
        return KEPT_FREE
    return found.f_bavail * found.f_frsize


def _size(count: int) -> str:
    return f"{count / GIB:.3g} GB" if count >= GIB else f"{count >> 20} MB"
