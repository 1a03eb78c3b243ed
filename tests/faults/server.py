"""A Responses and Containers service on loopback that goes wrong on purpose, steered by name.

Real HTTP, one thread a connection. Unless told otherwise it behaves as the hosted service is documented to: a listing
comes in pages of 20 and has no file names but paths, `/content` gives bytes under a dummy name, the same address
without `/content` gives metadata, an uploaded file's path has a prefix, a container that expired takes its conversation
along.

https://platform.openai.com/docs/api-reference/containers
"""

import contextlib
import gzip
import hashlib
import io
import json
import random
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urlsplit

from PIL import Image
from tests_support.events import CONTAINER, Json, sse
from tests_support.loopback import Door, Loopback

MOUNT = "/mnt/data/"
BLOCK = random.Random(7).randbytes(1 << 20)
FIRST_CREATED = 1767225600
RANGES = ("honoured", "ignored", "from the beginning", "refused", "from elsewhere", "not said", "of another whole")
"""How a request for the rest of a file may be answered."""


# What a request can meet. ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Status:
    """An answer that is an error."""

    status: int
    message: str = "The test says no."
    headers: tuple[tuple[str, str], ...] = ()
    code: str | None = None


@dataclass(frozen=True)
class Page:
    """A whole answer that is not what was asked for, such as a proxy's own page."""

    body: bytes = b"<html><body>Please sign in.</body></html>"


@dataclass(frozen=True)
class Cut:
    """A body of which no more than so many bytes come; None: all of them."""

    after: int | None = None


class Reset(Cut):
    """Then the connection is reset."""


class Short(Cut):
    """Then the connection ends in order, though more was announced."""


class Unannounced(Cut):
    """Then the connection ends, and no length was announced."""


class Hang(Cut):
    """Then nothing comes any more, and nothing ends."""


Fault = Status | Page | Cut


@dataclass
class Rule:
    """`fault` meets the next `left` requests of a kind (None: all), for one file name or for any."""

    kind: str
    fault: Fault
    left: int | None = 1
    name: str | None = None


def slow_down(retry_after: str = "0.02") -> Status:
    """429, with how long to wait."""
    return Status(429, "Rate limit reached.", (("Retry-After", retry_after),), "rate_limit_exceeded")


SERVER_FAULT = Status(500, "The server had an error while processing your request.")
EXPIRED = Status(400, "Container is expired.")


# What a file holds. ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Pattern:
    """A body too big to keep: one block of noise over and over, made as it is sent."""

    size: int

    def pieces(self, start: int = 0) -> Iterator[memoryview]:
        while start < self.size:
            offset = start % len(BLOCK)
            piece = memoryview(BLOCK)[offset : offset + self.size - start]
            yield piece
            start += len(piece)

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()


Content = bytes | Pattern


def size_of(content: Content) -> int:
    return content.size if isinstance(content, Pattern) else len(content)


def sha256_of(content: Content) -> str:
    return content.sha256() if isinstance(content, Pattern) else hashlib.sha256(content).hexdigest()


def table(seed: object, rows: int = 800) -> bytes:
    """A CSV of about 25 bytes a row, different for every seed."""
    numbers = random.Random(str(seed))
    lines = [f"{row},{numbers.random():.6f},d{numbers.randint(1, 999)}\n" for row in range(rows)]
    return ("row,coverage,district\n" + "".join(lines)).encode()


def png(seed: object, side: int = 64) -> bytes:
    """A picture of noise, about 3 bytes a pixel."""
    drawn = io.BytesIO()
    noise = random.Random(str(seed)).randbytes(3 * side * side)
    Image.frombytes("RGB", (side, side), noise).save(drawn, "PNG", compress_level=0)
    return drawn.getvalue()


@dataclass
class Stored:
    """A file in a container."""

    id: str
    path: str
    content: Content
    source: str
    created_at: int
    row: Json = field(default_factory=dict)
    listed: bool = True

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Made:
    """What has to end up on disk, or be named: a file as it was at the end of its turn."""

    name: str
    file_id: str
    content: Content


@dataclass
class Container:
    files: dict[str, Stored] = field(default_factory=dict)
    rows: list[Json] = field(default_factory=list)
    expired: bool = False


# What is streamed. ----------------------------------------------------------------------------------------------------
Act = Callable[["FaultyService", str], None]
"""Something that happens in the service while it streams; called with the id of the container in use."""


@dataclass
class Play:
    """A response: its events, and between them what happens meanwhile. `cut` is how the connection ends."""

    steps: list[Json | Act]
    cut: Literal["", "clean", "inside a chunk", "reset"] = ""


