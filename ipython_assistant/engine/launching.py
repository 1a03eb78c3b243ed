"""How a kernel's process is started: here, in a sandbox, or wherever an installed provisioner puts it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from ipython_assistant.engine.limits import Census, Limits, Watch
from ipython_assistant.engine.sandbox import Seen

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from ipython_assistant.engine.reaper import Reaper
    from ipython_assistant.engine.sandbox import Ground, Sandbox

MAX_SOCKET_PATH: Final = 100
"""Unix socket paths end at 104 (macOS) or 108 (Linux) bytes; the kernel appends `-1` to `-5`."""

ALLOWED_VARIABLES: Final = frozenset(
    {
        "PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME",
        "VIRTUAL_ENV", "CONDA_PREFIX",
        "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS",
        "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS",
    }
)  # fmt: skip
"""What a kernel inherits of the engine's environment, besides `LC_*`: never a key, a token or a home."""

# Nobody debugs here: the debugger would take a while to load, and listen on a TCP port.
_START: Final = """
import runpy, sys
sys.modules["debugpy"] = None
runpy.run_module("ipykernel_launcher", run_name="__main__")
"""
# Where there is no TCP at all, the library aborts when it is asked for it. The kernel wants a port for what forked
# processes print, and does without where there is none.
_WITHOUT_TCP: Final = """
import zmq
def refused(*_, **__):
    raise zmq.ZMQError(13)
zmq.Socket.bind_to_random_port = refused
"""
_OPTIONS: Final = ("--HistoryManager.enabled=False", "--InteractiveShell.colors=NoColor")

# `!command` goes through a pseudo-terminal with a session of its own, and there are none in this sandbox.
_PLAIN_COMMANDS: Final = """
def _(shell=get_ipython()):
    import subprocess
    from IPython.utils.text import LSString, SList
    def started(command):
        command = shell.var_expand(command, depth=2)
        kinds = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, shell=True, text=True, errors="replace", **kinds)
    def system(command):
        with started(command) as process:
            for line in process.stdout:
                print(line, end="", flush=True)
        shell.user_ns["_exit_code"] = process.returncode
    def getoutput(command, split=True, depth=0):
        with started(command) as process:
            output = process.stdout.read()
        return SList(output.splitlines()) if split else LSString(output)
    shell.system, shell.getoutput = system, getoutput
_()
del _
"""


_PREPARE: Final = """
def _():
    import os, shutil
    shutil.rmtree({work!r}, ignore_errors=True)
    os.makedirs({work!r})
    os.chdir({work!r})
_()
del _
"""


@dataclass(frozen=True, slots=True)
class Launch:
    """A kernel that can be started.

    Args:
        manager: jupyter_client's, which starts it.
        options: For `start_kernel`.
        log: Where its own log goes; None where that is not known here.
        watch: Makes what looks at its use of the machine, given its process id; None where it cannot be looked at.
        preload: Code it runs first.
    """

    manager: AsyncKernelManager
    options: Mapping[str, Any] = field(default_factory=dict)
    log: Path | None = None
    watch: Callable[[int, Limits], Watch] | None = None
    preload: str = ""


class Launcher(Protocol):
    """Where the kernels of one container come from."""

    @property
    def seen(self) -> Seen:
        """Where code sees its directories."""
        ...

    @property
    def limits(self) -> Limits:
        """What the container may use."""
        ...

    @property
    def offline(self) -> bool:
        """Whether it is sure that code has no network."""
        ...

    @property
    def gate(self) -> asyncio.Semaphore:
        """What lets a few start at once: many that start together are none of them ready in time."""
        ...

    def launch(self) -> Launch:
        """The next kernel."""
        ...

    def limited(self, limits: Limits) -> Launcher:
        """The same with other limits."""
        ...


class _OwnSpec(AsyncKernelManager):
    """jupyter_client's starter, with this interpreter as the kernel whatever kernels are installed."""

    sandbox: Sandbox

    @property
    def kernel_spec(self) -> KernelSpec:
        start = (_WITHOUT_TCP if self.sandbox.kind == "landlock" else "") + _START
        # -P: a file named like a standard module in the working directory must not stop the kernel from starting
        argv = [sys.executable, "-P", "-c", start, "-f", "{connection_file}", *_OPTIONS]
        mode = self.sandbox.interrupt_mode
        return KernelSpec(argv=argv, display_name="Python", language="python", interrupt_mode=mode)


