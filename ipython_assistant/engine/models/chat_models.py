"""The models that an engine offers, by name: `basic`, `ollama/qwen3.5:4b`, `http://localhost:8080/v1/NAME`, a file.

A chat model fills in a plan, or writes Python where no plan says what is asked. The words in front of a name are in
`providers.toml`, which the client reads too. A key is taken out of the environment, and sent to one address alone.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ipython_assistant.engine.models import ModelFailed, Refuse, Say
from ipython_assistant.engine.models.basic import Basic, carry_out
from ipython_assistant.engine.models.chat_server import LOOPBACK, SILENCE_S, ChatServer
from ipython_assistant.engine.models.free_python import FreePython, is_about_tables, pdfs_in, pictures_in, profiles
from ipython_assistant.engine.models.gguf import Runtimes, is_gguf
from ipython_assistant.engine.models.plan.reader import Cannot, PlanReader, Refusal, refusal_text
from ipython_assistant.engine.models.python_code import Script, fenced
from ipython_assistant.engine.models.safe_markdown import inline_code, listed
from ipython_assistant.engine.models.share import Told, Veil

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, MutableMapping, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, Model, Step
    from ipython_assistant.engine.models.chat_server import Completion, Json
    from ipython_assistant.engine.models.plan.words import Program

    _Connect = Callable[[], Awaitable[ChatServer]]

KEY_VARIABLE: Final = "IPYTHON_ASSISTANT_MODEL_KEY"
"""The environment variable with the key of a server that is named by its address."""
LARGE: Final = 14.0
"""In billions of parameters: a model of this size is let write Python where a plan does not pass its checks."""
WAY_OUT: Final = (
    "Ask in words that are near the names of the columns, or let a larger model write Python: `-m` names one "
    "(`%assistant doctor` shows what is there)."
)


class ChatModel:
    """A model of a chat server, which `connect` gives, starts if need be, or raises `ModelFailed` for.

    What it is told stays here if it is `on_this_machine`.
    """

    def __init__(self, name: str, connect: _Connect, *, on_this_machine: bool = True) -> None:
        self.name, self._connect, self._on_this_machine = name, connect, on_this_machine
        self._plans: dict[str, str] = {}
        size = re.search(r"(\d+(?:\.\d+)?)b\b", name.lower())
        self._large = not on_this_machine or (size is not None and float(size[1]) >= LARGE)

    def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
        """Answer with code; Python in the question is run as it is. Raises `ModelFailed`."""
        return (self._answer if fenced(ask.prompt) is None else Script().answer)(ask, interpreter)

    async def _answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
        server = await self._connect()
        told = Told.about(ask, {}, on_this_machine=self._on_this_machine)
        tables = await profiles(interpreter, ask.files, f"{ask.prompt} {told.words}")  # earlier plans have values, too
        # A plan names columns; tables with columns that the model may not be told of are kept out of it.
        known = tuple(table.path for table in tables if told.may_name_all(table, tables))
        planner = _Planner(server, Veil(told.words, () if told.everything else tables))
        found: list[Program] | Refusal | Cannot = Cannot("it is about pictures")
        if is_about_tables(ask, tables) or not pictures_in(ask.files):
            found, used = await PlanReader(planner, self._plans).read(replace(ask, files=known), interpreter)
            yield used
        if isinstance(found, list):
            async for step in carry_out(found, interpreter):
                yield step
            if unread := [inline_code(name) for name in (*pictures_in(ask.new), *pdfs_in(ask.new))]:
                yield Say(f"\n\nOnly tables were read for this, not {listed(unread)}.")
        elif isinstance(found, Refusal) and not self._large:
            yield Refuse(refusal_text(found, WAY_OUT))
        else:
            python = FreePython(server, on_this_machine=self._on_this_machine)
            async with aclosing(python.answer(ask, interpreter)) as steps:
                async for step in steps:
                    yield step


class _Planner:
    """Asks a chat server for plans, without the values of cells where those are veiled."""

    def __init__(self, server: ChatServer, veil: Veil) -> None:
        self._server = server
        self._veil = veil

    async def complete(
        self, messages: Sequence[Json], *, schema: Json | None = None, max_tokens: int | None = None
    ) -> Completion:
        """One completion; see `ChatServer.complete`."""
        told, form = self._veil.hide(list(messages)), self._veil.hide(schema)
        completion = await self._server.complete(told, schema=form, max_tokens=max_tokens, options={"temperature": 0})
        return replace(completion, text=self._veil.lift(completion.text))


class OfferedModels(Mapping[str, "Model"]):
    """The models by name, `basic` among them; each is made when it is first asked for.

    With `every`, any other may be asked too; an engine that others can reach has no business with what they name. Keys
    are taken out of the environment, which is the process's own. A model is given up after `silence_s` seconds without
    a byte. Raises `ModelFailed` where a name has neither a provider nor an address in front, and is no file.
    """

    def __init__(
        self, names: Sequence[str], environment: MutableMapping[str, str], *, every: bool, silence_s: float
    ) -> None:
        secret = {row["key"] for row in _providers().values() if "key" in row} | {KEY_VARIABLE}
        self._keys = {name: environment.pop(name).strip() for name in secret if name in environment}
        self._keyed_host = ""
        self._names = tuple(dict.fromkeys((*names, Basic.name)))
        self._every = every
        self._environment = dict(environment)
        self._runtimes = Runtimes(environment)
        self._silence_s = silence_s
        self._made: dict[str, Model | None] = {Basic.name: Basic()}
        self._servers: dict[str, ChatServer] = {}
        for name in self._names:
            if self._model(name) is None:
                raise ModelFailed(f"--model {name}: no model.\nWrite ollama/NAME, http://localhost:8080/v1/NAME, ...")

    def __getitem__(self, name: str) -> Model:
        model = self._model(name) if self._every or name in self._names else None
        if model is None:
            raise KeyError(name)
        return model

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    async def close(self) -> None:
        """End the processes that run models."""
        await self._runtimes.close()

    def _model(self, name: str) -> Model | None:
        if name not in self._made:
            row, address, model = endpoint(name, self._environment)
            here = is_gguf(name) or stays_here(row, address, model)
            known = is_gguf(name) or address
            self._made[name] = ChatModel(name, partial(self._server, name), on_this_machine=here) if known else None
        return self._made[name]

    async def _server(self, name: str) -> ChatServer:
        """Who is asked for a model. Raises `ModelFailed` where the model, its key or its address is missing."""
        if is_gguf(name):
            return await self._runtimes.server(name)
        if name not in self._servers:
            self._servers[name] = self._chat_server(*endpoint(name, self._environment))
        return self._servers[name]

    def _chat_server(self, row: Mapping[str, Any], address: str, model: str) -> ChatServer:
        if not model.strip():
            happened = f"{address} names a server and no model."
            raise ModelFailed(f"{happened}\nWrite it behind the address: -m {address}/NAME.")
        key_name = row.get("key", "" if row else KEY_VARIABLE)
        key = self._keys.get(key_name, "")
        if row.get("key") and not key:
            cure = "Set it where Jupyter is started, or choose another model with -m."
            raise ModelFailed(f"{key_name} is not set, and {row['title']} wants a key.\n{cure}")
        if key and not row:
            host = "://".join(urlsplit(address)[:2])
            self._keyed_host = self._keyed_host or host
            if host != self._keyed_host:
                happened = f"The key in {key_name} is for {self._keyed_host}, and is not sent to {host} as well."
                raise ModelFailed(f"{happened}\nRestart the kernel to use it for another server.")
        kind = row.get("kind", "unknown" if row else "")
        if kind == "openai" and address != row["address"]:
            kind = "unknown"  # only OpenAI's own service has its newer parameters
        about: dict[str, Any] = {"kind": kind, "schemas": row.get("schema", True), "silence_s": self._silence_s}
        return ChatServer(address, model, key=key, key_name=key_name, **about)


@cache
def _providers() -> Mapping[str, Mapping[str, Any]]:
    """The rows of `providers.toml`; its first lines say what the fields mean."""
    return tomllib.loads(resources.files("ipython_assistant").joinpath("providers.toml").read_text(encoding="utf-8"))


def endpoint(name: str, environment: Mapping[str, str]) -> tuple[Mapping[str, Any], str, str]:
    """Who is asked for the model of this name: the provider's row, the base URL, and the model's name there.

    The row is empty for an address, and the URL too where the name has no provider and no address in front. The
    environment may set a provider's address.
    """
    word, slash, model = name.partition("/")
    if word in {"http:", "https:"}:
        parts = urlsplit(name)
        before, v1, model = parts.path.partition("/v1/")
        if not v1:
            before, model = "", parts.path.strip("/").removesuffix("v1")
        return {}, f"{parts.scheme}://{parts.netloc}{before}/v1", model
    row = _providers().get(word, {}) if slash else {}
    set_to = environment.get(row.get("address_from", ""), "").strip().rstrip("/")
    if set_to and row.get("kind") == "ollama":
        # OLLAMA_HOST may lack the scheme and the port, and may be the address that a server listens on.
        parts = urlsplit(set_to if "//" in set_to else f"http://{set_to}")
        host = "127.0.0.1" if parts.hostname in {None, "", "0.0.0.0"} else parts.hostname  # noqa: S104 never bound
        set_to = f"{parts.scheme}://{host}:{parts.port or 11434}/v1"
    return row, set_to or row.get("address", ""), model


def stays_here(row: Mapping[str, Any], address: str, model: str) -> bool:
    """Whether what a model is told stays on this machine; Ollama's cloud models run elsewhere."""
    hosted = row.get("kind") == "ollama" and model.endswith(("-cloud", ":cloud"))
    return urlsplit(address).hostname in LOOPBACK and not hosted


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Teach a parser which models are offered."""
    add = parser.add_argument_group("who answers").add_argument
    add(
        "--model", action="append", default=[], dest="models", metavar="NAME",
        help="offer this model: ollama/NAME, anthropic/NAME, http://localhost:8080/v1/NAME, a GGUF file, ...; may be "
        f"given several times. {Basic.name} is always offered",
    )  # fmt: skip
    add("--silence", type=float, default=SILENCE_S, metavar="S", help="seconds without a byte (default: %(default)g)")
    add("--any-model", action="store_true", help="answer for any model that a request names, whether offered or not")
