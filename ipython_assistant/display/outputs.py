"""What an output of ours is: representations by media type, always with `text/plain`, and its name in the metadata.

Each output is a function of the turn and its files alone, so that two runs of one recording save the same notebook;
what may differ goes to the metadata, under the key `ipython_assistant`. The HTML takes its colours from the page and
has inline styles only: a `<style>` block is removed from a notebook that is not trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ipython_assistant.display.escaping import escaped, one_line, visible
from ipython_assistant.display.markdown import render, without_unfinished_link

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "ipython_assistant"
"""Our own key in output metadata."""
QUIET = "opacity:.7"
"""The style of what a reader needs second; its contrast is still over 4.5 : 1 in both themes."""


class Bundle(NamedTuple):
    """What `_repr_mimebundle_` returns: representations by media type, and the output's metadata."""

    data: dict[str, Any]
    metadata: dict[str, Any]


def html_bundle(output: str, html: str, plain: str, **more: Any) -> Bundle:
    """An output as safe HTML and as text; `output` says in the metadata what it is, beside whatever `more` says."""
    return Bundle({"text/html": html, "text/plain": plain}, {KEY: {"output": output, **more}})


def answer(text: str, hrefs: Mapping[str, str]) -> Bundle:
    """The answer's text; see `markdown.render`."""
    return html_bundle("answer", render(text, hrefs=hrefs), visible(text))


def live(text: str, activity: str) -> Bundle:
    """The answer as far as it is written, and one line that says what is going on.

    One of many updates, and so half as long: its plain text is that line alone, and the text where there is none.
    """
    html = render(without_unfinished_link(text), hrefs={}, colours=False) if text else ""
    status = one_line(f"{activity[:1].upper()}{activity[1:]} …") if activity else ""
    line = f'<p style="margin:.5em 0 0;{QUIET}">{escaped(status)}</p>' if status else ""
    return html_bundle("live", html + line, status or visible(text))


def remark_html(sentence: str) -> str:
    """A sentence below a list."""
    return f'<p style="margin:.4em 0 0;{QUIET}">{escaped(sentence)}</p>'


def indented(text: str) -> str:
    """A block of code or of logs in an output's plain text."""
    return "\n".join(f"    {line}".rstrip() for line in text.split("\n"))
