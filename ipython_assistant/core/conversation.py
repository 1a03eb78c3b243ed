"""The tree of turns: what a new turn continues from.

A cell has a place in a conversation. It continues from the present turn of the cell that ran last before it when it
first ran; running it again replaces its own turn and leaves its place where it was. A cell that the front end gives
no id has a new place at every run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from ipython_assistant.core.request import PastMessage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.turn import Turn


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a container needs: its own name, where it is on disk, and what the model is told about it.

    `logical` is the hash of what it holds, where not only its bytes count; `source` the variable or path it was made
    of, as the user wrote it, empty for a file of an earlier turn.
    """

    name: str
    path: Path
    sha256: str
    description: str
    logical: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class PlacedTurn:
    """A turn that has ended, in its place in a conversation.

    A session keeps every one of them, so each is small: `turn` is without what code printed and showed. `service` names
    who answered down to the engine process, since a turn never continues elsewhere by id; `provider` is its short name.
    The key of a turn that continues from this one depends on `digest`. `ended` is when its files were on disk.
    """

    prompt: str
    turn: Turn
    service: str
    container_id: str = ""
    uploads: tuple[Upload, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    before: PlacedTurn | None = None
    digest: str = ""
    provider: str = ""
    model: str = ""
    status: str = "completed"
    memory: str = ""
    replayed: bool = False
    began: datetime | None = None
    ended: datetime | None = None


class _CellPlace(NamedTuple):
    """A cell's present turn, and the cell that it follows; None at the start of a conversation."""

    follows: str | None
    turn: PlacedTurn


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns so far. Values only change by replacement: `conversation = conversation.with_turn(...)`."""

    places: Mapping[str, _CellPlace] = field(default_factory=dict)
    """By cell, in the order in which the cells first ran."""
    latest: str | None = None

    def parent(self, cell: str) -> PlacedTurn | None:
        """The turn that a question asked in `cell` continues from; None at the start of the conversation."""
        place = self.places.get(cell)
        follows = place.follows if place else self.latest
        return self.present(follows) if follows is not None else None

    def present(self, cell: str) -> PlacedTurn | None:
        """The cell's own turn, if it has run."""
        place = self.places.get(cell)
        return place.turn if place else None

    @property
    def turns(self) -> tuple[tuple[str, PlacedTurn], ...]:
        """The cells and their present turns, in the order in which the cells first ran."""
        return tuple((cell, place.turn) for cell, place in self.places.items())

    def with_turn(self, cell: str, turn: PlacedTurn) -> Conversation:
        """The conversation after `turn` ended in `cell`.

        A turn that continues from nothing, though its cell's place is not at the start, leaves the place as it is: the
        cell may be asked without `--new` again.
        """
        place = self.places.get(cell)
        return Conversation({**self.places, cell: _CellPlace(place.follows if place else self.latest, turn)}, cell)

    def without(self, cell: str) -> Conversation:
        """The conversation without a cell that now belongs to another one; what followed it follows its predecessor."""
        gone = self.places.get(cell)
        if gone is None:
            return self
        places = {
            name: place._replace(follows=gone.follows) if place.follows == cell else place
            for name, place in self.places.items()
            if name != cell
        }
        return Conversation(places, gone.follows if self.latest == cell else self.latest)


@dataclass(frozen=True, slots=True)
class Conversations:
    """All conversations of one session, by name: the notebook's own has the empty one. A value, like each of them.

    `turns` are all, each with its cell, in the order in which they ended, replaced and cut ones too; `last` is the one
    that came to its end last.
    """

    by_name: Mapping[str, Conversation] = field(default_factory=dict)
    turns: tuple[tuple[str, PlacedTurn], ...] = ()
    last: PlacedTurn | None = None

    def named(self, name: str) -> Conversation:
        """The conversation of this name; an empty one where nothing was said in it."""
        return self.by_name.get(name, Conversation())

    @property
    def outside(self) -> tuple[tuple[str, PlacedTurn], ...]:
        """The last turns of cells that are in no conversation: turns that were cut, and questions that code asked."""
        placed = {id(turn) for conversation in self.by_name.values() for _, turn in conversation.turns}
        return tuple((cell, turn) for cell, turn in dict(self.turns).items() if id(turn) not in placed)

    def present(self, cell: str) -> PlacedTurn | None:
        """The cell's own turn, in whichever conversation."""
        found = (conversation.present(cell) for conversation in self.by_name.values())
        return next((turn for turn in found if turn is not None), None)

    def with_turn(self, name: str | None, cell: str, turn: PlacedTurn) -> Conversations:
        """The conversations after `turn` ended in `cell`; a name of None is outside every conversation.

        A cell has one place: where it now belongs to another conversation, it leaves the one it was in.
        """
        by_name = {other: value if other == name else value.without(cell) for other, value in self.by_name.items()}
        if name is not None:
            by_name[name] = self.named(name).with_turn(cell, turn)
        return Conversations(by_name, (*self.turns, (cell, turn)), turn)

    def with_cut_turn(self, cell: str, turn: PlacedTurn) -> Conversations:
        """The conversations after a turn that did not come to its end: it was paid for, nothing continues from it."""
        return replace(self, turns=(*self.turns, (cell, turn)))

    def amended(self, turn: PlacedTurn, amended: PlacedTurn) -> Conversations:
        """The conversations with one value in the place of another that stands for the same turn."""
        by_name = {}
        for name, conversation in self.by_name.items():
            places = conversation.places.items()
            changed = {cell: it._replace(turn=amended) if it.turn is turn else it for cell, it in places}
            by_name[name] = replace(conversation, places=changed)
        turns = tuple((cell, amended if old is turn else old) for cell, old in self.turns)
        return Conversations(by_name, turns, amended if self.last is turn else self.last)

    def begun_anew(self, name: str) -> Conversations:
        """The conversations, with the next turn of this one continuing from nothing."""
        return replace(self, by_name={**self.by_name, name: replace(self.named(name), latest=None)})


def ancestors(turn: PlacedTurn | None) -> tuple[PlacedTurn, ...]:
    """The turns from the start of the conversation to this one, this one included."""
    turns: list[PlacedTurn] = []
    while turn is not None:
        turns.append(turn)
        turn = turn.before
    return tuple(reversed(turns))


def as_messages(turn: PlacedTurn | None) -> tuple[PastMessage, ...]:
    """The conversation as plain messages, for a service that does not hold it.

    Without the `code_interpreter_call` items: they name a container, and a container that is gone makes the whole
    conversation unanswerable (https://github.com/pydantic/pydantic-ai/issues/7461).
    """
    return tuple(
        message
        for past in ancestors(turn)
        for message in (PastMessage("user", past.prompt), PastMessage("assistant", past.turn.text))
        if message.text
    )
