"""The head of a table → rows of cells, and those as HTML or as aligned text, with the look of a pandas DataFrame.

A renderer of our own: a notebook must look the same with and without pandas, and a head is read without it.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING

from ipython_assistant.display.escaping import escaped, visible
from ipython_assistant.display.markdown import NO_MATH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.core.artifacts import TableHead

LONGEST_CELL = 50
MOST_COLUMNS = 20
"""As pandas: `display.max_colwidth` and `display.max_columns`."""

DECIMALS = 6
"""As pandas: `display.precision`. The file keeps them all."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_MISSING = "NaN"
_MORE = "..."


def grid(head: TableHead) -> list[list[str]]:
    """The header and the rows as they are shown, the index first; dots where columns or rows are left out."""
    width = head.column_count
    columns: list[int | None] = list(range(width))
    if width > MOST_COLUMNS:
        columns[MOST_COLUMNS // 2 : width - MOST_COLUMNS // 2] = [None]
    lines = [["", *(_MORE if column is None else _cell(head.columns[column]) for column in columns)]]
    rows = [(*row, *[None] * (width - len(row))) for row in head.rows]
    long = [column for column in range(width) if _is_long([row[column] for row in rows])]
    for index, row in enumerate(rows):
        cells = [_rounded(cell) if column in long else cell for column, cell in enumerate(row)]
        lines.append([str(index), *(_MORE if column is None else _cell(cells[column]) for column in columns)])
    if head.row_count > len(head.rows):
        lines.append([_MORE] * len(lines[0]))
    return lines


def grid_html(lines: Sequence[Sequence[str]], title: str) -> str:
    """The grid as an HTML table under its title, which is HTML already."""
    header = "".join(f'<th scope="col">{escaped(cell)}</th>' for cell in lines[0][1:])
    rows = "".join(
        f'<tr><th scope="row">{escaped(line[0])}</th>{"".join(f"<td>{escaped(cell)}</td>" for cell in line[1:])}</tr>'
        for line in lines[1:]
    )
    # The attributes of a DataFrame's own HTML: a front end that has a style for that one has it for this one too. A
    # caption that took part in the layout would stretch a narrow table to its own width.
    caption = "width:0;white-space:nowrap;text-align:left;caption-side:top;padding:0 0 .3em"
    return (
        f'<div class="{NO_MATH}" style="overflow-x:auto">'
        f'<table border="1" class="dataframe"><caption style="{caption}">{title}</caption>'
        f'<thead><tr style="text-align:right"><td></td>{header}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def grid_text(lines: Sequence[Sequence[str]]) -> str:
    """The grid as text: the index on the left, the cells of a column flush right."""
    return "\n".join(aligned(lines, right=range(1, len(lines[0]))))


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Rows of equally many cells as lines of a terminal; the columns in `right` are flush right."""
    if not rows:
        return []
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        gaps = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = [
            gap + cell if at in right else cell + gap for at, (cell, gap) in enumerate(zip(row, gaps, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _is_long(column: Sequence[str | None]) -> bool:
    """Whether a column holds numbers alone, one of them with more decimals than are shown."""
    numbers = [cell for cell in column if cell is not None]
    return all(map(_NUMBER.fullmatch, numbers)) and any(len(cell.partition(".")[2]) > DECIMALS for cell in numbers)


def _rounded(cell: str | None) -> str | None:
    return None if cell is None else f"{Decimal(cell):.{DECIMALS}f}"


def _cell(text: str | None) -> str:
    if text is None:
        return _MISSING
    line = visible(" ".join(text.splitlines()))
    return line if len(line) <= LONGEST_CELL else f"{line[: LONGEST_CELL - 3]}..."


def _width(text: str) -> int:
    """In columns of a terminal: an East Asian wide character takes two, a combining one none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
        for char in text
    )
