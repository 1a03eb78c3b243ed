"""Runs Python in one Jupyter kernel: starts it, runs code, collects what it showed, interrupts and ends it.

A `Kernel` is one process and is never started twice; whoever owns it makes another when it has died. Kernels are
reached through jupyter_client only, so that a provisioner can put them into a sandbox or on another machine. Nothing
here knows of containers, files or HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.errors import KernelError
from ipython_assistant.engine.guard import Guard
from ipython_assistant.engine.limits import family
from ipython_assistant.engine.showing import Execution, Failure, Showing, Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager

    from ipython_assistant.engine.launching import Launch, Launcher
    from ipython_assistant.engine.limits import Limits

START_TIMEOUT_S: Final = 60.0
INTERRUPT_GRACE_S: Final = 1.0
"""How long interrupted code may take to stop before its process is ended."""
MOST_OTHER_REPLIES: Final = 100
"""How many replies to something else are passed over in search of one."""
WAIT_S: Final = 0.25
"""How long a message is waited for before it is asked whether the process is there at all."""
SILENT_AFTER_REPLY: Final = 8
"""After so many of these waits in vain a run has ended if the kernel has replied, though it never said it was idle."""
ENDS_WITHIN_S: Final = 1.0
"""How long those who talk to a process that was killed wait until it is gone."""

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

_UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What jupyter_client raises for a message that is not one, or that is signed wrongly."""

_DIED: Final = Failure("KernelDied", "the Python process ended while it ran this code", died=True)

