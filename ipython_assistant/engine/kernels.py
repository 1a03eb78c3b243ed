"""Runs Python in one Jupyter kernel: starts it, runs code, collects what it showed, interrupts and ends it.

A `Kernel` is one process and is never started twice; whoever owns it makes another when it has died. Kernels are
reached through jupyter_client only, so that a provisioner can put them into a sandbox or on another machine. Nothing
here knows of containers, files or HTTP.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import queue
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.errors import KernelError
from ipython_assistant.engine.limits import family

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager

    from ipython_assistant.engine.launching import Launch, Launcher
    from ipython_assistant.engine.limits import Excess, Limits, Watch

START_TIMEOUT_S: Final = 60.0
INTERRUPT_GRACE_S: Final = 1.0
"""How long interrupted code may take to stop before its process is ended."""
MAX_TEXT: Final = 1_000_000
"""Characters of printed text kept per run; what comes after is counted and left out."""
LOOK_EVERY_S: Final = 0.25
"""How often running code is looked at; less often where looking takes long."""
GLANCE_EVERY_S: Final = 0.03
"""How often it is looked whether there are suddenly many processes."""

_PRELOAD: Final = """
def _(shell=get_ipython()):
    import io
    try:
        import matplotlib.pyplot, pandas
        shell.run_line_magic("matplotlib", "inline")
        from matplotlib.figure import Figure
        figure = Figure()
        figure.subplots().plot([0, 1])
        figure.savefig(io.BytesIO(), format="png")
    except ImportError:
        pass
