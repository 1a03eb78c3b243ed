"""Where recordings are kept: `.turns/` in the folder of the files, one readable JSON file a turn, and `bodies/`.

A body is the bytes of a file that a turn made, once, named by its hash. Everything is put in place whole. A recording
that cannot be read is named and left as it is: nothing is ever written over it. What reads or writes here raises
`OSError` where the disk refuses.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
import unicodedata
from dataclasses import replace
from typing import IO, TYPE_CHECKING, NamedTuple

from ipython_assistant.core.recording import Recording, read_recording, recording_text, sha256_of
from ipython_assistant.core.turn import Turn
from ipython_assistant.core.wording import disk_reason
from ipython_assistant.workspace.safe_dir import open_directory

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ipython_assistant.workspace.safe_dir import Fingerprint, SafeDirectory

TURNS = ".turns"
BODIES = "bodies"
YOUNG_S = 600.0
"""A body that was written so few seconds ago is not removed: its recording may be on its way."""
UNSETTLED_NS = 100_000_000
"""A file that was written so few nanoseconds ago may be written again without a trace in its time."""
README = """\
Each JSON file here is the recording of one turn: a question asked with %%assistant, and what came of it. The same
question in the same place is answered from it again: no key, no network, no cost. They are written by ipython_assistant
and may be read, committed, or deleted; without them it asks again.

What may hold data: "asked" (the question), "inputs" (their descriptions), "response" (the answer, the code and what it
printed), the names of files, and bodies/ (the files that the code made, by hash). Inputs are known by name, size and
hash alone; keys, cookies, the organisation and absolute paths are not recorded. manifest says which files are whose;
it is made again where it is missing.

