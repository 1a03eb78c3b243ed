"""A chat model that answers questions: it fills in a plan, or writes Python where no plan says what is asked.

Python in the question is run as it is, without asking the model.
"""

from __future__ import annotations

import json
import re
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models import Refuse, Run, Say
from ipython_assistant.engine.models.chat_server import SchemaRefused
from ipython_assistant.engine.models.free_python import FreePython, profiles, words_of
from ipython_assistant.engine.models.plan.answer import closing, opening
from ipython_assistant.engine.models.plan.reader import PlanReader, Refusal, refusal_text
from ipython_assistant.engine.models.script import Script, fenced
from ipython_assistant.engine.models.share import Told, Veil, inputs_of, share_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, RunOutcome, Step, TokensUsed
    from ipython_assistant.engine.models.chat_server import ChatServer, Completion, Json
    from ipython_assistant.engine.models.plan.answer import Program
    from ipython_assistant.engine.models.share import Share

LARGE: Final = 14.0
"""In billions of parameters: a model of this size is let write Python where a plan does not pass its checks."""
WAY_OUT: Final = (
    "Ask in words that are near the names of the columns, or let a larger model write Python: `-m` names one "
    "(`%assistant doctor` shows what is there)."
)


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
        size = re.search(r"(\d+(?:\.\d+)?)b\b", name.lower())
        self._large = not on_this_machine or (size is not None and float(size[1]) >= LARGE)

    async def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, RunOutcome | None]:
        """Answer with code. Raises `ModelFailed`."""
        if fenced(ask.prompt) is not None:
            steps = Script().answer(ask, interpreter)
        else:
            steps, used = await self._read(ask, interpreter)
            yield used
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
        python = FreePython(await self._connect(), self._share(ask), vision=self._vision)
        async with aclosing(python.talk(ask)) as steps:
            async for step in steps:
                yield step

    def _share(self, ask: Ask) -> Share:
        return share_of(ask, on_this_machine=self._on_this_machine)

    async def _read(
        self, ask: Ask, interpreter: Interpreter
    ) -> tuple[AsyncGenerator[Step, RunOutcome | None], TokensUsed]:
        """Ask the model for a plan; give the steps that answer the question, and what the plan cost."""
        server, share = await self._connect(), self._share(ask)
        tables = await profiles(interpreter, ask.files, ask.prompt)
        told = Told(share, {}, frozenset(inputs_of(ask)), words_of(ask))
        # A plan names columns; tables with columns that the model may not be told of are kept out of it.
        known = tuple(table.path for table in tables if told.may_name_all(table, tables))
        planner = _Planner(server, None if told.everything else Veil(told.words, tables))
        outcome, used = await PlanReader(planner).read(replace(ask, files=known), interpreter)
        if isinstance(outcome, list):
            return _carried_out(outcome, interpreter), used
        if isinstance(outcome, Refusal) and not self._large:
            return _refused(outcome), used
        return FreePython(server, share, vision=self._vision).answer(ask, interpreter), used


class _Planner:
    """Asks a chat server for plans: as plain JSON where it takes no schema, and without values where those are veiled.

    Args:
        server: The model.
        veil: Keeps the values of cells from it; None where it may see them.
    """

    def __init__(self, server: ChatServer, veil: Veil | None) -> None:
        self._server = server
        self._veil = veil

    async def complete(
        self, messages: Sequence[Json], *, schema: Json | None = None, max_tokens: int | None = None
    ) -> Completion:
        """One completion; see `ChatServer.complete`."""
        if self._veil is not None:
            messages, schema = self._veil.hide(list(messages)), self._veil.hide(schema)
        settings: Json = {"max_tokens": max_tokens, "options": {"temperature": 0}}
        try:
            completion = await self._server.complete(messages, schema=schema, **settings)
        except SchemaRefused:
            last = messages[-1]
            told = f"{last['content']}\nAnswer with one JSON object that fits this JSON schema:\n{json.dumps(schema)}"
            completion = await self._server.complete([*messages[:-1], {**last, "content": told}], **settings)
        if self._veil is None:
            return completion
        return replace(completion, text=self._veil.lift(completion.text))


async def _carried_out(
    programs: Sequence[Program], interpreter: Interpreter
) -> AsyncGenerator[Step, RunOutcome | None]:
    for program in programs:
        yield Say(opening(program))
        outcome = yield Run(program.code)
        yield Say(await closing(program, outcome, interpreter))


async def _refused(refusal: Refusal) -> AsyncGenerator[Step, RunOutcome | None]:
    yield Refuse(refusal_text(refusal, WAY_OUT))