@dataclass
class Asked:
    """A request as it came, when it began, and the status of its answer."""

    kind: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at_s: float
    container_id: str = ""
    file_id: str = ""
    name: str = ""
    status: int = 0

    def json(self) -> Json:
        return json.loads(self.body)

    def file(self) -> tuple[str, bytes]:
        """The name and the bytes of the file that is uploaded."""
        match = re.search(rb'filename="([^"]*)".*?\r\n\r\n(.*?)\r\n--', self.body, re.DOTALL)
        assert match is not None, "an upload without a file"
        return match[1].decode(), match[2]


_KINDS = {
    r"POST /v1/responses": "respond", r"POST /v1/containers": "create",
    r"GET /v1/containers": "containers", r"DELETE /v1/containers/([^/]+)": "delete",
    r"POST /v1/containers/([^/]+)/files": "upload", r"GET /v1/containers/([^/]+)/files": "list",
    r"GET /v1/containers/([^/]+)/files/([^/]+)": "metadata",
    r"GET /v1/containers/([^/]+)/files/([^/]+)/content": "content",
}  # fmt: skip
"""What each address is for: the kinds of requests that something may go wrong with."""


class _Door(Door):
    """HTTP, and the ways to break it."""

    def respond(self) -> None:
        parts = urlsplit(self.path)
        found = ((re.fullmatch(address, f"{self.command} {parts.path}"), kind) for address, kind in _KINDS.items())
        match, kind = next((one for one in found if one[0]), (None, "other"))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        ids = match.groups() if match else ()
        began = time.monotonic()
        self.owner._answer(self, Asked(kind, self.command, parts.path, query, headers, self.read_body(), began, *ids))

    def json(self, asked: Asked, body: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> None:
        asked.status = status
        self.whole(status, {"Content-Type": "application/json", **dict(headers)}, json.dumps(body).encode())

    def refuse(self, asked: Asked, fault: Status) -> None:
        error = {"message": fault.message, "type": "invalid_request_error", "param": None, "code": fault.code}
        self.json(asked, {"error": error}, fault.status, fault.headers)

    def body(self, length: int, pieces: Iterator[memoryview], fault: Cut | None, closing: threading.Event) -> None:
        room = length if fault is None or fault.after is None else min(fault.after, length)
        for piece in pieces:
            self.wfile.write(piece[:room])
            room -= len(piece)
            if room <= 0:
                break
        if isinstance(fault, Reset):
            self.reset()
        elif isinstance(fault, Hang):
            self.wait_for_the_client_to_go(closing)
        elif fault is not None:
            self.close_connection = True

    def chunk(self, block: bytes, sent: int | None = None) -> bool:
        """Send a chunk, or its first bytes alone; says whether the client is still there."""
        try:
            self.wfile.write(b"%x\r\n%b" % (len(block), block[:sent] if sent else block + b"\r\n"))
        except OSError:
            self.close_connection = True
        return not self.close_connection

    def reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(self.connection.detach())

    def wait_for_the_client_to_go(self, closing: threading.Event) -> None:
        self.close_connection = True
        self.connection.settimeout(0.02)
        while not closing.is_set():
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(1):
                    return


class FaultyService(Loopback):
    """The service. Tell it what to play and what is to go wrong; afterwards ask it what was asked of it."""

    door = _Door

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.made: dict[tuple[int, str, str], Made] = {}
        self.containers: dict[str, Container] = {}
        self.rules: list[Rule] = []
        self.plays: list[Play] = []
        self.latency_s = 0.0
        self.ranges = "honoured"
        """How the rest of a file is answered: one of `RANGES`, or `a part unasked`, where all of it was asked for."""
        self.versions = 1
        """How many versions of a file the caches on the way hold: each request meets the next one, told by its ETag."""
        self.listing: Literal["whole", "empty until completed", "refused while running"] = "whole"
        self.limit: tuple[int, float] | None = None
        """So many requests to containers in so many seconds; more are told to wait."""
        self.page_most = 100
        self.pages = True
        """Without pages every page is the first, and more are promised."""
        self.gathers = 0
        """Content is not answered before so many requests for it are under way, or two seconds have passed."""
        self.turns: Literal["kept", "refused as by llama.cpp", "refused as by vLLM", "ignored"] = "kept"
        self.takes_container_ids = self.makes_containers = True
        self.rows_name = ""
        """The container that the rows of every listing claim to be of; empty for the one that was asked."""
        self.compresses: Literal["", "asked", "unasked"] = ""
        self.most_at_once = self.turn = self._at_once = self._running = self._ids = 0
        self._responses: dict[str, str] = {}
        self._window: deque[float] = deque()
        self._changed = threading.Condition(threading.RLock())
        self._closing = threading.Event()

    @property
    def busy(self) -> bool:
        """Whether content is being sent."""
        return self._at_once > 0

    def __exit__(self, *exc_info: object) -> None:
        self._closing.set()
        super().__exit__(*exc_info)

    # Steering.
    def goes_wrong(self, kind: str, fault: Fault, times: int | None = 1, name: str | None = None) -> None:
        self.rules.append(Rule(kind, fault, times, name))

    def write(self, container_id: str, name: str, content: Content, file_id: str = "", **row: Any) -> Stored:
        """A file that code writes, in the place of one that had its name; `listed=False` keeps it from the listing."""
        with self._changed:
            path, files = MOUNT + name, self.containers[container_id].files
            for old in [stored for stored in files.values() if stored.path == path]:
                del files[old.id]
            listed, file_id = row.pop("listed", True), file_id or self.new_id()
            files[file_id] = Stored(file_id, path, content, "assistant", 0, row, listed)
            self.change(container_id, file_id, content)
            return files[file_id]

    def change(self, container_id: str, file_id: str, content: Content) -> None:
        """Code writes a file anew, and the service keeps its id."""
        with self._changed:
            stored = self.containers[container_id].files[file_id]
            stored.content, stored.created_at = content, self._now()
            made = Made(stored.path.removeprefix(MOUNT), file_id, content)
            self.made[self.turn, container_id, stored.path] = made
            self._changed.notify_all()

    def list_also(self, container_id: str, **row: Any) -> None:
        """A row that stands for nothing."""
        with self._changed:
            row = {"id": self.new_id(), "created_at": self._now(), "source": "assistant", **row}
            self.containers[container_id].rows.append({"object": "container.file", "container_id": container_id, **row})

    def show(self, content: bytes) -> None:
        """A figure that goes out in the outputs and nowhere else."""
        with self._changed:
            self.made[self.turn, "", f"shown {len(self.made)}"] = Made("figure", "", content)

    def expire(self, *_as_an_act: str) -> None:
        """Every container's twenty minutes are over."""
        with self._changed:
            for container in self.containers.values():
                container.expired = True

    def new_id(self) -> str:
        with self._changed:
            self._ids += 1
            return f"cfile_{self._ids:032x}"

    def wait_until(self, condition: Callable[[], bool], most_s: float) -> bool:
        """Wait for something a client does; says whether it did."""
        with self._changed:
            return self._changed.wait_for(condition, most_s)

    def of(self, kind: str, name: str | None = None) -> list[Asked]:
        """The requests of a kind, for one file name or for any, in the order they came."""
        return [asked for asked in list(self.asked) if asked.kind == kind and name in {None, asked.name}]

    # Answering.
    def _now(self) -> int:
        self._ids += 1
        return FIRST_CREATED + self._ids

    def _answer(self, door: Any, asked: Asked) -> None:
        is_content = asked.kind == "content"
        with self._changed:
            self.asked.append(asked)
            self._at_once += is_content
            self.most_at_once = max(self.most_at_once, self._at_once)
            self._changed.notify_all()
        try:
            if self.latency_s:
                self._closing.wait(self.latency_s)
            if is_content and self.gathers:
                self.wait_until(lambda: self.most_at_once >= self.gathers, 2.0)
            fault = self._fault(asked)
            if isinstance(fault, Status):
                door.refuse(asked, fault)
            elif isinstance(fault, Page):
                asked.status = 200
                door.whole(200, {"Content-Type": "text/html"}, fault.body)
            elif is_content:
                self._content(door, asked, fault)
            elif isinstance(fault, Hang):
                door.wait_for_the_client_to_go(self._closing)
            else:
                assert fault is None, "what cuts a stream is in its play"
                getattr(self, f"_{asked.kind}")(door, asked)
        finally:
            with self._changed:
                self._at_once -= is_content
                self._changed.notify_all()

    def _fault(self, asked: Asked) -> Fault | None:
        with self._changed:
            container = self.containers.get(asked.container_id)
            if container is None and asked.container_id:
                return Status(404, f"Container with id '{asked.container_id}' not found.")
            if container is not None and asked.file_id in container.files:
                asked.name = container.files[asked.file_id].name
            limited = self.limit is not None and asked.kind in {"list", "content", "upload", "create"}
            if limited and (wait_s := self._over_the_limit()):
                return slow_down(f"{wait_s:.3f}")
            for rule in self.rules:
                if rule.kind == asked.kind and rule.left != 0 and rule.name in {None, asked.name}:
                    rule.left = rule.left - 1 if rule.left is not None else None
                    return rule.fault
            if container is not None and container.expired and asked.kind != "delete":
                return EXPIRED if asked.kind != "content" else self._no_such_file(asked)
            return None

    def _over_the_limit(self) -> float:
        most, window_s = self.limit
        now = time.monotonic()
        while self._window and self._window[0] <= now - window_s:
            self._window.popleft()
        if len(self._window) >= most:
            return self._window[0] + window_s - now + 0.001
        self._window.append(now)
        return 0.0

    @staticmethod
    def _no_such_file(asked: Asked) -> Status:
        return Status(404, f"File {asked.file_id} not found on container {asked.container_id}.")

    def _respond(self, door: Any, asked: Asked) -> None:
        question = asked.json()
        with self._changed:
            container_id = self._container_of(question)
            refusal = self._refusal(question, container_id)
            if refusal is not None:
                return door.refuse(asked, refusal)
            play = self.plays.pop(0)
            self.turn += 1
            self._running += 1
        asked.status, running = 200, True
        door.begin(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        last = [step for step in play.steps if not callable(step)][-1]
        try:
            for step in play.steps:
                if callable(step):
                    step(self, container_id)
                    continue
                if step["type"] == "response.created":
                    self._responses[step["response"]["id"]] = container_id
                if step is last:
                    # Before it is sent, so that who has read it finds the response ended.
                    running = self._stopped_running()
                block = sse([self._continued(step, question)]).decode().replace(CONTAINER, container_id).encode()
                half = len(block) // 2 if step is last and play.cut == "inside a chunk" else None
                door.close_connection = half is not None
                if not door.chunk(block, half):
                    return None
        finally:
            if running:
                self._stopped_running()
        return door.reset() if play.cut == "reset" else door.wfile.write(b"0\r\n\r\n")

    def _continued(self, step: Json, question: Json) -> Json:
        """An event; where it carries the response, with what that continues from."""
        kept = question.get("previous_response_id") if self.turns == "kept" else None
        return {**step, "response": {**step["response"], "previous_response_id": kept}} if "response" in step else step

    def _refusal(self, question: Json, container_id: str) -> Status | None:
        """Why a question is not answered; some servers do not know everything it holds."""
        if container_id not in self.containers:
            return Status(404, f"Container with id '{container_id}' not found.")
        if self.containers[container_id].expired:
            return EXPIRED
        if not self.plays:
            return Status(400, "The test has nothing more to say.")
        previous, is_llama = question.get("previous_response_id"), self.turns == "refused as by llama.cpp"
        if previous and is_llama:
            return Status(400, "llama.cpp does not support 'previous_response_id'.")
        if previous and self.turns == "refused as by vLLM":
            return Status(404, f"Response with id '{previous}' not found.")
        if is_llama and any(said["role"] == "assistant" and "type" not in said for said in question["input"]):
            return Status(400, "Cannot determine type of 'item'.")
        named = [tool["container"] for tool in question.get("tools", []) if isinstance(tool.get("container"), str)]
        if named and not self.takes_container_ids:
            return Status(404, f"litellm.BadRequestError: Container with id '{named[0]}' not found.")
        return None

    def _stopped_running(self) -> bool:
        with self._changed:
            self._running -= 1
        return False

    def _container_of(self, question: Json) -> str:
        wanted = next((tool.get("container") for tool in question.get("tools", [])), None)
        if isinstance(wanted, str):
            return wanted
        previous = self._responses.get(question.get("previous_response_id") or "")
        return previous or self._new_container("auto")

    def _new_container(self, kind: str) -> str:
        with self._changed:
            container_id = f"cntr_{kind}{len(self.containers) + 1}"
            self.containers[container_id] = Container()
            return container_id

    def _create(self, door: Any, asked: Asked) -> None:
        if not self.makes_containers:
            return door.refuse(asked, Status(404, "Resource not found"))
        container_id = self._new_container("made")
        return door.json(asked, {"id": container_id, "object": "container", "status": "running", **asked.json()})

    def _containers(self, door: Any, asked: Asked) -> None:
        states = {name: "expired" if container.expired else "running" for name, container in self.containers.items()}
        rows = [{"id": name, "object": "container", "name": name, "status": state} for name, state in states.items()]
        door.json(asked, {"object": "list", "data": rows, "has_more": False, "first_id": None, "last_id": None})

    def _delete(self, door: Any, asked: Asked) -> None:
        with self._changed:
            self.containers.pop(asked.container_id, None)
        door.json(asked, {"id": asked.container_id, "object": "container.deleted", "deleted": True})

    def _upload(self, door: Any, asked: Asked) -> None:
        name, content = asked.file()
        with self._changed:
            path = f"{MOUNT}{random.Random(self.new_id()).randbytes(16).hex()}-{name}"
            stored = Stored(self.new_id(), path, content, "user", self._now())
            self.containers[asked.container_id].files[stored.id] = stored
        door.json(asked, self._row(asked.container_id, stored))

    def _list(self, door: Any, asked: Asked) -> None:
        with self._changed:
            running = self._running > 0
            container = self.containers[asked.container_id]
            rows = [self._row(asked.container_id, stored) for stored in container.files.values() if stored.listed]
            rows = [{**row, "container_id": self.rows_name or row["container_id"]} for row in [*rows, *container.rows]]
        if running and self.listing == "refused while running":
            return door.refuse(asked, Status(409, "Another operation is in progress on this container."))
        if running and self.listing == "empty until completed":
            rows = []
        rows.sort(key=lambda row: row["created_at"], reverse=asked.query.get("order", "desc") == "desc")
        ids = [row["id"] for row in rows]
        start = ids.index(asked.query["after"]) + 1 if self.pages and asked.query.get("after") in ids else 0
        page = rows[start : start + min(int(asked.query.get("limit", 20)), self.page_most)]
        has_more = not self.pages or start + len(page) < len(rows)
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
        return door.json(asked, {"object": "list", "data": page, "has_more": has_more, **ends})

    @staticmethod
    def _row(container_id: str, stored: Stored) -> Json:
        row = {"id": stored.id, "object": "container.file", "bytes": size_of(stored.content)}
        row |= {"container_id": container_id, "created_at": stored.created_at}
        return {**row, "path": stored.path, "source": stored.source, **stored.row}

    def _metadata(self, door: Any, asked: Asked) -> None:
        stored = self.containers[asked.container_id].files.get(asked.file_id)
        if stored is None:
            return door.refuse(asked, self._no_such_file(asked))
        return door.json(asked, self._row(asked.container_id, stored))

    def _content(self, door: Any, asked: Asked, fault: Cut | None) -> None:
        with self._changed:
            stored = self.containers[asked.container_id].files.get(asked.file_id)
            before = sum(other.kind == "content" and other.file_id == asked.file_id for other in self.asked) - 1
        if stored is None:
            return door.refuse(asked, self._no_such_file(asked))
        hashed = quote(f"{hashlib.md5(stored.id.encode()).hexdigest()}-{stored.name}")
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        headers["Content-Disposition"] = f"attachment; filename=\"file.txt\"; filename*=UTF-8''{hashed}"
        content = stored.content
        asks = "gzip" in asked.headers.get("accept-encoding", "")
        if isinstance(content, bytes) and (self.compresses == "unasked" or (self.compresses == "asked" and asks)):
            content = gzip.compress(content)
            headers["Content-Encoding"] = "gzip"
        if self.versions > 1:
            version = before % self.versions
            headers["ETag"] = f'"{version}"'
            content = bytes(content)[version:] + bytes(content)[:version]
        size, start = size_of(content), 0
        ranged = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
        if ranged and (self.ranges == "refused" or int(ranged[1]) >= size):
            return door.refuse(asked, Status(416, "Range not satisfiable.", (("Content-Range", f"bytes */{size}"),)))
        partial = bool(ranged) and self.ranges != "ignored"
        if partial and self.ranges != "from the beginning":
            start = int(ranged[1])
        if (partial and self.ranges == "from elsewhere") or self.ranges == "a part unasked":
            partial, start = True, min(start + 100, size - 1)
        if partial and self.ranges != "not said":
            whole = size + 7 if self.ranges == "of another whole" else size
            headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        pieces = content.pieces(start) if isinstance(content, Pattern) else iter([memoryview(content)[start:]])
        asked.status = 206 if partial else 200
        unannounced = isinstance(fault, Unannounced)
        headers |= {"Connection": "close"} if unannounced else {}
        door.begin(asked.status, headers, None if unannounced else size - start)
        return door.body(size - start, pieces, fault, self._closing)

    def _other(self, door: Any, asked: Asked) -> None:
        door.refuse(asked, Status(404, f"Unknown request URL: {asked.method} {asked.path}."))
