"""Reads a `multipart/form-data` body piece by piece: bytes in, parts out, nothing kept but a boundary's length.

Pure: no sockets, no files. RFC 7578, with the percent-encoding of quotes that browsers and HTTP clients use in names
(https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data).
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HEADERS: Final = 16 * 1024
"""Bytes of headers one part may have."""


class MultipartError(ValueError):
    """The body is not what its content type says; the message says how."""


@dataclass(frozen=True, slots=True)
class PartBegan:
    """A field begins. `filename` is None for a plain field."""

    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class PartContent:
    """Some bytes of the field that began last; never empty."""

    content: bytes


@dataclass(frozen=True, slots=True)
class PartEnded:
    """The field that began last is complete."""


Event = PartBegan | PartContent | PartEnded


class _State(Enum):
    PREAMBLE = auto()
    AFTER_BOUNDARY = auto()
    HEADERS = auto()
    CONTENT = auto()
    END = auto()


class MultipartReader:
    """A reader for one body.

    Args:
        content_type: The request's `Content-Type`.

    Raises:
        MultipartError: It is not multipart/form-data or has no boundary.
    """

    def __init__(self, content_type: str) -> None:
        header = Message()
        header["Content-Type"] = content_type
        boundary = header.get_param("boundary")
        if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
            raise MultipartError("multipart/form-data with a boundary is expected")
        self._delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
        self._state = _State.PREAMBLE
        # The first boundary stands at the very start, without the line end that is part of all others.
        self._buffer = bytearray(b"\r\n")

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes and yield what they complete.

        Raises:
            MultipartError: The body is malformed.
        """
        self._buffer += chunk
        progressing = True
        while progressing:
            before = (self._state, len(self._buffer))
            match self._state:
                case _State.PREAMBLE:
                    self._skip_preamble()
                case _State.AFTER_BOUNDARY:
                    self._after_boundary()
                case _State.HEADERS:
                    yield from self._headers()
                case _State.CONTENT:
                    yield from self._content()
                case _State.END:
                    self._buffer.clear()
            progressing = (self._state, len(self._buffer)) != before and bool(self._buffer)

    def close(self) -> None:
        """Say that the body has ended.

        Raises:
            MultipartError: It ended before its closing boundary.
        """
        if self._state is not _State.END:
            raise MultipartError("the body ends before its closing boundary")

    def _skip_preamble(self) -> None:
        found = self._buffer.find(self._delimiter)
        if found >= 0:
            del self._buffer[: found + len(self._delimiter)]
            self._state = _State.AFTER_BOUNDARY
        else:
            del self._buffer[: max(0, len(self._buffer) - len(self._delimiter) + 1)]

    def _after_boundary(self) -> None:
        if self._buffer.startswith(b"--"):
            self._state = _State.END
            return
        line_end = self._buffer.find(b"\r\n")
        if line_end >= 0:
            if self._buffer[:line_end].strip(b" \t"):
                raise MultipartError("a boundary is followed by something else than a line end")
            del self._buffer[:line_end]  # the line end stays: it stands before the first header
            self._state = _State.HEADERS
        elif len(self._buffer) > MAX_HEADERS:
            raise MultipartError("a boundary line does not end")

    def _headers(self) -> Iterator[Event]:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEADERS:
                raise MultipartError("the headers of a part are too long")
            return
        header = self._buffer[:end].decode("utf-8", "replace")
        del self._buffer[: end + 4]
        self._state = _State.CONTENT
        yield _began(header)

    def _content(self) -> Iterator[Event]:
        found = self._buffer.find(self._delimiter)
        end = found if found >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        if end:
            content = bytes(self._buffer[:end])
            del self._buffer[:end]
            yield PartContent(content)
        if found >= 0:
            del self._buffer[: len(self._delimiter)]
            self._state = _State.AFTER_BOUNDARY
            yield PartEnded()


def _began(header_block: str) -> PartBegan:
    header = Message()
    for line in header_block.split("\r\n"):
        key, colon, value = line.partition(":")
        if colon and key.strip().lower() == "content-disposition":
            header["Content-Disposition"] = value.strip()
    name = header.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise MultipartError("a part has no name")
    filename = header.get_filename()
    return PartBegan(_unquoted(name), None if filename is None else _unquoted(filename))


def _unquoted(name: str) -> str:
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
