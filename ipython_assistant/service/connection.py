"""Who answers: a wire, its containers, and the engine process where it is ours."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from ipython_assistant.core.providers import variables_of
from ipython_assistant.errors import AssistantError, StreamBroken, Unreachable
from ipython_assistant.service import accounts
from ipython_assistant.service.client import LiveWire
from ipython_assistant.service.containers import Containers
from ipython_assistant.service.local import Engine
from ipython_assistant.service.turn_base import TurnBases

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from ipython_assistant.service.wire import Wire

DIES_WITHIN_S = 3.0
SILENCE_SHARE = 0.9
"""The engine gives up a silent model a little before we give up the engine: it can say more about it."""


class Connection:
    """A service that can be asked, as long as it is `usable`."""

    def __init__(self, wire: Wire, engine: Engine | None = None) -> None:
        self.wire = wire
        self.containers = Containers(wire)
        self.bases = TurnBases(wire, self.containers)
        self._engine = engine
        self._sandbox_noted = False

    @property
    def usable(self) -> bool:
        """Whether asking makes sense: an engine that has died will not answer."""
        return self._engine is None or self._engine.running

    @property
    def sandbox(self) -> str:
        """How code is contained: the engine's own word, or `hosted`."""
        return self._engine.ready().sandbox if self._engine is not None else "hosted"

    def sandbox_note(self) -> tuple[str, ...]:
        """What the reader should know of code that an engine of ours has run without a sandbox; said once."""
        if self._engine is None or self._engine.ready().sandbox != "none" or self._sandbox_noted:
            return ()
        self._sandbox_noted = True
        reason = self._engine.ready().reason
        return (f"The code ran without a sandbox ({reason}): it could read and change whatever you can.",)

    @property
    def engine_pid(self) -> int | None:
        """The engine's process id, where it is ours."""
        return self._engine.pid if self._engine is not None else None

    @property
    def engine_url(self) -> str | None:
        """Where the engine listens, where it is ours."""
        return self._engine.ready().url if self._engine is not None else None

    def model_names(self) -> tuple[str, ...]:
        """The models that the service lists; none where it does not tell."""
        if not isinstance(self.wire, LiveWire):
            return ()
        try:
            rows = self.wire.model("").json().get("data")
        except AssistantError:
            return ()
        names = (row.get("id") for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()
        return tuple(str(name) for name in names if name)

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
        try:
            if self._engine is None:
                self.containers.delete_all()
        except RuntimeError:
            # Python 3.12.0 and 3.12.1 start no thread while the interpreter ends; the containers expire by themselves.
            pass
        finally:
            self.wire.close()
            if self._engine is not None:
                self._engine.stop()


class Connections:
    """The connections of a session, each made once even when several threads ask for it at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Hashable, Future[Connection]] = {}

    def get(self, key: Hashable, make: Callable[[], Connection]) -> Connection:
        """The connection for this key; made where there is none, or none that is usable. Raises what `make` raises."""
        with self._lock:
            future = self._made.get(key)
            old = _made(future)
            if future is None or (old is not None and not old.usable):
                future, mine = Future[Connection](), True
                self._made[key] = future
            else:
                mine = False
        # Starting an engine takes a second: it is done without the lock, and other threads wait for this one.
        if mine:
            try:
                if old is not None:
                    old.close()
                future.set_result(make())
            except BaseException as error:
                with self._lock:
                    self._made.pop(key, None)
                future.set_exception(error)
                raise
        return future.result()

    def __iter__(self) -> Iterator[Connection]:
        with self._lock:
            futures = tuple(self._made.values())
        return (connection for future in futures if (connection := _made(future)) is not None)

    def close(self) -> None:
        """Close every connection. May be called twice."""
        connections = tuple(self)
        with self._lock:
            self._made.clear()
        for connection in connections:
            connection.close()


def _made(future: Future[Connection] | None) -> Connection | None:
    return future.result() if future is not None and future.done() and future.exception() is None else None


def connect(service: str, timeout_s: float, environment: Mapping[str, str], model: str = "") -> Connection:
    """Connect to the service a cell asks for: `openai`, `azure`, or `local`, which starts an engine.

    Args:
        service: Its short name.
        timeout_s: Seconds without a byte from it.
        environment: Where keys and addresses are found.
        model: The model that an engine is started for: it is given the key of that one's provider, and no other.

    Raises:
        ConfigError: No key, or no address.
        EngineError: The engine did not start.
    """
    if service == "azure":
        return Connection(accounts.connect_azure(environment, timeout_s))
    if service != "local":
        return Connection(accounts.connect_hosted(environment, timeout_s))
    engine = Engine.start(environment, variables_of(model), silence_s=SILENCE_SHARE * timeout_s)
    accounts.import_sdk()  # takes as long as the engine does to start
    ready = engine.ready()
    return Connection(accounts.connect_local(ready.url, ready.token, timeout_s), engine)
