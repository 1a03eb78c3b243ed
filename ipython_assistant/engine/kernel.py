"""Runs Python in one Jupyter kernel: starts it, runs code, collects what it showed, interrupts and ends it.

A `Kernel` is one process and is never started twice; its container makes another when it has died. Nothing here knows
of files or HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import time
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.errors import KernelError
from ipython_assistant.engine.kernel_output import CodeFailure, Execution, KernelOutput, PrintedText
from ipython_assistant.engine.limit_monitor import INTERRUPT_GRACE_S, LimitMonitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager

    from ipython_assistant.engine.kernel_launch import KernelLauncher

START_TIMEOUT_S: Final = 60.0
WAIT_S: Final = 0.25
"""How long a message is waited for before it is asked whether the process is there at all."""
REPLY_S: Final = 1.0
"""How long the reply to a request may take after everything else about it has come."""
MAX_REPLIES: Final = 100
"""How many replies to other requests are passed over in search of it: code may send any."""
ENDS_WITHIN_S: Final = 1.0
"""How long a run waits for its process to be gone after it was killed."""

_UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What jupyter_client raises for a message that is not one, or that is signed wrongly."""
_DIED: Final = CodeFailure("KernelDied", "the Python process ended while it ran this code", died=True)

_log = logging.getLogger(__name__)


