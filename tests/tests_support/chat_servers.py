"""Scripted chat servers on loopback, each with the paths and the wording of one that people run."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]

KINDS = ("ollama", "lmstudio", "llama.cpp", "vllm")


@dataclass
class Reply:
    """What the server does with one question.

    Attributes:
        text: What the model writes, in pieces of a few characters.
        status: The HTTP status; with another than 200, `body` is the whole answer.
        body: Sent as it is, in place of a stream.
        media_type: Of `body`.
        location: Where a redirect leads.
        cut: Whether the model stopped because a limit was reached.
        tokens: Tokens read and written.
        dies_after: The connection breaks after so many pieces, without a word.
        thinking: What the model thinks before it writes, in a field of its own.
        hold: Awaited before the first piece, while comments keep the connection open.
        error: Told inside the stream, after the pieces.
        endless: The pieces come again and again until the client goes.
    """

    text: str = ""
    status: int = 200
    body: bytes | None = None
    media_type: str = "application/json"
    location: str = ""
    cut: bool = False
    tokens: tuple[int, int] = (100, 20)
    dies_after: int | None = None
    thinking: str = ""
    hold: threading.Event | None = None
    error: str = ""
    endless: bool = False


def refusal(status: int, message: str) -> Reply:
    """An error as most servers tell it."""
    return Reply(status=status, body=json.dumps({"error": {"message": message, "type": "error"}}).encode())


def page() -> Reply:
    """A web page in place of an answer."""
    return Reply(body=b"<!doctype html><title>Log in</title>", media_type="text/html; charset=utf-8")


@dataclass
class ScriptedServer:
    """A chat server that answers as a test says.

    Attributes:
        kind: Whose paths and wording it has, one of `KINDS`.
        models: The models that it lists; those in `loaded` are said to be in memory.
        script: The answers still to be given, in order: each a reply, or a function of the request's body.
        asked: The bodies of the questions so far.
        paths: Every path that was asked for.
        headers: The headers of the questions so far.
        slow_s: How long it waits before it answers a GET.
        plan: The answer to each question with a JSON schema, if not empty; those go to `planned`, not to `asked`.
        gone: Set when a client went before its answer was complete.
    """

    kind: str = "llama.cpp"
    models: list[str] = field(default_factory=lambda: ["qwen3.5:4b"])
    loaded: list[str] = field(default_factory=list)
    script: list[Reply | Callable[[Json], Reply]] = field(default_factory=list)
    asked: list[Json] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    slow_s: float = 0.0
    plan: str = ""
    planned: list[Json] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> ScriptedServer:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.paths.append(self.path)
                if server.slow_s:
                    threading.Event().wait(server.slow_s)
                found = server._about(self.path)
                body = json.dumps(found or {"detail": "Not Found"}).encode()
                with contextlib.suppress(OSError):  # the client may be gone by now
                    server._whole(self, 404 if found is None else 200, body)

            def do_POST(self) -> None:
                server._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def port(self) -> int:
        return self._http.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def _about(self, path: str) -> Json | None:
        """What it says of itself, by path; None where it has no such path."""
        rows = [{"id": name, "object": "model", "created": 1_795_000_000, **_OWNER[self.kind]} for name in self.models]
        listed = {"object": "list", "data": rows}
        details = {"format": "gguf", "family": "qwen3", "parameter_size": "4.0B", "quantization_level": "Q4_K_M"}
        tags = [{"name": name, "model": name, "size": 2_600_000_000, "details": details} for name in self.models]
        states = [
            {"id": name, "object": "model", "type": "llm", "state": "loaded" if name in self.loaded else "not-loaded"}
            for name in self.models
        ]
        return {
            "ollama": {
                "/api/version": {"version": "0.14.1"},
                "/api/tags": {"models": tags},
                "/api/ps": {"models": [tag for tag in tags if tag["name"] in self.loaded]},
                "/v1/models": listed,
            },
            "lmstudio": {"/api/v0/models": {"object": "list", "data": states}, "/v1/models": listed},
            "llama.cpp": {
                "/props": {"default_generation_settings": {"n_ctx": 16_384}, "total_slots": 1, "build_info": "b11549"},
                "/v1/models": listed,
            },
            "vllm": {"/version": {"version": "0.18.0"}, "/v1/models": listed},
        }[self.kind].get(path)

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self.paths.append(request.path)
        is_plan = bool(self.plan) and ("format" in body or "response_format" in body)
        (self.planned if is_plan else self.asked).append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        own_door = self.kind == "ollama" and request.path == "/api/chat"
        if not own_door and request.path != "/v1/chat/completions":
            self._whole(request, 404, b'{"detail": "Not Found"}')
            return
        planned = Reply(self.plan) if is_plan else self.script.pop(0)
        reply = planned(body) if callable(planned) else planned
        if reply.body is not None:
            self._whole(request, reply.status, reply.body, reply.media_type, reply.location)
            return
        try:
            self._stream(request, reply, ollama=own_door)
        except OSError:
            self.gone.set()

    def _whole(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        media_type: str = "application/json",
        location: str = "",
    ) -> None:
        request.send_response(status)
        request.send_header("Content-Type", media_type)
        request.send_header("Content-Length", str(len(body)))
        if location:
            request.send_header("Location", location)
        request.end_headers()
        request.wfile.write(body)

    def _stream(self, request: BaseHTTPRequestHandler, reply: Reply, *, ollama: bool) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/x-ndjson" if ollama else "text/event-stream")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        while reply.hold is not None and not reply.hold.wait(0.05):
            _send(request, b"\n" if ollama else b": still here\n\n")
        pieces = [reply.text[start : start + 5] for start in range(0, len(reply.text), 5)]
        chunks = [_chunk(piece, ollama=ollama) for piece in pieces]
        if reply.thinking:
            chunks.insert(0, _chunk(reply.thinking, ollama=ollama, thinking=True))
        while reply.endless:
            for chunk in chunks:
                _send(request, chunk)
        for chunk in chunks[: reply.dies_after]:
            _send(request, chunk)
        if reply.dies_after is not None:
            request.close_connection = True
            return
        if reply.error:
            told = {"error": reply.error} if ollama else {"error": {"message": reply.error}}
            _send(request, _line(told, ollama=ollama))
        else:
            _send(request, _ending(reply, ollama=ollama))
        _send(request, b"")


_OWNER: dict[str, Json] = {
    "ollama": {"owned_by": "library"},
    "lmstudio": {"owned_by": "organization_owner"},
    "llama.cpp": {"owned_by": "llamacpp", "meta": {"n_ctx_train": 32_768, "n_params": 4_000_000_000}},
    "vllm": {"owned_by": "vllm", "max_model_len": 32_768},
}


def _line(value: Json, *, ollama: bool) -> bytes:
    written = json.dumps(value).encode()
    return written + b"\n" if ollama else b"data: " + written + b"\n\n"


def _chunk(text: str, *, ollama: bool, thinking: bool = False) -> bytes:
    if ollama:
        field_name = "thinking" if thinking else "content"
        return _line({"message": {"role": "assistant", "content": "", field_name: text}, "done": False}, ollama=True)
    delta = {"reasoning_content" if thinking else "content": text}
    return _line({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}, ollama=False)


def _ending(reply: Reply, *, ollama: bool) -> bytes:
    read, written = reply.tokens
    reason = "length" if reply.cut else "stop"
    if ollama:
        counts = {"prompt_eval_count": read, "eval_count": written}
        message = {"role": "assistant", "content": ""}
        return _line({"message": message, "done": True, "done_reason": reason, **counts}, ollama=True)
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    end = _line({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}, ollama=False)
    return end + _line({"choices": [], "usage": usage}, ollama=False) + b"data: [DONE]\n\n"


def _send(request: BaseHTTPRequestHandler, piece: bytes) -> None:
    request.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    request.wfile.flush()
