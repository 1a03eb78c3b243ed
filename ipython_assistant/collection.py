"""The files of a turn: find every one, bring it, give it its name beside the notebook.

Joins the service (which has the files) to the workspace (where they go). A file that cannot be had or saved is a
value with a reason; it never stops the others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipython_assistant.core.artifacts import (
    Artifact,
    FailedArtifact,
    Figure,
    cited_files,
    listed_files,
    seen_twice,
    shown_figures,
    signature,
    wanted_files,
)
from ipython_assistant.errors import AssistantError
from ipython_assistant.service.downloads import Fetched
from ipython_assistant.workspace.folder import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from ipython_assistant.core.artifacts import ContainerFile, Signature
    from ipython_assistant.core.turn import Turn
    from ipython_assistant.service.containers import Containers
    from ipython_assistant.service.downloads import Downloads
    from ipython_assistant.workspace.folder import Folder


@dataclass(frozen=True, slots=True)
class Collected:
    """What came home from the containers.

    Attributes:
        artifacts: The files on disk, each once.
        failed: The files that are not.
        notes: What the reader should know, in plain sentences.
        repeated: Names of saved figures that show the same as a saved picture.
        listed: Everything the containers listed.
    """

    artifacts: tuple[Artifact, ...] = ()
    failed: tuple[FailedArtifact, ...] = ()
    notes: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()
    listed: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class _Listing:
    """What the containers say: the new files, everything that is there, and what they would not say.

    `ahead` are files that only an earlier look found; whether they are still as they were then is not known.
    """

    files: tuple[ContainerFile, ...]
    ahead: tuple[ContainerFile, ...]
    everything: tuple[Signature, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where a turn's files go, and whose they are.

    Attributes:
        folder: The folder beside the notebook.
        cell: The cell that owns them.
        in_use: Saved names that other cells show: never replaced.
    """

    folder: Folder
    cell: str
    in_use: Container[str] = ()


def collect(
    containers: Containers,
    downloads: Downloads,
    turn: Turn,
    shelf: Shelf,
    on_progress: Callable[[int, int, int], None],
    *,
    have: tuple[Artifact, ...] = (),
) -> Collected:
    """Bring every file of a turn home.

    Args:
        containers: List what there is.
        downloads: Bring it; some may have been begun while the answer was still being written.
        turn: The turn that made the files.
        shelf: Where they go.
        on_progress: Called with (files done, files in all, bytes so far).
        have: What an earlier try brought already.
    """
    home = {(artifact.container_id, artifact.file_id) for artifact in have}
    downloads.begin(file for file in cited_files(turn) if (file.container_id, file.file_id) not in home)
    listing = _listed(containers, downloads, turn)
    wanted = tuple(
        file
        for file in wanted_files(turn, listing.files + listing.ahead)
        if (file.container_id, file.file_id) not in home
    )
    figures = shown_figures(turn)
    fetched = _without_noise(downloads.fetch(wanted, listing.files, on_progress), wanted)
    incoming = [*_named(fetched), *_staged_figures(figures, fetched, downloads)]
    outcomes = [
        item
        if isinstance(item, FailedArtifact)
        else shelf.folder.save(item, shelf.cell, shelf.in_use, turn=turn.response_id)
        for item in incoming
    ]
    saved = [*have, *(outcome for outcome in outcomes if isinstance(outcome, Artifact))]
    # The same name with the same bytes is one file: the first to name it, which is the citation, stands for all.
    artifacts = tuple({artifact.name: artifact for artifact in reversed(saved)}.values())[::-1]
    failed = tuple(outcome for outcome in outcomes if isinstance(outcome, FailedArtifact))
    notes = (*listing.notes, *(artifact.note for artifact in artifacts if artifact.note))
    return Collected(artifacts, failed, notes, _repeated(turn, figures, artifacts), listing.everything)


def _listed(containers: Containers, downloads: Downloads, turn: Turn) -> _Listing:
    files: list[ContainerFile] = []
    ahead: list[ContainerFile] = []
    everything: list[Signature] = []
    notes: list[str] = []
    for container_id in turn.container_ids:
        try:
            rows = containers.file_rows(container_id)
        except AssistantError as error:
            notes.append(f"The container's list of files cannot be had; uncited ones may be missing. {error.message}")
            # Their size may be another by now.
            ahead += [replace(file, size=None, created_at=None) for file in downloads.ahead(container_id)]
            continue
        files += listed_files(rows, containers.seen(container_id), containers.sent(container_id))
        everything += map(signature, rows)
    return _Listing(tuple(files), tuple(ahead), tuple(everything), tuple(notes))


def _without_noise(
    outcomes: tuple[Fetched | FailedArtifact, ...], wanted: tuple[ContainerFile, ...]
) -> tuple[Fetched | FailedArtifact, ...]:
    """Without the listing's rows that have neither a size nor content: they name no file that ever was."""
    return tuple(
        outcome
        for outcome, file in zip(outcomes, wanted, strict=True)
        if isinstance(outcome, Fetched) or file.found != "listed" or file.size is not None or not outcome.gone
    )


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


def _staged_figures(
    figures: tuple[Figure, ...], fetched: tuple[Fetched | FailedArtifact, ...], downloads: Downloads
) -> Iterator[Incoming | FailedArtifact]:
    """The figures that came in the outputs, numbered after those that were fetched and without what came both ways."""
    here = [outcome.sha256 for outcome in fetched if isinstance(outcome, Fetched) and outcome.file.found == "figure"]
    new = [figure for figure in figures if hashlib.sha256(figure.content).hexdigest() not in here]
    for number, figure in enumerate(new, start=len(here) + 1):
        name = _figure_name(number, figure.media_type)
        try:
            path = downloads.staging() / f"figure-{number}.part"
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
