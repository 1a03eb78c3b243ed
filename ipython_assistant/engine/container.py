"""A container: a folder, a kernel in it, and the time both are kept."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine import errors
from ipython_assistant.engine.container_folder import DEEPEST, ContainerFolder, FileVersion
from ipython_assistant.engine.kernel import Kernel
from ipython_assistant.engine.kernel_output import CodeFailure, PrintedText, ShownFigure
from ipython_assistant.engine.mounted_paths import MountedPaths
from ipython_assistant.engine.private_directory import remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ipython_assistant.engine.kernel_launch import KernelLauncher
    from ipython_assistant.engine.uploads import EngineUpload

MAX_MINUTES: Final = 20
"""The service keeps an unused container for 20 minutes and refuses to keep one longer."""
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
TOO_DEEP: Final = f"[Files more than {DEEPEST} directories deep are not given out.]\n"


@dataclass(frozen=True, slots=True)
class CodeRun:
    """What code did in a container.

    Args:
        shown: Text and figures in the order they appeared; a traceback is the last of the texts.
        failure: Why it stopped early, if it did.
        files: Files it made or changed, sorted by name.
        figures: Its displayed figures as files, in order.
    """

    shown: tuple[PrintedText | ShownFigure, ...]
    failure: CodeFailure | None
    files: tuple[FileVersion, ...]
    figures: tuple[FileVersion, ...]

    @property
    def logs(self) -> str:
        """All printed text."""
        return "".join(part.text for part in self.shown if isinstance(part, PrintedText))


class KernelContainer:
    """One directory and one Python process at a time, both kept until they have not been used for a while.

    The first process is started at once, in the background.

    Args:
        launcher: Starts the processes; its directories are there, and are deleted at the end.
        mint: Makes ids.
        clock: Seconds since the epoch.
    """

    def __init__(self, launcher: KernelLauncher, *, mint: Callable[[str], str], clock: Callable[[], float]) -> None:
        self.id = mint("cntr_")
        self.name = ""
        """What the client called it."""
        self.minutes = MAX_MINUTES
        """How long it is kept without use."""
        self.memory = ""
        """The tier that was asked for and is granted, such as `4g`."""
        self.turn = asyncio.Lock()
        """Held by the response that works in the container: one at a time."""
        self.known_files: frozenset[str] = frozenset()
        """Names of the files that were there when the last response ended."""
        self.offline = launcher.sandbox.offline
        self.created_at = self.last_active_at = int(clock())
        self.used_at = clock()
        self.folder = ContainerFolder(self.id, launcher.paths, mint=mint, clock=clock)
        self._launcher = launcher
        self._clock = clock
        self._mounted = MountedPaths(launcher.visible)
        self._uploaded_bytes = self._uploaded_files = self._copying = 0
        self._copied: set[str] = set()
        self._has_run = False
        self._preface = ""
        self._kernel = self._new_kernel()
        self._stopping: asyncio.Future[None] | None = None

    @property
    def expired(self) -> bool:
        """True once it has not been used for its time; it cannot be used again."""
        idle_s = self._clock() - self.last_active_at
        return self._stopping is not None or (idle_s > self.minutes * 60 and not self.at_work)

    @property
    def at_work(self) -> bool:
        """True while a response works in it, or files are being copied in."""
        return self.turn.locked() or self._copying > 0

    def touch(self) -> None:
        """Count this moment as use."""
        self.used_at = self._clock()
        self.last_active_at = int(self.used_at)

    async def run(self, code: str) -> CodeRun:
        """Run code and account for what it left behind. Raises KernelError if no process could be started.

        Cancelling interrupts the code.
        """
        kernel = await self._living_kernel()
        preface = self._preface
        await self.folder.scan()  # what came since the last run is not this one's
        before = {file.id for file in self.folder.made()}
        self._has_run = True
        try:
            execution = await kernel.run(self._mounted.inward(code))
        finally:
            self.touch()
            await self._renew()
        failure = execution.failure
        died = failure is not None and failure.died
        self._preface = FORGOTTEN if kernel.ended and not died else ""
        shown: list[PrintedText | ShownFigure] = [PrintedText(preface)] if preface else []
        shown += [
            PrintedText(self._mounted.outward(part.text)) if isinstance(part, PrintedText) else part
            for part in execution.shown
        ]
        if failure is not None:
            failure = replace(failure, message=self._mounted.outward(failure.message))
            if failure.stopped:
                variables = "gone" if died else "kept"
                shown.append(PrintedText(STOPPED.format(reason=failure.message, variables=variables)))
            elif died:
                shown.append(PrintedText(DIED))
        figures = tuple([self.folder.display(part.png) for part in shown if isinstance(part, ShownFigure)])
        await self.folder.scan()
        if self.folder.too_deep:
            shown.append(PrintedText(TOO_DEEP))
        made = [file for file in self.folder.made() if file.id not in before]
        return CodeRun(tuple(shown), failure, tuple(sorted(made, key=lambda file: file.name)), figures)

    async def probe(self, code: str) -> str:
        """Run code that leaves no names behind and return what it printed. Raises KernelError if that fails."""
        kernel = await self._living_kernel()
        try:
            return self._mounted.outward(await kernel.probe(self._mounted.inward(code)))
        except errors.KernelError as error:
            raise errors.KernelError(self._mounted.outward(str(error))) from None

    async def names(self) -> tuple[str, ...]:
        """Files that code can read, by their path below `/mnt/data`, oldest first."""
        await self.folder.scan()
        return tuple(file.name for file in self.folder.files() if not file.displayed)

    def linkable(self) -> dict[str, str]:
        """Files that code made: path below `/mnt/data` → id."""
        return {file.name: file.id for file in self.folder.made()}

    async def add(self, staged: Path, name: str) -> FileVersion:
        """Move an uploaded file in. Raises ApiError if the name cannot be used."""
        self.touch()
        self._uploaded_bytes += staged.stat().st_size
        self._uploaded_files += 1
        return await self.folder.add(staged, name)

    async def copy_in(self, upload: EngineUpload) -> FileVersion:
        """Copy a file of the Files API in. Raises ApiError if its name cannot be used."""
        staged = self._launcher.paths.directory / upload.id
        self._copying += 1
        try:
            await asyncio.to_thread(shutil.copyfile, upload.path, staged)
        finally:
            self._copying -= 1
        self._copied.add(upload.id)
        return await self.add(staged, upload.filename)

    async def provide(self, uploads: Iterable[EngineUpload]) -> None:
        """Copy files of the Files API in that were not copied in before. Raises ApiError if a name cannot be used."""
        for upload in uploads:
            if upload.id not in self._copied:
                await self.copy_in(upload)

    async def attach(self, content: bytes, name: str) -> None:
        """Take in what came within a question, once: it comes again when a conversation is replayed.

        Raises:
            ApiError: The name cannot be used.
        """
        digest = hashlib.sha256(name.encode() + b"\0" + content).hexdigest()
        if digest not in self._copied:
            self._copied.add(digest)
            staged = self._launcher.paths.directory / digest
            staged.write_bytes(content)
            await self.add(staged, name)

    async def stop(self) -> None:
        """End its process and delete its directory, once, even where the caller does not wait for it."""
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop())
            self._stopping.add_done_callback(lambda ending: None if ending.cancelled() else ending.exception())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        await self._kernel.stop()
        await asyncio.to_thread(remove_tree, self._launcher.paths.directory)

    async def _living_kernel(self) -> Kernel:
        if self._stopping is not None:
            raise errors.container_expired()
        await self._renew()
        return self._kernel

    async def _renew(self) -> None:
        """Put a new process in the place of one that has ended, so that it is warm when it is needed."""
        kernel = self._kernel
        if self._stopping is None and not await kernel.alive() and self._kernel is kernel:
            self._kernel = self._new_kernel()
            reason = kernel.left_running
            self._preface = LEFT_RUNNING.format(reason=reason) if reason else FORGOTTEN if self._has_run else ""

    def _new_kernel(self) -> Kernel:
        return Kernel(self._launcher, lambda: (self._uploaded_bytes, self._uploaded_files))
