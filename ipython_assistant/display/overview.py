"""Rows of words as a table: files and their turns, conversations, what they cost, the outcomes of several questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ipython_assistant.core.links import encode_href
from ipython_assistant.display.bundles import KEY, Bundle
from ipython_assistant.display.escaping import escaped, one_line, visible
from ipython_assistant.display.grid import aligned
from ipython_assistant.display.markdown import NO_MATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST_CELL = 100
"""In characters; what is beyond it is cut, where it says least: at the end."""
SHORT = 24
"""In characters: the cells of a column whose longest is no longer stay on one line."""
_QUIET = "opacity:.7"
_TR = '<tr style="background:transparent">'
_CELL = "vertical-align:top;padding:.2em 1.5em .2em 0"


class Saved(NamedTuple):
    """A cell that is the name of a file and downloads it; `href` is relative to the notebook, not encoded."""

    name: str
    href: str


def overview(
    header: Sequence[str], rows: Iterable[Sequence[object]], remarks: Iterable[str] = (), right: Sequence[int] = ()
) -> Bundle:
    """A table and sentences below it.

    Args:
        header: The columns' names.
        rows: The cells; each is one line. A column of short words is not broken, so that a long one has the room.
        remarks: Sentences.
        right: The columns that are aligned to the right, counted from 0.
    """
    lines_of_cells = [(row, tuple(_line(cell) for cell in row)) for row in rows]
    said, html, lines = list(remarks), "", list[str]()
    if lines_of_cells:
        short = [max(len(texts[at]) for _, texts in lines_of_cells) <= SHORT for at in range(len(header))]
        style = [_style(short=short[at], to_the_right=at in right) for at in range(len(header))]
        head = "".join(
            f'<th style="{style[at]};font-weight:normal;{_QUIET}">{escaped(name)}</th>'
            for at, name in enumerate(header)
        )
        body = "".join(f"{_TR}{''.join(map(_drawn, row, texts, style))}</tr>" for row, texts in lines_of_cells)
        html = f'<table style="margin:0"><thead>{_TR}{head}</tr></thead><tbody>{body}</tbody></table>'
        lines = aligned([tuple(header), *(texts for _, texts in lines_of_cells)], right=tuple(right))
    html += "".join(f'<p style="margin:.4em 0 0;{_QUIET}">{escaped(remark)}</p>' for remark in said)
    lines += ["", *map(visible, said)] if lines and said else [visible(remark) for remark in said]
    return Bundle(
        {"text/html": f'<div class="{NO_MATH}">{html}</div>', "text/plain": "\n".join(lines)},
        {KEY: {"output": "overview"}},
    )


def _line(cell: object) -> str:
    text = cell.name if isinstance(cell, Saved) else str(cell)
    line = one_line(" ".join(text.split()), longest=len(text) + 1)
    return line if len(line) <= LONGEST_CELL else f"{line[: LONGEST_CELL - 1].rstrip()}…"


def _drawn(cell: object, text: str, style: str) -> str:
    label = escaped(text)
    if isinstance(cell, Saved) and (href := _address(cell.href)):
        label = f'<a href="{escaped(href)}" download="{escaped(cell.name)}">{label}</a>'
    return f'<td style="{style}">{label}</td>'


def _address(href: str) -> str:
    """The link's address; nothing for a path that no address can hold, or that is not relative."""
    try:
        encoded = encode_href(href)
    except UnicodeEncodeError:
        return ""
    return "" if encoded.startswith("/") else encoded


def _style(*, short: bool, to_the_right: bool) -> str:
    width = "white-space:nowrap" if short else "min-width:12em"
    return f"{_CELL};text-align:{'right' if to_the_right else 'left'};{width}"
