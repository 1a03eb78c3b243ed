"""Containers: a folder, a kernel in it, and the time they are kept.

Code is written for `/mnt/data`. Without a sandbox that place does not exist on this machine, so a `Mount` puts the real
directory into the code just before it runs and `/mnt/data` back into what it printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import sysconfig
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from ipython_assistant.engine import errors
from ipython_assistant.engine.folder import MOUNT, ContainerFile, Folder
from ipython_assistant.engine.kernels import Failure, Figure, Kernel, KernelError, Place, Text, scrubbed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ipython_assistant.engine.kernels import Provisioner
    from ipython_assistant.engine.uploads import Upload

MAX_MINUTES: Final = 20
"""The service keeps an unused container for 20 minutes and refuses to keep one longer."""
SPARE_AFTER_S: Final = 5.0
"""When the process for the next container is started, after one was taken."""
FORGOTTEN: Final = "[A new Python process: variables from before are gone, files are kept.]\n"
DIED: Final = (
    "The Python process ended while it ran this code. Variables are gone, files are kept; "
    "the next code runs in a new process.\n"
)

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
        work: The directory that stands for `/mnt/data`.
        home: The kernel's private home.
    """

    def __init__(self, work: Path, home: Path) -> None:
        self._work = work.as_posix()
        paths = [
            (str(work), MOUNT),
            (str(home / "tmp"), "/tmp"),  # noqa: S108 - a name to show, not a place to write
            (str(home), "/home/user"),
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
        directory: All of it, to be deleted at the end.
        place: Where the process lives.
        figures: Where displayed figures are kept.
        kernel: The process.
    """

    directory: Path
    place: Place
    figures: Path
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
        provisioner: Starts its later processes.
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
        provisioner: Provisioner,
    ) -> None:
        self.id = container_id
        self.name = name
        self.minutes = minutes
        self.created_at = int(clock())
        self.last_active_at = self.created_at
        self.turn = asyncio.Lock()
        """Held by the response that works in the container: one at a time."""
        self.seen: frozenset[str] = frozenset()
        """The files that were there when the last response ended."""
        self._directory = berth.directory
        self._place = berth.place
        self._clock = clock
        self._provisioner = provisioner
        self._mount = Mount(berth.place.work, berth.place.home)
        self._folder = Folder(container_id, berth.place.work, berth.figures, mint=mint, clock=clock)
        self._copied: set[str] = set()
        self._has_run = False
        self._forgot = False
        self._stopped = False
        self._kernel = berth.kernel

    @property
    def expired(self) -> bool:
        """True once it has not been used for its time; it cannot be used again."""
        idle = self._clock() - self.last_active_at
        return self._stopped or (idle > self.minutes * 60 and not self.turn.locked())

    def touch(self) -> None:
        """Count this moment as use."""
        self.last_active_at = int(self._clock())

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
        try:
            execution = await kernel.run(self._mount.inward(code))
        finally:
            self.touch()
            await self._renew()
        died = execution.failure is not None and execution.failure.died
        self._forgot = kernel.ended and not died
        shown = [Text(self._mount.outward(part.text)) if isinstance(part, Text) else part for part in execution.shown]
        told = ([Text(FORGOTTEN)] if forgot else []) + shown + ([Text(DIED)] if died else [])
        figures = tuple(self._folder.show(part.png) for part in told if isinstance(part, Figure))
        self._folder.scan()
        files = tuple(file for file in self._folder.made() if file.id not in before)
        return CodeRun(tuple(told), self._outward(execution.failure), files, figures)

    async def probe(self, code: str) -> str:
        """Run code that leaves no names behind and return what it printed.

        Raises:
            KernelError: It raised, or no process could be started.
        """
        kernel = await self._living_kernel()
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
        return self._folder.add(staged, name)

    async def copy_in(self, upload: Upload) -> ContainerFile:
        """Copy a file of the Files API in.

        Raises:
            ApiError: Its name cannot be used.
        """
        staged = self._directory / upload.id
        await asyncio.to_thread(shutil.copyfile, upload.path, staged)
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

    def remove(self, file_id: str) -> None:
        """Delete a file.

        Raises:
            ApiError: There is none of this id.
        """
        self.touch()
        self._folder.remove(file_id)

    async def stop(self) -> None:
        """End its process and delete its directory, once."""
        if self._stopped:
            return
        self._stopped = True
        await self._kernel.stop()
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)

    async def _living_kernel(self) -> Kernel:
        if self._stopped:
            raise errors.container_expired()
        await self._renew()
        return self._kernel

    async def _renew(self) -> None:
        """Put a new process in the place of one that has ended, so that it is warm when it is needed."""
        if not self._stopped and not await self._kernel.alive():
            self._kernel, self._forgot = Kernel(self._place, provisioner=self._provisioner), self._has_run

    def _outward(self, failure: Failure | None) -> Failure | None:
        return None if failure is None else replace(failure, message=self._mount.outward(failure.message))


class Containers:
    """All containers of the engine.

    Args:
        directory: Where they live; a private directory.
        environment: The engine's environment.
        mint: Makes ids.
        clock: Seconds since the epoch.
        provisioner: Starts their processes.
    """

    def __init__(
        self,
        directory: Path,
        *,
        environment: Mapping[str, str],
        mint: Callable[[str], str],
        clock: Callable[[], float],
        provisioner: Provisioner = LocalProvisioner,
    ) -> None:
        self._directory = directory
        self._matplotlib = directory / "mpl"
        self._matplotlib.mkdir(parents=True)
        _seed_font_list(self._matplotlib, environment)
        self._environment = environment
        self._mint = mint
        self._clock = clock
        self._provisioner = provisioner
        self._containers: dict[str, Container] = {}
        self._made = 0
        self._stopped = False
        self._spare: Berth | None = None
        self._warming: asyncio.TimerHandle | None = None

    def warm(self) -> None:
        """Have a process ready for the next container; starting one takes a second or two."""
        if self._spare is None and not self._stopped:
            self._spare = self._berth()

    async def create(
        self, name: str = "auto", *, minutes: int = MAX_MINUTES, uploads: Sequence[Upload] = ()
    ) -> Container:
        """Make a container; its process starts in the background.

        Args:
            name: For lists.
            minutes: How long it is kept without use.
            uploads: Files to copy in first.

        Raises:
            ApiError: A file's name cannot be used.
        """
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
            provisioner=self._provisioner,
        )
        self._containers[container.id] = container
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
        """End the processes of expired containers and delete their files; they stay listed."""
        await asyncio.gather(*(container.stop() for container in self.all() if container.expired))

    async def stop(self) -> None:
        """End everything, for good."""
        self._stopped = True
        if self._warming is not None:
            self._warming.cancel()
        spare, self._spare = self._spare, None
        await asyncio.gather(
            *(container.stop() for container in self.all()), *([spare.kernel.stop()] if spare is not None else [])
        )

    def _berth(self) -> Berth:
        self._made += 1
        directory = self._directory / str(self._made)  # short: socket paths are limited
        work, home, figures, run = (directory / part for part in ("data", "home", "figures", "run"))
        for path in (work, home / "tmp", figures, run):
            path.mkdir(parents=True)
        place = Place(work, home, run, scrubbed(self._environment, home=home, matplotlib=self._matplotlib))
        return Berth(directory, place, figures, Kernel(place, provisioner=self._provisioner))


def _seed_font_list(matplotlib: Path, environment: Mapping[str, str]) -> None:
    """Copy matplotlib's list of this machine's fonts, if the user has one: making it anew can take many seconds."""
    home = Path(environment.get("HOME", environment.get("USERPROFILE", "")))
    caches = [Path(environment.get("XDG_CACHE_HOME", home / ".cache")) / "matplotlib", home / ".matplotlib"]
    if own := environment.get("MPLCONFIGDIR"):
        caches.append(Path(own))
    for cache in caches:
        for path in cache.glob("fontlist-*.json"):
            with contextlib.suppress(OSError):
                shutil.copyfile(path, matplotlib / path.name)
