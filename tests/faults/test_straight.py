"""Large bodies, read straight from the socket: when that is allowed, that it is the same bytes, and how it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests_support.events import CONTAINER

from faults.server import BLOCK, Container, FaultyService, Hang, Pattern, Reset, Short
from ipython_assistant import errors
from ipython_assistant.core.artifacts import ContainerFile, FailedArtifact
from ipython_assistant.service import downloads, straight
from ipython_assistant.service.client import LiveWire, connect_hosted, over_client
from ipython_assistant.service.downloads import Downloads, Fetched, Limits
from ipython_assistant.service.wire import Reply

BIG = Pattern(40_000_000)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@contextlib.contextmanager
def connected(url: str, timeout_s: float = 10.0) -> Iterator[LiveWire]:
    """A wire as a session makes it."""
    environment = {**os.environ, "OPENAI_API_KEY": "test-key", "OPENAI_BASE_URL": url}
    wire = connect_hosted(environment, timeout_s)
    try:
        yield wire
    finally:
        wire.close()


@contextlib.contextmanager
def sending(*parts: bytes, pause_s: float = 0.0) -> Iterator[str]:
    """A server that answers every connection with these bytes, and then keeps it open; yields its base URL."""
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            for part in parts:
                connection.sendall(part)
                over.wait(pause_s)
            over.wait()

    def serve() -> None:
        with ThreadPoolExecutor(4) as pool, contextlib.suppress(OSError):
            while True:
                pool.submit(answer, server.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def read(reply: Reply, most: int) -> Iterator[bytes]:
    """The body, a piece of memory at a time."""
    assert reply.read_into is not None
    piece = memoryview(bytearray(most))
    while size := reply.read_into(piece):
        yield bytes(piece[:size])


def poured(reply: Reply, most: int) -> Iterator[bytes]:
    """The same through a pipe."""
    assert reply.pouring is not None
    out_of, into = os.pipe()
    try:
        with reply.pouring() as pour:
            while size := pour(into, most):
                yield os.read(out_of, size)
    finally:
        os.close(out_of)
        os.close(into)


WAYS = [
    read,
    pytest.param(poured, marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux moves bytes by itself")),
]


def hold(service: FaultyService, content: Pattern = BIG) -> str:
    """Put a file into the service; gives its id."""
    service.containers.setdefault(CONTAINER, Container())
    return service.write(CONTAINER, "big.bin", content).id


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """TLS for a server on loopback, trusted by this process alone."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=loopback"
    command = ["openssl", *made.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


# The same bytes. ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("most", [1000, 1 << 16])
@pytest.mark.parametrize("with_the_head", [0, 1, 5_000, 200_000])
def test_the_body_is_whole_however_much_of_it_comes_with_the_headers(with_the_head, most, way):
    body = BLOCK[:300_000]
    parts = (HEAD % len(body) + body[:with_the_head], body[with_the_head:])
    with sending(*parts, pause_s=0.05) as url, connected(url) as wire, wire.content(CONTAINER, "cfile_1") as reply:
        assert b"".join(way(reply, most)) == body


@pytest.mark.parametrize("way", WAYS)
def test_bytes_after_the_end_are_not_part_of_the_body(way):
    sent = (HEAD % 7 + b"content", b" and more")
    with sending(*sent) as url, connected(url) as wire, wire.content(CONTAINER, "cfile_1") as reply:
        assert b"".join(way(reply, 100)) == b"content"


def test_a_connection_that_was_read_straight_is_not_used_for_the_next_request(faulty):
    file_id = hold(faulty)
    with connected(faulty.url) as wire:
        for _ in range(2):
            with wire.content(CONTAINER, file_id) as reply:
                assert hashlib.sha256(b"".join(read(reply, 1 << 19))).hexdigest() == BIG.sha256()
        assert wire.list_files(CONTAINER, None).json()["data"][0]["bytes"] == BIG.size


def test_over_tls_it_is_the_same(certified):
    service = FaultyService()
    service._server.socket = certified.wrap_socket(service._server.socket, server_side=True)
    with service, connected(service.url.replace("http:", "https:")) as wire:
        file_id = hold(service)
        with wire.content(CONTAINER, file_id) as reply:
            assert reply.pouring is None
            assert hashlib.sha256(b"".join(read(reply, 1 << 19))).hexdigest() == BIG.sha256()
        service.goes_wrong("content", Hang(1_000_000))
        reply = wire.content(CONTAINER, file_id)
        assert woken_s(reply, lambda: sum(map(len, read(reply, 1 << 19)))) < 2


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ncontent\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Encoding: br\r\n\r\ncontent",
        b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\ncontent",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ncontent",
    ],
    ids=["chunked", "encoded", "HTTP/1.0", "no length"],
)
def test_a_body_that_is_not_the_bytes_in_the_socket_comes_in_chunks(head):
    with sending(head) as url, connected(url) as wire, wire.content(CONTAINER, "cfile_1") as reply:
        assert reply.read_into is reply.pouring is None


