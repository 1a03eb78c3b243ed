"""Model text → HTML that runs nothing, fetches nothing and links only where a link may lead.

Raw HTML is shown, not interpreted. A remote picture would tell its server what the model wrote into its address, as
soon as the notebook is opened; so a picture becomes its description in words. A link is clickable if it leads to the
web or to mail, or is one of the files of this answer. Code has JupyterLab's own colours, as inline styles, since a
`<style>` block is removed from a notebook that is not trusted.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from markdown_it import MarkdownIt

from ipython_assistant.display.escaping import escaped, visible
from ipython_assistant.display.formulas import formulas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markdown_it.token import Token
    from markdown_it.utils import EnvType
    from pygments.token import _TokenType

CODE_STYLE = (
    "margin:.4em 0 .8em;padding:.1em 0 .1em .9em;border-left:2px solid rgba(128,128,128,0.35);"
    "background:transparent;white-space:pre-wrap;overflow-wrap:break-word"
)

LONGEST_COLOURED = 20_000
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
_ELSEWHERE = re.compile(r"https?://|mailto:", re.IGNORECASE)
_UNFINISHED_LINK = re.compile(r"!?\[([^\[\]\n]*)(?:\]\([^()\n]*)?\Z")

# MathJax would set everything between two dollar signs of an answer about money as a formula. JupyterLab's version
# looks for the first class, the older one of exported pages for the second. It is let in to formulas alone.
NO_MATH = "mathjax_ignore tex2jax_ignore"

SCROLLED = f'<div class="{NO_MATH}" style="overflow-x:auto;margin-top:.4em" tabindex="0">'
"""What a table stands in, so that a wide one does not widen the page. It can be scrolled with the keyboard."""


def render(text: str, *, hrefs: Mapping[str, str]) -> str:
    """Model text as safe HTML; its links to files are already relative.

    `hrefs` are the only relative links that may be clicked: percent-encoded href → name the download gets.
    """
    files = {unquote(href): (href, name) for href, name in hrefs.items()}
    html = _parser().render(visible(text), {"files": files, "colours": True, "links": []})
    return f'<div class="{NO_MATH}">{html}</div>'


class Growing:
    """Model text that is still being written → safe HTML, at a cost that follows what is new.

    A top-level block that another one follows will not change any more: it is drawn once. No link leads to a file yet,
    code has no colours (five times its size), and a link whose address is defined further down is plain text.
    """

    def __init__(self) -> None:
        self._done = self._drawn = ""

    def render(self, text: str) -> str:
        """The text so far as HTML; it usually begins with the text of the call before."""
        written = visible(without_unfinished_link(text))
        if not written.startswith(self._done):
            self._done = self._drawn = ""
        tail = written[len(self._done) :]
        parser, env = _parser(), {"files": {}, "colours": False, "links": []}
        tokens = parser.parse(tail, env)
        last = max((at for at, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0), default=0)
        if last and (lines := tokens[last].map):
            self._done += "".join(f"{line}\n" for line in tail.split("\n")[: lines[0]])
            self._drawn += parser.renderer.render(tokens[:last], parser.options, env)
            tokens = tokens[last:]
        return f'<div class="{NO_MATH}">{self._drawn}{parser.renderer.render(tokens, parser.options, env)}</div>'


def descriptions(text: str) -> dict[str, str]:
    """What an answer says of each file it links to: decoded href → the link's words, or those of its paragraph."""
    said: dict[str, str] = {}
    for block in _parser().parse(text):
        href, label = "", ""
        for token in block.children or ():
            if token.type == "link_open":
                href, label = unquote(str(token.attrGet("href") or "")), ""
            elif token.type == "link_close":
                # The name alone says less than the sentence it stands in.
                is_name = len(label.split()) < 3  # noqa: PLR2004 as "the chart"
                said.setdefault(href, _words(block.children or ()) if is_name else label)
            else:
                label += token.content
    return said


def tables(text: str) -> list[list[list[str]]]:
    """The tables in a Markdown text: each its rows, the header first, the cells as words."""
    found: list[list[list[str]]] = []
    in_cell = False
    for token in _parser().parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and in_cell:
            found[-1][-1].append(_words(token.children or ()))
        in_cell = token.type in {"th_open", "td_open"}
    return found


def without_unfinished_link(text: str) -> str:
    """Text that is still being written, without the address that is half there: its label alone.

    >>> without_unfinished_link("See [the table](sandbox:/mnt/da")
    'See the table'
    """
    return _UNFINISHED_LINK.sub(r"\1", text)


class _Parser(MarkdownIt):
    """CommonMark in which every link is parsed, so that what a forbidden one says is still read."""

    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802 the name and signature are markdown-it's
        return True


@cache
def _parser() -> MarkdownIt:
    parser = _Parser("commonmark", {"html": False}).enable(["table", "strikethrough"])
    formulas(parser)
    for name, rule in _RULES.items():
        parser.add_render_rule(name, rule)
    return parser


# How an element becomes HTML; the signature is markdown-it's. `env` has what `render` was given, and whether each link
# that is open may be clicked.


def _fence(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, env: EnvType) -> str:
    token = tokens[index]
    language = token.info.strip().partition(" ")[0] if env["colours"] else ""
    return f'<pre style="{CODE_STYLE}"><code>{highlight(token.content, language)}</code></pre>\n'


def _table(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _env: EnvType) -> str:
    return f"{SCROLLED}<table>\n" if tokens[index].nesting > 0 else "</table></div>\n"


def _link_open(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, env: EnvType) -> str:
    anchor = _anchor(tokens[index].attrGet("href"), env)
    env["links"].append(bool(anchor))
    return anchor


def _link_close(_renderer: Any, _tokens: Sequence[Token], _index: int, _options: Any, env: EnvType) -> str:
    return "</a>" if env["links"].pop() else ""


def _image(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, env: EnvType) -> str:
    words, src = _words(tokens[index].children or []), str(tokens[index].attrGet("src") or "")
    file = env["files"].get(unquote(src))
    if file is None or not (anchor := _anchor(src, env)):
        return escaped(f"[picture not fetched: {words}]" if words else "[picture not fetched]")
    label = escaped(words or file[1])
    return label if any(env["links"]) else f"{anchor}{label}</a>"


_RULES = {
    "fence": _fence,
    "code_block": _fence,
    "table_open": _table,
    "table_close": _table,
    "link_open": _link_open,
    "link_close": _link_close,
    "image": _image,
}


def _anchor(written: Any, env: EnvType) -> str:
    """The tag of a link that may be clicked; empty for any other."""
    href = str(written or "")
    file = env["files"].get(unquote(href))
    if file is not None and not file[0].startswith(("/", "\\")):
        return f'<a href="{escaped(file[0])}" download="{escaped(file[1])}">'
    if _ELSEWHERE.match(href):
        return f'<a href="{escaped(href)}" target="_blank" rel="noopener noreferrer">'
    return f'<a href="{escaped(href)}">' if href.startswith("#") else ""


def _words(tokens: Sequence[Token]) -> str:
    return "".join(_words(token.children) if token.children else token.content for token in tokens)


def highlight(code: str, language: str) -> str:
    """The code as HTML to stand in a `<pre>`; plain where the language is not one of a few well-known ones."""
    language = language.strip().lower()
    if language not in _LANGUAGES or len(code) > LONGEST_COLOURED:
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
