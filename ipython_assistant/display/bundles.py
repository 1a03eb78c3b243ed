"""Values → MIME bundles: what a notebook keeps of an answer.

Pure functions. Each bundle is a function of the turn and its files alone, so that two runs of one recording save the
same notebook; what may differ between machines (the size of a PNG depends on the version of the library that drew it)
goes to the output's metadata, under the key `ipython_assistant`. Every bundle has `text/plain`. The HTML takes its
colours from the page, and has inline styles only: a `<style>` block is removed from a notebook that is not trusted.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ipython_assistant.core.links import encode_href
from ipython_assistant.core.wording import counted
from ipython_assistant.display.escaping import escaped, one_line, printed, visible
from ipython_assistant.display.grid import aligned, grid, grid_html, grid_text
from ipython_assistant.display.highlight import highlight
from ipython_assistant.display.markdown import CODE_STYLE, NO_MATH, render, without_unfinished_link

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact, FailedArtifact, TableHead
    from ipython_assistant.core.turn import CodeCall, OtherItem

KEY = "ipython_assistant"
"""Our own key in output metadata."""

LONGEST_LOGS = 20_000
"""In characters for each code call; what is beyond it is left out in the middle, and said."""
LONGEST_ITEM = 4_000
"""In characters for each item without a view of its own."""
LONGEST_TEXT = 500
"""In characters for each text in it: it may be a picture in base64."""
DEEPEST_ITEM = 20
"""Of objects in objects."""
LONGEST_DESCRIPTION = 120
"""In characters, of what a picture was made for."""
_QUIET = "opacity:.7"
_BELOW = "margin:.2em 0 .8em"
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


class Bundle(NamedTuple):
    """What `_repr_mimebundle_` returns: representations by media type, and the output's metadata."""

    data: dict[str, Any]
    metadata: dict[str, Any]


def answer(text: str, hrefs: Mapping[str, str]) -> Bundle:
    """The answer's text.

    Args:
        text: Markdown; its links to files are already relative.
        hrefs: The relative links that may be clicked: percent-encoded href → file name.
    """
    return _bundle("answer", render(text, hrefs=hrefs), visible(text))


def live(text: str, activity: str) -> Bundle:
    """The answer as far as it is written, and one line that says what is going on."""
    written = without_unfinished_link(text)
    status = _status(activity)
    plain = "\n\n".join(part for part in (visible(text), status) if part)
    return _bundle("live", (render(written, hrefs={}) if written else "") + _status_line(status), plain)


def running(html: str, activity: str) -> Bundle:
    """As `live`, for one of many updates, and so half as long: its plain text is what is going on alone.

    Args:
        html: What is written so far, safe already.
        activity: What is going on.
    """
    status = _status(activity)
    return _bundle("live", html + _status_line(status), status)


def work(calls: Sequence[CodeCall]) -> Bundle:
    """The code that was run and what it printed: folded, but open where a call failed."""
    steps = counted(len(calls), "step")
    troubles = [f"{_ordinal(calls, index)}{trouble}" for index, call in enumerate(calls) if (trouble := _trouble(call))]
    summary = f"Code, {steps}" + (f" ({'; '.join(troubles)})" if troubles else "")
    body = "".join(_step_html(call, index, len(calls)) for index, call in enumerate(calls))
    head = f'<summary style="cursor:pointer;{_QUIET}">{summary}</summary>'
    return _bundle(
        "work",
        f'<details{" open" if troubles else ""} class="{NO_MATH}">{head}{body}</details>',
        "\n\n".join([summary, *(_step_text(call, index, len(calls)) for index, call in enumerate(calls))]),
    )


def other_items(items: Iterable[OtherItem]) -> Bundle | None:
    """The output items that have no view of their own, folded, each as what it is called and what it holds.

    Reasoning is shown where it holds a summary. Ids and what only the service can read are left out, long texts in it
    are cut, and what is left of an item is cut too. None where nothing is to be shown.
    """
    shown = [(one_line(item.type) or "item", body) for item in items if (body := _item_body(item))]
    if not shown:
        return None
    kinds = list(dict.fromkeys(_kind_in_words(kind) for kind, _ in shown))
    summary = f"Also done, {len(shown)} step{_s(len(shown))}: {', '.join(kinds)}"
    head = f'<summary style="cursor:pointer;{_QUIET}">{escaped(summary)}</summary>'
    body = "".join(
        f'<p style="margin:.8em 0 0;{_QUIET}">{escaped(kind)}</p><pre style="{CODE_STYLE}">{escaped(text)}</pre>'
        for kind, text in shown
    )
    plain = [f"{kind}\n\n{_indented(visible(text))}" for kind, text in shown]
    return _bundle(
        "other items", f'<details class="{NO_MATH}">{head}{body}</details>', "\n\n".join([visible(summary), *plain])
    )


