"""Scripted chat servers on loopback, each with the paths and the wording of one that people run."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests_support.loopback import Door, Loopback

Json = dict[str, Any]

KINDS = ("ollama", "lmstudio", "llama.cpp", "vllm")


@dataclass
class Reply:
    """What the server does with one question.

    Attributes:
        text: What the model writes, in pieces of a few characters.
        body: Sent as it is, in place of a stream; with another `status` than 200 it is an error.
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
class ScriptedServer(Loopback):
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
        abilities: What Ollama says that its models can do.
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
    abilities: list[str] = field(default_factory=lambda: ["completion", "vision"])
    gone: threading.Event = field(default_factory=threading.Event)

    def forget(self) -> None:
        """Begin anew, with an empty script."""
        for kept in (self.script, self.asked, self.planned, self.paths, self.headers):
            kept.clear()
        self.gone.clear()

    def about(self, path: str) -> Json | None:
        """What it says of itself, by path; None where it has no such path."""
        rows = [{"id": name, "object": "model", **_OWNER[self.kind]} for name in self.models]
        tags = [{"name": name, "details": {"family": "qwen3", "parameter_size": "4.0B"}} for name in self.models]
        states = [
            {"key": name, "type": "llm", "params_string": "4B", "loaded_instances": [{}] * (name in self.loaded)}
            for name in self.models
        ]
        own: dict[str, Json] = {
            "ollama": {
                "/api/version": {"version": "0.14.1"},
                "/api/tags": {"models": tags},
                "/api/ps": {"models": [tag for tag in tags if tag["name"] in self.loaded]},
            },
            "lmstudio": {"/api/v1/models": {"models": states}},
            "llama.cpp": {"/props": {"default_generation_settings": {"n_ctx": 16_384}, "build_info": "b11549"}},
            "vllm": {"/version": {"version": "0.18.0"}},
        }
        return {"/v1/models": {"object": "list", "data": rows}, **own[self.kind]}.get(path)


_OWNER: dict[str, Json] = {
    "ollama": {"owned_by": "library"},
    "lmstudio": {"owned_by": "organization_owner"},
    "llama.cpp": {"owned_by": "llamacpp", "meta": {"n_ctx_train": 32_768, "n_params": 4_000_000_000}},
    "vllm": {"owned_by": "vllm", "max_model_len": 32_768},
}


class _Door(Door):
    def respond(self) -> None:
        (self._tell if self.command == "GET" else self._ask)()

    def _tell(self) -> None:
        chat: ScriptedServer = self.owner
        chat.paths.append(self.path)
        threading.Event().wait(chat.slow_s)
        found = chat.about(self.path)
        body = json.dumps(found or {"detail": "Not Found"}).encode()
        with contextlib.suppress(OSError):  # the client may be gone by now
            self._answer(Reply(status=404 if found is None else 200, body=body))

    def _ask(self) -> None:
        chat: ScriptedServer = self.owner
        body = json.loads(self.read_body())
        is_plan = bool(chat.plan) and ("format" in body or "response_format" in body)
        chat.paths.append(self.path)
        if chat.kind == "ollama" and self.path == "/api/show":
            self._answer(Reply(body=json.dumps({"capabilities": chat.abilities}).encode()))
            return
        chat.headers.append({name.lower(): value for name, value in self.headers.items()})
        (chat.planned if is_plan else chat.asked).append(body)
        ollama = chat.kind == "ollama" and self.path == "/api/chat"
        if not ollama and self.path != "/v1/chat/completions":
            self._answer(refusal(404, "Not Found"))
            return
        planned = Reply(chat.plan) if is_plan else chat.script.pop(0)
        reply = planned(body) if callable(planned) else planned
        if reply.body is not None:
            self._answer(reply)
            return
        try:
            self._stream(reply, ollama=ollama)
        except OSError:
            chat.gone.set()

    def _answer(self, reply: Reply) -> None:
        headers = {"Content-Type": reply.media_type, "Location": reply.location}
        self.whole(reply.status, {name: value for name, value in headers.items() if value}, reply.body or b"")

    def _stream(self, reply: Reply, *, ollama: bool) -> None:
        media_type = "application/x-ndjson" if ollama else "text/event-stream"
        self.begin(200, {"Content-Type": media_type, "Transfer-Encoding": "chunked"})
        while reply.hold is not None and not reply.hold.wait(0.05):
            self._send(b"\n" if ollama else b": still here\n\n")
        for line in _lines(reply, ollama=ollama):
            written = json.dumps(line).encode() if isinstance(line, dict) else line
            self._send(written + b"\n" if ollama else b"data: " + written + b"\n\n")
        if reply.dies_after is not None:
            self.close_connection = True
        else:
            self._send(b"")

    def _send(self, piece: bytes) -> None:
        self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.flush()


def _lines(reply: Reply, *, ollama: bool) -> Iterator[Json | bytes]:
    """What is streamed: the pieces in the words of Ollama or of chat completions, and how they end."""

    def piece(**said: str) -> Json:
        if ollama:
            return {"message": {"role": "assistant", "content": "", **said}, "done": False}
        return {"choices": [{"index": 0, "delta": said, "finish_reason": None}]}

    chunks = [piece(content=reply.text[start : start + 5]) for start in range(0, len(reply.text), 5)]
    if reply.thinking:
        chunks.insert(0, piece(**{"thinking" if ollama else "reasoning_content": reply.thinking}))
    while reply.endless:
        yield from chunks
    yield from chunks[: reply.dies_after]
    if reply.dies_after is not None:
        return
    reason, (read, written) = "length" if reply.cut else "stop", reply.tokens
    if reply.error:
        yield {"error": reply.error if ollama else {"message": reply.error}}
    elif ollama:
        message = {"role": "assistant", "content": ""}
        counts = {"prompt_eval_count": read, "eval_count": written}
        yield {"message": message, "done": True, "done_reason": reason, **counts}
    else:
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
        yield {"choices": [], "usage": {"prompt_tokens": read, "completion_tokens": written}}
        yield b"[DONE]"


ScriptedServer.door = _Door
