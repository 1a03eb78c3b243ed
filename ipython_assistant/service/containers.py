"""The containers of one service: create, fill, list, delete, and remember what is in each."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipython_assistant.core.artifacts import signature
from ipython_assistant.core.request import InputNote
from ipython_assistant.core.turn import text_of
from ipython_assistant.errors import AssistantError, ContainerExpired, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ipython_assistant.core.artifacts import Signature
    from ipython_assistant.core.conversation import PlacedTurn, Upload
    from ipython_assistant.core.request import ContainerPolicy
    from ipython_assistant.core.turn import Json
    from ipython_assistant.service.client import OnProgress, OnSent, Reply, Wire

MAX_PAGES = 100
MAX_ROWS = MAX_PAGES * 100
DELETE_WITHIN_S = 1.0
NAME = "ipython_assistant"
"""The name of the containers that are made here, by which they are known again."""


@dataclass(slots=True)
class KnownContainer:
    """What is known of one container: the turn that ran there last (None: it did not end), files that turns have saved.

    `paths` are those of uploads by their name and sha256, `uploads` their names by what they were when they were sent.
    One that is `user_owned` is deleted only where the user names it.
    """

    last_turn: PlacedTurn | None = None
    paths: dict[tuple[str, str], str] = field(default_factory=dict)
    saved: set[Signature] = field(default_factory=set)
    uploads: dict[Signature, str] = field(default_factory=dict)
    user_owned: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSummary:
    """A container as the service lists it; `ours` says that it was made for this session and nothing else needs it."""

    container_id: str
    status: str
    ours: bool


def counted_uploads(uploads: Sequence[Upload], on_progress: OnProgress) -> Iterator[tuple[Upload, OnSent]]:
    """Each upload with what its bytes are counted by.

    `on_progress` is called with (files done, files in all, bytes so far, bytes in all).
    """
    sizes = [upload.path.stat().st_size for upload in uploads]
    for done, upload in enumerate(uploads):

        def on_sent(sent: int, done: int = done) -> None:
            on_progress(done, len(sizes), sum(sizes[:done]) + sent, sum(sizes))

        yield upload, on_sent


class Containers:
    """The containers of one service. May be used by several threads."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._lock = threading.RLock()
        self._known: dict[str, KnownContainer] = {}

    def create(self, policy: ContainerPolicy) -> str:
        """Make a container; gives its id. Raises `ServiceError`."""
        expiry = {"anchor": "last_active_at", "minutes": policy.minutes}
        made = self._wire.create_container({"name": NAME, "expires_after": expiry, **policy.body()}).json()
        container_id = text_of(made.get("id"))
        if not container_id:
            raise ServiceError("The service made a container without an id.", "Ask without inputs, or without code.")
        self.known(container_id)
        return container_id

    def put(self, container_id: str, uploads: Iterable[Upload], on_progress: OnProgress) -> None:
        """Send the files that are not in the container yet; see `counted_uploads`. Raises `ServiceError`."""
        known = self.known(container_id)
        new = [upload for upload in uploads if (upload.name, upload.sha256) not in known.paths]
        for upload, on_sent in counted_uploads(new, on_progress):
            try:
                row = self._wire.upload(container_id, upload.name, upload.path, on_sent).json()
            except ContainerExpired:
                known.gone = True
                raise
            with self._lock:
                known.paths[upload.name, upload.sha256] = text_of(row.get("path")) or f"/mnt/data/{upload.name}"
                known.uploads[signature(row)] = upload.name

    def file_rows(self, container_id: str) -> list[Json]:
        """The listing, all pages (at most `MAX_PAGES`, the newest files), oldest first. Raises `ServiceError`."""
        try:
            rows = self._pages(lambda after: self._wire.list_files(container_id, after))
        except ContainerExpired:
            self.known(container_id).gone = True
            raise
        # A gateway may put another id of the same container into the rows: the one that was asked for counts.
        return [{**row, "container_id": container_id} for row in reversed(rows)]

    def is_there(self, container_id: str) -> bool:
        """Whether the service still lists the container's files."""
        try:
            self._wire.list_files(container_id, None).json()
        except ServiceError:
            return False
        return True

    def overview(self) -> tuple[ContainerSummary, ...]:
        """The listed containers that were made by this package, newest first. Raises `ServiceError`."""
        ours, rows = self._ours(), self._pages(self._wire.list_containers)
        listed = [(row, text_of(row.get("id"))) for row in rows]
        return tuple(
            ContainerSummary(container_id, text_of(row.get("status")), container_id in ours)
            for row, container_id in listed
            if container_id in ours or row.get("name") == NAME
        )

    def delete(self, container_id: str) -> None:
        """Delete a container: its files and variables are gone. Raises `ServiceError`."""
        self._wire.delete_container(container_id).close()
        with self._lock:
            self._known.pop(container_id, None)

    def delete_all(self) -> None:
        """Delete every container that was made for this session, as far as that is done in `DELETE_WITHIN_S`."""
        threads = [self._deleting(container_id) for container_id in self._ours()]
        deadline = time.monotonic() + DELETE_WITHIN_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def delete_if_unused(self, turn: PlacedTurn | None) -> None:
        """Begin to delete the container of a turn that was replaced, if no other turn goes on in it.

        A container that no turn needs costs money at a hosted service and memory here. That it could not be deleted is
        not said: it expires by itself.
        """
        if turn is None or turn.service != self._wire.identity:
            return
        with self._lock:
            known = self._known.get(turn.container_id)
        if known is not None and not known.user_owned and known.last_turn is turn:
            self._deleting(turn.container_id)

    def may_continue(self, parent: PlacedTurn | None) -> bool:
        """Whether a turn may go on where `parent` ended: in its container, if nothing else has run there since.

        Otherwise it would find files that, for it, do not exist.
        """
        if parent is None or parent.service != self._wire.identity:
            return False
        if not parent.container_id:
            return True
        with self._lock:
            known = self._known.get(parent.container_id)
        turn = known.last_turn if known is not None and not known.gone else None
        while turn is not None and turn is not parent and not turn.turn.container_ids and not turn.uploads:
            # It only talked: the container is as the turn before had left it.
            turn = turn.before
        return turn is parent

    def notes(self, container_id: str, uploads: Iterable[Upload], named: Iterable[Upload]) -> tuple[InputNote, ...]:
        """What the model is told of the files in a container, of which some were named with the question."""
        paths, named = self.known(container_id).paths, tuple(named)
        return tuple(
            InputNote(paths[upload.name, upload.sha256], upload.description, named=upload in named)
            for upload in uploads
            if (upload.name, upload.sha256) in paths
        )

    def mark_ran(self, container_ids: Iterable[str], turn: PlacedTurn | None) -> None:
        """Note which turn ran in these containers last; None is a turn that did not come to its end."""
        for container_id in container_ids:
            self.known(container_id).last_turn = turn

    def amend(self, turn: PlacedTurn, amended: PlacedTurn) -> None:
        """Put one value in the place of another that stands for the same turn, with more of its files."""
        with self._lock:
            for known in self._known.values():
                known.last_turn = amended if known.last_turn is turn else known.last_turn

    def mark_saved(self, container_ids: Iterable[str], files: Iterable[Signature]) -> None:
        """Note that these files are saved: a later turn does not offer them again, unless they change."""
        files = tuple(files)
        with self._lock:
            for container_id in container_ids:
                self.known(container_id).saved.update(files)

    def unmark_saved(self, files: Iterable[Signature]) -> None:
        """Forget that these files are saved, to look at them once more."""
        files = tuple(files)
        with self._lock:
            for known in self._known.values():
                known.saved.difference_update(files)

    def known(self, container_id: str) -> KnownContainer:
        """What is known of a container; it is kept from here on."""
        with self._lock:
            return self._known.setdefault(container_id, KnownContainer())

    def _ours(self) -> list[str]:
        with self._lock:
            return [container_id for container_id, known in self._known.items() if not known.user_owned]

    def _pages(self, ask: Callable[[str | None], Reply]) -> list[Json]:
        """The rows of a listing, each once, however many pages it has."""
        rows: dict[str, Json] = {}
        after: str | None = None
        for _ in range(MAX_PAGES):
            page = ask(after).json()
            data, before = page.get("data"), len(rows)
            batch = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
            rows |= {name: row for row in batch if (name := text_of(row.get("id"))) not in rows}
            after = text_of(batch[-1].get("id")) if batch else ""
            # A proxy that drops `after` sends the first page again and again.
            if not page.get("has_more") or not after or len(rows) == before:
                break
        return list(rows.values())

    def _deleting(self, container_id: str) -> threading.Thread:
        """Delete a container in a thread of its own: a service that does not answer holds up neither cell nor exit."""
        with self._lock:
            self._known.pop(container_id, None)

        def delete() -> None:
            with contextlib.suppress(AssistantError):
                self._wire.delete_container(container_id).close()

        thread = threading.Thread(target=delete, name="ipython_assistant delete", daemon=True)
        thread.start()
        return thread
