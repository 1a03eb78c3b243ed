"""How a kernel's process is started: this Python's ipykernel, confined, with a short environment and own sockets."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from ipython_assistant.engine.private_directory import remove_tree

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from ipython_assistant.engine.limit_monitor import ContainerLimits
    from ipython_assistant.engine.sandbox import ContainerPaths, Sandbox, VisiblePaths

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
# What nearly every answer needs is loaded before there is a question.
_WARM_UP: Final = """
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


@dataclass(frozen=True, slots=True)
class KernelLauncher:
    """Starts the kernels of one container.

    Args:
        paths: The container's directories.
        sandbox: How code is confined.
        limits: What it may use.
        environment: The engine's own, of which a little is passed on.
        gate: Lets a few start at once: of many that start together none would be ready in time.
    """

    paths: ContainerPaths
    sandbox: Sandbox
    limits: ContainerLimits
    environment: Mapping[str, str]
    gate: asyncio.Semaphore

    @property
    def visible(self) -> VisiblePaths:
        """Where code sees its directories."""
        return self.sandbox.visible(self.paths)

    @property
    def warm_up(self) -> str:
        """Code that a kernel runs first."""
        return (_WITHOUT_TERMINALS if self.sandbox.kind == "landlock" else "") + _WARM_UP

    def make_directories(self) -> None:
        """Make the container's directories, with the user's list of fonts, which takes matplotlib seconds to make."""
        self.paths.make()
        home = Path(self.environment.get("HOME", self.environment.get("USERPROFILE", os.devnull)))
        caches = [Path(self.environment.get("XDG_CACHE_HOME", home / ".cache"), "matplotlib"), home / ".matplotlib"]
        for cache in [*caches, Path(self.environment.get("MPLCONFIGDIR", os.devnull))]:
            for fonts in cache.glob("fontlist-*.json"):
                with contextlib.suppress(OSError):
                    shutil.copyfile(fonts, self.paths.home / "mpl" / fonts.name)

    def manager(self) -> AsyncKernelManager:
        """What starts the next kernel, with a new directory for its sockets.

        What the last kernel's code could write to is never written to from outside again: it may have left links.
        """
        for old in self.paths.directory.glob("k*"):
            remove_tree(old)
        sockets = Path(tempfile.mkdtemp(prefix="k", dir=self.paths.directory))
        manager = _OwnKernelManager(connection_file=str(sockets / "kernel.json"), **_transport(sockets))
        manager.launcher = self
        spec = manager.kernel_spec
        manager.provisioner = _ConfinedProvisioner(kernel_id=sockets.name, kernel_spec=spec, parent=manager)
        return manager

    async def start(self, manager: AsyncKernelManager) -> int:
        """Start the kernel of this manager; return the process id from which all its processes descend."""
        environment = scrubbed(self.environment, self.visible)
        with self._log.open("wb") as log:
            await manager.start_kernel(cwd=str(self.paths.work), env=environment, stdout=subprocess.DEVNULL, stderr=log)
        return int(getattr(manager.provisioner, "pid", 0))

    def log_tail(self) -> str:
        """The end of what the kernel has logged."""
        return self._log.read_text(errors="replace")[-2000:].strip() if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self.paths.directory / "log"


class _OwnKernelManager(AsyncKernelManager):
    """jupyter_client's starter, with this interpreter as the kernel whatever kernels are installed."""

    launcher: KernelLauncher

    @property
    def kernel_spec(self) -> KernelSpec:
        sandbox = self.launcher.sandbox
        start = (_WITHOUT_TCP if sandbox.kind == "landlock" else "") + _START
        # -P: a file named like a standard module in the working directory must not stop the kernel from starting
        argv = [sys.executable, "-P", "-c", start, "-f", "{connection_file}", *_OPTIONS]
        return KernelSpec(argv=argv, display_name="Python", language="python", interrupt_mode=sandbox.interrupt_mode)


class _ConfinedProvisioner(LocalProvisioner):
    """jupyter_client's own provisioner, with the sandbox's command in front of the kernel's."""

    parent: _OwnKernelManager

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Called by jupyter_client before the process is started."""
        launch: dict[str, Any] = await super().pre_launch(**kwargs)
        launcher, sockets = self.parent.launcher, Path(self.parent.connection_file).parent
        command = launcher.sandbox.command
        confined = command(launch["cmd"], paths=launcher.paths, sockets=sockets, limits=launcher.limits)
        return launch | {"cmd": confined}


def scrubbed(environment: Mapping[str, str], visible: VisiblePaths) -> dict[str, str]:
    """The short environment a kernel gets: nothing of the user's but what starts Python."""
    kept = {key: value for key, value in environment.items() if key in ALLOWED_VARIABLES or key.startswith("LC_")}
    return {
        **kept,
        **dict.fromkeys(("HOME", "USERPROFILE"), visible.home),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP", "JUPYTER_RUNTIME_DIR"), visible.temp),
        "IPYTHONDIR": f"{visible.home}/ipython",
        "JUPYTER_CONFIG_DIR": f"{visible.home}/jupyter",
        "MPLCONFIGDIR": f"{visible.home}/mpl",
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
