"""Containers: a folder, a kernel in it, and the time they are kept.

Code is written for `/mnt/data`. Where the sandbox has no such place, a `Mount` puts the real directory into the code
just before it runs and `/mnt/data` back into what it printed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import shutil
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine import errors
from ipython_assistant.engine.errors import KernelError
from ipython_assistant.engine.folder import MOUNT, ContainerFile, Folder
from ipython_assistant.engine.kernels import Kernel
from ipython_assistant.engine.limits import GIB, most_memory
from ipython_assistant.engine.sandbox import HOME
from ipython_assistant.engine.showing import Failure, Figure, Text

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from ipython_assistant.engine.launching import Launcher
    from ipython_assistant.engine.limits import Limits
    from ipython_assistant.engine.sandbox import Ground, Seen
    from ipython_assistant.engine.transfer import Transfer
    from ipython_assistant.engine.uploads import Upload

MAX_CONTAINERS: Final = 64
MAX_LISTED: Final = 1000
"""How many expired containers are still told from those that never were."""
MEMORY: Final = {f"{gigabytes}g": gigabytes * GIB for gigabytes in (1, 4, 16, 64)}
"""The hosted service's tiers."""
MAX_MINUTES: Final = 20
"""The service keeps an unused container for 20 minutes and refuses to keep one longer."""
SPARE_AFTER_S: Final = 5.0
"""When the process for the next container is started, after one was taken."""
FORGOTTEN: Final = "[A new Python process: variables from before are gone, files are kept.]\n"
LEFT_RUNNING: Final = (
    "[A new Python process: what earlier code had left running was stopped: {reason}, which is the limit here. "
    "Variables from before are gone, files are kept.]\n"
)
DIED: Final = (
    "The Python process ended while it ran this code. Variables are gone, files are kept; "
    "the next code runs in a new process.\n"
)
STOPPED: Final = "The code was stopped: {reason}, which is the limit here. Variables are {variables}, files are kept.\n"
"""What is said of code that passed a limit."""
NOT_FETCHED: Final = "The files that this code made could not be fetched: {reason}\n"

_log = logging.getLogger(__name__)

_MOUNTED: Final = re.compile(rf"(?<![\w.~-]){re.escape(MOUNT)}(?![\w.-])")
_CELL_FILE: Final = re.compile(r"(?:/tmp)?[/\\]ipykernel_\d+[/\\]\d+\.py")


@dataclass(frozen=True, slots=True)
class CodeRun:
    """What code did in a container.

    Args:
        shown: Text and figures in the order they appeared; a traceback is the last of the texts.
        failure: Why it stopped early, if it did.
        files: Files it made or changed, sorted by name.
        figures: Its displayed figures as files, in order.
    """

    shown: tuple[Text | Figure, ...]
    failure: Failure | None
    files: tuple[ContainerFile, ...]
    figures: tuple[ContainerFile, ...]

    @property
    def logs(self) -> str:
        """All printed text."""
        return "".join(part.text for part in self.shown if isinstance(part, Text))


class Mount:
    """Says `/mnt/data` for a directory of this machine, and keeps other machine paths out of what is shown.

    Args:
        seen: Where code sees its directories.
    """

    def __init__(self, seen: Seen) -> None:
        self._work = Path(seen.work).as_posix()
        paths = [
            (seen.work, MOUNT),
            (seen.temp, "/tmp"),  # noqa: S108 - a name to show, not a place to write
            (seen.home, HOME),
            (sysconfig.get_path("purelib"), "site-packages"),
            (sysconfig.get_path("stdlib"), "python"),
        ]
        self._outward = dict(paths)
        # Longest first, and whole names only: a directory must not be taken for its own prefix.
        longest_first = sorted(self._outward, key=len, reverse=True)
        self._inside = re.compile(rf"(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")

    def inward(self, code: str) -> str:
        """Code as it is run: `/mnt/data` is the real directory."""
        return _MOUNTED.sub(lambda _: self._work, code)

    def outward(self, text: str) -> str:
        """Text as it is shown: the real directory is `/mnt/data`."""
        mounted = self._inside.sub(lambda found: self._outward[found[0]], text)
        return _CELL_FILE.sub("<code>", mounted)


