"""A saved file → what is shown of it: the picture, the head of a table, the beginning of a text; and the list of all.

The links of the list are relative to the notebook and need neither kernel nor extension.
"""

from __future__ import annotations

import base64
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from ipython_assistant.core.wording import counted, size_in_words
from ipython_assistant.display.charts import chart_type
from ipython_assistant.display.escaping import escaped, one_line, visible
from ipython_assistant.display.grid import FileLink, aligned, cell_text, frame_html, head_rows, link_html, list_html
from ipython_assistant.display.markdown import CODE_STYLE, NO_MATH, highlight
from ipython_assistant.display.outputs import KEY, QUIET, Bundle, html_bundle, indented, remark_html

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact, FailedArtifact, TableHead
    from ipython_assistant.display.grid import Cell

LONGEST_DESCRIPTION = 120
"""In characters, of what a picture shows."""
LARGEST_SVG = 1_000_000
"""In bytes; a larger one is linked, since it has no thumbnail."""
MOST_ROWS = 500
"""Of so many files the list has a line; the others are counted."""
ENOUGH_ROWS = 5
"""A table in the answer that shows so many rows of a file, or all, is not shown once more."""
OUTSIDE = (
    "These files are outside the notebook's folder, where a link in the notebook may not reach them."
    " The download buttons bring them."
)
Shown = Literal["whole", "smaller", "not"]

_NUMBER = re.compile(r"[-+]?\d{1,30}(?:\.\d{1,30})?")
_SVG = "image/svg+xml"
_SIGNATURES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    _SVG: re.compile(rb"(?=.*<svg\b)(?!.*<!ENTITY)", re.DOTALL),  # entities could become gigabytes in the page
}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_KINDS = {
    "application/json": "JSON",
    "application/pdf": "PDF",
    "application/vnd.apache.parquet": "Parquet table",
    f"{_OFFICE}presentationml.presentation": "PowerPoint slides",
    f"{_OFFICE}spreadsheetml.sheet": "Excel workbook",
    f"{_OFFICE}wordprocessingml.document": "Word document",
    "application/zip": "ZIP archive",
    **{f"image/{name.lower()}": f"{name} picture" for name in ("BMP", "GIF", "JPEG", "PNG", "WebP")},
    _SVG: "SVG picture",
    "text/csv": "CSV table",
    "text/html": "HTML page",
    "text/markdown": "Markdown",
    "text/plain": "text",
    "text/tab-separated-values": "TSV table",
    "text/x-python": "Python code",
}


def picture(artifact: Artifact, content: bytes, media_type: str = "", description: str = "") -> Bundle | None:
    """The picture itself; None where a notebook cannot show it.

    An SVG becomes an `<img>`, in which a browser runs nothing and loads nothing
    (https://www.w3.org/TR/SVG2/conform.html#secure-static-mode); by its own media type some front ends would put it
    into the page. `content` is the file's or, with another `media_type`, its thumbnail's; `description` says what the
    picture shows, for those who cannot see it.
    """
    media_type = media_type or artifact.media_type
    signature = _SIGNATURES.get(media_type)
    if signature is None or not signature.match(content) or (media_type == _SVG and len(content) > LARGEST_SVG):
        return None
    shown, name = base64.b64encode(content).decode("ascii"), one_line(artifact.name)
    words = visible(" ".join(description.split()))
    if len(words) > LONGEST_DESCRIPTION:
        words = f"{words[:LONGEST_DESCRIPTION].rpartition(' ')[0]} …"
    alt = words if words.startswith(name) else f"{name}: {words}" if words else name
    about = {"output": "picture", "name": name, "size": len(content)}
    if media_type == _SVG:
        html = f'<img style="max-width:100%" alt="{escaped(alt)}" src="data:{_SVG};base64,{shown}">'
        return Bundle({"text/html": html, "text/plain": alt}, {KEY: about})
    # IPython's own `Image` and nbconvert keep the description of a picture there.
    return Bundle({media_type: shown, "text/plain": alt}, {media_type: {"alt": alt}, KEY: about})


