"""Small pieces of the sentences that are shown: counts, sizes, what goes on, nearest words, a disk's reasons."""

from __future__ import annotations

import difflib
import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PERCENT_FROM_BYTES = 5_000_000  # a smaller transfer ends before anyone could read a percentage
DOING = {
    "response.created": "thinking",
    "response.in_progress": "thinking",
    "response.output_text.delta": "writing",
    "response.refusal.delta": "writing",
    "response.code_interpreter_call.in_progress": "writing code",
    "response.code_interpreter_call_code.delta": "writing code",
    "response.code_interpreter_call.interpreting": "running code",
    "response.code_interpreter_call.completed": "thinking",
    "response.shell_call_command.added": "writing a command",
    "response.shell_call_command.done": "running a command",
    "response.image_generation_call.in_progress": "drawing",
    "response.web_search_call.searching": "searching the web",
    "response.file_search_call.searching": "searching files",
}
"""What a service is doing from an event of this type on."""


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 row`, `1,234 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    r"""Lines from outside as they may be printed in a terminal: what would control it is a blank.

    >>> printable("a\x1b[2J\n b")
    'a [2J\n b'
    """
    return "\n".join("".join(char if char.isprintable() else " " for char in line) for line in text.split("\n"))


def on_one_line(what: object) -> str:
    """Words from outside as they may stand in a sentence, on one line. Not for names: see `display.escaping`."""
    return " ".join(printable(str(what)).split())


def first_words(text: str, longest: int = 50) -> str:
    """The beginning of a text, on one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def size_in_words(size: int) -> str:
    """A file's size for people: exact below 10,000 bytes, then in decimal units.

    >>> size_in_words(1), size_in_words(1234), size_in_words(12_345), size_in_words(2_120_588)
    ('1 byte', '1,234 bytes', '12.3 kB', '2.1 MB')
    """
    if size < 10_000:  # noqa: PLR2004 the docstring says it
        return counted(size, "byte")
    rounded = round(size, 4 - len(str(size)))  # 999,960 is 1.0 MB
    thousands = min((len(str(rounded)) - 1) // 3, 4)
    return f"{size / 1000**thousands:.1f} {('kB', 'MB', 'GB', 'TB')[thousands - 1]}"


def transfer_in_words(verb: str, done: int, total: int, moved: int, expected: int = 0) -> str:
    """Say that `done` of `total` files (0: they are looked for) and `moved` of `expected` bytes are there."""
    if not total:
        return "looking for files"
    said = f"{verb} {done} of {counted(total, 'file')}"
    if expected <= PERCENT_FROM_BYTES:
        return f"{said} ({size_in_words(moved)})"
    return f"{said}, {min(moved / expected, 1.0):.0%} ({size_in_words(moved)} of {size_in_words(expected)})"


def did_you_mean(word: str, known: Iterable[str], *, before: str = "") -> str:
    """The beginning of a hint, with a blank behind it; nothing where no word that is known is near.

    `before` is what stands before the word where it is written.

    >>> did_you_mean("modle", ["model", "input"], before="--"), did_you_mean("plot", ["report"])
    ('Did you mean --model? ', '')
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.65)
    return f"Did you mean {before}{near[0]}? " if near and near[0] != word else ""


_REASONS = {
    errno.EILSEQ: "the disk does not take this name",
    errno.EINVAL: "the disk does not take this name",
    errno.ENOENT: "it is no longer there",
    errno.ENOSPC: "the disk is full",
    errno.ENOTDIR: "a file is where a folder should be",
}
"""Where the system's own words do not say what to do."""


def disk_reason(error: OSError) -> str:
    """Why the system refused, to stand after a colon."""
    said = error.strerror or type(error).__name__
    return _REASONS.get(error.errno or 0, said[:1].lower() + said[1:])
