"""Models in a GGUF file: llama.cpp serves each in a process of its own on loopback, and is asked like any chat server.

Run as a module this is that process. It prints its address, and ends when its standard input closes: so it cannot
outlive the engine, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.core.providers import GGUF, models_folder
from ipython_assistant.engine.models import ModelFailed
from ipython_assistant.engine.models.chat_server import ChatServer

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN: Final = "IPYTHON_ASSISTANT_RUNTIME_TOKEN"  # noqa: S105 - the variable's name
READY_WITHIN_S: Final = 300.0
CONTEXT: Final = 16_384  # in tokens: for a long question with several tables, and its answer
OVERHEAD, CONTEXT_BYTES = 1.15, 1_000_000_000
"""Memory a model takes, as a multiple of its file; and what the context takes beside it, roughly."""


class Runtimes:
    """The processes that serve models from files, one for each file that was asked; they inherit `environment`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._running: dict[Path, tuple[asyncio.subprocess.Process, ChatServer]] = {}
        self._starting = asyncio.Lock()

    async def server(self, name: str) -> ChatServer:
        """The server of `gguf/NAME`, or of a file by its path; started if it does not run. Raises `ModelFailed`."""
        import psutil

        fetched = models_folder(self._environment) / f"{name.removeprefix(GGUF)}.gguf"
        path = (fetched if name.startswith(GGUF) else Path(name).expanduser()).resolve()
        async with self._starting:
            if path in self._running and self._running[path][0].returncode is None:
                return self._running[path][1]
            if not path.is_file():
                cure = "Fetch one with: ipython-assistant model get; or give a file's path."
                raise ModelFailed(f"There is no model file {path}.", cure)
            if find_spec("xllamacpp") is None:
                cure = "Install it: python -m pip install xllamacpp huggingface_hub"
                raise ModelFailed("The program that runs models is not installed.", cure)
            needed, free = path.stat().st_size * OVERHEAD + CONTEXT_BYTES, psutil.virtual_memory().available
            if needed > free:
                happened = f"{path.name} needs about {needed / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are free."
                cure = "Close other programs, or choose a smaller model: ipython-assistant model list."
                raise ModelFailed(happened, cure)
            self._running[path] = await self._started(path)
            return self._running[path][1]

    async def close(self) -> None:
        """End the processes."""
        for process, _ in self._running.values():
            await _end(process)
        self._running.clear()

    async def _started(self, path: Path) -> tuple[asyncio.subprocess.Process, ChatServer]:
        token = secrets.token_urlsafe(16)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", __spec__.name, str(path),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={**self._environment, TOKEN: token},
        )  # fmt: skip
        try:
            line = await asyncio.wait_for(process.stdout.readline(), READY_WITHIN_S)  # type: ignore[union-attr] # a pipe
            return process, ChatServer(json.loads(line)["address"] + "/v1", path.stem, key=token, kind="llama.cpp")
        except BaseException as error:  # also where the cell is stopped meanwhile
            await _end(process)
            if not isinstance(error, TimeoutError | ValueError):
                raise
            cure = "The file may be damaged or too new for this xllamacpp: fetch it again, or update xllamacpp."
            raise ModelFailed(f"{path.name} could not be loaded.", cure) from None


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def main(path: str) -> None:
    """Serve one file until standard input closes."""
    import xllamacpp

    params: Any = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {Path(path).stem}
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [os.environ.pop(TOKEN)]
    params.n_ctx, params.n_parallel = CONTEXT, 1
    params.ui, params.verbosity = False, 0
    server = xllamacpp.Server(params)
    sys.stdout.write(json.dumps({"address": server.listening_address}) + "\n")
    sys.stdout.flush()
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            continue
    os._exit(0)  # its threads would hold the process up


if __name__ == "__main__":
    main(sys.argv[1])
