"""Rows of words as a table: the conversations, the turns and what they cost, the outcomes of several questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.display.bundles import KEY, Bundle
from ipython_assistant.display.escaping import escaped, one_line, visible
from ipython_assistant.display.grid import aligned
from ipython_assistant.display.markdown import NO_MATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST_CELL = 100
"""In characters; what is beyond it is cut."""
_QUIET = "opacity:.7"
_TR = '<tr style="background:transparent">'
_CELL = "vertical-align:top;padding:.2em 1.5em .2em 0"


def overview(
    header: Sequence[str], rows: Iterable[Sequence[object]], remarks: Iterable[str] = (), right: Sequence[int] = ()
) -> Bundle:
    """A table and sentences below it.

    Args:
        header: The columns' names.
        rows: The cells; each is one line.
        remarks: Sentences.
        right: The columns that are aligned to the right, counted from 0.
    """
    cells, said = (
        [tuple(one_line(" ".join(str(cell).split()), LONGEST_CELL) for cell in row) for row in rows],
        list(remarks),
    )
    html, lines = "", []
    if cells:
        head = "".join(_cell("th", name, f"font-weight:normal;{_QUIET}", at in right) for at, name in enumerate(header))
        body = "".join(f"{_TR}{_row(row, right)}</tr>" for row in cells)
        html = f'<table style="margin:0"><thead>{_TR}{head}</tr></thead><tbody>{body}</tbody></table>'
        lines = aligned([tuple(header), *cells], right=tuple(right))
    html += "".join(f'<p style="margin:.4em 0 0;{_QUIET}">{escaped(remark)}</p>' for remark in said)
    lines += ["", *map(visible, said)] if lines and said else [visible(remark) for remark in said]
    return Bundle(
        {"text/html": f'<div class="{NO_MATH}">{html}</div>', "text/plain": "\n".join(lines)},
        {KEY: {"output": "overview"}},
    )


def _row(cells: Sequence[str], right: Sequence[int]) -> str:
    return "".join(_cell("td", cell, "", at in right) for at, cell in enumerate(cells))


def _cell(tag: str, text: str, style: str, to_the_right: bool) -> str:  # noqa: FBT001 a detail of this module
    align = "right" if to_the_right else "left"
    return f'<{tag} style="{_CELL};text-align:{align};{style}">{escaped(text)}</{tag}>'
