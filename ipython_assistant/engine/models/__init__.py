"""What decides inside the engine: a model reads the conversation and says the next step.

A model never touches HTTP, files or kernels. It is an async generator of steps; the responder carries each step out,
turns it into the events of the Responses API, and sends the outcome of a `Run` back into the generator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of the answer's text (Markdown). A `Run` in between ends the message; the next `Say` opens another."""

    text: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The whole answer is a refusal: what was understood, what was not, and what would work (Markdown)."""

    text: str


@dataclass(frozen=True, slots=True)
class Write:
    """A piece of the code of the next `Run`, shown while it is being written."""

    code: str


@dataclass(frozen=True, slots=True)
class Run:
    """Python to run in the container, shown to the user as a code call. The generator is sent a `Ran`.

    It is all the code, whether or not pieces of it were written before.
    """

    code: str


@dataclass(frozen=True, slots=True)
class Call:
    """A piece of a call of one of the client's functions, passed on while it is being written.

    The answer ends with its calls: what they gave comes with the client's next question.
    """

    number: int
    """Which call of this answer: pieces of one number come one after another."""
    name: str
    arguments: str
    """The next piece of the JSON that the model wrote; whether it is what the function takes, the client sees."""
    call_id: str = ""
    """The name the model goes by when it is told what the call gave; empty where it has none."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens that the answer has cost, beside those said before; `cached` are among the input, `thought` the output."""

    input: int = 0
    cached: int = 0
    output: int = 0
    thought: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """The last step of an answer that is not whole; `reason` is in the words of the API (`max_output_tokens`)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ran:
    """What a `Run` did: its printed text, the traceback's last line if it raised, and what it left behind."""

    logs: str
    error: str | None
    figures: int
    """How many figures the code displayed."""
    files: tuple[str, ...]
    """Files made or changed by this run: paths relative to `/mnt/data`, sorted."""
    pictures: tuple[bytes, ...] = ()
    """The displayed figures as PNG."""


Step = Say | Refuse | Write | Run | Call | Spent | Cut


class ModelFailed(Exception):
    """The model cannot answer, or not to the end; the message says to a person what happened and what to do."""


@dataclass(frozen=True, slots=True)
class Said:
    """One earlier message of the conversation; `role` is `user`, `assistant`, `system` or `developer`."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """A call of one of the client's functions."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What such a call gave."""

    call_id: str
    output: str


@dataclass(frozen=True, slots=True)
class Coded:
    """Code that ran for an answer that is not over yet: a function was called after it."""

    code: str
    logs: str | None
    """What it printed; None where that is not known any more."""


Message = Said | Called | Returned | Coded


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the client's, as it describes it.

    Attributes:
        parameters: The JSON schema of its arguments; None for a function without any.
        strict: Whether arguments have to keep to it, where the client says so.
    """

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Calling:
    """Which functions of the client's may be called, and how freely.

    Attributes:
        functions: Those there are.
        choice: `auto`, `none`, `required`, `code_interpreter` (run code), or `function` (call the one that is `named`).
        named: The function that has to be called.
        parallel: Whether several may be called at once, where the client says so.
    """

    functions: tuple[Function, ...] = ()
    choice: str = "auto"
    named: str = ""
    parallel: bool | None = None


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A file or a picture that came within the question itself; `media_type` is empty where it is not told."""

    name: str
    content: bytes = field(repr=False)
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: the user's last message, what came before it, and the files that are in the container."""

    prompt: str
    files: tuple[str, ...] = ()
    """Paths relative to `/mnt/data`, in order of upload."""
    history: tuple[Said, ...] = ()
    """What else was said, oldest first."""
    conversation: tuple[Message, ...] = ()
    """All of it in order, with the prompt and with calls of functions."""
    calling: Calling = field(default_factory=Calling)
    instructions: str = ""
    new: tuple[str, ...] = ()
    """Those of the files that came since the container's last question: most likely they are what this one is about."""
    enclosed: tuple[Enclosed, ...] = ()
    """What came within the question; where there is a container, it is among its files too."""
    unread: tuple[str, ...] = ()
    """What came with the question and is nowhere, since there is no container: names, or ids of files."""
    wishes: Mapping[str, Any] = field(default_factory=dict)
    """What the request says of how to answer, in the API's words: those of `WISHES` that it sets."""


WISHES: Final = ("temperature", "top_p", "max_output_tokens", "reasoning")


class Interpreter(Protocol):
    """What a model may ask of the container besides its steps."""

    async def probe(self, code: str) -> str:
        """Run code without showing it and return what it printed; names it binds do not stay. Raises `RuntimeError`."""
        ...


class Model(Protocol):
    """Something that decides: the analyst, or a chat model."""

    name: str

    def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, Ran | None]:
        """Yield the steps that answer `ask`. The responder sends a `Ran` after each `Run`, and None otherwise.

        Raises:
            ModelFailed: It cannot answer, or not to the end.
        """
        ...


@runtime_checkable
class Talker(Protocol):
    """A language model: it can answer without running code too, and call the client's functions."""

    def talk(self, ask: Ask) -> AsyncGenerator[Step, None]:
        """Yield the steps that answer `ask`; none of them writes or runs code. Raises `ModelFailed`."""
        ...
