"""The recordings of a folder: kept when a turn has ended, found when its question is asked again, looked after.

Nothing is replayed that is not what was recorded: a recording holds its own digest, and a body is named by its hash.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING

from ipython_assistant.core.artifacts import Artifact, FailedArtifact, TurnFiles
from ipython_assistant.core.wording import disk_reason
from ipython_assistant.errors import RecordingDamaged
from ipython_assistant.workspace.folder import Incoming
from ipython_assistant.workspace.recording_store import BODIES, TURNS, reason_of

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from pathlib import Path

    from ipython_assistant.core.recording import RecordedFile, Recording
    from ipython_assistant.workspace.folder import Folder

MAX_RECORDED_BYTES = 10_000_000  # a larger file is known by its hash alone, and found among the saved files


class Recordings:
    """The recordings of one folder, in its `.turns`, for one kernel. Larger files are recorded by their hash alone."""

    def __init__(self, folder: Folder, max_bytes: int = MAX_RECORDED_BYTES) -> None:
        self.folder = folder
        self.store = folder.store
        self._max_bytes = max_bytes
        self._keeps = threading.Lock()  # several questions may be asked at once, and only one is the first

    @property
    def where(self) -> str:
        """The folder of the recordings, relative to the notebook's directory."""
        return self.folder.href(TURNS)

    def all(self) -> list[Recording]:
        """Everything that can be replayed, by time, without the turns. Raises `OSError`."""
        return [recording for _, recording in self.store.summaries()[0] if recording.is_replayed(with_missing=True)]

    def services(self) -> frozenset[str]:
        """The services whose answers are recorded here; empty where the recordings cannot be read."""
        with contextlib.suppress(OSError):
            return frozenset(recording.service for recording in self.all())
        return frozenset()

    def keep(self, recording: Recording) -> tuple[str, ...]:
        """Keep a turn, and its files if it came to its end; gives notes for the reader, which a replay says too."""
        notes: list[str] = []
        with self._keeps:
            self.settle(recording)
            files = [replace(file, ours=self.folder.wrote(file.name, file.sha256)) for file in recording.files]
            try:
                if recording.is_replayed(with_missing=True):
                    if not self.all():
                        said = "Answers are recorded from now on, in"
                        notes.append(f"{said} {self.where}; its README says what that holds.")
                    for place, it in enumerate(files):
                        if it.size <= self._max_bytes:
                            kept = self.store.keep_body(it.sha256, it.size, self.folder.directory() / it.name)
                            files[place] = replace(it, kept=kept)
                    if large := ", ".join(file.name for file in files if file.size > self._max_bytes):
                        limit = f"{self._max_bytes / 1e6:g} MB"
                        notes.append(f"Over {limit}, so not in the recording: {large}. A replay needs the saved file.")
                noted = replace(recording, files=tuple(files), notes=(*recording.notes, *notes))
                whole = replace(noted, notebook=self.folder.notebook)
                self.store.write(whole.redacted(self.folder.secrets.redactor()))
            except OSError as error:
                return (f"This answer could not be recorded: {disk_reason(error)}.",)
        return tuple(notes)

    def settle(self, recording: Recording, cell: str = "") -> None:
        """Let the cell of a turn refer to the turn's files."""
        files = {file.name: file.sha256 for file in recording.files}
        self.folder.settle(cell or recording.cell, recording.key, recording.status, files)

    def find(self, key: str, services: Container[str] | None = None, *, with_missing: bool = False) -> Recording | None:
        """The best recording of a key, of `services` if given. Raises `RecordingDamaged` if only damaged ones exist."""
        found: list[Recording] = []
        damaged: RecordingDamaged | None = None
        try:
            names = self.store.with_key(key)
        except OSError as error:
            raise self._damaged(TURNS, error) from error
        for name in names:
            try:
                recording = self.store.read(name)
            except (OSError, ValueError) as error:
                damaged = damaged or self._damaged(f"{TURNS}/{name}", error)
                continue
            if recording.key == key and (services is None or recording.service in services):
                found += [recording] if recording.is_replayed(with_missing=with_missing) else []
        if damaged is not None and not found:
            raise damaged
        return max(found, key=lambda one: one.rank, default=None)

    def _damaged(self, name: str, error: OSError | ValueError) -> RecordingDamaged:
        return RecordingDamaged(
            f"The recording in {self.folder.href(name)} is not replayed: {reason_of(error)}.",
            "Bring it back (from version control, for one), or ask anew: %%assistant --fresh.",
        )

    def restore(self, recording: Recording, cell: str) -> TurnFiles:
        """Put the files of a recording back, over no others. Raises `RecordingDamaged` before it puts any."""
        saved = self._saved(recording.files)
        absent = [file for file in recording.files if file not in saved]
        for file in absent:  # before anything is put anywhere
            try:
                if file.kept:
                    self.store.open_body(file.sha256).close()
            except (OSError, ValueError) as error:
                raise self._damaged(f"{TURNS}/{BODIES}/{file.sha256}", error) from error
        outcomes = [
            self._put_back(file, recording, cell) if file in absent else self.folder.artifact(file.name, file)
            for file in recording.files
        ]
        back = [(file, it) for file, it in zip(recording.files, outcomes, strict=True) if isinstance(it, Artifact)]
        if absent:
            self.settle(replace(recording, files=tuple(replace(file, name=it.name) for file, it in back)), cell)
        others = [(file.name, artifact.name) for file, artifact in back if artifact.name != file.name]
        moved = (f"{name} is another file by now, so the recorded one is saved as {new}." for name, new in others)
        return TurnFiles(
            tuple(artifact for _, artifact in back),
            (*recording.missing, *(it for it in outcomes if isinstance(it, FailedArtifact))),
            tuple(moved),
            frozenset(artifact.name for file, artifact in back if file.repeated),
        )

    def path_of(self, file: RecordedFile) -> Path | None:
        """Where the bytes of a file are, as they were recorded: saved, or kept beside the recordings; None if gone."""
        body = self.store.path / BODIES / file.sha256
        if self._saved([file]):
            return self.folder.path / file.name
        return body if self.store.holds(body, file.size, file.sha256) else None

    def _saved(self, files: Sequence[RecordedFile]) -> list[RecordedFile]:
        """Those of the files that are in the folder as they were recorded."""
        with contextlib.suppress(OSError), ThreadPoolExecutor(4) as pool:
            folder = self.folder.directory()
            paths = [folder / it.name for it in files]
            each = map if all(map(self.store.knows, paths)) else pool.map  # a hash leaves the interpreter to others
            held = each(self.store.holds, paths, (it.size for it in files), (it.sha256 for it in files))
            return list(compress(files, held))
        return []

    def _put_back(self, file: RecordedFile, recording: Recording, cell: str) -> Artifact | FailedArtifact:
        """Put a file in its place again, by its body."""
        where = file.container_id, file.file_id
        if not file.kept:
            reason = "It was too large to be recorded, and is no longer among the saved files."
            return FailedArtifact(file.own_name, reason, *where)
        try:
            staging = self.folder.stage()
            try:
                staged = staging / "body.part"
                with self.store.open_body(file.sha256) as body, staged.open("wb") as copy:
                    shutil.copyfileobj(body, copy, 1 << 20)
                incoming = Incoming(file.name, staged, file.size, file.sha256, file.found, *where)
                saved = self.folder.save(incoming, cell, turn=f"recording {recording.ended}", key=recording.key)
            finally:
                self.folder.unstage(staging)
        except (OSError, ValueError) as error:
            return FailedArtifact(file.own_name, f"It could not be saved: {reason_of(error)}.", *where)
        if isinstance(saved, FailedArtifact):
            return replace(saved, name=file.own_name)
        return replace(saved, own_name=file.own_name, note="")
