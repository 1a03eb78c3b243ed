"""What decides inside the engine: a model reads the conversation and says the next step.

A model runs no code and answers no client itself. It is an async generator of steps; the responder carries each step
out and writes what a `Run` did into it before it asks for the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

WISHES: Final = ("temperature", "top_p", "max_output_tokens", "reasoning", "metadata")
"""The parameters of a request that a model is told, in the API's words."""
SILENCE_S: Final = 300.0  # seconds without a byte from a model's server before it is given up


class ModelFailed(Exception):
    """The model cannot answer, or not to the end; the two lines of its message say what happened and what to do."""

    def __init__(self, happened: str, cure: str) -> None:
        super().__init__(f"{happened}\n{cure}")


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of the answer's text (Markdown). A `Run` in between ends the message; the next `Say` opens another."""

    text: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The whole answer is a refusal: what was understood, what was not, and what would work (Markdown)."""

    text: str


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a `Run` did: what it printed and raised, how many figures it displayed, files it made below `/mnt/data`."""

    logs: str
    error: str | None
    figures: int
    files: tuple[str, ...]


@dataclass(slots=True)
class Run:
    """Python to run in the container, shown to the user as a code call. The `outcome` is there in the next step."""

    code: str
    outcome: RunOutcome = field(init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class TokensUsed:
    """Tokens that the answer has cost, beside those said before; `cached` are among the input, `thought` the output."""

    input: int = 0
    cached: int = 0
    output: int = 0
    thought: int = 0


@dataclass(frozen=True, slots=True)
class EndEarly:
    """The last step of an answer that is not whole; `reason` is in the words of the API (`max_output_tokens`)."""

    reason: str


Step = Say | Refuse | Run | TokensUsed | EndEarly


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message; `role` is `user`, `assistant`, `system` or `developer`."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One question with its conversation, oldest message first, and the container's files, relative to `/mnt/data`.

    `new` are the files that came since the container's last question, `made` those that code made. The `wishes` are
    those of `WISHES` that the request sets; `instructions` are the request's.
    """

    prompt: str
    files: tuple[str, ...] = ()
    history: tuple[ChatMessage, ...] = ()
    instructions: str = ""
    new: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    wishes: Mapping[str, Any] = field(default_factory=dict)


class Interpreter(Protocol):
    """What a model may ask of the container besides its steps."""

    async def probe(self, code: str) -> str:
        """Run code without showing it and return what it printed; names it binds do not stay. Raises `RuntimeError`."""

    async def content(self, name: str, most_bytes: int) -> bytes:
        """What is in a file of the question; nothing where that is more, or the file is gone."""


class Model(Protocol):
    """Something that decides: a chat model, or the forms of `basic`."""

    name: str

    def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
        """Yield the steps that answer `ask`. Raises `ModelFailed` where it cannot, or not to the end."""
        ...
