"""A chat model behind the code interpreter: any server that speaks chat completions, on this machine or elsewhere.

The model writes code into its text (or calls a tool), the container runs it, and the model is told what came of it,
until it answers without code. Code is shown while it is written. A small model is wrong without saying so: so the
reader sees the head and true size of every table the code wrote, and is told to check the result.

Chat completions: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import base64
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from ipython_assistant.engine.models import Cut, ModelFailed, Run, Say, chat_request
from ipython_assistant.engine.models.chat_tables import TABLES, look, pictures
from ipython_assistant.engine.models.chat_turn import Turn
from ipython_assistant.engine.models.chat_words import outcome, task
from ipython_assistant.engine.models.markdown import escape
from ipython_assistant.engine.models.script import link

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, Ran, Step
    from ipython_assistant.engine.models.chat_http import Json, Server
    from ipython_assistant.engine.models.chat_tables import Look

AFTERWARDS: Final = 24
"""How many more chunks a model may send behind its code before it is stopped. Most end at once, and a stream that ends
by itself says how many tokens it was."""
MOST_PICTURES: Final = 2
GARBLED: Final = 'That call could not be read. The arguments are a JSON object: {"code": "..."}.'

Form = Literal["fenced", "tools"]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a model is asked.

    Attributes:
        form: `fenced`: code comes as a fenced block in the text, which small models do best, and tool calls are taken
            where they come all the same; `tools`: code comes as tool calls only.
        repairs: How often in an answer code that raised may be written anew.
        runs: How often in an answer code may run.
        vision: Whether the model is shown pictures: those of the question, and those its code made.
    """

    form: Form = "fenced"
    repairs: int = 1
    runs: int = 6
    vision: bool = False


class Chat:
    """A model of a chat-completions server.

    Args:
        name: Its name there, and here.
        server: Where it is.
        manner: How it is asked.
    """

    def __init__(self, name: str, server: Server, manner: Manner | None = None) -> None:
        self.name = name
        self._server = server
        self._manner = manner or Manner()

    async def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, Ran | None]:
        """Let it write code until it answers without.

        Raises:
            ModelFailed: The server cannot be reached, refuses, or falls silent.
        """
        messages = await self._opening(ask, interpreter)
        work = _Work()
        while True:
            turn = Turn(code_in_text=self._manner.form == "fenced")
            async with aclosing(self._listen(turn, messages, ask)) as steps:
                async for step in steps:
                    yield step
            work.said += turn.prose
            if turn.cut:
                yield Cut("max_output_tokens")
                return
            if turn.garbled and work.failures < self._manner.repairs:
                work.failures += 1
                messages += turn.remembered(GARBLED, [])
                continue
            if not turn.code.strip() or work.stuck(turn.code):
                break
            ran = yield Run(turn.code)
            if ran is None:
                raise ModelFailed("A run was asked for and its outcome did not come back.")
            looks = await look(interpreter, ran.files)
            work.account(turn.code, ran, looks)
            if work.failures > self._manner.repairs or work.runs >= self._manner.runs:
                yield Say(_given_up(work, ran))
                break
            messages += turn.remembered(outcome(ran, looks), await self._seen(interpreter, ran))
        yield Say(work.closing(self.name))

    async def talk(self, ask: Ask) -> AsyncGenerator[Step, None]:
        """Answer without code.

        Raises:
            ModelFailed: The server cannot be reached, refuses, or falls silent.
        """
        turn = Turn(code_in_text=False, code_in_calls=False)
        messages = chat_request.messages(ask.instructions, ask, vision=self._manner.vision)
        async with aclosing(self._listen(turn, messages, ask, code=False)) as steps:
            async for step in steps:
                yield step
        if turn.cut:
            yield Cut("max_output_tokens")
        elif turn.strange:
            raise ModelFailed(f"The model called '{turn.strange}', which the request does not offer. Ask it again.")

    async def _opening(self, ask: Ask, interpreter: Interpreter) -> list[Json]:
        looks = await look(interpreter, ask.files)
        others = [name for name in ask.files if not name.lower().endswith(TABLES)]
        fenced = self._manner.form == "fenced"
        system = task(
            tool="" if fenced else chat_request.CODE_TOOL,
            instructions=ask.instructions,
            looks=looks,
            others=others,
        )
        return chat_request.messages(system, ask, vision=self._manner.vision)

    async def _listen(
        self, turn: Turn, messages: Sequence[Json], ask: Ask, *, code: bool = True
    ) -> AsyncGenerator[Step, None]:
        """One completion, as steps while it comes.

        Args:
            turn: Takes it apart.
            messages: What the model is told.
            ask: The question.
            code: Whether code may be run.
        """
        body: Json = {
            "model": self.name,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **chat_request.wishes(ask),
            **chat_request.tools(code=code and self._manner.form == "tools"),
        }
        afterwards = 0
        async with aclosing(self._server.complete(body)) as chunks:
            async for chunk in chunks:
                turn.count(chunk)
                for step in turn.take(chunk):
                    yield step
                afterwards += turn.ended
                if afterwards > AFTERWARDS:
                    break
        for step in turn.end():
            yield step
        yield turn.spent

    async def _seen(self, interpreter: Interpreter, ran: Ran) -> list[str]:
        """The pictures of a run in base64, for a model that can see: those displayed, then those saved."""
        if not self._manner.vision:
            return []
        shown = [base64.b64encode(png).decode("ascii") for png in ran.pictures]
        return [*shown, *await pictures(interpreter, ran.files, MOST_PICTURES)][:MOST_PICTURES]


@dataclass(slots=True)
class _Work:
    """What an answer has come to so far."""

    said: str = ""
    runs: int = 0
    failures: int = 0
    files: dict[str, None] = field(default_factory=dict)
    looks: dict[str, Look] = field(default_factory=dict)
    last: str | None = None

    def account(self, code: str, ran: Ran, looks: Sequence[Look]) -> None:
        """One more run."""
        self.runs += 1
        self.failures += ran.error is not None
        self.last = None if ran.error is not None else code.strip()
        self.files |= dict.fromkeys(ran.files)
        self.looks |= {one.path: one for one in looks}

    def stuck(self, code: str) -> bool:
        """Whether this is the code that has just run, and well: small models go round in circles."""
        return code.strip() == self.last

    def closing(self, name: str) -> str:
        """What the reader is to know beside the model's own words."""
        paragraphs = [one.shown() for one in self.looks.values()]
        unlinked = [file for file in self.files if f"sandbox:/mnt/data/{file}" not in self.said]
        if unlinked:
            paragraphs.append(f"Files: {', '.join(map(link, unlinked))}")
        who = escape(name)
        if self.runs:
            paragraphs.append(f"*{who} wrote this answer and its code: check the result.*")
        else:
            paragraphs.append(f"*{who} wrote this answer and ran no code: nothing in it was calculated.*")
        return "\n\n" + "\n\n".join(paragraphs)


def _given_up(work: _Work, ran: Ran) -> str:
    if ran.error is not None:
        again = " again" if work.failures > 1 else ""
        return f"The code stopped{again} with {escape(ran.error.rstrip('.'))}. Its log is shown with the code."
    return f"Code has run {work.runs} times without an answer; this is what there is."