_()
del _
"""

_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_RULER: Final = re.compile(r"-+")
_CHAINED: Final = ("The above exception was", "During handling of the above")
_CELL_FILE: Final = re.compile(r"\(\d+\.py, (line \d+)\)$")


@dataclass(frozen=True, slots=True)
class Text:
    """Text the code printed or its last expression's value."""

    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture the code displayed."""

    png: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """How code stopped early.

    Args:
        name: The exception's class name.
        message: The exception's text.
        died: True where the process itself ended; its variables are gone.
        stopped: True where it was stopped because it passed a limit.
    """

    name: str
    message: str
    died: bool = False
    stopped: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


@dataclass(frozen=True, slots=True)
class Execution:
    """What one run showed, in order, and how it failed, if it did. A traceback is the last of `shown`."""

    shown: tuple[Text | Figure, ...]
    failure: Failure | None = None


class Kernel:
    """One kernel process, started in the background at once.

    Args:
        launcher: What starts the process.
        clock: Seconds, monotonic.
    """

    def __init__(self, launcher: Launcher, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._launcher = launcher
        self._limits = launcher.limits
        self._clock = clock
        self._watch: Callable[[int, Limits], Watch] | None = None
        self._turn = asyncio.Lock()
        self._jupyter: AsyncKernelManager | None = None
        self._client: AsyncKernelClient | None = None
        self._ended = False
        self._started = asyncio.create_task(self._start())
        self._started.add_done_callback(_retrieved)

    @property
    def ended(self) -> bool:
        """True once the process is gone, or is going because the code asked for it (`exit()`)."""
        return self._ended

    async def alive(self) -> bool:
        """False once the process has ended, or could not be started."""
        if self._started.done() and (self._jupyter is None or not await self._jupyter.is_alive()):
            await self.stop()
        return not self._ended

    async def ready(self) -> None:
        """Wait until it takes code.

        Raises:
            KernelError: It could not be started; the message holds the end of its own log.
        """
        try:
            await asyncio.shield(self._started)
        except asyncio.CancelledError:
            if self._started.cancelled():
                raise KernelError("The Python process was stopped.") from None
            raise

    async def run(self, code: str) -> Execution:
        """Run code as a cell. Cancelling interrupts it, and ends the process if that does not help.

        Raises:
            KernelError: The kernel could not be started.
        """
        await self.ready()
        async with self._turn:
            return await self._execute(code, silent=False)

    async def probe(self, code: str) -> str:
        """Run code that sees the variables but leaves none behind, and return what it printed.

        Raises:
            KernelError: The code raised, or the kernel has ended.
        """
        await self.ready()
        source = f"exec(compile({code!r}, '<probe>', 'exec'), {{**globals()}})"
        async with self._turn:
            execution = await self._execute(source, silent=True)
        if execution.failure is not None:
            raise KernelError(str(execution.failure))
        return "".join(part.text for part in execution.shown if isinstance(part, Text))

    def grant(self, limits: Limits) -> None:
        """Let it use more or less memory than it was started with; at once, or as soon as it is there."""
        self._limits = limits
        if self._watch is not None and not self._ended:
            _set_memory(self._pid, limits.memory_bytes)

    async def stop(self) -> None:
        """End the process and all its children of the same process group, at once."""
        self._ended = True
        if not self._started.done():
            self._started.cancel()
            with contextlib.suppress(asyncio.CancelledError, KernelError):
                await self._started
        await self._end_process()
        async with self._turn:  # a run that is going on notices that its process is gone, and leaves first
            self._hang_up()

    async def _start(self) -> None:
        async with self._launcher.gate:
            await self._start_now()

    async def _start_now(self) -> None:
        launch = self._launcher.launch()
        self._jupyter = launch.manager
        try:
            await self._launch(launch)
            self._client = launch.manager.client()
            self._client.start_channels(stdin=False, hb=False, control=False)
            await self._answers(self._client)
            self._watch = launch.watch
            await self._execute(launch.preload + _PRELOAD, silent=True)
            if self._limits != self._launcher.limits:
                _set_memory(self._pid, self._limits.memory_bytes)
        except KernelError:
            await self._close()
            log_tail = launch.log.read_text(errors="replace")[-2000:].strip() if launch.log else ""
            raise KernelError(f"The Python process could not be started.\n{log_tail}".strip()) from None
        except BaseException:
            await self._close()
            raise

    async def _launch(self, launch: Launch) -> None:
        if launch.log is None:
            await launch.manager.start_kernel(**launch.options)
            return
        with launch.log.open("wb") as log:
            await launch.manager.start_kernel(**launch.options, stdout=subprocess.DEVNULL, stderr=log)

    async def _answers(self, client: AsyncKernelClient) -> None:
        """Return once both channels carry messages: what is published before the subscription is up would be lost."""
        deadline = self._clock() + START_TIMEOUT_S
        while self._clock() < deadline:
            client.kernel_info()
            with contextlib.suppress(queue.Empty):
                await client.get_iopub_msg(timeout=0.05)
                return
            await self._check_alive()
        raise KernelError(f"The Python process did not answer within {START_TIMEOUT_S:.0f} s.")

    async def _check_alive(self) -> None:
        if self._jupyter is None or not await self._jupyter.is_alive():
            self._ended = True
            raise KernelError("The Python process has ended.")

    async def _execute(self, code: str, *, silent: bool) -> Execution:
        client = self._client
        if client is None or self._ended:
            raise KernelError("The Python process has ended.")
        passed: list[Excess] = []
        watching = asyncio.create_task(self._keep_watch(passed))
        request = client.execute(code, silent=silent, store_history=not silent, allow_stdin=False)
        shown = _Shown(begins_with="status" if silent else "execute_input")
        try:
            failure = await self._collect(client, request, shown)
        except asyncio.CancelledError:
            await asyncio.shield(self._silence(client, request, shown))
            raise
        except KernelError:
            await self._close()
            failure = Failure("KernelDied", "the Python process ended while it ran this code", died=True)
        finally:
            watching.cancel()
        if passed and failure is not None:
            failure = Failure("Stopped", passed[0].message, died=failure.died, stopped=True)
        return Execution(shown.parts(), failure)

    async def _keep_watch(self, passed: list[Excess]) -> None:
        """Look at the process while it runs code, and stop it when it passes a limit; says so in `passed` first."""
        pid = self._pid
        if self._watch is None or pid is None:
            return
        watch = await asyncio.to_thread(self._watch, pid, self._limits)
        passed.append(excess := await self._excess(watch))
        if excess.gentle:
            await self._interrupt()
            await asyncio.sleep(INTERRUPT_GRACE_S)
        if self._jupyter is not None and self._jupyter.provisioner is not None:
            await self._jupyter.provisioner.kill()

    async def _excess(self, watch: Watch) -> Excess:
        """Wait for the first limit that is passed."""
        looking: asyncio.Task[Excess | None] | None = None
        began = self._clock()
        next_look = began + LOOK_EVERY_S
        while True:
            await asyncio.sleep(GLANCE_EVERY_S)
            if excess := watch.glance():
                return excess
            if looking is not None and looking.done():
                if excess := looking.result():
                    return excess
                looking, next_look = None, self._clock() + max(LOOK_EVERY_S, 10 * (self._clock() - began))
            if looking is None and self._clock() >= next_look:
                began = self._clock()
                looking = asyncio.create_task(asyncio.to_thread(watch.look))

    @property
    def _pid(self) -> int | None:
        """The process that was started; None where that is not on this machine."""
        pid = getattr(self._jupyter.provisioner, "pid", None) if self._jupyter is not None else None
        return pid if isinstance(pid, int) else None

    async def _collect(self, client: AsyncKernelClient, request: str, shown: _Shown) -> Failure | None:
        failure = None
        async for kind, content in self._published(client, request):
            shown.begun = shown.begun or kind == shown.begins_with
            if kind == "stream":
                shown.write(content["text"])
            elif kind in {"execute_result", "display_data"}:
                shown.display(content["data"])
            elif kind == "error":
                shown.line(readable(content["traceback"], own=self._launcher.seen.work) + "\n")
                failure = Failure(content["ename"], _CELL_FILE.sub(r"(\1)", _plain(content["evalue"])))
        await self._take_reply(client, request)
        return failure

    async def _take_reply(self, client: AsyncKernelClient, request: str) -> None:
        """Take the reply, which is on its way when the kernel says idle. `exit()` is known from it alone."""
        with contextlib.suppress(queue.Empty):
            while (reply := await client.get_shell_msg(timeout=1)) and reply["parent_header"].get("msg_id") != request:
                continue
            if any(payload.get("source") == "ask_exit" for payload in reply["content"].get("payload", ())):
                await self._close()

    async def _published(self, client: AsyncKernelClient, request: str) -> AsyncIterator[tuple[str, Any]]:
        """Messages of one request, until the kernel is idle again. Raises `KernelError` when the process ends."""
        while True:
            try:
                message = await client.get_iopub_msg(timeout=0.25)
            except queue.Empty:
                await self._check_alive()
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return
            yield kind, content

    async def _silence(self, client: AsyncKernelClient, request: str, shown: _Shown) -> None:
        """Interrupt a run nobody waits for any more.

        An interrupt that comes before the kernel has taken the code up would be lost on it.
        """
        with contextlib.suppress(KernelError, TimeoutError):
            async with asyncio.timeout(INTERRUPT_GRACE_S):
                if shown.begun:
                    await self._interrupt()
                async for kind, _ in self._published(client, request):
                    if kind == shown.begins_with:
                        await self._interrupt()
                await self._take_reply(client, request)
                return
        await self._close()

    async def _interrupt(self) -> None:
        if self._jupyter is not None:
            await self._jupyter.interrupt_kernel()

    async def _close(self) -> None:
        """For whoever talks to the process: end it and let go of it."""
        await self._end_process()
        self._hang_up()

    async def _end_process(self) -> None:
        self._ended = True
        jupyter, self._jupyter = self._jupyter, None
        if jupyter is not None:
            await jupyter.shutdown_kernel(now=True)

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.stop_channels()


class _Shown:
    """What a run showed so far, as it comes.

    Args:
        begins_with: The kind of message that says the kernel has taken the code up.
    """

    def __init__(self, *, begins_with: str) -> None:
        self.begins_with = begins_with
        self.begun = False
        self._parts: list[Text | Figure] = []
        self._text: list[str] = []
        self._room = MAX_TEXT
        self._left_out = 0

    def write(self, text: str) -> None:
        kept = text[: self._room]
        self._room -= len(kept)
        self._left_out += len(text) - len(kept)
        self._text.append(kept)

    def line(self, text: str) -> None:
        """Text that begins on a line of its own."""
        if any(self._text) and not next(filter(None, reversed(self._text))).endswith("\n"):
            text = "\n" + text
        self.write(text)

    def display(self, bundle: Mapping[str, Any]) -> None:
        """A MIME bundle: a picture if there is one, else its text."""
        png = bundle.get("image/png")
        if isinstance(png, str):
            self._flush()
            self._parts.append(Figure(base64.b64decode(png)))
        elif text := bundle.get("text/plain"):
            self.line(str(text))

    def parts(self) -> tuple[Text | Figure, ...]:
        if self._left_out:
            self._text.append(f"\n[{self._left_out:,} more characters were printed and left out]\n")
        self._flush()
        return tuple(self._parts)

    def _flush(self) -> None:
        if text := _plain("".join(self._text)):
            self._parts.append(Text(text))
        self._text.clear()


def readable(traceback: Sequence[str], *, own: str) -> str:
    """A traceback for the person who wrote the code: no colours, no rulers, no frames of libraries.

    Args:
        traceback: The blocks IPython sends: a ruler, a heading, one block per frame, the exception; and so on again
            for each exception in the chain.
        own: The directory whose files are the person's own, besides the cell itself.
    """
    chain: list[list[str]] = [[]]
    for block in map(_plain, traceback):
        if block.strip().startswith(_CHAINED):
            chain.append([block.strip("\n")])
        elif not _RULER.fullmatch(block) and (not block.startswith("File ") or own in block.partition("\n")[0]):
            chain[-1].append(block.strip("\n"))
    last = chain[-1]
    kept = [part for part in chain[:-1] if any(block.startswith(("Cell ", "File ")) for block in part)]
    if not kept and last[0].startswith(_CHAINED):
        last = last[1:]
    return "\n\n".join("\n".join(part) for part in [*kept, last])


def _plain(text: str) -> str:
    """Text as it would be read: no escape sequences, progress bars at their last state, no half characters."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in _ANSI.sub("", text).split("\n")]
    return "\n".join(lines).encode("utf-8", "replace").decode("utf-8")


def _set_memory(pid: int | None, limit: int) -> None:
    """Change what each process of a kernel may allocate, up to what it was started with as the most."""
    if pid is None or sys.platform != "linux":
        return
    import resource

    for process in family(pid):
        with contextlib.suppress(OSError):  # it has just ended
            _, most = resource.prlimit(process.pid, resource.RLIMIT_DATA)
            soft = limit if most == resource.RLIM_INFINITY else min(limit, most)
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (soft, most))


def _retrieved(task: asyncio.Task[None]) -> None:
    """Whoever waits for the start sees its exception; nobody may, so mark it as seen."""
    if not task.cancelled():
        task.exception()
