"""Runs the Python that a prompt holds, as it is given. Nothing is decided and no model is used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models import Refuse, Run, RunOutcome, Say

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ipython_assistant.engine.models import Ask, Interpreter, Step

PYTHON: Final = frozenset({"", "python", "py", "python3", "ipython"})
"""First words after an opening fence that mean Python."""

_FENCE: Final = re.compile(r"^( {0,3})(`{3,})[ \t]*([^\s`]*)(?:\s[^`]*)?$")
_UNSAFE_IN_URL: Final = re.compile(r"[\s()<>\[\]\\\"'`%]")
_UNSAFE_IN_LABEL: Final = re.compile(r"([\\\[\]`*<>])")


class Script:
    """Answers a prompt that holds Python in a fenced block by running it."""

    name = "script"

    async def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, RunOutcome | None]:  # noqa: ARG002
        """Run the code and link what it made.

        Args:
            ask: The question; only its prompt is read.
            interpreter: Not needed.
        """
        code = fenced(ask.prompt)
        if code is None:
            yield Refuse("There is no Python in the prompt. Put it between ```` ```python ```` and ```` ``` ````.")
            return
        yield Say("Running the code as given.")
        ran = yield Run(code)
        if ran is not None:
            yield Say(_account(ran))


def fenced(prompt: str) -> str | None:
    """The Python in a prompt's fenced blocks, joined in order; None if there is none.

    A block counts if its fence names Python or nothing. One that is never closed goes on to the end, as in CommonMark.
    """
    blocks: list[list[str]] = []
    closing: re.Pattern[str] | None = None
    indent, wanted = 0, False
    for line in prompt.splitlines():
        if closing is not None:
            if closing.match(line):
                closing = None
            elif wanted:
                blocks[-1].append(line.removeprefix(" " * indent) if not line[:indent].strip() else line)
        elif opening := _FENCE.match(line):
            indent, wanted = len(opening[1]), opening[3].lower() in PYTHON
            closing = re.compile(rf"^ {{0,3}}`{{{len(opening[2])},}}[ \t]*$")
            if wanted:
                blocks.append([])
    code = "\n\n".join("\n".join(block) for block in blocks).strip("\n")
    return code if code.strip() else None


def link(name: str) -> str:
    """A Markdown link to a file in the container, safe for any file name."""
    target = _UNSAFE_IN_URL.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)
    label = _UNSAFE_IN_LABEL.sub(r"\\\1", name)
    return f"[{label}](sandbox:/mnt/data/{target})"


def _account(ran: RunOutcome) -> str:
    """What came of it, in a few lines."""
    told = []
    if ran.error is not None:
        told.append(f"The code stopped with {ran.error.rstrip('.')}. Its log is shown with the code.")
    if ran.files:
        told.append("Files:\n\n" + "\n".join(f"- {link(name)}" for name in ran.files))
    if ran.figures:
        told.append("It showed one figure." if ran.figures == 1 else f"It showed {ran.figures} figures.")
    if not told:
        told.append("It ran to its end and made no files.")
    return "\n\n".join(told)
