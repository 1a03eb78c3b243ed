"""Builds the engine's parts, opens its port, and takes everything down again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from ipython_assistant.engine import handlers as routes
from ipython_assistant.engine import shapes
from ipython_assistant.engine.container import MAX_CONTAINERS, ContainerPool
from ipython_assistant.engine.container_folder import UploadStore, removal, remove_tree
from ipython_assistant.engine.limit_monitor import ContainerLimits, default_limits
from ipython_assistant.engine.responder import Responder, StoredResponses
from ipython_assistant.engine.sandbox import SANDBOX_KINDS, SandboxKind, strongest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from ipython_assistant.engine.models import Model

ADDRESS: Final = "127.0.0.1"
RETIRE_EVERY_S: Final = 30.0
MAX_BODY_BYTES: Final = 64 << 20
"""Of a request, except uploads."""
SHORTEST_TOKEN: Final = 16
LONGEST_PARENT: Final = 48
"""Bytes of the temporary directory's path; sockets below it have paths that must stay short."""

_ONE: Final = "([^/]+)"
_JSON: Final = routes.JsonHandler
_ROUTES: Final[tuple[tuple[str, type[routes.JsonHandler], shapes.Json], ...]] = (
    ("/health", _JSON, {"GET": routes.health}),
    ("/v1/models", _JSON, {"GET": routes.list_models}),
    (f"/v1/models/{_ONE}", _JSON, {"GET": routes.get_model}),
    ("/v1/responses", routes.ResponsesHandler, {"POST": routes.create_response}),
    (f"/v1/responses/{_ONE}", _JSON, {"GET": routes.get_response}),
    ("/v1/containers", _JSON, {"GET": routes.list_containers, "POST": routes.create_container}),
    (f"/v1/containers/{_ONE}", _JSON, {"GET": routes.get_container, "DELETE": routes.delete_container}),
    (f"/v1/containers/{_ONE}/files", routes.UploadHandler,
     {"GET": routes.list_container_files, "POST": routes.add_container_file}),
    (f"/v1/containers/{_ONE}/files/{_ONE}/content", routes.DownloadHandler, {"GET": routes.container_content}),
    ("/v1/files", routes.UploadHandler, {"POST": routes.add_file}),
)  # fmt: skip

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How an engine is run.

    Port 0 is a free one, an empty token a new one; responses that are being made may take `finish_s` seconds to their
    end when the engine is stopped.
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

    The key is empty where the owner chose it, and so knows it: what is printed of this ends in logs.
    """

    url: str
    token: str = field(repr=False)
    pid: int
    sandbox: str
    reason: str
    models: tuple[str, ...]


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

    Containers expire by the `clock`, in seconds since the epoch; kernels get a few harmless variables of `environment`;
    `hurry` is set for an end at once, whatever is being answered. Raises ValueError for a token that can be guessed,
    OSError where the port cannot be listened on.
    """
    options = options or EngineOptions()
    if options.token and len(options.token) < SHORTEST_TOKEN:
        raise ValueError(f"The token is too short: {SHORTEST_TOKEN} characters at least.")
    mint = shapes.IdMint(clock)
    with _private_directory() as directory:
        sandbox = await asyncio.to_thread(strongest, directory / "s", options.sandboxes, limits=options.limits)
        launch_with = (sandbox, options.limits, os.environ if environment is None else environment)
        engine = Responder(
            models=models,
            containers=ContainerPool(directory / "c", *launch_with, mint=mint, most=options.containers),
            uploads=UploadStore(directory / "files", mint),
            stored=StoredResponses(directory / "responses"),
            mint=mint,
            sandbox=sandbox,
            token=options.token or secrets.token_urlsafe(32),
            upload_bytes=options.limits.disk_bytes,
            started_at=mint.now(),
        )
        containers = engine.containers
        application = web.Application(
            [(path, handler, {"engine": engine, "methods": methods}) for path, handler, methods in _ROUTES],
            default_handler_class=_JSON,
            default_handler_args={"engine": engine, "methods": {}},
        )
        server = HTTPServer(application, chunk_size=256 * 1024, max_body_size=MAX_BODY_BYTES)
        sockets = bind_sockets(options.port, ADDRESS)
        server.add_sockets(sockets)
        containers.reserve()
        retiring = asyncio.create_task(_retire(containers))
        try:
            url = f"http://{ADDRESS}:{sockets[0].getsockname()[1]}/v1"
            shown = "" if options.token else engine.token
            yield EngineAddress(url, shown, os.getpid(), sandbox.kind, sandbox.reason, tuple(models))
        finally:
            retiring.cancel()
            server.stop()
            containers.close()
            await engine.finish(options.finish_s, hurry or asyncio.Event())
            await containers.stop()
            await server.close_all_connections()


@contextlib.contextmanager
def _private_directory() -> Iterator[Path]:
    """Make a directory that only this user can read, and delete it afterwards, since it holds what was uploaded.

    A shell waits for the end of this process and deletes the directory too: nothing is left of an engine that was
    killed, so that no later start has to guess whose such a directory was.
    """
    parent = Path(tempfile.gettempdir())
    if os.name == "posix" and len(os.fsencode(parent.resolve())) > LONGEST_PARENT:
        parent = Path("/tmp")  # noqa: S108 - a new private directory in it
    # Resolved: what code prints of it must be recognised (on macOS the temporary directory is a symbolic link).
    directory = Path(tempfile.mkdtemp(prefix="ipa-engine-", dir=parent)).resolve()
    with contextlib.ExitStack() as stack:
        if os.name == "posix":
            remover = subprocess.Popen(
                removal(directory),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            stack.callback(remover.communicate)
        stack.callback(remove_tree, directory)
        yield directory


async def _retire(containers: ContainerPool) -> None:
    """End what is expired, again and again: one look that fails is not the last."""
    while True:
        await asyncio.sleep(RETIRE_EVERY_S)
        try:
            await containers.retire()
        except Exception as error:  # noqa: BLE001 - whatever it was, containers must go on expiring
            _log.error("Expired containers could not be ended: %r", error)
