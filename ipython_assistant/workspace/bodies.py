"""The bytes that belong to recordings: each once, in a file that is named by its hash.

A body is written whole or not at all, is never a second name of a saved file (whoever edits that would edit the
recording), and is read only while it is what its name says.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from typing import IO, TYPE_CHECKING

from ipython_assistant.workspace.provenance import BODIES
from ipython_assistant.workspace.regular import fingerprint, open_regular, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from ipython_assistant.workspace.provenance import Turns
    from ipython_assistant.workspace.regular import Fingerprint

_HASH = re.compile(r"[0-9a-f]{64}")
YOUNG_S = 600.0
"""A body that was written or wanted so few seconds ago is not removed: its record may be on its way."""
UNSETTLED_NS = 100_000_000
"""A file that was written so few nanoseconds ago may be written again without a trace in its time."""


class Hashes:
    """The hashes of files, each computed once for as long as the file's fingerprint stays the same."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Fingerprint, str]] = {}

    def of(self, path: Path) -> str:
        """The SHA-256 of a regular file. Raises `OSError`."""
        now = fingerprint(path)
        before = self._known.get(path)
        if before is not None and before[0] == now:
            return before[1]
        sha256 = sha256_of(path)
        if time.time_ns() - now.written_ns > UNSETTLED_NS:
            self._known[path] = (now, sha256)
        return sha256

    def knows(self, path: Path) -> bool:
        """Whether `of` would not have to read this file."""
        before = self._known.get(path)
        try:
            return before is not None and before[0] == fingerprint(path)
        except OSError:
            return False

    def match(self, path: Path, size: int, sha256: str) -> bool:
        """Whether there is a regular file with this content."""
        try:
            there = fingerprint(path)
            return there.is_regular and there.size == size and self.of(path) == sha256
        except OSError:
            return False

    def forget(self) -> None:
        """Read everything anew from now on."""
        self._known.clear()


class Bodies:
    """The bodies beside the records of one folder.

    Args:
        turns: The records.
        hashes: The hashes that are known.
    """

    def __init__(self, turns: Turns, hashes: Hashes) -> None:
        self._turns = turns
        self._dir = turns.path / BODIES
        self._hashes = hashes

    def path(self, sha256: str) -> Path:
        """Where the body of this hash is, or would be."""
        return self._dir / sha256

    def keep(self, sha256: str, size: int, source: Path | bytes) -> bool:
        """Keep the bytes of a file, or these; says whether they are there now, in full. Raises `OSError`."""
        self._turns.begin()  # it refuses a link in the place of the folder
        self._dir.mkdir(exist_ok=True)
        target = self._dir / sha256
        if self._hashes.match(target, size, sha256):
            if time.time() - fingerprint(target).written_ns / 1e9 > YOUNG_S / 2:
                os.utime(target)  # it is wanted again: see `YOUNG_S`
            return True
        with self._turns.temporary(self._dir) as temporary:
            if isinstance(source, bytes):
                temporary.write_bytes(source)
            elif not fingerprint(source).is_regular:
                return False
            else:
                shutil.copyfile(source, temporary)
            if temporary.stat().st_size != size:
                return False  # somebody has just changed the file
            try:
                temporary.replace(target)
            except OSError:
                # Another kernel was faster, and its reader holds the file.
                if not self._hashes.match(target, size, sha256):
                    raise
        return True

    def open(self, sha256: str) -> IO[bytes]:
        """The body of this hash, to be read.

        Raises:
            OSError: It cannot be read.
            ValueError: It was changed since it was written.
        """
        self._turns.refuse_links()
        path = self._dir / sha256
        if self._hashes.of(path) != sha256:
            raise ValueError("it was changed since it was written")
        return open_regular(path)

    def all(self) -> dict[str, os.stat_result]:
        """Every body by its hash: other names are not ours, and nothing is done to them. Raises `OSError`."""
        self._turns.refuse_links()
        try:
            entries = sorted(os.scandir(self._dir), key=lambda entry: entry.name)
        except FileNotFoundError:
            return {}
        found = {entry.name: entry.stat(follow_symlinks=False) for entry in entries if _HASH.fullmatch(entry.name)}
        return {name: there for name, there in found.items() if stat.S_ISREG(there.st_mode)}
