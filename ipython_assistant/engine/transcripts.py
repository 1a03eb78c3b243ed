"""Responses that can be asked for, or continued, later. Bodies lie on disk, since they may hold pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine import errors

if TYPE_CHECKING:
    from pathlib import Path

    from ipython_assistant.engine.models import ChatMessage

MOST_RESPONSES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a later response continues from.

    Args:
        own: Its messages: the question's and the answer.
        container_id: Where its code ran, if any could.
        before: What it continued from itself.
    """

    own: tuple[ChatMessage, ...]
    container_id: str | None
    before: Transcript | None = None

    @property
    def said(self) -> tuple[ChatMessage, ...]:
        """All messages up to and with the answer."""
        turns: list[tuple[ChatMessage, ...]] = []
        turn: Transcript | None = self
        while turn is not None:
            turns.append(turn.own)
            turn = turn.before
        return tuple(message for own in reversed(turns) for message in own)


class Transcripts:
    """All stored responses.

    Args:
        directory: A private directory.
        most: How many are kept; the oldest is forgotten for a new one.
    """

    def __init__(self, directory: Path, *, most: int = MOST_RESPONSES) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._most = most
        self._transcripts: dict[str, Transcript] = {}

    def put(self, body: dict[str, Any], transcript: Transcript) -> None:
        """Store a finished response."""
        if len(self._transcripts) >= self._most:
            self.remove(next(iter(self._transcripts)))
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