@dataclass(frozen=True, slots=True)
class Berth:
    """A directory with a process in it that is starting or waiting, for one container to come.

    Args:
        ground: Its directories on this machine; all of it is deleted at the end.
        figures: Where displayed figures are kept.
        launcher: Where its processes come from.
        transfer: How files get to the process and back.
        kernel: The process.
    """

    ground: Ground
    figures: Path
    launcher: Launcher
    transfer: Transfer
    kernel: Kernel


class Container:
    """One directory and one Python process at a time, both kept until nobody has used them for a while.

    Args:
        container_id: `cntr_...`.
        name: What the client called it.
        minutes: How long it is kept without use.
        berth: Its directory and its first process.
        mint: Makes ids.
        clock: Seconds since the epoch.
        memory: The tier that was asked for and is granted, such as `4g`; empty if none was.
    """

    def __init__(
        self,
        container_id: str,
        *,
        name: str,
        minutes: int,
        berth: Berth,
        mint: Callable[[str], str],
        clock: Callable[[], float],
        memory: str = "",
    ) -> None:
        self.id = container_id
        self.name = name
        self.minutes = minutes
        self.memory = memory
        self.created_at = int(clock())
        self.last_active_at = self.created_at
        self.used_at = clock()
        self.turn = asyncio.Lock()
        """Held by the response that works in the container: one at a time."""
        self.seen: frozenset[str] = frozenset()
        """The files that were there when the last response ended."""
        self.offline = berth.launcher.offline
        self._directory = berth.ground.directory
        self._launcher = berth.launcher
        self._transfer = berth.transfer
        self._clock = clock
        self._mount = Mount(berth.launcher.seen)
        self._folder = Folder(container_id, berth.ground.work, berth.figures, mint=mint, clock=clock)
        self._copied: set[str] = set()
        self._copying = 0
        self._has_run = False
        self._forgot = ""
        self._kernel = berth.kernel
        self._stopping: asyncio.Future[None] | None = None

    @property
    def expired(self) -> bool:
        """True once it has not been used for its time; it cannot be used again."""
        idle = self._clock() - self.last_active_at
        return self._over or (idle > self.minutes * 60 and not self.at_work)

    @property
    def _over(self) -> bool:
        return self._stopping is not None

    @property
    def at_work(self) -> bool:
        """True while a response works in it, or files are being copied in."""
        return self.turn.locked() or self._copying > 0

    def touch(self) -> None:
        """Count this moment as use."""
        self.used_at = self._clock()
        self.last_active_at = int(self.used_at)

    async def run(self, code: str) -> CodeRun:
        """Run code and account for what it left behind. Cancelling interrupts it.

        Raises:
            KernelError: No process could be started.
        """
        kernel = await self._living_kernel()
        forgot = self._forgot
        self._folder.scan()
        self._has_run = True
        before = {file.id for file in self._folder.made()}
        not_fetched: KernelError | None = None
        try:
            await self._transfer.bring(kernel)
            execution = await kernel.run(self._mount.inward(code))
            try:
                if not kernel.ended:
                    await self._transfer.fetch(kernel)
            except KernelError as error:  # what was printed is there all the same
                not_fetched = error
        finally:
            self.touch()
            await self._renew()
        failure = execution.failure or (Failure("FilesNotFetched", str(not_fetched)) if not_fetched else None)
        died = failure is not None and failure.died
        self._forgot = FORGOTTEN if kernel.ended and not died else ""
        shown = [Text(self._mount.outward(part.text)) if isinstance(part, Text) else part for part in execution.shown]
        told = ([Text(forgot)] if forgot else []) + shown + _ending(execution.failure)
        if not_fetched is not None:
            told.append(Text(NOT_FETCHED.format(reason=self._mount.outward(str(not_fetched)))))
        figures = tuple(self._folder.show(part.png) for part in told if isinstance(part, Figure))
        self._folder.scan()
        files = tuple(file for file in self._folder.made() if file.id not in before)
        return CodeRun(tuple(told), self._outward(failure), files, figures)

    async def probe(self, code: str) -> str:
        """Run code that leaves no names behind and return what it printed.

        Raises:
            KernelError: It raised, or no process could be started.
        """
        kernel = await self._living_kernel()
        await self._transfer.bring(kernel)
        try:
            return self._mount.outward(await kernel.probe(self._mount.inward(code)))
        except KernelError as error:
            raise KernelError(self._mount.outward(str(error))) from None

    def files(self) -> tuple[ContainerFile, ...]:
        """The files there are now, oldest first. What running code is still writing changes its id when it is done."""
        self.touch()
        self._folder.scan()
        return self._folder.files()

    def names(self) -> tuple[str, ...]:
        """Files that code can read, by their path below `/mnt/data`, oldest first."""
        self._folder.scan()
        return tuple(file.name for file in self._folder.files() if not file.shown)

    def linkable(self) -> dict[str, str]:
        """Files that code made: path below `/mnt/data` → id."""
        return {file.name: file.id for file in self._folder.made()}

    def file(self, file_id: str) -> ContainerFile:
        """The file of this id.

        Raises:
            ApiError: There is none.
        """
        self.touch()
        return self._folder.file(file_id)

    def open(self, file: ContainerFile) -> int:
        """A file descriptor to read this version from.

        Raises:
            ApiError: This version is gone.
        """
        return self._folder.open(file)

    def add(self, staged: Path, name: str) -> ContainerFile:
        """Move an uploaded file in.

        Raises:
            ApiError: The name cannot be used.
        """
        self.touch()
        self._kernel.given(staged.stat().st_size)
        return self._folder.add(staged, name)

    async def copy_in(self, upload: Upload) -> ContainerFile:
        """Copy a file of the Files API in.

        Raises:
            ApiError: Its name cannot be used.
        """
        staged = self._directory / upload.id
        self._kernel.given(upload.size)
        self._copying += 1
        try:
            await asyncio.to_thread(shutil.copyfile, upload.path, staged)
        finally:
            self._copying -= 1
        self._copied.add(upload.id)
        return self.add(staged, upload.filename)

    async def provide(self, uploads: Sequence[Upload]) -> None:
        """Copy files of the Files API in that were not copied in before.

        Raises:
            ApiError: A name cannot be used.
        """
        for upload in uploads:
            if upload.id not in self._copied:
                await self.copy_in(upload)

    def enclose(self, content: bytes, name: str) -> None:
        """Take in what came within a question; the same again, as when a conversation is replayed, is not taken twice.

        Raises:
            ApiError: The name cannot be used.
        """
        digest = hashlib.sha256(name.encode() + b"\0" + content).hexdigest()
        if digest not in self._copied:
            staged = self._directory / "enclosed"
            staged.write_bytes(content)
            self.add(staged, name)
            self._copied.add(digest)

    def remove(self, file_id: str) -> None:
        """Delete a file.

        Raises:
            ApiError: There is none of this id.
        """
        self.touch()
        self._folder.remove(file_id)

    async def stop(self) -> None:
        """End its process and delete its directory, once, even where whoever asked for it does not wait."""
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop())
            self._stopping.add_done_callback(_noted)
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        if not self.turn.locked():
            await self._transfer.leave(self._kernel)
        await self._kernel.stop()
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)

    async def _living_kernel(self) -> Kernel:
        if self._over:
            raise errors.container_expired()
        await self._renew()
        return self._kernel

    async def _renew(self) -> None:
        """Put a new process in the place of one that has ended, so that it is warm when it is needed."""
        kernel = self._kernel
        alive = self._over or await kernel.alive()
        if not alive and not self._over and self._kernel is kernel:
            self._kernel = Kernel(self._launcher)
            reason = kernel.left_running
            self._forgot = LEFT_RUNNING.format(reason=reason) if reason else FORGOTTEN if self._has_run else ""

    def grant(self, limits: Limits) -> None:
        """Let its processes use this much from now on."""
        self._launcher = self._launcher.limited(limits)
        self._kernel.grant(limits)

    def _outward(self, failure: Failure | None) -> Failure | None:
        return None if failure is None else replace(failure, message=self._mount.outward(failure.message))


