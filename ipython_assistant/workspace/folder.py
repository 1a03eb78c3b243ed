"""Where files go: beside the notebook, under the model's own names, never over anything that is not ours."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ipython_assistant.core.artifacts import Artifact, FailedArtifact, Found
from ipython_assistant.core.naming import media_type, numbered, safe_name

if TYPE_CHECKING:
    from collections.abc import Container

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file in the staging directory that is to get its own name."""

    own_name: str
    staged: Path
    size: int
    sha256: str
    found: Found
    container_id: str = ""
    file_id: str = ""


class Folder:
    """The folder where one notebook's files are saved, and what this kernel has put there.

    Args:
        notebook_dir: What links are relative to.
        save_dir: The folder itself, absolute; made when the first file comes.
    """

    def __init__(self, notebook_dir: Path, save_dir: Path) -> None:
        self._notebook_dir = notebook_dir
        self._save_dir = save_dir
        self._written: dict[str, tuple[str, str]] = {}
        """Name → (the cell that wrote it, the hash of what it wrote)."""

    def stage(self) -> Path:
        """A new hidden directory beside the final names, so that a rename puts a file in place whole or not at all.

        Raises:
            OSError: The folder cannot be made or written to.
        """
        self._save_dir.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".staging-", dir=self._save_dir))

    def unstage(self, staging: Path) -> None:
        """Remove a staging directory and what was left in it."""
        shutil.rmtree(staging, ignore_errors=True)

    def save(self, incoming: Incoming, cell: str, in_use: Container[str] = ()) -> Artifact | FailedArtifact:
        """Give a staged file its name.

        The same name with the same bytes is one file. A file that this cell wrote, that is unchanged since and that no
        other cell shows (`in_use`, saved names) is replaced. Anything else in the way stays, and the new file is
        `name-2.csv`.
        """
        try:
            return self._save(incoming, cell, in_use)
        except OSError as error:
            reason = f"It could not be saved: {error.strerror or type(error).__name__}."
            return FailedArtifact(incoming.own_name, reason, incoming.container_id, incoming.file_id)

    def _save(self, incoming: Incoming, cell: str, in_use: Container[str]) -> Artifact:
        taken = {_folded(name): name for name in os.listdir(self._save_dir)}  # noqa: PTH208 names are enough
        for name in numbered(safe_name(incoming.own_name)):
            there = taken.get(_folded(name))
            if there is None:
                incoming.staged.replace(self._save_dir / name)
                break
            path = self._save_dir / there
            if path.is_symlink() or not path.is_file():
                continue
            sha256 = _sha256(path)
            if sha256 == incoming.sha256:
                name = there  # noqa: PLW2901 the file that is there is the file that came
                break
            if self._written.get(there) == (cell, sha256) and there not in in_use:
                incoming.staged.replace(path)
                name = there  # noqa: PLW2901 a case-insensitive disk keeps the name it has
                break
        self._written[name] = (cell, incoming.sha256)
        return self._artifact(name, incoming)

    def _artifact(self, name: str, incoming: Incoming) -> Artifact:
        path = self._save_dir / name
        return Artifact(
            name=name,
            own_name=incoming.own_name,
            path=path,
            href=Path(os.path.relpath(path, self._notebook_dir)).as_posix(),
            size=incoming.size,
            sha256=incoming.sha256,
            media_type=media_type(name),
            container_id=incoming.container_id,
            file_id=incoming.file_id,
            found=incoming.found,
        )


def _folded(name: str) -> str:
    """Names that some disk takes for the same are the same here."""
    return unicodedata.normalize("NFC", name).casefold()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
