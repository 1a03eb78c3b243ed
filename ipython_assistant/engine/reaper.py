"""Ends what code left running when the engine is killed: a process of its own, which outlives the engine by a moment.

The system ends a kernel with its engine (`PR_SET_PDEATHSIG`, https://man7.org/linux/man-pages/man2/prctl.2.html), but
not what the kernel's code has started. Bubblewrap ends all of it; elsewhere this does. It is told the process group of
each kernel, over a pipe that closes however the engine ends, and ends those that are left then. Run by its path:
`python -I -S reaper.py`; it has nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENDS_WITHIN_S: Final = 5.0

_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


class Reaper:
    """The engine's side of it.

    Args:
        environment: The engine's own; a little of it is passed on.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: environment[name] for name in _PASSED_ON if name in environment},
            start_new_session=True,  # what is sent to the engine's group is not for it
        )

    def watch(self, group: int) -> None:
        """End this process group if the engine does not."""
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        """It has ended: its number may soon be another's."""
        self._tell(f"-{group}")

    def close(self) -> None:
        """There is nothing left to end."""
        pipe = self._process.stdin
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, line: str) -> None:
        pipe = self._process.stdin
        with contextlib.suppress(OSError, ValueError):  # somebody ended it: then there is one guard less
            if pipe is not None:
                pipe.write(f"{line}\n".encode())
                pipe.flush()


def left(lines: Iterable[bytes]) -> frozenset[int]:
    """The groups that are to be ended when the pipe has closed; a line that was cut off by that does not count."""
    groups: set[int] = set()
    for line in lines:
        if line.endswith(b"\n"):
            group = int(line[1:])
            (groups.add if line.startswith(b"+") else groups.discard)(group)
    return frozenset(groups)


def main() -> None:
    """Read until the engine is gone."""
    for group in left(sys.stdin.buffer):
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
