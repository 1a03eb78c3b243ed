"""The files of a turn: find every one, fetch it, save it under its name beside the notebook.

A file that cannot be fetched or saved is a value with a reason; it never stops the others. What was fetched ahead gets
a free name when the answer ends; a copy that is stale by the closing listing is taken back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ipython_assistant.core.artifacts import (
    Artifact,
    FailedArtifact,
    TurnFiles,
    cited_files,
    key_of,
    listed_files,
    seen_twice,
    shown_figures,
    signature,
    wanted_files,
)
from ipython_assistant.core.naming import safe_name
from ipython_assistant.core.wording import disk_reason
from ipython_assistant.service.background import Threads
from ipython_assistant.service.containers import MAX_ROWS
from ipython_assistant.workspace.folder import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ipython_assistant.core.artifacts import ContainerFile, Figure, Signature
    from ipython_assistant.core.turn import Turn
    from ipython_assistant.service.client import OnProgress
    from ipython_assistant.service.containers import Containers
    from ipython_assistant.service.downloads import Downloads, FileDownload


@dataclass(slots=True)
class _Listing:
    """What the containers say; `ahead` are files that only an earlier look found, which may have changed since."""

    files: list[ContainerFile] = field(default_factory=list)
    ahead: list[ContainerFile] = field(default_factory=list)
    everything: list[Signature] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def collect(
    containers: Containers,
    downloads: Downloads,
    turn: Turn,
    save: Callable[..., Artifact | FailedArtifact],
    on_progress: OnProgress,
    *,
    take_back: Callable[[Artifact], object],
    have: tuple[Artifact, ...] = (),
) -> TurnFiles:
    """Fetch every file of a turn but for those that an earlier try saved (`have`).

    `save` gives an `Incoming` its name, with `only_new` if that is free; `take_back` removes it again.
    `on_progress` gets files done, files in all (0: they are looked for), bytes so far, bytes in all.
    """
    here = set(map(key_of, have))
    wanted = [file for file in cited_files(turn) if key_of(file) not in here]
    downloads.answer_ended(wanted)
    figures, listing, saved = shown_figures(turn), _Listing(), list[Artifact | FailedArtifact]()
    early: dict[FileDownload, Artifact] = {}
    try:
        early.update(_saved_early(downloads, turn, len(figures), save))
        on_progress(0, 0, 0, 0)
        listing = _closing_listing(containers, downloads, turn)
        wanted = [
            it for it in wanted_files(turn, listing.files + listing.ahead, len(figures)) if key_of(it) not in here
        ]
        fetched = downloads.fetch(wanted, listing.files, on_progress)
        for stale in early.keys() - set(fetched):
            take_back(early.pop(stale))
        named = {key_of(artifact): artifact for artifact in early.values()}
        for item in _to_save(wanted, fetched, figures, downloads):
            saved.append(item if isinstance(item, FailedArtifact) else named.get(key_of(item)) or save(item))
    except KeyboardInterrupt:
        # Between two waits, while something is hashed or renamed. What is on disk by then is in the answer.
        downloads.interrupt()
        saved += [artifact for artifact in early.values() if artifact not in saved]
        done = set(map(key_of, saved))
        lost = [file for file in wanted if key_of(file) not in done]
        saved += [FailedArtifact(file.name, "Interrupted.", file.container_id, file.file_id) for file in lost]
    # Each name once, cited files first: the citation stands for all that have the same name and bytes.
    places = {key_of(file): place for place, file in enumerate(cited_files(turn))}
    once: dict[str, Artifact] = {}
    on_disk = (item for item in (*have, *saved) if isinstance(item, Artifact))
    for artifact in sorted(on_disk, key=lambda each: places.get(key_of(each), len(places))):
        once.setdefault(artifact.name, artifact)
    artifacts = tuple(once.values())
    pictures = [artifact.own_name for artifact in artifacts if artifact.is_picture and artifact.found != "figure"]
    twice = {figure.sha256 for figure in figures if seen_twice(figure, figures, pictures, turn.calls)}
    return TurnFiles(
        artifacts,
        failed=tuple(item for item in saved if isinstance(item, FailedArtifact)),
        notes=(*dict.fromkeys(listing.notes), *(artifact.note for artifact in artifacts if artifact.note)),
        repeated=frozenset(it.name for it in artifacts if it.found == "figure" and it.sha256 in twice),
        listed=tuple(listing.everything),
    )


def _saved_early(
    downloads: Downloads, turn: Turn, shown: int, save: Callable[..., Artifact | FailedArtifact]
) -> Iterator[tuple[FileDownload, Artifact]]:
    """Save the copies that are whole, under names that no other file of the turn or the folder has."""
    copies = {key_of(copy.file): copy for copy in downloads.current()}
    wanted = wanted_files(turn, [copy.file for copy in copies.values()], shown)
    names = Counter(safe_name(file.name) for file in wanted)
    for file in wanted:
        copy = copies.get(key_of(file))
        if copy is None or copy.state != "verified" or file.found == "figure" or names[safe_name(file.name)] > 1:
            continue
        artifact = save(_incoming(file.name, file, copy), only_new=True)
        if isinstance(artifact, Artifact):
            yield copy, artifact


def _closing_listing(containers: Containers, downloads: Downloads, turn: Turn) -> _Listing:
    """List the containers, now that no code runs any more; give up at the deadline, or at Ctrl-C."""
    listing, pool = _Listing(), Threads(1, "ipython_assistant listing")
    for container_id in turn.container_ids:
        try:
            wait_s = 0.0 if downloads.interruption else max(0.0, downloads.left_s)
            rows = pool.submit(containers.file_rows, container_id).result(wait_s)
        except (KeyboardInterrupt, TimeoutError) as cut:
            if isinstance(cut, KeyboardInterrupt):
                downloads.interrupt()
            why = "It was not waited for." if downloads.interruption else "It did not come in time."
        except Exception as error:  # noqa: BLE001 whatever is odd about a listing, the files that are known are fetched
            why = getattr(error, "message", f"{type(error).__name__}: {error}")
        else:
            if len(rows) >= MAX_ROWS:
                listing.notes.append(f"The container lists over {MAX_ROWS:,} files; the oldest were not looked at.")
            known = containers.known(container_id)
            listing.files += listed_files(rows, known.saved, dict(known.uploads))
            listing.everything += map(signature, rows)
            continue
        says = "The container's list of files could not be read; files the answer does not link may be missing."
        listing.notes.append(f"{says} {why}")
        listing.ahead += [replace(it, size=None, created_at=None) for it in downloads.found_ahead(container_id)]
    pool.close()
    return listing


def _to_save(
    wanted: Sequence[ContainerFile],
    fetched: Sequence[FileDownload | FailedArtifact],
    figures: Sequence[Figure],
    downloads: Downloads,
) -> Iterator[Incoming | FailedArtifact]:
    """The files in the order of the answer, each with the name it asks for; then the figures, which are numbered."""
    number, hashes = 0, set[str]()
    for file, outcome in sorted(zip(wanted, fetched, strict=True), key=lambda pair: pair[0].found == "figure"):
        is_figure = file.found == "figure"
        number += is_figure
        if isinstance(outcome, FailedArtifact):
            # A row of the listing with neither a size nor content names no file that ever was.
            if not (file.found == "listed" and file.size is None and outcome.gone):
                yield outcome
            continue
        yield (incoming := _incoming(_figure_name(number) if is_figure else file.name, file, outcome))
        hashes.add(incoming.sha256)
    for figure in (it for it in figures if it.sha256 not in hashes):
        number += 1
        name = _figure_name(number, figure.media_type)
        try:
            path = downloads.staging() / f"figure-{number}.part"
            path.write_bytes(figure.content)
        except OSError as error:
            yield FailedArtifact(name, f"It could not be saved: {disk_reason(error)}.")
        else:
            yield Incoming(name, path, len(figure.content), figure.sha256, "figure")


def _incoming(name: str, file: ContainerFile, copy: FileDownload) -> Incoming:
    return Incoming(name, copy.path, copy.received, copy.digest.hexdigest(), file.found, *key_of(file))


def _figure_name(number: int, media_type: str = "image/png") -> str:
    return f"figure-{number}.{media_type.partition('/')[2].partition('+')[0].replace('jpeg', 'jpg')}"
