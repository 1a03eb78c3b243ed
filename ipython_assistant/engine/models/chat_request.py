"""What a chat-completions server is asked: the conversation, the tools and the wishes, in its words. Pure.

Chat completions: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import base64
import json
import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models import Called, Coded, Returned, Said
from ipython_assistant.engine.models.chat_words import code_tool, printed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipython_assistant.engine.models import Ask, Calling, Function, Message
    from ipython_assistant.engine.models.chat_http import Json

SHOWN: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Pictures that models can be shown."""

_CLOSING: Final = re.compile(r"\s*\*[^\n]* wrote this answer and [^\n]*\*\s*\Z")


def messages(system: str, ask: Ask, *, code_in_text: bool, vision: bool) -> list[Json]:
    """The conversation.

    Templates of many models take one system message, at the beginning, and what a function gave right behind its call.

    Args:
        system: The beginning of the system message.
        ask: The question.
        code_in_text: Whether code comes as a fenced block in the text, not as tool calls.
        vision: Whether the model can be shown pictures.
    """
    conversation = ask.conversation
    prompts = [one for one in conversation if isinstance(one, Said) and one.role == "user"]
    told = [one.text for one in conversation if isinstance(one, Said) and one.role in {"system", "developer"}]
    whole = "\n\n".join(text for text in (system, *told) if text)
    returned = {one.call_id: one.output for one in conversation if isinstance(one, Returned)}
    written: list[Json] = [{"role": "system", "content": whole}] if whole else []
    for kind, group in groupby(_spoken(conversation), key=type):
        if kind is Called:
            _add_calls(written, [one for one in group if isinstance(one, Called)], returned)
        else:
            tool = "" if code_in_text else code_name(ask.calling)
            for number, one in enumerate(group):
                if prompts and one is prompts[-1]:
                    written.append({"role": "user", "content": _prompt(ask, vision=vision)})
                else:
                    written += _rendered(one, tool, number)
    return written


def tools(calling: Calling, *, code: bool, first: bool) -> Json:
    """The tools, and how freely they may be called.

    Args:
        calling: The client's functions.
        code: Whether the code interpreter is one of the tools.
        first: Whether nothing was called yet: what has to be called has to be called once.
    """
    offered = [code_tool(code_name(calling))] if code else []
    offered += [_function(function) for function in calling.functions]
    if not offered:
        return {}
    asked: Json = {"tools": offered}
    named = {"function": calling.named, "code_interpreter": code_name(calling) if code else ""}.get(calling.choice)
    if named and first:
        asked["tool_choice"] = {"type": "function", "function": {"name": named}}
    elif calling.choice == "none" or (calling.choice == "required" and first):
        asked["tool_choice"] = calling.choice
    if calling.functions and calling.parallel is not None:
        asked["parallel_tool_calls"] = calling.parallel
    return asked


def code_name(calling: Calling) -> str:
    """What the code interpreter is called, beside functions that have their names already."""
    return "python" if all(function.name != "python" for function in calling.functions) else "run_python_code"


def wishes(ask: Ask) -> Json:
    """How to answer, as far as the request says."""
    wished = {name: ask.wishes[name] for name in ("temperature", "top_p") if name in ask.wishes}
    if "max_output_tokens" in ask.wishes:
        wished["max_tokens"] = ask.wishes["max_output_tokens"]
    reasoning = ask.wishes.get("reasoning")
    if isinstance(reasoning, dict) and reasoning.get("effort"):
        wished["reasoning_effort"] = reasoning["effort"]
    return wished


def since_the_prompt(conversation: tuple[Message, ...]) -> tuple[Message, ...]:
    """What was done for the answer so far, where functions were called in the middle of it."""
    asked = [index for index, one in enumerate(conversation) if isinstance(one, Said) and one.role == "user"]
    return conversation[asked[-1] + 1 :] if asked else conversation


def _spoken(conversation: tuple[Message, ...]) -> Iterable[Message]:
    """What is told in its place: of code, only that of the answer which is being made."""
    late = since_the_prompt(conversation)
    early = conversation[: len(conversation) - len(late)]
    yield from (one for one in early if not isinstance(one, Coded))
    yield from late


def _prompt(ask: Ask, *, vision: bool) -> Any:
    """The user's last message, with the pictures that came within it, or with a word on what cannot be shown."""
    shown = [one for one in ask.enclosed if vision and one.media_type in SHOWN]
    unread = [name for name in ask.unread if name not in {one.name for one in shown}]
    text = ask.prompt
    if unread:
        text += f"\n\n(The user attached {', '.join(unread)}. It cannot be shown to you: say so.)"
    if not shown:
        return text
    urls = [f"data:{one.media_type};base64,{base64.b64encode(one.content).decode()}" for one in shown]
    return [{"type": "text", "text": text}, *({"type": "image_url", "image_url": {"url": url}} for url in urls)]


def _rendered(one: Message, tool: str, number: int) -> list[Json]:
    match one:
        case Said("user", text):
            return [{"role": "user", "content": text}]
        case Said("assistant", text):
            # A small model would write our last line itself the next time.
            return [{"role": "assistant", "content": _CLOSING.sub("", text)}]
        case Coded(code, logs) if tool:
            call_id = f"code{number:05}"  # nine characters, which is what some models' templates want
            function = {"name": tool, "arguments": json.dumps({"code": code})}
            calls = [{"id": call_id, "type": "function", "function": function}]
            return [
                {"role": "assistant", "content": None, "tool_calls": calls},
                {"role": "tool", "tool_call_id": call_id, "content": printed(logs)},
            ]
        case Coded(code, logs):
            block = f"```python\n{code}\n```"
            return [{"role": "assistant", "content": block}, {"role": "user", "content": printed(logs)}]
    return []


def _add_calls(written: list[Json], calls: list[Called], returned: dict[str, str]) -> None:
    """Put calls behind the text they came with, and what they gave behind them."""
    if not written or written[-1]["role"] != "assistant":
        written.append({"role": "assistant", "content": None})
    written[-1]["tool_calls"] = [
        {"id": one.call_id, "type": "function", "function": {"name": one.name, "arguments": one.arguments}}
        for one in calls
    ]
    written += [
        {"role": "tool", "tool_call_id": one.call_id, "content": returned.get(one.call_id, "")} for one in calls
    ]


def _function(function: Function) -> Json:
    described: Json = {
        "name": function.name,
        "description": function.description,
        "parameters": function.parameters or {"type": "object", "properties": {}},
        "strict": function.strict,
    }
    return {"type": "function", "function": {key: value for key, value in described.items() if value is not None}}
