"""The models that an engine offers, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.basic import Basic
from ipython_assistant.engine.models.chat import ChatModel
from ipython_assistant.engine.models.chat_server import SILENCE_S
from ipython_assistant.engine.models.gguf import Runtimes, is_gguf
from ipython_assistant.engine.models.providers import Keys, chat_server, endpoint

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, MutableMapping, Sequence

    from ipython_assistant.engine.models import Model
    from ipython_assistant.engine.models.chat_server import ChatServer


BUILT_IN: Final[dict[str, type[Model]]] = {Basic.name: Basic}
"""Name → what makes the model."""


class UnknownModel(ValueError):
    """A name on the command line is not that of a model; the message is for a person."""


class OfferedModels(Mapping[str, "Model"]):
    """The models by name; each is made when it is first asked for.

    Args:
        names: Those that are listed, beside the one that is built in.
        environment: The process's own: keys are taken out of it, addresses are read.
        every: Whether any other model may be asked too, by its provider, its address or its file. An engine that others
            can reach has no business with what they name.
        silence_s: Seconds without a byte from a model before it is given up.

    Raises:
        UnknownModel: One of the names has neither a provider nor an address in front, and is no file.
    """

    def __init__(
        self,
        names: Sequence[str],
        environment: MutableMapping[str, str],
        *,
        every: bool = False,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._names = tuple(dict.fromkeys((*(name for name in names if name not in BUILT_IN), *BUILT_IN)))
        self._every = every
        self._keys = Keys(environment)
        self._environment = dict(environment)
        self._runtimes = Runtimes(environment)
        self._silence_s = silence_s
        self._made: dict[str, Model] = {name: make() for name, make in BUILT_IN.items()}
        for name in self._names:
            if self._model(name) is None:
                raise UnknownModel(
                    f"--model {name} is not a model. Write ollama/NAME, http://localhost:8080/v1/NAME, ..."
                )

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
            model = self._of_file(name) if is_gguf(name) else self._of_server(name)
            if model is None:
                return None
            self._made[name] = model
        return self._made[name]

    def _of_server(self, name: str) -> ChatModel | None:
        found = endpoint(name, self._environment)
        if found is None:
            return None
        servers: list[ChatServer] = []

        async def connect() -> ChatServer:
            if not servers:
                servers.append(chat_server(found, self._keys))
                servers[0].silence_s = self._silence_s
            return servers[0]

        return ChatModel(name, connect, on_this_machine=found.on_this_machine, vision=found.provider.vision)

    def _of_file(self, name: str) -> ChatModel:
        return ChatModel(name, lambda: self._runtimes.server(name))


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Teach a parser which models are offered."""
    group = parser.add_argument_group("who answers")
    group.add_argument(
        "--model",
        action="append",
        default=[],
        dest="models",
        metavar="NAME",
        help="offer this model: ollama/NAME, anthropic/NAME, http://localhost:8080/v1/NAME, a GGUF file, ...; may be"
        f" given several times. {', '.join(BUILT_IN)} is always offered",
    )
    group.add_argument(
        "--silence",
        type=float,
        default=SILENCE_S,
        metavar="S",
        help="seconds without a byte from a model before it is given up (default: %(default)g)",
    )
    group.add_argument(
        "--any-model", action="store_true", help="answer for any model that a request names, whether offered or not"
    )