def picture(artifact: Artifact, content: bytes, media_type: str = "", words: str = "") -> Bundle | None:
    """The picture itself, in its own media type; None where a notebook cannot show it (then the card has it).

    Args:
        artifact: Its name and media type.
        content: Its bytes. They have to be what the media type says, since a broken picture shows nothing.
        media_type: Theirs, where they are not the file's own but a thumbnail's.
        words: What the picture was made for, such as the prompt; its beginning describes the picture to those who
            cannot see it.
    """
    shown: str | None = None
    media_type = media_type or artifact.media_type
    signature = _SIGNATURES.get(media_type)
    if signature is not None and signature.match(content):
        shown = base64.b64encode(content).decode("ascii")
    elif media_type == "image/svg+xml":
        shown = _svg(content)
    if shown is None:
        return None
    name = one_line(artifact.name)
    described = f"{name}: {_first(words)}" if words.strip() else name
    return Bundle(
        {media_type: shown, "text/plain": described},
        # IPython's own `Image` and nbconvert keep the description of a picture here.
        {media_type: {"alt": described}, KEY: {"output": "picture", "name": name, "size": len(content)}},
    )


def full_picture(artifact: Artifact) -> Bundle:
    """The line below a thumbnail: a link to the whole picture. It names no size: see the head of this module."""
    name, href = one_line(artifact.name), _href(artifact)
    whole = "the whole picture"
    if href is not None:
        whole = f'<a href="{escaped(href)}" download="{escaped(artifact.name)}">{whole}</a>'
    html = f'<p class="{NO_MATH}" style="{_BELOW}">{escaped(name)} is shown smaller than it is. Download {whole}.</p>'
    path = one_line(artifact.href, 160)
    return _bundle("full picture", html, f"{name} is shown smaller than it is. The whole picture is {path}")


def hidden_picture(artifact: Artifact) -> Bundle:
    """The line in place of a picture that is not shown: one too large or broken, or an SVG that is more than a drawing.

    It names no reason: which of them it is depends on the version of the library that read it.
    """
    name, href = one_line(artifact.name), _href(artifact)
    why = "is not shown here: it is too large, damaged, or more than a picture."
    download = "Download it"
    if href is not None:
        download = f'<a href="{escaped(href)}" download="{escaped(artifact.name)}">{download}</a>'
    html = f'<p class="{NO_MATH}" style="{_BELOW}">{escaped(name)} {why} {download}.</p>'
    return _bundle("hidden picture", html, f"{name} {why} It is saved as {one_line(artifact.href, 160)}")


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
    return _bundle("source", html, f"{name} — {about}\n\n{_indented(visible(text))}")


def table(artifact: Artifact, head: TableHead) -> Bundle:
    """The first rows of a table, with the look of a pandas DataFrame, its true size, and how it was read."""
    rows, columns = head.row_count, head.column_count
    size = f"{'about ' if head.estimated else ''}{rows:,} row{_s(rows)} × {columns:,} column{_s(columns)}"
    name, lines = one_line(artifact.name), grid(head)
    html = grid_html(lines, f"<b>{escaped(name)}</b> — {size}")
    html += "".join(f'<p class="{NO_MATH}" style="margin:.2em 0;{_QUIET}">{escaped(note)}</p>' for note in head.notes)
    notes = "".join(f"\n{visible(note)}" for note in head.notes)
    return _bundle("table", html, f"{name} — {size}\n\n{grid_text(lines)}{notes}")


