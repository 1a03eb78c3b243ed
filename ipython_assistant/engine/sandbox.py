"""Confines what code can reach: bubblewrap where it works, else Landlock with a filter of system calls, else nothing.

Which one works is never assumed: each is tried at the start by running something in it that attempts to get out, and
what was found is said in the ready line. What a container may use, and how its directory is deleted, stands here too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import site
import socket
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import psutil

from ipython_assistant.engine import confine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GIB: Final = 1 << 30
CPU_S: Final = 600.0  # seconds of each processor, for one run; more than `MOST_PROCESSORS` of them do not count
MOST_PROCESSORS: Final = 8
SandboxKind = Literal["bubblewrap", "landlock", "none"]
SANDBOX_KINDS: Final[tuple[SandboxKind, ...]] = ("bubblewrap", "landlock", "none")  # from the strongest to none
PROBE_TIMEOUT_S: Final = 20.0
MOUNT: Final = "/mnt/data"
"""Where a container's working directory is for code in it, whatever it is called on this machine."""
HOME: Final = "/home/user"
OPEN_FILES: Final = 1024
THREAD_HEADROOM: Final = 1024
"""Processes and threads that may be started elsewhere meanwhile: the system's limit counts all of this user's."""

_INHERITED: Final = frozenset(
    {
        "PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME",
        "VIRTUAL_ENV", "CONDA_PREFIX",
        "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS",
        "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS"
    }
)  # fmt: skip
"""What is passed on of the engine's environment, besides `LC_*`: never a key, a token or a home."""

_MOUNTED: Final = re.compile(rf"(?<![\w.~-]){re.escape(MOUNT)}(?![\w.-])")
_CELL_FILE: Final = re.compile(r"(?:/tmp)?[/\\]ipykernel_\d+[/\\]\d+\.py")
_CONFINE: Final = str(Path(confine.__file__).resolve())
_SYSTEM: Final = (
    "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/share",
    "/usr/local/bin", "/usr/local/lib", "/usr/local/lib64", "/usr/local/share",
    "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store",
    "/etc/alternatives", "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types",
    "/sys/devices/system/cpu"
)  # fmt: skip
_OF_PREFIX: Final = ("bin", "lib", "lib64", "ssl", "etc/fonts", "pyvenv.cfg")
_NOT_OF_SHARE: Final = "jupyter"
"""Under a prefix it holds kernels of the user's own, with the variables they are started with."""
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_OF_PROC: Final = ("/proc/self", "/proc/stat", "/proc/meminfo", "/proc/cpuinfo", "/proc/filesystems", "/proc/loadavg")

_REMOVE: Final = """
for attempt in 1 2 3; do
    rm -rf -- "$1"
    [ -e "$1" ] || exit 0
    chmod -R u+rwx -- "$1"
    sleep 1
done
"""
"""Deletes a directory; Python 3.11's `rmtree` recurses, and code may have nested directories thousands deep."""
# Runs inside, and prints what it could do that it must not.
_PROBE: Final = """
import importlib.util, json, os, socket, sys
secret, port, parent = json.loads(sys.argv[1])
attempts = {
    "read": lambda: open(secret).close(),
    "connect": lambda: socket.create_connection(("127.0.0.1", port), 2).close(),
    "signal": lambda: os.kill(parent, 0),
    "write": lambda: open(secret, "w").write("written"),
}
done = []
for name, attempt in attempts.items():
    try:
        attempt()
        done.append(name)
    except OSError:
        pass
print(json.dumps([done, importlib.util.find_spec("ipykernel") is not None]), flush=True)
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """What one container may use: memory of all its processes together, and of each; processor seconds of one run.

    `processes` counts threads too; `file_bytes` is one file, `disk_bytes` all of them.
    """

    memory_bytes: int
    cpu_s: float = CPU_S
    processes: int = 256
    file_bytes: int = 4 * GIB
    disk_bytes: int = 8 * GIB


def most_memory() -> int:
    """Three quarters of this machine's memory, in bytes: more is never given to one container."""
    return int(psutil.virtual_memory().total) * 3 // 4


def default_limits() -> ContainerLimits:
    """The limits of a container that asked for none: 4 GB, and ten minutes of each processor."""
    processors = min(os.cpu_count() or 1, MOST_PROCESSORS)
    return ContainerLimits(memory_bytes=min(4 * GIB, most_memory()), cpu_s=processors * CPU_S)


