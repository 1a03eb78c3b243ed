"""Where files go: beside the notebook, under the model's own names, never over anything that is not ours.

The recordings in the folder say which files this package wrote, and for which cells. A cell's own file is one that was
written for it, or for an earlier recording of the same question, and that no other cell's present turn refers to. It is
replaced if it is unchanged since. Everything else stays as it is, and the new file is `name-2.csv`. A file that another
kernel wrote since this one began is not ours, and a new name goes to the first who asks for it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import sys
import threading
import time
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ipython_assistant.core.artifacts import Artifact, FailedArtifact, Found, MadeFile
from ipython_assistant.core.naming import media_type, numbered, safe_name
from ipython_assistant.core.recording import TOOK_PLACE
from ipython_assistant.core.wording import disk_reason
from ipython_assistant.errors import ConfigError
from ipython_assistant.workspace.local_secrets import LocalSecrets
from ipython_assistant.workspace.recording_store import BODIES, TURNS, RecordingStore
from ipython_assistant.workspace.safe_dir import fingerprint, place_file, real_directory

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from ipython_assistant.core.recording import RecordedFile, Recording

LEFT_OVER_AFTER_S = 24 * 3600.0  # a staging directory so old was left by a kernel that has ended
_STAGING = re.compile(r"\.staging-[0-9a-f]{12}")
_IN_USE = {errno.EACCES, errno.EPERM, errno.EBUSY, errno.ETXTBSY}


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


class ManifestEntry(NamedTuple):
    """A file that this package wrote: what it held then, and the cells that it was written for.

    Each cell has the key of its question; None instead, where its present turn does not refer to the file any more.
    """

    sha256: str
    cells: dict[str, str | None]

    @property
    def is_left_over(self) -> bool:
        """Whether no cell's present turn refers to the file."""
        return all(key is None for key in self.cells.values())


Manifest = dict[str, ManifestEntry]  # the files that this package wrote, by name


class _TurnInCell(NamedTuple):
    """The last known turn of a cell, and its files: name → SHA-256."""

    cell: str
    key: str
    status: str
    files: Mapping[str, str]