def card(artifacts: Iterable[Artifact], failed: Iterable[FailedArtifact] = (), notes: Iterable[str] = ()) -> Bundle:
    """The files, each a link that downloads it, with its kind, size and saved path; what is missing, and why.

    The links are relative to the notebook and need neither kernel nor extension. A picture's size is not shown: see the
    head of this module. It is in the metadata.
    """
    saved, lost, remarks = list(artifacts), list(failed), list(notes)
    rows = [_saved_row(artifact) for artifact in saved] + [_lost_row(missing) for missing in lost]
    body = f'<table style="margin:0"><tbody>{"".join(rows)}</tbody></table>' if rows else ""
    body += "".join(f'<p style="margin:.4em 0 0;{_QUIET}">{escaped(remark)}</p>' for remark in remarks)
    lines = aligned([_saved_cells(artifact) for artifact in saved])
    lines += [f"{one_line(missing.name)}  not saved: {one_line(missing.reason, 1000)}" for missing in lost]
    lines += [visible(remark) for remark in remarks]
    sizes = {one_line(artifact.name): artifact.size for artifact in saved}
    return _bundle("card", f'<div class="{NO_MATH}">{body}</div>', "\n".join(lines), sizes=sizes)


def size_in_words(size: int) -> str:
    """A file's size for people: exact below 10,000 bytes, then in decimal units.

    >>> size_in_words(1), size_in_words(1234), size_in_words(12_345), size_in_words(2_120_588)
    ('1 byte', '1,234 bytes', '12.3 kB', '2.1 MB')
    """
    if size < 10_000:  # noqa: PLR2004 the docstring says it
        return f"{size:,} byte{_s(size)}"
    amount = float(size)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        # 999.95 would be rounded to 1000.0.
        if amount < 999.95:  # noqa: PLR2004
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"


def _bundle(output: str, html: str, plain: str, **more: Any) -> Bundle:
    return Bundle({"text/html": html, "text/plain": plain}, {KEY: {"output": output, **more}})


def _status(activity: str) -> str:
    return one_line(f"{activity[:1].upper()}{activity[1:]} …") if activity else ""


def _status_line(status: str) -> str:
    return f'<p style="margin:.5em 0 0;{_QUIET}">{escaped(status)}</p>' if status else ""


def _s(count: int) -> str:
    return "" if count == 1 else "s"


# --- the work ---------------------------------------------------------------------------------------------------------


def _trouble(call: CodeCall) -> str:
    """What went wrong with a call, in words; nothing where nothing did."""
    if call.status == "failed" or "Traceback (most recent call last)" in call.logs:
        # The hosted service calls a call completed though its code raised; then the logs, if any, tell.
        return "ended in an error"
    return "" if call.status == "completed" else "did not finish"


def _ordinal(calls: Sequence[CodeCall], index: int) -> str:
    return "" if len(calls) == 1 else f"step {index + 1} "


def _step_html(call: CodeCall, index: int, count: int) -> str:
    title = f'<p style="margin:.8em 0 0;{_QUIET}">{_step_title(call, index)}</p>' if count > 1 else ""
    source = highlight(call.code.strip("\n"), "python")
    code = f'<pre style="{CODE_STYLE}"><code>{source}</code></pre>'
    logs = _logs(call)
    if not logs:
        return title + code
    return f'{title}{code}<pre style="{CODE_STYLE};border-left-color:transparent;{_QUIET}">{escaped(logs)}</pre>'


def _step_text(call: CodeCall, index: int, count: int) -> str:
    title = [_step_title(call, index)] if count > 1 else []
    logs = _logs(call)
    blocks = [*title, _indented(visible(call.code.strip("\n")))]
    return "\n\n".join(blocks + ([f"Printed:\n\n{_indented(logs)}"] if logs else []))


def _step_title(call: CodeCall, index: int) -> str:
    trouble = _trouble(call)
    return f"Step {index + 1}" + (f", {trouble}" if trouble else "")


def _logs(call: CodeCall) -> str:
    logs = printed(call.logs).strip("\n")
    if len(logs) <= LONGEST_LOGS:
        return logs
    half = LONGEST_LOGS // 2
    return f"{logs[:half]}\n… {len(logs) - 2 * half:,} characters left out …\n{logs[-half:]}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.split("\n"))


# --- other items ------------------------------------------------------------------------------------------------------

# An id or a time says nothing to a reader, and would make two runs of one question differ.
_NOT_SHOWN = frozenset({"id", "type", "call_id", "encrypted_content", "created_at", "created_by"})


