"""What the user holds after a cell: the answer, its files, its code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from ipython_assistant.answer_outputs import Content, file_outputs, for_marimo, head_of, in_one, text_output
from ipython_assistant.core.wording import counted
from ipython_assistant.display.live import publish, running_shell
from ipython_assistant.workspace import tables

if TYPE_CHECKING:
    from pathlib import Path

    from ipython_assistant.core.artifacts import Artifact, FailedArtifact
    from ipython_assistant.core.turn import CodeCall, Turn
    from ipython_assistant.display.outputs import Bundle


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file of the answer, on disk; its size (bytes) and SHA-256 are those of the moment it was saved.

    Two are equal if they have the same name and bytes. `shutil.copy(file.path, ...)` copies one.
    """

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
        return tables.read_frame(self.path, self.media_type)


class Files(Mapping[str, SavedFile]):
    """The files of an answer by their saved names; the model's own name finds a file too if only one has it."""

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
            names = ", ".join(self._by_name) or "none"
            raise KeyError(f"{name}. The answer's files: {names}")
        return self._by_name[meant.pop()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"Files({', '.join(self._by_name)})"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The value of a `%%assistant` cell.

    An answer equals its replay: the same question, the same turn, files of the same names and bytes. It can be pickled;
    the pickle holds where its files are, not the files.

    Attributes:
        text: The answer as Markdown, its links pointing at the saved files.
        turn: The turn as it came; its pictures are replaced by their digests once they are on disk.
        failed: The files that could not be saved, with the reason.
        notes: What the reader should know besides, as sentences.
        repeated: Names of saved figures that show what a saved picture shows; they are linked but not shown again.
        shown_in: The execution count of the cell that has shown it, so that the cell's value does not show it twice.
        frames: The tables asked for with `-o`, as DataFrames with the dtypes their columns had.
    """

    text: str
    turn: Turn
    artifacts: tuple[Artifact, ...] = ()
    failed: tuple[FailedArtifact, ...] = ()
    notes: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()
    interrupted: bool = False
    shown_in: int | None = None
    prompt: str = ""
    frames: Mapping[str, Any] = field(default_factory=dict)

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
        return tuple(
            files[artifact.name] for artifact in self.artifacts if artifact.is_table or head_of(artifact, 0)[0]
        )

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
        """The final outputs below the answer's text, in order, one MIME bundle each."""
        above, below = self.output_parts()
        return chain(above, below)

    def output_parts(self) -> tuple[list[Bundle], list[Bundle]]:
        """The outputs up to the card, and those below it: in a live notebook the buttons stand between them."""
        return file_outputs(self._content)

    @property
    def _content(self) -> Content:
        return Content(self.text, self.turn, self.artifacts, self.failed, self.notes, self.repeated, self.prompt)

    def text_output(self) -> Bundle:
        """The answer's text as a MIME bundle."""
        return text_output(self._content)

    def display(self) -> None:
        """Show it all, here."""
        for bundle in (self.text_output(), *self.outputs()):
            publish(bundle)

    def __eq__(self, other: object) -> bool:
        return self._recorded() == other._recorded() if isinstance(other, Answer) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.prompt, self.response_id))

    def _recorded(self) -> tuple[object, ...]:
        failed = tuple(file.name for file in self.failed)
        return self.prompt, self.turn, self.interrupted, tuple(self.files.values()), failed

    def __repr__(self) -> str:
        files = len(self.artifacts)
        return f"Answer({self.status}, {counted(files, 'file')})"

    def _repr_mimebundle_(self, **_choice: object) -> tuple[dict[str, Any], dict[str, Any]]:
        """Everything in one output, for front ends that do not know `_ipython_display_`.

        A picture is an output of its own or none, so here it is a link in the list of files. The hooks:
        https://ipython.readthedocs.io/en/stable/config/integrating.html#rich-display
        """
        return in_one(self._content)

    def _repr_html_(self) -> str:
        """As `_repr_mimebundle_`, for front ends that know HTML alone."""
        return str(self._repr_mimebundle_()[0]["text/html"])

    def _display_(self) -> Any:
        """Marimo's hook for a value that shows itself."""
        return for_marimo(self._content)

    def _ipython_display_(self) -> None:
        """IPython's hook for a value that shows itself in several outputs."""
        if self.shown_in is None or self.shown_in != _execution_count():
            self.display()


def _execution_count() -> int | None:
    shell = running_shell()
    return shell.execution_count if shell is not None else None
