"""Whose file is it: `.turns/manifest` says of each file that this package wrote what it holds and who refers to it.

It can be made again from the recordings, so it is not committed with them. Several kernels may change it at once: each
reads it, changes its own part and writes it under a lock on its folder. Where the system has no such locks, an entry
may be lost; its file is then taken for the user's own, and stays.
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ipython_assistant.core.recording import Recording
    from ipython_assistant.workspace.safe_dir import SafeDirectory

MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A file that this package wrote.

    Attributes:
        sha256: What it held when it was written.
        cells: The cells that it was written for, each with the key of the question; None instead of the key where the
            cell has answered otherwise since, so that its present turn does not refer to the file any more.
    """

    sha256: str
    cells: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def is_left_over(self) -> bool:
        """Whether no cell's present turn refers to the file."""
        return all(key is None for key in self.cells.values())


Manifest = dict[str, ManifestEntry]


def read_manifest(turns: SafeDirectory, recordings: Callable[[], Iterable[Recording]]) -> Manifest:
    """Read the manifest, or make it anew from the recordings where it is missing or damaged. Raises `OSError`."""
    try:
        with turns.open(MANIFEST) as file:
            return {name: _entry(body) for name, body in json.load(file)["files"].items()}
    except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        manifest: Manifest = {}
    for recording in sorted(recordings(), key=lambda one: one.ended):
        files = {file.name: file.sha256 for file in recording.files if file.ours}
        cell = cell_in_manifest(recording.notebook, recording.cell, recording.key)
        settle(manifest, cell, recording.key, files, files)
    return manifest


@contextlib.contextmanager
def changed_manifest(turns: SafeDirectory, recordings: Callable[[], Iterable[Recording]]) -> Iterator[Manifest]:
    """Read the manifest to change it, and write what it is at the end. Raises `OSError`."""
    if sys.platform != "win32" and turns.handle is not None:
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.flock(turns.handle, fcntl.LOCK_EX)  # until the handle is closed
    manifest = read_manifest(turns, recordings)
    before = dict(manifest)
    yield manifest
    if manifest != before:
        files = {name: {"sha256": entry.sha256, "cells": dict(entry.cells)} for name, entry in manifest.items()}
        turns.write(MANIFEST, (json.dumps({"files": files}, indent=1) + "\n").encode())


def cell_in_manifest(notebook: str, cell: str, key: str) -> str:
    """The name of a cell in the manifest. Without an id of the cell each run is a turn of its own, known by its key."""
    return f"#{key}" if cell.startswith("run ") and key else f"{notebook}#{cell}"


def settle(manifest: Manifest, cell: str, key: str, files: Mapping[str, str], wrote: Mapping[str, str]) -> None:
    """Let a cell refer to these files and to no others, since its present turn does.

    `files`, and `wrote`, those that this kernel wrote in this turn or before, are hashes by name.
    """
    for name, entry in list(manifest.items()):
        if files.get(name) != entry.sha256 and cell in entry.cells:
            manifest[name] = ManifestEntry(entry.sha256, {**entry.cells, cell: None})
    for name, sha256 in files.items():
        known = manifest.get(name)
        if known is not None and known.sha256 == sha256:
            manifest[name] = ManifestEntry(sha256, {**known.cells, cell: key})
        elif wrote.get(name) == sha256:
            manifest[name] = ManifestEntry(sha256, {cell: key})


def _entry(body: Any) -> ManifestEntry:
    sha256, cells = body["sha256"], dict(body["cells"])
    if not isinstance(sha256, str) or not all(isinstance(key, str | None) for key in cells.values()):
        raise TypeError
    return ManifestEntry(sha256, cells)