class VisiblePaths:
    """The paths that code really uses, and how they become `/mnt/data` and back: models write that, readers see it."""

    def __init__(self, work: str, home: str, temp: str) -> None:
        self.work, self.home, self.temp = work, home, temp
        self._outward = {
            work: MOUNT,
            temp: "/tmp",  # noqa: S108 - a name to show, not a place to write
            home: HOME,
            sysconfig.get_path("purelib"): "site-packages",
            sysconfig.get_path("stdlib"): "python",
        }
        # Longest first, and whole names only: a directory must not be taken for its own prefix.
        longest_first = sorted(self._outward, key=len, reverse=True)
        self._inside = re.compile(rf"(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")

    def inward(self, code: str) -> str:
        """Code as it is run: `/mnt/data` is the real directory."""
        return _MOUNTED.sub(lambda _: Path(self.work).as_posix(), code)

    def outward(self, text: str) -> str:
        """Text as it is shown: the real directory is `/mnt/data`."""
        mounted = self._inside.sub(lambda found: self._outward[found[0]], text)
        return _CELL_FILE.sub("<code>", mounted)


class ContainerPaths:
    """A container's paths: code may use `work` and `home`; `log` and `group` (its process group) are the engine's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.work, self.home = directory / "data", directory / "home"
        self.log, self.group = directory / "log", directory / "group"

    def make(self) -> None:
        """Make the directories, all of them new."""
        for path in (self.work, *(self.home / part for part in ("tmp", "shm", "mpl"))):
            path.mkdir(parents=True)


def removal(directory: Path, *, first: str = "") -> list[str]:
    """The command that deletes a directory with everything below it; `first` is what the shell does before."""
    return ["/bin/sh", "-c", first + _REMOVE, "sh", str(directory)]


def remove_tree(directory: Path) -> None:
    """Delete a directory with everything below it; what cannot be deleted is left. Never raises."""
    if os.name == "posix":
        subprocess.run(removal(directory), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    else:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How code is confined: the kind of sandbox, why a stronger kind is not used, and the Landlock version (or 0)."""

    kind: SandboxKind
    reason: str = ""
    landlock: int = 0

    def visible(self, paths: ContainerPaths) -> VisiblePaths:
        """Where code sees its directories."""
        if self.kind == "bubblewrap":
            return VisiblePaths(MOUNT, HOME, "/tmp")  # noqa: S108 - the sandbox's own
        return VisiblePaths(str(paths.work), str(paths.home), str(paths.home / "tmp"))

    def command(
        self, command: Sequence[str], *, paths: ContainerPaths, sockets: Path, limits: ContainerLimits
    ) -> list[str]:
        """A command line that runs another one confined; code in it may write to the directory of the sockets too."""
        if os.name != "posix":
            return list(command)
        landlock = self.kind == "landlock"
        plan = {
            "limits": _resources(limits),
            "landlock": self.landlock,
            "readable": [*readable_paths(), *_OF_PROC] if landlock else [],
            "writable": [str(paths.work), str(paths.home), str(sockets), *_DEVICES] if landlock else [],
            "filtered": self.kind != "none",
            "adopting": int(self.kind != "bubblewrap"),
        }
        confined = [sys.executable, "-I", "-S", _CONFINE, json.dumps(plan), "--", *command]
        return [*_bubblewrap(paths, sockets), "--", *confined] if self.kind == "bubblewrap" else confined


