"""A saved file → what is shown of it: the picture or chart, the head of a table, the beginning of a text; and the list.

A specification of a chart is data: `NAME.vl.json` (https://vega.github.io/vega-lite/) or `NAME.plotly.json`
(https://plotly.com/python/reference/). But the libraries that draw it load what it names, so one that names anything
outside itself is refused. A chart's HTML page is never shown: it would run with the user's rights.
"""

from __future__ import annotations

import base64
import json
import re
import textwrap
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from ipython_assistant.core.wording import counted, size_in_words
from ipython_assistant.display.escaping import code_block, escaped, one_line, visible
from ipython_assistant.display.grid import FileLink, aligned, frame_html, head_rows, link_html, list_html
from ipython_assistant.display.markdown import NO_MATH
from ipython_assistant.display.outputs import KEY, QUIET, Bundle, html_bundle, indented, remark_html

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact, FailedArtifact, TableHead
    from ipython_assistant.display.grid import Cell

LONGEST_DESCRIPTION = 120  # in characters, of what a picture shows
MOST_ROWS = 500  # of so many files the list has a line; the others are counted
ENOUGH_ROWS = 5  # a table in the answer that shows so many rows of a file, or all, is not shown once more
OUTSIDE = (
    "These files are outside the notebook's folder, where a link in the notebook may not reach them."
    " The download buttons bring them."
)

_SVG = "image/svg+xml"
_IS_SVG = re.compile(rb"(?=.*<svg\b)(?!.*<!ENTITY)", re.DOTALL)  # entities could become gigabytes in the page
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
CHARTS = {
    # JupyterLab 4.6 draws version 5, and so do the others; a version 6 specification is nearly always one of 5 too.
    ".vl.json": "application/vnd.vegalite.v5+json",
    ".plotly.json": "application/vnd.plotly.v1+json",
}
LARGEST_CHART = 1_000_000  # in bytes: it is stored in the notebook as it is
DEEPEST_CHART = 50  # of objects in objects

_ADDRESS = re.compile(r"(?i)\s*(?:[a-z][a-z0-9+.-]*:)?//|\s*(?:data|javascript|file|blob):|.*<\s*(?:a|img)\b")
# Keys and marks that load or link, also where an expression puts their address together.
_LOADING = frozenset({"url", "href", "image", "images", "source", "loader", "topojson", "bdataurl", "topojsonurl"})
# Kinds of Plotly charts that load tiles or the outlines of countries from the web.
_MAPS = re.compile(r"choropleth\w*|\w*mapbox|scattergeo|scattermap|densitymap", re.IGNORECASE)


def picture(artifact: Artifact, content: bytes, media_type: str = "", description: str = "") -> Bundle | None:
    """Show the picture, or its thumbnail if that has another `media_type`; None for text that only claims to be an SVG.

    An SVG becomes an `<img>`, which runs and loads nothing: https://www.w3.org/TR/SVG2/conform.html#secure-static-mode
    """
    media_type = media_type or artifact.media_type
    if media_type == _SVG and not _IS_SVG.match(content):
        return None
    shown, name = base64.b64encode(content).decode("ascii"), one_line(artifact.name)
    words = textwrap.shorten(visible(description), LONGEST_DESCRIPTION, placeholder=" …")
    alt = words if words.startswith(name) else f"{name}: {words}" if words else name
    about = {"output": "picture", "name": name, "size": len(content)}
    if media_type == _SVG:
        html = f'<img style="max-width:100%" alt="{escaped(alt)}" src="data:{_SVG};base64,{shown}">'
        return Bundle({"text/html": html, "text/plain": alt}, {KEY: about})
    # IPython's own `Image` and nbconvert keep the description of a picture there.
    return Bundle({media_type: shown, "text/plain": alt}, {media_type: {"alt": alt}, KEY: about})


def caption(artifact: Artifact, shown: Literal["whole", "smaller", "not"]) -> Bundle:
    """The line at a picture: its name, and a link to the whole where that is not what is shown."""
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
    size = f"{counted(head.row_count, 'row')} × {counted(len(head.columns), 'column')}"
    return f"about {size}" if head.estimated else size


def is_head(shown: Sequence[Sequence[str]], head: TableHead) -> bool:
    """Whether a table in the answer, its header first, shows so much of the file that its head is not needed."""
    columns, header = [column.strip() for column in head.columns], [cell.strip() for cell in [*shown, []][0]]
    if columns not in (header, header[1:]) or len(shown) <= min(ENOUGH_ROWS, len(head.rows)):
        return False
    skip = len(header) - len(columns)  # an index
    return all(
        _is_same(written.strip(), (cell or "").strip())
        for line, row in zip(shown[1:], head.rows, strict=False)
        for written, cell in zip(line[skip:], (*row, *[None] * len(columns)), strict=False)
    )


