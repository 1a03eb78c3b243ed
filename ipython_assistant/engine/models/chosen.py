"""The command line of an engine, as far as it says what decides.

    --model analyst
    --model http://localhost:11434/v1 --name qwen3-coder
    --model http://localhost:8000/v1 --name a --format tools --model http://localhost:8000/v1 --name b

What follows a `--model` is about that one. A key never stands on a command line, where every process can read it: it
is taken from the environment, and out of it, so that nothing that is started later has it. And it is for one server: it
is never sent to a second one.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final, get_args
from urllib.parse import urlsplit

from ipython_assistant.engine.models.chat import Chat, Form, Manner
from ipython_assistant.engine.models.chat_http import Server
from ipython_assistant.engine.models.default import OFFERED

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

    from ipython_assistant.engine.models import Model

KEY_VARIABLE: Final = "IPYTHON_ASSISTANT_MODEL_KEY"
"""The environment variable with the key of chat-completions servers that want one."""


class UnknownModel(ValueError):
    """A model lacks its name or its key, or its address is none; the message is for a person."""


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Teach a parser `--model` and what belongs to it."""
    known = Manner()
    which = parser.add_argument_group("what decides")
    which.add_argument(
        "--model",
        action=_OneMore,
        dest="models",
        default=(),
        metavar="URL",
        help="the base URL of a chat-completions server (Ollama, LM Studio, vLLM, llama.cpp, ...), or "
        f"{' or '.join(sorted(OFFERED))} (default); what follows is about this one",
    )
    of_chat = parser.add_argument_group("of the chat model before")
    of_chat.add_argument("--name", action=_OfTheLast, help="the model's name there, and here")
    of_chat.add_argument(
        "--format", action=_OfTheLast, choices=get_args(Form), help="how it gives its code (default: fenced)"
    )
    of_chat.add_argument(
        "--repairs", action=_OfTheLast, type=_count, help=f"how often it may mend code (default: {known.repairs})"
    )
    of_chat.add_argument(
        "--runs", action=_OfTheLast, type=_count, help=f"how often code runs for an answer (default: {known.runs})"
    )
    of_chat.add_argument(
        "--vision",
        action=_OfTheLast,
        nargs=0,
        help="show it pictures: those sent with a question, those its code makes",
    )
    of_chat.add_argument(
        "--key-from",
        action=_OfTheLast,
        metavar="VARIABLE",
        help=f"the environment variable with its server's key (default: {KEY_VARIABLE})",
    )
    of_chat.add_argument(
        "--patience", action=_OfTheLast, type=float, metavar="S", help="seconds it may be silent (default: 600)"
    )


def chosen(options: argparse.Namespace, environment: MutableMapping[str, str]) -> dict[str, Model]:
    """The models that the command line asks for, by name; without any, what needs no model.

    Beside chat models the analyst is always there, under its own name.

    Args:
        options: What the parser read.
        environment: The process's own; the keys are taken out of it.

    Raises:
        UnknownModel: A model lacks its name or its key, its address is none, or a key would go to two servers.
    """
    wanted = [one for one in options.models if one["model"] not in OFFERED]
    keys = _keys(wanted, environment)
    chats: dict[str, Model] = {}
    for one in wanted:
        if not one.get("name"):
            raise UnknownModel(
                f"--model {one['model']} needs a name after it: --name qwen3-coder, as the server calls it."
            )
        if one["name"] in chats:
            raise UnknownModel(f"Two models are called {one['name']}: which of them is meant could not be said.")
        patience = {"patience_s": one["patience"]} if "patience" in one else {}
        manner = {field: one[option] for option, field in _FIELDS.items() if option in one}
        try:
            server = Server(one["model"], keys.get(one.get("key_from", KEY_VARIABLE), ""), **patience)
        except ValueError as error:
            raise UnknownModel(str(error)) from None
        chats[one["name"]] = Chat(one["name"], server, Manner(**manner))
    return chats | {name: make() for name, make in OFFERED.items() if name not in chats}


def _keys(wanted: Sequence[Mapping[str, Any]], environment: MutableMapping[str, str]) -> dict[str, str]:
    """The keys by their variables, each of them for one server, taken out of the environment.

    Raises:
        UnknownModel: A variable is not set, or its key would go to two servers.
    """
    servers: dict[str, dict[tuple[str, str], None]] = {KEY_VARIABLE: {}}
    for one in wanted:
        parts = urlsplit(one["model"])
        servers.setdefault(one.get("key_from", KEY_VARIABLE), {})[parts.scheme, parts.netloc] = None
    keys = {variable: environment.pop(variable, "") for variable in servers}
    for variable, its in servers.items():
        if not keys[variable] and variable != KEY_VARIABLE:
            raise UnknownModel(f"--key-from {variable}: there is no such environment variable, or it is empty.")
        if keys[variable] and len(its) > 1:
            named = " and ".join(host for _, host in its)
            raise UnknownModel(
                f"The key in {variable} is for one server, and would go to {named}. Put the key of each in a variable "
                "of its own, and --key-from VARIABLE behind its --model."
            )
    return keys


_FIELDS: Final = {"format": "form", "repairs": "repairs", "runs": "runs", "vision": "vision"}


class _OneMore(argparse.Action):
    """Begins a model."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 the signature is argparse's
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        namespace.models = (*namespace.models, {"model": values})


class _OfTheLast(argparse.Action):
    """Says something of the model that was begun last."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if not namespace.models:
            parser.error(f"{option_string} is about a model: put it behind --model URL")
        *before, last = namespace.models
        flag: Sequence[object] = []
        namespace.models = (*before, {**last, self.dest: True if values == flag else values})


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
