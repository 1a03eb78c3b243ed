"""Rows of cells as a table, in HTML and in aligned columns: the head of a file as pandas shows it, or a calm list."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ipython_assistant.core.links import encode_href
from ipython_assistant.display.escaping import escaped, one_line, visible
from ipython_assistant.display.markdown import NO_MATH, SCROLLED
from ipython_assistant.display.outputs import html_bundle, remark_html

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ipython_assistant.core.artifacts import TableHead
    from ipython_assistant.display.outputs import Bundle

# As pandas: `display.max_colwidth`, `display.max_columns` and `display.precision`. The file keeps it all.
LONGEST_CELL = 50
MOST_COLUMNS = 20
DECIMALS = 6
LONGEST_WORDS = 100  # in characters, of a cell in an overview
SHORT = 24  # in characters: the cells of a column whose longest is no longer stay on one line

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_MORE = "..."


class FileLink(NamedTuple):
    """A cell that downloads a file as `name`; `href` is relative to the notebook and not percent-encoded."""

    label: str
    name: str
    href: str

    def __str__(self) -> str:
        return self.label


Cell = str | FileLink


def head_rows(head: TableHead) -> list[list[str]]:
    """The header and the first rows of a table, the index first; dots where columns or rows are left out."""
    width = len(head.columns)
    rows = [(*row, *[None] * (width - len(row))) for row in head.rows]
    columns = [[_cell(name), *map(_cell, _rounded([row[at] for row in rows]))] for at, name in enumerate(head.columns)]
    if width > MOST_COLUMNS:
        columns[MOST_COLUMNS // 2 : width - MOST_COLUMNS // 2] = [[_MORE] * (len(rows) + 1)]
    lines = [list(line) for line in zip(["", *map(str, range(len(rows)))], *columns, strict=True)]
    if head.row_count > len(rows):
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
    begin = f'{SCROLLED}<table border="1" class="dataframe"><caption style="{caption}">{title}</caption>'
    head = f'<thead><tr style="text-align:right"><td></td>{header}</tr></thead>'
    return f"{begin}{head}<tbody>{rows}</tbody></table></div>"


def list_html(header: Sequence[str], rows: Sequence[Sequence[Cell]], right: Collection[int] = ()) -> str:
    """A calm table without lines; long cells are wrapped. The columns in `right`, counted from 0, are flush right."""
    styles = []
    for at, column in enumerate(zip(*rows, strict=True)):
        is_short = max(len(str(cell)) for cell in column) <= SHORT
        side = "right" if at in right else "left"
        wrap = "white-space:nowrap" if is_short else "overflow-wrap:anywhere;min-width:12em"
        styles.append(f"vertical-align:top;padding:.2em 1.5em .2em 0;text-align:{side};{wrap}")

    # JupyterLab stripes the rows of a table; a list is calmer without.
    begin = '<tr style="background:transparent">'
    names = zip(header, styles, strict=False)
    head = "".join(f'<th scope="col" style="{style};font-weight:normal">{escaped(name)}</th>' for name, style in names)
    html = f'<table style="margin:0">{f"<thead>{begin}{head}</tr></thead>" if head else ""}<tbody>'
    for row in rows:
        cells = (f'<td style="{style}">{link_html(cell)}</td>' for cell, style in zip(row, styles, strict=True))
        html += f"{begin}{''.join(cells)}</tr>"
    return f"{html}</tbody></table>"


def aligned(rows: Sequence[Sequence[Cell]], right: Collection[int] = ()) -> list[str]:
    """Rows of equally many cells as lines of a terminal; the columns in `right` are flush right."""
    columns = []
    for at, column in enumerate(zip(*rows, strict=True)):
        words = list(map(str, column))
        width = max(map(len, words))
        columns.append([word.rjust(width) if at in right else word.ljust(width) for word in words])
    return ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]


def overview(
    header: Sequence[str], rows: Iterable[Sequence[object]], remarks: Iterable[str] = (), right: Sequence[int] = ()
) -> Bundle:
    """A list as an output, and sentences below it; a cell is a `FileLink` or anything that has words."""
    shown = [[it if isinstance(it, FileLink) else _cut(str(it), LONGEST_WORDS, "…") for it in row] for row in rows]
    said = list(remarks)
    html = (list_html(header, shown, right) if shown else "") + "".join(map(remark_html, said))
    lines = aligned([header, *shown], right) if shown else []
    plain = "\n".join([*lines, *([""] if lines and said else []), *map(visible, said)])
    return html_bundle("overview", f'<div class="{NO_MATH}">{html}</div>', plain)


def link_html(cell: Cell) -> str:
    """A link that downloads a file; only what it says where its path is not relative or no address can hold it."""
    if isinstance(cell, str):
        return escaped(cell)
    try:
        href = encode_href(cell.href)
    except UnicodeEncodeError:
        href = "/"
    label = escaped(cell.label)
    return label if href.startswith("/") else f'<a href="{escaped(href)}" download="{escaped(cell.name)}">{label}</a>'


def _rounded(column: Sequence[str | None]) -> Sequence[str | None]:
    """The cells of a column of numbers with as many decimals as are shown, if one of them has more."""
    numbers = [cell for cell in column if cell is not None]
    if all(map(_NUMBER.fullmatch, numbers)) and any(len(cell.partition(".")[2]) > DECIMALS for cell in numbers):
        return [None if cell is None else f"{Decimal(cell):.{DECIMALS}f}" for cell in column]
    return column


def _cell(text: str | None) -> str:
    return "NaN" if text is None else _cut(text[: 20 * LONGEST_CELL], LONGEST_CELL, _MORE)


def _cut(text: str, longest: int, more: str) -> str:
    """A cell's words on one line; a long one loses its end, where it says least."""
    line = one_line(" ".join(text.split()), longest=len(text) + 1)
    return line if len(line) <= longest else f"{line[: longest - len(more)].rstrip()}{more}"
