"""An incoming body with one file and a few fields: the file goes to disk as it arrives, the fields are kept."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Final

from ipython_assistant.engine import errors
from ipython_assistant.engine.multipart import MultipartError, MultipartReader, PartBegan, PartContent, PartEnded

if TYPE_CHECKING:
    from pathlib import Path

MAX_FIELDS: Final = 1024 * 1024
"""Bytes that everything but the file may have."""


class Form:
    """Takes a body piece by piece.

    Args:
        content_type: The request's `Content-Type`: multipart/form-data, or JSON for a form without a file.
        staged: Where the file is written. Move it away from there before `discard`.

    Raises:
        ApiError: The content type is neither.
    """

    def __init__(self, content_type: str, staged: Path) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._staged = staged
        self._file: IO[bytes] | None = None
        self._field = ""
        self._plain = bytearray()
        self._size = 0
        self._reader: MultipartReader | None = None
        if not content_type.startswith("application/json"):
            try:
                self._reader = MultipartReader(content_type)
            except MultipartError as error:
                raise errors.bad_upload(str(error)) from error

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            ApiError: The body is malformed, has two files, or its fields are too long.
        """
        if self._reader is None:
            self._keep(chunk)
            return
        try:
            for event in self._reader.feed(chunk):
                match event:
                    case PartBegan(name, filename):
                        self._begin(name, filename)
                    case PartContent(content) if self._file:
                        self._file.write(content)
                    case PartContent(content):
                        self._keep(content)
                    case PartEnded():
                        self._end()
        except MultipartError as error:
            raise errors.bad_upload(str(error)) from error

    def close(self) -> None:
        """Say that the body has ended.

        Raises:
            ApiError: It ended too early.
        """
        if self._reader is not None:
            try:
                self._reader.close()
            except MultipartError as error:
                raise errors.bad_upload(str(error)) from error

    def json(self) -> object:
        """The JSON form, or None where the body is multipart.

        Raises:
            ApiError: It is not JSON.
        """
        if self._reader is not None:
            return None
        try:
            parsed: object = json.loads(bytes(self._plain))
        except (ValueError, RecursionError):  # nested without end
            raise errors.not_json() from None
        return parsed

    def file(self) -> tuple[Path, str]:
        """Where the file is, and the name it came under.

        Raises:
            ApiError: There is none.
        """
        if self.filename is None:
            raise errors.missing("file")
        return self._staged, self.filename

    def discard(self) -> None:
        """Delete what is still where it was written. Safe to call at any time, more than once."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._staged.unlink(missing_ok=True)

    def _begin(self, name: str, filename: str | None) -> None:
        self._field = name
        if name == "file":
            if self.filename is not None:
                raise errors.bad_upload("it holds two files")
            self.filename = filename or "upload"
            self._file = self._staged.open("wb")

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        else:
            self.fields[self._field] = self._plain.decode("utf-8", "replace")
            self._plain.clear()

    def _keep(self, content: bytes) -> None:
        self._size += len(content)
        if self._size > MAX_FIELDS:
            raise errors.bad_upload("its fields are too long")
        self._plain += content
