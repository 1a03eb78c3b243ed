"""Engines to test, and how to ask them."""

import asyncio
import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import openai
import psutil
import pytest

from ipython_assistant.engine.models import Ask, Interpreter, Step
from ipython_assistant.engine.models.basic import Basic
from ipython_assistant.engine.server import running_engine

TOOL: Final = {"type": "code_interpreter", "container": {"type": "auto"}}
OUTPUTS: Final = ["code_interpreter_call.outputs"]
DEADLINE_S: Final = 60.0


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


Steps = Callable[[Ask, Interpreter], AsyncGenerator[Step, None]]


@dataclass
class ScriptedModel:
    """A model that does as the test says: `answer` is the generator that a model's would be."""

    steps: Steps
    name: str = "told"
    asked: list[Ask] = field(default_factory=list)

    def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
        self.asked.append(ask)
        return self.steps(ask, interpreter)


@dataclass(frozen=True)
class Running:
    """An engine and how to talk to it."""

    url: str
    token: str
    pid: int
    models: tuple[str, ...]
    sandbox: str

    def begin_request(self, line: str, *headers: str) -> socket.socket:
        """A connection over which the head of a request was sent: `GET /v1/models`, `Name: value`, ..."""
        host, port = self.url.removeprefix("http://").removesuffix("/v1").split(":")
        connection = socket.create_connection((host, int(port)))
        connection.sendall("\r\n".join([f"{line} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode())
        return connection

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url, api_key=self.token, max_retries=0, timeout=60)

    def request(self, method: str, path: str, body: object = None, headers: Any = None) -> tuple[int, Any, bytes]:
        """A bare request; `path` begins with `/v1`."""
        sent = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        all_headers = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        request = urllib.request.Request(self.url.removesuffix("/v1") + path, sent, all_headers, method=method)
        try:
            answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60)
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            return answer.status, answer.headers, answer.read()

    def ask(self, code: str, *, container: str | None = None, **parameters: Any) -> Any:
        """Run code as a fenced block, in a new container or a given one; return the whole response or its stream."""
        asked = {"model": self.models[0], "input": fence(code), "tools": [tool(container)], "include": OUTPUTS}
        return self.client().responses.create(**{**asked, **parameters})

    def begin(self, code: str, **parameters: Any) -> Any:
        """The stream of an answer, read up to where its code runs."""
        stream = self.ask(code, stream=True, **parameters)
        next(event for event in stream if event.type == "response.code_interpreter_call.interpreting")
        return stream

    def events(self, code: str, **parameters: Any) -> list[dict[str, Any]]:
        """The events of a streamed answer, as they are on the wire."""
        asked = {"model": self.models[0], "input": fence(code), "tools": [TOOL], "include": OUTPUTS, "stream": True}
        _, _, body = self.request("POST", "/v1/responses", {**asked, **parameters})
        return events_of(body.decode())


@dataclass
class Stage:
    """An engine whose model does what the test at hand says, and a container for tests that do not mind each other."""

    engine: Running
    model: ScriptedModel
    container: str

    def ask(self, steps: Steps, *, fresh: bool = False, **parameters: Any) -> Any:
        """The response to a question that the model answers with these steps."""
        self.model.steps = steps
        return self.engine.ask("", container=None if fresh else self.container, **parameters)

    def events(self, steps: Steps) -> list[dict[str, Any]]:
        """The same as events, as they are on the wire."""
        self.model.steps = steps
        return self.engine.events("", tools=[tool(self.container)])


def events_of(body: str) -> list[dict[str, Any]]:
    """The events of a stream."""
    return [json.loads(line.removeprefix("data: ")) for line in body.split("\n") if line.startswith("data: ")]


def fence(code: str) -> str:
    """A prompt that is nothing but this code."""
    return f"```python\n{code}\n```"


def tool(container: str | None = None) -> dict[str, Any]:
    """The code interpreter in a container, or in one of its own choice."""
    return TOOL if container is None else {"type": "code_interpreter", "container": container}


def calls(response: Any) -> list[Any]:
    """The code calls of a response."""
    return [item for item in response.output if item.type == "code_interpreter_call"]


def logs(response: Any) -> str:
    """All that the code calls of a response printed."""
    return "".join(part.logs for call in calls(response) for part in call.outputs if part.type == "logs")


def annotations(response: Any) -> list[Any]:
    """All citations of a response, in order."""
    messages = [item for item in response.output if item.type == "message"]
    return [mark for message in messages for part in message.content for mark in getattr(part, "annotations", ())]


def until(condition: Callable[[], bool], what: str, *, within_s: float = DEADLINE_S) -> float:
    """Wait for something that gives no signal; return the seconds it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within_s:
            pytest.fail(f"not within {within_s} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - began


def gone(pid: int) -> bool:
    """True if the process has ended (one that only waits to be reaped counts as ended)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kernels_of(pid: int) -> list[int]:
    """The kernels an engine process has."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(pid).children()
        return [child.pid for child in children if any("ipykernel_launcher" in part for part in child.cmdline())]
    return []


def scratch_of(pid: int) -> Path:
    """The private directory of an engine process: its remover was told."""
    children = [child.cmdline() for child in psutil.Process(pid).children()]
    return next(Path(command[-1]) for command in children if command[:1] == ["/bin/sh"])


def kernel_in(engine: Running, container: str) -> int:
    """The process that was started for a container: inside a sandbox it may have another number, or none."""
    marker = f"{uuid.uuid4().hex}.txt"
    engine.client().containers.files.create(container, file=(marker, b""))
    return next(pid for pid in kernels_of(engine.pid) if Path(f"/proc/{pid}/cwd", marker).exists())


def spawn(*arguments: str, environment: Any = None, **more: Any) -> tuple[subprocess.Popen[str], Running]:
    """A real engine process; whoever asks for it ends it."""
    command = [sys.executable, "-m", "ipython_assistant.engine.server", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, **more}
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, **pipes)
    ready = json.loads(process.stdout.readline())
    return process, Running(ready["url"], ready["token"], ready["pid"], tuple(ready["models"]), ready["sandbox"])


@contextlib.contextmanager
def in_thread(models: Mapping[str, Any] | None = None, **arguments: Any) -> Iterator[Running]:
    """An engine in a thread of this process, with these models or `basic`; the rest is for `running_engine`."""
    started: queue.SimpleQueue[Running] = queue.SimpleQueue()
    loop, over, offered = asyncio.new_event_loop(), asyncio.Event(), models or {"basic": Basic()}

    async def serve_until_over() -> None:
        async with running_engine(lambda: offered, **arguments) as made:
            started.put(Running(made.url, made.token, made.pid, made.models, made.sandbox))
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve_until_over()))
    thread.start()
    try:
        yield started.get(timeout=DEADLINE_S)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(DEADLINE_S)
        loop.close()
