"""Rows of words as a table: files and their turns, conversations, what they cost, the outcomes of several questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.display.escaping import escaped, one_line, visible
from ipython_assistant.display.grid import Download, aligned, list_html, text_of
from ipython_assistant.display.markdown import NO_MATH
from ipython_assistant.display.outputs import QUIET, html_bundle

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipython_assistant.display.grid import Cell
    from ipython_assistant.display.outputs import Bundle

LONGEST_CELL = 100
"""In characters; what is beyond it is cut, where it says least: at the end."""


def overview(
    header: Sequence[str], rows: Iterable[Sequence[object]], remarks: Iterable[str] = (), right: Sequence[int] = ()
) -> Bundle:
    """A table and sentences below it.

    Args:
        header: The columns' names.
        rows: The cells, each a `Download` or anything that has words; each is one line.
        remarks: Sentences.
        right: The columns that are aligned to the right, counted from 0.
    """
    cells = [[_on_one_line(cell) for cell in row] for row in rows]
    said, html, lines = list(remarks), "", list[str]()
    if cells:
        html = list_html(header, cells, right)
        lines = aligned([tuple(header), *(tuple(map(text_of, row)) for row in cells)], right)
    html += "".join(f'<p style="margin:.4em 0 0;{QUIET}">{escaped(remark)}</p>' for remark in said)
    lines += ["", *map(visible, said)] if lines and said else [visible(remark) for remark in said]
    return html_bundle("overview", f'<div class="{NO_MATH}">{html}</div>', "\n".join(lines))


def _on_one_line(cell: object) -> Cell:
    if isinstance(cell, Download):
        return cell._replace(label=_cut(cell.label))
    return _cut(str(cell))


def _cut(text: str) -> str:
    line = one_line(" ".join(text.split()), longest=len(text) + 1)
    return line if len(line) <= LONGEST_CELL else f"{line[: LONGEST_CELL - 1].rstrip()}…"
