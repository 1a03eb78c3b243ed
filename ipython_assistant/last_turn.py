"""The turn that ended last, as a value: what `%assistant show`, `retry` and `status` need of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipython_assistant.collect_files import TurnFiles

if TYPE_CHECKING:
    from ipython_assistant.answer import Answer
    from ipython_assistant.core.conversation import PlacedTurn
    from ipython_assistant.core.turn import Turn
    from ipython_assistant.errors import AssistantError
    from ipython_assistant.question import Question
    from ipython_assistant.service.connection import Connection


@dataclass(frozen=True, slots=True)
class UnfinishedTurn:
    """A turn that is here and some of whose files are not, with all it takes to fetch them.

    Attributes:
        question: The question that it answers.
        turn: The turn, its pictures included.
        connection: The service that has the files; None for the session's own.
        error: What cut the turn's stream, if anything did.
        collected: The files that are here.
        notes: What the reader should know beside the answer.
        placed: The turn in its place in a conversation, if it has one.
        cure: What to say if files are still missing.
    """

    question: Question
    turn: Turn
    connection: Connection | None = None
    error: AssistantError | None = None
    collected: TurnFiles = field(default_factory=TurnFiles)
    notes: tuple[str, ...] = ()
    placed: PlacedTurn | None = None
    cure: str = ""


@dataclass(frozen=True, slots=True)
class LastTurn:
    """The turn that ended last, as `%assistant show`, `retry` and `status` need it.

    Attributes:
        answer: The answer, complete or not; None before the first.
        asked_because: Why it was asked although something like it is recorded, as a sentence; else empty.
        unfinished: What it takes to fetch its files again; None where nothing is missing.
    """

    answer: Answer | None = None
    asked_because: str = ""
    unfinished: UnfinishedTurn | None = None