Berths = Callable[[Path], Berth]
"""Makes a berth in a new directory, with its first process being started."""


class Containers:
    """All containers of the engine.

    Args:
        directory: Where they live; a private directory.
        berths: Makes the next berth.
        limits: What a container may use that asked for nothing else.
        most: How many may be there at once; the one that was used least recently is ended for a new one.
        mint: Makes ids.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        directory: Path,
        *,
        berths: Berths,
        limits: Limits,
        mint: Callable[[str], str],
        clock: Callable[[], float],
        most: int = MAX_CONTAINERS,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._berths = berths
        self._limits = limits
        self._most = most
        self._mint = mint
        self._clock = clock
        self._containers: dict[str, Container] = {}
        self._made = 0
        self._closed = False
        self._spare: Berth | None = None
        self._warming: asyncio.TimerHandle | None = None

    def warm(self) -> None:
        """Have a process ready for the next container; starting one takes a second or two."""
        if self._spare is None and not self._closed:
            self._spare = self._berth()

    async def create(
        self, name: str = "auto", *, minutes: int = MAX_MINUTES, uploads: Sequence[Upload] = (), memory: str = ""
    ) -> Container:
        """Make a container; its process starts in the background.

        Args:
            name: For lists.
            minutes: How long it is kept without use.
            uploads: Files to copy in first.
            memory: The tier it is to have, such as `4g`: at most what this machine can give.

        Raises:
            ApiError: A file's name cannot be used, all containers there may be are at work, or the engine is being
                stopped.
        """
        if not self._closed:
            await self._make_room()
        if self._closed:
            raise errors.stopping()
        berth, self._spare = self._spare or self._berth(), None
        # Not at once: the new container's own work comes first.
        self._warming = asyncio.get_running_loop().call_later(SPARE_AFTER_S, self.warm)
        container = Container(
            self._mint("cntr_"),
            name=name,
            minutes=minutes,
            berth=berth,
            mint=self._mint,
            clock=self._clock,
        )
        self._containers[container.id] = container
        if memory:
            asked = MEMORY[memory]
            container.memory = memory if asked <= most_memory() else ""
            container.grant(replace(self._limits, memory_bytes=min(asked, most_memory())))
        await container.provide(uploads)
        return container

    def all(self) -> tuple[Container, ...]:
        """Every container that was not deleted, expired ones too, oldest first."""
        return tuple(self._containers.values())

    def get(self, container_id: str) -> Container:
        """The container of this id, expired or not.

        Raises:
            ApiError: There is none.
        """
        try:
            return self._containers[container_id]
        except KeyError:
            raise errors.container_not_found(container_id) from None

    def live(self, container_id: str) -> Container:
        """The container of this id, to be used.

        Raises:
            ApiError: There is none, or it is expired.
        """
        container = self.get(container_id)
        if container.expired:
            raise errors.container_expired()
        return container

    async def delete(self, container_id: str) -> None:
        """End a container and forget it.

        Raises:
            ApiError: There is none.
        """
        container = self.get(container_id)
        del self._containers[container_id]
        await container.stop()

    async def retire(self) -> None:
        """End the processes of expired containers and delete their files; the latest of them stay listed."""
        expired = [container for container in self.all() if container.expired]
        await _all_of(container.stop() for container in expired)
        for container in expired[:-MAX_LISTED]:
            self._containers.pop(container.id, None)

    def close(self) -> None:
        """Begin nothing new; what there is goes on."""
        self._closed = True
        if self._warming is not None:
            self._warming.cancel()

    async def stop(self) -> None:
        """End everything, for good."""
        self.close()
        spare, self._spare = self._spare, None
        await _all_of(
            [container.stop() for container in self.all()] + ([spare.kernel.stop()] if spare is not None else [])
        )

    async def _make_room(self) -> None:
        """End the container that was used least recently, if there are as many as there may be.

        Raises:
            ApiError: All of them are at work.
        """
        while len(there := [each for each in self._containers.values() if not each.expired]) >= self._most:
            idle = [container for container in there if not container.at_work]
            if not idle:
                raise errors.too_many_containers(self._most)
            await min(idle, key=lambda container: container.used_at).stop()

    def _berth(self) -> Berth:
        self._made += 1
        return self._berths(self._directory / str(self._made))  # short: socket paths are limited


def _ending(failure: Failure | None) -> list[Text | Figure]:
    """What is said of a run that its process, or its leave, did not survive."""
    if failure is None or not (failure.died or failure.stopped):
        return []
    if failure.stopped:
        return [Text(STOPPED.format(reason=failure.message, variables="gone" if failure.died else "kept"))]
    return [Text(DIED)]


async def _all_of(endings: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all of them: one that fails keeps none of the others from its end."""
    for outcome in await asyncio.gather(*endings, return_exceptions=True):
        if isinstance(outcome, Exception):
            _log.error("A container could not be ended in order: %r", outcome)


def _noted(ending: asyncio.Future[None]) -> None:
    """Mark the exception as seen, for where nobody waits any more."""
    if not ending.cancelled():
        ending.exception()
