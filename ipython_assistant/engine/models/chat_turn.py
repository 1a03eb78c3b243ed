"""One completion of a chat model while it comes: chunks of text and of tool calls in, steps out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipython_assistant.engine.models import Say, Spent, Write
from ipython_assistant.engine.models.chat_text import Arguments, Code, Fences, Piece, Prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipython_assistant.engine.models import Step
    from ipython_assistant.engine.models.chat_http import Json
    from ipython_assistant.engine.models.chat_text import Part


@dataclass(slots=True)
class _Called:
    """A tool call that is being written."""

    index: object
    call_id: str = ""
    name: str = ""
    arguments: Arguments = field(default_factory=Arguments)


class Turn:
    """One completion.

    Args:
        code_in_text: Whether code comes as a fenced block in the text.
        code_in_calls: Whether code may come as a tool call: then every call holds some.
    """

    def __init__(self, *, code_in_text: bool, code_in_calls: bool = True) -> None:
        self.prose = ""
        self.code = ""
        self.cut = False
        self.spent = Spent()
        self._fences = Fences() if code_in_text else None
        self._code_in_calls = code_in_calls
        self._calls: list[_Called] = []
        self._first: _Called | None = None

    @property
    def ended(self) -> bool:
        """Whether the code of a block is whole, so that nothing more is wanted."""
        return self._fences is not None and self._fences.ended

    @property
    def garbled(self) -> bool:
        """Whether a tool was called in a way that holds no code."""
        return self._first is not None and not self.code.strip()

    @property
    def strange(self) -> str:
        """What was called although there is no such thing, if nothing else came of this turn."""
        return self._calls[0].name if self._calls and self._first is None and not self.prose.strip() else ""

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
        calls = said.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else []):
            if isinstance(call, dict) and isinstance(call.get("function"), dict) and not self.ended:
                yield from self._called(call, call["function"], place)

    def end(self) -> Iterator[Step]:
        """The completion is over."""
        if self.cut:
            return
        if self._fences is not None:
            yield from self._parts(self._fences.end())
        if self._first is not None:
            self.code = self._first.arguments.code

    def remembered(self, told: str, seen: Sequence[str]) -> list[Json]:
        """This turn and what came of it, as messages of the next request."""
        shown = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}} for picture in seen]
        if self._first is not None:
            function = {"name": self._first.name or "python", "arguments": self._first.arguments.raw}
            call = {"id": self._first.call_id or "call_1", "type": "function", "function": function}
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

    def _called(self, call: Json, function: Json, place: int) -> Iterator[Step]:
        """A piece of a tool call. Code is run one call at a time: the others are not remembered, so they come again."""
        one = self._one(call, function, place)
        if self._first is None and self._code_in_calls:
            self._first = one
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        piece = one.arguments.feed(arguments) if isinstance(arguments, str) else ""
        if one is self._first and piece:
            yield Write(piece)

    def _one(self, call: Json, function: Json, place: int) -> _Called:
        """The call that this is a piece of. Some servers number all calls 0, but name each of them."""
        index, call_id, name = call.get("index", place), call.get("id"), function.get("name")
        known = next((one for one in reversed(self._calls) if one.index == index), None)
        if known is None or (isinstance(call_id, str) and call_id and known.call_id not in {"", call_id}):
            known = _Called(index)
            self._calls.append(known)
        if isinstance(call_id, str) and not known.call_id:
            known.call_id = call_id
        if isinstance(name, str) and not known.name:
            known.name = name
        return known


def _number(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value > 0 else 0
