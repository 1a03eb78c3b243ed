"""What the user holds after a cell: the answer, its files, its code."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ipython_assistant.answer_outputs import Content, file_outputs, head_of, in_one, text_output
from ipython_assistant.core.wording import counted
from ipython_assistant.display.live import publish, running_shell
from ipython_assistant.workspace import tables

if TYPE_CHECKING:
    from ipython_assistant.core.artifacts import Artifact, FailedArtifact
    from ipython_assistant.core.turn import CodeCall, Turn
    from ipython_assistant.display.outputs import Bundle


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file of the answer, on disk.

    `size` is in bytes, `sha256` in hexadecimal; both are those of the moment it was saved. Two are equal if they have
    the same name and bytes, wherever they are.
    """

    name: str
    path: Path = field(compare=False)
    size: int
    sha256: str
    media_type: str

    def read_bytes(self) -> bytes:
        """The file's bytes as they are on disk now."""
        return self.path.read_bytes()

    def open(self) -> BinaryIO:
        """The file as it is on disk now, opened to read bytes."""
        return self.path.open("rb")

    def copy_to(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Copy the file, as it is on disk now, to a file or into a directory.

        Args:
            path: Where to; in a directory that exists, the copy keeps the file's name.
            overwrite: Whether a file that is there may be replaced. It stays whole until the copy is.

        Returns:
            The path of the copy.

        Raises:
            FileExistsError: There is a file, and `overwrite` was not given.
        """
        target = Path(path) / self.name if Path(path).is_dir() else Path(path)
        if overwrite and target.exists() and target.samefile(self.path):
            return target
        if not overwrite and os.path.lexists(target):
            raise FileExistsError(f"{target} is there already; overwrite=True replaces it.")
        with tempfile.TemporaryDirectory(prefix=".copy-", dir=target.parent) as staging:
            staged = Path(staging) / "copy"
            shutil.copyfile(self.path, staged)
            if not overwrite:
                # Somebody else may have taken the name meanwhile.
                target.open("xb").close()
            staged.replace(target)
        return target

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

    Two answers are equal if a recording could not tell them apart: the same question, the same turn, files of the same
    names and bytes. Where the files are, what the notes say of this run and which cell has shown it are left aside, so
    that an answer equals its replay. It can be pickled; its files are not in the pickle, only where they are.

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
    frames: Mapping[str, Any] = field(default_factory=dict)
    """The tables that were asked for by name, as DataFrames in the dtypes their columns had."""

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
        """The final outputs below the answer's text, in order, one MIME bundle each.

        The code, other items of the turn, the pictures, the tables, the beginnings of other texts, and the card that
        names every file; what is long stands below the card.
        """
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

    def _ipython_display_(self) -> None:
        """IPython's hook for a value that shows itself in several outputs."""
        if self.shown_in is None or self.shown_in != _execution_count():
            self.display()


def _execution_count() -> int | None:
    shell = running_shell()
    return shell.execution_count if shell is not None else None
