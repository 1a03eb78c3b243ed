"""Large bodies are read from the socket: when that is allowed, that it is the same bytes, how it ends."""

import contextlib
import gzip
import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from faults.conftest import faulty  # noqa: F401 a fixture
from faults.server import BLOCK, Container, FaultyService, Hang, Pattern, Reset
from tests_support.cases import cases
from tests_support.events import CONTAINER

from ipython_assistant import errors
from ipython_assistant.core.artifacts import ContainerFile
from ipython_assistant.service import client
from ipython_assistant.service.accounts import connect_hosted
from ipython_assistant.service.downloads import Downloads

BIG = Pattern(40_000_000)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def connected(url, timeout_s=10.0):
    """A wire as a session makes it."""
    environment = {**os.environ, "OPENAI_API_KEY": "test-key", "OPENAI_BASE_URL": url}
    return contextlib.closing(connect_hosted(environment, timeout_s))


@contextlib.contextmanager
def sending(*parts, pause_s=0.0):
    """A server that answers every connection with these bytes, and then keeps it open; yields its base URL."""
    over = threading.Event()

    def answer(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            for part in parts:
                connection.sendall(part)
                over.wait(pause_s)
            over.wait()

    def serve():
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


def hold(service, content=BIG):
    """Put a file into the service; gives its id."""
    service.containers.setdefault(CONTAINER, Container())
    return service.write(CONTAINER, "big.bin", content).id


@pytest.mark.parametrize("with_the_head", [0, 1, 200_000])
def test_the_body_is_whole_however_much_of_it_comes_with_the_headers_and_nothing_behind_it(with_the_head, monkeypatch):
    monkeypatch.setattr(client, "LARGE_BYTES", 0)
    body = BLOCK[:300_000]
    parts = (HEAD % len(body) + body[:with_the_head], body[with_the_head:] + b" and more")
    with sending(*parts, pause_s=0.05) as url, connected(url) as wire, wire.content(CONTAINER, "cfile_1") as reply:
        assert b"".join(reply.chunks) == body


def test_a_connection_whose_body_was_read_from_the_socket_is_not_used_again(faulty):  # noqa: F811
    file_id = hold(faulty)
    with connected(faulty.url) as wire:
        for _ in range(2):
            with wire.content(CONTAINER, file_id) as reply:
                assert hashlib.sha256(b"".join(reply.chunks)).hexdigest() == BIG.sha256()
        assert wire.list_files(CONTAINER, None).json()["data"][0]["bytes"] == BIG.size


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make a certificate with")
def test_over_tls_the_bytes_are_the_same_and_a_read_can_be_ended(tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=loopback"
    command = ["openssl", *made.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    service = FaultyService()
    service.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    service.tls.load_cert_chain(certificate, key)
    with service, connected(service.url.replace("http:", "https:")) as wire:
        file_id = hold(service)
        with wire.content(CONTAINER, file_id) as reply:
            assert hashlib.sha256(b"".join(reply.chunks)).hexdigest() == BIG.sha256()
        service.goes_wrong("content", Hang(1_000_000))
        assert_woken_by_closing(wire.content(CONTAINER, file_id))


ENCODED = gzip.compress(b"content", mtime=0)


@cases("head", {
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ncontent\r\n0\r\n\r\n",
    "encoded": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Encoding: gzip\r\n\r\n" % len(ENCODED) + ENCODED,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\ncontent",
})  # fmt: skip
def test_a_body_that_is_not_the_bytes_in_the_socket_is_read_by_the_transport(head, monkeypatch):
    monkeypatch.setattr(client, "LARGE_BYTES", 0)
    with sending(head) as url, connected(url) as wire, wire.content(CONTAINER, "cfile_1") as reply:
        assert b"".join(reply.chunks) == b"content"


def assert_woken_by_closing(reply):
    """A read that is under way in another thread ends when the reply is closed; ten seconds are the limit."""
    begun = threading.Event()

    def read_all():
        with contextlib.suppress(errors.Unreachable):
            for _ in reply.chunks:
                begun.set()

    reader = threading.Thread(target=read_all)
    reader.start()
    assert begun.wait(10)
    reply.close()
    reader.join(10)
    assert not reader.is_alive()


@pytest.mark.parametrize("large", [0, 1_000])
def test_closing_a_reply_ends_a_read_that_waits_for_its_bytes(large, monkeypatch):
    monkeypatch.setattr(client, "LARGE_BYTES", large)
    with sending(HEAD % 100 + b"begun") as url, connected(url, timeout_s=60) as wire:
        assert_woken_by_closing(wire.content(CONTAINER, "cfile_1"))


@pytest.mark.parametrize("size", [client.LARGE_BYTES - 1, client.LARGE_BYTES, 40_000_001])
def test_a_large_file_that_broke_on_the_way_is_whole_and_hashed_right(faulty, tmp_path, size):  # noqa: F811
    file_id = hold(faulty, Pattern(size))
    faulty.goes_wrong("content", Reset(size // 2))
    with connected(faulty.url) as wire, Downloads(wire, None, lambda: tmp_path, at_once=4) as downloads:
        (staged,) = downloads.fetch([ContainerFile(CONTAINER, file_id, "big.bin", "listed", size)])
    assert (staged.state, staged.received) == ("verified", size)
    with staged.path.open("rb") as file:
        assert staged.digest.hexdigest() == Pattern(size).sha256() == hashlib.file_digest(file, "sha256").hexdigest()
