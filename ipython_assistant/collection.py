"""The files of a turn: find every one, bring it, give it its name beside the notebook.

Joins the service (which has the files) to the workspace (where they go). A file that cannot be had or saved is a
value with a reason; it never stops the others.
"""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future
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
    from collections.abc import Callable, Container, Iterable, Iterator

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
        key: The key of the turn.
    """

    folder: Folder
    cell: str
    in_use: Container[str] = ()
    key: str = ""


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
    downloads.begin(file for file in cited_files(turn) if _id(file) not in home)
    gathered = _Gathered(downloads, turn, shelf, on_progress)
    try:
        return _brought_home(containers, downloads, turn, gathered, have)
    except KeyboardInterrupt:
        # Between two waits, while something is hashed or renamed. What is on disk by then is in the answer.
        downloads.interrupt()
        return gathered.so_far(have)


def _brought_home(
    containers: Containers, downloads: Downloads, turn: Turn, gathered: _Gathered, have: tuple[Artifact, ...]
) -> Collected:
    home = {(artifact.container_id, artifact.file_id) for artifact in have}
    figures = shown_figures(turn)
    certain = [file for file in _certain(turn, downloads.current(), len(figures)) if _id(file) not in home]
    # The closing listing is a round trip away: what is here already goes to disk before it is asked for.
    here = [file for file in certain if downloads.has(file)]
    gathered.bring(here)
    closing = _begin(lambda: _listed(containers, downloads, turn))
    gathered.bring(file for file in certain if file not in here)
    listing = _awaited(closing, downloads)
    everything = wanted_files(turn, listing.files + listing.ahead, len(figures))
    gathered.check(listing)
    gathered.bring((file for file in everything if _id(file) not in home), listing.files)
    outcomes = gathered.with_figures(figures, everything)
    artifacts = _each_once([*have, *(outcome for outcome in outcomes if isinstance(outcome, Artifact))])
    failed = tuple(outcome for outcome in outcomes if isinstance(outcome, FailedArtifact))
    notes = (*listing.notes, *(artifact.note for artifact in artifacts if artifact.note))
    return Collected(artifacts, failed, notes, _repeated(turn, figures, artifacts), listing.everything)


class _Gathered:
    """The files of one turn as they come home: at once what is certain, then everything that is listed."""

    def __init__(
        self, downloads: Downloads, turn: Turn, shelf: Shelf, on_progress: Callable[[int, int, int], None]
    ) -> None:
        self._downloads = downloads
        self._turn = turn
        self._shelf = shelf
        self._on_progress = on_progress
        self._outcomes: dict[tuple[str, str], Fetched | FailedArtifact] = {}
        self._kept: dict[tuple[str, str], Artifact | FailedArtifact] = {}

    def bring(self, files: Iterable[ContainerFile], listed: tuple[ContainerFile, ...] = ()) -> None:
        """Fetch and save these, but for those that are here; figures are only fetched, since they have no name yet."""
        wanted = tuple(file for file in files if _id(file) not in self._outcomes)
        here, bytes_here = len(self._outcomes), sum(self._sizes())

        def show(done: int, total: int, received: int) -> None:
            self._on_progress(here + done, here + total, bytes_here + received)

        for file, outcome in zip(wanted, self._downloads.fetch(wanted, listed, show), strict=True):
            if isinstance(outcome, Fetched) or not _is_noise(file, outcome):
                self._outcomes[_id(file)] = outcome
                if file.found != "figure":
                    self._kept[_id(file)] = self._save(outcome, file.name)

    def so_far(self, have: tuple[Artifact, ...]) -> Collected:
        """What is on disk when it is interrupted; what the answer cites beside it is named."""
        saved = [*have, *(kept for kept in self._kept.values() if isinstance(kept, Artifact))]
        home = {(artifact.container_id, artifact.file_id) for artifact in saved}
        failed = tuple(
            FailedArtifact(file.name, "It was interrupted.", file.container_id, file.file_id)
            for file in cited_files(self._turn)
            if _id(file) not in home
        )
        return Collected(_each_once(saved), failed)

    def check(self, listing: _Listing) -> None:
        """Take back what the closing listing contradicts: a file that is another one by now, or in another's place."""
        rows = {_id(row): row for row in listing.files}
        cited = {_id(file) for file in cited_files(self._turn)}
        for key, outcome in list(self._outcomes.items()):
            if isinstance(outcome, FailedArtifact):
                continue
            file, row = outcome.file, rows.get(key)
            changed = row is not None and (row.size, row.created_at) != (file.size, file.created_at)
            places = {(other.container_id, other.name) for other in rows.values()}
            replaced = row is None and key not in cited and (file.container_id, file.name) in places
            if changed or replaced:
                del self._outcomes[key]
                kept = self._kept.pop(key)
                if isinstance(kept, Artifact):
                    self._shelf.folder.take_back(kept)
                self._downloads.forget(file)

    def with_figures(
        self, figures: tuple[Figure, ...], everything: tuple[ContainerFile, ...]
    ) -> list[Artifact | FailedArtifact]:
        """What became of each file, in the answer's order whichever came first; then the figures, numbered."""
        order = {_id(file): place for place, file in enumerate(everything)}
        kept = dict(sorted(self._kept.items(), key=lambda item: order.get(item[0], len(order))))
        shown = [self._outcomes[key] for key in order if key in self._outcomes and key not in kept]
        numbered = [
            self._save(outcome, _figure_name(number)) if isinstance(outcome, Fetched) else outcome
            for number, outcome in enumerate(shown, start=1)
        ]
        staged = [
            self._shelved(item) if isinstance(item, Incoming) else item
            for item in _staged_figures(figures, tuple(shown), self._downloads)
        ]
        return [*kept.values(), *numbered, *staged]

    def _save(self, outcome: Fetched | FailedArtifact, name: str) -> Artifact | FailedArtifact:
        if isinstance(outcome, FailedArtifact):
            return outcome
        file = outcome.file
        return self._shelved(
            Incoming(name, outcome.staged, outcome.size, outcome.sha256, file.found, file.container_id, file.file_id)
        )

    def _shelved(self, incoming: Incoming) -> Artifact | FailedArtifact:
        shelf = self._shelf
        return shelf.folder.save(incoming, shelf.cell, shelf.in_use, turn=self._turn.response_id, key=shelf.key)

    def _sizes(self) -> Iterator[int]:
        return (outcome.size for outcome in self._outcomes.values() if isinstance(outcome, Fetched))


