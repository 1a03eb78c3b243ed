"""Hostile text → text that can be shown.

Model text, file names and what code printed are written by others. All that is shown of them goes through one of these
functions: markup is escaped, and characters that hide, reorder or drive a terminal become U+FFFD.
"""

from __future__ import annotations

import html
import re
from itertools import groupby
from typing import Any

CODE_STYLE = (
    "margin:.4em 0 .8em;padding:.1em 0 .1em .9em;border-left:2px solid rgba(128,128,128,0.35);"
    "background:transparent;white-space:pre-wrap;overflow-wrap:break-word"
)

LONGEST_COLOURED = 20_000
"""In characters. Longer code is shown plain: a lexer's patterns are not made for hostile input of any length."""

# By Pygments' short name of a token, or its first letter.
_COLOURS = {
    "k": "keyword-color,#3d8b3d);font-weight:bold",
    "ow": "keyword-color,#3d8b3d);font-weight:bold",
    "nb": "builtin-color,#3d8b3d)",
    "nf": "def-color,#4a78d0)",
    "nc": "def-color,#4a78d0)",
    "s": "string-color,#c4503c)",
    "m": "number-color,#3d8b3d)",
    "c": "comment-color,#6c8080);font-style:italic",
}

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


def code_block(code: str, language: str) -> str:
    """Code in a `<pre>`, Python in colours: inline ones, since an untrusted notebook loses its `<style>` blocks."""
    coloured = escaped(code)
    if language.strip().lower() in {"python", "py"} and len(code) <= LONGEST_COLOURED:
        from pygments.lexers.python import PythonLexer
        from pygments.token import STANDARD_TYPES

        def colour_of(token: tuple[Any, str]) -> str:
            name = STANDARD_TYPES.get(token[0], "")
            return _COLOURS.get(name) or _COLOURS.get(name[:1], "")

        coloured = ""
        for colour, tokens in groupby(PythonLexer(stripnl=False, ensurenl=False).get_tokens(visible(code)), colour_of):
            words = escaped("".join(text for _, text in tokens))
            coloured += f'<span style="color:var(--jp-mirror-editor-{colour}">{words}</span>' if colour else words
    return f'<pre style="{CODE_STYLE}"><code>{coloured}</code></pre>'
