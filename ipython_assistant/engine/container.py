"""Containers: a folder, a kernel in it, and the time both are kept; and all of them together, with one in reserve."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.api import MAX_MINUTES, MEMORY_TIERS, ApiError, container_expired, shortened
from ipython_assistant.engine.container_folder import ContainerFolder
from ipython_assistant.engine.kernel import Kernel, KernelLauncher
from ipython_assistant.engine.sandbox import ContainerPaths, most_memory, remove_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ipython_assistant.engine.api import IdMint
    from ipython_assistant.engine.kernel_output import CodeRun
    from ipython_assistant.engine.sandbox import ContainerLimits, Sandbox

MAX_EXPIRED_LISTED: Final = 1000  # how many expired containers are still known as such
RETIRE_EVERY_S: Final = 30.0
RESERVE_AFTER_S: Final = 5.0
"""When the process for the next container is started, after one was taken: the new one's own work comes first."""

FORGOTTEN: Final = "[A new Python process: variables from before are gone, files are kept.]\n"

_log = logging.getLogger(__name__)


class KernelContainer:
    """One directory and one Python process at a time, both kept until they have not been used for so many minutes.

    The first process is started at once, in the background. The client gives it a `name`; `memory` is the tier that was
    asked for and is granted, such as `4g`; code that is `offline` has no network. One response at a time holds `turn`,
    and notes in `known_files` which files are there at its end.
    """

    def __init__(self, launcher: KernelLauncher, mint: IdMint) -> None:
        self.id = mint("cntr_")
        self.name, self.minutes, self.memory = "", MAX_MINUTES, ""
        self.turn = asyncio.Lock()
        self.known_files: frozenset[str] = frozenset()
        self.offline = launcher.sandbox.kind != "none"
        self.created_at = mint.now()
        self.used_at = mint.clock()
        self.folder = ContainerFolder(self.id, launcher.paths.work, mint)
        self._launcher = launcher
        self._clock = mint.clock
        self._provided, self._providing = set[str](), asyncio.Lock()
        self._has_run = False  # whether the present process has run code
        self._forgotten = False  # whether it replaced a process with variables; the next run's output says so
        self._kernel = Kernel(launcher)
        self._stopping: asyncio.Future[None] | None = None

    @property
    def expired(self) -> bool:
        """True once it has not been used for its time; it cannot be used again."""
        idle_s = self._clock() - self.used_at
        return self._stopping is not None or (idle_s > self.minutes * 60 and not self.turn.locked())

    def touch(self) -> None:
        """Count this moment as use."""
        self.used_at = self._clock()

    async def run(self, code: str) -> CodeRun:
        """Run code, also for the files it makes; cancelling interrupts it. Raises KernelError: no process starts."""
        kernel = await self._living_kernel()
        said = (FORGOTTEN,) if self._forgotten else ()
        self._forgotten, self._has_run = False, True
        await self.folder.scan()  # what came since the last run is not this one's
        before = {file.id for file in self.folder.made()}
        run = await kernel.run(code)
        self.touch()
        self._has_run = not run.died
        await self.folder.scan()
        made = [file for file in self.folder.made() if file.id not in before]
        return replace(run, shown=(*said, *run.shown), files=tuple(sorted(made, key=lambda file: file.name)))

    async def probe(self, code: str) -> str:
        """Run code that leaves no names behind and return what it printed. Raises KernelError if that fails."""
        return await (await self._living_kernel()).probe(code)

    async def names(self) -> tuple[str, ...]:
        """Files that code can read, by their path below `/mnt/data`, oldest first."""
        await self.folder.scan()
        return tuple(file.name for file in self.folder.files())

    async def content(self, name: str, most_bytes: int) -> bytes:
        """What is in one of `names`; nothing where that is more, or the file is no longer what it was."""
        for file in self.folder.files():
            if file.name == name and file.size_bytes <= most_bytes:
                with contextlib.suppress(ApiError), os.fdopen(self.folder.open(file.id), "rb") as opened:
                    return await asyncio.to_thread(opened.read, most_bytes)
        return b""

    def linkable(self) -> dict[str, str]:
        """Files that code made: path below `/mnt/data` → id."""
        return {file.name: file.id for file in self.folder.made()}

    async def provide(self, key: str, name: str, content: Path | bytes) -> None:
        """Take in a file of a request, once: it comes again when a conversation is replayed. Raises ApiError."""
        async with self._providing:  # a second request with it waits: it reads the file too
            if key not in self._provided:
                staged = self._launcher.paths.directory / key
                if isinstance(content, bytes):
                    staged.write_bytes(content)
                else:
                    await asyncio.to_thread(shutil.copyfile, content, staged)
                await self.folder.add(staged, name)
                self._provided.add(key)

    async def stop(self) -> None:
        """End its process and delete its directory, once, even where the caller does not wait for it."""
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        try:
            await self._kernel.stop()
            await asyncio.to_thread(remove_tree, self._launcher.paths.directory)
        except Exception as error:  # noqa: BLE001 - one that fails keeps none of the others from its end
            _log.error("A container could not be ended in order: %r", error)

    async def _living_kernel(self) -> Kernel:
        """The running kernel, or a new one if it has ended. Raises ApiError if the container has expired."""
        kernel = self._kernel
        alive = await kernel.alive()
        if self._stopping is not None:
            raise container_expired()
        if not alive and self._kernel is kernel:
            self._kernel, self._forgotten = Kernel(self._launcher), self._has_run
            await kernel.stop()
        return self._kernel


