"""Parts of the JSON that is sent to `POST /responses`: instructions, tools, what a container is to be like."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipython_assistant.core.named_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipython_assistant.core.turn import Json

INSTRUCTIONS = """\
You are a data analyst in a notebook. Use the code interpreter for every calculation, table and chart.
Save each table and figure the user asked for as a file in /mnt/data under a short, telling name, and link each one
in your answer as [name](sandbox:/mnt/data/name): a file that is not linked may be lost.
Save figures with savefig and close them with plt.close(); do not display them.
If an interactive chart is asked for, save a Vega-Lite specification with its data in it as NAME.vl.json and the same
chart as NAME.png.
Say what you did with missing or unclear values. Keep the answer short; do not repeat whole tables in it."""

WITHOUT_CODE = """\
You answer questions in a data analyst's notebook. You cannot run code and cannot make files in this turn: say so where
the question needs it, and do not invent the result of a calculation. Keep the answer short."""


# A code such as 00412 would lose its zeros otherwise, and Namibia's NA would be missing.
_KEEP_TEXT = "Columns described as str hold text: read them with dtype=str and keep_default_na=False."


@dataclass(frozen=True, slots=True)
class InputNote:
    """What the model is told of an input, in one line: its path, what it is, whether this question has `named` it."""

    path: str
    description: str
    named: bool = True


@dataclass(frozen=True, slots=True)
class ContainerPolicy:
    """What a new container is to be like: its memory (the service's default if empty), and what its code may reach.

    It is kept so many minutes after its last use; 20 is the most the service allows:
    https://platform.openai.com/docs/guides/tools-code-interpreter
    """

    memory: str = ""
    minutes: int = 20
    domains: tuple[str, ...] = ()

    def body(self) -> Json:
        """As it stands in a request, for a container that is made or one that the service makes."""
        allowed = {"network_policy": {"type": "allowlist", "allowed_domains": list(self.domains)}}
        return ({"memory_limit": self.memory} if self.memory else {}) | (allowed if self.domains else {})


def instructions(
    own: str, inputs: Sequence[InputNote], outputs: Sequence[str], *, code: bool, builtin: bool = True
) -> str:
    """What the model is told beside the question: ours if `builtin`, the files, what has to come back, the user's own.

    `code` says whether it may run; each name in `outputs` has to come back as `NAME.csv`. The embedded engine has
    instructions of its own instead of ours.
    """
    paragraphs = [INSTRUCTIONS if code else WITHOUT_CODE] if builtin else []
    # Those that were named with this question first: it is most likely about these.
    for heading, asked in (("Files of the user:", True), ("Files of the user, from earlier questions:", False)):
        if listed := [f"- {note.path}: {note.description}" for note in inputs if note.named is asked]:
            paragraphs.append("\n".join([heading, *listed]))
    if inputs:
        paragraphs[-1] += f"\n{_KEEP_TEXT}"
    if outputs:
        paragraphs.append(
            "The notebook goes on with these tables: save each in /mnt/data under exactly this name, with one row of "
            f"column names and no index column, and link it: {', '.join(f'{name}.csv' for name in outputs)}"
        )
    return "\n\n".join([*paragraphs, own] if own else paragraphs)


_WAYS = """Write web_search, file_search:vs_1,vs_2, or the tool as JSON: --tool '{"type": "image_generation"}'."""


def parse_tool(spec: str) -> Json:
    """Read one tool. Raises `ValueError`, whose two arguments say what is wrong, and what to write instead."""
    # What is in a tool is not repeated in an error: it may be a token.
    written = spec.strip()
    name, _, rest = written.partition(":")
    stores = [store.strip() for store in rest.split(",") if store.strip()]
    tool: Json = {"type": name, "vector_store_ids": stores} if stores else {"type": name}
    if written.startswith("{"):
        try:
            tool = json.loads(written)
            json.dumps(tool, allow_nan=False)  # Python's reader takes NaN and the like, which are no JSON
        except (ValueError, RecursionError):
            raise ValueError("The tool is not JSON.", _WAYS) from None
        if not isinstance(tool.get("type"), str) or not tool["type"]:
            raise ValueError('The tool has no "type".', _WAYS)
    elif name != "code_interpreter" and written != "web_search" and not (name == "file_search" and stores):
        named = f" {written}" if re.fullmatch(r"[a-z_]{1,30}", written) else ""
        raise ValueError(f"There is no tool{named} in this form.", _WAYS)
    if tool["type"] == "code_interpreter":
        cure = "Code interpreter is always there; leave it out with --no-code."
        raise ValueError("The tool code_interpreter cannot be added.", cure)
    return tool


def parse_tools(specs: Iterable[str]) -> tuple[Json, ...]:
    """Read several, the same one once. Raises as `parse_tool` does."""
    tools = [parse_tool(spec) for spec in specs]
    return tuple(tool for place, tool in enumerate(tools) if tool not in tools[:place])


def tool_in_words(tool: Json) -> str:
    """A tool for a person to read: its type, and whatever else is set in it, without the secrets.

    >>> tool_in_words({"type": "mcp", "server_url": "https://mcp.example.org", "authorization": "abc"})
    'mcp {"server_url": "https://mcp.example.org", "authorization": "<secret>"}'
    """
    more = {name: part for name, part in without_secrets(tool).items() if name not in {"type", "container"}}
    return f"{tool['type']} {json.dumps(more)}" if more else str(tool["type"])
