"""Where recordings are kept: `.turns/` in the folder of the files, one readable JSON file a turn, and `bodies/`.

A body is the bytes of a file that a turn made, once, named by its hash. Everything is put in place whole. A recording
that cannot be read is named and left as it is. What reads or writes here raises `OSError` where the disk refuses.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
import unicodedata
from dataclasses import replace
from typing import IO, TYPE_CHECKING, NamedTuple

from ipython_assistant.core.recording import Recording, sha256_of
from ipython_assistant.core.recording_text import read_recording, recording_text
from ipython_assistant.core.turn import Turn
from ipython_assistant.core.wording import disk_reason
from ipython_assistant.workspace.safe_dir import fingerprint, open_file, real_directory, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from ipython_assistant.workspace.safe_dir import Fingerprint

TURNS = ".turns"
BODIES = "bodies"
UNSETTLED_NS = 100_000_000  # a file that was written just now may be written again without a trace in its time
README = """\
Each JSON file here is the recording of one turn: a question asked with %%assistant, and what came of it. The same
question in the same place is answered from it again: no key, no network, no cost. They are written by ipython_assistant
and may be read, committed, or deleted; then it asks again, and takes the files of that turn for yours.

What may hold data: "asked" (the question), "inputs" (their descriptions), "response" (the answer, the code and what it
printed), the names of files, and bodies/ (the files that the code made, by hash). Inputs are known by name, size and
hash alone; keys, cookies, the organisation and absolute paths are not recorded.
"""
_BESIDE = {"README": README, ".gitignore": "*.tmp\n", ".gitattributes": "* -text\n"}
_NAME = re.compile(r"([a-z0-9-]+?)-([0-9a-f]{16})(?:-(\d{1,6}))?\.json")
_NAME_OF_FORMAT_2 = re.compile(r"[a-z0-9-]+-[0-9a-f]{12}(?:-\d+)?\.json")  # it tells nothing of the key


class DamagedFile(NamedTuple):
    """A file of the recordings that is not as it was written, and the reason."""

    name: str
    reason: str


class RecordingStore:
    """The recordings of one folder, which is made with the first; below `within` no link is followed."""

    def __init__(self, path: Path, within: Path) -> None:
        self.path = path
        self._within = within
        self._summaries: dict[str, Recording] = {}
        self._one_at_a_time = threading.Lock()  # several questions look at the recordings at once
        self._hashes: dict[Path, tuple[Fingerprint, str]] = {}

    def directory(self, below: str = "") -> Path:
        """The folder of the recordings, or `BODIES` below it."""
        return real_directory(self.path / below, self._within)

    def made(self, below: str = "") -> Path:
        """The folder of the recordings, or `BODIES` in it, made if need be with its README and Git settings."""
        turns = real_directory(self.path, self._within, make=True)
        for name, text in _BESIDE.items():
            if not (turns / name).exists():
                write_file(turns / name, text.encode())
        return real_directory(turns / below, self._within, make=True)

    def names(self) -> list[str]:
        """The files of the recordings."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(path.name for path in self.directory().iterdir() if path.suffix == ".json")
        return []

    def read(self, name: str) -> Recording:
        """The whole recording in a file. Raises `OSError`, or `ValueError` with the reason."""
        with open_file(self.directory() / name) as file:
            return read_recording(file.read().decode("utf-8", "replace"), _number_of(name))

    def summaries(self) -> tuple[list[tuple[str, Recording]], list[DamagedFile]]:
        """Every recording but for its turn, by time, and the files that are none. Each is read once."""
        now, damaged = dict[str, Recording](), list[DamagedFile]()
        with self._one_at_a_time:
            for name in self.names():
                try:
                    now[name] = self._summaries.get(name) or _without_its_turn(self.read(name))
                except (OSError, ValueError) as error:  # read again the next time: it may have been brought back
                    damaged.append(DamagedFile(name, reason_of(error)))
            self._summaries = now
        return sorted(now.items(), key=lambda pair: (pair[1].began, pair[1].number, pair[1].ended)), damaged

    def with_key(self, key: str) -> list[str]:
        """The files whose recording may have this key, by their names."""
        found = [(name, _NAME.fullmatch(name)) for name in self.names()]
        return [it for it, match in found if (key.startswith(match[2]) if match else _NAME_OF_FORMAT_2.fullmatch(it))]

    def write(self, recording: Recording) -> str:
        """Keep a recording, in place of an earlier one of the same turn; gives its file's name."""
        key = recording.key or sha256_of([recording.notebook, recording.cell])
        stem, known = f"{slug(recording.prompt or recording.cell)}-{key[:16]}", self.with_key(key)
        name, number = "", max(map(_number_of, known), default=0)
        for other in known:
            with contextlib.suppress(OSError, ValueError):
                name = other if _turn_of(self.read(other)) == _turn_of(recording) else name
        turns, content = self.made(), recording_text(recording).encode()
        if name:
            write_file(turns / name, content)
        while not name:
            number += 1
            new = f"{stem}.json" if number == 1 else f"{stem}-{number}.json"
            with contextlib.suppress(FileExistsError):  # another kernel was faster
                write_file(turns / new, content, over=False)
                name = new
        summary = replace(_without_its_turn(recording), number=_number_of(name))
        with self._one_at_a_time:  # a look that is under way knows the one of before
            self._summaries = {**self._summaries, name: summary}
        return name

    def keep_body(self, sha256: str, size: int, source: Path) -> bool:
        """Keep the bytes of a file; says whether they are there now, in full."""
        body = self.made(BODIES) / sha256
        if self.holds(body, size, sha256):
            return True
        with open_file(source) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return False  # the file has just been changed
            file.seek(0)
            write_file(body, file)
        return True

    def open_body(self, sha256: str) -> IO[bytes]:
        """Open the body of this hash. Raises `OSError`, or `ValueError` where it was changed since it was written."""
        body = self.directory(BODIES) / sha256
        if self.hash_of(body) != sha256:
            raise ValueError("it was changed since it was written")
        return open_file(body)

    def knows(self, path: Path) -> bool:
        """Whether the hash of this file need not be computed again."""
        with contextlib.suppress(OSError):
            return path in self._hashes and self._hashes[path][0] == fingerprint(path)
        return False

    def hash_of(self, path: Path) -> str:
        """The hash of a regular file, computed once as long as its fingerprint stays the same."""
        now, known = fingerprint(path), self._hashes.get(path)
        if known is not None and known[0] == now:
            return known[1]
        with open_file(path) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time_ns() - now.written_ns > UNSETTLED_NS:
            self._hashes[path] = now, sha256
        return sha256

    def holds(self, path: Path, size: int, sha256: str) -> bool:
        """Whether there is a regular file with this content."""
        with contextlib.suppress(OSError):
            return fingerprint(path).size == size and self.hash_of(path) == sha256
        return False


def slug(prompt: str) -> str:
    """The beginning of a recording's name: the first words of the question, in letters that every disk knows."""
    words = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", words)[:40].strip("-") or "turn"


def reason_of(error: OSError | ValueError) -> str:
    """Why a recording or a body cannot be used, to stand after a colon."""
    return disk_reason(error) if isinstance(error, OSError) else str(error)


def _number_of(name: str) -> int:
    """Which of its question's recordings this is."""
    match = _NAME.fullmatch(name)
    return int(match[3] or 1) if match is not None else 0


def _without_its_turn(recording: Recording) -> Recording:
    """The recording without what is only needed when it is replayed: a folder may hold many."""
    return replace(recording, turn=Turn(response_id=recording.turn.response_id))


def _turn_of(recording: Recording) -> tuple[str, str, str]:
    """Identifies a turn, whatever it was recorded with."""
    return recording.cell, recording.began, recording.turn.response_id
