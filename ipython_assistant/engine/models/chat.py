"""A chat model behind the code interpreter: any server that speaks chat completions, on this machine or elsewhere.

The model writes code into its text (or calls a tool), the container runs it, and the model is told what came of it,
until it answers without code. Code is shown while it is written. A small model is wrong without saying so: so the
reader sees the head and true size of every table the code wrote, and is told to check the result.

Chat completions: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import base64
import re
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from ipython_assistant.engine.models import Cut, ModelFailed, Run, Say, Spent, Write
from ipython_assistant.engine.models.analyst.markdown import escape
from ipython_assistant.engine.models.chat_tables import TABLES, look, pictures
from ipython_assistant.engine.models.chat_text import Arguments, Code, Fences, Piece, Prose
from ipython_assistant.engine.models.chat_words import TOOL, outcome, task
from ipython_assistant.engine.models.script import link

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, Ran, Step
    from ipython_assistant.engine.models.chat_http import Json, Server
    from ipython_assistant.engine.models.chat_tables import Look
    from ipython_assistant.engine.models.chat_text import Part

AFTERWARDS: Final = 24
"""How many more chunks a model may send behind its code before it is stopped. Most end at once, and a stream that ends
by itself says how many tokens it was."""
MOST_PICTURES: Final = 2
GARBLED: Final = 'That call could not be read. The arguments are a JSON object: {"code": "..."}.'

_CLOSING: Final = re.compile(r"\s*\*[^\n]* wrote this answer and [^\n]*\*\s*\Z")

Form = Literal["fenced", "tools"]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a model is asked.

    Attributes:
        form: `fenced`: code comes as a fenced block in the text, which small models do best, and tool calls are taken
            where they come all the same; `tools`: code comes as tool calls only.
        repairs: How often in an answer code that raised may be written anew.
        runs: How often in an answer code may run.
        vision: Whether the model is shown the pictures its code made.
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
            turn = _Turn(code_in_text=self._manner.form == "fenced")
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
        turn = _Turn(code_in_text=False)
        async with aclosing(self._listen(turn, _messages(ask.instructions, ask), ask, tools=False)) as steps:
            async for step in steps:
                yield step
        if turn.cut:
            yield Cut("max_output_tokens")

    async def _opening(self, ask: Ask, interpreter: Interpreter) -> list[Json]:
        looks = await look(interpreter, ask.files)
        others = [name for name in ask.files if not name.lower().endswith(TABLES)]
        tools = self._manner.form == "tools"
        return _messages(task(tools=tools, instructions=ask.instructions, looks=looks, others=others), ask)

    async def _listen(
        self, turn: _Turn, messages: Sequence[Json], ask: Ask, *, tools: bool = True
    ) -> AsyncGenerator[Step, None]:
        """One completion, as steps while it comes."""
        body: Json = {
            "model": self.name,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **_wishes(ask),
        }
        if tools and self._manner.form == "tools":
            body["tools"] = [TOOL]
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


class _Turn:
    """One completion while it comes: its text and tool call in, steps out."""

    def __init__(self, *, code_in_text: bool) -> None:
        self.prose = ""
        self.code = ""
        self.cut = False
        self.spent = Spent()
        self._fences = Fences() if code_in_text else None
        self._arguments: Arguments | None = None
        self._call: Json = {}

    @property
    def ended(self) -> bool:
        """Whether the code of a block is whole, so that nothing more is wanted."""
        return self._fences is not None and self._fences.ended

    @property
    def garbled(self) -> bool:
        """Whether a tool was called in a way that holds no code."""
        return self._arguments is not None and not self.code.strip()

    def count(self, chunk: Json) -> None:
        """Take in what the chunk says of tokens."""
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self.spent = Spent(
                input=_number(usage, "prompt_tokens"),
                cached=_number(usage.get("prompt_tokens_details"), "cached_tokens"),
                output=_number(usage, "completion_tokens"),
                thought=_number(usage.get("completion_tokens_details"), "reasoning_tokens"),
            )

    def take(self, chunk: Json) -> Iterator[Step]:
        """Take in what the chunk says."""
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        self.cut = self.cut or choice.get("finish_reason") == "length"
        said = choice.get("delta") or choice.get("message")
        if not isinstance(said, dict) or self.ended:
            return
        if isinstance(text := said.get("content"), str) and text:
            yield from self._text(text)
        for call in said.get("tool_calls") or []:
            if isinstance(call, dict):
                yield from self._called(call)

    def end(self) -> Iterator[Step]:
        """The completion is over."""
        if self._fences is not None and not self.cut:
            yield from self._parts(self._fences.end())
        if self._arguments is not None and not self.cut:
            self.code = self._arguments.code

    def remembered(self, told: str, seen: Sequence[str]) -> list[Json]:
        """This turn and what came of it, as messages of the next request."""
        shown = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}} for picture in seen]
        if self._arguments is not None:
            function = {"name": self._call.get("name") or "python", "arguments": self._arguments.raw}
            call = {"id": self._call.get("id") or "call_1", "type": "function", "function": function}
            messages: list[Json] = [
                {"role": "assistant", "content": self.prose or None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "content": told},
            ]
            if shown:
                messages.append({"role": "user", "content": [{"type": "text", "text": "The pictures:"}, *shown]})
            return messages
        written = self._fences.text if self._fences is not None else self.prose
        content: Any = [{"type": "text", "text": told}, *shown] if shown else told
        return [{"role": "assistant", "content": written}, {"role": "user", "content": content}]

    def _text(self, text: str) -> Iterator[Step]:
        if self._fences is None:
            self.prose += text
            yield Say(text)
        else:
            yield from self._parts(self._fences.feed(text))

    def _parts(self, parts: Sequence[Part]) -> Iterator[Step]:
        for part in parts:
            match part:
                case Prose(text):
                    self.prose += text
                    yield Say(text)
                case Piece(code):
                    yield Write(code)
                case Code(code):
                    self.code = code

    def _called(self, call: Json) -> Iterator[Step]:
        """A piece of a tool call. One call is run at a time: the others are not remembered, so they come again."""
        if self._call and call.get("index", 0) != self._call["index"]:
            return
        function = call.get("function")
        if not isinstance(function, dict):
            return
        if self._arguments is None:
            self._arguments = Arguments()
            self._call = {"index": call.get("index", 0)}
        for name, value in (("id", call.get("id")), ("name", function.get("name"))):
            if isinstance(value, str) and value:
                self._call.setdefault(name, value)
        arguments = function.get("arguments")
        if isinstance(arguments, str) and (code := self._arguments.feed(arguments)):
            yield Write(code)


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


def _messages(system: str, ask: Ask) -> list[Json]:
    """The conversation. Templates of many models take one system message, at the beginning."""
    told = [said.text for said in ask.history if said.role in {"system", "developer"}]
    whole = "\n\n".join(text for text in (system, *told) if text)
    # A small model would write our last line itself the next time.
    history = [
        {"role": said.role, "content": _CLOSING.sub("", said.text)}
        for said in ask.history
        if said.role in {"user", "assistant"}
    ]
    opening = [{"role": "system", "content": whole}] if whole else []
    return [*opening, *history, {"role": "user", "content": ask.prompt}]


def _wishes(ask: Ask) -> Json:
    wishes = {name: ask.wishes[name] for name in ("temperature", "top_p") if name in ask.wishes}
    if "max_output_tokens" in ask.wishes:
        wishes["max_tokens"] = ask.wishes["max_output_tokens"]
    reasoning = ask.wishes.get("reasoning")
    if isinstance(reasoning, dict) and reasoning.get("effort"):
        wishes["reasoning_effort"] = reasoning["effort"]
    return wishes


def _number(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value > 0 else 0
