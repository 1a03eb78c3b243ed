"""The Files API's files: uploaded once, copied into containers by id. They live as long as the engine."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipython_assistant.engine import errors
from ipython_assistant.engine.folder import base_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Upload:
    """One file.

    Args:
        id: `file-...`.
        filename: The name it was uploaded under.
        purpose: What the client said it was for.
        size: Bytes.
        created_at: Seconds since the epoch.
        path: Where its content is.
    """

    id: str
    filename: str
    purpose: str
    size: int
    created_at: int
    path: Path


class Uploads:
    """All files of the Files API.

    Args:
        directory: A private directory on the containers' file system.
        mint: Makes ids.
        clock: Seconds since the epoch.
    """

    def __init__(self, directory: Path, *, mint: Callable[[str], str], clock: Callable[[], float]) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._mint = mint
        self._clock = clock
        self._uploads: dict[str, Upload] = {}
        self._counter = itertools.count(1)

    def staging(self) -> Path:
        """A new path to write an incoming file to, for container files too; move it from there or delete it."""
        return self._directory / f"{next(self._counter)}.part"

    def add(self, staged: Path, filename: str, purpose: str) -> Upload:
        """Keep a file that has been written to a `staging` path.

        Raises:
            ApiError: The name cannot be used.
        """
        name = base_name(filename)
        upload_id = self._mint("file-")
        path = staged.replace(self._directory / upload_id)
        upload = Upload(upload_id, name, purpose, path.stat().st_size, int(self._clock()), path)
        self._uploads[upload_id] = upload
        return upload

    def all(self) -> tuple[Upload, ...]:
        """Every file, oldest first."""
        return tuple(self._uploads.values())

    def get(self, file_id: str) -> Upload:
        """The file of this id.

        Raises:
            ApiError: There is none.
        """
        try:
            return self._uploads[file_id]
        except KeyError:
            raise errors.file_not_found(file_id) from None

    def remove(self, file_id: str) -> None:
        """Delete a file; copies in containers stay.

        Raises:
            ApiError: There is none.
        """
        self.get(file_id).path.unlink(missing_ok=True)
        del self._uploads[file_id]
