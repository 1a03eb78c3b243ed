"""Builds the engine's rooms, opens its door, and takes everything down again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from ipython_assistant.engine import wire
from ipython_assistant.engine.app import Rooms, application
from ipython_assistant.engine.containers import Containers
from ipython_assistant.engine.responder import Responder
from ipython_assistant.engine.scratch import private_directory
from ipython_assistant.engine.transcripts import Transcripts
from ipython_assistant.engine.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ipython_assistant.engine.models import Model

SANDBOX: Final = "none"
"""How code is confined. Containers are a directory and a process of the user's own; nothing keeps code inside."""
RETIRE_EVERY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine, as its owner needs to know it.

    Args:
        url: The base URL for clients, with `/v1`.
        token: The API key for clients.
        pid: The engine's process.
        sandbox: How code is confined.
        models: The names of the models.
    """

    url: str
    token: str
    pid: int
    sandbox: str
    models: tuple[str, ...]

    def ready_line(self) -> str:
        """One line of JSON."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return wire.dumps(fields)


@contextlib.asynccontextmanager
async def running(
    models: Mapping[str, Model],
    *,
    clock: Callable[[], float] = time.time,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Engine]:
    """Run an engine on a free port of this machine's loopback address.

    When the block ends, or is cancelled, all its processes have ended and its directory is gone.

    Args:
        models: Name → model.
        clock: Seconds since the epoch; containers expire by it.
        environment: What kernels get a few harmless variables of; the process's own by default.
    """
    mint = wire.minter(clock)
    with private_directory() as directory:
        containers = Containers(
            directory / "c", environment=os.environ if environment is None else environment, mint=mint, clock=clock
        )
        uploads = Uploads(directory / "files", mint=mint, clock=clock)
        transcripts = Transcripts(directory / "responses")
        responder = Responder(
            models=models, containers=containers, uploads=uploads, transcripts=transcripts, mint=mint, clock=clock
        )
        token = secrets.token_urlsafe(32)
        rooms = Rooms(responder, containers, uploads, transcripts, models, token, SANDBOX, int(clock()))
        server = HTTPServer(application(rooms), chunk_size=256 * 1024)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        containers.warm()
        retiring = asyncio.create_task(_retire(containers))
        try:
            url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/v1"
            yield Engine(url, token, os.getpid(), SANDBOX, tuple(models))
        finally:
            retiring.cancel()
            server.stop()
            await containers.stop()
            await server.close_all_connections()


async def _retire(containers: Containers) -> None:
    while True:
        await asyncio.sleep(RETIRE_EVERY_S)
        await containers.retire()
