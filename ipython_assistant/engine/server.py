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

from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from ipython_assistant.engine import file_handlers as files
from ipython_assistant.engine import handlers as routes
from ipython_assistant.engine import shapes
from ipython_assistant.engine.container import MAX_CONTAINERS, ContainerPool
from ipython_assistant.engine.file_handlers import UploadStore
from ipython_assistant.engine.limit_monitor import ContainerLimits, default_limits
from ipython_assistant.engine.private_directory import private_directory
from ipython_assistant.engine.responder import Responder, StoredResponses
from ipython_assistant.engine.sandbox import SANDBOX_KINDS, SandboxKind, strongest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ipython_assistant.engine.models import Model

ADDRESS: Final = "127.0.0.1"
RETIRE_EVERY_S: Final = 30.0
MAX_BODY_BYTES: Final = 64 << 20
"""Of a request, except uploads."""
SHORTEST_TOKEN: Final = 16

_ONE: Final = "([^/]+)"
_JSON: Final = routes.JsonHandler
_ROUTES: Final[tuple[tuple[str, type[routes.BaseHandler], shapes.Json], ...]] = (
    ("/health", _JSON, {"GET": routes.health}),
    ("/v1/models", _JSON, {"GET": routes.list_models}),
    (f"/v1/models/{_ONE}", _JSON, {"GET": routes.get_model}),
    ("/v1/responses", routes.ResponsesHandler, {}),
    (f"/v1/responses/{_ONE}", _JSON, {"GET": routes.get_response, "DELETE": routes.delete_response}),
    (f"/v1/responses/{_ONE}/input_items", _JSON, {"GET": routes.list_input_items}),
    ("/v1/containers", _JSON, {"GET": routes.list_containers, "POST": routes.create_container}),
    (f"/v1/containers/{_ONE}", _JSON, {"GET": routes.get_container, "DELETE": routes.delete_container}),
    (f"/v1/containers/{_ONE}/files", files.UploadHandler,
     {"GET": files.list_container_files, "POST": files.add_container_file}),
    (f"/v1/containers/{_ONE}/files/{_ONE}", _JSON,
     {"GET": files.get_container_file, "DELETE": files.delete_container_file}),
    (f"/v1/containers/{_ONE}/files/{_ONE}/content", files.DownloadHandler, {"GET": files.container_content}),
    ("/v1/files", files.UploadHandler, {"GET": files.list_files, "POST": files.add_file}),
    (f"/v1/files/{_ONE}", _JSON, {"GET": files.get_file, "DELETE": files.delete_file}),
    (f"/v1/files/{_ONE}/content", files.DownloadHandler, {"GET": files.file_content})
)  # fmt: skip

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
    """A running engine: its base URL with `/v1`, the API key, its process, how code is confined and why no better.

    `token_given` says that the owner chose the token, and so knows it.
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
        return shapes.dumps(line)


@contextlib.asynccontextmanager
async def running_engine(
    models: Mapping[str, Model],
    *,
    clock: Callable[[], float] = time.time,
    environment: Mapping[str, str] | None = None,
    options: EngineOptions | None = None,
    hurry: asyncio.Event | None = None,
) -> AsyncIterator[EngineAddress]:
    """Run an engine. When the block ends, or is cancelled, all its processes have ended and its directory is gone.

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
    token, mint = options.token or secrets.token_urlsafe(32), shapes.minter(clock)
    with private_directory() as directory:
        sandbox = await asyncio.to_thread(strongest, directory / "s", options.sandboxes, limits=options.limits)
        kernels_get = os.environ if environment is None else environment
        containers = ContainerPool(
            directory / "c", sandbox, options.limits, kernels_get, most=options.containers, mint=mint, clock=clock
        )
        uploads = UploadStore(directory / "files", mint=mint, clock=clock)
        stored = StoredResponses(directory / "responses")
        responder = Responder(models, containers, uploads, stored, mint=mint, clock=clock)
        parts = routes.EngineParts(
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
        application = web.Application(
            [(pattern, handler, {"parts": parts, "methods": methods}) for pattern, handler, methods in _ROUTES],
            default_handler_class=_JSON,
            default_handler_args={"parts": parts, "methods": {}},
            log_function=_log_request,
        )
        server = HTTPServer(application, chunk_size=256 * 1024, max_body_size=MAX_BODY_BYTES)
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


def _log_request(handler: web.RequestHandler) -> None:
    """One line of the log for each request: what was done, not what was said."""
    request, milliseconds = handler.request, 1000 * handler.request.request_time()
    _log.info("%s %s %d %.0f ms", request.method, request.path, handler.get_status(), milliseconds)
