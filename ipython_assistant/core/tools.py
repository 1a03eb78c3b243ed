"""`--tool SPEC` → the tool as it stands in a request.

A tool we have a word for, or any other as the JSON object the service documents
(https://platform.openai.com/docs/guides/tools). Code interpreter is not one of them: it is always there, and its
container is this package's business.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ipython_assistant.core.nearest import did_you_mean
from ipython_assistant.core.tool_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipython_assistant.core.turn import Json

WAYS_TO_WRITE_IT = (
    """Write web_search, file_search:vs_1,vs_2, or the tool as JSON: --tool '{"type": "image_generation"}'."""
)
NAMES = ("web_search", "file_search")
NO_CODE = "Code interpreter is always there; leave it out with --no-code."


def parse_tool(spec: str) -> Json:
    """Read one tool.

    Raises:
        ValueError: It is none; its two arguments are what is wrong, and what to write instead.

    >>> parse_tool("file_search:vs_1, vs_2")
    {'type': 'file_search', 'vector_store_ids': ['vs_1', 'vs_2']}
    """
    written = spec.strip()
    if written.startswith("{"):
        return _object(written)
    name, colon, rest = (part.strip() for part in written.partition(":"))
    if name == "file_search":
        stores = [store.strip() for store in rest.split(",") if store.strip()]
        if not stores:
            raise ValueError("The tool file_search needs a vector store.", "Write: --tool file_search:vs_...")
        return {"type": name, "vector_store_ids": stores}
    if name == "web_search":
        if colon:
            raise ValueError("The tool web_search takes nothing after its name.", "Write: --tool web_search")
        return {"type": name}
    if name == "code_interpreter":
        raise ValueError("The tool code_interpreter cannot be added.", NO_CODE)
    # What follows a colon, and what does not look like the name of a tool, may hold a token: it is not repeated.
    named = f" {name!r}" if re.fullmatch(r"[a-z_]{1,30}", name) else " like this"
    said = f"There is no tool{named}." if written else "A tool is missing."
    raise ValueError(said, did_you_mean(name, NAMES) + WAYS_TO_WRITE_IT)


def parse_tools(specs: Iterable[str]) -> tuple[Json, ...]:
    """Read several; the same one twice is one.

    Raises:
        ValueError: See `parse_tool`.
    """
    tools: list[Json] = []
    for spec in specs:
        tool = parse_tool(spec)
        if tool not in tools:
            tools.append(tool)
    return tuple(tools)


def tool_in_words(tool: Json) -> str:
    """A tool for a person to read: its type, and whatever else is set in it, without the secrets.

    >>> tool_in_words({"type": "mcp", "server_url": "https://mcp.example.org", "authorization": "abc"})
    'mcp {"server_url": "https://mcp.example.org", "authorization": "<secret>"}'
    """
    more = {name: part for name, part in without_secrets(tool).items() if name not in {"type", "container"}}
    return f"{tool['type']} {json.dumps(more)}" if more else str(tool["type"])


def _object(written: str) -> Json:
    try:
        # Python's reader takes NaN and the like, which are no JSON: the request could not be sent.
        tool = json.loads(written, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("The tool is nested too deeply.", WAYS_TO_WRITE_IT) from None
    except ValueError as error:
        # The text itself is not repeated: a tool may hold a token.
        where = f": look at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"The tool is not JSON{where}.", WAYS_TO_WRITE_IT) from None
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(tool, dict) or not isinstance(kind, str) or not kind:
        raise ValueError('The tool has no "type".', WAYS_TO_WRITE_IT)
    if kind == "code_interpreter":
        raise ValueError("The tool code_interpreter cannot be added.", NO_CODE)
    return tool


def _no_constant(name: str) -> None:
    raise ValueError(name)
