"""What decides inside the engine: a model reads the conversation and says the next step.

A model never touches HTTP, files or kernels. It is an async generator of steps; the responder carries each step out,
turns it into the events of the Responses API, and sends the outcome of a `Run` back into the generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of the answer's text (Markdown). A `Run` in between ends the message; the next `Say` opens another."""

    text: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The whole answer is a refusal: what was understood, what was not, and what would work (Markdown)."""

    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """Python to run in the container, shown to the user as a code call. The generator is sent a `Ran`."""

    code: str


@dataclass(frozen=True, slots=True)
class Ran:
    """What a `Run` did: its printed text, the traceback's last line if it raised, and what it left behind."""

    logs: str
    error: str | None
    figures: int
    """How many figures the code displayed."""
    files: tuple[str, ...]
    """Files made or changed by this run: paths relative to `/mnt/data`, sorted."""


Step = Say | Refuse | Run


@dataclass(frozen=True, slots=True)
class Said:
    """One earlier message of the conversation; `role` is `user`, `assistant`, `system` or `developer`."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: the user's last message, what came before it, and the files that are in the container."""

    prompt: str
    files: tuple[str, ...] = ()
    """Paths relative to `/mnt/data`, in order of upload."""
    history: tuple[Said, ...] = ()
    instructions: str = ""
    new: tuple[str, ...] = ()
    """Those of the files that came since the container's last question: most likely they are what this one is about."""


class Interpreter(Protocol):
    """What a model may ask of the container besides its steps."""

    async def probe(self, code: str) -> str:
        """Run code without showing it and return what it printed; names it binds do not stay. Raises `RuntimeError`."""
        ...


class Model(Protocol):
    """Something that decides: the analyst, or a chat model."""

    name: str

    def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, Ran | None]:
        """Yield the steps that answer `ask`. The responder sends a `Ran` after each `Run`, and None otherwise."""
        ...
