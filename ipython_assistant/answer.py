"""What the user holds after a cell: the answer, its files, its code; and what is shown of it, in which order.

Of very many files only the first are shown, so that a notebook stays small. A file that was moved or deleted since is
passed over: the list of files still names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

from ipython_assistant.core.footnotes import answer_text
from ipython_assistant.core.links import hrefs
from ipython_assistant.core.wording import counted
from ipython_assistant.display import outputs, previews
from ipython_assistant.display.escaping import one_line
from ipython_assistant.display.live import publish, running_shell
from ipython_assistant.display.markdown import descriptions, tables
from ipython_assistant.display.outputs import KEY, Bundle
from ipython_assistant.display.previews import ChartError, chart_type, read_chart, stem
from ipython_assistant.workspace import excerpts
from ipython_assistant.workspace.csv_tables import NotATable
from ipython_assistant.workspace.tables import read_frame, read_head

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ipython_assistant.core.artifacts import Artifact, FailedArtifact, TableHead, TurnFiles
    from ipython_assistant.core.turn import CodeCall, Turn

MOST_SHOWN = 12  # the most files of each kind whose content is shown
MOST_LINES_ABOVE = 30  # the most lines of tables and texts above the list of files; longer ones stand below it
MOST_BROWSED, MOST_CELLS_BROWSED, LONGEST_CELL_BROWSED = 1_000, 50_000, 200
"""The most rows, cells, and characters of a cell of a table that can be sorted and paged."""
MAYBE_TEXT = {"application/json", "application/octet-stream"}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file of the answer, on disk; its size (bytes) and SHA-256 are those of the moment it was saved."""

    name: str
    path: Path = field(compare=False)
    size: int
    sha256: str
    media_type: str

    def read_bytes(self) -> bytes:
        """Read the file as it is on disk now."""
        return self.path.read_bytes()

    def to_frame(self) -> Any:
        """Read the table in the file as a pandas DataFrame. Raises `ValueError` if it is not a table."""
        return read_frame(self.path, self.media_type)


