"""The analyst with a real kernel: its interpreter, the responder's part of running code, and one question's answer."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from jupyter_client.manager import start_new_kernel

from ipython_assistant.engine.models import Ask, Ran, Refuse, Run, Said, Say
from ipython_assistant.engine.models.analyst import Analyst

if TYPE_CHECKING:
    from jupyter_client.blocking import BlockingKernelClient


@contextmanager
def started() -> Iterator[BlockingKernelClient]:
    """A kernel, ended with the block."""
    manager, client = start_new_kernel(kernel_name="python3", env={**os.environ, "MPLBACKEND": "agg"})
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


class Container:
    """A kernel in a directory. What is drawn is kept by the `hook`, and read by `drawn`, code of the test's own."""

    def __init__(
        self, client: BlockingKernelClient, folder: Path, hook: str = "", drawn: str = "", *, reset: bool = True
    ) -> None:
        self.client = client
        self.folder = folder
        self.before_run = lambda: None
        self._drawn = drawn
        forget = "%reset -f\n" if reset else ""
        failure = self._execute(f"{forget}import os; os.chdir({str(folder)!r})\n{hook}")[1]
        assert failure is None, failure

    async def probe(self, code: str) -> str:
        printed, failure = self._execute(f"exec({code!r}, {{**globals()}})")
        if failure:
            raise RuntimeError(failure)
        return printed

    def run(self, code: str) -> Ran:
        before = {path.name: path.stat().st_mtime_ns for path in self.folder.iterdir()}
        self.before_run()
        logs, failure = self._execute(code)
        made = [path.name for path in self.folder.iterdir() if before.get(path.name) != path.stat().st_mtime_ns]
        return Ran(logs, failure, 0, tuple(sorted(made)))

    def drawn(self) -> list[dict]:
        return json.loads(asyncio.run(self.probe(self._drawn)))

    def _execute(self, code: str) -> tuple[str, str | None]:
        printed = []

        def publish(message: dict) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = self.client.execute_interactive(code, output_hook=publish, timeout=60, allow_stdin=False)["content"]
        failure = f"{reply['ename']}: {reply['evalue']}" if reply["status"] == "error" else None
        return "".join(printed), failure


@dataclass
class Answered:
    """One question's whole answer."""

    said: str = ""
    refused: str = ""
    code: str = ""
    logs: str = ""
    error: str = ""
    files: tuple[str, ...] = ()
    steps: list[str] = field(default_factory=list)


async def answer(prompt: str, container: Container, history: tuple[Said, ...] = (), instructions: str = "") -> Answered:
    """Ask about the files that are in the container."""
    found = Answered()
    files = tuple(sorted(path.name for path in container.folder.iterdir()))
    steps = Analyst().answer(Ask(prompt, files, history, instructions=instructions), container)
    back: Ran | None = None
    while True:
        try:
            step = await steps.asend(back)
        except StopAsyncIteration:
            return found
        back = None
        found.steps.append(type(step).__name__)
        match step:
            case Say(text):
                found.said += text
            case Refuse(text):
                found.refused += text
            case Run(code):
                found.code += code
                back = container.run(code)
                found.logs += back.logs
                found.files += back.files
                found.error = back.error or ""


def put(container: Container, name: str, content: str | bytes | pd.DataFrame) -> Path:
    """A file for the container; a frame as CSV."""
    path = container.folder / name
    if isinstance(content, pd.DataFrame):
        content.to_csv(path, index=False)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
