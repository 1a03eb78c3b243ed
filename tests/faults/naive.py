"""The obvious loop, as the comparison: what many a notebook does with a response that made files.

One after the other, each body whole in memory, what the last message cites, under the base name of the citation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai


class Naive:
    """A conversation held the obvious way."""

    def __init__(self, client: openai.OpenAI, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._previous: str | None = None
        self._container: str | None = None

    def ask(self, prompt: str, inputs: tuple[Path, ...] = ()) -> None:
        """Ask, and save what the answer cites."""
        for path in inputs:
            if self._container is None:
                self._container = self._client.containers.create(name="work").id
            self._client.containers.files.create(self._container, file=path)
        question: dict[str, Any] = {
            "model": "test-model",
            "input": prompt,
            "tools": [{"type": "code_interpreter", "container": self._container or {"type": "auto"}}],
            "previous_response_id": self._previous or openai.omit,
        }
        for event in self._client.responses.create(stream=True, **question):
            if event.type == "response.completed":
                self._save(event.response)

    def _save(self, response: Any) -> None:
        self._previous = response.id
        self._folder.mkdir(exist_ok=True)
        message = [item for item in response.output if item.type == "message"][-1]
        for citation in message.content[-1].annotations:
            content = self._client.containers.files.content.retrieve(
                citation.file_id, container_id=citation.container_id
            )
            (self._folder / Path(citation.filename).name).write_bytes(content.content)
