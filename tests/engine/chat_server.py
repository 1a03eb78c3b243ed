"""A chat-completions server on loopback that answers as a test says, piece by piece, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


@dataclass
class Reply:
    """One answer: deltas to stream, or a body to send with a status.

    `hold` is waited for before the first delta; `cut` ends the connection after the deltas, without a word; `error` is
    told in the stream, after them.
    """

    deltas: list[dict[str, Any]] = field(default_factory=list)
    finish: str | None = "stop"
    usage: dict[str, Any] | None = field(default_factory=lambda: dict(USAGE))
    status: int = 200
    body: bytes | None = None
    hold: threading.Event | None = None
    cut: bool = False
    error: dict[str, Any] | None = None


def text(written: str, *, piece: int = 5, **more: Any) -> Reply:
    """A text, a few characters at a time."""
    pieces = [written[start : start + piece] for start in range(0, len(written), piece)]
    return Reply([{"content": one} for one in pieces], **more)


def call(arguments: str, *, name: str = "python", piece: int = 6, **more: Any) -> Reply:
    """A tool call, its arguments a few characters at a time, as OpenAI, vLLM and Ollama send it."""
    opening = {"index": 0, "id": "call_7", "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [arguments[start : start + piece] for start in range(0, len(arguments), piece)]
    deltas = [{"tool_calls": [opening]}]
    deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": one}}]} for one in pieces]
    return Reply(deltas, **{"finish": "tool_calls", **more})


Script = list[Reply | Callable[[dict[str, Any]], Reply]]


class ChatServer:
    """The server. `script` holds the answers still to be given; `asked` the bodies and `headers` of the requests."""

    def __init__(self) -> None:
        self.script: Script = []
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.offers: list[str] = []
        """The models that it lists."""
        self.looked_at: list[str] = []
        self.hung_up = threading.Event()
        """Set when a client is gone before its answer was."""
        self.asked_once = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server._answer(self)

            def do_GET(self) -> None:
                server.looked_at.append(self.path)
                rows = [{"id": name, "object": "model"} for name in server.offers]
                server._whole(self, 200 if rows else 501, json.dumps({"object": "list", "data": rows}).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self.asked.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.asked_once.set()
        if request.path != "/v1/chat/completions":
            self._whole(request, 404, b"no such path")
            return
        planned = self.script.pop(0)
        reply = planned(body) if callable(planned) else planned
        if reply.body is not None:
            self._whole(request, reply.status, reply.body)
            return
        try:
            self._stream(request, reply)
        except OSError:
            self.hung_up.set()

    def _whole(self, request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _stream(self, request: BaseHTTPRequestHandler, reply: Reply) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        self._chunk(request, b": a comment, as some servers send to keep a connection\n\n")
        while reply.hold is not None and not reply.hold.wait(0.05):
            self._chunk(request, b": still here\n\n")
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in reply.deltas]
        if reply.finish is not None:
            chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish}]})
        if reply.usage is not None:
            chunks.append({"choices": [], "usage": reply.usage})
        if reply.error is not None:
            chunks.append({"error": reply.error})
        for chunk in chunks:
            self._chunk(request, f"data: {json.dumps(chunk)}\n\n".encode())
        if reply.cut:
            request.close_connection = True
            return
        self._chunk(request, b"data: [DONE]\n\n")
        self._chunk(request, b"")

    def _chunk(self, request: BaseHTTPRequestHandler, piece: bytes) -> None:
        request.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        request.wfile.flush()
