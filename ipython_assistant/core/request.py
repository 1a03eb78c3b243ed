"""Parts of the JSON that is sent to `POST /responses`: instructions, past messages, what a container is to be like."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipython_assistant.core.redaction import without_secrets
from ipython_assistant.core.wording import did_you_mean

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


KEEP_TEXT = "Columns described as str hold text: read them with dtype=str and keep_default_na=False."
"""A code such as 00412 would lose its zeros otherwise, and Namibia's NA would be missing."""

FILES, FILES_EARLIER = "Files of the user:", "Files of the user, from earlier questions:"
"""Over those that were named with this question, and over the others."""


@dataclass(frozen=True, slots=True)
class InputNote:
    """What the model is told about an input: its path in the container and what it is, on one line; never its contents.

    It is `named` with this question, or was put there for an earlier one.
    """

    path: str
    description: str
    named: bool = True


@dataclass(frozen=True, slots=True)
class PastMessage:
    """A message of an earlier turn, sent again where the service does not hold the conversation."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ContainerPolicy:
    """What a new container is to be like: its memory (`1g`, `4g`, `16g`, `64g`, or the service's default if empty).

    It is kept so many minutes after its last use; 20 is the most the service allows
    (https://platform.openai.com/docs/guides/tools-code-interpreter). Its code may reach these domains, else nothing.
    """

    memory: str = ""
    minutes: int = 20
    domains: tuple[str, ...] = ()

    def body(self) -> Json:
        """As it stands in a request, for a container that is made or one that the service makes."""
        body: Json = {}
        if self.memory:
            body["memory_limit"] = self.memory
        if self.domains:
            body["network_policy"] = {"type": "allowlist", "allowed_domains": list(self.domains)}
        return body


def instructions(
    own: str, inputs: Sequence[InputNote], outputs: Sequence[str], *, code: bool, builtin: bool = True
) -> str:
    """What the model is told beside the question: ours if `builtin`, the files, what has to come back, the user's own.

    `code` says whether it may run; each name in `outputs` has to come back as `NAME.csv`. The embedded engine has
    instructions of its own instead of ours.
    """
    paragraphs = [INSTRUCTIONS if code else WITHOUT_CODE] if builtin else []
    # Those that were named with this question first: it is most likely about these.
    for heading, asked in ((FILES, True), (FILES_EARLIER, False)):
        if listed := [f"- {note.path}: {note.description}" for note in inputs if note.named is asked]:
            paragraphs.append("\n".join([heading, *listed]))
    if inputs:
        paragraphs[-1] += f"\n{KEEP_TEXT}"
    if outputs:
        names = ", ".join(f"{name}.csv" for name in outputs)
        what, it = ("this table", "it") if len(outputs) == 1 else ("each of these tables", "each")
        paragraphs.append(
            f"The notebook goes on with {what}: save {it} in /mnt/data under exactly this name, with one row of column "
            f"names and no index column, and link {it}: {names}"
        )
    return "\n\n".join([*paragraphs, own] if own else paragraphs)


WAYS_TO_WRITE_IT = (
    """Write web_search, file_search:vs_1,vs_2, or the tool as JSON: --tool '{"type": "image_generation"}'."""
)
NAMES = ("web_search", "file_search")
NO_CODE = "Code interpreter is always there; leave it out with --no-code."


def parse_tool(spec: str) -> Json:
    """Read one tool. Raises `ValueError`, whose two arguments say what is wrong, and what to write instead.

    >>> parse_tool("file_search:vs_1, vs_2")
    {'type': 'file_search', 'vector_store_ids': ['vs_1', 'vs_2']}
    """
    written = spec.strip()
    name, colon, rest = (part.strip() for part in written.partition(":"))
    stores = [store.strip() for store in rest.split(",") if store.strip()]
    tool: Json = _object(written) if written.startswith("{") else {"type": name}
    if tool["type"] == "code_interpreter":
        raise ValueError("The tool code_interpreter cannot be added.", NO_CODE)
    if written.startswith("{") or (name == "web_search" and not colon):
        return tool
    if name == "file_search" and stores:
        return {"type": name, "vector_store_ids": stores}
    if name == "file_search":
        raise ValueError("The tool file_search needs a vector store.", "Write: --tool file_search:vs_...")
    if name == "web_search":
        raise ValueError("The tool web_search takes nothing after its name.", "Write: --tool web_search")
    # What follows a colon, and what does not look like the name of a tool, may hold a token: it is not repeated.
    named = f" {name!r}" if re.fullmatch(r"[a-z_]{1,30}", name) else " like this"
    said = f"There is no tool{named}." if written else "A tool is missing."
    raise ValueError(said, did_you_mean(name, NAMES) + WAYS_TO_WRITE_IT)


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


def _object(written: str) -> Json:
    try:
        # Python's reader takes NaN and the like, which are no JSON: the request could not be sent.
        tool: Json = json.loads(written)
        json.dumps(tool, allow_nan=False)
    except (ValueError, RecursionError) as error:
        # The text itself is not repeated: a tool may hold a token.
        where = f": look at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"The tool is not JSON{where}.", WAYS_TO_WRITE_IT) from None
    if not isinstance(tool.get("type"), str) or not tool["type"]:
        raise ValueError('The tool has no "type".', WAYS_TO_WRITE_IT)
    return tool
