"""Confines what code can reach: bubblewrap where it works, else Landlock with a filter of system calls, else nothing.

A sandbox is a jupyter_client provisioner, so that starting, interrupting and ending stay jupyter_client's own. Which
one works is never assumed: each is tried at the start by running something in it that attempts to get out, and what
was found is said in the ready line and by `/health`.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import socket
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from ipython_assistant.engine import confine
from ipython_assistant.engine.folder import MOUNT
from ipython_assistant.engine.limits import Limits, most_memory, threads_of_user

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_client.connect import KernelConnectionInfo
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    from ipython_assistant.engine.reaper import Reaper

Kind = Literal["bubblewrap", "landlock", "none"]
KINDS: Final[tuple[Kind, ...]] = ("bubblewrap", "landlock", "none")
"""From the strongest to none."""
PROBE_TIMEOUT_S: Final = 20.0
HOME: Final = "/home/user"
OPEN_FILES: Final = 1024
HEADROOM: Final = 1024
"""Processes and threads that this user may start besides, after the limit was set: it counts all of them."""

_SYSTEMS: Final = {"darwin": "macOS", "win32": "Windows"}
_STARTING: Final = "start threads and processes"
_CONFINE: Final = str(Path(confine.__file__).resolve())
_SYSTEM: Final = (
    "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/share",
    "/usr/local/bin", "/usr/local/lib", "/usr/local/lib64", "/usr/local/share",
    "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store",
    "/etc/alternatives", "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types",
    "/sys/devices/system/cpu",
)  # fmt: skip
_OF_PREFIX: Final = ("bin", "lib", "lib64", "ssl", "etc/fonts", "pyvenv.cfg")
_NOT_OF_SHARE: Final = "jupyter"
"""Under a prefix it holds kernels of the user's own, with the variables they are started with."""
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_OF_PROC: Final = ("/proc/self", "/proc/stat", "/proc/meminfo", "/proc/cpuinfo", "/proc/filesystems", "/proc/loadavg")

