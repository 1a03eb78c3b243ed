"""The models that an engine offers, by name: `basic`, `ollama/qwen3.5:4b`, `http://localhost:8080/v1/NAME`, a file.

A chat model fills in a plan, or writes Python where no plan says what is asked. The words in front of a name are in
`core.providers`. A key is taken out of the environment, and sent to one address alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ipython_assistant.core import providers
from ipython_assistant.engine.models import ModelFailed, Refuse, Say
from ipython_assistant.engine.models.basic import Basic, carry_out, run_as_given
from ipython_assistant.engine.models.chat_server import ChatServer
from ipython_assistant.engine.models.free_python import PICTURES, FreePython, files_of, is_about_tables, profiles
from ipython_assistant.engine.models.gguf import Runtimes
from ipython_assistant.engine.models.plan.reader import NoPlan, PlanReader, Refusal, refusal_text
from ipython_assistant.engine.models.safe_markdown import fenced, inline_code, listed
from ipython_assistant.engine.models.share import SharedView

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, MutableMapping, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, Model, Step
    from ipython_assistant.engine.models.plan.words import Program

    _Connect = Callable[[], Awaitable[ChatServer]]

LARGE: Final = 14.0
"""In billions of parameters: a model of this size is let write Python where a plan does not pass its checks."""
WAY_OUT: Final = (
    "Ask in words that are near the names of the columns, or let a larger model write Python: `-m` names one "
    "(`%assistant doctor` shows what is there)."
)


class ChatModel:
    """A model of a chat server, which `connect` gives, or raises `ModelFailed` for; `on_this_machine` or elsewhere."""

    def __init__(self, name: str, connect: _Connect, *, on_this_machine: bool = True) -> None:
        self.name, self._connect, self._on_this_machine = name, connect, on_this_machine
        self._plans: dict[str, str] = {}
        size = re.search(r"(\d+(?:\.\d+)?)b\b", name.lower())
        self._large = not on_this_machine or (size is not None and float(size[1]) >= LARGE)

    def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
        """Answer with code; Python in the question is run as it is. Raises `ModelFailed`."""
        code = fenced(ask.prompt)
        return self._answer(ask, interpreter) if code is None else run_as_given(code)

    async def _answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
        server = await self._connect()
        tables = await profiles(interpreter, ask.files, ask.prompt)
        told = SharedView.about(ask, tables, on_this_machine=self._on_this_machine)
        # A plan is asked for with the names of tables and columns, and no value but as the question spells it.
        known = tuple(table.path for table in tables if told.may_name_all(table))
        found: list[Program] | Refusal | NoPlan = NoPlan("it is about pictures")
        if is_about_tables(ask, tables) or not files_of(PICTURES, ask.files):
            found, used = await PlanReader(server, self._plans).read(replace(ask, files=known), interpreter)
            yield used
        if isinstance(found, list):
            async for step in carry_out(found, interpreter):
                yield step
            if unread := [inline_code(name) for name in files_of((*PICTURES, ".pdf"), ask.new)]:
                yield Say(f"\n\nOnly tables were read for this, not {listed(unread)}.")
        elif isinstance(found, Refusal) and not self._large:
            yield Refuse(refusal_text(found, WAY_OUT))
        else:
            python = FreePython(server, ask, interpreter, on_this_machine=self._on_this_machine)
            async with aclosing(python.answer()) as steps:
                async for step in steps:
                    yield step


class OfferedModels(Mapping[str, "Model"]):
    """The models by name, `basic` among them; each is made when it is first asked for.

    With `every`, any other may be asked too: not where others can reach the engine. Keys are taken out of the
    environment, the process's own. A model is given up after `silence_s` seconds without a byte. Raises `ModelFailed`
    where a name has neither a provider nor an address in front, and is no file.
    """

    def __init__(
        self, names: Sequence[str], environment: MutableMapping[str, str], *, every: bool, silence_s: float
    ) -> None:
        secret = {row.key for row in providers.providers().values() if row.key} | {providers.MODEL_KEY}
        self._keys = {name: environment.pop(name).strip() for name in secret if name in environment}
        self._keyed_host, self._every, self._silence_s = "", every, silence_s
        self._names = tuple(dict.fromkeys((*names, Basic.name)))
        self._environment = dict(environment)
        self._runtimes = Runtimes(environment)
        self._made: dict[str, Model] = {Basic.name: Basic()}
        self._servers: dict[str, ChatServer] = {}
        for name in self._names:
            if not providers.runs_code_here(name):
                raise ModelFailed(f"--model {name}: no model.", "Write ollama/NAME, http://localhost:8080/v1/NAME, ...")

    def __getitem__(self, name: str) -> Model:
        if not providers.runs_code_here(name) or not (self._every or name in self._names):
            raise KeyError(name)
        if name not in self._made:
            here = providers.is_on_this_machine(name, self._environment)
            self._made[name] = ChatModel(name, partial(self._server, name), on_this_machine=here)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    async def close(self) -> None:
        """End the processes that run models."""
        await self._runtimes.close()

    async def _server(self, name: str) -> ChatServer:
        """Who is asked for a model. Raises `ModelFailed` where the model, its key or its address is missing."""
        if providers.is_gguf(name):
            return await self._runtimes.server(name)
        if name in self._servers:
            return self._servers[name]
        provider, (address, model) = providers.provider_of(name), providers.endpoint_of(name, self._environment)
        key_name = provider.key if provider else providers.MODEL_KEY
        key, more = self._keys.get(key_name, ""), dict[str, Any]()
        if not model.strip():
            raise ModelFailed(f"{address} names a server and no model.", f"Add the model's name: {address}/NAME.")
        if provider:
            if key_name and not key:
                cure = "Set it where Jupyter is started, or choose another model with -m."
                raise ModelFailed(f"{key_name} is not set, and {provider.title} wants a key.", cure)
            # Only OpenAI's own service has its newer parameters.
            kind = "unknown" if provider.kind == "openai" and address != provider.address else provider.kind
            more = {"schemas": provider.schema, "kind": kind or "unknown"}
        elif key:  # the first host that is asked has it, and no other
            host = "://".join(urlsplit(address)[:2])
            self._keyed_host = self._keyed_host or host
            if host != self._keyed_host:
                happened = f"The key in {key_name} is for {self._keyed_host}, and is not sent to {host} as well."
                raise ModelFailed(happened, "Restart the kernel to use it for another server.")
        made = ChatServer(address, model, key=key, key_name=key_name, silence_s=self._silence_s, **more)
        return self._servers.setdefault(name, made)
