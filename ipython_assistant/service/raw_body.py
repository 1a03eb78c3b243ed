"""A large body read from its socket, past the SDK's transport.

The transport cuts a body into pieces of 64 KB and copies each several times in Python: a gigabyte takes 2.6 times as
long as with curl, and 0.9 times as long by this room (`benchmarks/run.py fetch`). The SDK opens the response as ever
(authentication, proxies, TLS, status, headers); only the bytes still in the socket are taken from there. It is reached
by a public extension of the transport: https://www.python-httpx.org/advanced/extensions/#network_stream.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any


class RawBody:
    """The bytes of one open response, from its socket. Once asked for a byte, nothing else can read the body."""

    def __init__(self, response: Any, connection: socket.socket) -> None:
        self._chunks = response.iter_raw()  # kept to the end: an iterator that goes takes the connection with it
        self._connection = connection
        self._left = int(response.headers["content-length"])
        self._first: memoryview | None = None

    def read_into(self, room: memoryview) -> int:
        """Read at least one byte, and at most as many as fit; gives their number, 0 at the end. Raises `OSError`."""
        room = room[: self._left]
        if self._first is None:
            # What the transport has read with the headers, all at once; its buffer is empty after this.
            self._first = memoryview(next(self._chunks, b""))
        if self._first:
            count = min(len(room), len(self._first))
            room[:count] = self._first[:count]
            self._first = self._first[count:]
        else:
            count = self._connection.recv_into(room) if room else 0
        self._left -= count
        return count


def raw_body(response: Any) -> RawBody | None:
    """The body past the transport; None where something stands between the bytes in the socket and the body.

    It is right for HTTP/1.1 with a stated length and no encoding, and not for TLS inside TLS (to a proxy, and to the
    service within).
    """
    connection, headers = _socket(response), response.headers
    if connection is None or not headers.get("content-length", "").isdigit() or "transfer-encoding" in headers:
        return None
    if headers.get("content-encoding", "identity") != "identity":
        return None
    if isinstance(response.extensions["network_stream"].get_extra_info("ssl_object"), ssl.SSLObject):
        return None
    return RawBody(response, connection)


def cut(response: Any) -> None:
    """End the connection of a response that is not at its end, from any thread.

    Closing a socket does not wake a thread that waits for bytes from it: it would wait until its time-out.
    """
    connection = None if response.is_closed else _socket(response)
    if connection is not None:
        with contextlib.suppress(OSError):
            # Not the method of a TLS socket, which takes the encryption off while another thread reads.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _socket(response: Any) -> socket.socket | None:
    """The socket that is this response's alone; a transport of another make, or HTTP/2, has none."""
    stream = response.extensions.get("network_stream")
    if stream is None or response.extensions.get("http_version") != b"HTTP/1.1":
        return None
    found = stream.get_extra_info("socket")
    return found if isinstance(found, socket.socket) else None
