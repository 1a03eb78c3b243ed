"""The tree of turns: what a new turn continues from.

A cell gets its place in a conversation when it first runs: after the cell that ran last, whose present turn it
continues from. Running it again replaces its turn and keeps its place. A cell without an id from the front end gets a
new place at every run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.turn import Turn


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a container needs, and what the model is told about it.

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
    """A turn that has ended, in its place in a conversation; a session keeps every one, so `turn` is without pictures.

    `service` names who answered down to the engine process, since a turn never continues elsewhere by id; `provider` is
    its short name. The key of a turn that continues from this one depends on `digest`.
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


class _Place(NamedTuple):
    """A cell's place: its conversation, the cell that it follows (None at the start), and its present turn."""

    conversation: str
    follows: str | None
    turn: PlacedTurn


@dataclass(frozen=True, slots=True)
class Conversations:
    """All conversations of one session, by name: the notebook's own has the empty one. Changed by replacement alone.

    `places` are by cell, in the order in which the cells first ran; `latest` is the cell that a new one follows, by
    conversation. `turns` are all, each with its cell, in the order in which they ended, replaced and cut ones too;
    `last` is the one that came to its end last.
    """

    places: Mapping[str, _Place] = field(default_factory=dict)
    latest: Mapping[str, str | None] = field(default_factory=dict)
    turns: tuple[tuple[str, PlacedTurn], ...] = ()
    last: PlacedTurn | None = None

    @property
    def by_name(self) -> dict[str, list[tuple[str, PlacedTurn]]]:
        """The cells and their present turns, by conversation."""
        found: dict[str, list[tuple[str, PlacedTurn]]] = {}
        for cell, place in self.places.items():
            found.setdefault(place.conversation, []).append((cell, place.turn))
        return found

    @property
    def outside(self) -> tuple[tuple[str, PlacedTurn], ...]:
        """The last turns of cells that are in no conversation: turns that were cut, and questions that code asked."""
        return tuple((cell, turn) for cell, turn in dict(self.turns).items() if self.present(cell) is not turn)

    def parent(self, name: str, cell: str) -> PlacedTurn | None:
        """The turn that a question asked in `cell` continues from; None at the start of the conversation."""
        place = self.places.get(cell)
        follows = place.follows if place and place.conversation == name else self.latest.get(name)
        return self.present(follows) if follows is not None else None

    def present(self, cell: str) -> PlacedTurn | None:
        """The cell's own turn, in whichever conversation."""
        place = self.places.get(cell)
        return place.turn if place else None

    def with_turn(self, name: str | None, cell: str, turn: PlacedTurn) -> Conversations:
        """The conversations after `turn` ended in `cell`, which leaves the one it was in; None is outside of all."""
        places, latest = dict(self.places), dict(self.latest)
        here = places.get(cell)
        if here is not None and here.conversation != name:
            del places[cell]
            places = {it: at._replace(follows=here.follows) if at.follows == cell else at for it, at in places.items()}
            latest = {it: here.follows if at == cell else at for it, at in latest.items()}
            here = None
        if name is not None:
            # A turn that continues from nothing leaves the place as it is: the cell may be asked without `--new` again.
            places[cell] = _Place(name, here.follows if here else latest.get(name), turn)
            latest[name] = cell
        return Conversations(places, latest, (*self.turns, (cell, turn)), turn)

    def with_cut_turn(self, cell: str, turn: PlacedTurn) -> Conversations:
        """The conversations after a turn that did not come to its end: it was paid for, nothing continues from it."""
        return replace(self, turns=(*self.turns, (cell, turn)))

    def amended(self, turn: PlacedTurn, amended: PlacedTurn) -> Conversations:
        """The conversations with `amended` in place of `turn`: the same turn, but with more of its files."""
        places = {cell: it._replace(turn=amended) if it.turn is turn else it for cell, it in self.places.items()}
        turns = tuple((cell, amended if old is turn else old) for cell, old in self.turns)
        return replace(self, places=places, turns=turns, last=amended if self.last is turn else self.last)

    def begun_anew(self, name: str) -> Conversations:
        """The conversations, with the next turn of this one continuing from nothing."""
        return replace(self, latest={**self.latest, name: None})


def ancestors(turn: PlacedTurn | None) -> tuple[PlacedTurn, ...]:
    """The turns from the start of the conversation to this one, this one included."""
    turns: list[PlacedTurn] = []
    while turn is not None:
        turns.append(turn)
        turn = turn.before
    return tuple(reversed(turns))


def as_messages(turn: PlacedTurn | None) -> tuple[tuple[str, str], ...]:
    """The conversation as plain messages, each its role and its text, for a service that does not hold it.

    Without the `code_interpreter_call` items: they name a container, and a container that is gone makes the whole
    conversation unanswerable (https://github.com/pydantic/pydantic-ai/issues/7461).
    """
    said = (part for it in ancestors(turn) for part in (("user", it.prompt), ("assistant", it.turn.text)))
    return tuple((role, text) for role, text in said if text)
