"""Starts, watches and stops the embedded engine: one child process for one shell.

The engine is never imported, only started (`python -m ipython_assistant.engine`) and asked over HTTP. It ends when
its standard input closes, so it cannot outlive this process, however that ends.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from ipython_assistant.core.providers import MODELS_FOLDER, models_folder
from ipython_assistant.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY_WITHIN_S = 30.0
ENDS_WITHIN_S = 3.0
LOG_LINES = 5

# What the engine and the code it runs need of this process's environment. Keys are not on the list, nor anything else.
_PASSED_ON = (
    "PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "WINDIR", "USERPROFILE",
    "LOCALAPPDATA", "APPDATA", "COMSPEC", "PATHEXT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME",
    "VIRTUAL_ENV", "CONDA_PREFIX", "XDG_CACHE_HOME", "MPLCONFIGDIR", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE",
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OLLAMA_HOST",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The engine's first line: where it listens, the token it wants, how code is confined and why not by more."""

    url: str
    token: str
    sandbox: str
    reason: str = ""


class Engine:
    """A running engine process. `start` it, `stop` it; it stops by itself with this process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None  # noqa: S101 for the type checker: `start` asks for it
        self._process = process
        self._info: EngineInfo | None = None
        self._last_lines: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
        self._log_reader = threading.Thread(target=self._read_log, args=(process.stderr,), daemon=True)
        self._log_reader.start()

    @classmethod
    def start(
        cls, environment: Mapping[str, str], variables: Sequence[str] = (), *, silence_s: float = 270.0
    ) -> Engine:
        """Start an engine; it does not listen yet when this returns.

        Args:
            environment: This process's; of it only what the engine needs is passed on.
            variables: More of the environment's variables that it needs: the key of the model that is asked.
            silence_s: Seconds without a byte from a model before the engine gives it up.
        """
        # The engine takes the keys out of its own environment: the kernels it starts never see them.
        needed = {*_PASSED_ON, *variables}
        passed_on = {name: value for name, value in environment.items() if name in needed or name.startswith("LC_")}
        passed_on[MODELS_FOLDER] = str(models_folder(environment))
        arguments = ["--any-model", "--silence", f"{silence_s:g}"]
        return cls(
            subprocess.Popen(
                # -P keeps the working directory out of the module path: a tornado.py beside the notebook is not ours.
                [sys.executable, "-P", "-m", "ipython_assistant.engine", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=passed_on,
                cwd=tempfile.gettempdir(),
            )
        )

    def ready(self) -> EngineInfo:
        """Where it listens; waits until it does.

        Raises:
            EngineError: It ended, or did not say in time that it is ready; its last log lines are in the hint.
        """
        if self._info is None:
            self._info = self._await_ready()
        return self._info

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def ended_within(self, seconds: float) -> bool:
        """Whether the process is gone, waiting a little for it: a connection breaks just before a process ends."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return not self.running

    def death(self) -> EngineError:
        """The error that says how it ended."""
        code = self._process.poll()
        how = "is not answering" if code is None else f"ended (exit code {code})"
        self._log_reader.join(0.2)
        lines = list(self._last_lines)
        words = "\n".join(["Its last words:", *(f"  {line}" for line in lines)]) if lines else "It left no message."
        return EngineError(f"The embedded engine {how}.", f"Run the cell again: a new one is started.\n{words}")

    def stop(self) -> None:
        """End the process: it takes its kernels with it. Does nothing where it has ended."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _await_ready(self) -> EngineInfo:
        assert self._process.stdout is not None  # noqa: S101 for the type checker
        line = _first_line(self._process.stdout, READY_WITHIN_S)
        try:
            said = json.loads(line)
            return EngineInfo(said["url"], said["token"], said.get("sandbox", "none"), said.get("reason", ""))
        except (ValueError, KeyError, TypeError):
            self.ended_within(0.5)
            error = self.death()
            self.stop()
            raise error from None

    def _read_log(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):  # the pipe is closed under the thread when the engine is stopped
            for line in pipe:
                self._last_lines.append(line.decode(errors="replace").rstrip())


def _first_line(pipe: IO[bytes], within_s: float) -> bytes:
    """The first line, or what there is of it when the time is over."""
    if os.name == "nt":  # pipes cannot be waited for there
        return pipe.readline()
    deadline, line = time.monotonic() + within_s, b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        byte = os.read(pipe.fileno(), 1) if readable else b""
        if not byte:
            return line
        line += byte
    return line
