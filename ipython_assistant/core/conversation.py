"""The tree of turns: what a new turn continues from.

A cell has a place in a conversation. It continues from the present turn of the cell that ran last before it when it
first ran; running it again replaces its own turn and leaves its place where it was. A cell that the front end gives
no id has a new place at every run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ipython_assistant.core.request import PastMessage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.turn import Turn


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a container needs.

    Attributes:
        name: Its own name.
        path: Where it is on disk.
        sha256: Of its bytes.
        description: What the model is told of it.
        logical: The hash of what it holds; empty where only its bytes count.
        source: The variable or path it was made of, as the user wrote it; empty for a file of an earlier turn.
    """

    name: str
    path: Path
    sha256: str
    description: str
    logical: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A turn in its place.

    Attributes:
        prompt: What the user asked.
        turn: What came back.
        service: Which service answered, down to the engine process: a turn never continues elsewhere by id.
        container_id: The container it ran in; empty where no code ran.
        uploads: The inputs this turn added.
        artifacts: The files it left on disk.
        before: The step it continued from.
        digest: Of its recording: what a turn that continues from it depends on.
        provider: The service by its short name, such as `openai`.
        model: The model that was asked, by the service's own word where it gave one.
        status: The answer's.
        memory: What its container was made with; empty for the service's default.
        replayed: Whether it came from a recording.
        began: When it was asked.
        ended: When its files were on disk.
    """

    prompt: str
    turn: Turn
    service: str
    container_id: str = ""
    uploads: tuple[Upload, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    before: Step | None = None
    digest: str = ""
    provider: str = ""
    model: str = ""
    status: str = "completed"
    memory: str = ""
    replayed: bool = False
    began: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    cell: str
    follows: str | None
    step: Step


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns so far. Values only change by replacement: `conversation = conversation.with_step(...)`."""

    places: tuple[_Place, ...] = ()
    latest: str | None = None

    def parent(self, cell: str) -> Step | None:
        """The step that a turn asked in `cell` continues from; None at the start of the conversation."""
        place = self._place(cell)
        follows = place.follows if place else self.latest
        before = self._place(follows) if follows is not None else None
        return before.step if before else None

    def present(self, cell: str) -> Step | None:
        """The cell's own turn, if it has run."""
        place = self._place(cell)
        return place.step if place else None

    @property
    def steps(self) -> tuple[tuple[str, Step], ...]:
        """The cells and their present turns, in the order in which the cells first ran."""
        return tuple((place.cell, place.step) for place in self.places)

    def with_step(self, cell: str, step: Step) -> Conversation:
        """The conversation after `cell` ran and `step` came of it.

        A step that continues from nothing, though its cell's place is not at the start, leaves the place as it is: the
        cell may be asked without `--new` again.
        """
        place = self._place(cell)
        new = _Place(cell, place.follows if place else self.latest, step)
        places = tuple(new if old.cell == cell else old for old in self.places)
        return replace(self, places=places if place else (*places, new), latest=cell)

    def without(self, cell: str) -> Conversation:
        """The conversation without a cell that now belongs to another one; what followed it follows its predecessor."""
        gone = self._place(cell)
        if gone is None:
            return self
        places = tuple(
            replace(place, follows=gone.follows) if place.follows == cell else place
            for place in self.places
            if place is not gone
        )
        return Conversation(places, gone.follows if self.latest == cell else self.latest)

    def amended(self, step: Step, amended: Step) -> Conversation:
        """The conversation with a step in the place of another, which is the same turn."""
        places = tuple(replace(place, step=amended) if place.step is step else place for place in self.places)
        return replace(self, places=places)

    def _place(self, cell: str) -> _Place | None:
        return next((place for place in self.places if place.cell == cell), None)


@dataclass(frozen=True, slots=True)
class Conversations:
    """All conversations of one session. A value, like each of them.

    Attributes:
        by_name: The conversations; the notebook's own has the empty name.
        steps: Every turn with its cell, in the order in which they ended, replaced and cut ones too.
        last: The turn that came to its end last.
    """

    by_name: Mapping[str, Conversation] = field(default_factory=dict)
    steps: tuple[tuple[str, Step], ...] = ()
    last: Step | None = None

    def named(self, name: str) -> Conversation:
        """The conversation of this name; an empty one where nothing was said in it."""
        return self.by_name.get(name, Conversation())

    @property
    def outside(self) -> tuple[tuple[str, Step], ...]:
        """The last turns of cells that have no place for them: what was cut, and what code asked by itself."""
        placed = {id(step) for talk in self.by_name.values() for _, step in talk.steps}
        return tuple((cell, step) for cell, step in dict(self.steps).items() if id(step) not in placed)

    def present(self, cell: str) -> Step | None:
        """The cell's own turn, in whichever conversation."""
        return next((step for talk in self.by_name.values() if (step := talk.present(cell)) is not None), None)

    def with_step(self, name: str | None, cell: str, step: Step) -> Conversations:
        """After `cell` ran and `step` came of it; a name of None is outside every conversation.

        A cell has one place: where it now belongs to another conversation, it leaves the one it was in.
        """
        talks = {other: talk if other == name else talk.without(cell) for other, talk in self.by_name.items()}
        if name is not None:
            talks[name] = self.named(name).with_step(cell, step)
        return Conversations(talks, (*self.steps, (cell, step)), step)

    def with_cut(self, cell: str, step: Step) -> Conversations:
        """After a turn of `cell` that did not come to its end: it was paid for, and nothing goes on from it."""
        return replace(self, steps=(*self.steps, (cell, step)))

    def amended(self, step: Step, amended: Step) -> Conversations:
        """With a step in the place of another, which is the same turn."""
        talks = {name: talk.amended(step, amended) for name, talk in self.by_name.items()}
        steps = tuple((cell, amended if old is step else old) for cell, old in self.steps)
        return Conversations(talks, steps, amended if self.last is step else self.last)

    def begun_anew(self, name: str) -> Conversations:
        """With a conversation whose next turn continues from nothing."""
        return replace(self, by_name={**self.by_name, name: replace(self.named(name), latest=None)})

    def names_in_use(self, cell: str, folder: Path) -> frozenset[str]:
        """Names of the files in `folder` that the present turns of other cells show."""
        others = (step for talk in self.by_name.values() for other, step in talk.steps if other != cell)
        paths = (artifact.path for step in others for artifact in step.artifacts)
        return frozenset(path.name for path in paths if path.parent == folder)


def line_of(step: Step | None) -> tuple[Step, ...]:
    """The steps from the start of the conversation to this one."""
    steps: list[Step] = []
    while step is not None:
        steps.append(step)
        step = step.before
    return tuple(reversed(steps))


def as_messages(step: Step | None) -> tuple[PastMessage, ...]:
    """The conversation as plain messages, for a service that does not hold it.

    Without the `code_interpreter_call` items: they name a container, and a container that is gone makes the whole
    conversation unanswerable (https://github.com/pydantic/pydantic-ai/issues/7461).
    """
    return tuple(
        message
        for past in line_of(step)
        for message in (PastMessage("user", past.prompt), PastMessage("assistant", past.turn.text))
        if message.text
    )
