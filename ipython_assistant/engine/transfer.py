"""How the files of a container get to its kernel and back: by a disk they share, or through the kernel itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ipython_assistant.engine.kernels import Kernel


class Transfer(Protocol):
    """Keeps the container's directory on this machine and the kernel's working directory the same."""

    async def bring(self, kernel: Kernel) -> None:
        """Give the kernel what is new on this side, before code runs. Raises `KernelError`."""
        ...

    async def fetch(self, kernel: Kernel) -> None:
        """Take what code made or changed, after it ran. Raises `KernelError`."""
        ...


class SharedDisk:
    """Both are one directory: there is nothing to do."""

    async def bring(self, kernel: Kernel) -> None:
        """Nothing."""

    async def fetch(self, kernel: Kernel) -> None:
        """Nothing."""
