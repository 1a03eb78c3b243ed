"""A real HTTP server on loopback that plays the Responses API from a script and remembers what it was asked."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests_support.events import CONTAINER, Item, Json, sse, stream
from tests_support.loopback import Door, Loopback


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Json:
        return json.loads(self.body)


@dataclass
class Answer:
    """An HTTP answer; `cut_after` bytes the connection is dropped."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    cut_after: int | None = None


Script = Callable[[Request], Answer]


class _Door(Door):
    def respond(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.read_body())
        with self.owner._came:
            self.owner.requests.append(request)
            self.owner._came.notify_all()
        answer = self.owner._answer(request)
        self.begin(answer.status, answer.headers, len(answer.body))
        self.wfile.write(answer.body[: answer.cut_after])
        if answer.cut_after is not None:
            self.close_connection = True


class ScriptedService(Loopback):
    """Queue what it is to say with `will_say`; put files into its container with `put`."""

    door = _Door

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.files: dict[str, dict[str, tuple[Json, bytes]]] = {}
        self._turns: list[Answer] = []
        self._came = threading.Condition()
        self._overrides: list[tuple[re.Pattern[str], Script]] = []

    def will_say(self, items: list[Item], **more: Any) -> None:
        """The next response, streamed."""
        self._turns.append(streamed(stream(items, **more)))

    def will_answer(self, answer: Answer) -> None:
        """The next answer to a question, as it is."""
        self._turns.append(answer)

    def on(self, pattern: str, script: Script) -> None:
        """Answer requests whose `METHOD /path` matches by a script of the test's own."""
        self._overrides.insert(0, (re.compile(pattern), script))

    def put(self, name: str, content: bytes, file_id: str, container_id: str = CONTAINER, **row: Any) -> None:
        """A file that code made in a container."""
        made = {
            "id": file_id, "object": "container.file", "bytes": len(content), "container_id": container_id,
            "created_at": 1767225601, "path": f"/mnt/data/{name}", "source": "assistant", **row,
        }  # fmt: skip
        self.files.setdefault(container_id, {})[file_id] = (made, content)

    def asked(self, pattern: str) -> list[Request]:
        """The requests whose `METHOD /path` matches, in order."""
        return [request for request in self.requests if re.search(pattern, f"{request.method} {request.path}")]

    def waits_for(self, pattern: str, count: int = 1) -> list[Request]:
        """The first requests whose `METHOD /path` matches, waiting for so many of them."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.asked(pattern)) >= count, 10), "it was not asked"
        return self.asked(pattern)

    def questions(self) -> list[Json]:
        """The bodies of `POST /responses`, in order."""
        return [request.json() for request in self.asked(r"^POST /v1/responses$")]

    def _answer(self, request: Request) -> Answer:
        line = f"{request.method} {request.path}"
        for pattern, script in self._overrides:
            if pattern.search(line):
                return script(request)
        path = request.path.partition("?")[0]
        if line == "POST /v1/responses":
            return self._turns.pop(0) if self._turns else refusal("The test has nothing more to say.")
        if line == "POST /v1/containers":
            container_id = f"{CONTAINER}_{len(self.asked('^POST /v1/containers$'))}"
            return _json({"id": container_id, "object": "container", "status": "running", **request.json()})
        if match := re.fullmatch(r"DELETE /v1/containers/([^/]+)", line):
            self.files.pop(match[1], None)
            return _json({"id": match[1], "object": "container.deleted", "deleted": True})
        if match := re.fullmatch(r"/v1/containers/([^/]+)/files", path):
            return self._uploaded(match[1], request) if request.method == "POST" else self._listed(match[1])
        if match := re.fullmatch(r"/v1/containers/([^/]+)/files/([^/]+)/content", path):
            found = self.files.get(match[1], {}).get(match[2])
            if found is not None:
                return Answer(found[1], headers={"Content-Type": "application/octet-stream"})
            return refusal(f"File {match[2]} not found on container {match[1]}.", 404)
        return refusal(f"Unknown request URL: {line}", 404)

    def _listed(self, container_id: str) -> Answer:
        return listing(*(row for row, _ in self.files.get(container_id, {}).values()))

    def _uploaded(self, container_id: str, request: Request) -> Answer:
        name = re.search(rb'filename="([^"]*)"', request.body)
        assert name is not None, "an upload without a file name"
        file_id = f"cfile_up{len(self.asked('^POST /v1/containers/.*/files$'))}"
        self.put(name[1].decode(), b"", file_id, container_id, source="user")
        return _json(self.files[container_id][file_id][0])


def refusal(message: str, status: int = 400, code: str | None = None, param: str | None = None) -> Answer:
    """The service's error shape."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Answer(json.dumps({"error": error}).encode(), status)


def streamed(events: list[Json], *, ends: bool = True) -> Answer:
    """A streamed response; one that does not end is announced as longer than it is."""
    body = sse(events)
    headers = {"Content-Type": "text/event-stream"}
    return Answer(body, headers=headers) if ends else Answer(body + b" " * 10_000_000, 200, headers, len(body))


def listing(*rows: Json) -> Answer:
    """A whole list."""
    return _json({"object": "list", "data": rows, "first_id": None, "last_id": None, "has_more": False})


def _json(body: Any) -> Answer:
    return Answer(json.dumps(body).encode())