class Folder:
    """The folder `save_dir`, where one notebook's files are saved, and what this kernel has put there.

    It is made when the first file comes. No link below `notebook_dir` is followed on the way, since it may have come
    with the notebook. `environ` has the notebook's name, and secrets, which must not get into a recording.
    """

    def __init__(self, notebook_dir: Path, save_dir: Path, *, environ: Mapping[str, str] = os.environ) -> None:
        self.path = save_dir
        self.notebook_dir = notebook_dir
        # A server puts the notebook's path there. It is stale once the notebook is renamed, until the kernel restarts.
        name = environ.get("JPY_SESSION_NAME", "").replace("\\", "/").rpartition("/")[2]
        self.notebook = name if name.endswith(".ipynb") else ""
        self.secrets = LocalSecrets(notebook_dir, environ)
        self._within = _boundary(save_dir, notebook_dir)
        self.store = RecordingStore(save_dir / TURNS, self._within)
        # Without its notebook's name only this kernel knows a cell: a copied notebook has the ids of its original.
        self._cells_of = self.notebook or secrets.token_hex(6)
        self._settled: list[_TurnInCell] = []
        self._recorded_before: frozenset[str] = frozenset()
        with contextlib.suppress(OSError):
            self._recorded_before = frozenset(self.store.names())
        self._saved: dict[str, str] = {}  # the name of each file saved, and its turn
        self._swept = False
        self._one_at_a_time = threading.RLock()  # several questions may be asked at once

    @cached_property
    def _mine(self) -> dict[str, str]:
        """The files that this kernel wrote, or that were there when it began; by name what they held."""
        return {name: entry.sha256 for name, entry in self._recorded(self._recorded_before).items()}

    def directory(self, *, make: bool = False) -> Path:
        """The folder, which has to be there unless it is made. Raises `OSError`, also where it is a link."""
        return real_directory(self.path, self._within, make=make)

    def href(self, name: str) -> str:
        """Where the file of this name is, relative to the notebook's directory, with forward slashes."""
        path = self.path / name
        with contextlib.suppress(ValueError):  # on another drive of a Windows machine
            path = Path(os.path.relpath(path, self.notebook_dir))
        return path.as_posix()

    def artifact(self, name: str, file: Incoming | RecordedFile, note: str = "") -> Artifact:
        """A file that is here under this name."""
        path, href, kind = self.path / name, self.href(name), media_type(name)
        where = file.container_id, file.file_id, file.found
        return Artifact(name, file.own_name, path, href, file.size, file.sha256, kind, *where, note)

    def stage(self) -> Path:
        """Make a hidden directory beside the final names: renamed from there a file is whole. Raises `OSError`."""
        try:
            staging = self.directory(make=True) / f".staging-{secrets.token_hex(6)}"
            staging.mkdir()
        except OSError as error:
            raise OSError(error.errno, disk_reason(error)) from error
        # Once, those of kernels that are no more; this turn's files do not depend on it.
        for old in [] if self._swept else list(self.path.iterdir()):
            with contextlib.suppress(OSError, RecursionError):
                if _STAGING.fullmatch(old.name) and time.time() - old.lstat().st_mtime > LEFT_OVER_AFTER_S:
                    shutil.rmtree(old)
        self._swept = True
        return staging

    def unstage(self, staging: Path) -> None:
        """Remove a staging directory and what was left in it."""
        with contextlib.suppress(OSError, RecursionError):
            shutil.rmtree(self.directory() / staging.name)

    def save(
        self, incoming: Incoming, cell: str, *, turn: str, key: str = "", only_new: bool = False
    ) -> Artifact | FailedArtifact:
        """Give a staged file its name, for a `cell` in its `turn`; `key` is the question's. See the module's top.

        With `only_new` it fails where something has the name.
        """
        try:
            with self._one_at_a_time:
                self.directory()
                cell = _cell_in_manifest(self._cells_of, cell, key)
                name, note = self._place(incoming, cell, key, turn, only_new=only_new)
                self._saved[name] = turn
        except OSError as error:
            reason = f"It could not be saved: {disk_reason(error)}."
            return FailedArtifact(incoming.own_name, reason, incoming.container_id, incoming.file_id)
        return self.artifact(name, incoming, note)

    def take_back(self, artifact: Artifact, *, turn: str) -> None:
        """Remove a file that this turn saved under a new name, unless it was changed since, or another turn has it."""
        with self._one_at_a_time, contextlib.suppress(OSError):
            path = self.directory() / artifact.name
            if self._saved.get(artifact.name) == turn and self.store.hash_of(path) == artifact.sha256:
                path.unlink()
                del self._saved[artifact.name], self._mine[artifact.name]

    def settle(self, cell: str, key: str, status: str, files: Mapping[str, str]) -> None:
        """Note that a cell now refers to these files (name → hash) only; a cut-off turn adds to its earlier ones."""
        with self._one_at_a_time:
            self._settled.append(_TurnInCell(cell, key, status, dict(files)))

    def wrote(self, name: str, sha256: str) -> bool:
        """Whether this package wrote the file that has this name and held this."""
        return self._mine.get(name) == sha256

    def manifest(self) -> Manifest:
        """Whose files are whose: by the recordings, then by the turns of this kernel."""
        manifest = self._recorded()
        for turn in self._settled:
            _refer(manifest, self._cells_of, turn, self._mine)
        return manifest

    def _recorded(self, names: Container[str] | None = None) -> Manifest:
        """Whose files are whose by these recordings, or by all."""
        manifest: Manifest = {}
        own = {(turn.cell, turn.key) for turn in self._settled}
        with contextlib.suppress(OSError):
            for name, one in sorted(self.store.summaries()[0], key=lambda pair: pair[1].ended):
                if names is None or name in names:
                    notebook = one.notebook or (self._cells_of if (one.cell, one.key) in own else "")
                    files = {file.name: file.sha256 for file in one.files if file.ours}
                    _refer(manifest, notebook, _TurnInCell(one.cell, one.key, one.status, files), files)
        return manifest

    def _place(self, incoming: Incoming, cell: str, key: str, turn: str, *, only_new: bool) -> tuple[str, str]:
        """Put a file in place; gives the name it got, and a note on that name."""
        names, notes = numbered(safe_name(incoming.own_name)), []
        # An empty entry of the path that `import` looks into is the working directory.
        is_module = incoming.own_name.lower().endswith(tuple(all_suffixes()))
        if is_module and self.path.resolve() in {Path(entry).resolve() for entry in sys.path}:
            notes.append(f"{next(names)} would be what an import finds in this folder")
        for name in names:
            try:
                place_file(incoming.staged, self.path / name, over=False)
                self._mine[name], done = incoming.sha256, True
            except FileExistsError:
                if only_new:
                    raise
                done = self._same_or_replaced(name, incoming, self._own_hash(name, cell, key, turn), notes)
            if done:
                return name, "".join(f"{note}, so the new file is {name}." for note in notes[:1])
        raise AssertionError("unreachable: there is always another number")  # pragma: no cover

    def _same_or_replaced(self, name: str, incoming: Incoming, own: str | None, notes: list[str]) -> bool:
        """Whether a file that has the name holds the new bytes now: it did already, or it had the hash `own`."""
        path = self.path / name
        try:
            before = fingerprint(path)
            sha256 = self.store.hash_of(path) if own is not None or before.size == incoming.size else ""
            if sha256 == incoming.sha256:
                return True
            if sha256 != own or fingerprint(path) != before:
                return False
            place_file(incoming.staged, path, over=True)
            self._mine[name] = incoming.sha256
        except (FileNotFoundError, IsADirectoryError):
            return False  # it was removed just now, or is no file
        except OSError as error:
            if error.errno not in _IN_USE:
                raise
            notes.append(f"{name} could not be replaced ({disk_reason(error)}; another program may have it open)")
            return False
        return True

    def _own_hash(self, name: str, cell: str, key: str, turn: str) -> str | None:
        """The hash of a file that is the cell's own and may be replaced; None for any other."""
        entry = self.manifest().get(name)
        if entry is None or self._saved.get(name) == turn or self._mine.get(name) != entry.sha256:
            return None
        mine = {its for its, asked in entry.cells.items() if its == cell or asked == key != ""}
        shown = {its for its, asked in entry.cells.items() if asked is not None}
        return entry.sha256 if mine and shown <= mine else None