def _each_once(saved: list[Artifact]) -> tuple[Artifact, ...]:
    """The same name with the same bytes is one file: the first to name it, which is the citation, stands for all."""
    return tuple({artifact.name: artifact for artifact in reversed(saved)}.values())[::-1]


def _id(file: ContainerFile) -> tuple[str, str]:
    return file.container_id, file.file_id


def _certain(turn: Turn, current: tuple[ContainerFile, ...], shown: int) -> Iterator[ContainerFile]:
    """The named files that an early listing showed and whose name no other file of the turn has.

    Of two files with one name the citation's gets it; which that is, only the closing listing settles.
    """
    wanted = wanted_files(turn, current, shown)
    names = Counter(file.name.casefold() for file in wanted)
    return (
        file for file in wanted if file.size is not None and file.found != "figure" and names[file.name.casefold()] == 1
    )


def _begin(call: Callable[[], _Listing]) -> Future[_Listing]:
    """Begin a call in a thread of its own, so that whoever waits for it can be interrupted."""
    future: Future[_Listing] = Future()

    def carry_out() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 it is raised again in the thread that waits for it
            future.set_exception(error)

    threading.Thread(target=carry_out, name="ipython_assistant listing", daemon=True).start()
    return future


def _awaited(closing: Future[_Listing], downloads: Downloads) -> _Listing:
    try:
        if downloads.cut is None:
            return closing.result()
    except KeyboardInterrupt:
        downloads.interrupt()
    if closing.done():
        return closing.result()
    return _Listing((), (), (), ("The container's list of files was not waited for; uncited ones may be missing.",))


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


def _is_noise(file: ContainerFile, outcome: FailedArtifact) -> bool:
    """Whether this is a row of the listing with neither a size nor content: it names no file that ever was."""
    return file.found == "listed" and file.size is None and outcome.gone


def _staged_figures(
    figures: tuple[Figure, ...], fetched: tuple[Fetched | FailedArtifact, ...], downloads: Downloads
) -> Iterator[Incoming | FailedArtifact]:
    """The figures that came in the outputs, numbered after those that were fetched and without what came both ways."""
    here = [outcome.sha256 for outcome in fetched if isinstance(outcome, Fetched) and outcome.file.found == "figure"]
    new = [figure for figure in figures if figure.sha256 not in here]
    for number, figure in enumerate(new, start=len(here) + 1):
        name = _figure_name(number, figure.media_type)
        try:
            path = downloads.staging() / f"figure-{number}.part"
            path.write_bytes(figure.content)
        except OSError as error:
            yield FailedArtifact(name, f"It could not be written: {error.strerror or type(error).__name__}.")
            continue
        yield Incoming(name, path, len(figure.content), figure.sha256, "figure")


def _figure_name(number: int, media_type: str = "image/png") -> str:
    return f"figure-{number}.{media_type.partition('/')[2].partition('+')[0].replace('jpeg', 'jpg')}"


def _repeated(turn: Turn, figures: tuple[Figure, ...], artifacts: tuple[Artifact, ...]) -> frozenset[str]:
    pictures = [artifact.own_name for artifact in artifacts if artifact.is_picture and artifact.found != "figure"]
    twice = {figure.sha256 for figure in figures if seen_twice(figure, figures, pictures, turn.calls)}
    return frozenset(artifact.name for artifact in artifacts if artifact.found == "figure" and artifact.sha256 in twice)
