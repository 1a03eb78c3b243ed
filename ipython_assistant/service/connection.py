"""Who answers: a wire, its containers, and the engine process where it is ours."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from importlib import import_module
from typing import IO, TYPE_CHECKING, cast

from ipython_assistant.core.providers import MODELS_FOLDER, models_folder, variables_of
from ipython_assistant.errors import AssistantError, ConfigError, EngineError, StreamBroken, Unreachable
from ipython_assistant.service import accounts
from ipython_assistant.service.background import Threads
from ipython_assistant.service.containers import Containers
from ipython_assistant.service.turn_base import TurnBases

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from ipython_assistant.service.client import Wire


READY_WITHIN_S = 30.0
ENDS_WITHIN_S, DIES_WITHIN_S, LOG_LINES = 3.0, 3.0, 5
SILENCE_SHARE = 0.9
"""The engine gives up a silent model a little before we give up the engine: it can say more about it."""

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
    """An engine process, which ends with this one at the latest; a model that is silent for `silence_s` is given up.

    Of the environment it gets what it needs and the `variables`, such as the key of the model that is asked.
    """

    def __init__(
        self, environment: Mapping[str, str], variables: Sequence[str] = (), *, silence_s: float = 270.0
    ) -> None:
        # The engine takes the keys out of its own environment: the kernels it starts never see them.
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

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._process.pid

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


class Connection:
    """A service that can be asked, with its containers, and the engine process where it is ours."""

    def __init__(self, wire: Wire, engine: Engine | None = None) -> None:
        self.wire, self.containers = wire, Containers(wire)
        self.bases = TurnBases(wire, self.containers)
        self._engine, self._sandbox_noted = engine, False

    @property
    def usable(self) -> bool:
        """Whether asking makes sense: an engine that has died will not answer."""
        return self._engine is None or not self._engine.ended_within(0)

    @property
    def sandbox(self) -> str:
        """How code is contained: the engine's own word, or `hosted`."""
        return self._engine.ready().sandbox if self._engine is not None else "hosted"

    def sandbox_note(self) -> tuple[str, ...]:
        """What the reader should know of code that an engine of ours has run without a sandbox; said once."""
        if self._engine is None or self.sandbox != "none" or self._sandbox_noted:
            return ()
        self._sandbox_noted, reason = True, self._engine.ready().reason
        return (f"The code ran without a sandbox ({reason}): it could read and change whatever you can.",)

    @property
    def engine_pid(self) -> int | None:
        """The engine's process id, where it is ours."""
        return self._engine.pid if self._engine is not None else None

    def model_names(self) -> tuple[str, ...]:
        """The models that the service lists; none where it does not tell."""
        try:
            rows = self.wire.model("").json().get("data")
        except AssistantError:
            return ()
        found = rows if isinstance(rows, list) else []
        return tuple(str(row["id"]) for row in found if isinstance(row, dict) and row.get("id"))

    def explain(self, error: AssistantError) -> AssistantError:
        """The error behind an error: what the reader should know of a broken connection is that the engine died."""
        lost = isinstance(error, Unreachable | StreamBroken)
        if self._engine is None or not lost or not self._engine.ended_within(DIES_WITHIN_S):
            return error
        death = self._engine.death()
        death.__cause__ = error
        return death

    def close(self) -> None:
        """Delete the containers (an engine's end with it), let go of the connections, and end the engine."""
        if self._engine is None:
            # Python 3.12.0 and 3.12.1 start no thread while the interpreter ends; the containers expire by themselves.
            with contextlib.suppress(RuntimeError):
                self.containers.delete_all()
        self.wire.close()
        if self._engine is not None:
            self._engine.stop()


class Connections:
    """The connections of a session, each made once even when several threads ask for it at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Hashable, Connection] = {}
        self._closed = False
        self._ahead: Hashable = None

    def get(self, key: Hashable, make: Callable[[], Connection], *, ahead: bool = False) -> Connection:
        """The usable connection for this key, made by `make` if need be. Raises the errors of `make`.

        One that is made `ahead` of the first question is closed again if that goes elsewhere.
        """
        with self._lock:
            if self._closed:  # as when the extension is unloaded while a thread asks, or starts the engine
                raise ConfigError("The extension was unloaded.", "Load it again: %load_ext ipython_assistant")
            unused, self._ahead = self._ahead, None
            if unused not in {None, key}:
                self._made.pop(unused).close()
            connection = self._made.get(key)
            if connection is None or not connection.usable:
                if connection is not None:
                    del self._made[key]
                    connection.close()
                connection = self._made[key] = make()
                self._ahead = key if ahead else None
            return connection

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._made.values()))

    def close(self) -> None:
        """Close every connection. May be called twice."""
        with self._lock:
            connections = tuple(self._made.values())
            self._made.clear()
            self._closed = True
        for connection in connections:
            connection.close()


def connect(service: str, timeout_s: float, environment: Mapping[str, str], model: str = "") -> Connection:
    """Connect to `openai`, `azure`, or `local`: an engine with the key of the `model`'s provider."""
    if service == "azure":
        return Connection(accounts.connect_azure(environment, timeout_s))
    if service != "local":
        return Connection(accounts.connect_hosted(environment, timeout_s))
    engine = Engine(environment, variables_of(model), silence_s=SILENCE_SHARE * timeout_s)
    try:
        import_module("openai")  # takes as long as the engine does to start
        ready = engine.ready()
        return Connection(accounts.connect_local(ready.url, ready.token, timeout_s), engine)
    except BaseException:  # Ctrl-C too: nobody would end it
        engine.stop(0.0)
        raise