@dataclass(eq=False)
class ContainerPool:
    """All containers of the engine, `most` at once: the one that was used least recently is ended for a new one."""

    directory: Path
    sandbox: Sandbox
    limits: ContainerLimits
    environment: Mapping[str, str]
    mint: IdMint
    most: int
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(max(2, os.cpu_count() or 2)))
    _containers: dict[str, KernelContainer] = field(default_factory=dict)
    _made: int = 0
    _closed: bool = False
    _reserve: KernelContainer | None = None

    def reserve(self) -> None:
        """Have a container ready for the next question; starting its process takes a second or two."""
        if self._reserve is None and not self._closed:
            self._reserve = self._new(self.limits)

    async def create(self, name: str = "auto", *, minutes: int = MAX_MINUTES, memory: str = "") -> KernelContainer:
        """Make a container, kept for `minutes` without use. Raises ApiError where all are at work."""
        await self._make_room()
        if self._closed:
            raise ApiError(503, "The engine is being stopped.", code="server_shutdown")
        asked = MEMORY_TIERS.get(memory, self.limits.memory_bytes)
        if asked == self.limits.memory_bytes:
            container, self._reserve = self._reserve or self._new(self.limits), None
            asyncio.get_running_loop().call_later(RESERVE_AFTER_S, self.reserve)
        else:
            container = self._new(replace(self.limits, memory_bytes=min(asked, most_memory())))
        container.name, container.minutes = name, minutes
        container.memory = memory if asked <= most_memory() else ""
        container.touch()
        container.created_at = self.mint.now()
        self._containers[container.id] = container
        return container

    def all(self) -> tuple[KernelContainer, ...]:
        """Every container that was not deleted, expired ones too, oldest first."""
        return tuple(self._containers.values())

    def get(self, container_id: str) -> KernelContainer:
        """The container of this id, expired or not. Raises ApiError if it does not exist."""
        if container_id not in self._containers:
            raise ApiError(404, f"Container with id '{shortened(container_id)}' not found.")
        return self._containers[container_id]

    def live(self, container_id: str) -> KernelContainer:
        """The container of this id, used now. Raises ApiError if it does not exist or has expired."""
        container = self.get(container_id)
        if container.expired:
            raise container_expired()
        container.touch()
        return container

    async def delete(self, container_id: str) -> None:
        """End a container and forget it. Raises ApiError if it does not exist."""
        container = self.get(container_id)
        del self._containers[container_id]
        await container.stop()

    async def keep_retiring(self) -> None:
        """End the processes of expired containers and delete their files, for ever; the latest stay listed."""
        while True:
            await asyncio.sleep(RETIRE_EVERY_S)
            expired = [container for container in self.all() if container.expired]
            await asyncio.gather(*(container.stop() for container in expired))
            for container in expired[:-MAX_EXPIRED_LISTED]:
                self._containers.pop(container.id, None)

    async def stop(self) -> None:
        """End everything, for good."""
        self._closed = True
        await asyncio.gather(*(container.stop() for container in (*self.all(), self._reserve) if container))

    async def _make_room(self) -> None:
        """End the container that was used least recently if there are too many; raises ApiError if all are at work."""
        while len(there := [each for each in self._containers.values() if not each.expired]) >= self.most:
            idle = [container for container in there if not container.turn.locked()]
            if not idle:
                message = f"All {self.most} containers of this engine are at work. Try again when one of them is free."
                raise ApiError(429, message, code="rate_limit_exceeded")
            await min(idle, key=lambda container: container.used_at).stop()

    def _new(self, limits: ContainerLimits) -> KernelContainer:
        self._made += 1
        paths = ContainerPaths(self.directory / str(self._made))  # short: socket paths are limited
        launcher = KernelLauncher(paths, limits, self.sandbox, self.environment, self._gate)
        launcher.make_directories()
        return KernelContainer(launcher, self.mint)
