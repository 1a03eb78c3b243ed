"""The files that clients send and fetch: uploads go to disk, and downloads come from disk, piece by piece.

As in `handlers`, each is a function that may raise `ApiError`; what gives a file returns the open file.
"""

from __future__ import annotations

import mimetypes
import os
import re
import shutil
import sys
import tempfile
import urllib.parse
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, parse_options_header

from ipython_assistant.engine import shapes
from ipython_assistant.engine.container_folder import base_name
from ipython_assistant.engine.handlers import BaseHandler, JsonHandler
from ipython_assistant.engine.response_request import RequestFields
from ipython_assistant.engine.shapes import ApiError

if TYPE_CHECKING:
    from python_multipart.multipart import Field, File

    from ipython_assistant.engine.container import KernelContainer
    from ipython_assistant.engine.container_folder import FileVersion
    from ipython_assistant.engine.shapes import IdMint, Json

CHUNK: Final = 256 * 1024


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

    def __init__(self, directory: Path, mint: IdMint) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._mint = mint
        self._uploads: dict[str, EngineUpload] = {}

    def staging(self) -> Path:
        """A new directory to write an incoming file to, for container files too; the caller deletes it."""
        return Path(tempfile.mkdtemp(prefix="part", dir=self._directory))

    def add(self, staged: Path, filename: str, purpose: str) -> EngineUpload:
        """Keep a file that was written to a `staging` directory. Raises ApiError if the name cannot be used."""
        name, upload_id = base_name(filename), self._mint("file-")
        path = staged.replace(self._directory / upload_id)
        upload = EngineUpload(upload_id, name, purpose, path.stat().st_size, self._mint.now(), path)
        self._uploads[upload_id] = upload
        return upload

    def get(self, file_id: str) -> EngineUpload:
        """The file of this id. Raises ApiError if it does not exist."""
        if file_id not in self._uploads:
            raise ApiError(404, f"No such File object: {shapes.shortened(file_id)}", param="id")
        return self._uploads[file_id]

    def remove(self, file_id: str) -> None:
        """Delete a file; copies in containers stay. Raises ApiError if it does not exist."""
        self.get(file_id).path.unlink(missing_ok=True)
        del self._uploads[file_id]


class UploadHandler(JsonHandler):
    """A route that may take a file, as the only one of a `multipart/form-data` body, which goes to disk as it comes."""

    _parser: FormParser | None = None
    _staging: Path | None = None
    _refused: ApiError | None = None
    _received = 0
    _ended = False

    def prepare(self) -> None:
        """Make room for a form, if there is one; raises ApiError as `BaseHandler` does, and for other forms."""
        super().prepare()
        kind, options = parse_options_header(self.request.headers.get("Content-Type", ""))
        if self.request.method != "POST" or kind == b"application/json":
            return
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise shapes.bad_upload("multipart/form-data with a boundary is expected")
        # The limit is ours to say, in words: tornado's would cut the connection.
        self.request.connection.set_max_body_size(sys.maxsize)  # type: ignore[union-attr] # HTTP/1 has a limit
        self._fields: dict[str, str] = {}
        self._files: list[tuple[Path, str]] = []
        self._staging = self.parts.uploads.staging()
        config = {"UPLOAD_DIR": str(self._staging), "UPLOAD_DELETE_TMP": False, "MAX_MEMORY_FILE_SIZE": 0}
        to = (self._keep_field, self._keep_file, self._end)
        self._parser = FormParser(kind.decode(), *to, boundary=options[b"boundary"], config=config)

    def data_received(self, chunk: bytes) -> None:
        """Called by tornado with the next piece of the body.

        A refusal is sent when the body is over: raised here, it would only cut the connection.
        """
        if self._parser is None:
            super().data_received(chunk)
            return
        self._received += len(chunk)
        if self._refused is None and self._received > self.parts.upload_bytes:
            message = f"The file is too large: at most {self.parts.upload_bytes:,} bytes are taken."
            self._refused = ApiError(413, message, param="file", code="file_too_large")
            self.on_finish()
        if self._refused is None:
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                self._refused = shapes.bad_upload(str(error).rstrip("."))

    def form(self) -> tuple[Path, str, dict[str, str]] | None:
        """Where the file is, the name it came under, and the other fields; None where the body is JSON.

        Raises:
            ApiError: The form was malformed, too large, or has no file, or more than one.
        """
        if self._parser is None:
            return None
        if self._refused is not None:
            raise self._refused
        if not self._ended or len(self._files) != 1:
            raise shapes.bad_upload("a whole form with one file is expected")
        return (*self._files[0], self._fields)

    def on_finish(self) -> None:
        """Called by tornado when the answer is out: what was not moved away is deleted."""
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)

    def on_connection_close(self) -> None:
        """The client is gone."""
        super().on_connection_close()
        self.on_finish()

    def _keep_field(self, field: Field) -> None:
        self._fields[_text(field.field_name)] = _text(field.value)

    def _keep_file(self, file: File) -> None:
        if file.in_memory:  # an empty one
            file.flush_to_disk()
        file.close()
        if _text(file.field_name) == "file":
            self._files.append((Path(os.fsdecode(file.actual_file_name or b"")), _text(file.file_name)))

    def _end(self) -> None:
        self._ended = True


