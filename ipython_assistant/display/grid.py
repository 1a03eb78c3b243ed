"""Rows of cells → a table, as HTML and as aligned text: the heads of tables, the list of files, every overview.

A renderer of our own: a notebook must look the same with and without pandas, and a head is read without it.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ipython_assistant.core.links import encode_href
from ipython_assistant.display.escaping import escaped, visible
from ipython_assistant.display.markdown import SCROLLED

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ipython_assistant.core.artifacts import TableHead

LONGEST_CELL = 50
MOST_COLUMNS = 20
"""As pandas: `display.max_colwidth` and `display.max_columns`."""

DECIMALS = 6
"""As pandas: `display.precision`. The file keeps them all."""
SHORT = 24
"""In characters: the cells of a column whose longest is no longer stay on one line."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_MISSING = "NaN"
_MORE = "..."


class Download(NamedTuple):
    """A cell that downloads a file.

    Attributes:
        label: What the cell says.
        name: The name the download gets.
        href: Where the file is, relative to the notebook, not percent-encoded.
        remark: What else the cell says, after the link.
    """

    label: str
    name: str
    href: str
    remark: str = ""


Cell = str | Download


def head_rows(head: TableHead) -> list[list[str]]:
    """The header and the first rows of a table, the index first; dots where columns or rows are left out."""
    width = head.column_count
    columns: list[int | None] = list(range(width))
    if width > MOST_COLUMNS:
        columns[MOST_COLUMNS // 2 : width - MOST_COLUMNS // 2] = [None]
    lines = [["", *(_MORE if column is None else _cell(head.columns[column]) for column in columns)]]
    rows = [(*row, *[None] * (width - len(row))) for row in head.rows]
    long = {column for column in columns if column is not None and _is_long([row[column] for row in rows])}
    for index, row in enumerate(rows):
        cells = {
            column: _rounded(row[column]) if column in long else row[column] for column in columns if column is not None
        }
        lines.append([str(index), *(_MORE if column is None else _cell(cells[column]) for column in columns)])
    if head.row_count > len(head.rows):
        lines.append([_MORE] * len(lines[0]))
    return lines


def frame_html(lines: Sequence[Sequence[str]], title: str) -> str:
    """A table with an index, as a pandas DataFrame looks, under its title, which is HTML already."""
    header = "".join(f'<th scope="col">{escaped(cell)}</th>' for cell in lines[0][1:])
    rows = "".join(
        f'<tr><th scope="row">{escaped(line[0])}</th>{"".join(f"<td>{escaped(cell)}</td>" for cell in line[1:])}</tr>'
        for line in lines[1:]
    )
    # The attributes of a DataFrame's own HTML: a front end that has a style for that one has it for this one too. A
    # caption that took part in the layout would stretch a narrow table to its own width.
    caption = "width:0;white-space:nowrap;text-align:left;caption-side:top;padding:0 0 .3em"
    return (
        f"{SCROLLED}"
        f'<table border="1" class="dataframe"><caption style="{caption}">{title}</caption>'
        f'<thead><tr style="text-align:right"><td></td>{header}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def list_html(header: Sequence[str], rows: Sequence[Sequence[Cell]], right: Collection[int] = ()) -> str:
    """A calm table without lines, for lists; in a narrow window its long cells are wrapped.

    Args:
        header: The columns' names; empty for a list that needs none.
        rows: The cells.
        right: The columns that are aligned to the right, counted from 0.
    """
    texts = [[text_of(cell) for cell in row] for row in rows]
    short = [max(map(len, column)) <= SHORT for column in zip(*texts, strict=True)]
    styles = [
        "vertical-align:top;padding:.2em 1.5em .2em 0;"
        f"text-align:{'right' if at in right else 'left'};"
        f"{'white-space:nowrap' if is_short else 'overflow-wrap:anywhere;min-width:12em'}"
        for at, is_short in enumerate(short)
    ]
    # JupyterLab stripes the rows of a table; a list is calmer without.
    row_start = '<tr style="background:transparent">'
    head = "".join(
        f'<th scope="col" style="{style};font-weight:normal">{escaped(name)}</th>'
        for name, style in zip(header, styles, strict=False)
    )
    if head:
        head = f"<thead>{row_start}{head}</tr></thead>"
    cells = (
        "".join(f'<td style="{style}">{_html(cell)}</td>' for cell, style in zip(row, styles, strict=True))
        for row in rows
    )
    body = "".join(f"{row_start}{line}</tr>" for line in cells)
    return f'<table style="margin:0">{head}<tbody>{body}</tbody></table>'


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Rows of equally many cells as lines of a terminal; the columns in `right` are flush right."""
    if not rows:
        return []
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        gaps = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = [
            gap + cell if at in right else cell + gap for at, (cell, gap) in enumerate(zip(row, gaps, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def text_of(cell: Cell) -> str:
    """What a cell says."""
    return f"{cell.label} {cell.remark}".rstrip() if isinstance(cell, Download) else cell


def link_html(file: Download) -> str:
    """A link that downloads a file; only what it says where its path is not relative or no address can hold it."""
    try:
        href = encode_href(file.href)
    except UnicodeEncodeError:
        href = "/"
    label = escaped(file.label)
    return label if href.startswith("/") else f'<a href="{escaped(href)}" download="{escaped(file.name)}">{label}</a>'


def _html(cell: Cell) -> str:
    if isinstance(cell, Download):
        return link_html(cell) + (f" {escaped(cell.remark)}" if cell.remark else "")
    return escaped(cell)


def _is_long(column: Sequence[str | None]) -> bool:
    """Whether a column holds numbers alone, one of them with more decimals than are shown."""
    numbers = [cell for cell in column if cell is not None]
    return all(map(_NUMBER.fullmatch, numbers)) and any(len(cell.partition(".")[2]) > DECIMALS for cell in numbers)


def _rounded(cell: str | None) -> str | None:
    return None if cell is None else f"{Decimal(cell):.{DECIMALS}f}"


def _cell(text: str | None) -> str:
    if text is None:
        return _MISSING
    line = visible(" ".join(text[: 20 * LONGEST_CELL].splitlines()))
    return line if len(line) <= LONGEST_CELL else f"{line[: LONGEST_CELL - 3]}..."


def _width(text: str) -> int:
    """In columns of a terminal: an East Asian wide character takes two, a combining one none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
        for char in text
    )
