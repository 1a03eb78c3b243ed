"""Rows of cells as a table: the head of a file as pandas would show it, or a calm list.

As HTML for a notebook, and aligned in columns for a terminal.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ipython_assistant.core.links import encode_href
from ipython_assistant.core.wording import size_in_words
from ipython_assistant.display.escaping import escaped, one_line, visible
from ipython_assistant.display.markdown import NO_MATH, SCROLLED
from ipython_assistant.display.outputs import html_bundle, remark_html

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ipython_assistant.core.artifacts import MadeFile, TableHead
    from ipython_assistant.display.outputs import Bundle

LONGEST_CELL = 50
MOST_COLUMNS = 20
DECIMALS = 6
"""As pandas: `display.max_colwidth`, `display.max_columns` and `display.precision`. The file keeps it all."""
LONGEST_WORDS = 100
"""In characters, of a cell in an overview."""
SHORT = 24
"""In characters: the cells of a column whose longest is no longer stay on one line."""
FILE_HEADER = ("file", "state", "size", "asked", "model", "when (UTC)")

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_MORE = "..."
_TO_THE_MINUTE = len("2026-01-15T09:30")


class FileLink(NamedTuple):
    """A cell that downloads a file as `name`; `href` is relative to the notebook and not percent-encoded."""

    label: str
    name: str
    href: str
    remark: str = ""


Cell = str | FileLink


def head_rows(head: TableHead) -> list[list[str]]:
    """The header and the first rows of a table, the index first; dots where columns or rows are left out."""
    width = head.column_count
    rows = [(*row, *[None] * (width - len(row))) for row in head.rows]
    columns = [
        [_cell(name), *map(_cell, _rounded([row[column] for row in rows]))] for column, name in enumerate(head.columns)
    ]
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
    return (
        f"{SCROLLED}"
        f'<table border="1" class="dataframe"><caption style="{caption}">{title}</caption>'
        f'<thead><tr style="text-align:right"><td></td>{header}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def list_html(header: Sequence[str], rows: Sequence[Sequence[Cell]], right: Collection[int] = ()) -> str:
    """A calm table without lines, for lists; in a narrow window its long cells are wrapped.

    The header may be empty; the columns in `right`, counted from 0, are flush right.
    """
    styles = []
    for at, column in enumerate(zip(*rows, strict=True)):
        is_short = max(len(cell_text(cell)) for cell in column) <= SHORT
        side = "right" if at in right else "left"
        wrap = "white-space:nowrap" if is_short else "overflow-wrap:anywhere;min-width:12em"
        styles.append(f"vertical-align:top;padding:.2em 1.5em .2em 0;text-align:{side};{wrap}")

    def line(cells: Iterable[str]) -> str:
        # JupyterLab stripes the rows of a table; a list is calmer without.
        return f'<tr style="background:transparent">{"".join(cells)}</tr>'

    names = zip(header, styles, strict=False)
    head = [f'<th scope="col" style="{style};font-weight:normal">{escaped(name)}</th>' for name, style in names]
    cells = (
        [f'<td style="{style}">{_html(cell)}</td>' for cell, style in zip(row, styles, strict=True)] for row in rows
    )
    top = f"<thead>{line(head)}</thead>" if head else ""
    return f'<table style="margin:0">{top}<tbody>{"".join(map(line, cells))}</tbody></table>'


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Rows of equally many cells as lines of a terminal; the columns in `right` are flush right."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
            gap = " " * (width - _width(cell))
            cells.append(f"{gap}{cell}" if at in right else f"{cell}{gap}")
        lines.append("  ".join(cells).rstrip())
    return lines


def overview(
    header: Sequence[str], rows: Iterable[Sequence[object]], remarks: Iterable[str] = (), right: Sequence[int] = ()
) -> Bundle:
    """A list as an output, and sentences below it; a cell is a `FileLink` or anything that has words."""
    cells = [[_on_one_line(cell) for cell in row] for row in rows]
    said = list(remarks)
    html = (list_html(header, cells, right) if cells else "") + "".join(map(remark_html, said))
    lines = aligned([tuple(header), *(tuple(map(cell_text, row)) for row in cells)], right) if cells else []
    plain = "\n".join([*lines, *([""] if lines and said else []), *map(visible, said)])
    return html_bundle("overview", f'<div class="{NO_MATH}">{html}</div>', plain)


def file_table(files: Sequence[MadeFile], remarks: Iterable[str] = ()) -> Bundle:
    """One line for each file: how it stands on disk, its size, what was asked, which model answered and when."""
    rows: list[tuple[object, ...]] = []
    for made in files:
        name = made.name if made.state == "gone" else FileLink(made.name, made.name, made.href)
        state = "left over" if made.left_over else "changed since" if made.state == "changed" else made.state
        about: tuple[str, ...] = ("", "", "", "")
        if (recording := made.recording) is not None:
            ended = recording.ended[:_TO_THE_MINUTE].replace("T", " ")
            about = (size_in_words(made.size), recording.prompt, recording.model, ended)
        rows.append((name, state, *about))
    return overview(FILE_HEADER, rows, remarks, right=(2,))


def cell_text(cell: Cell) -> str:
    """What a cell says."""
    return f"{cell.label} {cell.remark}".rstrip() if isinstance(cell, FileLink) else cell


def link_html(file: FileLink) -> str:
    """A link that downloads a file; only what it says where its path is not relative or no address can hold it."""
    try:
        href = encode_href(file.href)
    except UnicodeEncodeError:
        href = "/"
    label = escaped(file.label)
    return label if href.startswith("/") else f'<a href="{escaped(href)}" download="{escaped(file.name)}">{label}</a>'


def _html(cell: Cell) -> str:
    if isinstance(cell, str):
        return escaped(cell)
    return link_html(cell) + (f" {escaped(cell.remark)}" if cell.remark else "")


def _on_one_line(cell: object) -> Cell:
    if isinstance(cell, FileLink):
        return cell._replace(label=_cut(cell.label, LONGEST_WORDS, "…"))
    return _cut(str(cell), LONGEST_WORDS, "…")


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


def _width(text: str) -> int:
    """In columns of a terminal: an East Asian wide character takes two, a combining one none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
        for char in text
    )
