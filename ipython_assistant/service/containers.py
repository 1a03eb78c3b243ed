"""Containers: create, upload, list. A container belongs to a branch of the conversation."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ipython_assistant.core.artifacts import signature
from ipython_assistant.core.conversation import PlacedTurn, Upload, ancestors, as_messages
from ipython_assistant.core.request import ContainerPolicy, InputNote, PastMessage
from ipython_assistant.errors import AssistantError, InputError, Refused, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipython_assistant.core.artifacts import Signature
    from ipython_assistant.core.turn import Json
    from ipython_assistant.service.wire import Wire

MOST_PAGES = 100
DELETE_WITHIN_S = 1.0
NAME = "ipython_assistant"
"""The name of the containers that are made here, by which they are known again."""
RENEWED = "The conversation's container had expired: a new one was made and its files were sent again."
TOLD_AGAIN = "The service no longer held the conversation: it was told again, as messages."


@dataclass(frozen=True, slots=True)
class Footing:
    """Where a turn runs and what it continues from.

    Attributes:
        container_id: The container to run in; None lets the service make one, or reuse the conversation's.
        previous_response_id: The response to continue from, where the service holds it.
        history: The conversation as messages, where it does not.
        inputs: The files in the container that the model is told about.
        notes: What the reader should know, in plain sentences.
    """

    container_id: str | None = None
    previous_response_id: str | None = None
    history: tuple[PastMessage, ...] = ()
    inputs: tuple[InputNote, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ground:
    """What a turn needs under its feet.

    Attributes:
        parent: The step it continues from.
        uploads: The inputs it adds.
        policy: What a new container is to be like.
        container_id: The container that the user named; None for the conversation's.
        held: Whether the service keeps the conversation.
        code: Whether code may run.
        most_bytes: More than this is not sent again unasked; None for any amount.
    """

    parent: PlacedTurn | None
    uploads: tuple[Upload, ...]
    policy: ContainerPolicy
    container_id: str | None = None
    held: bool = True
    code: bool = True
    most_bytes: int | None = None


@dataclass(slots=True)
class _Life:
    """What is known of one container."""

    last_step: PlacedTurn | None = None
    paths: dict[tuple[str, str], str] = field(default_factory=dict)
    """(name, sha256) of an upload → its path in the container."""
    seen: set[Signature] = field(default_factory=set)
    """The files that earlier turns have already brought home."""
    sent: dict[Signature, str] = field(default_factory=dict)
    """The uploads, as they were when they were sent → their own names."""
    given: bool = False
    """Whether the user named it: then it is somebody's own, and is deleted only where he names it again."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A container as the service lists it."""

    container_id: str
    status: str
    ours: bool
    """Whether it was made for this session, and nobody but it needs it."""