`ipython-assistant recordings` lists them, with --check verifies them, with --prune removes what nothing needs.
"""
_BESIDE = {"README": README, ".gitignore": "*.tmp\nmanifest\n", ".gitattributes": "* -text\n"}
_NAME = re.compile(r"([a-z0-9-]+?)-([0-9a-f]{16})(?:-(\d{1,6}))?\.json")
_HASH = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.tmp")


class DamagedRecording(NamedTuple):
    """A file among the recordings that cannot be read as one, and the reason."""

    name: str
    reason: str


class RecordingStore:
    """The recordings of one folder, which is made with the first; below `within` no link is followed."""

    def __init__(self, path: Path, within: Path) -> None:
        self.path = path
        self._within = within
        self._summaries: dict[str, Recording | DamagedRecording] = {}
        self._hashes: dict[tuple[Path, str], tuple[Fingerprint, str]] = {}
        self._swept = False

    def open(self, below: str = "", *, make: bool = False) -> AbstractContextManager[SafeDirectory]:
        """Open the folder of the recordings, or `BODIES` below it."""
        return open_directory(self.path / below, self._within, make=make)

    @contextlib.contextmanager
    def open_to_write(self) -> Iterator[SafeDirectory]:
        """Open the folder of the recordings, made if need be, with what explains it."""
        with self.open(make=True) as turns:
            for name, text in _BESIDE.items():
                # Unless it is there, and was not left empty by a full disk.
                with contextlib.suppress(FileNotFoundError):
                    if turns.fingerprint(name).size:
                        continue
                turns.write(name, text.encode())
            # Once, what kernels that were killed left half written.
            for below in () if self._swept else ("", BODIES):
                with contextlib.suppress(OSError), self.open(below) as directory:
                    for name in filter(_TEMPORARY.fullmatch, directory.names()):
                        if time.time() - directory.fingerprint(name).written_ns / 1e9 > YOUNG_S:
                            directory.remove(name)
            self._swept = True
            yield turns

    # --- recordings ---------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The files of the recordings."""
        with contextlib.suppress(FileNotFoundError), self.open() as turns:
            return sorted(name for name in turns.names() if name.endswith(".json"))
        return []

    def read(self, name: str) -> Recording:
        """The whole recording in a file. Raises `OSError`, or `ValueError` with the reason."""
        with self.open() as turns, turns.open(name) as file:
            return read_recording(file.read().decode("utf-8", "replace"), _number_of(name))

    def summaries(self) -> tuple[list[tuple[str, Recording]], list[DamagedRecording]]:
        """Every recording but for its turn, by time, and the files that cannot be read as one. Each is read once."""
        self._summaries = {name: self._summary(name) for name in self.names()}
        found = [(name, it) for name, it in self._summaries.items() if isinstance(it, Recording)]
        damaged = [it for it in self._summaries.values() if isinstance(it, DamagedRecording)]
        return sorted(found, key=lambda pair: (pair[1].began, *pair[1].order)), damaged

    def with_key(self, key: str) -> list[str]:
        """The files whose recording may have this key, by their names; one with a name of its own is looked into."""

        def may_have_it(name: str) -> bool:
            match = _NAME.fullmatch(name)
            return key.startswith(match[2]) if match is not None else getattr(self._summary(name), "key", None) == key

        return list(filter(may_have_it, self.names()))

    def write(self, recording: Recording) -> str:
        """Keep a recording, in place of an earlier one of the same turn; gives its file's name."""
        key = recording.key or sha256_of([recording.notebook, recording.cell])
        stem, number, replaced = f"{slug(recording.prompt or recording.cell)}-{key[:16]}", 1, None
        for name in self.names():
            match = _NAME.fullmatch(name)
            if match is not None and match[2] == key[:16]:
                number = max(number, int(match[3] or 1) + 1)
                with contextlib.suppress(OSError, ValueError):
                    replaced = name if _turn_of(self.read(name)) == _turn_of(recording) else replaced
        content = recording_text(recording).encode()
        with self.open_to_write() as turns:
            while True:
                name = replaced or (f"{stem}.json" if number == 1 else f"{stem}-{number}.json")
                try:
                    turns.write(name, content, over=replaced is not None)
                except FileExistsError:
                    number += 1  # another kernel was faster
                else:
                    self._summaries[name] = replace(_without_its_turn(recording), number=_number_of(name))
                    return name

    def remove(self, name: str) -> int:
        """Remove a recording; gives its size in bytes."""
        with self.open() as turns:
            return turns.remove(name)

    def forget(self) -> None:
        """Read everything anew from now on."""
        self._summaries.clear()
        self._hashes.clear()

    def _summary(self, name: str) -> Recording | DamagedRecording:
        if name not in self._summaries:
            try:
                self._summaries[name] = _without_its_turn(self.read(name))
            except (OSError, ValueError) as error:
                self._summaries[name] = DamagedRecording(name, reason_of(error))
        return self._summaries[name]

    # --- bodies -------------------------------------------------------------------------------------------------------

    def keep_body(self, sha256: str, size: int, source: SafeDirectory, name: str) -> bool:
        """Keep the bytes of a file; says whether they are there now, in full."""
        with self.open(BODIES, make=True) as bodies:
            is_there = self.holds(bodies, sha256, size, sha256)
            # An old one is written anew: a kernel that prunes just now would take it for one that nothing needs.
            if is_there and time.time() - bodies.fingerprint(sha256).written_ns / 1e9 < YOUNG_S / 2:
                return True
            with source.open(name) as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return False  # the file has just been changed
                file.seek(0)
                bodies.write(sha256, file)
        return True

    def open_body(self, sha256: str) -> IO[bytes]:
        """Open the body of this hash. Raises `OSError`, or `ValueError` where it was changed since it was written."""
        with self.open(BODIES) as bodies:
            if self.hash_of(bodies, sha256) != sha256:
                raise ValueError("it was changed since it was written")
            return bodies.open(sha256)

    def remove_bodies(self, needed: Container[str]) -> list[int]:
        """Remove the bodies that are not needed, but for young ones; gives their sizes. Other names are not ours."""
        removed, oldest_ns = list[int](), (time.time() - YOUNG_S) * 1e9
        with contextlib.suppress(FileNotFoundError), self.open(BODIES) as bodies:
            for name in filter(_HASH.fullmatch, bodies.names()):
                there = bodies.fingerprint(name)
                if name not in needed and there.is_regular and there.written_ns < oldest_ns:
                    removed.append(bodies.remove(name))
        return removed

    def hash_of(self, directory: SafeDirectory, name: str) -> str:
        """The hash of a regular file, computed once as long as its fingerprint stays the same."""
        now, known = directory.fingerprint(name), self._hashes.get((directory.path, name))
        if known is not None and known[0] == now:
            return known[1]
        with directory.open(name) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time_ns() - now.written_ns > UNSETTLED_NS:
            self._hashes[directory.path, name] = now, sha256
        return sha256

    def holds(self, directory: SafeDirectory, name: str, size: int, sha256: str) -> bool:
        """Whether there is a regular file of this name with this content."""
        with contextlib.suppress(OSError):
            there = directory.fingerprint(name)
            return there.is_regular and there.size == size and self.hash_of(directory, name) == sha256
        return False


def slug(prompt: str) -> str:
    """The beginning of a recording's name: the first words of the question, in letters that every disk knows."""
    words = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", words)[:40].strip("-") or "turn"


def reason_of(error: OSError | ValueError) -> str:
    """Why a recording or a body cannot be used, to stand after a colon."""
    return disk_reason(error) if isinstance(error, OSError) else str(error)


def _number_of(name: str) -> int:
    """Which of its question's recordings this is; 0 for all of the format before, which their time orders."""
    match = _NAME.fullmatch(name)
    return int(match[3] or 1) if match is not None else 0


def _without_its_turn(recording: Recording) -> Recording:
    """The recording without what is only needed when it is replayed: a folder may hold many."""
    return replace(recording, turn=Turn(response_id=recording.turn.response_id))


def _turn_of(recording: Recording) -> tuple[str, str, str]:
    """Identifies a turn, whatever it was recorded with."""
    return recording.cell, recording.began, recording.turn.response_id
