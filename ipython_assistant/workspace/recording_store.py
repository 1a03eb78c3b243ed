"""Where recordings are kept: `.turns/` in the folder of the files, one readable JSON file a turn, and `bodies/`.

A body is the bytes of a file that a turn made, once, named by its hash. Everything is put in place whole. A recording
that cannot be read is named and left as it is: nothing is ever written over it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
import unicodedata
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

from ipython_assistant.core.recording import Recording, from_json, sha256_of, to_json
from ipython_assistant.core.turn import Turn
from ipython_assistant.core.wording import disk_reason
from ipython_assistant.workspace.safe_dir import open_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ipython_assistant.workspace.safe_dir import Fingerprint, SafeDirectory

TURNS = ".turns"
BODIES = "bodies"
YOUNG_S = 600.0
"""What was written so few seconds ago is not removed: its recording may be on its way."""
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
_NAME_BEFORE = re.compile(r"([a-z0-9-]+)-[0-9a-f]{12}(?:-\d+)?\.json")
_KEY = re.compile(rb'"key":\s*"([0-9a-f]{64})"')
_HASH = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.tmp")
_HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class DamagedRecording:
    """A file among the recordings that is none, and why; `key` is the key that can be read in it all the same."""

    name: str
    reason: str
    key: str = ""


class RecordingStore:
    """The recordings of one folder.

    Args:
        path: The folder of the recordings; made with the first.
        within: Below this directory no link is followed.
    """

    def __init__(self, path: Path, within: Path) -> None:
        self.path = path
        self._within = within
        self._summaries: dict[str, Recording | DamagedRecording] = {}
        self._hashes: dict[tuple[Path, str], tuple[Fingerprint, str]] = {}
        self._swept = False

    def open(self, *, make: bool = False) -> AbstractContextManager[SafeDirectory]:
        """Open the folder of the recordings. Raises `OSError`."""
        return open_directory(self.path, self._within, make=make)

    @contextlib.contextmanager
    def open_to_write(self) -> Iterator[SafeDirectory]:
        """Open the folder of the recordings, made if need be, with what explains it. Raises `OSError`."""
        with self.open(make=True) as turns:
            for name, text in _BESIDE.items():
                _write_beside(turns, name, text)
            self._sweep()
            yield turns

    def _sweep(self) -> None:
        """Remove, once, what kernels that were killed left half written."""
        if self._swept:
            return
        self._swept = True
        for look in (self.open, self.open_bodies):
            with contextlib.suppress(OSError), look() as directory:
                for name in filter(_TEMPORARY.fullmatch, directory.names()):
                    if time.time() - directory.fingerprint(name).written_ns / 1e9 > YOUNG_S:
                        directory.remove(name)

    def open_bodies(self, *, make: bool = False) -> AbstractContextManager[SafeDirectory]:
        """Open the folder of the bodies. Raises `OSError`."""
        return open_directory(self.path / BODIES, self._within, make=make)

    # --- recordings ---------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The files of the recordings. Raises `OSError`."""
        with contextlib.suppress(FileNotFoundError), self.open() as turns:
            return sorted(name for name in turns.names() if name.endswith(".json"))
        return []

    def read(self, name: str) -> Recording:
        """The whole recording in a file. Raises `OSError`, or `ValueError` with what is wrong with it."""
        with self.open() as turns, turns.open(name) as file:
            return _read(name, file.read())

    def summaries(self) -> tuple[list[tuple[str, Recording]], list[DamagedRecording]]:
        """Every recording but for its turn, by time, and the files that are none. Each is read once.

        Raises:
            OSError: The folder cannot be read.
        """
        names = self.names()
        self._summaries = {name: self._summaries.get(name) or self._summary(name) for name in names}
        found = [(name, it) for name, it in self._summaries.items() if isinstance(it, Recording)]
        damaged = [it for it in self._summaries.values() if isinstance(it, DamagedRecording)]
        return sorted(found, key=lambda pair: (pair[1].began, *pair[1].order)), damaged

    def with_key(self, key: str) -> list[str]:
        """The files whose recording seems to have this key: only a glance is taken at each. Raises `OSError`."""
        return [name for name in self.names() if self._key_of(name) in {key, key[:16]}]

    def write(self, recording: Recording) -> str:
        """Keep a recording, in place of an earlier one of the same turn; gives its file's name. Raises `OSError`."""
        key = recording.key or sha256_of([recording.notebook, recording.cell])
        stem, number, replaced = f"{slug(recording.prompt or recording.cell)}-{key[:16]}", 1, None
        for name in self.names():
            match = _NAME.fullmatch(name)
            if match is not None and match[2] == key[:16]:
                number = max(number, int(match[3] or 1) + 1)
                replaced = name if self._is_of(name, recording) else replaced
        with self.open_to_write() as turns:
            content = to_json(recording).encode()
            while True:
                name = replaced or (f"{stem}.json" if number == 1 else f"{stem}-{number}.json")
                try:
                    turns.write(name, content, over=replaced is not None)
                except FileExistsError:
                    number += 1  # another kernel was faster
                else:
                    self._summaries[name] = _summary_of(name, recording)
                    return name

    def remove(self, name: str) -> int:
        """Remove a recording; gives its size in bytes. Raises `OSError`."""
        with self.open() as turns:
            return turns.remove(name)

    def forget(self) -> None:
        """Read everything anew from now on."""
        self._summaries.clear()
        self._hashes.clear()

    def _is_of(self, name: str, recording: Recording) -> bool:
        """Whether a file holds an earlier recording of the same turn."""
        try:
            there = self.read(name)
        except (OSError, ValueError):
            return False
        same = (recording.cell, recording.began, recording.turn.response_id)
        return (there.cell, there.began, there.turn.response_id) == same

    def _summary(self, name: str) -> Recording | DamagedRecording:
        try:
            with self.open() as turns, turns.open(name) as file:
                content = file.read()
        except OSError as error:
            return DamagedRecording(name, disk_reason(error))
        try:
            return _summary_of(name, _read(name, content))
        except ValueError as error:
            return DamagedRecording(name, str(error), _key_in(content))

    def _key_of(self, name: str) -> str:
        """The key of a recording, or its beginning, as its name or the first lines of the file say."""
        match, there = _NAME.fullmatch(name), self._summaries.get(name)
        if there is not None:
            return there.key
        if match is not None:
            return match[2]
        with contextlib.suppress(OSError), self.open() as turns, turns.open(name) as file:
            head = file.read(_HEAD_BYTES)
            # Written anew by another program, it may stand anywhere.
            return _key_in(head) or _key_in(head + file.read())
        return ""

    # --- bodies -------------------------------------------------------------------------------------------------------

    def keep_body(self, sha256: str, size: int, source: SafeDirectory, name: str) -> bool:
        """Keep the bytes of a file; says whether they are there now, in full. Raises `OSError`."""
        with self.open_bodies(make=True) as bodies:
            is_there = self.holds(bodies, sha256, size, sha256)
            # An old one is written anew: whoever prunes just now takes it for one that nothing needs.
            if is_there and time.time() - bodies.fingerprint(sha256).written_ns / 1e9 < YOUNG_S / 2:
                return True
            with source.open(name) as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return False  # somebody has just changed the file
                file.seek(0)
                bodies.write(sha256, file)
        return True

    def open_body(self, sha256: str) -> IO[bytes]:
        """Open the body of this hash. Raises `OSError`, or `ValueError` where it was changed since it was written."""
        with self.open_bodies() as bodies:
            if self.hash_of(bodies, sha256) != sha256:
                raise ValueError("it was changed since it was written")
            return bodies.open(sha256)

    def bodies(self) -> dict[str, Fingerprint]:
        """Every body by its hash: other names are not ours, and nothing is done to them. Raises `OSError`."""
        with contextlib.suppress(FileNotFoundError), self.open_bodies() as bodies:
            found = {name: bodies.fingerprint(name) for name in sorted(bodies.names()) if _HASH.fullmatch(name)}
            return {name: there for name, there in found.items() if there.is_regular}
        return {}

    def hash_of(self, directory: SafeDirectory, name: str) -> str:
        """The hash of a regular file, computed once as long as its fingerprint stays the same. Raises `OSError`."""
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
        try:
            there = directory.fingerprint(name)
            return there.is_regular and there.size == size and self.hash_of(directory, name) == sha256
        except OSError:
            return False


