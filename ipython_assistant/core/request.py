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

WITHOUT_CODE = """\
You answer questions in a data analyst's notebook. You cannot run code and cannot make files in this turn: say so where
the question needs it, and do not invent the result of a calculation. Keep the answer short."""


KEEP_TEXT = "Columns described as str hold text: read them with dtype=str and keep_default_na=False."
"""A code such as 00412 would lose its zeros otherwise, and Namibia's NA would be missing."""

FILES = "Files of the user:"
"""Over the files where all of them were named with this question."""
FILES_EARLIER = "Files of the user, from earlier questions:"
"""Where none of them was."""
FILES_NAMED, FILES_OTHER = "Files of the user, named with this question:", "Other files of the user:"
"""Where some were: two lists."""


@dataclass(frozen=True, slots=True)
class InputNote:
    """What the model is told about an input: its path in the container and what it is. Never its contents.

    Attributes:
        path: Where it is in the container.
        description: What it is, in one line.
        named: Whether it was named with this question; else it was put there for an earlier one.
    """

    path: str
    description: str
    named: bool = True


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
    code: bool = True,
    tools: Sequence[Json] = (),
    outputs: Sequence[str] = (),
    effort: str | None = None,
    store: bool | None = None,
    share: str = "",
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
        code: Whether the code interpreter is among the tools.
        tools: Other tools, as they stand in a request; they come after the code interpreter, in this order.
        outputs: Names of the tables that have to come back, each as `NAME.csv`.
        effort: How long a reasoning model may think, in the service's words (`low`, `medium`, `high`, ...); None leaves
            it to the service.
        store: Whether the service keeps the response; None leaves it to the service.
        share: For the embedded engine: what its model may see (`results`, `shapes` or `names`). The engine has
            instructions of its own and looks at the files itself, so it is told neither.

    `include` asks for what the code printed and showed: without it `outputs` is null
    (https://platform.openai.com/docs/guides/tools-code-interpreter).
    """
    # Some servers cannot tell a message of the assistant without its type.
    messages: list[Json] = [{"type": "message", "role": message.role, "content": message.text} for message in history]
    messages.append({"role": "user", "content": prompt})
    request: Json = {
        "model": model,
        "input": messages,
        "instructions": _instructions(instructions, () if share else inputs, outputs, code=code, ours=not share),
        "tools": [*([{"type": "code_interpreter", "container": container}] if code else []), *tools],
        "stream": True,
    }
    if code:
        request["include"] = ["code_interpreter_call.outputs"]
    if share:
        names = [note.path.rpartition("/")[2] for note in inputs]
        request["metadata"] = {"share": share, "inputs": "\n".join(names)}
    if effort is not None:
        request["reasoning"] = {"effort": effort}
    if store is not None:
        request["store"] = store
    if previous_response_id:
        request["previous_response_id"] = previous_response_id
    return request


def _instructions(own: str, inputs: Sequence[InputNote], outputs: Sequence[str], *, code: bool, ours: bool) -> str:
    paragraphs = [INSTRUCTIONS if code else WITHOUT_CODE] if ours else []
    if inputs:
        paragraphs += _listed(inputs)
    if outputs:
        names = ", ".join(f"{name}.csv" for name in outputs)
        one = len(outputs) == 1
        what, it = ("this table", "it") if one else ("each of these tables", "each")
        paragraphs.append(
            f"The notebook goes on with {what}: save {it} in /mnt/data under exactly this name, with one row of column "
            f"names and no index column, and link {it}: {names}"
        )
    if own:
        paragraphs.append(own)
    return "\n\n".join(paragraphs)


def _listed(inputs: Sequence[InputNote]) -> list[str]:
    """The files, those that were named with this question first: it is most likely about these."""
    named, others = ([note for note in inputs if note.named is asked] for asked in (True, False))
    first, second = (FILES_NAMED, FILES_OTHER) if named and others else (FILES, FILES_EARLIER)
    lists = [
        "\n".join([heading, *(f"- {note.path}: {note.description}" for note in notes)])
        for heading, notes in ((first, named), (second, others))
        if notes
    ]
    return [*lists[:-1], f"{lists[-1]}\n{KEEP_TEXT}"]