class Files(Mapping[str, SavedFile]):
    """The files of an answer by their saved names; the model's own name finds a file too if only one has it."""

    def __init__(self, artifacts: tuple[Artifact, ...]) -> None:
        self._by_name = {it.name: SavedFile(it.name, it.path, it.size, it.sha256, it.media_type) for it in artifacts}
        self._own_names = [(artifact.own_name, artifact.name) for artifact in artifacts]

    def __getitem__(self, name: str) -> SavedFile:
        meant = {name} if name in self._by_name else {saved for own, saved in self._own_names if own == name}
        if len(meant) != 1:
            raise KeyError(f"{name}. The answer's files: {', '.join(self) or 'none'}")
        return self._by_name[meant.pop()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"Files({', '.join(self)})"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The value of a `%%assistant` cell. It equals its replay: the same question and turn, the same files.

    `text` is Markdown whose links lead to the saved files, `failed` the files that could not be saved, with the reason,
    `notes` sentences for the reader, `frames` the tables asked for with `-o`; `turn` is without its pictures.
    """

    text: str
    turn: Turn
    artifacts: tuple[Artifact, ...] = ()
    failed: tuple[FailedArtifact, ...] = ()
    notes: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()
    """Names of saved figures that show what a saved picture shows; they are linked but not shown again."""
    interrupted: bool = False
    shown_in: int | None = None
    """The execution count of the cell that has shown it, so that the cell's value does not show it twice."""
    prompt: str = ""
    frames: Mapping[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> Files:
        """The saved files by name."""
        return Files(self.artifacts)

    @property
    def figures(self) -> tuple[SavedFile, ...]:
        """The saved pictures."""
        return tuple(self.files[it.name] for it in self.artifacts if it.is_picture)

    @property
    def tables(self) -> tuple[SavedFile, ...]:
        """The saved tables: CSV and TSV by their type, other formats where they can be read as one."""
        return tuple(self.files[it.name] for it in self.artifacts if it.is_table or _head_of(it, 0)[0])

    @property
    def calls(self) -> tuple[CodeCall, ...]:
        """Each code call, with its `.code`, `.logs` and `.status`."""
        return self.turn.calls

    @property
    def code(self) -> str:
        """Every code call as one text, in order."""
        return "\n\n".join(call.code.rstrip("\n") for call in self.calls)

    @property
    def logs(self) -> str:
        """What the code printed."""
        return "".join(call.logs for call in self.calls)

    @property
    def usage(self) -> dict[str, Any]:
        """Tokens, as the service counted them."""
        return dict(self.turn.usage)

    @property
    def response_id(self) -> str:
        """The service's id of the response."""
        return self.turn.response_id

    @property
    def status(self) -> str:
        """One of `completed`, `refused`, `incomplete`, `interrupted`, `failed`."""
        if self.interrupted:
            return "interrupted"
        if self.turn.refused:
            return "refused"
        return self.turn.status if self.turn.status in {"completed", "incomplete"} else "failed"

    def outputs(self) -> list[Bundle]:
        """The final outputs below the answer's text, in order, one MIME bundle each."""
        above, below = self.output_parts()
        return above + below

    def output_parts(self) -> tuple[list[Bundle], list[Bundle]]:
        """The outputs up to the list of files, and the tables and texts that would make it hard to find, below it."""
        card, others = _Card(), outputs.other_items(self.turn.others)
        above = [outputs.work(self.turn.steps)] if self.turn.steps else []
        above += [others] if others is not None else []
        above += _pictures_and_charts(self, card)
        heads = list(_tables_and_texts(self, card))
        lengths = accumulate(bundle.data["text/plain"].count("\n") + 2 for bundle in heads)
        fitting = sum(length <= MOST_LINES_ABOVE for length in lengths)
        above += heads[:fitting]
        if self.artifacts or self.failed or self.notes or card.notes:
            above.append(previews.card(self.artifacts, self.failed, (*self.notes, *card.notes), card.details))
        return above, heads[fitting:]

    def text_output(self) -> Bundle:
        """The answer's text as a MIME bundle."""
        return outputs.answer(self.text, hrefs(self.artifacts))

    def display(self) -> None:
        """Show it all, here."""
        for bundle in (self.text_output(), *self.outputs()):
            publish(bundle)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Answer):
            return NotImplemented
        same = self.prompt == other.prompt and self.turn == other.turn and self.interrupted == other.interrupted
        lost, theirs = ([file.name for file in answer.failed] for answer in (self, other))
        return same and lost == theirs and self.files == other.files

    def __hash__(self) -> int:
        return hash((self.prompt, self.response_id))

    def __repr__(self) -> str:
        return f"Answer({self.status}, {counted(len(self.artifacts), 'file')})"

    def _display_(self) -> Any:
        """Marimo's hook: all in one, with a button for each file, since a link to a file leads nowhere there."""
        marimo, shown = import_module("marimo"), []
        for data, metadata in (self.text_output(), *self.outputs()):
            if picture := next((name for name in data if name.startswith("image/")), ""):
                shown.append(marimo.image(f"data:{picture};base64,{data[picture]}", alt=metadata[picture]["alt"]))
            elif "text/html" in data:
                shown.append(marimo.Html(data["text/html"]))
        # The bytes are read when a button is used.
        buttons = [marimo.download(it.path.read_bytes, filename=it.name, label=it.name) for it in self.artifacts]
        return marimo.vstack([*shown, marimo.hstack(buttons, justify="start", wrap=True)])

    def _ipython_display_(self) -> None:
        """IPython's hook for a value that shows itself in several outputs."""
        shell = running_shell()
        if self.shown_in is None or shell is None or self.shown_in != shell.execution_count:
            self.display()


def answer_of(prompt: str, turn: Turn, files: TurnFiles, *, missing: str = "it could not be saved") -> Answer:
    """The answer of a turn with its files; its links to those that failed say that they are `missing`."""
    text = answer_text(turn, files.artifacts, {file.name: missing for file in files.failed})
    return Answer(text, turn, files.artifacts, files.failed, files.notes, files.repeated, prompt=prompt)


def _head_of(artifact: Artifact, rows: int = 10) -> tuple[TableHead | None, str]:
    """The head of a table, or the reason why the file cannot be read as one; both are empty where the file is gone."""
    try:
        return read_head(artifact.path, artifact.media_type, rows), ""
    except NotATable as reason:
        return None, str(reason)
    except OSError:
        return None, ""


def rows_to_browse(artifact: Artifact) -> dict[str, Any]:
    """The first rows of a table, to be sorted and paged, and whether they are all. Raises `OSError` without a table."""
    head, reason = _head_of(artifact, MOST_BROWSED)
    if head is None:
        raise OSError(0, f"it {reason}" if reason else "it is no longer there")
    rows = head.rows[: max(1, MOST_CELLS_BROWSED // max(len(head.columns), 1))]
    return {
        "columns": [one_line(name) for name in head.columns],
        "rows": [[None if cell is None else one_line(cell, LONGEST_CELL_BROWSED) for cell in row] for row in rows],
        "whole": len(rows) == head.row_count,
        "size": previews.table_size(head),
    }


@dataclass(slots=True)
class _Card:
    """Details for the list of files, by name, and sentences below the list."""

    details: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def first(self, noun: str, found: Sequence[_T]) -> Sequence[_T]:
        """Give the first `MOST_SHOWN` of the files that were found; a sentence counts the others."""
        if left := len(found[MOST_SHOWN:]):
            self.notes.append(f"{counted(left, f'more {noun}')} {'is' if left == 1 else 'are'} listed, but not shown.")
        return found[:MOST_SHOWN]

    def chart(self, artifact: Artifact) -> dict[str, Any]:
        """A chart's specification by its media type; empty where it cannot be drawn, with a sentence that says why."""
        with suppress(OSError):
            try:
                return {chart_type(artifact.name) or "": read_chart(artifact.name, artifact.path.read_bytes())}
            except ChartError as error:
                self.notes.append(f"{artifact.name} is not shown: {error}")
        return {}


def _pictures_and_charts(answer: Answer, card: _Card) -> Iterator[Bundle]:
    said = descriptions(answer.text)
    charts = [artifact for artifact in answer.artifacts if chart_type(artifact.name)]
    pictures = [it for it in answer.artifacts if it.is_picture and it.name not in answer.repeated]
    for artifact in card.first("picture", pictures):
        with suppress(OSError):
            preview = excerpts.read_picture(artifact.path, artifact.media_type)
            words = said.get(artifact.href) or answer.prompt
            if preview and (shown := previews.picture(artifact, preview.content, preview.media_type, words)):
                drawn = [it for it in charts if stem(it.name) == stem(artifact.name)][:1]
                charts = [it for it in charts if it not in drawn]
                yield Bundle({**(card.chart(drawn[0]) if drawn else {}), **shown.data}, shown.metadata)
                yield previews.caption(artifact, "whole" if preview.whole else "smaller")
            else:
                yield previews.caption(artifact, "not")
    for artifact in card.first("chart", charts):
        if chart := card.chart(artifact):
            yield Bundle({**chart, "text/plain": artifact.name}, {KEY: {"output": "chart", "name": artifact.name}})


def _tables_and_texts(answer: Answer, card: _Card) -> Iterator[Bundle]:
    in_answer, seen = tables(answer.text), dict[str, str]()
    shown, texts = list[tuple["Artifact", "TableHead"]](), list["Artifact"]()
    for artifact in [it for it in answer.artifacts if not chart_type(it.name)]:
        head, reason = _head_of(artifact)
        if head is None:
            if artifact.media_type.startswith("text/") or artifact.media_type in MAYBE_TEXT:
                texts.append(artifact)
            if reason and artifact.is_table:
                card.notes.append(f"{artifact.name} is not shown as a table: it {reason}.")
            continue
        card.details[artifact.name] = previews.table_size(head)
        if (twin := seen.setdefault(artifact.sha256, artifact.name)) != artifact.name:
            card.details[artifact.name] += f", the same as {twin}"
        # A table that stands in the answer already is not shown once more.
        elif head.notes or not any(previews.is_head(table, head) for table in in_answer):
            shown.append((artifact, head))
    for artifact, head in card.first("table", shown):
        yield previews.table(artifact, head)
    for artifact in card.first("text file", texts):
        with suppress(OSError):
            if (beginning := excerpts.read_text_head(artifact.path)) is not None:
                yield previews.source(artifact, beginning.text, whole=beginning.whole)
