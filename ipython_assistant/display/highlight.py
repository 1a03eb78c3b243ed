"""Source code → HTML in the colours of the reader's theme.

Inline styles, since a `<style>` block is removed from a notebook that is not trusted. The colours are JupyterLab's own
variables, so code looks as it does in a cell, light or dark; the fallbacks are mid-tones that read on both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.display.escaping import escaped, visible

if TYPE_CHECKING:
    from pygments.token import _TokenType

LONGEST = 20_000
"""In characters. Longer code is shown plain: a lexer's patterns are not made for hostile input of any length."""

_LANGUAGES = {
    "bash": "bash",
    "console": "console",
    "css": "css",
    "html": "html",
    "javascript": "javascript",
    "js": "javascript",
    "json": "json",
    "py": "python",
    "python": "python",
    "python3": "python",
    "r": "r",
    "sh": "bash",
    "shell": "bash",
    "sql": "sql",
    "toml": "toml",
    "yaml": "yaml",
    "yml": "yaml",
}
_STYLES = {
    "Keyword": "color:var(--jp-mirror-editor-keyword-color,#3d8b3d);font-weight:bold",
    "Operator.Word": "color:var(--jp-mirror-editor-keyword-color,#3d8b3d);font-weight:bold",
    "Operator": "color:var(--jp-mirror-editor-operator-color,#9a5fd0)",
    "Name.Builtin": "color:var(--jp-mirror-editor-builtin-color,#3d8b3d)",
    "Name.Function": "color:var(--jp-mirror-editor-def-color,#4a78d0)",
    "Name.Class": "color:var(--jp-mirror-editor-def-color,#4a78d0)",
    "Name.Decorator": "color:var(--jp-mirror-editor-meta-color,#9a5fd0)",
    "Name.Tag": "color:var(--jp-mirror-editor-tag-color,#3d8b3d)",
    "Name.Attribute": "color:var(--jp-mirror-editor-attribute-color,#4a78d0)",
    "Literal.String": "color:var(--jp-mirror-editor-string-color,#c4503c)",
    "Literal.Number": "color:var(--jp-mirror-editor-number-color,#3d8b3d)",
    "Comment": "color:var(--jp-mirror-editor-comment-color,#6c8080);font-style:italic",
}


def highlight(code: str, language: str) -> str:
    """The code as HTML to stand in a `<pre>`; plain where the language is not one of a few well-known ones."""
    name = _LANGUAGES.get(language.strip().lower())
    if name is None or len(code) > LONGEST:
        return escaped(code)
    from pygments.lexers import get_lexer_by_name

    lexer = get_lexer_by_name(name, stripnl=False, ensurenl=False)
    pieces = []
    open_style, run = "", ""
    for kind, text in lexer.get_tokens(visible(code)):
        # White space has no colour: left in the run before it, it saves a pair of tags.
        style = open_style if text.isspace() else _style(kind)
        if style != open_style:
            pieces.append(_span(open_style, run))
            open_style, run = style, ""
        run += text
    pieces.append(_span(open_style, run))
    return "".join(pieces)


def _style(kind: _TokenType) -> str:
    path = ".".join(kind)
    while path:
        if path in _STYLES:
            return _STYLES[path]
        path = path.rpartition(".")[0]
    return ""


def _span(style: str, text: str) -> str:
    if not text:
        return ""
    return f'<span style="{style}">{escaped(text)}</span>' if style else escaped(text)