def caption(artifact: Artifact, shown: Shown) -> Bundle:
    """The line at a picture: its name, and a link to the whole where that is not what is shown.

    It names no reason why a picture is not shown: that depends on the version of the library that read it.
    """
    name, too = one_line(artifact.name), " is not shown here; it is too large, damaged, or more than a picture: "
    words = {"whole": "", "smaller": " is shown smaller than it is: ", "not": too}[shown]
    link = link_html(FileLink("download the whole picture", artifact.name, artifact.href)) if words else ""
    html = f'<p class="{NO_MATH}" style="margin:.2em 0 .8em;{QUIET}">{escaped(name + words)}{link}</p>'
    return html_bundle("caption", html, name + words + (one_line(artifact.href, 160) if words else ""), shown=shown)


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
    """Whether a table in the answer (its header, then its rows) shows enough of the file that its head is not needed.

    Numbers may be rounded, and there may be an index in front.
    """
    columns = [column.strip() for column in head.columns]
    header = [cell.strip() for cell in shown[0]] if shown else []
    skip = 1 if header[1:] == columns else 0
    if header[skip:] != columns or len(shown) <= min(ENOUGH_ROWS, len(head.rows)):
        return False
    return all(
        _is_same(written.strip(), (cell or "").strip())
        for line, row in zip(shown[1:], head.rows, strict=False)
        for written, cell in zip(line[skip:], (*row, *[None] * len(columns)), strict=False)
    )


def _is_same(written: str, cell: str) -> bool:
    number = written.replace(",", "")
    if _NUMBER.fullmatch(number) and _NUMBER.fullmatch(cell):
        return round(Decimal(cell), len(number.partition(".")[2])) == Decimal(number)
    return written == cell or (not cell and written.lower() in {"nan", "-", "–", "none", "<na>"})


def source(artifact: Artifact, text: str, *, whole: bool) -> Bundle:
    """The beginning of a text file as it is written, never as what it would look like; `whole` where that is all."""
    name = one_line(artifact.name)
    kind = _KINDS.get(artifact.media_type, "text")
    about = f"{kind}, {size_in_words(artifact.size)}" + ("" if whole else ", its beginning")
    code = highlight(text, artifact.name.rpartition(".")[2])
    html = (
        f'<div class="{NO_MATH}"><p style="margin:0"><b>{escaped(name)}</b> — {about}</p>'
        f'<pre style="{CODE_STYLE}"><code>{code}</code></pre></div>'
    )
    return html_bundle("source", html, f"{name} — {about}\n\n{indented(visible(text))}")


def card(
    artifacts: Sequence[Artifact],
    failed: Iterable[FailedArtifact] = (),
    notes: Iterable[str] = (),
    details: Mapping[str, str] | None = None,
) -> Bundle:
    """The list of files: links that download them, kinds, sizes, paths; what is missing, and why; then the notes.

    `details` says more of a file by its name, such as a table's rows and columns.
    """
    rows = [_card_row(artifact, (details or {}).get(artifact.name, "")) for artifact in artifacts[:MOST_ROWS]]
    # One folder is said once; only files in several folders have their paths beside them.
    folders = {artifact.href.rpartition("/")[0] for artifact in artifacts}
    html = list_html((), [row if len(folders) > 1 else row[:-1] for row in rows]) if rows else ""
    if len(folders) == 1:
        place = "".join(f"in {one_line(folder, 160)}/" if folder else "beside the notebook" for folder in folders)
        html += f'<p style="margin:.2em 0 0;{QUIET}">Saved {escaped(place)}</p>'
    lines = aligned([tuple(map(cell_text, row)) for row in rows])
    for missing in failed:
        name, why = one_line(missing.name), one_line(missing.reason, 1000)
        html += f'<p style="margin:.4em 0 0">{escaped(name)} <b>not saved:</b> {escaped(why)}</p>'
        lines.append(f"{name}  not saved: {why}")
    remarks = [f"{counted(more, 'more file')} in the same folder."] if (more := len(artifacts) - MOST_ROWS) > 0 else []
    if any(artifact.href.startswith(("/", "../")) or artifact.href[1:2] == ":" for artifact in artifacts):
        remarks.append(OUTSIDE)
    remarks += notes
    html += "".join(map(remark_html, remarks))
    return html_bundle("card", f'<div class="{NO_MATH}">{html}</div>', "\n".join([*lines, *map(visible, remarks)]))


def _card_row(artifact: Artifact, detail: str) -> tuple[Cell, ...]:
    kind = "interactive chart" if chart_type(artifact.name) else _KINDS.get(artifact.media_type, "file")
    renamed = artifact.own_name not in {artifact.name, ""} and artifact.found != "figure"
    remark = f"({one_line(artifact.own_name)} in the answer)" if renamed else ""
    return (
        FileLink(one_line(artifact.name), artifact.name, artifact.href, remark),
        f"{kind}, {one_line(detail)}" if detail else kind,
        size_in_words(artifact.size),
        one_line(artifact.href, 160),
    )
