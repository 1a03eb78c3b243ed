"""The models this engine offers, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.script import Script, fenced

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ipython_assistant.engine.models import Ask, Interpreter, Model, Ran, Step


class Unaided:
    """No model at all: Python in the prompt is run as given, anything else goes to the analyst."""

    name = "analyst"

    def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, Ran | None]:
        """Hand the question to whoever it is for."""
        if fenced(ask.prompt) is not None:
            return Script().answer(ask, interpreter)
        from ipython_assistant.engine.models.analyst import Analyst

        return Analyst().answer(ask, interpreter)


OFFERED: Final[dict[str, type[Model]]] = {"analyst": Unaided}
"""Name → what makes the model."""
