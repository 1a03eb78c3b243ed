"""Builds the engine's parts, opens its port, and takes everything down again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from ipython_assistant.engine import wire
from ipython_assistant.engine.base_handler import EngineParts
from ipython_assistant.engine.container_pool import MAX_CONTAINERS, ContainerPool
from ipython_assistant.engine.handlers import application
from ipython_assistant.engine.limit_monitor import ContainerLimits, default_limits
from ipython_assistant.engine.private_directory import private_directory
from ipython_assistant.engine.responder import Responder
from ipython_assistant.engine.sandbox import SANDBOX_KINDS, SandboxKind, strongest
from ipython_assistant.engine.stored_responses import StoredResponses
from ipython_assistant.engine.uploads import UploadStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ipython_assistant.engine.models import Model

ADDRESS: Final = "127.0.0.1"
RETIRE_EVERY_S: Final = 30.0
MAX_BODY_BYTES: Final = 64 << 20
"""Of a request, except uploads."""
SHORTEST_TOKEN: Final = 16

_log = logging.getLogger(__name__)


class UnusableOptions(ValueError):
    """The engine would be open to others; the message is for a person."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How an engine is run.

    Args:
        port: The port; 0 for a free one.
        token: The API key clients must send; a new one is made where it is empty.
        sandboxes: Which sandboxes to try, the strongest first.
        limits: What one container may use.
        containers: How many there may be at once.
        finish_s: How long responses that are being made may take to their end when the engine is stopped.
    """

    port: int = 0
    token: str = field(default="", repr=False)
    sandboxes: tuple[SandboxKind, ...] = SANDBOX_KINDS
    limits: ContainerLimits = field(default_factory=default_limits)
    containers: int = MAX_CONTAINERS
    finish_s: float = 0.0


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """A running engine, as its owner needs to know it.

    Args:
        url: The base URL for clients, with `/v1`.
        token: The API key for clients.
        pid: The engine's process.
        sandbox: How code is confined.
        reason: Why by nothing stronger.
        models: The names of the models.
        token_given: Whether the owner chose the token, and so knows it.
    """

    url: str
    token: str = field(repr=False)
    pid: int
    sandbox: str
    reason: str
    models: tuple[str, ...]
    token_given: bool = False

    def ready_line(self) -> str:
        """One line of JSON. A token that was given is not said again: what is printed ends in logs."""
        line = asdict(self)
        if line.pop("token_given"):
            line["token"] = ""
        return wire.dumps(line)


@contextlib.asynccontextmanager
async def running(
    models: Mapping[str, Model],
    *,
    clock: Callable[[], float] = time.time,
    environment: Mapping[str, str] | None = None,
    options: EngineOptions | None = None,
    hurry: asyncio.Event | None = None,
) -> AsyncIterator[EngineAddress]:
    """Run an engine.

    When the block ends, or is cancelled, all its processes have ended and its directory is gone.

    Args:
        models: Name → model.
        clock: Seconds since the epoch; containers expire by it.
        environment: What kernels get a few harmless variables of; the process's own by default.
        options: Where it listens, how code is confined, how much there may be of everything.
        hurry: Set it for an end at once, whatever is being answered.

    Raises:
        UnusableOptions: The token can be guessed.
        OSError: The port cannot be listened on.
    """
    options = options or EngineOptions()
    if options.token and len(options.token) < SHORTEST_TOKEN:
        raise UnusableOptions(f"The token is too short: {SHORTEST_TOKEN} characters at least.")
    token = options.token or secrets.token_urlsafe(32)
    mint = wire.minter(clock)
    with private_directory() as directory:
        sandbox = await asyncio.to_thread(strongest, directory / "s", options.sandboxes, limits=options.limits)
        kernels_get = os.environ if environment is None else environment
        containers = ContainerPool(
            directory / "c", sandbox, options.limits, kernels_get, most=options.containers, mint=mint, clock=clock
        )
        uploads = UploadStore(directory / "files", mint=mint, clock=clock)
        stored = StoredResponses(directory / "responses")
        responder = Responder(models, containers, uploads, stored, mint=mint, clock=clock)
        parts = EngineParts(
            responder=responder,
            containers=containers,
            uploads=uploads,
            stored=stored,
            models=models,
            sandbox=sandbox,
            token=token,
            upload_bytes=options.limits.disk_bytes,
            started_at=int(clock()),
        )
        server = HTTPServer(application(parts), chunk_size=256 * 1024, max_body_size=MAX_BODY_BYTES)
        sockets = bind_sockets(options.port, ADDRESS)
        server.add_sockets(sockets)
        containers.reserve()
        retiring = asyncio.create_task(_retire(containers))
        try:
            url = f"http://{ADDRESS}:{sockets[0].getsockname()[1]}/v1"
            about = (url, token, os.getpid(), sandbox.kind, sandbox.reason, tuple(models))
            yield EngineAddress(*about, token_given=bool(options.token))
        finally:
            retiring.cancel()
            server.stop()
            containers.close()
            await responder.finish(options.finish_s, hurry or asyncio.Event())
            await containers.stop()
            await server.close_all_connections()


async def _retire(containers: ContainerPool) -> None:
    """End what is expired, again and again: one look that fails is not the last."""
    while True:
        await asyncio.sleep(RETIRE_EVERY_S)
        try:
            await containers.retire()
        except Exception as error:  # noqa: BLE001 - whatever it was, containers must go on expiring
            _log.error("Expired containers could not be ended: %r", error)
