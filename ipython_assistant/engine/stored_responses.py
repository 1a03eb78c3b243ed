"""Responses that can be asked for, or continued, later. Bodies lie on disk, since they may hold pictures."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine import refusals, shapes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ipython_assistant.engine.models import ChatMessage
    from ipython_assistant.engine.shapes import Json

MOST_RESPONSES: Final = 10_000
"""How many stored responses are kept; the oldest is forgotten for a new one."""


@dataclass(frozen=True, slots=True)
class PastTurn:
    """What a later response continues from.

    Args:
        own: Its messages: the question's and the answer.
        container_id: Where its code ran, if any could.
        before: What it continued from itself.
    """

    own: tuple[ChatMessage, ...]
    container_id: str | None
    before: PastTurn | None = None

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """All messages up to and with the answer."""
        turns: list[tuple[ChatMessage, ...]] = []
        turn: PastTurn | None = self
        while turn is not None:
            turns.append(turn.own)
            turn = turn.before
        return tuple(message for own in reversed(turns) for message in own)


class StoredResponses:
    """All stored responses, in a private directory."""

    def __init__(self, directory: Path, *, most: int = MOST_RESPONSES) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._most = most
        self._turns: dict[str, PastTurn] = {}
        self._response_of_item: dict[str, str] = {}

    async def put(self, body: Json, input_items: Sequence[Json], turn: PastTurn) -> None:
        """Store a finished response, with the items it was asked with and what continues from it."""
        if len(self._turns) >= self._most:
            self.remove(next(iter(self._turns)))
        response_id = body["id"]
        text = shapes.dumps([body, list(input_items)])
        await asyncio.to_thread(self._path(response_id).write_text, text, "utf-8", "replace")
        self._turns[response_id] = turn
        self._response_of_item |= {item["id"]: response_id for item in body["output"]}

    def find(self, response_id: str) -> PastTurn | None:
        """What continues from the response of this id, or None if it is not stored."""
        return self._turns.get(response_id)

    def body(self, response_id: str) -> Json:
        """The response of this id. Raises ApiError if it is not stored."""
        return self._read(response_id)[0]

    def input_items(self, response_id: str) -> list[Json]:
        """The items that the response of this id was asked with. Raises ApiError if it is not stored."""
        return self._read(response_id)[1]

    def item(self, item_id: str) -> Json:
        """The output item that an `item_reference` refers to. Raises ApiError if no stored response has it."""
        response_id = self._response_of_item.get(item_id)
        if response_id is None:
            raise refusals.ApiError(404, f"Item with id '{item_id}' not found.", param="input")
        return next(item for item in self.body(response_id)["output"] if item["id"] == item_id)

    def remove(self, response_id: str) -> None:
        """Forget a response. Raises ApiError if it is not stored."""
        for item in self.body(response_id)["output"]:
            self._response_of_item.pop(item["id"], None)
        del self._turns[response_id]
        self._path(response_id).unlink(missing_ok=True)

    def _read(self, response_id: str) -> tuple[Json, list[Json]]:
        if response_id not in self._turns:
            raise refusals.response_not_found(response_id)
        body, input_items = json.loads(self._path(response_id).read_text("utf-8"))
        return body, input_items

    def _path(self, response_id: str) -> Path:
        return self._directory / f"{response_id}.json"
