"""Who answers: a wire, its containers, and the engine process where it is ours."""

from __future__ import annotations

import contextlib
import threading
from importlib import import_module
from typing import TYPE_CHECKING

from ipython_assistant.core.providers import variables_of
from ipython_assistant.core.turn import objects_in
from ipython_assistant.errors import AssistantError, ConfigError, StreamBroken, Unreachable
from ipython_assistant.service import accounts
from ipython_assistant.service.containers import Containers
from ipython_assistant.service.engine_process import Engine
from ipython_assistant.service.turn_base import TurnBases

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from ipython_assistant.service.client import Wire

DIES_WITHIN_S = 3.0
SILENCE_SHARE = 0.9  # the engine gives up a silent model a little before we give up the engine: it can say more


class Connection:
    """A service that can be asked, with its containers, and the engine process where it is ours."""

    def __init__(self, wire: Wire, engine: Engine | None = None) -> None:
        self.wire, self.containers = wire, Containers(wire)
        self.bases = TurnBases(wire, self.containers)
        self._engine, self._sandbox_noted = engine, False
        self.engine_pid = engine.pid if engine is not None else None  # where the engine is ours

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

    def model_names(self) -> tuple[str, ...]:
        """The models that the service lists; none where it does not tell."""
        with contextlib.suppress(AssistantError):
            return tuple(str(row["id"]) for row in objects_in(self.wire.model("").json().get("data")) if row.get("id"))
        return ()

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
        """The usable connection for this key, made by `make`, which may raise; perhaps `ahead` of a question."""
        with self._lock:
            if self._closed:  # as when the extension is unloaded while a thread asks, or starts the engine
                raise ConfigError("The extension was unloaded.", "Load it again: %load_ext ipython_assistant")
            unused, self._ahead = self._ahead, None
            if unused not in {None, key}:
                self._made.pop(unused).close()  # the first question goes elsewhere
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
        import_module("httpx2")  # while the engine starts
        ready = engine.ready()
        return Connection(accounts.connect_local(ready.url, ready.token, timeout_s), engine)
    except BaseException:  # Ctrl-C too: nobody would end it
        engine.stop(0.0)
        raise
