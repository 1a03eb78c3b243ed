"""HTTP servers on loopback that a test steers, and how to wait for one that is a process of its own."""

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Self


def free_port() -> int:
    """A port of loopback that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


def wait_until_it_answers(url: str, process: subprocess.Popen[Any], log: Path, token: str = "") -> None:
    """Wait until the server that this process runs answers at its address; raises with its log where it ends."""
    deadline = time.monotonic() + 240
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"} if token else {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(request, timeout=5):
                return
        except OSError as error:
            # JupyterHub's proxy says 404 until the hub has told it where things are.
            if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 404:
                raise
            # There is no event to wait for before the port is open.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
    raise RuntimeError(f"It did not start:\n{log.read_text(errors='replace')[-4000:]}")


class Door(BaseHTTPRequestHandler):
    """What the requests of such a server have in common."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def owner(self) -> Any:
        """What the test steers."""
        return self.server.owner

    def do_GET(self) -> None:
        self.respond()

    do_POST = do_DELETE = do_HEAD = do_CONNECT = do_GET

    def respond(self) -> None:
        """Answer one request, of whatever method."""
        raise NotImplementedError

    def log_message(self, *_args: object) -> None:
        pass

    def read_body(self) -> bytes:
        """The body of the request, whole or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def begin(self, status: int, headers: Mapping[str, str], length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.begin(status, headers, len(body))
        self.wfile.write(body)


class Loopback:
    """A server that runs as long as its `with` block, on a free port, one thread a connection."""

    door: ClassVar[type[Door]]
    base: ClassVar[str] = "/v1"
    tls: ssl.SSLContext | None = None

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), self.door)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._server.owner = self  # type: ignore[attr-defined] a request asks for it
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}{self.base}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news; anything else is a fault of the test's own."""
        if not isinstance(sys.exception(), OSError | ValueError):
            super().handle_error(request, client_address)
