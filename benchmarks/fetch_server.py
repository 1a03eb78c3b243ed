"""A service with files to fetch, in a process of its own: asyncio, bodies sent by the kernel from one file of noise.

`python fetch_server.py` prints one JSON line with its port and ends when its stdin closes. What it serves is in the
base URL, `http://127.0.0.1:PORT/SPEC/v1`, where SPEC is `NAME=VALUE` joined by commas:

files=1, bytes=1000   so many files of so many bytes each
latency=0             milliseconds before the first byte of every answer about a container
deltas=0, rate=100    text deltas of a response and how many of them a second; the files are there when its code ends
cited=0.98            how much of the text is written before they are cited

All but `/responses` may be asked with GET alone, so that curl can, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from tests_support import events as wire

BLOCK = 16 << 20
CREATED = 1767225601


@dataclass(frozen=True)
class Spec:
    """What one base URL serves."""

    files: float = 1
    bytes: float = 1000
    latency: float = 0
    deltas: float = 0
    rate: float = 100
    cited: float = 0.98

    @classmethod
    def read(cls, text: str) -> Spec:
        """From the form in the URL."""
        known = {field.name for field in fields(cls)}
        pairs = [part.partition("=") for part in text.split(",")]
        return cls(**{name: float(value) for name, _, value in pairs if name in known})

    def __str__(self) -> str:
        return ",".join(f"{field.name}={getattr(self, field.name):g}" for field in fields(self))

    def names(self) -> list[tuple[str, str]]:
        """File id and name of every file."""
        return [(f"cfile_{number:032x}", f"file-{number:03}.bin") for number in range(int(self.files))]

    def rows(self) -> list[dict[str, Any]]:
        """The container's listing."""
        return [
            {
                "id": file_id,
                "object": "container.file",
                "bytes": int(self.bytes),
                "container_id": wire.CONTAINER,
                "created_at": CREATED + number,
                "path": f"/mnt/data/{name}",
                "source": "assistant",
            }
            for number, (file_id, name) in enumerate(self.names())
        ]

    def items(self) -> list[wire.Item]:
        """The response: a code call that makes the files, and a message that cites them."""
        links = " ".join(f"[{name}](sandbox:/mnt/data/{name})" for _, name in self.names())
        text = "word " * int(self.deltas) + links
        citations = tuple(wire.cite(text, name, file_id) for file_id, name in self.names())
        return [wire.Code("make()", (wire.logs("ok\n"),)), wire.Message(text, citations)]


def noise() -> bytes:
    """What every file begins with: it is this block over and over."""
    return random.Random(7).randbytes(BLOCK)


class Service:
    """One connection after another, each request in turn."""

    def __init__(self, block: IO[bytes]) -> None:
        self._block = block

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *headers = head.split("\r\n")
                fields_ = {name.lower(): value.strip() for name, _, value in (part.partition(":") for part in headers)}
                if length := int(fields_.get("content-length") or 0):
                    await reader.readexactly(length)
                method, target, _ = line.split(" ")
                await self._answer(writer, method, target)
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, method: str, target: str) -> None:
        parts = urlsplit(target)
        _, spec_text, *path = parts.path.split("/")
        spec = Spec.read(spec_text)
        if method == "POST":
            await self._stream(writer, spec)
            return
        await asyncio.sleep(spec.latency / 1000)
        if path[-1] == "content":
            await self._content(writer, int(spec.bytes))
            return
        query = parse_qs(parts.query)
        after, rows = query.get("after", [""])[0], spec.rows()
        start = next((number + 1 for number, row in enumerate(rows) if row["id"] == after), 0)
        page = rows[start : start + int(query.get("limit", ["20"])[0])]
        body = json.dumps({"object": "list", "data": page, "has_more": start + len(page) < len(rows)}).encode()
        writer.write(_head("application/json", len(body)) + body)
        await writer.drain()

    async def _content(self, writer: asyncio.StreamWriter, size: int) -> None:
        writer.write(_head("application/octet-stream", size))
        await writer.drain()
        loop = asyncio.get_running_loop()
        while size > 0:
            count = min(size, BLOCK)
            await loop.sendfile(writer.transport, self._block, 0, count)
            size -= count

    async def _stream(self, writer: asyncio.StreamWriter, spec: Spec) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        for event in _in_order(spec):
            if event["type"] == "response.output_text.delta":
                sent += 1
                await asyncio.sleep(max(0.0, began + sent / spec.rate - loop.time()))
            block = wire.sse([event])
            writer.write(b"%x\r\n%b\r\n" % (len(block), block))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def _in_order(spec: Spec) -> Iterator[dict[str, Any]]:
    """The response's events, with the citations after their share of the text; the links' own text comes at once."""
    events = wire.stream(spec.items())
    citations = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    text = "".join(event["delta"] for event in deltas)
    step = -(-len(text) // max(1, int(spec.deltas)))
    pieces = [text[start : start + step] for start in range(0, len(text), step)]
    early = int(len(pieces) * spec.cited)
    for event in events:
        if event is deltas[0]:
            for number, piece in enumerate(pieces):
                if number == early:
                    yield from citations
                yield {**event, "delta": piece}
        elif event["type"] not in {"response.output_text.delta", "response.output_text.annotation.added"}:
            yield event


def _head(media_type: str, length: int) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n".encode()


async def main() -> None:
    """Serve until stdin closes."""
    with tempfile.TemporaryFile() as block:
        block.write(noise())
        block.flush()
        server = await asyncio.start_server(Service(block).serve, "127.0.0.1", 0, backlog=256)
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        server.close()


if __name__ == "__main__":
    asyncio.run(main())