def _item_body(item: OtherItem) -> str:
    if item.type == "reasoning":
        summary = item.raw.get("summary")
        parts = summary if isinstance(summary, list) else []
        text = "\n\n".join(str(part.get("text") or "") for part in parts if isinstance(part, dict)).strip()
    else:
        text = json.dumps(_shortened(item.raw), ensure_ascii=False, indent=2)
    return (
        text if len(text) <= LONGEST_ITEM else f"{text[:LONGEST_ITEM]}\n… {len(text) - LONGEST_ITEM:,} more characters"
    )


def _shortened(value: Any, deep: int = 0) -> Any:
    if deep > DEEPEST_ITEM:
        return "…"
    if isinstance(value, dict):
        kept = {str(key): part for key, part in value.items() if key not in _NOT_SHOWN and part is not None}
        return {key: _shortened(part, deep + 1) for key, part in kept.items()}
    if isinstance(value, list):
        return [_shortened(part, deep + 1) for part in value]
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}… {len(value) - LONGEST_TEXT:,} more characters"
    return value


def _kind_in_words(kind: str) -> str:
    """The type of an item for people: `web_search_call` is a web search.

    >>> _kind_in_words("web_search_call"), _kind_in_words("reasoning")
    ('web search', 'reasoning')
    """
    return kind.removesuffix("_call").replace("_", " ")


# --- pictures ---------------------------------------------------------------------------------------------------------


# An SVG is shown as an image, which runs no script and fetches nothing in any browser; but pages exist that put it into
# their markup as it is, such as those of older converters. So only one that is harmless even there is shown.
_SVG_HARM = re.compile(
    r"<\s*(?:[\w.-]+:)?(?:script|foreignobject|iframe|object|embed|handler|set|animate)"
    r"|[\s\"'/]on\w+\s*="
    r"|href\s*=\s*(?![\"']#|[\"']data:image/(?:png|jpeg|gif|webp);base64,)"
    r"|\ssrc\s*="
    r"|url\(\s*(?![\"']?#)"
    r"|javascript:|@import|<!entity|<\?xml-stylesheet|<!\[cdata\[\s*>"
    # A letter that is written as its number, in CSS.
    r"|\\[0-9a-f]{2}",
    re.IGNORECASE,
)


def _svg(content: bytes) -> str | None:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text if "<svg" in text and not _SVG_HARM.search(text) else None


def _first(words: str) -> str:
    """The first words of a prompt, on one line."""
    line = visible(" ".join(words.split()))
    return line if len(line) <= LONGEST_DESCRIPTION else f"{line[:LONGEST_DESCRIPTION].rpartition(' ')[0]} …"


# --- the card ---------------------------------------------------------------------------------------------------------

# JupyterLab stripes the rows of a table; a short list of files is calmer without.
_TR = '<tr style="background:transparent">'
_TD = '<td style="text-align:left;padding:.2em 1.5em .2em 0'


def _saved_row(artifact: Artifact) -> str:
    name, kind, size, path = _saved_cells(artifact)
    label, href = escaped(name), _href(artifact)
    if href is not None:
        label = f'<a href="{escaped(href)}" download="{escaped(artifact.name)}">{label}</a>'
    return (
        f'{_TR}{_TD};overflow-wrap:break-word">{label}</td>'
        f'{_TD};white-space:nowrap;{_QUIET}">{escaped(kind)}</td>'
        f'{_TD};white-space:nowrap;{_QUIET}">{size}</td>'
        f'{_TD};overflow-wrap:break-word;{_QUIET}">{escaped(path)}</td></tr>'
    )


def _href(artifact: Artifact) -> str | None:
    """Where its link leads; None for a path that is not relative or that no address can hold. That one is only told."""
    try:
        href = encode_href(artifact.href)
    except UnicodeEncodeError:
        return None
    return None if href.startswith("/") else href


def _lost_row(missing: FailedArtifact) -> str:
    reason = escaped(one_line(missing.reason, 1000))
    name = escaped(one_line(missing.name))
    return f'{_TR}{_TD}">{name}</td>{_TD}" colspan="3"><b>not saved:</b> {reason}</td></tr>'


def _saved_cells(artifact: Artifact) -> tuple[str, str, str, str]:
    size = "" if artifact.media_type.startswith("image/") else size_in_words(artifact.size)
    return one_line(artifact.name), _KINDS.get(artifact.media_type, "file"), size, one_line(artifact.href, 160)
