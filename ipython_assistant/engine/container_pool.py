"""All containers of the engine: one in reserve, so many at once, and those that have expired."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine import errors
from ipython_assistant.engine.container import MAX_MINUTES, KernelContainer
from ipython_assistant.engine.kernel_launch import KernelLauncher
from ipython_assistant.engine.limit_monitor import GIB, most_memory
from ipython_assistant.engine.sandbox import ContainerPaths

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
    from pathlib import Path

    from ipython_assistant.engine.limit_monitor import ContainerLimits
    from ipython_assistant.engine.sandbox import Sandbox
    from ipython_assistant.engine.uploads import EngineUpload

MAX_CONTAINERS: Final = 64
MAX_EXPIRED_LISTED: Final = 1000
"""How many expired containers are still known as such."""
MEMORY_TIERS: Final = {f"{gigabytes}g": gigabytes * GIB for gigabytes in (1, 4, 16, 64)}
"""The hosted service's, in bytes."""
RESERVE_AFTER_S: Final = 5.0
"""When the process for the next container is started, after one was taken."""

_log = logging.getLogger(__name__)


class ContainerPool:
    """All containers of the engine.

    Args:
        directory: Where they live; a private directory.
        sandbox: How code is confined.
        limits: What a container may use that asked for nothing else.
        environment: The engine's own, of which kernels get a little.
        most: How many may be there at once; the one that was used least recently is ended for a new one.
        mint: Makes ids.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        directory: Path,
        sandbox: Sandbox,
        limits: ContainerLimits,
        environment: Mapping[str, str],
        *,
        mint: Callable[[str], str],
        clock: Callable[[], float],
        most: int = MAX_CONTAINERS,
    ) -> None:
        self._directory = directory
        self._sandbox = sandbox
        self._limits = limits
        self._environment = environment
        self._most = most
        self._mint = mint
        self._clock = clock
        self._gate = asyncio.Semaphore(max(2, os.cpu_count() or 2))
        self._containers: dict[str, KernelContainer] = {}
        self._made = 0
        self._closed = False
        self._reserve: KernelContainer | None = None
        self._reserving: asyncio.TimerHandle | None = None

    def reserve(self) -> None:
        """Have a container ready for the next question; starting its process takes a second or two."""
        if self._reserve is None and not self._closed:
            self._reserve = self._new(self._limits)

    async def create(
        self, name: str = "auto", *, minutes: int = MAX_MINUTES, uploads: Sequence[EngineUpload] = (), memory: str = ""
    ) -> KernelContainer:
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
        asked = MEMORY_TIERS.get(memory, self._limits.memory_bytes)
        if asked == self._limits.memory_bytes:
            container, self._reserve = self._reserve or self._new(self._limits), None
            # Not at once: the new container's own work comes first.
            self._reserving = asyncio.get_running_loop().call_later(RESERVE_AFTER_S, self.reserve)
        else:
            container = self._new(replace(self._limits, memory_bytes=min(asked, most_memory())))
        container.name, container.minutes = name, minutes
        container.memory = memory if asked <= most_memory() else ""
        container.touch()
        container.created_at = container.last_active_at
        self._containers[container.id] = container
        try:
            await container.provide(uploads)
        except errors.ApiError:
            await self.delete(container.id)
            raise
        return container

    def all(self) -> tuple[KernelContainer, ...]:
        """Every container that was not deleted, expired ones too, oldest first."""
        return tuple(self._containers.values())

    def get(self, container_id: str) -> KernelContainer:
        """The container of this id, expired or not. Raises ApiError if there is none."""
        if container_id not in self._containers:
            raise errors.container_not_found(container_id)
        return self._containers[container_id]

    def live(self, container_id: str) -> KernelContainer:
        """The container of this id, to be used. Raises ApiError if there is none, or it is expired."""
        container = self.get(container_id)
        if container.expired:
            raise errors.container_expired()
        return container

    async def delete(self, container_id: str) -> None:
        """End a container and forget it. Raises ApiError if there is none."""
        container = self.get(container_id)
        del self._containers[container_id]
        await container.stop()

    async def retire(self) -> None:
        """End the processes of expired containers and delete their files; the latest of them stay listed."""
        expired = [container for container in self.all() if container.expired]
        await _all_of(container.stop() for container in expired)
        for container in expired[:-MAX_EXPIRED_LISTED]:
            self._containers.pop(container.id, None)

    def close(self) -> None:
        """Begin nothing new; what there is goes on."""
        self._closed = True
        if self._reserving is not None:
            self._reserving.cancel()

    async def stop(self) -> None:
        """End everything, for good."""
        self.close()
        reserve, self._reserve = self._reserve, None
        await _all_of(container.stop() for container in (*self.all(), *([reserve] if reserve is not None else [])))

    async def _make_room(self) -> None:
        """End the container that was used least recently, if there are as many as there may be.

        Raises:
            ApiError: All of them are at work.
        """
        while len(there := [each for each in self._containers.values() if not each.expired]) >= self._most:
            idle = [container for container in there if not container.at_work]
            if not idle:
                message = f"All {self._most} containers of this engine are at work. Try again when one of them is free."
                raise errors.ApiError(429, message, code="rate_limit_exceeded", kind="rate_limit_error")
            await min(idle, key=lambda container: container.used_at).stop()

    def _new(self, limits: ContainerLimits) -> KernelContainer:
        self._made += 1
        paths = ContainerPaths(self._directory / str(self._made))  # short: socket paths are limited
        launcher = KernelLauncher(paths, self._sandbox, limits, self._environment, self._gate)
        launcher.make_directories()
        return KernelContainer(launcher, mint=self._mint, clock=self._clock)


async def _all_of(endings: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all of them: one that fails keeps none of the others from its end."""
    for outcome in await asyncio.gather(*endings, return_exceptions=True):
        if isinstance(outcome, Exception):
            _log.error("A container could not be ended in order: %r", outcome)
