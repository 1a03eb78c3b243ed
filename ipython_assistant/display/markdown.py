"""Model text → HTML that runs nothing, fetches nothing and links only where a link may lead.

Raw HTML is shown, not interpreted. A remote picture would tell its server what the model wrote into its address, so it
becomes its description. A link is clickable if it leads to the web, to mail or to a file of this answer.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ipython_assistant.display.escaping import code_block, escaped, visible
from ipython_assistant.display.formulas import formulas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from markdown_it.utils import EnvType

_ELSEWHERE = re.compile(r"https?://|mailto:", re.IGNORECASE)
_UNFINISHED_LINK = re.compile(r"!?\[([^\[\]\n]*)(?:\]\([^()\n]*)?\Z")

# MathJax is let in to formulas alone. JupyterLab's version looks for the first class, that of exported pages for the
# second.
NO_MATH = "mathjax_ignore tex2jax_ignore"

SCROLLED = f'<div class="{NO_MATH}" style="overflow-x:auto;margin-top:.4em" tabindex="0">'
"""What a table stands in, so that a wide one does not widen the page. It can be scrolled with the keyboard."""


def render(text: str, *, hrefs: Mapping[str, str]) -> str:
    """Model text as safe HTML; only the links in `hrefs` (percent-encoded href → download's name) may be clicked."""
    files = {unquote(href): (href, name) for href, name in hrefs.items()}
    env = {"files": files, "colours": True, "links": []}
    html = _parser().renderer.render(_parsed(visible(text)), _parser().options, env)
    return f'<div class="{NO_MATH}">{html}</div>'


class Growing:
    """Model text that is still being written → safe HTML, at a cost that follows what is new.

    A top-level block that another one follows will not change any more: it is drawn once. No link leads to a file yet,
    code has no colours (five times its size), and a link whose address is defined further down is plain text.
    """

    def __init__(self) -> None:
        self._done = self._drawn = ""

    def render(self, text: str) -> str:
        """The text so far as HTML, an unfinished link as its label; fast if it begins with the last call's text."""
        written = visible(_UNFINISHED_LINK.sub(r"\1", text))
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
    """What an answer says of each file it links to: decoded href → the words of the paragraph with the link."""
    said: dict[str, str] = {}
    for block in _parsed(text):
        for token in block.children or ():
            if token.type == "link_open":
                said.setdefault(unquote(str(token.attrGet("href"))), _words(block.children or ()))
    return said


def tables(text: str) -> list[list[list[str]]]:
    """The tables in a Markdown text: each its rows, the header first, the cells as words."""
    found: list[list[list[str]]] = []
    for token, inside in pairwise(_parsed(text)):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in {"th_open", "td_open"}:
            found[-1][-1].append(_words(inside.children or ()))
    return found


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # while the service works, not before it is asked

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: True  # type: ignore[method-assign] # noqa: ARG005 what a forbidden link says is still read
    formulas(parser)
    for name, rule in _RULES.items():
        parser.add_render_rule(name, rule)
    return parser


@lru_cache(2)
def _parsed(text: str) -> list[Token]:
    """The text of one answer, which is read three times."""
    return _parser().parse(text)


# How an element becomes HTML; the signature is markdown-it's. `env` has what `render` was given, and of each open link
# whether it may be clicked.


def _fence(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, env: EnvType) -> str:
    token = tokens[index]
    language = token.info.strip().partition(" ")[0] if env["colours"] else ""
    return f"{code_block(token.content, language)}\n"


def _table(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _env: EnvType) -> str:
    return f"{SCROLLED}<table>\n" if tokens[index].nesting > 0 else "</table></div>\n"


def _link(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, env: EnvType) -> str:
    if tokens[index].nesting < 0:
        return "</a>" if env["links"].pop() else ""
    anchor = _anchor(tokens[index].attrGet("href"), env)
    env["links"].append(bool(anchor))
    return anchor


def _image(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, env: EnvType) -> str:
    words, src = _words(tokens[index].children or []), str(tokens[index].attrGet("src") or "")
    file = env["files"].get(unquote(src))
    if file is None or not (anchor := _anchor(src, env)):
        return escaped(f"[picture not fetched: {words}]" if words else "[picture not fetched]")
    label = escaped(words or file[1])
    return label if any(env["links"]) else f"{anchor}{label}</a>"


_RULES: dict[str, Any] = {"fence": _fence, "code_block": _fence, "image": _image}
_RULES |= {"table_open": _table, "table_close": _table, "link_open": _link, "link_close": _link}


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
