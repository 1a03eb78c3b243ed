"""A model's name → the chat server to ask: `ollama/qwen3.5:4b`, `http://localhost:8080/v1/NAME`, or a GGUF file.

The words in front of a name are in `providers.toml`, which the client reads too. A key is read from the environment
when the engine starts, taken out of it, and sent to one address alone.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ipython_assistant.engine.models import ModelFailed
from ipython_assistant.engine.models.chat_server import ChatServer

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

KEY_VARIABLE: Final = "IPYTHON_ASSISTANT_MODEL_KEY"
"""The environment variable with the key of a server that is named by its address."""
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Provider:
    """A row of `providers.toml`; its first lines say what the fields mean."""

    title: str
    address: str
    address_from: str = ""
    key: str = ""
    kind: str = "unknown"
    schema: bool = True
    vision: bool = False
    start: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is asked, and what it can do.

    Attributes:
        address: Base URL of its chat completions.
        model: Its name there.
        provider: What is known of the server.
    """

    address: str
    model: str
    provider: Provider

    @property
    def on_this_machine(self) -> bool:
        """Whether what it is told stays on this machine; Ollama's cloud models run elsewhere."""
        hosted = self.provider.kind == "ollama" and self.model.endswith(("-cloud", ":cloud"))
        return urlsplit(self.address).hostname in LOOPBACK and not hosted


@cache
def providers() -> Mapping[str, Provider]:
    """The providers by the word in front of a model's name."""
    text = resources.files("ipython_assistant").joinpath("providers.toml").read_text(encoding="utf-8")
    return {name: Provider(**row) for name, row in tomllib.loads(text).items()}


def endpoint(name: str, addresses: Mapping[str, str]) -> Endpoint | None:
    """Where the model of this name is asked; None where the name has no provider and no address in front.

    Args:
        name: As it stands after `-m`.
        addresses: The environment: a provider's address may be set there.
    """
    word, slash, model = name.partition("/")
    if word in {"http:", "https:"}:
        parts = urlsplit(name)
        before, v1, model = parts.path.partition("/v1/")
        if not v1:
            before, model = "", parts.path.strip("/").removesuffix("v1")
        found = Endpoint(f"{parts.scheme}://{parts.netloc}{before}/v1", model, Provider(parts.netloc, "", kind=""))
    elif slash and word in providers():
        provider = providers()[word]
        address = _address(provider, addresses)
        if provider.kind == "openai" and address != provider.address:
            provider = replace(provider, kind="unknown")  # only OpenAI's own service has its newer parameters
        found = Endpoint(address, model, provider)
    else:
        return None
    return found


class Keys:
    """The keys of chat servers, each for one address.

    Args:
        environment: The process's own; the keys are taken out of it, so that nothing started later has them.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        names = {provider.key for provider in providers().values() if provider.key} | {KEY_VARIABLE}
        self._keys = {name: environment.pop(name).strip() for name in names if environment.get(name, "").strip()}
        self._goes_to: dict[str, str] = {}

    def key_for(self, found: Endpoint) -> tuple[str, str]:
        """The key to send to a server, and the variable it is from; the key is empty where none is wanted.

        Raises:
            ModelFailed: It is not set, or it belongs to another address.
        """
        name = found.provider.key or ("" if found.provider.address else KEY_VARIABLE)
        key = self._keys.get(name, "")
        if not key:
            if found.provider.key:
                raise ModelFailed(
                    f"{name} is not set, and {found.provider.title} wants a key.\n"
                    "Set it where Jupyter is started, or choose another model with -m."
                )
            return "", name
        parts = urlsplit(found.address)
        host = f"{parts.scheme}://{parts.netloc}"
        if self._goes_to.setdefault(name, host) != host:
            raise ModelFailed(
                f"The key in {name} is for {self._goes_to[name]}, and is not sent to {host} as well.\n"
                "Restart the kernel to use it for another server."
            )
        return key, name


def chat_server(found: Endpoint, keys: Keys) -> ChatServer:
    """The server to ask. Raises `ModelFailed` where a model, a key or an address is missing or wrong."""
    if not found.model.strip():
        raise ModelFailed(
            f"{found.address} names a server and no model.\nWrite it behind the address: -m {found.address}/NAME."
        )
    key, name = keys.key_for(found)
    kind, schemas = found.provider.kind, found.provider.schema
    try:
        return ChatServer(found.address, found.model, key=key, key_name=name, kind=kind, schemas=schemas)
    except ValueError as error:
        raise ModelFailed(str(error)) from None


def _address(provider: Provider, addresses: Mapping[str, str]) -> str:
    """A provider's address, where the environment does not name another."""
    set_to = addresses.get(provider.address_from, "").strip().rstrip("/")
    if not set_to:
        return provider.address
    if provider.kind != "ollama":
        return set_to
    # OLLAMA_HOST may lack the scheme and the port, and may be the address that a server listens on.
    parts = urlsplit(set_to if "//" in set_to else f"http://{set_to}")
    host = "127.0.0.1" if parts.hostname in {None, "", "0.0.0.0"} else parts.hostname  # noqa: S104 never bound
    return f"{parts.scheme}://{host}:{parts.port or 11434}/v1"
