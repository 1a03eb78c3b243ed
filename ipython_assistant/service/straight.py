"""A large body straight from its socket, past the SDK's transport.

The transport cuts a body in pieces of 64 KB and copies each several times in Python: for a gigabyte that costs more
than a fast network, a disk and SHA-256 together. So the SDK opens the response as ever (authentication, proxies, TLS,
status and headers are its own), and only the bytes that are still in the socket are read from there, into the reader's
memory. The socket is reached by a public extension of the transport: https://www.python-httpx.org/advanced/extensions/
#network_stream.

That is right only where nothing stands between the bytes in the socket and the body: HTTP/1.1, a stated length, no
encoding of either kind. Anything else gives None and comes the ordinary way.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def straight(response: Any) -> Callable[[memoryview], int] | None:
    """What reads the body of an open response whose bytes nobody has asked for; None where there is no such way.

    Args:
        response: The HTTP client's own response.

    Returns:
        A function for one thread at a time: it reads at least one byte and at most as many as fit, and gives their
        number, 0 at the end. It raises `OSError`, and what the HTTP client raises. Once it was called, nothing else can
        read the body, and the connection is of no further use.
    """
    connection, length = _socket(response), response.headers.get("content-length", "")
    if connection is None or not length.isdigit() or "transfer-encoding" in response.headers:
        return None
    if response.headers.get("content-encoding", "identity") != "identity":
        return None
    if isinstance(response.extensions["network_stream"].get_extra_info("ssl_object"), ssl.SSLObject):
        return None  # TLS to a proxy, and TLS to the service within: what is in the socket is encrypted once more
    return _Body(response, connection, int(length)).read_into


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


class _Body:
    """The bytes of one body: first what the transport has read with the headers, then the socket's."""

    def __init__(self, response: Any, connection: socket.socket, length: int) -> None:
        # Kept to the end: an iterator that goes takes the connection with it.
        self._chunks = response.iter_raw()
        self._first: memoryview | None = None
        self._left = length
        # A TLS socket whose encryption was taken off meanwhile would give encrypted bytes here; its `read` raises.
        self._receive: Callable[[memoryview], int] = (
            (lambda room: _decrypted(connection, room))
            if isinstance(connection, ssl.SSLSocket)
            else connection.recv_into
        )

    def read_into(self, target: memoryview) -> int:
        room = target[: self._left]
        if self._first is None:
            # The transport gives all it has at once, and reads once if it has nothing: its buffer is empty after this.
            self._first = memoryview(next(self._chunks, b""))
        if self._first:
            count = min(len(room), len(self._first))
            room[:count] = self._first[:count]
            self._first = self._first[count:]
        else:
            count = self._receive(room) if room else 0
        self._left -= count
        return count


def _decrypted(connection: ssl.SSLSocket, room: memoryview) -> int:
    read: Any = connection.read  # its type knows only of a bytearray
    try:
        count: int = read(len(room), room)
    except ValueError as error:
        raise ConnectionAbortedError(str(error)) from error
    return count
