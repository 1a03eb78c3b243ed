"""`python -m ipython_assistant.engine.server`: serve until the owner is gone, or a signal says stop.

As a child of a notebook's kernel it prints one line of JSON when it is ready, and ends when its standard input closes
or, since a forked process of the owner may hold that open, its parent changes. `--standing` is for one that is shared.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipython_assistant.core.providers import BASIC
from ipython_assistant.engine.api import IdMint
from ipython_assistant.engine.container_folder import UploadStore
from ipython_assistant.engine.models import SILENCE_S, ModelFailed
from ipython_assistant.engine.sandbox import SANDBOX_KINDS, default_limits, removal, remove_tree, strongest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from ipython_assistant.engine.models import Model
    from ipython_assistant.engine.models.chat_models import OfferedModels
    from ipython_assistant.engine.sandbox import ContainerLimits, SandboxKind

ADDRESS: Final = "127.0.0.1"
PARENT_POLL_S: Final = 0.5
MAX_BODY_BYTES: Final = 64 << 20  # of a request, except uploads
SHORTEST_TOKEN: Final = 16
LONGEST_PARENT: Final = 48
"""Bytes of the temporary directory's path: those of sockets below it may have 104 (macOS) or 108 (Linux)."""
TOKEN: Final = "IPYTHON_ASSISTANT_TOKEN"  # noqa: S105 - the variable's name