# Runs inside, and says what it could do that it must not.
_PROBE: Final = """
import json, os, socket, sys, threading
import importlib.util
work, secret, port, parent = json.loads(sys.argv[1])
found = []
def possible(name, attempt):
    try:
        attempt()
    except OSError:
        return
    found.append(name)
def connect():
    with socket.socket() as to:
        to.settimeout(2)
        to.connect(("127.0.0.1", port))
def write():
    with open(secret, "w") as outside:
        outside.write("written")
possible("read", lambda: open(secret).close())
try:
    write()
except OSError:
    pass  # and where it seems to succeed, it may have been a file of the sandbox's own
possible("connect", connect)
possible("signal", lambda: os.kill(parent, 0))
def start():
    over = threading.Event()
    for _ in range(16):
        threading.Thread(target=over.wait).start()
    over.set()
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
lacking = [] if importlib.util.find_spec("ipykernel") else ["import ipykernel"]
try:
    start()
except (OSError, RuntimeError):
    lacking.append("start threads and processes")
with open(os.path.join(work, "made"), "w") as made:
    made.write("1")
print(json.dumps([found, lacking]), flush=True)
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """Where code sees its directories; they may lie elsewhere."""

    work: str
    home: str
    temp: str


@dataclass(frozen=True, slots=True)
class Ground:
    """The directories of one container, as they lie on this machine.

    Args:
        directory: All of it; what is not one of the others is out of the code's reach.
        work: The working directory.
        home: The private home.
    """

    directory: Path
    work: Path
    home: Path


class Confined(LocalProvisioner):
    """jupyter_client's own provisioner, with another command in front of the kernel's."""

    wrap: Callable[[Sequence[str]], list[str]]
    reaper: Reaper | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Called by jupyter_client before the process is started."""
        launch: dict[str, Any] = await super().pre_launch(**kwargs)
        return launch | {"cmd": self.wrap(launch["cmd"])}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Called by jupyter_client to start the process."""
        launched = await super().launch_kernel(cmd, **kwargs)
        if self.reaper is not None and isinstance(self.pgid, int):
            self.reaper.watch(self.pgid)
        return launched

    async def cleanup(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002 - as jupyter_client calls it
        """Called by jupyter_client when the process has been ended."""
        if self.reaper is not None and isinstance(self.pgid, int):
            self.reaper.forget(self.pgid)
        await super().cleanup(restart=restart)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How code is confined.

    Args:
        kind: By what.
        reason: Why by nothing stronger; empty where there is nothing stronger.
        landlock: The version of Landlock to rely on.
        counts_user: Whether the limit of processes counts all of this user's; before Linux 5.14 it does so in a
            user namespace too.
    """

    kind: Kind
    reason: str = ""
    landlock: int = 0
    counts_user: bool = True

    @property
    def offline(self) -> bool:
        """Whether code has no network."""
        return self.kind != "none"

    @property
    def interrupt_mode(self) -> str:
        """How a kernel is interrupted: a signal would end bubblewrap, not the code in it."""
        return "message" if self.kind == "bubblewrap" else "signal"

    def seen(self, ground: Ground) -> Seen:
        """Where code sees its directories."""
        if self.kind == "bubblewrap":
            return Seen(MOUNT, HOME, "/tmp")  # noqa: S108 - the sandbox's own
        return Seen(str(ground.work), str(ground.home), str(ground.home / "tmp"))

    @property
    def leaves_children(self) -> bool:
        """Whether what code started goes on when the engine is killed, unless somebody ends it."""
        return self.kind != "bubblewrap" and os.name == "posix"

    def provisioner(
        self, ground: Ground, sockets: Path, limits: Limits, reaper: Reaper | None = None
    ) -> Callable[..., LocalProvisioner]:
        """What makes the provisioner for one kernel.

        Args:
            ground: The container's directories.
            sockets: A directory of this kernel's own, for its connection.
            limits: What its processes may use.
            reaper: Ends them if the engine cannot.
        """

        def make(*, kernel_id: str, kernel_spec: KernelSpec, parent: AsyncKernelManager) -> LocalProvisioner:
            made = Confined(kernel_id=kernel_id, kernel_spec=kernel_spec, parent=parent)
            made.wrap = partial(self.command, ground=ground, sockets=sockets, limits=limits)
            made.reaper = reaper
            return made

        return make

    def command(self, command: Sequence[str], *, ground: Ground, sockets: Path, limits: Limits) -> list[str]:
        """A command line that runs another one confined."""
        if os.name != "posix":
            return list(command)
        others = threads_of_user() + HEADROOM if self.counts_user else 0
        plan = confine.Plan(
            limits=_resources(limits, threads=limits.processes + others),
            landlock=self.landlock if self.kind == "landlock" else 0,
            filtered=self.kind != "none",
        )
        if self.kind == "landlock":
            writable = (str(ground.work), str(ground.home), str(sockets), *_DEVICES)
            plan = confine.Plan(plan.limits, plan.landlock, (*readable(), *_OF_PROC), writable)
        if self.kind == "bubblewrap":
            plan = confine.Plan(plan.limits, unset=("JPY_PARENT_PID",))  # processes have other numbers in there
        confined = [sys.executable, "-I", "-S", _CONFINE, plan.dumped(), "--", *command]
        return [*_bubblewrap(ground, sockets), "--", *confined] if self.kind == "bubblewrap" else confined


def strongest(
    directory: Path, wanted: Sequence[Kind] = KINDS, *, limits: Limits | None = None, platform: str = sys.platform
) -> Sandbox:
    """The strongest sandbox that works here, of those wanted; tried by running something in it.

    Args:
        directory: A private directory to try in.
        wanted: Which to try, the strongest first.
        limits: What code may use; a sandbox is to hold with them.
        platform: What this system is, as `sys.platform` says it.
    """
    if not wanted or wanted[0] == "none":
        return Sandbox("none", "it was switched off")
    if not platform.startswith("linux"):
        name = _SYSTEMS.get(platform, platform)
        return Sandbox("none", f"{name}: the sandboxes of this engine, bubblewrap and Landlock, are for Linux")
    reasons: list[str] = []
    for kind in wanted:
        if kind == "none":
            break
        reason = _unavailable(kind)
        for number, sandbox in enumerate(_variants(kind, "; ".join(reasons)) if reason is None else ()):
            reason = attempt(sandbox, directory / f"{kind}{number}", limits=limits)
            if reason is None:
                return sandbox
            if not reason.endswith(_STARTING):
                break
        reasons.append(f"{kind}: {reason}")
    return Sandbox("none", "; ".join(reasons))


def _variants(kind: Kind, reason: str) -> tuple[Sandbox, ...]:
    """Ways to set one up: the next is for where code cannot start threads in the one before."""
    if kind == "landlock":
        return (Sandbox(kind, reason, landlock=confine.landlock_abi()),)
    return (Sandbox(kind, reason, counts_user=False), Sandbox(kind, reason))


