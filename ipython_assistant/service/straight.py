"""A large body straight from its socket, past the SDK's transport.

The transport cuts a body in pieces of 64 KB and copies each several times in Python: for a gigabyte that costs more
than a fast network, a disk and SHA-256 together. So the SDK opens the response as ever (authentication, proxies, TLS,
status and headers are its own), and only the bytes that are still in the socket are taken from there: into the reader's
memory, or, where they are not encrypted and the system can, into a pipe. The socket is reached by a public extension of
the transport: https://www.python-httpx.org/advanced/extensions/#network_stream.

That is right only where nothing stands between the bytes in the socket and the body: HTTP/1.1, a stated length, no
encoding of either kind. Anything else gives None and comes the ordinary way.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipython_assistant.service.pouring import Pour

AT_FIRST_BYTES = 4096
"""So much goes into any empty pipe at once (POSIX's PIPE_BUF on Linux)."""


def straight(response: Any) -> Body | None:
    """The body of an open response whose bytes nobody has asked for; None where there is no way past the transport.

    Args:
        response: The HTTP client's own response.
    """
    connection, length = _socket(response), response.headers.get("content-length", "")
    if connection is None or not length.isdigit() or "transfer-encoding" in response.headers:
        return None
    if response.headers.get("content-encoding", "identity") != "identity":
        return None
    if isinstance(response.extensions["network_stream"].get_extra_info("ssl_object"), ssl.SSLObject):
        return None  # TLS to a proxy, and TLS to the service within: what is in the socket is encrypted once more
    return Body(response, connection, int(length))


def cut(response: Any) -> None:
    """End the connection of a response that is not at its end, from any thread.

    Closing a socket does not wake who waits for bytes from it: that thread would stay until its time was out.
    """
    connection = None if response.is_closed else _socket(response)
    if connection is not None:
        with contextlib.suppress(OSError):
            # Not the method of a TLS socket: it takes the encryption off, under the hands of whoever reads.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _socket(response: Any) -> socket.socket | None:
    """The socket that is this response's alone; a transport of another make, or HTTP/2, has none."""
    stream = response.extensions.get("network_stream")
    if stream is None or response.extensions.get("http_version") != b"HTTP/1.1":
        return None
    found = stream.get_extra_info("socket")
    return found if isinstance(found, socket.socket) else None


class Body:
    """The bytes of one body: first what the transport has read with the headers, then the socket's.

    It is for one thread at a time. Once it was asked for a byte, nothing else can read the body, and the connection is
    of no further use. Both ways raise `OSError`, and what the HTTP client raises.
    """

    def __init__(self, response: Any, connection: socket.socket, length: int) -> None:
        # Kept to the end: an iterator that goes takes the connection with it.
        self._chunks = response.iter_raw()
        self._first: memoryview | None = None
        self._left = length
        self._connection = connection
        # A TLS socket whose encryption was taken off meanwhile would give encrypted bytes here; its `read` raises.
        self._receive: Callable[[memoryview], int] = (
            (lambda room: _decrypted(connection, room))
            if isinstance(connection, ssl.SSLSocket)
            else connection.recv_into
        )

    @property
    def pours(self) -> bool:
        """Whether `pouring` can be used: what is in the socket is the body itself, and the system moves it."""
        return sys.platform == "linux" and not isinstance(self._connection, ssl.SSLSocket)

    def read_into(self, target: memoryview) -> int:
        """Read at least one byte, and at most as many as fit; gives their number, 0 at the end."""
        room = target[: self._left]
        first = self._with_the_head()
        if first:
            count = min(len(room), len(first))
            room[:count] = first[:count]
            self._first = first[count:]
        else:
            count = self._receive(room) if room else 0
        self._left -= count
        return count

    @contextlib.contextmanager
    def pouring(self) -> Iterator[Pour]:
        """Move the body into a pipe; for as long as the block lasts, on a descriptor of its own.

        Another thread may close the connection at any time, and the number of its descriptor may be another file's by
        the next call.
        """
        with self._connection.dup() as connection:
            yield lambda pipe, most: self._pour(connection, pipe, min(most, self._left))

    def _pour(self, connection: socket.socket, pipe: int, most: int) -> int:
        first = self._with_the_head()
        if first:
            count = os.write(pipe, first[: min(most, AT_FIRST_BYTES)])
            self._first = first[count:]
        else:
            count = _spliced(connection, pipe, most) if most else 0
        self._left -= count
        return count

    def _with_the_head(self) -> memoryview:
        """What came with the headers and was not taken yet."""
        if self._first is None:
            # The transport gives all it has at once, and reads once if it has nothing: its buffer is empty after this.
            self._first = memoryview(next(self._chunks, b""))
        return self._first


def _spliced(connection: socket.socket, pipe: int, most: int) -> int:
    """What is there, at most so many bytes; waits for it as long as the socket would."""
    if sys.platform != "linux":
        raise NotImplementedError("Bytes are moved on Linux alone.")
    timeout_s = connection.gettimeout()
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    while True:
        # A socket with a time-out does not wait by itself.
        with contextlib.suppress(BlockingIOError):
            return os.splice(connection.fileno(), pipe, most)
        if not waiting.poll(None if timeout_s is None else timeout_s * 1000):
            raise TimeoutError("timed out")


def _decrypted(connection: ssl.SSLSocket, room: memoryview) -> int:
    read: Any = connection.read  # its type knows only of a bytearray
    try:
        count: int = read(len(room), room)
    except ValueError as error:
        raise ConnectionAbortedError(str(error)) from error
    return count