class DownloadHandler(JsonHandler):
    """A route that gives a file, from its beginning or from where a client was cut off."""

    async def respond(self, answer: Any) -> None:
        """Send an open file. If it has changed meanwhile, the connection is cut before the last piece.

        Of ranges the open-ended one is heeded, `bytes=N-`; others get the whole file (RFC 9110, section 14.2).
        """
        descriptor, file = answer
        with os.fdopen(descriptor, "rb", buffering=0) as source:
            size = os.fstat(descriptor).st_size
            found = re.fullmatch(r"bytes=(\d{1,18})-", self.request.headers.get("Range", ""))
            start = int(found[1]) if found and int(found[1]) < size else 0
            if start:
                self.set_status(HTTPStatus.PARTIAL_CONTENT)
                self.set_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
                source.seek(start)
            kind, encoding = mimetypes.guess_type(file.name)
            quoted = urllib.parse.quote(file.name.rpartition("/")[2].encode("utf-8", "replace"), safe="")
            self.set_header("Content-Type", kind if kind and not encoding else "application/octet-stream")
            self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quoted}")
            self.set_header("X-Content-Type-Options", "nosniff")
            self.set_header("Accept-Ranges", "bytes")
            self.set_header("Content-Length", size - start)
            left = size - start
            while left:
                chunk = source.read(min(CHUNK, left))
                left -= len(chunk)
                if not chunk or (not left and not file.unchanged(descriptor)):
                    self.request.connection.stream.close()  # type: ignore[union-attr] # HTTP/1 has a stream
                    return
                self.write(chunk)
                await self.flush()


async def add_container_file(handler: UploadHandler, container_id: str) -> Json:
    """Take a file in, from the body or from the Files API."""
    form, container = handler.form(), _used(handler, container_id)
    if form is None:
        file_id = RequestFields(handler.json(), known=frozenset({"file_id"})).required("file_id", str)
        return shapes.container_file_row(await container.copy_in(handler.parts.uploads.get(file_id)))
    staged, name, _ = form
    return shapes.container_file_row(await container.add(staged, name))


async def list_container_files(handler: BaseHandler, container_id: str) -> Json:
    """The files of a container; a page behind the first is one of the listing as the first page found it."""
    folder = _used(handler, container_id).folder
    if handler.get_query_argument("after", None) is None:
        await folder.scan()
    return handler.page(map(shapes.container_file_row, folder.files()))


def get_container_file(handler: BaseHandler, container_id: str, file_id: str) -> Json:
    """A file of a container."""
    return shapes.container_file_row(_used(handler, container_id).folder.file(file_id))


def container_content(handler: BaseHandler, container_id: str, file_id: str) -> tuple[int, FileVersion]:
    """A file of a container, open, and what it was when it was opened."""
    folder = _used(handler, container_id).folder
    file = folder.file(file_id)
    return folder.open(file), file


def add_file(handler: UploadHandler) -> Json:
    """Take a file into the Files API."""
    if (form := handler.form()) is None:
        raise shapes.bad_upload("multipart/form-data with a boundary is expected")
    staged, name, fields = form
    return shapes.upload_row(handler.parts.uploads.add(staged, name, fields.get("purpose", "user_data")))


def get_file(handler: BaseHandler, file_id: str) -> Json:
    """A file of the Files API."""
    return shapes.upload_row(handler.parts.uploads.get(file_id))


def delete_file(handler: BaseHandler, file_id: str) -> Json:
    """Delete a file of the Files API."""
    handler.parts.uploads.remove(file_id)
    return shapes.deletion(file_id, "file")


def _used(handler: BaseHandler, container_id: str) -> KernelContainer:
    """A living container, whose use this is."""
    container = handler.parts.containers.live(container_id)
    container.touch()
    return container


def _text(value: Any) -> str:
    """As text; browsers and HTTP clients send these three characters of a name encoded."""
    text = (value or b"").decode("utf-8", "replace")
    return str(text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n"))