def attempt(sandbox: Sandbox, directory: Path, *, limits: Limits | None = None) -> str | None:
    """Why a sandbox does not hold, or None: code is run in it that tries to get out.

    Args:
        sandbox: Which.
        directory: A new private directory.
        limits: What it may use; memory apart, of which this Python alone takes its share.
    """
    allowed = replace(limits or Limits(0), memory_bytes=most_memory())
    ground = Ground(directory, directory / "data", directory / "home")
    sockets = directory / "run"
    for path in (ground.work, ground.home / "tmp", ground.home / "shm", sockets):
        path.mkdir(parents=True)
    secret = directory / "secret"
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        told = json.dumps([sandbox.seen(ground).work, str(secret), server.getsockname()[1], os.getpid()])
        inner = [sys.executable, "-P", "-c", _PROBE, told]
        command = sandbox.command(inner, ground=ground, sockets=sockets, limits=allowed)
        try:
            ran = subprocess.run(
                command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, cwd=ground.work, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    try:
        found, lacking = json.loads(ran.stdout)
    except ValueError:
        return (ran.stderr.strip().splitlines() or [f"it ended with {ran.returncode}"])[-1][:200]
    if secret.read_text() != "secret":
        found.append("write")
    if sandbox.kind == "bubblewrap":  # there the number is that of another process, which may be signalled
        found = [name for name in found if name != "signal"]
    if found:
        return f"code in it could still do this: {', '.join(found)}"
    return f"code in it could not {', nor '.join(lacking)}" if lacking else None


@cache
def readable() -> tuple[str, ...]:
    """What code may read: the system's programs, this Python with its libraries, and fonts.

    Never a whole home, no configuration, and no directory that is on Python's path only because somebody works in it.
    """
    python = [Path(sys.executable), Path(sys.executable).resolve(), Path(_CONFINE)]
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        python += [Path(prefix, part) for part in _OF_PREFIX]
        share = Path(prefix, "share")
        python += [path for path in share.iterdir() if path.name != _NOT_OF_SHARE] if share.is_dir() else []
    python += [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    python += [path for path in map(Path, sys.path) if _holds_libraries(path)]
    if site.ENABLE_USER_SITE:
        python.append(Path(site.getusersitepackages()))
    home = Path("~").expanduser()
    fonts = [home / ".fonts", home / ".local/share/fonts"]
    wanted = [Path(path) for path in _SYSTEM] + fonts + [path for path in python if path.is_absolute()]
    there = dict.fromkeys(path for path in wanted if path.exists() and not home.is_relative_to(path))
    return tuple(str(path) for path in there if there.keys().isdisjoint(path.parents))


def _holds_libraries(path: Path) -> bool:
    """Whether something on Python's path is an archive, or a directory that packages were installed into."""
    if not path.is_absolute():
        return False
    return path.is_file() or any(path.glob("*.dist-info"))


def _unavailable(kind: Kind) -> str | None:
    if not confine.filterable():
        return "this machine is neither x86_64 nor aarch64"
    if kind == "bubblewrap" and shutil.which("bwrap") is None:
        return "bwrap is not installed"
    if kind == "landlock" and not confine.landlock_abi():
        return "the system does not offer it"
    return None


def _bubblewrap(ground: Ground, sockets: Path) -> list[str]:
    """What is bubblewrap's part: a file system with nothing in it but what is named, and no network."""
    program = shutil.which("bwrap") or "bwrap"
    bound = [argument for path in readable() for argument in ("--ro-bind", path, path)]
    return [
        program,
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try"),
        *("--die-with-parent", "--hostname", "container", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"),
        *("--proc", "/proc", "--dev", "/dev"),
        *("--bind", str(ground.home / "tmp"), "/tmp"),  # noqa: S108 - the sandbox's own
        *bound,
        *("--bind", str(ground.work), MOUNT, "--bind", str(ground.home), HOME),
        # on disk, where it is counted, not in memory
        *("--bind", str(ground.home / "shm"), "/dev/shm"),  # noqa: S108 - the sandbox's own
        *("--bind", str(sockets), str(sockets)),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", MOUNT),
    ]


def _resources(limits: Limits, *, threads: int) -> dict[str, tuple[int, int]]:
    """Limits of each process. The hard one of memory is the machine's: a container may be given more later.

    Processes and threads are counted for the user as a whole, in a user namespace for that alone, and for root not at
    all: `limits.Watch` counts the container's own.
    """
    resources = {
        "FSIZE": (limits.file_bytes, limits.file_bytes),
        "CORE": (0, 0),
        "NOFILE": (OPEN_FILES, OPEN_FILES),
    }
    if sys.platform == "linux":
        resources |= {
            "DATA": (limits.memory_bytes, max(limits.memory_bytes, most_memory())),
            "NPROC": (threads, threads),
        }
    return resources