_STDIN: Final = 0
_AWAIT_END: Final = """
cat > /dev/null
for group in "$1"/c/*/group; do kill -KILL "-$(cat "$group")"; done
"""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How an engine is run; port 0 is a free one, an empty token a new one."""

    port: int = 0
    token: str = field(default="", repr=False)
    sandboxes: tuple[SandboxKind, ...] = SANDBOX_KINDS
    limits: ContainerLimits = field(default_factory=default_limits)
    containers: int = 64


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """A running engine: its base URL with `/v1`, API key and process; how code is confined, and why not more strongly.

    The key is empty if the owner chose it: this object is printed, so a key in it could end up in a log.
    """

    url: str
    token: str = field(repr=False)
    pid: int
    sandbox: str
    reason: str
    models: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the engine; return its exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)  # nothing of what is asked is in the log
    try:
        token = os.environ.get(TOKEN, "") if given.token_file is None else given.token_file.read_text().strip()
        sandboxes = SANDBOX_KINDS if given.sandbox == "auto" else (given.sandbox,)
        asyncio.run(_serve(given, EngineOptions(given.port, token, sandboxes)))
    except (ValueError, ModelFailed, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ipython_assistant.engine.server",
        description="A Responses API with a code interpreter, on this machine's loopback address.",
    )
    add = parser.add_argument
    add("--standing", action="store_true", help="go on when standard input ends; stop at a signal")
    add("--port", type=int, default=0, help="port to listen on (default: a free one)")
    add("--token-file", type=Path, metavar="PATH", help=f"file with the token (or set {TOKEN})")
    add = parser.add_argument_group("who answers").add_argument
    add(
        "--model", action="append", default=[], dest="models", metavar="NAME",
        help="offer this model: ollama/NAME, anthropic/NAME, http://localhost:8080/v1/NAME, a GGUF file, ...; may be "
        f"given several times. {BASIC} is always offered",
    )  # fmt: skip
    silence = "give up a model that sends nothing for so many seconds (default: %(default)g)"
    add("--silence", type=float, default=SILENCE_S, metavar="S", help=silence)
    add("--any-model", action="store_true", help="answer for any model that a request names, whether offered or not")
    kinds = ["auto", *SANDBOX_KINDS]
    add("--sandbox", choices=kinds, default="auto", help="how code is confined (auto: the strongest that works)")
    return parser


async def _serve(given: argparse.Namespace, options: EngineOptions) -> None:
    over, loop, standing = asyncio.Event(), asyncio.get_running_loop(), given.standing

    @cache
    def offered() -> OfferedModels:
        from ipython_assistant.engine.models.chat_models import OfferedModels

        return OfferedModels(given.models, os.environ, every=given.any_model, silence_s=given.silence)

    def end(*_: object) -> None:
        loop.call_soon_threadsafe(over.set)

    signal.signal(signal.SIGTERM, end)
    # Ctrl-C in a terminal reaches the whole process group, and means the owner, unless a person started us by hand.
    signal.signal(signal.SIGINT, end if standing or os.isatty(_STDIN) else lambda *_: None)
    if not standing:
        for wait in (_await_end_of_input, _await_another_parent):
            threading.Thread(target=wait, args=(end,), daemon=True).start()
    async with running_engine(offered, options=options) as engine:
        sys.stdout.write(json.dumps(asdict(engine)) + "\n")
        sys.stdout.flush()
        if standing:
            sys.stderr.write(_welcome(engine))
        await over.wait()
    await offered().close()


@contextlib.asynccontextmanager
async def running_engine(
    offered: Callable[[], Mapping[str, Model]],
    *,
    clock: Callable[[], float] = time.time,
    environment: Mapping[str, str] | None = None,
    options: EngineOptions | None = None,
) -> AsyncIterator[EngineAddress]:
    """Run an engine. When the block ends, or is cancelled, all its processes have ended and its directory is gone.

    `offered` makes its models, in a thread. Containers expire by the `clock`, in seconds since the epoch; kernels get a
    few harmless variables of `environment`.
    Raises ValueError for a token that can be guessed or a wrong port, OSError where the port cannot be listened on.
    """
    options = options or EngineOptions()
    if options.port not in range(1 << 16):  # what is larger would wrap around
        raise ValueError(f"The port must be a number from 0 to 65535, not {options.port}.")
    if options.token and len(options.token) < SHORTEST_TOKEN:
        raise ValueError(f"The token is too short: {SHORTEST_TOKEN} characters at least.")
    mint = IdMint(clock)
    with _private_directory() as directory:
        # The first answer waits for all of this, so that modules are imported while another process works: first the
        # one that tries the sandbox, then the first kernel, which starts at the first chance it gets.
        looks = asyncio.to_thread(strongest, directory / "s", options.sandboxes, limits=options.limits)
        trial = asyncio.create_task(looks)
        await asyncio.sleep(0)
        from ipython_assistant.engine.container import ContainerPool

        sandbox = await trial
        inherited = os.environ if environment is None else environment
        containers = ContainerPool(directory / "c", sandbox, options.limits, inherited, mint, options.containers)
        containers.reserve()
        retiring = asyncio.create_task(containers.keep_retiring())
        try:
            await asyncio.sleep(0)
            from tornado import web
            from tornado.httpserver import HTTPServer
            from tornado.netutil import bind_sockets

            from ipython_assistant.engine.handlers import ROUTES, JsonHandler
            from ipython_assistant.engine.responder import Responder, StoredResponses

            models = await asyncio.to_thread(offered)
            engine = Responder(
                models=models,
                containers=containers,
                uploads=UploadStore(directory / "files"),
                stored=StoredResponses(directory / "responses"),
                mint=mint,
                token=options.token or secrets.token_urlsafe(32),
                upload_bytes=options.limits.disk_bytes,
                started_at=mint.now(),
            )
            application = web.Application(
                [(path, handler, {"engine": engine, "methods": methods}) for path, handler, methods in ROUTES],
                default_handler_class=JsonHandler,
                default_handler_args={"engine": engine, "methods": {}},
            )
            server = HTTPServer(application, chunk_size=256 * 1024, max_body_size=MAX_BODY_BYTES)
            server.add_sockets(sockets := bind_sockets(options.port, ADDRESS))
            try:
                url = f"http://{ADDRESS}:{sockets[0].getsockname()[1]}/v1"
                shown = "" if options.token else engine.token
                yield EngineAddress(url, shown, os.getpid(), sandbox.kind, sandbox.reason, tuple(models))
            finally:
                server.stop()
        finally:
            retiring.cancel()
            await containers.stop()
        await server.close_all_connections()


@contextlib.contextmanager
def _private_directory() -> Iterator[Path]:
    """Make a directory that only this user can read, and delete it afterwards, since it holds what was uploaded.

    A shell waits for the end of this process, ends what code has started and deletes it too, should it be killed.
    """
    parent = Path(tempfile.gettempdir())
    if os.name == "posix" and len(os.fsencode(parent.resolve())) > LONGEST_PARENT:
        parent = Path("/tmp")  # noqa: S108 - a new private directory in it
    # Resolved: what code prints of it must be recognised (on macOS the temporary directory is a symbolic link).
    directory = Path(tempfile.mkdtemp(prefix="ipa-engine-", dir=parent)).resolve()
    with contextlib.ExitStack() as stack:
        if os.name == "posix":
            command, null = removal(directory, first=_AWAIT_END), subprocess.DEVNULL
            remover = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True)
            stack.callback(remover.communicate)
        stack.callback(remove_tree, directory)
        yield directory


def _welcome(engine: EngineAddress) -> str:
    """How to use an engine, for the person who started it."""
    why = f" {engine.reason[:1].upper()}{engine.reason[1:]}." if engine.reason else ""
    return (
        f"Sandbox of the code: {engine.sandbox.replace('none', 'none; it can do whatever you can')}.{why}\n"
        "For a notebook that is to use this engine:\n"
        f"  export OPENAI_BASE_URL={engine.url}\n"
        f"  export OPENAI_API_KEY={engine.token or '<your token>'}\n"
        "Stop it with Ctrl-C.\n"
    )


def _await_end_of_input(end: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):  # there may be no standard input at all
        while os.read(_STDIN, 4096):
            continue
    end()


def _await_another_parent(end: Callable[[], None]) -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_S)
    end()


if __name__ == "__main__":
    raise SystemExit(main())
