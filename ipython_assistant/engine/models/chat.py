"""A chat model that answers questions: what is Python already is run as it is, the rest is the model's."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from ipython_assistant.engine.models.free_python import FreePython
from ipython_assistant.engine.models.script import Script, fenced
from ipython_assistant.engine.models.share import share_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from ipython_assistant.engine.models import Ask, Interpreter, RunOutcome, Step
    from ipython_assistant.engine.models.chat_server import ChatServer


class ChatModel:
    """A model of a chat server.

    Args:
        name: What it is asked by, such as `ollama/qwen3.5:4b`.
        connect: Gives its server; it may have to be started. Raises `ModelFailed`.
        on_this_machine: Whether what it is told stays here.
        vision: Whether it sees pictures.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[ChatServer]],
        *,
        on_this_machine: bool = True,
        vision: bool = False,
    ) -> None:
        self.name = name
        self._connect = connect
        self._on_this_machine = on_this_machine
        self._vision = vision

    async def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, RunOutcome | None]:
        """Answer with code. Raises `ModelFailed`."""
        if fenced(ask.prompt) is not None:
            steps = Script().answer(ask, interpreter)
        else:
            steps = (await self._python(ask)).answer(ask, interpreter)
        outcome: RunOutcome | None = None
        async with aclosing(steps):
            while True:
                try:
                    step = await steps.asend(outcome)
                except StopAsyncIteration:
                    return
                outcome = yield step

    async def talk(self, ask: Ask) -> AsyncGenerator[Step, RunOutcome | None]:
        """Answer without code. Raises `ModelFailed`."""
        async with aclosing((await self._python(ask)).talk(ask)) as steps:
            async for step in steps:
                yield step

    async def _python(self, ask: Ask) -> FreePython:
        share = share_of(ask, on_this_machine=self._on_this_machine)
        return FreePython(await self._connect(), share, vision=self._vision)
