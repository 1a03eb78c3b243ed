"""Markdown that hostile names and cells cannot break out of."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SHOWN: Final = 80
"""Characters of a name or a cell that are shown; the rest becomes an ellipsis."""

_SPECIAL: Final = re.compile(r"[\\`*\[\]{}<>|~#&!$]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown, HTML or formulas could begin with; an underscore inside a word is no mark."""
_UNSAFE_IN_URL: Final = re.compile(r"[\s()<>\[\]\\\"'`%]")
_UNSAFE_IN_LABEL: Final = re.compile(r"([\\\[\]`*<>])")


def clean_line(text: str) -> str:
    """Text without line breaks, control and direction characters, runs of blanks, or excessive length."""
    visible = "".join(
        " " if unicodedata.category(letter) in {"Zl", "Zp", "Zs"} or letter.isspace() else letter for letter in text
    )
    shown = "".join(letter for letter in visible if unicodedata.category(letter) not in {"Cc", "Cf", "Cs"})
    joined = " ".join(shown.split())
    return joined if len(joined) <= MAX_SHOWN else joined[: MAX_SHOWN - 1] + "…"


def escape(text: str) -> str:
    """A name or a cell as plain text in Markdown."""
    return _SPECIAL.sub(lambda mark: "\\" + mark.group(), clean_line(text))


def bold(name: str) -> str:
    """A column's name."""
    return f"**{escape(name) or '(no name)'}**"


def quoted(text: str) -> str:
    """A value, or words of the prompt."""
    return f"“{escape(text)}”"


def inline_code(text: str) -> str:
    """Text as inline code, with a fence that is longer than any in it."""
    shown = clean_line(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    edge = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


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
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        f"| {' | '.join(escape(cell) if line is not lines[1] else cell for cell in line)} |" for line in lines
    )
