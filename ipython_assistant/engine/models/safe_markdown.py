"""Markdown: the fenced code in it, and names and cells written so that hostile ones cannot break out."""

from __future__ import annotations

import ast
import contextlib
import re
import textwrap
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_SHOWN: Final = 80  # characters of a name or a cell that are shown; the rest becomes an ellipsis

_SPECIAL: Final = re.compile(r"[\\`*\[\]{}<>|~#&!$]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown, HTML or formulas could begin with; an underscore inside a word is no mark."""
_UNSAFE_IN_URL: Final = re.compile(r"[\s()<>\[\]\\\"'`%]")
_UNSAFE_IN_LABEL: Final = re.compile(r"([\\\[\]`*<>])")
_PYTHON: Final = frozenset({"python", "py", "python3", "ipython"})
"""First words after an opening fence that mean Python."""
_DOES: Final = re.compile(r"[=(]|\bimport\b")
_BLOCK: Final = re.compile(r"(?ms)^[ \t]*(`{3,})[ \t]*([^\s`]*)(?:[ \t][^`\n]*)?\n(.*?)(?:^[ \t]*\1`*[ \t]*$|\Z)")


def fenced(prompt: str) -> str | None:
    """The Python in the fenced blocks of a prompt whose fence names Python or nothing, joined; None without one."""
    blocks = [code.rstrip("\n") for _, language, code in _blocks(prompt) if language in _PYTHON | {""}]
    code = "\n\n".join(blocks).strip("\n")
    return code if code.strip() else None


def split(text: str) -> tuple[str, str]:
    """The prose before the first block of Python in a text, and the code of that block; without one all is prose.

    A fence that names nothing counts where Python is in it. What comes behind is a guess at what the code will do.
    """
    text = text.replace("\r\n", "\n")  # or the places would not be those in the text
    for start, language, code in _blocks(text):
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            if language not in _PYTHON:
                ast.parse(code)
                if language or not _DOES.search(code):  # Python calls or assigns; a table or a list of names does not
                    continue
            return text[:start].strip(), code.strip("\n") + "\n"
    return text.strip(), ""


def _blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """Where each fenced block begins, its language, and what is in it; one that is never closed goes on to the end."""
    for block in _BLOCK.finditer(text.replace("\r\n", "\n")):
        yield block.start(), block[2].lower(), textwrap.dedent(block[3]) if block[0][0] in " \t" else block[3]


def clean_line(text: str, most: int = MAX_SHOWN) -> str:
    """Text without line breaks, control and direction characters, runs of blanks, or excessive length."""
    hidden = {"Cc", "Cf", "Cs"}
    shown = "".join(one for one in text if one.isspace() or unicodedata.category(one) not in hidden)
    joined = " ".join(shown.split())
    return joined if len(joined) <= most else joined[: most - 1] + "…"


def escape(text: str, most: int = MAX_SHOWN) -> str:
    """A name or a cell as plain text in Markdown."""
    return _SPECIAL.sub(lambda mark: "\\" + mark.group(), clean_line(text, most))


def bold(name: str) -> str:
    """A column's name."""
    return f"**{escape(name) or '(no name)'}**"


def quoted(text: str) -> str:
    """A value, or words of the prompt."""
    return f"“{escape(text)}”"


def inline_code(text: str) -> str:
    """Text as inline code, with a fence that is longer than any in it."""
    shown = clean_line(text)
    fence = fence_for(shown, 1)
    edge = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


def fence_for(text: str, least: int = 3) -> str:
    """A fence of backquotes that is longer than any in the text."""
    return "`" * max(least, *(len(run) + 1 for run in re.findall("`+", text)), 1)


def listed(parts: Sequence[str], joint: str = "and") -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {joint} {parts[-1]}" if parts else ""


def file_link(name: str) -> str:
    """A link to a file in the container, safe for any file name."""
    target = _UNSAFE_IN_URL.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)
    label = _UNSAFE_IN_LABEL.sub(r"\\\1", name)
    return f"[{label}](sandbox:/mnt/data/{target})"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells as they are."""
    cells = [[escape(cell) for cell in row] for row in (header, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], ["---"] * len(header), *cells[1:]))
