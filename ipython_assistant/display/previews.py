"""A saved file → what is shown of it: the picture, the head of a table, the beginning of a text."""

from __future__ import annotations

import base64
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from ipython_assistant.core.wording import counted, size_in_words
from ipython_assistant.display.escaping import escaped, one_line, visible
from ipython_assistant.display.grid import Download, aligned, frame_html, head_rows, link_html
from ipython_assistant.display.highlight import highlight
from ipython_assistant.display.markdown import CODE_STYLE, NO_MATH
from ipython_assistant.display.outputs import KEY, QUIET, Bundle, html_bundle, indented
from ipython_assistant.display.svg import clean_svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.core.artifacts import Artifact, TableHead

LONGEST_DESCRIPTION = 120
"""In characters, of what a picture shows."""
Shown = Literal["whole", "smaller", "not"]
_NUMBER = re.compile(r"[-+]?\d{1,30}(?:\.\d{1,30})?")

_SIGNATURES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
_KINDS = {
    "application/json": "JSON",
    "application/pdf": "PDF",
    "application/vnd.apache.parquet": "Parquet table",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PowerPoint slides",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "Excel workbook",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "Word document",
    "application/zip": "ZIP archive",
    "image/bmp": "BMP picture",
    "image/gif": "GIF picture",
    "image/jpeg": "JPEG picture",
    "image/png": "PNG picture",
    "image/svg+xml": "SVG picture",
    "image/webp": "WebP picture",
    "text/csv": "CSV table",
    "text/html": "HTML page",
    "text/markdown": "Markdown",
    "text/plain": "text",
    "text/tab-separated-values": "TSV table",
    "text/x-python": "Python code",
}


def kind_in_words(media_type: str) -> str:
    """What a file is, for people: `CSV table`, `PNG picture`; `file` where nothing better is known."""
    return _KINDS.get(media_type, "file")


def picture(artifact: Artifact, content: bytes, media_type: str = "", description: str = "") -> Bundle | None:
    """The picture itself, in its own media type; None where a notebook cannot show it.

    Args:
        artifact: Its name and media type.
        content: Its bytes. They have to be what the media type says, since a broken picture shows nothing.
        media_type: Theirs, where they are not the file's own but a thumbnail's.
        description: What the picture shows, for those who cannot see it: the answer's words about it, or the prompt's.
    """
    media_type = media_type or artifact.media_type
    signature = _SIGNATURES.get(media_type)
    shown: str | None = None
    if signature is not None and signature.match(content):
        shown = base64.b64encode(content).decode("ascii")
    elif media_type == "image/svg+xml":
        shown = clean_svg(content)
    if shown is None:
        return None
    name = one_line(artifact.name)
    words = _first(description)
    alt = words if words.startswith(name) else f"{name}: {words}" if words else name
    return Bundle(
        {media_type: shown, "text/plain": alt},
        # IPython's own `Image` and nbconvert keep the description of a picture here.
        {media_type: {"alt": alt}, KEY: {"output": "picture", "name": name, "size": len(content)}},
    )


def caption(artifact: Artifact, shown: Shown) -> Bundle:
    """The line at a picture: its name, and a link to the whole where that is not what is shown.

    It names no reason why a picture is not shown: that depends on the version of the library that read it.
    """
    name = one_line(artifact.name)
    words = {
        "whole": "",
        "smaller": "is shown smaller than it is: ",
        "not": "is not shown here; it is too large, damaged, or more than a picture: ",
    }[shown]
    link = link_html(Download("download the whole picture", artifact.name, artifact.href))
    style = f"margin:.2em 0 .8em;{QUIET}"
    html = f'<p class="{NO_MATH}" style="{style}">{escaped(name)}{f" {words}{link}" if words else ""}</p>'
    plain = f"{name} {words}{one_line(artifact.href, 160)}" if words else name
    return html_bundle("caption", html, plain, shown=shown)


def table(artifact: Artifact, head: TableHead) -> Bundle:
    """The first rows of a table, as a pandas DataFrame looks, its true size, and how it was read."""
    name, lines, size = one_line(artifact.name), head_rows(head), table_size(head)
    notes = [visible(note) for note in head.notes]
    html = frame_html(lines, f"<b>{escaped(name)}</b> — {size}")
    html += "".join(f'<p class="{NO_MATH}" style="margin:.2em 0;{QUIET}">{escaped(note)}</p>' for note in notes)
    grid = aligned(lines, right=range(1, len(lines[0])))
    return html_bundle("table", html, "\n".join([f"{name} — {size}", "", *grid, *notes]))


def table_size(head: TableHead) -> str:
    """The true size of a table: `1,234 rows × 5 columns`; `about` where it was too large to be counted."""
    size = f"{counted(head.row_count, 'row')} × {counted(head.column_count, 'column')}"
    return f"about {size}" if head.estimated else size


def is_head(shown: Sequence[Sequence[str]], head: TableHead) -> bool:
    """Whether a table in the answer (its header, then its rows) shows all that the head of a file would show.

    Numbers may be rounded, and there may be an index in front.
    """
    columns = [column.strip() for column in head.columns]
    skip = 1 if shown and [cell.strip() for cell in shown[0][1:]] == columns else 0
    if not shown or [cell.strip() for cell in shown[0][skip:]] != columns or len(shown) <= len(head.rows):
        return False
    return all(
        _is_same(written, cell)
        for line, row in zip(shown[1:], head.rows, strict=False)
        for written, cell in zip(line[skip:], (*row, *[None] * len(columns)), strict=False)
    )


def _is_same(written: str, cell: str | None) -> bool:
    written, cell = written.strip(), (cell or "").strip()
    if written == cell or (not cell and written.lower() in {"nan", "-", "–", "none", "<na>"}):
        return True
    number = written.replace(",", "")
    if not (_NUMBER.fullmatch(number) and _NUMBER.fullmatch(cell)):
        return False
    decimals = len(number.partition(".")[2])
    return round(Decimal(cell), decimals) == Decimal(number)


def source(artifact: Artifact, text: str, *, whole: bool) -> Bundle:
    """The beginning of a text file as it is written, never as what it would look like.

    Args:
        artifact: Its name, type and size.
        text: Its first lines.
        whole: Whether they are all.
    """
    name = one_line(artifact.name)
    kind = _KINDS.get(artifact.media_type, "text")
    about = f"{kind}, {size_in_words(artifact.size)}" + ("" if whole else ", its beginning")
    code = highlight(text, artifact.name.rpartition(".")[2])
    html = (
        f'<div class="{NO_MATH}"><p style="margin:0"><b>{escaped(name)}</b> — {about}</p>'
        f'<pre style="{CODE_STYLE}"><code>{code}</code></pre></div>'
    )
    return html_bundle("source", html, f"{name} — {about}\n\n{indented(visible(text))}")


def _first(words: str) -> str:
    """The first words of a text, on one line."""
    line = visible(" ".join(words.split()))
    return line if len(line) <= LONGEST_DESCRIPTION else f"{line[:LONGEST_DESCRIPTION].rpartition(' ')[0]} …"