def _cell_in_manifest(notebook: str, cell: str, key: str) -> str:
    """The name of a cell in the manifest. Without an id of the cell each run is a turn of its own, known by its key."""
    return f"#{key}" if cell.startswith("run ") and key else f"{notebook}#{cell}"


def _refer(manifest: Manifest, notebook: str, turn: _TurnInCell, wrote: Mapping[str, str]) -> None:
    """Let a cell refer to the files of its turn, and to no others if that took place; `wrote` are files of ours."""
    cell = _cell_in_manifest(notebook, turn.cell, turn.key)
    for name, entry in manifest.items():
        if turn.status in TOOK_PLACE and turn.files.get(name) != entry.sha256 and cell in entry.cells:
            entry.cells[cell] = None
    for name, sha256 in turn.files.items():
        if (known := manifest.get(name)) is not None and known.sha256 == sha256:
            known.cells[cell] = turn.key
        elif wrote.get(name) == sha256:
            manifest[name] = ManifestEntry(sha256, {cell: turn.key})


def check_folder(save_dir: Path, notebook_dir: Path) -> None:
    """Check that files can go there before anything is asked. Raises `ConfigError`."""
    try:
        for path in (save_dir, save_dir / TURNS, save_dir / TURNS / BODIES):
            with contextlib.suppress(FileNotFoundError):
                real_directory(path, _boundary(save_dir, notebook_dir))
    except OSError as error:
        if error.errno == errno.ELOOP:
            said = f"{error.filename} is a link, and links that may have come with a notebook are not followed."
            raise ConfigError(said, "Remove it, or name the real folder with --dir PATH.") from None
        reason = disk_reason(error)
        raise ConfigError(f"No files can be saved in {save_dir}: {reason}.", "Name another: --dir PATH") from error


def made_files(folder: Folder) -> list[MadeFile]:
    """The files that this package wrote here: those that cells refer to, then those left over. Raises `OSError`."""
    latest: dict[tuple[str, str], tuple[Recording | None, int]] = {}
    for _, one in folder.store.summaries()[0]:
        latest |= {(file.name, file.sha256): (one, file.size) for file in one.files}
    found = []
    for name, entry in folder.manifest().items():
        state = _state(folder, name, entry.sha256)
        recording, size = latest.get((name, entry.sha256), (None, 0))
        if state == "present" or not entry.is_left_over:
            href = folder.href(name)
            found.append(MadeFile(name, href, entry.sha256, state, entry.is_left_over, recording, size))
    return sorted(found, key=lambda made: (made.left_over, made.recording.ended if made.recording else "", made.name))


def remove_left_over(folder: Folder, made: MadeFile) -> str:
    """Remove a left-over file if it is still what it was; gives the reason why not, or nothing."""
    if not made.left_over or _state(folder, made.name, made.sha256) == "changed":
        return "it was changed in the meantime"
    try:
        (folder.directory() / made.name).unlink(missing_ok=True)
    except OSError as error:
        return disk_reason(error)
    return ""


def _state(folder: Folder, name: str, sha256: str) -> Literal["present", "changed", "gone"]:
    try:
        return "present" if folder.store.hash_of(folder.directory() / name) == sha256 else "changed"
    except FileNotFoundError:
        return "gone"
    except OSError:
        return "changed"


def _boundary(save_dir: Path, notebook_dir: Path) -> Path:
    """The directory below which no link is followed: a folder elsewhere is one that the user named."""
    below = save_dir.relative_to(notebook_dir).parts if save_dir.is_relative_to(notebook_dir) else ("..",)
    return save_dir if ".." in below else notebook_dir
