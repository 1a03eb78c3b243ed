"""Hostile text → text that can be shown.

Model text, file names and what code printed are written by others. All that is shown of them goes through one of these
functions: markup is escaped, and characters that hide, reorder or drive a terminal become U+FFFD.
"""

from __future__ import annotations

import html
import re

# C0 and C1 controls but for tab and line feed, zero-width space, the line and paragraph separators, the embeddings,
# overrides and isolates of https://www.unicode.org/reports/tr9/, lone surrogates, byte order mark.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_ANSI = re.compile(r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|\[[0-?]*[ -/]*[@-~]|[@-_])")


def visible(text: str) -> str:
    r"""The text with every character that hides or reorders others shown as U+FFFD; line ends become `\n`."""
    return _UNSEEN.sub("\ufffd", text.replace("\r\n", "\n"))


def one_line(text: str, longest: int = 80) -> str:
    """A name on one line; a very long one is cut in its middle, so that its ending can still be read."""
    line = visible(text.replace("\n", "\ufffd").replace("\t", " "))
    if len(line) <= longest:
        return line
    tail = longest // 2
    return f"{line[: longest - tail - 1]}…{line[-tail:]}"


def escaped(text: str) -> str:
    """Text as it may stand in HTML, between tags or in a quoted attribute."""
    return html.escape(visible(text))


def printed(logs: str) -> str:
    r"""What code printed, as a terminal would leave it: without escape sequences, a line overwritten by `\r` once."""
    lines = _ANSI.sub("", logs).split("\n")
    return visible("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines))
