"""Where a turn runs and what it continues from; and what to do where a server cannot keep that promise.

A turn goes on in the container and by the id of the turn before it. Where the container is gone, or something else has
run in it, a new one gets everything the branch had there. A conversation that the server does not hold is told again
as messages. What a server cannot do is remembered for this connection and said once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipython_assistant.core.conversation import Upload, ancestors, as_messages
from ipython_assistant.core.request import ContainerPolicy, InputNote
from ipython_assistant.errors import ContainerExpired, Refused, ToolNotAllowed, TurnNotKept
from ipython_assistant.service.faults import CODE_HERE, service_error

if TYPE_CHECKING:
    from ipython_assistant.core.conversation import PlacedTurn
    from ipython_assistant.core.turn import Json, Turn
    from ipython_assistant.service.client import OnProgress, Wire
    from ipython_assistant.service.containers import Containers

RENEWED = "The conversation's container had expired, so a new one was made and its files were sent again."
RESENT = "The service had dropped the conversation, so it was sent again as messages."
KEEPS_NO_TURNS = "This server does not keep conversations, so earlier messages are sent with each question."
NAMES_NO_CONTAINERS = "This server does not let a question name its container, so it chooses one for each turn."
_NOT_THERE = {404, 405, 501}


@dataclass(frozen=True, slots=True)
class TurnBase:
    """Where a turn runs (None: where the service chooses) and what it continues from: a response, or its `history`."""

    container_id: str | None = None
    previous_response_id: str | None = None
    history: tuple[tuple[str, str], ...] = ()
    inputs: tuple[InputNote, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerNeeds:
    """What a turn needs: `container_id` is one that the user named; `held`: the service keeps the conversation."""

    parent: PlacedTurn | None
    uploads: tuple[Upload, ...]
    policy: ContainerPolicy
    container_id: str | None = None
    held: bool = True
    code: bool = True
    on_progress: OnProgress = lambda *_counts: None


class TurnBases:
    """Finds the base of each turn at one service, which can do everything until it shows otherwise."""

    def __init__(self, wire: Wire, containers: Containers) -> None:
        self._wire, self._containers = wire, containers
        self.keeps_turns = self.names_containers = True

    def find(self, needs: ContainerNeeds, told: tuple[str, ...] = ()) -> TurnBase:
        """Choose and fill a turn's container, and give the base; `told` are notes so far. Raises `ServiceError`."""
        parent, new, container_id, notes = needs.parent, needs.uploads, needs.container_id, told
        goes_on = container_id is not None or self._containers.may_continue(parent)
        if container_id is not None:
            self._containers.known(container_id).user_owned = True
        elif goes_on and parent is not None:
            container_id = parent.container_id or None
        elif needs.code:
            new, more = _in_a_new_container(needs)
            notes += more
        inputs: tuple[InputNote, ...] = ()
        if not self.names_containers:
            container_id = None
            if needs.code and needs.uploads:
                says = "This server does not let a question name its container, so its code cannot read inputs."
                raise ToolNotAllowed(says, CODE_HERE)
        elif needs.code and (container_id or new):
            try:
                container_id = container_id or self._containers.create(needs.policy)
                self._containers.put(container_id, new, needs.on_progress)
            except Refused as error:
                if isinstance(error, ContainerExpired) and container_id and not (needs.container_id or RENEWED in told):
                    self._containers.known(container_id).gone = True
                    return self.find(needs, (*told, RENEWED))
                if container_id is not None or error.status not in _NOT_THERE:
                    raise
                self.names_containers = False
                return self.find(needs, (*told, NAMES_NO_CONTAINERS))
            # Instructions do not carry over, so the inputs of earlier turns are named again.
            named = {upload.name: upload for turn in ancestors(parent) for upload in turn.uploads}
            named |= {upload.name: upload for upload in new}
            paths = self._containers.known(container_id).paths
            there = [(paths.get((it.name, it.sha256)), it) for it in named.values()]
            inputs = tuple(InputNote(path, it.description, named=it in needs.uploads) for path, it in there if path)
        is_held = goes_on and needs.held and self.keeps_turns
        previous = parent.turn.response_id if is_held and parent and parent.service == self._wire.identity else ""
        history = () if previous else as_messages(parent)
        return TurnBase(container_id, previous or None, history, inputs, notes)

    def instead(self, needs: ContainerNeeds, base: TurnBase, error: Refused) -> TurnBase:
        """Another base for a turn that the service refused on `base`. Raises the error where every kind was tried."""
        if isinstance(error, TurnNotKept) and base.previous_response_id is not None:
            dropped = error.code == "previous_response_not_found"
            self.keeps_turns = self.keeps_turns and dropped
            return self.find(replace(needs, held=False), (*base.notes, RESENT if dropped else KEEPS_NO_TURNS))
        if not isinstance(error, ContainerExpired) or RENEWED in base.notes:
            raise error
        if needs.container_id is not None:
            raise type(error)(error.message, "Name another container, or leave out --container.", status=error.status)
        unknown = "not found" in error.message or "too long" in error.message
        if unknown and base.container_id is not None and self._containers.is_there(base.container_id):
            # A gateway may hand out ids of its own making and not know them again in a question.
            self.names_containers = False
            return self.find(needs, (*base.notes, NAMES_NO_CONTAINERS))
        if gone := base.container_id or (needs.parent.container_id if needs.parent is not None else ""):
            self._containers.known(gone).gone = True
        return self.find(replace(needs, held=False), (*base.notes, RENEWED))


def check_kept(request: Json, event: Json) -> None:
    """Raise `TurnNotKept` where a response says that it continues from nothing: some servers ignore the name."""
    response = event.get("response")
    ignored = isinstance(response, dict) and not response.get("previous_response_id", True)
    if ignored and request.get("previous_response_id"):
        raise TurnNotKept("The service ignored the conversation.", "Ask again: it is told as messages.")


def lost_base(turn: Turn, service: str) -> Refused | None:
    """The error of a turn whose container or conversation was gone, so that no code ran and it may be asked again."""
    if turn.failure is None or any(step.outputs for step in turn.steps):
        return None
    error = service_error(turn.failure.code, turn.failure.message, service=service)
    return error if isinstance(error, ContainerExpired | TurnNotKept) else None


def left_behind(parent: PlacedTurn | None) -> list[Upload]:
    """What the branch had in its container: the inputs of its turns, and the files they made."""
    uploads: list[Upload] = []
    for turn in ancestors(parent):
        made = (Upload(it.own_name, it.path, it.sha256, "made earlier in this conversation") for it in turn.artifacts)
        uploads += (*turn.uploads, *made)
    return uploads


def _in_a_new_container(needs: ContainerNeeds) -> tuple[tuple[Upload, ...], tuple[str, ...]]:
    """What a new container gets: everything that the branch had in its own, as it is on disk now; and notes on it."""
    everything = {upload.name: upload for upload in (*left_behind(needs.parent), *needs.uploads)}
    there = tuple(upload for upload in everything.values() if upload.path.is_file())
    lost = [upload.name for upload in everything.values() if upload not in there]
    changed = [upload.name for upload in there if upload not in needs.uploads and _is_changed(upload)]
    notes = (f"No longer on disk, so not sent again: {', '.join(lost)}.",) if lost else ()
    return there, notes + ((f"Changed on disk, so sent again as it is now: {', '.join(changed)}.",) if changed else ())


def _is_changed(upload: Upload) -> bool:
    with upload.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() != upload.sha256
