"""What is shown below an answer's text, and in which order: the one place where files meet their outputs.

The code, the pictures and charts, the heads of tables and the beginnings of texts, the list of files (with the
buttons, in a live notebook), and below it the tables and texts that would make it hard to find. Of very many files
only the first are shown, so that a notebook stays small; the list has them all. A file that was moved or deleted since
is passed over: the list still names it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ipython_assistant.core.links import hrefs
from ipython_assistant.core.wording import counted
from ipython_assistant.display import outputs, previews, steps
from ipython_assistant.display.charts import ChartError, chart_type, read_chart, stem
from ipython_assistant.display.markdown import descriptions, tables
from ipython_assistant.display.outputs import KEY, Bundle
from ipython_assistant.workspace import excerpts
from ipython_assistant.workspace.dialect import NotATable
from ipython_assistant.workspace.tables import read_head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipython_assistant.core.artifacts import Artifact, FailedArtifact, TableHead
    from ipython_assistant.core.turn import Turn

MOST_PICTURES = MOST_TABLES = 12
MOST_TEXTS = 10
"""Of so many files of each kind the content is shown."""
MOST_LINES_ABOVE = 30
"""Tables and texts up to so many lines stand above the list of files, the others below it."""
UNKNOWN_TYPE = "application/octet-stream"
_T = TypeVar("_T")


class Content(NamedTuple):
    """What there is to show of an answer; see `Answer` for each."""

    text: str
    turn: Turn
    artifacts: tuple[Artifact, ...]
    failed: tuple[FailedArtifact, ...]
    notes: tuple[str, ...]
    repeated: frozenset[str]
    prompt: str


def text_output(answer: Content) -> Bundle:
    """The answer's text."""
    return outputs.answer(answer.text, hrefs(answer.artifacts))


def file_outputs(answer: Content) -> tuple[list[Bundle], list[Bundle]]:
    """Everything below the answer's text, in order, one MIME bundle each: up to the list of files, and after it.

    In a live notebook the download buttons stand between the two.
    """
    card = _Card()
    above = [steps.work(answer.turn.steps)] if answer.turn.steps else []
    if (others := steps.other_items(answer.turn.others)) is not None:
        above.append(others)
    above += _pictures_and_charts(answer, card)
    heads = _tables_and_texts(answer, card)
    # The list of files is not to be looked for below long tables.
    lengths = accumulate(bundle.data["text/plain"].count("\n") + 2 for bundle in heads)
    fitting = sum(length <= MOST_LINES_ABOVE for length in lengths)
    above += heads[:fitting]
    if answer.artifacts or answer.failed or answer.notes or card.notes:
        above.append(previews.card(answer.artifacts, answer.failed, (*answer.notes, *card.notes), card.details))
    return above, heads[fitting:]


def in_one(answer: Content) -> tuple[dict[str, Any], dict[str, Any]]:
    """All outputs as one, for front ends that show one; a picture is an output of its own, so it is only listed."""
    above, below = file_outputs(answer)
    shown = [text_output(answer), *(bundle for bundle in (*above, *below) if "text/html" in bundle.data)]
    plain = "\n\n".join(bundle.data["text/plain"] for bundle in shown)
    return {"text/html": "\n".join(bundle.data["text/html"] for bundle in shown), "text/plain": plain}, {}


def for_marimo(answer: Content) -> Any:
    """The outputs as marimo shows them, in one, with a button for each file: a link to a file leads nowhere there."""
    marimo = import_module("marimo")
    above, below = file_outputs(answer)
    shown = []
    for data, metadata in (text_output(answer), *above, *below):
        picture = next((media_type for media_type in data if media_type.startswith("image/")), None)
        if picture is not None:
            shown.append(marimo.image(f"data:{picture};base64,{data[picture]}", alt=metadata[picture]["alt"]))
        elif "text/html" in data:
            shown.append(marimo.Html(data["text/html"]))
    # The bytes are read when a button is used.
    buttons = [
        marimo.download(artifact.path.read_bytes, filename=artifact.name, label=artifact.name)
        for artifact in answer.artifacts
    ]
    return marimo.vstack([*shown, marimo.hstack(buttons, justify="start", wrap=True)])


