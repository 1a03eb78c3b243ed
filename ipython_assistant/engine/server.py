"""Builds the engine's rooms, opens its door, and takes everything down again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from jupyter_client.kernelspec import KernelSpecManager
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from ipython_assistant.engine import wire
from ipython_assistant.engine.app import application
from ipython_assistant.engine.berths import LocalBerths, RemoteBerths
from ipython_assistant.engine.containers import MAX_CONTAINERS, Containers
from ipython_assistant.engine.door import LOOPBACK, Manners, Rooms
from ipython_assistant.engine.limits import Limits, default_limits
from ipython_assistant.engine.reaper import Reaper
from ipython_assistant.engine.responder import Responder
from ipython_assistant.engine.sandbox import KINDS, Kind, Sandbox, strongest
from ipython_assistant.engine.scratch import private_directory
from ipython_assistant.engine.transcripts import Transcripts
from ipython_assistant.engine.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from ipython_assistant.engine.models import Model

RETIRE_EVERY_S: Final = 30.0
MAX_BODY: Final = 64 << 20
"""Bytes of a request that is no upload."""
SHORTEST_TOKEN: Final = 16

_log = logging.getLogger(__name__)


class UnusableOptions(ValueError):
    """The engine cannot be run like this, or would be open to others unasked; the message is for a person."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an engine is run.

    Args:
        host: The address to listen on; another than this machine's loopback needs a `token` of one's own.
        port: The port; 0 for a free one.
        token: The API key clients must send; a new one is made where it is empty.
        names: Host names, besides the address itself, that requests may be sent to: those of a reverse proxy.
        sandboxes: Which sandboxes to try, the strongest first.
        limits: What one container may use.
        containers: How many there may be at once.
        kernel: The name of an installed kernel to run code in, wherever its provisioner starts it; empty for a
            kernel of this Python in a sandbox of this machine.
        finish_s: How long responses that are being made may take to their end when the engine is stopped.
        log_prompts: Whether the log holds what was asked.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str = field(default="", repr=False)
    names: tuple[str, ...] = ()
    sandboxes: tuple[Kind, ...] = KINDS
    limits: Limits = field(default_factory=default_limits)
    containers: int = MAX_CONTAINERS
    kernel: str = ""
    finish_s: float = 0.0
    log_prompts: bool = False

    def check(self) -> None:
        """Raise `UnusableOptions` for a kernel that is not there, and for a door that is open without a token."""
        if self.host not in LOOPBACK and not self.token:
            raise UnusableOptions(
                f"Listening on {self.host} lets other machines in: give a token of your own "
                "(IPYTHON_ASSISTANT_TOKEN or --token-file)."
            )
        if self.token and len(self.token) < SHORTEST_TOKEN:
            raise UnusableOptions(f"The token is too short: {SHORTEST_TOKEN} characters at least.")
        if self.kernel and self.kernel not in KernelSpecManager().find_kernel_specs():
            raise UnusableOptions(
                f"No kernel '{self.kernel}' is installed; `jupyter kernelspec list` shows which there are."
            )


@dataclass(frozen=True, slots=True)
class Engine:
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
        told: dict[str, Any] = {
            "url": self.url,
            "token": "" if self.token_given else self.token,
            "pid": self.pid,
            "sandbox": self.sandbox,
            "reason": self.reason,
            "models": self.models,
        }
        return wire.dumps(told)


@contextlib.asynccontextmanager
async def running(
    models: Mapping[str, Model],
    *,
    clock: Callable[[], float] = time.time,
    environment: Mapping[str, str] | None = None,
    options: Options | None = None,
    hurry: asyncio.Event | None = None,
) -> AsyncIterator[Engine]:
    """Run an engine.

    When the block ends, or is cancelled, all its processes have ended and its directory is gone.

    Args:
        models: Name → model.
        clock: Seconds since the epoch; containers expire by it.
        environment: What kernels get a few harmless variables of; the process's own by default.
        options: Where it listens, how code is confined, how much there may be of everything.
        hurry: Set it for an end at once, whatever is being answered.

    Raises:
        UnusableOptions: See `Options.check`.
        OSError: The address cannot be listened on.
    """
    options = options or Options()
    options.check()
    mint = wire.minter(clock)
    with private_directory() as directory, contextlib.ExitStack() as ending:
        sandbox = await asyncio.to_thread(_sandbox, options, directory / "s")
        surroundings = os.environ if environment is None else environment
        reaper = Reaper(os.environ) if sandbox.leaves_children and not options.kernel else None
        if reaper is not None:
            ending.callback(reaper.close)
        containers = Containers(
            directory / "c",
            berths=RemoteBerths(options.kernel, options.limits, surroundings)
            if options.kernel
            else LocalBerths(sandbox, options.limits, surroundings, directory / "fonts", reaper),
            limits=options.limits,
            most=options.containers,
            mint=mint,
            clock=clock,
        )
        uploads = Uploads(directory / "files", mint=mint, clock=clock)
        transcripts = Transcripts(directory / "responses")
        responder = Responder(
            models=models, containers=containers, uploads=uploads, transcripts=transcripts, mint=mint, clock=clock
        )
        token = options.token or secrets.token_urlsafe(32)
        manners = Manners(options.host, options.names, options.limits.disk_bytes, options.log_prompts)
        rooms = Rooms(responder, containers, uploads, transcripts, models, token, sandbox, manners, int(clock()))
        server = HTTPServer(application(rooms), chunk_size=256 * 1024, max_body_size=MAX_BODY)
        sockets = bind_sockets(options.port, options.host)
        server.add_sockets(sockets)
        containers.warm()
        retiring = asyncio.create_task(_retire(containers))
        try:
            host = f"[{options.host}]" if ":" in options.host else options.host
            url = f"http://{host}:{sockets[0].getsockname()[1]}/v1"
            told = (url, token, os.getpid(), sandbox.kind, sandbox.reason, tuple(models))
            yield Engine(*told, token_given=bool(options.token))
        finally:
            retiring.cancel()
            server.stop()
            containers.close()
            await responder.finish(options.finish_s, hurry or asyncio.Event())
            await containers.stop()
            await server.close_all_connections()


def _sandbox(options: Options, directory: Path) -> Sandbox:
    if options.kernel:
        return Sandbox("none", f"code runs where the kernel '{options.kernel}' is started")
    return strongest(directory, options.sandboxes, limits=options.limits)


async def _retire(containers: Containers) -> None:
    """End what is expired, again and again: one look that fails is not the last."""
    while True:
        await asyncio.sleep(RETIRE_EVERY_S)
        try:
            await containers.retire()
        except Exception as error:  # noqa: BLE001 - whatever it was, containers must go on expiring
            _log.error("Expired containers could not be ended: %r", error)
