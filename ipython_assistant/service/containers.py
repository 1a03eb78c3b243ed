"""The containers of one service: made, filled, listed, deleted; and whether a turn may go on in one."""

from __future__ import annotations

from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipython_assistant.core.artifacts import signature
from ipython_assistant.core.turn import objects_in, text_of
from ipython_assistant.errors import ContainerExpired, ServiceError
from ipython_assistant.service.background import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future

    from ipython_assistant.core.artifacts import Signature
    from ipython_assistant.core.conversation import PlacedTurn, Upload
    from ipython_assistant.core.request import ContainerPolicy
    from ipython_assistant.core.turn import Json
    from ipython_assistant.service.client import OnProgress, Reply, Wire

MAX_PAGES, MAX_ROWS = 100, 10_000
DELETE_WITHIN_S = 1.0
NAME = "ipython_assistant"  # the containers that are made here are known again by it


@dataclass(slots=True)
class KnownContainer:
    """A container as this session knows it: `paths` of uploads by (name, SHA-256), `uploads` by listing signature."""

    last_turn: PlacedTurn | None = None  # the last run here; None: cut off. Compared by `.turn`, which a retry keeps
    paths: dict[tuple[str, str], str] = field(default_factory=dict)
    saved: set[Signature] = field(default_factory=set)
    uploads: dict[Signature, str] = field(default_factory=dict)
    user_owned: bool = False  # it is not deleted here
    gone: bool = False


class Containers:
    """The containers of one service. May be used by several threads."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._known: dict[str, KnownContainer] = {}
        self._pool = Threads(32, "ipython_assistant delete")

    def known(self, container_id: str) -> KnownContainer:
        """What is known of a container, which is kept from here on."""
        return self._known.setdefault(container_id, KnownContainer())

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
        """Send the files that are not there yet; `on_progress` gets files done, files, bytes so far, bytes in all."""
        known = self.known(container_id)
        new = [upload for upload in uploads if (upload.name, upload.sha256) not in known.paths]
        sizes = [upload.path.stat().st_size for upload in new]
        for done, upload in enumerate(new):
            on_progress(done, len(new), sum(sizes[:done]), sum(sizes))
            row = self._wire.upload(container_id, upload.name, upload.path).json()
            known.paths[upload.name, upload.sha256] = text_of(row.get("path")) or f"/mnt/data/{upload.name}"
            known.uploads[signature(row)] = upload.name

    def file_rows(self, container_id: str) -> list[Json]:
        """The listing, all pages (at most `MAX_PAGES`, the newest files), oldest first. Raises `ServiceError`."""
        try:
            rows = _pages(lambda after: self._wire.list_files(container_id, after))
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

    def overview(self) -> list[tuple[str, str, bool]]:
        """What is listed and was made by this package, newest first: id, status, whether it is this session's."""
        ours, rows = self._ours(), _pages(self._wire.list_containers)
        made = [(text_of(row.get("id")), row) for row in rows if row.get("name") == NAME or row.get("id") in ours]
        return [(container_id, text_of(row.get("status")), container_id in ours) for container_id, row in made]

    def delete(self, container_id: str) -> None:
        """Delete a container: its files and variables are gone. Raises `ServiceError`."""
        self._wire.delete_container(container_id).close()
        self._known.pop(container_id, None)

    def delete_all(self) -> None:
        """Delete every container that was made for this session, as far as that is done in `DELETE_WITHIN_S`."""
        wait([self._deleting(container_id) for container_id in self._ours()], DELETE_WITHIN_S)
        self._pool.close()

    def delete_if_unused(self, turn: PlacedTurn | None) -> None:
        """Begin to delete the container of a turn that was replaced, if no other goes on in it: it costs money."""
        known = self._known.get(turn.container_id) if turn is not None and turn.service == self._wire.identity else None
        last = known.last_turn if known is not None and not known.user_owned else None
        if turn is not None and last is not None and last.turn is turn.turn:
            self._deleting(turn.container_id)

    def _ours(self) -> list[str]:
        return [container_id for container_id, known in list(self._known.items()) if not known.user_owned]

    def _deleting(self, container_id: str) -> Future[None]:
        """Begin to delete a container: a service that does not answer holds up neither the cell nor the exit."""
        self._known.pop(container_id, None)
        return self._pool.submit(self.delete, container_id)

    def may_continue(self, parent: PlacedTurn | None) -> bool:
        """Whether a turn may go on where `parent` ended: in its container, if nothing else ran there since."""
        if parent is None or parent.service != self._wire.identity:
            return False
        if not parent.container_id:
            return True
        known = self._known.get(parent.container_id, KnownContainer())
        turn = None if known.gone else known.last_turn
        while turn is not None and turn.turn is not parent.turn and not turn.turn.container_ids and not turn.uploads:
            # It only talked: the container is as the turn before had left it.
            turn = turn.before
        return turn is not None and turn.turn is parent.turn

    def mark_ran(self, container_ids: Iterable[str], turn: PlacedTurn | None) -> None:
        """Note which turn ran in these containers last; None is a turn that did not come to its end."""
        for container_id in container_ids:
            self.known(container_id).last_turn = turn

    def mark_saved(self, container_ids: Iterable[str], files: Sequence[Signature]) -> None:
        """Note that these files are saved: a later turn does not offer them again, unless they change."""
        for container_id in container_ids:
            self.known(container_id).saved.update(files)


def _pages(ask: Callable[[str | None], Reply]) -> list[Json]:
    """The rows of a listing, each once, however many pages it has."""
    rows: dict[str, Json] = {}
    after: str | None = None
    for _ in range(MAX_PAGES):
        page = ask(after).json()
        batch, before = objects_in(page.get("data")), len(rows)
        rows |= {name: row for row in batch if (name := text_of(row.get("id"))) not in rows}
        after = text_of(batch[-1].get("id")) if batch else ""
        # A proxy that drops `after` sends the first page again and again.
        if not page.get("has_more") or not after or len(rows) == before:
            break
    return list(rows.values())