def _is_same(written: str, cell: str) -> bool:
    """Whether it is the same cell, perhaps rounded; an empty one is written in many ways, but not as a number."""
    if not cell or written == cell:
        return written == cell or not re.search(r"\d", written)
    try:
        return round(Decimal(cell), len(written.partition(".")[2])) == Decimal(written.replace(",", ""))
    except ArithmeticError:  # one of them is no number
        return False


def source(artifact: Artifact, text: str, *, whole: bool) -> Bundle:
    """The beginning of a text file as it is written, never as what it would look like; `whole` where that is all."""
    name, kind = one_line(artifact.name), _KINDS.get(artifact.media_type, "text")
    about = f"{kind}, {size_in_words(artifact.size)}" + ("" if whole else ", its beginning")
    code = code_block(text, artifact.name.rpartition(".")[2])
    html = f'<p style="margin:0"><b>{escaped(name)}</b> — {about}</p>{code}'
    plain = f"{name} — {about}\n\n{indented(visible(text))}"
    return html_bundle("source", f'<div class="{NO_MATH}">{html}</div>', plain)


def card(
    artifacts: Sequence[Artifact],
    failed: Iterable[FailedArtifact] = (),
    notes: Iterable[str] = (),
    details: Mapping[str, str] | None = None,
) -> Bundle:
    """The files: links that download them, kinds, sizes, paths, `details` by name; what is missing; and the notes."""
    rows: list[tuple[Cell, ...]] = []
    for artifact in artifacts[:MOST_ROWS]:
        kind = "interactive chart" if chart_type(artifact.name) else _KINDS.get(artifact.media_type, "file")
        kind += f", {one_line(detail)}" if (detail := (details or {}).get(artifact.name)) else ""
        renamed = artifact.own_name not in {artifact.name, ""} and artifact.found != "figure"
        label = one_line(artifact.name) + (f" ({one_line(artifact.own_name)} in the answer)" if renamed else "")
        link = FileLink(label, artifact.name, artifact.href)
        rows.append((link, kind, size_in_words(artifact.size), one_line(artifact.href, 160)))
    # One folder is said once; only files in several folders have their paths beside them.
    folders = {artifact.href.rpartition("/")[0] for artifact in artifacts}
    html = list_html((), [row if len(folders) > 1 else row[:-1] for row in rows]) if rows else ""
    if len(folders) == 1:
        place = f"in {one_line(folder, 160)}/" if (folder := folders.pop()) else "beside the notebook"
        html += f'<p style="margin:.2em 0 0;{QUIET}">Saved {escaped(place)}</p>'
    lines = aligned(rows)
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


class ChartError(ValueError):
    """A specification that is not shown; the message says why, to follow "is not shown: "."""


def chart_type(name: str) -> str | None:
    """The media type under which a file of this name is drawn; None where its name is not that of a chart."""
    return next((media_type for ending, media_type in CHARTS.items() if name.lower().endswith(ending)), None)


def stem(name: str) -> str:
    """The name without what makes it a specification or a picture: `by_year.vl.json` and `by_year.png` go together."""
    ending = next((ending for ending in CHARTS if name.lower().endswith(ending)), "")
    return name[: -len(ending)] if ending else name.rpartition(".")[0]


def read_chart(name: str, content: bytes) -> dict[str, Any]:
    """The specification in a file, as it goes into an output. Raises `ChartError` where it is not to be drawn."""
    if len(content) > LARGEST_CHART:
        raise ChartError("its specification is over 1 MB.")
    try:
        spec = json.loads(content)
    except (ValueError, RecursionError):
        raise ChartError("it is not JSON.") from None
    if not isinstance(spec, dict):
        raise ChartError("it is no specification of a chart.")
    plotly = chart_type(name) == CHARTS[".plotly.json"]
    # What configures the library that draws, and not the chart: it can name addresses too.
    kept = {key: part for key, part in spec.items() if key not in {"$schema", "usermeta", "config" if plotly else ""}}
    if plotly and not isinstance(spec.get("data"), list):
        raise ChartError("it has no list of data, as a Plotly figure has.")
    for key, value in _parts(kept):
        text = value if isinstance(value, str) else ""
        loads = key if key.lower() in _LOADING else text if text.lower() in _LOADING or _ADDRESS.match(text) else ""
        if plotly and key == "type" and _MAPS.fullmatch(text):
            loads = text
        if loads:
            raise ChartError(f"it uses “{one_line(loads)}”, which loads something or links somewhere.")
    return kept if plotly else {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", **kept}


def _parts(spec: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every value with its key (empty in a list), however deep."""
    parts: list[tuple[str, Any, int]] = [("", spec, 0)]
    for key, value, depth in parts:  # it grows while it is read
        if depth > DEEPEST_CHART:
            raise ChartError("its specification is too large.")
        yield key, value
        if isinstance(value, dict):
            parts += [(name, part, depth + 1) for name, part in value.items()]
        elif isinstance(value, list):
            parts += [("", part, depth + 1) for part in value]
