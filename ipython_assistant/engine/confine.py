"""Confines itself and becomes another program: limits, then Landlock, then a filter of system calls, then `exec`.

Run by its path, with the standard library alone: `python -I -S confine.py PLAN -- COMMAND...`. `PLAN` is JSON: `limits`
(of `RLIMIT_DATA` and others); `landlock` (its version, or 0), `readable` and `writable` paths; `filtered` (privileges
are given up, system calls filtered); `adopting` (orphans become children of the command, if no namespace holds them).

The kernel's own texts: https://docs.kernel.org/userspace-api/landlock.html and seccomp_filter.html beside it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import platform
import signal
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

# Landlock's system calls have the same numbers on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_MAKE_CHARACTER_DEVICE, _MAKE_BLOCK_DEVICE = 1 << 6, 1 << 11
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
_RIGHTS_OF_ABI: Final = {1: 13, 2: 14}
"""How many rights a version of Landlock knows; 15 of version 3 and later are used: those up to `_TRUNCATE`."""

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER = 1, 22, 24, 36
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 38, 47
_CAPABILITY_VERSION: Final = 0x20080522

_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _AND, _EQUAL, _GREATER_OR_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_MACHINE, _AT_ARGUMENTS = 0, 4, 16
_X32: Final = 0x40000000
_ALL: Final = 0xFFFFFFFF

_NEW_NAMESPACES: Final = 0x7E020000
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_KIND, _STREAM, _SEQUENTIAL_PACKETS = 0xF, 1, 5
_NO_OWNER: Final = (*range(8), 9, 11, 16, 36, 37, 38, *range(1024, 1043))
"""`fcntl` commands without those that have another process sent a signal: F_SETOWN, F_SETSIG, F_SETOWN_EX."""

_SAME_NUMBERS: Final = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "clone3": 435,
    "pidfd_getfd": 438, "memfd_secret": 447, "fchmodat2": 452, "setxattrat": 463, "removexattrat": 466,
    "file_setattr": 469
}  # fmt: skip
_NUMBERS: Final = {
    "x86_64": {
        "shmget": 29, "socket": 41, "connect": 42, "socketpair": 53, "clone": 56, "kill": 62, "semget": 64,
        "msgget": 68, "fcntl": 72, "truncate": 76, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94,
        "ptrace": 101, "setpgid": 109, "setsid": 112, "rt_sigqueueinfo": 129, "utime": 132, "setxattr": 188,
        "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "tkill": 200,
        "tgkill": 234, "utimes": 235, "mq_open": 240, "mq_unlink": 241, "add_key": 248, "request_key": 249,
        "keyctl": 250, "fchownat": 260, "futimesat": 261, "fchmodat": 268, "unshare": 272, "utimensat": 280,
        "rt_tgsigqueueinfo": 297, "perf_event_open": 298, "prlimit64": 302, "setns": 308, "process_vm_readv": 310,
        "process_vm_writev": 311, "kcmp": 312, "memfd_create": 319, "bpf": 321, "userfaultfd": 323
    },
    "aarch64": {
        "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
        "fcntl": 25, "truncate": 45, "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "utimensat": 88,
        "unshare": 97, "ptrace": 117, "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "setpgid": 154,
        "setsid": 157, "mq_open": 180, "mq_unlink": 181, "msgget": 186, "semget": 190, "shmget": 194, "socket": 198,
        "socketpair": 199, "connect": 203, "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220,
        "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "prlimit64": 261, "setns": 268, "process_vm_readv": 270,
        "process_vm_writev": 271, "kcmp": 272, "memfd_create": 279, "bpf": 280, "userfaultfd": 282
    }
}  # fmt: skip
"""System calls by machine, from the Linux sources (`syscall_64.tbl`, `asm-generic/unistd.h`)."""
_MACHINES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Doors to the machine's own kernel that no analysis needs. io_uring opens sockets past any filter.
_CLOSED: Final = (
    "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "perf_event_open", "userfaultfd", "keyctl",
    "add_key", "request_key", "unshare", "setns", "pidfd_getfd", "process_vm_readv", "process_vm_writev", "kcmp",
    "shmget"
)  # fmt: skip
# What Landlock does not cover: a session of one's own would get away from the signal that ends everything.
_CLOSED_WITH_LANDLOCK: Final = ("ptrace", "setsid", "setpgid", "connect", "semget", "msgget", "mq_open", "mq_unlink")
# Landlock lets the owner of a file change its mode and its times, wherever it is. These calls do nothing and say that
# they did: copying a file with its mode must not fail.
_FEIGNED: Final = (
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
    "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr",
    "fremovexattr", "removexattrat", "file_setattr"
)  # fmt: skip
_SIGNALS: Final = ("tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal")


def landlock_abi() -> int:
    """The version of Landlock this system has; 0 if it has none, or it is switched off."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)))


def main(arguments: Sequence[str]) -> None:
    """Confine this process and become the command. Raises OSError if something that was planned cannot be done."""
    plan = json.loads(arguments[0])
    command = list(arguments[arguments.index("--") + 1 :])
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the engine may have been started with it ignored
    _limit(plan["limits"])
    if sys.platform == "linux":  # it ends with the process that started it, however that ends
        _checked(_libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
        _checked(_libc().prctl(_PR_SET_CHILD_SUBREAPER, plan["adopting"], 0, 0, 0))
    if plan["filtered"]:
        _give_up_privileges()
        if plan["landlock"]:
            _landlock(plan)
        _filter(_program(plan["landlock"], os.getpid()))
    os.execv(command[0], command)  # noqa: S606 - a program by its path, no shell


def _limit(limits: dict[str, int]) -> None:
    import resource

    for name, limit in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        most = resource.getrlimit(kind)[1]
        allowed = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (allowed, allowed))
    with contextlib.suppress(OSError):  # if the machine runs out of memory, this goes first
        Path("/proc/self/oom_score_adj").write_text("1000")