_log = logging.getLogger(__name__)


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
        self._guard: Guard | None = None
        self._turn = asyncio.Lock()
        self._jupyter: AsyncKernelManager | None = None
        self._client: AsyncKernelClient | None = None
        self._ended = False
        self._stopped = False
        self._own_code_only = True
        self._ending: asyncio.Future[None] | None = None
        self._started = asyncio.create_task(self._start())
        self._started.add_done_callback(_retrieved)

    @property
    def ended(self) -> bool:
        """True once the process is gone, or is going because the code asked for it (`exit()`)."""
        return self._ended

    @property
    def left_running(self) -> str:
        """Which limit was passed by what earlier code had left running, if it was ended for that."""
        excess = self._guard.left_running if self._guard is not None else None
        return excess.message if excess is not None else ""

    async def alive(self) -> bool:
        """False once the process has ended, or could not be started."""
        if self._started.done() and (self.left_running or self._jupyter is None or not await self._jupyter.is_alive()):
            await self.stop(within_s=0)
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
        try:
            await self.ready()
            async with self._turn:
                self._own_code_only = False
                return await self._execute(code, silent=False)
        except KernelError:
            if not self._stopped:
                raise
            return Execution((), _DIED)  # stopped, as when its container is deleted, before it took the code up

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
        if self._guard is not None and not self._ended:
            _set_memory(self._pid, limits.memory_bytes)

    def given(self, size: int) -> None:
        """Somebody else than the code puts a file of this many bytes among its own: it does not count as the code's."""
        if self._guard is not None:
            self._guard.given(size)

    async def stop(self, *, within_s: float | None = None) -> None:
        """End the process and all its children of the same process group, at once.

        Args:
            within_s: How long to wait until they are gone; None for as long as it takes.
        """
        self._ended = self._stopped = True
        if not self._started.done():
            self._started.cancel()
            with contextlib.suppress(asyncio.CancelledError, KernelError):
                await self._started
        await self._end_process(within_s=within_s)
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
            self._guard = self._guarded(launch)
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

    def _guarded(self, launch: Launch) -> Guard | None:
        pid, watch = self._pid, launch.watch
        if watch is None or pid is None:
            return None
        return Guard(
            lambda: watch(pid, self._limits), interrupt=self._interrupt, kill=self._kill, grace_s=INTERRUPT_GRACE_S
        )

    async def _execute(self, code: str, *, silent: bool) -> Execution:
        client, guard = self._client, self._guard
        if client is None or self._ended:
            raise KernelError("The Python process has ended.")
        if guard is not None:
            guard.begin()
        request = client.execute(code, silent=silent, store_history=not silent, allow_stdin=False)
        showing = Showing(self._launcher.seen.work, begins_with="status" if silent else "execute_input")
        asked = _Asked(client, request)
        try:
            await self._collect(asked, showing)
            failure = showing.failure
        except asyncio.CancelledError:
            await _to_its_end(self._silence(asked, showing))
            raise
        except KernelError:
            await self._close()
            failure = _DIED
        finally:
            if guard is not None and (self.ended or self._own_code_only):
                guard.stop()
            elif guard is not None:
                guard.rest()
        if guard is not None and guard.passed is not None and failure is not None:
            failure = Failure("Stopped", guard.passed.message, died=failure.died, stopped=True)
        return Execution(showing.parts(), failure)

    @property
    def _pid(self) -> int | None:
        """The process that was started; None where that is not on this machine."""
        pid = getattr(self._jupyter.provisioner, "pid", None) if self._jupyter is not None else None
        return pid if isinstance(pid, int) else None

    async def _collect(self, asked: _Asked, showing: Showing) -> None:
        async for kind, content in self._published(asked, showing):
            showing.take(kind, content)
        await self._heed_reply(asked)

    async def _heed_reply(self, asked: _Asked) -> None:
        """The reply is on its way when the kernel says idle. `exit()` is known from it alone."""
        await asked.look_for_reply(within_s=1.0)
        content = asked.reply.get("content") if asked.reply is not None else None
        payloads = content.get("payload") if isinstance(content, dict) else None
        for payload in payloads if isinstance(payloads, list) else ():
            if isinstance(payload, dict) and payload.get("source") == "ask_exit":
                await self._close()

    async def _published(self, asked: _Asked, showing: Showing) -> AsyncIterator[tuple[object, object]]:
        """Kind and content of what is published about a request, until the kernel is idle again.

        Code can send messages of its own, and keep the kernel from sending the last one.

        Raises:
            KernelError: The process has ended.
        """
        in_vain = 0
        while in_vain < SILENT_AFTER_REPLY:
            try:
                message = await asked.client.get_iopub_msg(timeout=WAIT_S)
            except queue.Empty:
                await self._check_alive()
                await asked.look_for_reply(within_s=0)
                in_vain += asked.reply is not None
                continue
            except _UNREADABLE:
                showing.could_not_be_read()
                continue
            if asked.is_about_it(message):
                in_vain = 0
                kind, content = message.get("msg_type"), message.get("content")
                if kind == "status" and isinstance(content, dict) and content.get("execution_state") == "idle":
                    return
                yield kind, content

    async def _silence(self, asked: _Asked, showing: Showing) -> None:
        """Interrupt a run nobody waits for any more.

        An interrupt that comes before the kernel has taken the code up would be lost on it.
        """
        with contextlib.suppress(KernelError, TimeoutError):
            async with asyncio.timeout(INTERRUPT_GRACE_S):
                if showing.begun:
                    await self._interrupt()
                async for kind, _ in self._published(asked, showing):
                    if kind == showing.begins_with:
                        await self._interrupt()
                await self._heed_reply(asked)
                return
        await self._close()

    async def _interrupt(self) -> None:
        if self._jupyter is not None:
            await self._jupyter.interrupt_kernel()

    async def _kill(self) -> None:
        if self._jupyter is not None and self._jupyter.provisioner is not None:
            await self._jupyter.provisioner.kill()

    async def _close(self) -> None:
        """For whoever talks to the process: end it and let go of it."""
        await self._end_process(within_s=ENDS_WITHIN_S)
        self._hang_up()

    async def _end_process(self, *, within_s: float | None) -> None:
        """End the process, whoever else waits for that or gives up; it is killed at once, and gone a little later."""
        self._ended = True
        if self._guard is not None:
            self._guard.stop()
        jupyter, self._jupyter = self._jupyter, None
        if jupyter is not None:
            self._ending = asyncio.ensure_future(jupyter.shutdown_kernel(now=True))
            self._ending.add_done_callback(_noted)
        if self._ending is not None:
            await asyncio.wait({self._ending}, timeout=within_s)

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.stop_channels()


class _Asked:
    """One request, and its reply once that has come.

    Args:
        client: Talks to the kernel.
        request: The request's id.
    """

    def __init__(self, client: AsyncKernelClient, request: str) -> None:
        self.client = client
        self.reply: dict[str, Any] | None = None
        self._request = request

    def is_about_it(self, message: dict[str, Any]) -> bool:
        parent = message.get("parent_header")
        return isinstance(parent, dict) and parent.get("msg_id") == self._request

    async def look_for_reply(self, *, within_s: float) -> None:
        """Take the reply if it has come, or comes in time."""
        with contextlib.suppress(queue.Empty):
            for _ in range(MOST_OTHER_REPLIES):
                if self.reply is not None:
                    return
                with contextlib.suppress(*_UNREADABLE):
                    message = await self.client.get_shell_msg(timeout=within_s)
                    self.reply = message if self.is_about_it(message) else None


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for something short, however often whoever waits is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    task.result()


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


def _noted(ending: asyncio.Future[None]) -> None:
    """Nobody can do anything about a process that does not end as it should, but the log should hold it."""
    if not ending.cancelled() and (error := ending.exception()) is not None:
        _log.warning("A Python process did not end in order: %r", error)
