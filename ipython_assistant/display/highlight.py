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

_LANGUAGES = dict.fromkeys(("bash", "css", "html", "javascript", "json", "python", "r", "sql", "toml", "yaml"), "")
_LANGUAGES |= {"js": "javascript", "py": "python", "python3": "python", "sh": "bash", "shell": "bash", "yml": "yaml"}
_COLOURS = {
    "Keyword": ("keyword", "#3d8b3d"),
    "Operator.Word": ("keyword", "#3d8b3d"),
    "Operator": ("operator", "#9a5fd0"),
    "Name.Builtin": ("builtin", "#3d8b3d"),
    "Name.Function": ("def", "#4a78d0"),
    "Name.Class": ("def", "#4a78d0"),
    "Name.Decorator": ("meta", "#9a5fd0"),
    "Name.Tag": ("tag", "#3d8b3d"),
    "Name.Attribute": ("attribute", "#4a78d0"),
    "Literal.String": ("string", "#c4503c"),
    "Literal.Number": ("number", "#3d8b3d"),
    "Comment": ("comment", "#6c8080"),
}
_FONTS = {"keyword": ";font-weight:bold", "comment": ";font-style:italic"}


def highlight(code: str, language: str) -> str:
    """The code as HTML to stand in a `<pre>`; plain where the language is not one of a few well-known ones."""
    language = language.strip().lower()
    if language not in _LANGUAGES or len(code) > LONGEST:
        return escaped(code)
    from pygments.lexers import get_lexer_by_name

    lexer = get_lexer_by_name(_LANGUAGES[language] or language, stripnl=False, ensurenl=False)
    runs: list[tuple[str, str]] = []
    for kind, text in lexer.get_tokens(visible(code)):
        before = runs[-1][0] if runs else ""
        # White space has no colour: left in the run before it, it saves a pair of tags.
        style = before if text.isspace() else _style(kind)
        runs.append((style, runs.pop()[1] + text if runs and style == before else text))
    return "".join(f'<span style="{style}">{escaped(run)}</span>' if style else escaped(run) for style, run in runs)


def _style(kind: _TokenType) -> str:
    path = ".".join(kind)
    while path and path not in _COLOURS:
        path = path.rpartition(".")[0]
    if not path:
        return ""
    variable, colour = _COLOURS[path]
    return f"color:var(--jp-mirror-editor-{variable}-color,{colour}){_FONTS.get(variable, '')}"