def test_past_a_users_own_client_nothing_is_read(faulty):
    import openai

    file_id = hold(faulty, Pattern(100))
    with openai.OpenAI(api_key="test-key", base_url=faulty.url) as client:
        reply = over_client(client).content(CONTAINER, file_id)
        assert reply.read_into is reply.pouring is None
        assert b"".join(reply.chunks) == BLOCK[:100]


# How it ends. ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_nothing_for_too_long_is_timed_out(way):
    with sending(HEAD % 100 + b"begun") as url, connected(url, timeout_s=0.2) as wire:
        reply = wire.content(CONTAINER, "cfile_1")
        with reply, pytest.raises(errors.TimedOut):
            list(way(reply, 10))


@pytest.mark.parametrize("way", WAYS)
def test_a_reset_is_a_connection_that_failed_and_a_short_body_just_ends(faulty, way):
    file_id = hold(faulty)
    faulty.goes_wrong("content", Reset(3_000_000))
    faulty.goes_wrong("content", Short(3_000_000))
    with connected(faulty.url) as wire:
        with wire.content(CONTAINER, file_id) as reply, pytest.raises(errors.Unreachable, match="reset"):
            list(way(reply, 1 << 16))
        with wire.content(CONTAINER, file_id) as reply:
            assert sum(map(len, way(reply, 1 << 16))) == 3_000_000


def woken_s(reply: Reply, reads: Callable[[], Any]) -> float:
    """Seconds from closing a reply to the end of the read that was under way in another thread."""
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(reads)
        threading.Event().wait(0.3)  # until it has read what there is; nothing tells
        assert not reading.done()
        began = time.monotonic()
        reply.close()
        with contextlib.suppress(errors.Unreachable):
            reading.result()
        return time.monotonic() - began


@pytest.mark.parametrize("way", [*WAYS, "in chunks"])
def test_closing_a_reply_wakes_who_waits_for_its_bytes(way):
    with sending(HEAD % 100 + b"begun") as url, connected(url) as wire:
        reply = wire.content(CONTAINER, "cfile_1")
        body = reply.chunks if way == "in chunks" else way(reply, 10)
        assert woken_s(reply, lambda: list(body)) < 2


# What the downloads make of it. ---------------------------------------------------------------------------------------


@dataclasses.dataclass
class Watched:
    """A wire that counts the chunks that are taken, for each request in turn."""

    wire: LiveWire
    starts: list[int] = dataclasses.field(default_factory=list)
    chunks: list[int] = dataclasses.field(default_factory=list)

    def content(self, container_id: str, file_id: str, start: int = 0) -> Reply:
        reply = self.wire.content(container_id, file_id, start)
        number = len(self.starts)
        self.starts.append(start)
        self.chunks.append(0)
        return dataclasses.replace(reply, chunks=self._counted(reply.chunks, number))

    def _counted(self, chunks: Iterator[bytes], number: int) -> Iterator[bytes]:
        for chunk in chunks:
            self.chunks[number] += 1
            yield chunk


def fetched(wire: Any, stage: Path, *file_ids: str, at_once: int = 4) -> list[Fetched]:
    files = [ContainerFile(CONTAINER, file_id, f"{file_id}.bin", "listed") for file_id in file_ids]
    with Downloads(wire, None, lambda: stage, Limits(at_once)) as under_way:
        outcomes = under_way.fetch(files)
    assert all(isinstance(outcome, Fetched) for outcome in outcomes), outcomes
    return list(outcomes)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture(params=["poured", "read"])
def past_the_transport(request, monkeypatch):
    """Either way; where the system cannot move bytes by itself, the other."""
    if request.param == "read":
        monkeypatch.setattr(straight.Body, "pours", False)
    elif sys.platform != "linux":
        pytest.skip("only Linux moves bytes by itself")


