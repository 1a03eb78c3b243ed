"""Settings, prompt and conversation → the JSON that is sent to `POST /responses`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipython_assistant.core.turn import Json

INSTRUCTIONS = """\
You are a data analyst in a notebook. Use the code interpreter for every calculation, table and chart.
Save each table and figure the user asked for as a file in /mnt/data under a short, telling name, and link each one
in your answer as [name](sandbox:/mnt/data/name): a file that is not linked may be lost.
Save figures with savefig and close them with plt.close(); do not display them.
Say what you did with missing or unclear values. Keep the answer short; do not repeat whole tables in it."""


@dataclass(frozen=True, slots=True)
class InputNote:
    """What the model is told about an input: its path in the container and what it is. Never its contents."""

    path: str
    description: str


@dataclass(frozen=True, slots=True)
class PastMessage:
    """A message of an earlier turn, sent again where the service does not hold the conversation."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ContainerPolicy:
    """What a new container is to be like.

    Attributes:
        memory: One of `1g`, `4g`, `16g`, `64g`; empty for the service's default. Fixed for the container's life.
        minutes: How long it is kept after its last use; 20 is the most the service allows
            (https://platform.openai.com/docs/guides/tools-code-interpreter).
        domains: The hosts its code may reach; none, and it has no network.
    """

    memory: str = ""
    minutes: int = 20
    domains: tuple[str, ...] = ()

    def body(self) -> Json:
        """As it stands in a request, for a container that is made or one that the service makes."""
        body: Json = {}
        if self.memory:
            body["memory_limit"] = self.memory
        if self.domains:
            body["network_policy"] = {"type": "allowlist", "allowed_domains": list(self.domains)}
        return body


def build_request(
    *,
    model: str,
    prompt: str,
    container: str | Json,
    instructions: str = "",
    inputs: Sequence[InputNote] = (),
    previous_response_id: str | None = None,
    history: Iterable[PastMessage] = (),
) -> Json:
    """The body of one `POST /responses`, streamed.

    Args:
        model: The model's name as the service knows it.
        prompt: The user's question.
        container: Id of the container to run in, or what a container is to be like that the service makes (or reuses,
            where the conversation has one).
        instructions: The user's own, added after ours.
        inputs: The files that were put into the container for this conversation.
        previous_response_id: The response this one continues from, where the service holds it.
        history: The messages this one continues from, where it does not.

    `include` asks for what the code printed and showed: without it `outputs` is null
    (https://platform.openai.com/docs/guides/tools-code-interpreter).
    """
    messages: list[Json] = [{"role": message.role, "content": message.text} for message in history]
    messages.append({"role": "user", "content": prompt})
    request: Json = {
        "model": model,
        "input": messages,
        "instructions": _instructions(instructions, inputs),
        "tools": [{"type": "code_interpreter", "container": container}],
        "include": ["code_interpreter_call.outputs"],
        "stream": True,
    }
    if previous_response_id:
        request["previous_response_id"] = previous_response_id
    return request


def _instructions(own: str, inputs: Sequence[InputNote]) -> str:
    paragraphs = [INSTRUCTIONS]
    if inputs:
        files = "\n".join(f"- {note.path}: {note.description}" for note in inputs)
        paragraphs.append(f"Files of the user:\n{files}")
    if own:
        paragraphs.append(own)
    return "\n\n".join(paragraphs)
