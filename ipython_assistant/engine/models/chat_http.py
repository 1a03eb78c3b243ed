"""One POST to a chat-completions server, and its answer as JSON objects while they come.

The engine depends on no client for such servers, and needs little of one: no retries (the question may be costly), no
redirects (a key must not follow one), no proxies (the server is usually on this machine). Closing the generator closes
the connection, which every known server takes as: stop generating.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from ipython_assistant.engine.models import ModelFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Mapping

Json = dict[str, Any]
T = TypeVar("T")

CONNECT_WITHIN_S: Final = 10.0
LONGEST_LINE: Final = 1 << 24
"""In bytes, of a line or a chunk."""
LONGEST_BODY: Final = 1 << 26
"""In bytes, of an answer that is not a stream."""
LONGEST_TOLD: Final = 300
"""In characters, of what a server says of a fault."""
MOST_HEADERS: Final = 200
MOST_OFFERED: Final = 10
"""How many of a server's models are named to someone who asked for another."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a chat-completions server is.

    Args:
        url: Its base URL; `/chat/completions` is put behind it.
        key: What it wants to be shown, if anything. It goes into one header and nowhere else.
        patience_s: How long it may be silent. A large prompt takes a small machine minutes.

    Raises:
        ValueError: The URL is not one of HTTP.
    """

    url: str
    key: str = field(default="", repr=False)
    patience_s: float = 600.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{self.url!r} is not the address of a server, such as http://localhost:11434/v1.")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("The address of a server holds no name, password or query; a key goes by the environment.")
        if not self.key.isprintable() or not self.key.isascii():
            raise ValueError("The key has characters in it that no header can hold.")

    async def complete(self, body: Json) -> AsyncGenerator[Json, None]:
        """Ask for a completion; yield each chunk of its stream, or the one body of a server that does not stream.

        Raises:
            ModelFailed: The server cannot be reached, refuses, or falls silent.
        """
        reader, writer = await self._connect()
        try:
            await self._within(_sent(writer, self._request("POST", "/chat/completions", json.dumps(body).encode())))
            status, headers = await self._within(_head(reader))
            source = _Body(reader, headers)
            if status != HTTPStatus.OK:
                refusal = self._refusal(status, await self._within(source.whole()))
                raise ModelFailed(refusal + (await self._offer() if status == HTTPStatus.NOT_FOUND else ""))
            if "text/event-stream" not in headers.get("content-type", ""):
                yield self._parsed(await self._within(source.whole()))
                return
            async with aclosing(self._chunks(source)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except (OSError, EOFError, ValueError, RecursionError, asyncio.LimitOverrunError) as error:
            raise ModelFailed(
                f"The connection to {self.url} broke: {self._told(_words(error))}. The server's log may say more."
            ) from error
        finally:
            writer.transport.abort()

    async def _chunks(self, source: _Body) -> AsyncGenerator[Json, None]:
        finished = False
        while (line := await self._within(source.line())) is not None:
            name, _, value = line.partition(b":")
            if name != b"data":
                continue
            if value.strip() == b"[DONE]":
                return
            chunk = self._parsed(value)
            finished = finished or _finishes(chunk)
            yield chunk
        if not finished:
            raise EOFError

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.url)
        secure = ssl.create_default_context() if parts.scheme == "https" else None
        port = parts.port or (443 if secure else 80)
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                return await asyncio.open_connection(parts.hostname, port, ssl=secure, limit=LONGEST_LINE)
        except (OSError, TimeoutError) as error:
            raise ModelFailed(
                f"No server answers at {self.url} ({_words(error)}). Start it, or correct the address after `--model`."
            ) from error

    async def _within(self, waiting: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self.patience_s):
                return await waiting
        except TimeoutError:
            raise ModelFailed(
                f"The server at {self.url} was silent for {self.patience_s:g} seconds. A smaller model answers sooner; "
                "`--patience` is how long it may take."
            ) from None

    async def _offer(self) -> str:
        """What the server has, for someone who asked it for something else; nothing where it does not say.

        It is asked only then: for a question that can be answered it need not be known.
        """
        try:
            async with asyncio.timeout(min(CONNECT_WITHIN_S, self.patience_s)):
                reader, writer = await self._connect()
                try:
                    await _sent(writer, self._request("GET", "/models", b""))
                    status, headers = await _head(reader)
                    found = json.loads(await _Body(reader, headers).whole()) if status == HTTPStatus.OK else {}
                finally:
                    writer.transport.abort()
            names = [str(one["id"]) for one in found["data"]]
        except _UNREADABLE:
            return ""
        more = f" and {len(names) - MOST_OFFERED} more" if len(names) > MOST_OFFERED else ""
        return f". It has: {self._told(', '.join(names[:MOST_OFFERED]))}{more}." if names else ""

    def _request(self, method: str, path: str, payload: bytes) -> bytes:
        parts = urlsplit(self.url)
        lines = [
            f"{method} {parts.path.rstrip('/')}{path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Content-Type: application/json",
            "Accept: text/event-stream, application/json",
            "Accept-Encoding: identity",
            "Connection: close",
            f"Content-Length: {len(payload)}",
            *([f"Authorization: Bearer {self.key}"] if self.key else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + payload

    def _refusal(self, status: int, raw: bytes) -> str:
        try:
            said = json.loads(raw).get("error")
            words = said.get("message") if isinstance(said, dict) else said
        except (ValueError, AttributeError):
            words = raw.decode("utf-8", "replace")
        return f"The server at {self.url} refused with status {status}: {self._told(words)}"

    def _parsed(self, raw: bytes) -> Json:
        """One JSON object.

        Raises:
            ModelFailed: It is an error, which some servers put into the stream.
            ValueError: It is no object.
        """
        found = json.loads(raw)
        if not isinstance(found, dict):
            raise ValueError("it sent something that is not a chunk")  # noqa: TRY004 it is the bytes that are wrong
        if (error := found.get("error")) is not None:
            words = error.get("message") if isinstance(error, dict) else error
            raise ModelFailed(f"The server gave up: {self._told(words)}")
        return found

    def _told(self, words: object) -> str:
        """What the server says of a fault, in a line; it may repeat the key that it was shown."""
        whole = str(words or "it gave no reason")
        if self.key:
            whole = whole.replace(self.key, "…")
        return " ".join(whole.split())[:LONGEST_TOLD]


_UNREADABLE: Final = (
    ModelFailed, OSError, EOFError, ValueError, LookupError, TypeError, RecursionError, asyncio.LimitOverrunError
)  # fmt: skip
"""What may come of asking a server that is known to refuse."""


class _Body:
    """The body of an answer, line by line or whole, however its length is told."""

    def __init__(self, reader: asyncio.StreamReader, headers: Mapping[str, str]) -> None:
        self._reader = reader
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length", "")
        self._left = int(length) if length.isdigit() and not self._chunked else None
        self._waiting = b""
        self._over = False

    async def line(self) -> bytes | None:
        """The next line without its end; None after the last."""
        while b"\n" not in self._waiting and not self._over:
            piece = await self._piece()
            self._waiting += piece
            self._over = not piece
            if len(self._waiting) > LONGEST_LINE:
                raise ValueError("it sent a line without end")
        if not self._waiting:
            return None
        line, _, self._waiting = self._waiting.partition(b"\n")
        return line.rstrip(b"\r")

    async def whole(self) -> bytes:
        """All of it."""
        pieces = []
        while piece := await self._piece():
            pieces.append(piece)
            if sum(map(len, pieces)) > LONGEST_BODY:
                raise ValueError("its answer has no end")
        return b"".join(pieces)

    async def _piece(self) -> bytes:
        if self._chunked:
            return await self._chunk()
        if self._left is None:
            return await self._reader.read(1 << 16)
        piece = await self._reader.read(min(self._left, 1 << 16)) if self._left else b""
        if self._left and not piece:
            raise EOFError
        self._left -= len(piece)
        return piece

    async def _chunk(self) -> bytes:
        size = int((await self._reader.readuntil(b"\n")).partition(b";")[0].strip() or b"0", 16)
        if not 0 <= size <= LONGEST_LINE:
            raise ValueError("it sent a chunk without end")
        if not size:
            return b""
        piece = await self._reader.readexactly(size)
        await self._reader.readexactly(2)
        return piece


async def _sent(writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    await writer.drain()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers, names in lower case; answers that only announce the real one are passed over."""
    while True:
        version, _, rest = (await reader.readuntil(b"\n")).decode("latin-1").partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ValueError("it does not speak HTTP")
        headers: dict[str, str] = {}
        for _ in range(MOST_HEADERS):
            line = (await reader.readuntil(b"\n")).decode("latin-1").strip()
            if not line:
                break
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if int(rest[:3]) >= HTTPStatus.OK:
            return int(rest[:3]), headers


def _finishes(chunk: Json) -> bool:
    choices = chunk.get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and choice.get("finish_reason") for choice in choices
    )


def _words(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "it ended in the middle of an answer"
    return " ".join((str(error) or type(error).__name__).split())[:200]
