"""Responses that can be asked for, or continued, later. Bodies lie on disk, since they may hold pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipython_assistant.engine import errors

if TYPE_CHECKING:
    from pathlib import Path

    from ipython_assistant.engine.models import Said


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a later response continues from.

    Args:
        said: All messages up to and with the answer.
        container_id: Where its code ran, if any could.
    """

    said: tuple[Said, ...]
    container_id: str | None


class Transcripts:
    """All stored responses.

    Args:
        directory: A private directory.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._transcripts: dict[str, Transcript] = {}

    def put(self, body: dict[str, Any], transcript: Transcript) -> None:
        """Store a finished response."""
        self._path(body["id"]).write_text(json.dumps(body))
        self._transcripts[body["id"]] = transcript

    def find(self, response_id: str) -> Transcript | None:
        """What the response of this id said, or None if it is not stored."""
        return self._transcripts.get(response_id)

    def body(self, response_id: str) -> dict[str, Any]:
        """The response of this id.

        Raises:
            ApiError: It is not stored.
        """
        if response_id not in self._transcripts:
            raise errors.response_not_found(response_id)
        body: dict[str, Any] = json.loads(self._path(response_id).read_text())
        return body

    def remove(self, response_id: str) -> None:
        """Forget a response.

        Raises:
            ApiError: It is not stored.
        """
        if self._transcripts.pop(response_id, None) is None:
            raise errors.response_not_found(response_id)
        self._path(response_id).unlink(missing_ok=True)

    def _path(self, response_id: str) -> Path:
        return self._directory / f"{response_id}.json"