def head_of(artifact: Artifact, rows: int = 10) -> tuple[TableHead | None, str]:
    """The head of a table, or why there is none; both are empty where the file is gone."""
    try:
        return read_head(artifact.path, artifact.media_type, rows), ""
    except NotATable as reason:
        return None, str(reason)
    except OSError:
        return None, ""


@dataclass(slots=True)
class _Card:
    """What the list of files has to say beside the files: name → its rows and columns, and sentences."""

    details: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def first(self, most: int, noun: str, found: Sequence[_T]) -> Sequence[_T]:
        """The first of those that were found; the others are counted in a sentence."""
        if left := max(len(found) - most, 0):
            self.notes.append(f"{counted(left, f'more {noun}')} {'is' if left == 1 else 'are'} listed, but not shown.")
        return found[:most]


def _pictures_and_charts(answer: Content, card: _Card) -> Iterator[Bundle]:
    said = descriptions(answer.text)
    charts = {stem(artifact.name): artifact for artifact in answer.artifacts if chart_type(artifact.name)}
    pictures = [a for a in answer.artifacts if a.is_picture and a.name not in answer.repeated]
    for artifact in card.first(MOST_PICTURES, "picture", pictures):
        chart = _chart(charts.pop(stem(artifact.name), None), card)
        yield from _picture(artifact, said.get(artifact.href) or answer.prompt, chart)
    for artifact in card.first(MOST_PICTURES, "chart", [*charts.values()]):
        if chart := _chart(artifact, card):
            yield Bundle({**chart, "text/plain": artifact.name}, {KEY: {"output": "chart", "name": artifact.name}})


def _chart(artifact: Artifact | None, card: _Card) -> dict[str, Any]:
    """The specification by its media type; empty where it is not to be drawn, which is said then."""
    media_type = chart_type(artifact.name) if artifact is not None else None
    if artifact is None or media_type is None:
        return {}
    try:
        return {media_type: read_chart(artifact.name, artifact.path.read_bytes())}
    except ChartError as error:
        card.notes.append(f"{artifact.name} is not shown: {error}")
    except OSError:
        pass
    return {}


def _picture(artifact: Artifact, description: str, chart: dict[str, Any]) -> Iterator[Bundle]:
    try:
        preview = excerpts.read_picture(artifact.path, artifact.media_type)
    except OSError:
        return
    shown = None
    if preview is not None:
        shown = previews.picture(artifact, preview.content, preview.media_type, description)
    if preview is None or shown is None:
        yield previews.caption(artifact, "not")
    else:
        yield Bundle({**chart, **shown.data}, shown.metadata)
        yield previews.caption(artifact, "whole" if preview.whole else "smaller")


def _tables_and_texts(answer: Content, card: _Card) -> list[Bundle]:
    in_answer = tables(answer.text)
    seen: dict[str, str] = {}
    shown: list[tuple[Artifact, TableHead]] = []
    texts: list[Artifact] = []
    for artifact in answer.artifacts:
        if chart_type(artifact.name):
            continue
        head, reason = head_of(artifact)
        if head is None:
            texts += [artifact] if _may_be_text(artifact) else []
            if reason and artifact.is_table:
                card.notes.append(f"{artifact.name} is not shown as a table: it {reason}.")
            continue
        card.details[artifact.name] = previews.table_size(head)
        if (twin := seen.setdefault(artifact.sha256, artifact.name)) != artifact.name:
            card.details[artifact.name] += f", the same as {twin}"
        # A table that stands in the answer already is not shown once more.
        elif head.notes or not any(previews.is_head(table, head) for table in in_answer):
            shown.append((artifact, head))
    found = [previews.table(artifact, head) for artifact, head in card.first(MOST_TABLES, "table", shown)]
    for artifact in card.first(MOST_TEXTS, "text file", texts):
        with suppress(OSError):
            if (beginning := excerpts.read_text_head(artifact.path)) is not None:
                found.append(previews.source(artifact, beginning.text, whole=beginning.whole))
    return found


def _may_be_text(artifact: Artifact) -> bool:
    return artifact.media_type.startswith("text/") or artifact.media_type in {"application/json", UNKNOWN_TYPE}