def strongest(
    directory: Path,
    wanted: Sequence[SandboxKind] = SANDBOX_KINDS,
    *,
    limits: ContainerLimits | None = None,
    platform: str = sys.platform,
) -> Sandbox:
    """The strongest sandbox that works here, of those wanted; each is tried in a private directory, with the limits."""
    tried, reasons = [kind for kind in wanted if kind != "none"], list[str]()
    if not platform.startswith("linux") and tried:
        reasons.append("the sandboxes of this engine, bubblewrap and Landlock, are for Linux")
        tried = []
    for kind in tried:
        sandbox = Sandbox(kind, "; ".join(reasons), confine.landlock_abi() if kind == "landlock" else 0)
        there = shutil.which("bwrap") if kind == "bubblewrap" else sandbox.landlock
        reason = attempt(sandbox, directory / kind, limits=limits) if there else "it is not installed, or switched off"
        if reason is None:
            return sandbox
        reasons.append(f"{kind}: {reason}")
    return Sandbox("none", "; ".join(reasons) or "it was switched off")


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What code inherits of the engine's environment: never a key, a token or a home, but `pip install --user`'s."""
    base = {"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}
    return base | {name: value for name, value in environment.items() if name in _INHERITED or name.startswith("LC_")}


def attempt(sandbox: Sandbox, directory: Path, *, limits: ContainerLimits | None = None) -> str | None:
    """Why a sandbox does not hold, or None: code is run in it that tries to get out."""
    allowed = replace(limits or ContainerLimits(0), memory_bytes=psutil.virtual_memory().total)
    paths, sockets, secret = ContainerPaths(directory), directory / "run", directory / "secret"
    paths.make()
    sockets.mkdir()
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        task = json.dumps([str(secret), server.getsockname()[1], os.getpid()])
        probe = [sys.executable, "-P", "-c", _PROBE, task]
        command = sandbox.command(probe, paths=paths, sockets=sockets, limits=allowed)
        # The end of the sandbox is the end of its session.
        given: Any = {"cwd": paths.work, "env": inherited(os.environ), "start_new_session": True}
        try:
            ran = subprocess.run(command, **given, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    try:
        done, finds_ipykernel = json.loads(ran.stdout)
    except ValueError:
        return str((ran.stderr.strip().splitlines() or [f"it ended with {ran.returncode}"])[-1][:200])
    # In bubblewrap the number may be that of another process, and what is written a file of the sandbox's own.
    harmless = {"signal"} if sandbox.kind == "bubblewrap" else set()
    if secret.read_text() == "secret":
        harmless.add("write")
    if harmful := [name for name in done if name not in harmless]:
        return f"code in it could still do this: {', '.join(harmful)}"
    return None if finds_ipykernel else "ipykernel is out of reach in it"


@cache
def readable_paths() -> tuple[str, ...]:
    """What code may read: the system's programs, this Python with its libraries, and fonts.

    Never a whole home, no configuration, and no directory that is on Python's path only as a place of work.
    """
    python = [Path(sys.executable), Path(sys.executable).resolve(), Path(_CONFINE)]
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        python += [Path(prefix, part) for part in _OF_PREFIX]
        share = Path(prefix, "share")
        python += [path for path in share.iterdir() if path.name != _NOT_OF_SHARE] if share.is_dir() else []
    python += [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    python += [path for path in map(Path, sys.path) if path.is_file() or any(path.glob("*.dist-info"))]
    if site.ENABLE_USER_SITE:
        python.append(Path(site.getusersitepackages()))
    home = Path("~").expanduser()
    fonts = [home / ".fonts", home / ".local/share/fonts"]
    wanted = [Path(path) for path in _SYSTEM] + fonts + [path for path in python if path.is_absolute()]
    there = dict.fromkeys(path for path in wanted if path.exists() and not home.is_relative_to(path))
    return tuple(str(path) for path in there if there.keys().isdisjoint(path.parents))


def _bubblewrap(paths: ContainerPaths, sockets: Path) -> list[str]:
    """What is bubblewrap's part: a file system with nothing in it but what is named, and no network."""
    program = shutil.which("bwrap") or "bwrap"
    bound = [argument for path in readable_paths() for argument in ("--ro-bind", path, path)]
    return [
        program,
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try"),
        *("--die-with-parent", "--hostname", "container", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"),
        *("--proc", "/proc", "--dev", "/dev"),
        *("--unsetenv", "JPY_PARENT_PID"),  # processes have other numbers in there
        *("--bind", str(paths.home / "tmp"), "/tmp"),  # noqa: S108 - the sandbox's own
        *bound,
        *("--bind", str(paths.work), MOUNT, "--bind", str(paths.home), HOME),
        # on disk, where it is counted, not in memory
        *("--bind", str(paths.home / "shm"), "/dev/shm"),  # noqa: S108 - the sandbox's own
        *("--bind", str(sockets), str(sockets)),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", MOUNT),
    ]


def _resources(limits: ContainerLimits) -> dict[str, int]:
    """Limits of each process; of root, no processes are counted: `LimitMonitor` counts the container's own."""
    resources = {"FSIZE": limits.file_bytes, "CORE": 0, "NOFILE": OPEN_FILES}
    if sys.platform == "linux":
        threads_here = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
        resources |= {"DATA": limits.memory_bytes, "NPROC": limits.processes + threads_here + THREAD_HEADROOM}
    return resources
