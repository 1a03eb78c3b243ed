"""Files that clients send: how they are read as they arrive, and those of the Files API, which wait for a container."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, parse_options_header

from ipython_assistant.engine import refusals
from ipython_assistant.engine.container_folder import base_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from python_multipart.multipart import Field, File


class UploadForm:
    """A `multipart/form-data` body with one file, taken piece by piece. What is malformed raises ApiError.

    Args:
        content_type: The request's `Content-Type`.
        staging: A new directory for the file; `discard` deletes it.
    """

    def __init__(self, content_type: str, staging: Path) -> None:
        self.fields: dict[str, str] = {}
        self._staging = staging
        self._files: list[tuple[Path, str]] = []
        self._ended = False
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise refusals.bad_upload("multipart/form-data with a boundary is expected")
        config = {"UPLOAD_DIR": str(staging), "UPLOAD_DELETE_TMP": False, "MAX_MEMORY_FILE_SIZE": 0}
        self._parser = FormParser(
            kind.decode(), self._keep_field, self._keep_file, self._end, boundary=options[b"boundary"], config=config
        )

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise refusals.bad_upload(str(error).rstrip(".")) from error

    def file(self) -> tuple[Path, str]:
        """Where the file is, and the name it came under, when the body is over."""
        if not self._ended:
            raise refusals.bad_upload("the body ends before its closing boundary")
        if not self._files:
            raise refusals.missing_parameter("file")
        if len(self._files) > 1:
            raise refusals.bad_upload("it holds two files")
        return self._files[0]

    def discard(self) -> None:
        """Delete what was not moved away. Safe to call at any time, more than once."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def _keep_field(self, field: Field) -> None:
        self.fields[_text(field.field_name)] = _text(field.value)

    def _keep_file(self, file: File) -> None:
        if file.in_memory:  # an empty one
            file.flush_to_disk()
        file.close()
        if _text(file.field_name) == "file":
            self._files.append((Path(os.fsdecode(file.actual_file_name or b"")), _text(file.file_name)))

    def _end(self) -> None:
        self._ended = True


@dataclass(frozen=True, slots=True)
class EngineUpload:
    """One file of the Files API; `created_at` is in seconds since the epoch, `path` is where its content is."""

    id: str
    filename: str
    purpose: str
    size_bytes: int
    created_at: int
    path: Path


class UploadStore:
    """All files of the Files API, which live as long as the engine, and the directory in which files arrive."""

    def __init__(self, directory: Path, *, mint: Callable[[str], str], clock: Callable[[], float]) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._mint = mint
        self._clock = clock
        self._uploads: dict[str, EngineUpload] = {}

    def staging(self) -> Path:
        """A new directory to write an incoming file to, for container files too; the caller deletes it."""
        return Path(tempfile.mkdtemp(prefix="part", dir=self._directory))

    def add(self, staged: Path, filename: str, purpose: str) -> EngineUpload:
        """Keep a file that was written to a `staging` directory. Raises ApiError if the name cannot be used."""
        name, upload_id = base_name(filename), self._mint("file-")
        path = staged.replace(self._directory / upload_id)
        upload = EngineUpload(upload_id, name, purpose, path.stat().st_size, int(self._clock()), path)
        self._uploads[upload_id] = upload
        return upload

    def all(self) -> tuple[EngineUpload, ...]:
        """Every file, oldest first."""
        return tuple(self._uploads.values())

    def get(self, file_id: str) -> EngineUpload:
        """The file of this id. Raises ApiError if there is none."""
        if file_id not in self._uploads:
            raise refusals.ApiError(404, f"No such File object: {file_id}", param="id")
        return self._uploads[file_id]

    def remove(self, file_id: str) -> None:
        """Delete a file; copies in containers stay. Raises ApiError if there is none."""
        self.get(file_id).path.unlink(missing_ok=True)
        del self._uploads[file_id]


def _text(value: Any) -> str:
    """As text; browsers and HTTP clients send these three characters of a name encoded."""
    text = (value or b"").decode("utf-8", "replace")
    return str(text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n"))