class Kernel:
    """One kernel process, started in the background at once.

    Args:
        launcher: What starts the process.
        uploads: Bytes and number of the files that clients have put into the container.
    """

    def __init__(self, launcher: KernelLauncher, uploads: Callable[[], tuple[int, int]] = lambda: (0, 0)) -> None:
        self.ended = False
        """True once the process is gone, or is going because the code asked for it (`exit()`)."""
        self._launcher = launcher
        self._uploads = uploads
        self._monitor: LimitMonitor | None = None
        self._turn = asyncio.Lock()
        self._jupyter: AsyncKernelManager | None = None
        self._client: AsyncKernelClient | None = None
        self._stopped = False
        self._ending: asyncio.Future[None] | None = None
        self._started = asyncio.create_task(self._start())
        self._started.add_done_callback(_mark_seen)

    @property
    def left_running(self) -> str:
        """Which limit was passed by what earlier code had left running, if it was ended for that."""
        excess = self._monitor.left_running if self._monitor is not None else None
        return excess.message if excess is not None else ""

    async def alive(self) -> bool:
        """False once the process has ended, or could not be started."""
        if self._started.done() and (self.left_running or self._jupyter is None or not await self._jupyter.is_alive()):
            await self.stop(within_s=0)
        return not self.ended

    async def ready(self) -> None:
        """Wait until it takes code; raises KernelError with the end of its log if it could not be started."""
        try:
            await asyncio.shield(self._started)
        except asyncio.CancelledError:
            if self._started.cancelled():
                raise KernelError("The Python process was stopped.") from None
            raise

    async def run(self, code: str) -> Execution:
        """Run code as a cell; raises KernelError if the process could not be started.

        Cancelling interrupts the code, and ends the process if that does not help.
        """
        try:
            await self.ready()
            async with self._turn:
                return await self._execute(code, silent=False)
        except KernelError:
            if not self._stopped:
                raise
            return Execution((), _DIED)  # stopped, as when its container is deleted, before it took the code up

    async def probe(self, code: str) -> str:
        """Run code that sees the variables but leaves none behind, and return what it printed.

        Raises:
            KernelError: The code raised, or the process has ended.
        """
        await self.ready()
        source = f"exec(compile({code!r}, '<probe>', 'exec'), {{**globals()}})"
        async with self._turn:
            execution = await self._execute(source, silent=True)
        if execution.failure is not None:
            raise KernelError(str(execution.failure))
        return "".join(part.text for part in execution.shown if isinstance(part, PrintedText))

    async def stop(self, *, within_s: float | None = None) -> None:
        """End the process with all its children, at once, and wait so long until they are gone; None is for ever."""
        self.ended = self._stopped = True
        if not self._started.done():
            self._started.cancel()
            with contextlib.suppress(asyncio.CancelledError, KernelError):
                await self._started
        await self._end_process(within_s=within_s)
        async with self._turn:  # a run that is going on notices that its process is gone, and leaves first
            self._hang_up()

    async def _start(self) -> None:
        launcher = self._launcher
        async with launcher.gate:
            self._jupyter = manager = launcher.manager()
            try:
                pid = await launcher.start(manager)
                self._client = client = manager.client()
                client.start_channels(stdin=False, hb=False, control=False)
                await self._await_answer(client)
                await self._execute(launcher.warm_up, silent=True)
                self._monitor = LimitMonitor(
                    pid,
                    launcher.paths.directory,
                    launcher.limits,
                    uploads=self._uploads,
                    interrupt=self._interrupt,
                    kill=self._kill,
                )
            except BaseException as error:
                await self._close()
                if not isinstance(error, KernelError):
                    raise
                reason = f"The Python process could not be started.\n{launcher.log_tail()}"
                raise KernelError(reason.strip()) from None

    async def _await_answer(self, client: AsyncKernelClient) -> None:
        """Return once both channels carry messages: what is published before the subscription is up would be lost."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            client.kernel_info()
            with contextlib.suppress(queue.Empty):
                await client.get_iopub_msg(timeout=0.05)
                return
            await self._check_alive()
        raise KernelError(f"The Python process did not answer within {START_TIMEOUT_S:.0f} s.")

    async def _check_alive(self) -> None:
        if self._jupyter is None or not await self._jupyter.is_alive():
            self.ended = True
            raise KernelError("The Python process has ended.")

    async def _execute(self, code: str, *, silent: bool) -> Execution:
        client, monitor = self._client, self._monitor
        if client is None or self.ended:
            raise KernelError("The Python process has ended.")
        if monitor is not None:
            monitor.begin_run()
        request_id = client.execute(code, silent=silent, store_history=not silent, allow_stdin=False)
        output = KernelOutput(self._launcher.visible.work, begins_with="status" if silent else "execute_input")
        try:
            async for kind, content in self._published(client, request_id):
                output.take(kind, content)
            await self._heed_exit(client, request_id)
            failure = output.failure
        except asyncio.CancelledError:
            await _uncancelled(self._silence(client, request_id, output))
            raise
        except KernelError:
            await self._close()
            failure = _DIED
        finally:
            if monitor is not None and not self.ended:
                monitor.end_run()
        if monitor is not None and monitor.passed is not None and failure is not None:
            failure = CodeFailure("Stopped", monitor.passed.message, died=failure.died, stopped=True)
        return Execution(output.parts(), failure)

    async def _published(self, client: AsyncKernelClient, request_id: str) -> AsyncIterator[tuple[object, object]]:
        """Kind and content of what is published about a request, until the kernel is idle again.

        Code may send messages of its own: those that cannot be read are passed over. Raises KernelError when the
        process has ended.
        """
        while True:
            try:
                message = await client.get_iopub_msg(timeout=WAIT_S)
            except queue.Empty:
                await self._check_alive()
                continue
            except _UNREADABLE:
                continue
            if _is_about(message, request_id):
                kind, content = message.get("msg_type"), message.get("content")
                if kind == "status" and isinstance(content, dict) and content.get("execution_state") == "idle":
                    return
                yield kind, content

    async def _heed_exit(self, client: AsyncKernelClient, request_id: str) -> None:
        """End the process if the code has called `exit()`, which the reply alone says."""
        exits = False
        with contextlib.suppress(queue.Empty, *_UNREADABLE):
            for _ in range(MAX_REPLIES):
                reply = await client.get_shell_msg(timeout=REPLY_S)
                if _is_about(reply, request_id):
                    exits = any(payload["source"] == "ask_exit" for payload in reply["content"]["payload"])
                    break
        if exits:
            await self._close()

    async def _silence(self, client: AsyncKernelClient, request_id: str, output: KernelOutput) -> None:
        """Interrupt a run whose client is gone, and end the process if that does not help.

        An interrupt that comes before the kernel has taken the code up would be lost on it.
        """
        with contextlib.suppress(KernelError, TimeoutError):
            async with asyncio.timeout(INTERRUPT_GRACE_S):
                if output.begun:
                    await self._interrupt()
                async for kind, _ in self._published(client, request_id):
                    if kind == output.begins_with:
                        await self._interrupt()
                await self._heed_exit(client, request_id)
                return
        await self._close()

    async def _interrupt(self) -> None:
        if self._jupyter is not None:
            await self._jupyter.interrupt_kernel()

    async def _kill(self) -> None:
        if self._jupyter is not None and self._jupyter.provisioner is not None:
            await self._jupyter.provisioner.kill()

    async def _close(self) -> None:
        """End the process and close the channels to it."""
        await self._end_process(within_s=ENDS_WITHIN_S)
        self._hang_up()

    async def _end_process(self, *, within_s: float | None) -> None:
        """Kill the process and wait so long until it is gone; it goes on ending if the caller is cancelled."""
        self.ended = True
        if self._monitor is not None:
            self._monitor.stop()
        jupyter, self._jupyter = self._jupyter, None
        if jupyter is not None:
            self._ending = asyncio.ensure_future(jupyter.shutdown_kernel(now=True))
            self._ending.add_done_callback(_log_failure)
        if self._ending is not None:
            await asyncio.wait({self._ending}, timeout=within_s)

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.stop_channels()


def _is_about(message: dict[str, Any], request_id: str) -> bool:
    parent = message.get("parent_header")
    return isinstance(parent, dict) and parent.get("msg_id") == request_id


async def _uncancelled(work: Coroutine[Any, Any, None]) -> None:
    """Wait for something short, however often the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    task.result()


def _mark_seen(task: asyncio.Task[None]) -> None:
    """`ready` raises what the start has raised; but it may never be called."""
    if not task.cancelled():
        task.exception()


def _log_failure(ending: asyncio.Future[None]) -> None:
    if not ending.cancelled() and (error := ending.exception()) is not None:
        _log.warning("A Python process did not end in order: %r", error)
