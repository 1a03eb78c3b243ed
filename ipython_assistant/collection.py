"""The files of a turn: find every one, fetch them side by side, give each its name beside the notebook.

Joins the service (which has the files) to the workspace (where they go). A file that cannot be had or saved is a
value with a reason; it never stops the others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipython_assistant.core.artifacts import (
    Artifact,
    FailedArtifact,
    Figure,
    listed_files,
    seen_twice,
    shown_figures,
    wanted_files,
)
from ipython_assistant.errors import AssistantError
from ipython_assistant.service.downloads import Fetched, fetch_all
from ipython_assistant.workspace.folder import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from pathlib import Path

    from ipython_assistant.core.artifacts import ContainerFile
    from ipython_assistant.core.turn import Turn
    from ipython_assistant.service.connection import Connection
    from ipython_assistant.workspace.folder import Folder


@dataclass(frozen=True, slots=True)
class Collected:
    """What came home from the containers.

    Attributes:
        artifacts: The files on disk, each once.
        failed: The files that are not.
        notes: What the reader should know, in plain sentences.
        repeated: Names of saved figures that show the same as a saved picture.
        file_ids: Every id the containers listed.
    """

    artifacts: tuple[Artifact, ...] = ()
    failed: tuple[FailedArtifact, ...] = ()
    notes: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()
    file_ids: tuple[str, ...] = ()


def collect(
    connection: Connection,
    turn: Turn,
    folder: Folder,
    *,
    cell: str,
    in_use: Container[str],
    at_once: int,
    on_progress: Callable[[int, int], None],
) -> Collected:
    """Bring every file of a turn home.

    Args:
        connection: Who has them.
        turn: The turn that made them.
        folder: Where they go.
        cell: The cell that owns them.
        in_use: Saved names that other cells show: never replaced.
        at_once: How many are fetched at the same time, at most.
        on_progress: Called with (files done, files in all).
    """
    listed, file_ids, notes = _listed(connection, turn)
    wanted, figures = wanted_files(turn, listed), shown_figures(turn)
    if not wanted and not figures:
        return Collected(notes=notes, file_ids=file_ids)
    try:
        staging = folder.stage()
    except OSError as error:
        reason = f"The folder for files cannot be written to: {error.strerror or type(error).__name__}."
        names = [file.name for file in wanted] + [_figure_name(number) for number, _ in enumerate(figures, start=1)]
        failed = tuple(FailedArtifact(name, reason) for name in names)
        return Collected(failed=failed, notes=notes, file_ids=file_ids)
    try:
        fetched = fetch_all(connection.wire, wanted, staging, at_once, on_progress)
        incoming = [*_named(fetched), *_staged_figures(figures, staging)]
        outcomes = [item if isinstance(item, FailedArtifact) else folder.save(item, cell, in_use) for item in incoming]
    finally:
        folder.unstage(staging)
    saved = [outcome for outcome in outcomes if isinstance(outcome, Artifact)]
    artifacts = tuple({artifact.name: artifact for artifact in reversed(saved)}.values())[::-1]
    failed = tuple(outcome for outcome in outcomes if isinstance(outcome, FailedArtifact))
    return Collected(artifacts, failed, notes, _repeated(turn, figures, artifacts), file_ids)


def _listed(connection: Connection, turn: Turn) -> tuple[list[ContainerFile], tuple[str, ...], tuple[str, ...]]:
    files: list[ContainerFile] = []
    file_ids: list[str] = []
    notes: list[str] = []
    for container_id in turn.container_ids:
        try:
            rows = connection.containers.file_rows(container_id)
        except AssistantError as error:
            notes.append(f"The container's list of files cannot be had; uncited ones may be missing. {error.message}")
            continue
        files += listed_files(rows, connection.containers.seen(container_id))
        file_ids += [str(row.get("id") or "") for row in rows]
    return files, tuple(file_ids), tuple(notes)


def _named(fetched: tuple[Fetched | FailedArtifact, ...]) -> Iterator[Incoming | FailedArtifact]:
    """Files under the model's own names; displayed figures, which have none, are numbered."""
    figures = 0
    for outcome in fetched:
        if isinstance(outcome, FailedArtifact):
            yield outcome
            continue
        file = outcome.file
        figures += file.found == "figure"
        name = _figure_name(figures) if file.found == "figure" else file.name
        yield Incoming(name, outcome.staged, outcome.size, outcome.sha256, file.found, file.container_id, file.file_id)


def _staged_figures(figures: tuple[Figure, ...], staging: Path) -> Iterator[Incoming | FailedArtifact]:
    for number, figure in enumerate(figures, start=1):
        name = _figure_name(number, figure.media_type)
        path = staging / f"figure-{number}.part"
        try:
            path.write_bytes(figure.content)
        except OSError as error:
            yield FailedArtifact(name, f"It could not be written: {error.strerror or type(error).__name__}.")
            continue
        yield Incoming(name, path, len(figure.content), hashlib.sha256(figure.content).hexdigest(), "figure")


def _figure_name(number: int, media_type: str = "image/png") -> str:
    return f"figure-{number}.{media_type.partition('/')[2].partition('+')[0].replace('jpeg', 'jpg')}"


def _repeated(turn: Turn, figures: tuple[Figure, ...], artifacts: tuple[Artifact, ...]) -> frozenset[str]:
    pictures = [artifact.own_name for artifact in artifacts if artifact.is_picture and artifact.found != "figure"]
    twice = {
        hashlib.sha256(figure.content).hexdigest()
        for figure in figures
        if seen_twice(figure, figures, pictures, turn.calls)
    }
    return frozenset(artifact.name for artifact in artifacts if artifact.found == "figure" and artifact.sha256 in twice)
