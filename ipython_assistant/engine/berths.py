"""Makes the place a container will live in: directories on this machine, and a kernel that is being started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.containers import Berth
from ipython_assistant.engine.errors import KernelError
from ipython_assistant.engine.kernels import Kernel
from ipython_assistant.engine.launching import Elsewhere, Here
from ipython_assistant.engine.limits import Census
from ipython_assistant.engine.sandbox import Ground
from ipython_assistant.engine.transfer import SharedDisk, ThroughKernel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipython_assistant.engine.limits import Limits
    from ipython_assistant.engine.reaper import Reaper
    from ipython_assistant.engine.sandbox import Sandbox

STARTED_ELSEWHERE: Final = 16
"""How many kernels are started at once where it is not this machine that starts them."""

_FONT_LISTS: Final = "fontlist-*.json"


class LocalBerths:
    """Berths with kernels on this machine.

    Args:
        sandbox: How code is confined.
        limits: What it may use.
        environment: The engine's own.
        fonts: A new private directory for matplotlib's list of fonts: making it anew for each kernel can take seconds.
        reaper: Ends what kernels started if the engine is killed.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        limits: Limits,
        environment: Mapping[str, str],
        fonts: Path,
        reaper: Reaper | None = None,
    ) -> None:
        fonts.mkdir(parents=True)
        self._sandbox = sandbox
        self._limits = limits
        self._environment = environment
        self._fonts = fonts
        self._gate = asyncio.Semaphore(max(2, os.cpu_count() or 2))
        self._census = Census()
        self._reaper = reaper
        self._adopting: asyncio.Task[None] | None = None
        _seed_fonts(fonts, environment)

    def __call__(self, directory: Path) -> Berth:
        """Make directories and begin to start a kernel."""
        ground = make_ground(directory)
        figures = directory / "figures"
        figures.mkdir()
        for fonts in self._fonts.glob(_FONT_LISTS):
            shutil.copyfile(fonts, ground.home / "mpl" / fonts.name)
        launcher = Here(ground, self._sandbox, self._limits, self._environment, self._gate, self._census, self._reaper)
        kernel = Kernel(launcher)
        if self._adopting is None and not any(self._fonts.glob(_FONT_LISTS)):
            self._adopting = asyncio.create_task(self._adopt(kernel, ground))
        return Berth(ground, figures, launcher, SharedDisk(), kernel)

    async def _adopt(self, kernel: Kernel, ground: Ground) -> None:
        """Take the font list that the first kernel made while it started: only our own code has run in it then."""
        with contextlib.suppress(KernelError, OSError):
            await kernel.ready()
            for fonts in (ground.home / "mpl").glob(_FONT_LISTS):
                if not fonts.is_symlink():
                    shutil.copyfile(fonts, self._fonts / fonts.name, follow_symlinks=False)


class RemoteBerths:
    """Berths with kernels wherever an installed kernel's provisioner starts them.

    Args:
        kernel: The installed kernel's name.
        limits: What is fetched at most; the rest is the provisioner's business.
        environment: The engine's own.
    """

    def __init__(self, kernel: str, limits: Limits, environment: Mapping[str, str]) -> None:
        self._kernel = kernel
        self._limits = limits
        self._environment = environment
        self._gate = asyncio.Semaphore(STARTED_ELSEWHERE)

    def __call__(self, directory: Path) -> Berth:
        """Make directories here and begin to start a kernel there."""
        ground = make_ground(directory)
        figures = directory / "figures"
        figures.mkdir()
        launcher = Elsewhere(self._kernel, secrets.token_hex(8), self._limits, self._environment, self._gate)
        transfer = ThroughKernel(ground.work, launcher.seen.work, most=self._limits.disk_bytes)
        return Berth(ground, figures, launcher, transfer, Kernel(launcher))


def make_ground(directory: Path) -> Ground:
    """A container's directories, all of them new."""
    ground = Ground(directory, directory / "data", directory / "home")
    for path in (ground.work, *(ground.home / part for part in ("tmp", "shm", "mpl"))):
        path.mkdir(parents=True)
    return ground


def _seed_fonts(fonts: Path, environment: Mapping[str, str]) -> None:
    """Copy matplotlib's list of this machine's fonts, if the user has one."""
    home = Path(environment.get("HOME", environment.get("USERPROFILE", os.devnull)))
    caches = [Path(environment.get("XDG_CACHE_HOME", home / ".cache")) / "matplotlib", home / ".matplotlib"]
    if own := environment.get("MPLCONFIGDIR"):
        caches.append(Path(own))
    for cache in caches:
        for path in cache.glob(_FONT_LISTS):
            with contextlib.suppress(OSError):
                shutil.copyfile(path, fonts / path.name)
