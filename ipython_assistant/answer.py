"""What the user holds after a cell: the answer, its files, its code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.links import hrefs
from ipython_assistant.display import bundles
from ipython_assistant.display.live import publish
from ipython_assistant.workspace import pictures, tables
from ipython_assistant.workspace.texts import read_text_head

if TYPE_CHECKING:
    from pathlib import Path

    from ipython_assistant.core.artifacts import Artifact, FailedArtifact, TableHead
    from ipython_assistant.core.turn import CodeCall, Turn
    from ipython_assistant.display.bundles import Bundle


MOST_TEXTS = 10
"""Of so many text files the beginning is shown."""
UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file of the answer, on disk.

    `size` is in bytes, `sha256` in hexadecimal; both are those of the moment it was saved.
    """

    name: str
    path: Path
    size: int
    sha256: str
    media_type: str

    def read_bytes(self) -> bytes:
        """The file's bytes as they are on disk now."""
        return self.path.read_bytes()

    def to_frame(self) -> Any:
        """The table in the file as a pandas DataFrame. Raises `ValueError` where it is not a table."""
        return tables.read_frame(self.path, self.media_type)


class Files(Mapping[str, SavedFile]):
    """The files of an answer by their saved names; the model's own name finds one too where only one has it."""

    def __init__(self, artifacts: tuple[Artifact, ...]) -> None:
        self._by_name = {
            artifact.name: SavedFile(artifact.name, artifact.path, artifact.size, artifact.sha256, artifact.media_type)
            for artifact in artifacts
        }
        self._own_names = [(artifact.own_name, artifact.name) for artifact in artifacts]

    def __getitem__(self, name: str) -> SavedFile:
        if name in self._by_name:
            return self._by_name[name]
        meant = {saved for own, saved in self._own_names if own == name}
        if len(meant) != 1:
            raise KeyError(name)
        return self._by_name[meant.pop()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"Files({', '.join(self._by_name)})"


@dataclass(frozen=True, slots=True)
class Answer:
    """The value of a `%%assistant` cell.

    Attributes:
        text: The answer as Markdown, its links pointing at the saved files.
        turn: The turn as it came.
        artifacts: The files on disk.
        failed: The files that are not, with the reason.
        notes: What the reader should know beside the answer, in plain sentences.
        repeated: Names of saved figures that show the same as a saved picture; they are linked but not shown again.
        interrupted: Whether Ctrl-C ended it.
    """

    text: str
    turn: Turn
    artifacts: tuple[Artifact, ...] = ()
    failed: tuple[FailedArtifact, ...] = ()
    notes: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()
    interrupted: bool = False
    shown_in: int | None = None
    """The execution count of the cell that has shown it, so that the cell's value does not show it twice."""
    prompt: str = ""
    """What was asked; its first words describe the pictures."""

    @property
    def files(self) -> Files:
        """The saved files by name."""
        return Files(self.artifacts)

    @property
    def figures(self) -> tuple[SavedFile, ...]:
        """The saved pictures."""
        files = self.files
        return tuple(files[artifact.name] for artifact in self.artifacts if artifact.is_picture)

    @property
    def tables(self) -> tuple[SavedFile, ...]:
        """The saved tables: CSV and TSV by their type, other formats where they can be read as one."""
        files = self.files
        return tuple(files[artifact.name] for artifact in self.artifacts if artifact.is_table or _head(artifact, 0))

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

    def outputs(self) -> Iterator[Bundle]:
        """The final outputs below the answer's text, in order, one MIME bundle each.

        The code, the pictures, the tables, the beginnings of other texts, and the card that names every file.
        """
        if self.calls:
            yield bundles.work(self.calls)
        for artifact in self.artifacts:
            if artifact.is_picture and artifact.name not in self.repeated:
                yield from _picture(artifact, self.prompt)
        heads = {artifact.name: _head(artifact) for artifact in self.artifacts}
        for artifact in self.artifacts:
            if (head := heads[artifact.name]) is not None:
                yield bundles.table(artifact, head)
        texts = [artifact for artifact in self.artifacts if heads[artifact.name] is None and _may_be_text(artifact)]
        for artifact in texts[:MOST_TEXTS]:
            yield from _source(artifact)
        if self.artifacts or self.failed or self.notes:
            more = len(texts) - MOST_TEXTS
            left_out = (f"{more} more text file{'s are' if more > 1 else ' is'} not shown above.",) if more > 0 else ()
            yield bundles.card(self.artifacts, self.failed, (*self.notes, *left_out))

    def text_output(self) -> Bundle:
        """The answer's text as a MIME bundle."""
        return bundles.answer(self.text, hrefs(self.artifacts))

    def display(self) -> None:
        """Show it all, here."""
        for bundle in (self.text_output(), *self.outputs()):
            publish(bundle)

    def __repr__(self) -> str:
        return f"Answer({self.status}, {len(self.artifacts)} files)"

    def _ipython_display_(self) -> None:
        """IPython's hook for a value that shows itself in several outputs."""
        if self.shown_in is None or self.shown_in != _execution_count():
            self.display()


# In each of these a file that was moved or deleted since is passed over: the card still names it.


def _picture(artifact: Artifact, prompt: str) -> Iterator[Bundle]:
    try:
        preview = pictures.read_picture(artifact.path, artifact.media_type)
    except OSError:
        return
    if preview is None:
        return
    bundle = bundles.picture(artifact, preview.content, preview.media_type, prompt)
    if bundle is not None:
        yield bundle
        if not preview.whole:
            yield bundles.full_picture(artifact)


def _head(artifact: Artifact, rows: int = 10) -> TableHead | None:
    try:
        return tables.read_head(artifact.path, artifact.media_type, rows)
    except OSError:
        return None


def _may_be_text(artifact: Artifact) -> bool:
    return artifact.media_type.startswith("text/") or artifact.media_type in {"application/json", UNKNOWN_TYPE}


def _source(artifact: Artifact) -> Iterator[Bundle]:
    try:
        head = read_text_head(artifact.path)
    except OSError:
        return
    if head is not None:
        yield bundles.source(artifact, head.text, whole=head.whole)


def _execution_count() -> int | None:
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell.execution_count if shell is not None else None
