"""The list of files below an answer: links that download them, kinds, sizes, paths; what is missing, and why.

The links are relative to the notebook and need neither kernel nor extension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.core.wording import counted, size_in_words
from ipython_assistant.display.charts import chart_type
from ipython_assistant.display.escaping import escaped, one_line, visible
from ipython_assistant.display.grid import Download, aligned, list_html, text_of
from ipython_assistant.display.markdown import NO_MATH
from ipython_assistant.display.outputs import QUIET, Bundle, html_bundle
from ipython_assistant.display.previews import kind_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact, FailedArtifact
    from ipython_assistant.display.grid import Cell

MOST_ROWS = 500
"""Of so many files the card has a line; the others are counted."""


def card(
    artifacts: Sequence[Artifact],
    failed: Iterable[FailedArtifact] = (),
    notes: Iterable[str] = (),
    details: Mapping[str, str] | None = None,
) -> Bundle:
    """The list of files.

    Args:
        artifacts: The files on disk.
        failed: Those that are not, with the reason.
        notes: Sentences below the list.
        details: File name → what else is to be said of it, such as a table's rows and columns.
    """
    said, lost = [*_remarks(artifacts), *notes], list(failed)
    rows = [_row(artifact, (details or {}).get(artifact.name, "")) for artifact in artifacts[:MOST_ROWS]]
    # One folder is said once; only files in several folders have their paths beside them.
    folders = {artifact.href.rpartition("/")[0] for artifact in artifacts}
    html = list_html((), [row if len(folders) > 1 else row[:-1] for row in rows]) if rows else ""
    if len(folders) == 1:
        (folder,) = folders
        place = f"in {one_line(folder, 160)}/" if folder else "beside the notebook"
        html += f'<p style="margin:.2em 0 0;{QUIET}">Saved {escaped(place)}</p>'
    html += "".join(
        f'<p style="margin:.4em 0 0">{escaped(one_line(missing.name))} <b>not saved:</b> '
        f"{escaped(one_line(missing.reason, 1000))}</p>"
        for missing in lost
    )
    html += "".join(f'<p style="margin:.4em 0 0;{QUIET}">{escaped(remark)}</p>' for remark in said)
    lines = aligned([tuple(map(text_of, row)) for row in rows])
    lines += [f"{one_line(missing.name)}  not saved: {one_line(missing.reason, 1000)}" for missing in lost]
    lines += [visible(remark) for remark in said]
    return html_bundle("card", f'<div class="{NO_MATH}">{html}</div>', "\n".join(lines))


def _row(artifact: Artifact, detail: str) -> tuple[Cell, ...]:
    kind = "interactive chart" if chart_type(artifact.name) else kind_in_words(artifact.media_type)
    renamed = artifact.own_name not in {artifact.name, ""} and artifact.found != "figure"
    remark = f"({one_line(artifact.own_name)} in the answer)" if renamed else ""
    return (
        Download(one_line(artifact.name), artifact.name, artifact.href, remark),
        f"{kind}, {one_line(detail)}" if detail else kind,
        size_in_words(artifact.size),
        one_line(artifact.href, 160),
    )


def _remarks(artifacts: Sequence[Artifact]) -> list[str]:
    remarks = []
    if len(artifacts) > MOST_ROWS:
        remarks.append(f"{counted(len(artifacts) - MOST_ROWS, 'more file')} in the same folder.")
    if any(artifact.href.startswith(("/", "../")) or artifact.href[1:2] == ":" for artifact in artifacts):
        remarks.append(
            "These files are outside the notebook's folder, where a link in the notebook may not reach them. "
            "The download buttons bring them."
        )
    return remarks