def _give_up_privileges() -> None:
    """Nothing that is started from here gains or keeps privileges."""
    libc = _libc()
    capability = 0
    while libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1  # ends at the first that does not exist, or at once for a process that has none to drop
    libc.prctl(_PR_CAP_AMBIENT, 4, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    _checked(libc.capset(header, bytes(24)))
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _landlock(plan: dict[str, Any]) -> None:
    libc = _libc()
    everything = (1 << _RIGHTS_OF_ABI.get(plan["landlock"], 15)) - 1
    # Files only: the filter refuses sockets and signals.
    ruleset = _checked(libc.syscall(_CREATE_RULESET, struct.pack("=Q", everything), ctypes.c_size_t(8), 0))
    write = everything & ~(_MAKE_CHARACTER_DEVICE | _MAKE_BLOCK_DEVICE)
    for paths, rights in ((plan["readable"], _READ), (plan["writable"], write)):
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
                allowed = rights if Path(path).is_dir() else rights & _OF_FILES
                rule = struct.pack("=Qi", allowed & everything, descriptor)
                _checked(libc.syscall(_ADD_RULE, ruleset, 1, rule, 0))
                os.close(descriptor)
    _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


class _SyscallFilter:
    """Assembles a filter program: the number of the system call is in the accumulator between rules."""

    def __init__(self, machine: str) -> None:
        self._numbers = _NUMBERS[machine] | _SAME_NUMBERS
        self._code: list[bytes] = []
        self._step(_LOAD, _AT_MACHINE)
        self._step(_EQUAL, _MACHINES[machine], 1, 0)
        self._step(_RETURN, _KILL)
        self._step(_LOAD, _AT_NUMBER)
        if machine == "x86_64":
            self._step(_GREATER_OR_EQUAL, _X32, 0, 1)
            self._step(_RETURN, _ERRNO | errno.ENOSYS)

    def refuse(self, names: Iterable[str], reason: int) -> None:
        """These calls fail with this error; with 0 they do nothing and succeed."""
        for name in names:
            if name in self._numbers:
                self._step(_EQUAL, self._numbers[name], 0, 1)
                self._step(_RETURN, _ERRNO | reason)

    def refuse_argument(
        self, name: str, argument: int, reason: int, *, unless: Collection[int], mask: int = _ALL
    ) -> None:
        """The call fails unless its argument (32 bits, those of the mask) is one of these values."""
        steps = [(_LOAD, _AT_ARGUMENTS + 8 * argument), (_AND, mask)]
        more = [(_EQUAL, value & _ALL, len(unless) - index, 0) for index, value in enumerate(unless)]
        self._step(_EQUAL, self._numbers[name], 0, len(steps) + len(more) + 2)
        for step in (*steps, *more, (_RETURN, _ERRNO | reason), (_LOAD, _AT_NUMBER)):
            self._step(*step)

    def program(self) -> bytes:
        """The finished program: what no rule names is allowed."""
        return b"".join([*self._code, struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW)])

    def _step(self, operation: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        self._code.append(struct.pack("=HBBI", operation, if_true, if_false, value))


def _program(landlock: int, pid: int) -> bytes:
    """The filter: a short one where namespaces do the work, a longer one with Landlock of this version."""
    made = _SyscallFilter(platform.machine())
    made.refuse(_CLOSED, errno.EPERM)
    made.refuse(("clone3", "memfd_create", "memfd_secret"), errno.ENOSYS)  # libraries then take their older ways
    made.refuse_argument("clone", 0, errno.EPERM, unless=(0,), mask=_NEW_NAMESPACES)
    made.refuse_argument("prlimit64", 0, errno.EPERM, unless=(0, pid))
    if not landlock:
        # The network namespace does not hold every family back: vsock reaches the host of a virtual machine.
        made.refuse_argument("socket", 0, errno.EAFNOSUPPORT, unless=(_UNIX, _INET, _INET6, _NETLINK))
        return made.program()
    made.refuse(_CLOSED_WITH_LANDLOCK, errno.EPERM)
    made.refuse(_FEIGNED, 0)
    made.refuse_argument("socket", 0, errno.EACCES, unless=(_UNIX,))
    # A datagram socket sends to a path without connecting.
    made.refuse_argument("socket", 1, errno.EACCES, unless=(_STREAM,), mask=_KIND)
    made.refuse_argument("socketpair", 1, errno.EACCES, unless=(_STREAM, _SEQUENTIAL_PACKETS), mask=_KIND)
    if landlock in _RIGHTS_OF_ABI:  # none to truncate
        made.refuse(("truncate",), errno.EACCES)
    made.refuse(_SIGNALS, errno.EPERM)  # to anyone but oneself
    made.refuse_argument("kill", 0, errno.EPERM, unless=(0, pid, -pid))
    made.refuse_argument("tgkill", 0, errno.EPERM, unless=(pid,))
    made.refuse_argument("fcntl", 1, errno.EPERM, unless=_NO_OWNER)
    return made.program()


def _filter(program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    _checked(_libc().prctl(_PR_SET_SECCOMP, 2, described, 0, 0))


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _checked(returned: int) -> int:
    if returned < 0:
        reason = ctypes.get_errno()
        raise OSError(reason, os.strerror(reason))
    return returned


if __name__ == "__main__":
    main(sys.argv[1:])
