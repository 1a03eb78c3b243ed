"""What a chat-completions server is asked: the conversation, the tools and the wishes, in its words. Pure.

Chat completions: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.chat_words import code_tool

if TYPE_CHECKING:
    from ipython_assistant.engine.models import Ask, Said
    from ipython_assistant.engine.models.chat_http import Json

SHOWN: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Pictures that models can be shown."""

CODE_TOOL: Final = "python"
"""What the code interpreter is called."""

_CLOSING: Final = re.compile(r"\s*\*[^\n]* wrote this answer and [^\n]*\*\s*\Z")


def messages(system: str, ask: Ask, *, vision: bool) -> list[Json]:
    """The conversation.

    Templates of many models take one system message, at the beginning.

    Args:
        system: The beginning of the system message.
        ask: The question.
        vision: Whether the model can be shown pictures.
    """
    told = [one.text for one in ask.history if one.role in {"system", "developer"}]
    whole = "\n\n".join(text for text in (system, *told) if text)
    written: list[Json] = [{"role": "system", "content": whole}] if whole else []
    written += [message for one in ask.history for message in _rendered(one)]
    return [*written, {"role": "user", "content": _prompt(ask, vision=vision)}]


def tools(*, code: bool) -> Json:
    """The code interpreter as a tool, where code comes as tool calls."""
    return {"tools": [code_tool(CODE_TOOL)]} if code else {}


def wishes(ask: Ask) -> Json:
    """How to answer, as far as the request says."""
    wished = {name: ask.wishes[name] for name in ("temperature", "top_p") if name in ask.wishes}
    if "max_output_tokens" in ask.wishes:
        wished["max_tokens"] = ask.wishes["max_output_tokens"]
    reasoning = ask.wishes.get("reasoning")
    if isinstance(reasoning, dict) and reasoning.get("effort"):
        wished["reasoning_effort"] = reasoning["effort"]
    return wished


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


def _rendered(one: Said) -> list[Json]:
    if one.role == "user":
        return [{"role": "user", "content": one.text}]
    if one.role == "assistant":
        # A small model would write our last line itself the next time.
        return [{"role": "assistant", "content": _CLOSING.sub("", one.text)}]
    return []