@dataclass(frozen=True, slots=True)
class Here:
    """Kernels on this machine, in a sandbox.

    Args:
        ground: The container's directories.
        sandbox: How code is confined.
        limits: What it may use.
        environment: The engine's own, of which a little is passed on.
        gate: Lets a few start at once.
        census: The machine's processes, read once for all containers.
        reaper: Ends what they start if the engine is killed.
    """

    ground: Ground
    sandbox: Sandbox
    limits: Limits
    environment: Mapping[str, str]
    gate: asyncio.Semaphore
    census: Census
    reaper: Reaper | None = None

    @property
    def seen(self) -> Seen:
        """Where code sees its directories."""
        return self.sandbox.seen(self.ground)

    @property
    def offline(self) -> bool:
        """Whether code has no network."""
        return self.sandbox.offline

    def limited(self, limits: Limits) -> Here:
        """The same with other limits."""
        return replace(self, limits=limits)

    def launch(self) -> Launch:
        """The next kernel, with a new directory for its sockets.

        What the last kernel's code could write to is never written to from outside again: it may have left links.
        """
        sockets = Path(tempfile.mkdtemp(prefix="k", dir=self.ground.directory))
        for old in self.ground.directory.glob("k*"):
            if old != sockets and old.is_dir():
                shutil.rmtree(old, ignore_errors=True)
        manager = _OwnSpec(connection_file=str(sockets / "kernel.json"), **_transport(sockets))
        manager.sandbox = self.sandbox
        provisioner = self.sandbox.provisioner(self.ground, sockets, self.limits, self.reaper)
        manager.provisioner = provisioner(kernel_id=sockets.name, kernel_spec=manager.kernel_spec, parent=manager)
        return Launch(
            manager=manager,
            options={
                "cwd": str(self.ground.work),
                "env": scrubbed(self.environment, self.seen),
            },
            log=self.ground.directory / "kernel.log",
            watch=lambda pid, limits: Watch(pid, self.ground.directory, limits, self.census),
            preload=_PLAIN_COMMANDS if self.sandbox.kind == "landlock" else "",
        )


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Kernels of an installed kernel specification, started by the provisioner it names, on whatever machine that is.

    Args:
        kernel: The specification's name.
        mark: Tells this container's directory from those of others on that machine.
        limits: Not enforced here: a pod has limits of its own.
        environment: The engine's own, of which a little is passed on, and `KERNEL_*`, which is for provisioners.
        gate: Lets a few start at once.
    """

    kernel: str
    mark: str
    limits: Limits
    environment: Mapping[str, str]
    gate: asyncio.Semaphore

    @property
    def seen(self) -> Seen:
        """Where code sees its directories."""
        base = f"/tmp/ipa-kernel-{self.mark}"  # noqa: S108 - over there, under a name nobody can guess
        return Seen(f"{base}/data", f"{base}/home", f"{base}/temporary")

    @property
    def offline(self) -> bool:
        """Never sure: whoever starts the kernel decides."""
        return False

    def limited(self, limits: Limits) -> Elsewhere:
        """The same with other limits."""
        return replace(self, limits=limits)

    def launch(self) -> Launch:
        """The next kernel, in an empty directory."""
        passed_on = {
            name: value
            for name, value in self.environment.items()
            if name in ALLOWED_VARIABLES or name == "HOME" or name.startswith(("LC_", "KERNEL_"))
        }
        return Launch(
            manager=AsyncKernelManager(kernel_name=self.kernel),
            options={"env": passed_on},
            preload=_PREPARE.format(work=self.seen.work),
        )


def scrubbed(environment: Mapping[str, str], seen: Seen) -> dict[str, str]:
    """The short environment a kernel gets: nothing of the user's but what starts Python.

    Args:
        environment: The engine's own.
        seen: Where code sees its directories.
    """
    kept = {key: value for key, value in environment.items() if key in ALLOWED_VARIABLES or key.startswith("LC_")}
    return kept | {
        "HOME": seen.home,
        "USERPROFILE": seen.home,
        "TMPDIR": seen.temp,
        "TEMP": seen.temp,
        "TMP": seen.temp,
        "IPYTHONDIR": f"{seen.home}/ipython",
        "JUPYTER_CONFIG_DIR": f"{seen.home}/jupyter",
        "JUPYTER_RUNTIME_DIR": seen.temp,
        "MPLCONFIGDIR": f"{seen.home}/mpl",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _transport(sockets: Path) -> dict[str, str]:
    """Unix sockets where they work: no other user of the machine can connect to them."""
    address = str(sockets / "k")
    if os.name == "posix" and len(os.fsencode(address)) <= MAX_SOCKET_PATH:
        return {"transport": "ipc", "ip": address}
    return {"transport": "tcp", "ip": "127.0.0.1"}