def _write_beside(turns: SafeDirectory, name: str, text: str) -> None:
    """Write a file of ours that is not there, that a full disk left empty, or that an earlier version wrote."""
    with contextlib.suppress(FileNotFoundError):
        with turns.open(name) as file:
            there = file.read().decode(errors="replace")
        earlier = not there or there == "*.lock\n*.tmp\n" or there.startswith(README[:28])
        if there == text or not earlier:
            return
    turns.write(name, text.encode())


def slug(prompt: str) -> str:
    """What the name of a recording begins with: the first words of the question, in letters that every disk knows."""
    words = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", words)[:40].strip("-") or "turn"


def slug_of(file_name: str) -> str | None:
    """The words in the name of a recording; None where it has another form."""
    match = _NAME.fullmatch(file_name) or _NAME_BEFORE.fullmatch(file_name)
    return match[1] if match is not None else None


def _read(name: str, content: bytes) -> Recording:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not text") from None
    return from_json(text, _number_of(name))


def _number_of(name: str) -> int:
    """Which of its question's recordings this is; 0 for all of the format before, which their time orders."""
    match = _NAME.fullmatch(name)
    return int(match[3] or 1) if match is not None else 0


def _summary_of(name: str, recording: Recording) -> Recording:
    """The recording without what is only needed when it is replayed: a folder may hold many."""
    return replace(recording, turn=Turn(response_id=recording.turn.response_id), number=_number_of(name))


def _key_in(content: bytes) -> str:
    match = _KEY.search(content)
    return match[1].decode() if match is not None else ""