@pytest.mark.usefixtures("past_the_transport")
@pytest.mark.parametrize("size", [downloads.LARGE_BYTES, 65 * downloads.PIECE_BYTES, 40_000_001])
def test_a_large_file_is_read_straight_and_hashed_right(faulty, tmp_path, size):
    file_id = hold(faulty, Pattern(size))
    with connected(faulty.url) as live:
        watched = Watched(live)
        (big,) = fetched(watched, tmp_path, file_id)

    assert watched.chunks == [0]
    assert big.size == size
    assert big.sha256 == Pattern(size).sha256() == sha256_of(big.staged)


def test_a_small_file_comes_in_chunks(faulty, tmp_path):
    file_id = hold(faulty, Pattern(downloads.LARGE_BYTES - 1))
    with connected(faulty.url) as live:
        watched = Watched(live)
        fetched(watched, tmp_path, file_id)

    assert watched.chunks[0] > 1


@pytest.mark.usefixtures("past_the_transport")
@pytest.mark.parametrize("fault", [Reset(36_000_000), Short(36_000_000)])
def test_a_large_file_that_breaks_goes_on_where_it_broke_in_chunks(faulty, tmp_path, fault):
    file_id = hold(faulty)
    faulty.goes_wrong("content", fault)
    with connected(faulty.url) as live:
        watched = Watched(live)
        (big,) = fetched(watched, tmp_path, file_id)

    assert watched.starts[0] == 0
    assert watched.chunks[0] == 0
    # What was on its way when the connection was reset is lost.
    assert 20_000_000 < watched.starts[1] <= 36_000_000
    assert watched.chunks[1] > 0
    assert big.sha256 == BIG.sha256() == sha256_of(big.staged)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux moves bytes by itself")
def test_where_the_file_system_takes_no_part_the_bytes_are_the_same(faulty, tmp_path, monkeypatch):
    moved, splice = [], os.splice

    def from_sockets_only(source: int, target: int, count: int, **offsets: int) -> int:
        if offsets:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        moved.append(splice(source, target, count))
        return moved[-1]

    monkeypatch.setattr(os, "splice", from_sockets_only)
    file_id = hold(faulty)
    with connected(faulty.url) as live:
        (big,) = fetched(Watched(live), tmp_path, file_id)

    assert sum(moved) > BIG.size - 200_000  # all but what came with the headers
    assert big.sha256 == BIG.sha256() == sha256_of(big.staged)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux moves bytes by itself")
def test_a_full_disk_is_named_as_that_and_not_as_the_services_fault(faulty, tmp_path):
    import resource

    file_id = hold(faulty)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, limits[1]))  # the interpreter ignores the signal
    try:
        with connected(faulty.url) as live:
            watched = Watched(live)
            with Downloads(watched, None, lambda: tmp_path, Limits(1)) as under_way:
                (outcome,) = under_way.fetch([ContainerFile(CONTAINER, file_id, "big.bin", "listed")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert isinstance(outcome, FailedArtifact)
    assert outcome.reason == "It could not be written: File too large."
    assert watched.starts == [0]  # a fault of the service would be tried again


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux moves bytes by itself")
def test_no_descriptor_is_left_after_pouring(faulty, tmp_path):
    file_id = hold(faulty)
    faulty.goes_wrong("content", Reset(36_000_000))
    with connected(faulty.url) as live:
        before = len(list(Path("/proc/self/fd").iterdir()))
        fetched(Watched(live), tmp_path, file_id)
        fetched(Watched(live), tmp_path, file_id)
        # The client keeps a connection; the server's ends are in this process, too.
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


def test_no_more_than_two_large_files_are_read_straight_at_once(tmp_path):
    blocks = [BLOCK] * (downloads.LARGE_BYTES // len(BLOCK) + 1)
    size = len(BLOCK) * len(blocks)
    others_through = threading.Semaphore(0)

    class Lengthy:
        """Gives a body straight only when two others have come in chunks."""

        def content(self, _container_id: str, _file_id: str, _start: int = 0) -> Reply:
            sizes: Iterator[int] = self.sizes()
            return Reply(200, {"content-length": str(size)}, self.chunks(), lambda: None, lambda _target: next(sizes))

        def sizes(self) -> Iterator[int]:
            assert others_through.acquire(timeout=10)
            yield from [downloads.PIECE_BYTES] * (size // downloads.PIECE_BYTES)
            yield 0

        def chunks(self) -> Iterator[bytes]:
            yield from blocks
            others_through.release()

    outcomes = fetched(Lengthy(), tmp_path, *"abcd")

    assert [outcome.size for outcome in outcomes] == [size] * 4
    assert sorted(Counter(outcome.sha256 for outcome in outcomes).values()) == [2, 2]
