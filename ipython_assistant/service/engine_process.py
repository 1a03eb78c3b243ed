"""The engine's process, as a child of this one: how it is started, what it gets of the environment, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from ipython_assistant.core.providers import MODELS_FOLDER, models_folder
from ipython_assistant.errors import EngineError
from ipython_assistant.service.background import Threads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY_WITHIN_S = 30.0
ENDS_WITHIN_S, LOG_LINES = 3.0, 5

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
    """An engine process, which ends with this one. It gets the `variables`, such as the key of the model it asks."""

    def __init__(
        self, environment: Mapping[str, str], variables: Sequence[str] = (), *, silence_s: float = 270.0
    ) -> None:
        # It gives up a model after `silence_s` seconds, and takes keys out of its environment: kernels never see them.
        needed = {*_PASSED_ON, *variables}
        passed_on = {name: value for name, value in environment.items() if name in needed or name.startswith("LC_")}
        passed_on[MODELS_FOLDER] = str(models_folder(environment))
        # -P keeps the working directory out of the module path: a tornado.py beside the notebook is not ours.
        module = ["-P", "-m", "ipython_assistant.engine.server"]
        pipe, self._log = subprocess.PIPE, tempfile.TemporaryFile()  # noqa: SIM115 closed with the process
        self._process = subprocess.Popen(
            [sys.executable, *module, "--any-model", "--silence", f"{silence_s:g}"],
            stdin=pipe,
            stdout=pipe,
            stderr=self._log,
            env=passed_on,
            cwd=tempfile.gettempdir(),
            # A group of its own: Ctrl-C is sent to all of the notebook's, and would end an engine that just starts.
            process_group=0 if os.name == "posix" else None,
        )
        self.pid = self._process.pid
        self._info: EngineInfo | None = None

    def ready(self) -> EngineInfo:
        """Wait until it listens. Raises `EngineError` with its last log lines where it ended, or did not in time."""
        if self._info is None:
            pool = Threads(1, "ipython_assistant engine")
            try:
                line = pool.submit(cast("IO[bytes]", self._process.stdout).readline).result(READY_WITHIN_S)
                said = json.loads(line)
                self._info = EngineInfo(said["url"], said["token"], said.get("sandbox", "none"), said.get("reason", ""))
            except (ValueError, KeyError, TypeError, TimeoutError):
                self.ended_within(0.5)
                error = self.death()
                self.stop()
                raise error from None
            finally:
                pool.close()
        return self._info

    def ended_within(self, seconds: float) -> bool:
        """Whether the process is gone, waiting a little for it: a connection breaks just before a process ends."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll() is not None

    def death(self) -> EngineError:
        """The error that says how it ended."""
        code = self._process.poll()
        how = "is not answering" if code is None else f"ended (exit code {code})"
        lines: list[str] = []
        with contextlib.suppress(ValueError):  # it was stopped
            self._log.seek(0)
            lines = [f"  {line}" for line in self._log.read().decode(errors="replace").splitlines()[-LOG_LINES:]]
        words = "\n".join(["Its last words:", *lines]) if lines else "It left no message."
        return EngineError(f"The embedded engine {how}.", f"Ask again: a new one is started.\n{words}")

    def stop(self, within_s: float = ENDS_WITHIN_S) -> None:
        """End the process: it takes its kernels with it. Does nothing where it has ended."""
        with contextlib.suppress(OSError):
            cast("IO[bytes]", self._process.stdin).close()
        if not self.ended_within(within_s):
            self._process.kill()
            self._process.wait()
        cast("IO[bytes]", self._process.stdout).close()
        self._log.close()
