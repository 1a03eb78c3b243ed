"""One Jupyter kernel: how its process is started, confined, and how code runs in it until it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from ipython_assistant.engine.kernel_output import CodeRun, KernelOutput
from ipython_assistant.engine.limit_monitor import INTERRUPT_GRACE_S, LimitMonitor
from ipython_assistant.engine.sandbox import inherited, remove_tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from jupyter_client.asynchronous.client import AsyncKernelClient

    from ipython_assistant.engine.sandbox import ContainerLimits, ContainerPaths, Sandbox

_OPTIONS: Final = ("--HistoryManager.enabled=False", "--InteractiveShell.colors=NoColor")
# The debugger is of no use here; it would take a while to load, and listen on a TCP port.
_START: Final = """
import runpy, sys
sys.modules["debugpy"] = None
runpy.run_module("ipykernel_launcher", run_name="__main__")
"""
# Where there is no TCP at all, the library aborts when it is asked for it. The kernel wants a port for what forked
# processes print, and does without one where it gets none.
_WITHOUT_TCP: Final = """
import zmq
def refused(*_, **__):
    raise zmq.ZMQError(13)
zmq.Socket.bind_to_random_port = refused
"""
# `!command` goes through a pseudo-terminal with a session of its own, and there are none in this sandbox.
_WITHOUT_TERMINALS: Final = "get_ipython().system = get_ipython().system_raw\n"
_CHART_FONTS: Final = Path(__file__).with_name("chart_fonts.py").read_text("utf-8")
# `exit()` ends a script, not a conversation. Nearly every answer needs pandas.
_WARM_UP: Final = f"""
get_ipython().ask_exit = lambda: None
exec({_CHART_FONTS!r}, dict(__name__="chart_fonts"))
try:
    import pandas as _
except ImportError:
    pass
else:
    del _
"""
# What charts need takes as long again, so it is loaded only while there is no question.
_WARM_UP_FOR_CHARTS: Final = """
def _():
    import io
    import matplotlib.pyplot
    from matplotlib.figure import Figure
    figure = Figure()
    figure.subplots().plot([0, 1])
    figure.savefig(io.BytesIO(), format="png")
_()
del _
"""
START_TIMEOUT_S: Final = 60.0
IDLE_S: Final = 0.3  # how long a kernel has to be without code before it loads what only charts need
WAIT_S: Final = 0.25  # how long a message is waited for before it is asked whether the process is there at all

_UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What jupyter_client raises for a message that is not one, or that is signed wrongly."""
_DIED: Final = (
    "The Python process ended while it ran this code. Variables are gone, files are kept; "
    "the next code runs in a new process.\n"
)
_STOPPED: Final = "The code was stopped at a limit: {}. Variables are {}, files are kept.\n"


class _KernelProvisioner(LocalProvisioner):
    """Starts a kernel's process, and signals no process group whose number now belongs to a later process."""

    async def send_signal(self, signum: int) -> None:
        """Send a signal; if the kernel's process has ended and its number is in use again, not to the group."""
        if self.process is not None and self.process.poll() is not None and psutil.pid_exists(self.process.pid):
            self.pgid = None
        await super().send_signal(signum)


class KernelError(RuntimeError):
    """The kernel could not be started, or has ended; the message is for a person."""


