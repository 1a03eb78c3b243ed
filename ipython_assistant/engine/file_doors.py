"""The routes of files: uploads go to disk, and downloads come from disk, piece by piece."""

from __future__ import annotations

import os
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tornado import web

from ipython_assistant.engine import errors, parameters, wire
from ipython_assistant.engine.door import Door
from ipython_assistant.engine.errors import ApiError
from ipython_assistant.engine.folder import changed
from ipython_assistant.engine.form import Form

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK: Final = 256 * 1024


@web.stream_request_body
class Uploading(Door):
    """A route that takes a file."""

    _form: Form | None = None
    _refused: ApiError | None = None
    _taken = 0

    def prepare(self) -> None:
        """Make room for the body.

        Raises:
            ApiError: Whoever asks may not enter, or sends something that is no form.
        """
        super().prepare()
        if self.request.method == "POST":
            # The limit is ours to say, in words: tornado's would cut the connection.
            self.request.connection.set_max_body_size(sys.maxsize)  # type: ignore[union-attr] # HTTP/1 has a limit
            content_type = self.request.headers.get("Content-Type", "")
            self._form = Form(content_type, self.rooms.uploads.staging())

    def data_received(self, chunk: bytes) -> None:
        """Called by tornado with the next piece of the body."""
        self._taken += len(chunk)
        if self._taken > self.rooms.manners.upload_bytes and self._refused is None:
            self._refused = errors.too_large(self.rooms.manners.upload_bytes)
            self._discard()
        if self._form is not None and self._refused is None:
            try:
                self._form.feed(chunk)
            except ApiError as error:  # told when the body is over: raised here, it would only cut the connection
                self._refused = error

    def form(self) -> Form:
        """The form, complete.

        Raises:
            ApiError: The body was malformed.
        """
        if self._refused is not None:
            raise self._refused
        if self._form is None:
            raise errors.missing("file")
        self._form.close()
        return self._form

    def on_finish(self) -> None:
        """Called by tornado when the answer is out."""
        self._discard()

    def on_connection_close(self) -> None:
        """The client is gone."""
        super().on_connection_close()
        self._discard()

    def _discard(self) -> None:
        if self._form is not None:
            self._form.discard()


@web.stream_request_body
class ContainerFiles(Uploading):
    """The files of a container."""

    async def post(self, container_id: str) -> None:
        """Take a file in, from the body or from the Files API.

        Raises:
            ApiError: The container or the file cannot be used.
        """
        form = self.form()
        container = self.rooms.containers.live(container_id)
        if (reference := form.json()) is not None:
            upload = self.rooms.uploads.get(parameters.file_reference(reference))
            file = await container.copy_in(upload)
        else:
            file = container.add(*form.file())
        self.answer(wire.container_file(file))

    def get(self, container_id: str) -> None:
        """List them.

        Raises:
            ApiError: The container cannot be used.
        """
        files = self.rooms.containers.live(container_id).files()
        self.listing([wire.container_file(file) for file in files])


class OneContainerFile(Door):
    """A file of a container."""

    def get(self, container_id: str, file_id: str) -> None:
        """Describe it.

        Raises:
            ApiError: There is none.
        """
        self.answer(wire.container_file(self.rooms.containers.live(container_id).file(file_id)))

    def delete(self, container_id: str, file_id: str) -> None:
        """Delete it.

        Raises:
            ApiError: There is none.
        """
        self.rooms.containers.live(container_id).remove(file_id)
        self.answer(wire.deleted(file_id, "container.file.deleted"))


class Downloading(Door):
    """A route that gives a file."""

    async def send(self, descriptor: int, name: str, intact: Callable[[int], bool]) -> None:
        """Send an open file, or the range of it that was asked for, and close it.

        Args:
            descriptor: The file.
            name: What it is called.
            intact: Whether the file is still what it was when it was opened. If not, the connection is cut before the
                last piece: what was changed on the way must not look whole.
        """
        with os.fdopen(descriptor, "rb", buffering=0) as source:
            size = os.fstat(descriptor).st_size
            wanted = wire.byte_range(self.request.headers.get("Range", ""), size)
            if wanted is not None and not wanted:
                self.set_status(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.set_header("Content-Range", f"bytes */{size}")
                self.answer(errors.unsatisfiable_range().body())
                return
            for header, value in wire.content_headers(name).items():
                self.set_header(header, value)
            if wanted is not None:
                self.set_status(206)
                self.set_header("Content-Range", f"bytes {wanted.start}-{wanted.stop - 1}/{size}")
            left = size if wanted is None else len(wanted)
            self.set_header("Content-Length", left)
            source.seek(0 if wanted is None else wanted.start)
            while left:
                chunk = source.read(min(CHUNK, left))
                left -= len(chunk)
                if not chunk or (not left and not intact(descriptor)):
                    self.request.connection.stream.close()  # type: ignore[union-attr] # HTTP/1 has a stream
                    return
                self.write(chunk)
                await self.flush()


class ContainerFileContent(Downloading):
    """The content of a file of a container."""

    async def get(self, container_id: str, file_id: str) -> None:
        """Send it.

        Raises:
            ApiError: There is none, or this version of it is gone.
        """
        container = self.rooms.containers.live(container_id)
        file = container.file(file_id)
        await self.send(container.open(file), file.name, lambda descriptor: not changed(descriptor, file))


@web.stream_request_body
class Files(Uploading):
    """Files of the Files API."""

    def post(self) -> None:
        """Take a file in.

        Raises:
            ApiError: The form lacks something.
        """
        form = self.form()
        staged, filename = form.file()
        if "purpose" not in form.fields:
            raise errors.missing("purpose")
        self.answer(wire.upload(self.rooms.uploads.add(staged, filename, form.fields["purpose"])))

    def get(self) -> None:
        """List them."""
        purpose = self.get_query_argument("purpose", None)
        files = self.rooms.uploads.all()
        rows = [wire.upload(file) for file in files if purpose is None or file.purpose == purpose]
        self.listing(rows, maximum=10_000, default=10_000)


class OneFile(Door):
    """A file of the Files API."""

    def get(self, file_id: str) -> None:
        """Describe it.

        Raises:
            ApiError: There is none.
        """
        self.answer(wire.upload(self.rooms.uploads.get(file_id)))

    def delete(self, file_id: str) -> None:
        """Delete it.

        Raises:
            ApiError: There is none.
        """
        self.rooms.uploads.remove(file_id)
        self.answer(wire.deleted(file_id, "file"))


class FileContent(Downloading):
    """The content of a file of the Files API."""

    async def get(self, file_id: str) -> None:
        """Send it.

        Raises:
            ApiError: There is none.
        """
        upload = self.rooms.uploads.get(file_id)
        await self.send(os.open(upload.path, os.O_RDONLY), upload.filename, lambda _: True)