class Containers:
    """The containers of one service: what is in each, and which turn ran there last.

    A turn may only go on in the container of its parent if nothing else has run there since; otherwise it would find
    files that, for it, do not exist. It then gets a fresh one, with everything its branch had put there sent again
    from disk.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._lives: dict[str, _Life] = {}

    def footing(self, asked: Ground) -> Footing:
        """Make everything ready for a turn."""
        parent = asked.parent
        if asked.container_id is not None:
            return self._on_given_ground(asked)
        if not self._may_continue(parent):
            return self.fresh_footing(asked)
        assert parent is not None  # noqa: S101 for the type checker: `_may_continue` has seen it
        if not asked.code:
            return self._told(asked) if not asked.held else Footing(previous_response_id=parent.turn.response_id)
        try:
            container_id = self._with_uploads(parent.container_id or None, asked.uploads, asked.policy)
        except Refused:
            return self.fresh_footing(asked, notes=(RENEWED,))
        # Instructions do not carry over from one response to the next, so earlier inputs are named again.
        inputs = {upload.name: upload for step in ancestors(parent) for upload in step.uploads}
        inputs |= {upload.name: upload for upload in asked.uploads}
        footing = Footing(container_id, inputs=self._notes(container_id, inputs.values(), asked.uploads))
        if asked.held:
            return replace(footing, previous_response_id=parent.turn.response_id)
        return replace(footing, history=as_messages(parent))

    def fresh_footing(self, asked: Ground, notes: tuple[str, ...] = ()) -> Footing:
        """The same in a new container, telling the conversation as plain messages."""
        if not asked.code:
            return self._told(asked, notes)
        everything = {upload.name: upload for upload in (*left_behind(asked.parent), *asked.uploads)}
        there = tuple(upload for upload in everything.values() if upload.path.is_file())
        _check_size(there, asked)
        gone = [upload.name for upload in everything.values() if upload not in there]
        if gone:
            notes = (*notes, f"Gone from disk, so not sent again: {', '.join(gone)}.")
        changed = [upload.name for upload in there if upload not in asked.uploads and _sha256(upload) != upload.sha256]
        if changed:
            notes = (*notes, f"Changed since, so sent again as it is now: {', '.join(changed)}.")
        container_id = self._with_uploads(None, there, asked.policy)
        inputs = self._notes(container_id, there, asked.uploads)
        return Footing(container_id, history=as_messages(asked.parent), inputs=inputs, notes=notes)

    def _told(self, asked: Ground, notes: tuple[str, ...] = ()) -> Footing:
        """Without a container, telling the conversation as plain messages."""
        return Footing(history=as_messages(asked.parent), notes=notes)

    def _on_given_ground(self, asked: Ground) -> Footing:
        """In the container that the user named."""
        if asked.container_id is not None:
            self._lives.setdefault(asked.container_id, _Life()).given = True
        container_id = self._with_uploads(asked.container_id, asked.uploads, asked.policy)
        footing = Footing(container_id, inputs=self._notes(container_id, asked.uploads, asked.uploads))
        if asked.parent is not None and asked.parent.service == self._wire.identity and asked.held:
            return replace(footing, previous_response_id=asked.parent.turn.response_id)
        return replace(footing, history=as_messages(asked.parent))

    def file_rows(self, container_id: str) -> list[Json]:
        """The container's listing, all pages.

        Raises:
            ServiceError: The listing cannot be had.
        """
        rows: list[Json] = []
        ids: set[str] = set()
        after: str | None = None
        for _ in range(MOST_PAGES):
            page = self._wire.list_files(container_id, after).json()
            batch = [row for row in page.get("data") or [] if isinstance(row, dict)]
            new = [row for row in batch if str(row.get("id") or "") not in ids]
            ids.update(str(row.get("id") or "") for row in new)
            rows += [{**row, "container_id": row.get("container_id") or container_id} for row in new]
            after = str(batch[-1].get("id") or "") if batch else ""
            # A proxy that drops `after` sends the first page again and again.
            if not page.get("has_more") or not after or not new:
                return rows
        raise ServiceError(f"The listing of container {container_id} does not end.")

    def seen(self, container_id: str) -> frozenset[Signature]:
        """The files that earlier turns have already brought home."""
        return frozenset(self._lives[container_id].seen) if container_id in self._lives else frozenset()

    def sent(self, container_id: str) -> dict[Signature, str]:
        """The user's own uploads, as they were when they were sent → their own names."""
        return dict(self._lives[container_id].sent) if container_id in self._lives else {}

    def overview(self) -> tuple[Overview, ...]:
        """The containers the service lists that were made here or used by this session, newest first.

        Raises:
            ServiceError: The list cannot be had.
        """
        found: list[Overview] = []
        after: str | None = None
        for _ in range(MOST_PAGES):
            page = self._wire.list_containers(after).json()
            batch = [row for row in page.get("data") or [] if isinstance(row, dict)]
            for row in batch:
                container_id = str(row.get("id") or "")
                ours = container_id in self._lives and not self._lives[container_id].given
                if ours or row.get("name") == NAME:
                    found.append(Overview(container_id, str(row.get("status") or ""), ours))
            after = str(batch[-1].get("id") or "") if batch else ""
            if not page.get("has_more") or not after:
                break
        return tuple(found)

    def delete(self, container_id: str) -> None:
        """Delete a container: its files and variables are gone.

        Raises:
            ServiceError: The service did not.
        """
        self._wire.delete_container(container_id).close()
        self._lives.pop(container_id, None)

    def delete_all(self) -> None:
        """Delete every container that was made for this session, as far as that is done in `DELETE_WITHIN_S`."""
        ours = [container_id for container_id, life in self._lives.items() if not life.given]
        self._delete_within(ours, DELETE_WITHIN_S)

    def _delete_within(self, container_ids: list[str], within_s: float) -> None:
        """Delete them at the same time; nobody waits longer than this for a service that does not answer."""
        threads = [
            threading.Thread(target=self._try_to_delete, args=(container_id,), daemon=True)
            for container_id in container_ids
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + within_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def ran(self, container_ids: Iterable[str], step: PlacedTurn | None) -> None:
        """Note who ran in these containers last; `step` is None where the turn did not come to its end."""
        for container_id in container_ids:
            self._lives.setdefault(container_id, _Life()).last_step = step

    def amend(self, step: PlacedTurn, amended: PlacedTurn) -> None:
        """Take one step for the other: it is the same turn, with more files."""
        for life in self._lives.values():
            life.last_step = amended if life.last_step is step else life.last_step

    def see(self, container_ids: Iterable[str], files: Iterable[Signature]) -> None:
        """Note that these files are home: a later turn does not offer them again, unless they change."""
        for container_id in container_ids:
            self._lives.setdefault(container_id, _Life()).seen.update(files)

    def unsee(self, files: Iterable[Signature]) -> None:
        """Take that back, to look at them once more."""
        for life in self._lives.values():
            life.seen.difference_update(files)

    def let_go(self, step: PlacedTurn | None) -> None:
        """Delete the container of a step that was replaced, if nothing else goes on in it.

        A container that nobody needs costs money at a hosted service and memory here. That it could not be deleted is
        no news to anybody: it expires by itself.
        """
        life = self._lives.get(step.container_id) if step is not None and step.service == self._wire.identity else None
        if step is None or life is None or life.given or life.last_step is not step:
            return
        self._delete_within([step.container_id], DELETE_WITHIN_S)

    def _try_to_delete(self, container_id: str) -> None:
        self._lives.pop(container_id, None)
        with contextlib.suppress(AssistantError):
            self._wire.delete_container(container_id).close()

    def _may_continue(self, parent: PlacedTurn | None) -> bool:
        if parent is None or parent.service != self._wire.identity:
            return False
        if not parent.container_id:
            return True
        life = self._lives.get(parent.container_id)
        step = life.last_step if life is not None else None
        while step is not None and step is not parent and not step.turn.container_ids and not step.uploads:
            # It only talked: the container is as the step before had left it.
            step = step.before
        return step is parent

    def _with_uploads(
        self, container_id: str | None, uploads: tuple[Upload, ...], policy: ContainerPolicy
    ) -> str | None:
        """The container with the files in it; one is made only where there is something to put into it."""
        if container_id is None and uploads:
            expiry = {"anchor": "last_active_at", "minutes": policy.minutes}
            body: Json = {"name": NAME, "expires_after": expiry, **policy.body()}
            container_id = str(self._wire.create_container(body).json()["id"])
        if container_id is None:
            return None
        life = self._lives.setdefault(container_id, _Life())
        for upload in uploads:
            if (upload.name, upload.sha256) not in life.paths:
                row = self._wire.upload(container_id, upload.name, upload.path).json()
                life.paths[upload.name, upload.sha256] = str(row.get("path") or f"/mnt/data/{upload.name}")
                life.sent[signature(row)] = upload.name
        return container_id

    def _notes(
        self, container_id: str | None, uploads: Iterable[Upload], named: tuple[Upload, ...]
    ) -> tuple[InputNote, ...]:
        """What the model is told of the files in a container, of which some were named with the question."""
        paths = self._lives[container_id].paths if container_id in self._lives else {}
        return tuple(
            InputNote(paths[upload.name, upload.sha256], upload.description, named=upload in named)
            for upload in uploads
            if (upload.name, upload.sha256) in paths
        )


def _check_size(uploads: tuple[Upload, ...], asked: Ground) -> None:
    """What is sent again counts like what is sent first. What came with the question has been looked at."""
    size = sum(upload.path.stat().st_size for upload in uploads)
    if asked.most_bytes is None or size <= asked.most_bytes or set(uploads) <= set(asked.uploads):
        return
    listed = "\n".join(f"  {upload.name}: {upload.path.stat().st_size:,} bytes" for upload in uploads)
    raise InputError(
        f"The conversation goes on in a new container, and its files are {size:,} bytes together;"
        f" without asking at most {asked.most_bytes:,} are sent.",
        f"Write --yes on the first line to send them again, or --new to go on without them.\n{listed}",
    )


def _sha256(upload: Upload) -> str:
    with upload.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def left_behind(parent: PlacedTurn | None) -> list[Upload]:
    """What the branch had in its container: the inputs of its turns, and the files they made."""
    uploads: list[Upload] = []
    for step in ancestors(parent):
        uploads += step.uploads
        uploads += [
            Upload(artifact.own_name, artifact.path, artifact.sha256, "made earlier in this conversation")
            for artifact in step.artifacts
        ]
    return uploads