@dataclass(frozen=True, slots=True)
class KernelLauncher:
    """Starts the kernels of one container; `gate` lets a few start at once, or of many none would be ready in time."""

    paths: ContainerPaths
    limits: ContainerLimits
    sandbox: Sandbox
    environment: Mapping[str, str]
    gate: asyncio.Semaphore

    def make_directories(self) -> None:
        """Make the container's directories, with the user's list of fonts, which takes matplotlib seconds to make."""
        self.paths.make()
        home = Path(self.environment.get("HOME", self.environment.get("USERPROFILE", os.devnull)))
        caches = Path(self.environment.get("XDG_CACHE_HOME", home / ".cache"))
        for cache in (caches / "matplotlib", home / ".matplotlib"):
            for fonts in cache.glob("fontlist-*.json"):
                with contextlib.suppress(OSError):
                    shutil.copyfile(fonts, self.paths.home / "mpl" / fonts.name)

    def manager(self) -> AsyncKernelManager:
        """What starts the next kernel, in a new directory: in the last kernel's own, its code may have left links."""
        sockets = Path(tempfile.mkdtemp(prefix="k", dir=self.paths.directory))
        # -P: a file named like a standard module in the working directory must not stop the kernel from starting.
        start = (_WITHOUT_TCP if self.sandbox.kind == "landlock" else "") + _START
        python = [sys.executable, "-P", "-c", start, "-f", "{connection_file}", *_OPTIONS]
        argv = self.sandbox.command(python, paths=self.paths, sockets=sockets, limits=self.limits)
        interrupted_by = "message" if self.sandbox.kind == "bubblewrap" else "signal"  # that would end bubblewrap
        spec = KernelSpec(argv=argv, display_name="Python", language="python", interrupt_mode=interrupted_by)
        # Unix sockets where there are any: no other user of the machine can connect to them.
        transport = {"transport": "ipc", "ip": str(sockets / "k")} if os.name == "posix" else {"ip": "127.0.0.1"}
        manager = AsyncKernelManager(connection_file=str(sockets / "kernel.json"), **transport)
        manager._kernel_spec = spec  # noqa: SLF001 - this Python, whatever kernels are installed
        manager.provisioner = _KernelProvisioner(kernel_id=sockets.name, kernel_spec=spec, parent=manager)
        return manager

    async def start(self, manager: AsyncKernelManager) -> int:
        """Start the kernel of this manager; return the process id from which all its processes descend."""
        visible = self.sandbox.visible(self.paths)
        environment = {
            **inherited(self.environment),
            **dict.fromkeys(("HOME", "USERPROFILE"), visible.home),
            **dict.fromkeys(("TMPDIR", "TEMP", "TMP", "JUPYTER_RUNTIME_DIR"), visible.temp),
            "IPYTHONDIR": f"{visible.home}/ipython",
            "JUPYTER_CONFIG_DIR": f"{visible.home}/jupyter",
            "MPLCONFIGDIR": f"{visible.home}/mpl",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with self.paths.log.open("wb") as log:
            await manager.start_kernel(cwd=str(self.paths.work), env=environment, stdout=subprocess.DEVNULL, stderr=log)
        pid = int(getattr(manager.provisioner, "pid", 0))
        self.paths.group.write_text(str(pid))
        return pid


class Kernel:
    """One kernel process, started in the background at once, and never twice; `stop` has to be called in the end."""

    def __init__(self, launcher: KernelLauncher) -> None:
        self._launcher = launcher
        self._visible = launcher.sandbox.visible(launcher.paths)
        self._ended = False  # True once the process is gone, or is being ended
        self._used = False
        self._turn = asyncio.Lock()
        self._monitor: LimitMonitor | None = None
        self._jupyter: AsyncKernelManager | None = None
        self._client: AsyncKernelClient | None = None
        self._started = asyncio.create_task(self._start())
        # `run` raises what the start has raised; but it may never be called.
        self._started.add_done_callback(lambda task: None if task.cancelled() else task.exception())
        self._warming = asyncio.create_task(self._warm_up_for_charts())

    async def alive(self) -> bool:
        """False once the process has ended, or could not be started."""
        if not self._started.done():
            return True
        failed = self._ended or self._started.cancelled() or self._started.exception() is not None
        return not failed and self._jupyter is not None and bool(await self._jupyter.is_alive())

    async def run(self, code: str, *, silent: bool = False) -> CodeRun:
        """Run code as a cell, after all code before it; cancelling interrupts it. Raises KernelError: none started."""
        self._used = True
        await asyncio.wait({self._started})
        if not self._started.cancelled():
            self._started.result()
        async with self._turn:
            return await self._execute(code, silent=silent)

    async def probe(self, code: str) -> str:
        """Run code that leaves no names behind, and return what it printed; raises KernelError if it fails."""
        run = await self.run(f"exec(compile({code!r}, '<probe>', 'exec'), {{**globals()}})", silent=True)
        if run.error:
            raise KernelError(run.error)
        return run.outcome.logs

    async def stop(self) -> None:
        """End the process with all its children, at once, and wait until they are gone; may be called again."""
        self._ended = True
        if self._monitor is not None:
            self._monitor.stop()
        self._warming.cancel()
        self._started.cancel()
        await asyncio.wait({self._started})
        if self._jupyter is not None:
            await self._jupyter.shutdown_kernel(now=True)
        async with self._turn:  # a run that is going on notices that its process is gone, and leaves first
            client, self._client = self._client, None
            if client is not None:
                client.stop_channels()

    async def _start(self) -> None:
        launcher = self._launcher
        for old in launcher.paths.directory.glob("k*"):  # code may have left a million files there
            await asyncio.to_thread(remove_tree, old)
        async with launcher.gate:
            self._jupyter = manager = launcher.manager()
            pid = await launcher.start(manager)
            self._monitor = LimitMonitor(pid, launcher.paths.directory, launcher.limits, self._interrupt, self._kill)
            self._client = client = manager.client()
            client.start_channels(stdin=False, hb=False, control=False)
            try:
                await self._await_answer(client)
                adapted = _WITHOUT_TERMINALS if launcher.sandbox.kind == "landlock" else ""
                await self._execute(adapted + _WARM_UP, silent=True)
            except KernelError as error:
                log = self._visible.outward(launcher.paths.log.read_text(errors="replace")[-2000:])
                raise KernelError(f"The Python process could not be started: {error}\n{log}".strip()) from None

    async def _warm_up_for_charts(self) -> None:
        """Load what charts need if no code comes first: code that draws none would wait for it."""
        await asyncio.wait({self._started})
        await asyncio.sleep(IDLE_S)
        if not self._used and await self.alive():
            await self.run(_WARM_UP_FOR_CHARTS, silent=True)

    async def _await_answer(self, client: AsyncKernelClient) -> None:
        """Return once both channels carry messages: what is published before the subscription is up would be lost."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            client.kernel_info()
            with contextlib.suppress(queue.Empty):
                await client.get_iopub_msg(timeout=0.05)
                return
            await self._check_alive()
        raise KernelError(f"it did not answer within {START_TIMEOUT_S:.0f} s.")

    async def _check_alive(self) -> None:
        if self._jupyter is None or not await self._jupyter.is_alive():
            self._ended = True
            raise KernelError("it has ended.")

    async def _execute(self, code: str, *, silent: bool) -> CodeRun:
        client, monitor, visible, died = self._client, self._monitor, self._visible, self._ended
        if client is None or monitor is None or died:  # its container was deleted before it took the code up
            return CodeRun((_DIED,), "KernelDied", died=True)
        monitor.watch(run=True)
        request_id = client.execute(visible.inward(code), silent=silent, store_history=not silent, allow_stdin=False)
        output = KernelOutput(visible, begins_with="status" if silent else "execute_input")
        try:
            async for kind, content in self._published(client, request_id):
                output.take(kind, content)
        except asyncio.CancelledError:
            if self._started.done():  # not while it starts: then it is ended at once
                await self._silence(client, request_id, output)
            raise
        except KernelError:
            output.error, died = "KernelDied: the Python process ended while it ran this code", True
            await self._kill()  # what it has left running
        finally:
            monitor.stop() if self._ended else monitor.watch(run=False)
        if monitor.passed and output.error:
            stopped = _STOPPED.format(monitor.passed, "gone" if died else "kept")
            return CodeRun((*output.parts(), stopped), f"Stopped: {monitor.passed}", died)
        return CodeRun((*output.parts(), _DIED) if died else output.parts(), output.error, died)

    async def _published(self, client: AsyncKernelClient, request_id: str) -> AsyncIterator[tuple[object, object]]:
        """Kind and content of what is published about a request, until it is idle. Raises KernelError at its end."""
        while True:
            try:
                message = await client.get_iopub_msg(timeout=WAIT_S)
            except queue.Empty:
                await self._check_alive()
                continue
            except _UNREADABLE:
                continue
            parent = message.get("parent_header")
            if isinstance(parent, dict) and parent.get("msg_id") == request_id:
                kind, content = message.get("msg_type"), message.get("content")
                if kind == "status" and isinstance(content, dict) and content.get("execution_state") == "idle":
                    return
                yield kind, content

    async def _silence(self, client: AsyncKernelClient, request_id: str, output: KernelOutput) -> None:
        """Interrupt a run whose client is gone, once its code was taken up; end the process if that does not help."""
        with contextlib.suppress(KernelError, TimeoutError):
            async with asyncio.timeout(INTERRUPT_GRACE_S):
                if output.begun:
                    await self._interrupt()
                async for kind, _ in self._published(client, request_id):
                    if kind == output.begins_with:
                        await self._interrupt()
                return
        self._ended = True
        await self._kill()

    async def _interrupt(self) -> None:
        if self._jupyter is not None and not self._ended:
            await self._jupyter.interrupt_kernel()

    async def _kill(self) -> None:
        if self._jupyter is not None and self._jupyter.provisioner is not None:
            await self._jupyter.provisioner.kill()
