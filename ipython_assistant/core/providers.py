"""The word in front of a model: who answers `ollama/qwen3.5:4b` or `http://localhost:8080/v1/NAME`, and where it runs.

Such a model only reads and writes: code runs on this machine. The words are in `providers.toml`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

BASIC = "basic"  # the sentence forms that the engine answers without a model
GGUF = "gguf/"  # in front of a model that `ipython-assistant model get` has fetched
MODEL_KEY = "IPYTHON_ASSISTANT_MODEL_KEY"
"""The environment variable with the key of a chat server that is named by its address."""
MODELS_FOLDER = "IPYTHON_ASSISTANT_MODELS"
"""The environment variable that names another directory for the models that are fetched."""
WITHOUT_A_KEY = (
    'let this machine answer: `%config AssistantMagics.service = "local"`; in a shell, IPYTHON_ASSISTANT_SERVICE=local.'
)
"""The way to a model where there is no key, as the end of a sentence."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SCHEMES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Provider:
    """A row of `providers.toml`; its first lines say what the fields mean."""

    title: str
    address: str
    address_from: str = ""
    key: str = ""
    kind: str = ""
    schema: bool = True
    start: str = ""

    def address_in(self, environment: Mapping[str, str]) -> str:
        """Where it is asked: as the environment says, else where it usually is."""
        set_to = environment.get(self.address_from, "").strip().rstrip("/")
        if not set_to or self.kind != "ollama":
            return set_to or self.address
        # OLLAMA_HOST may lack the scheme and the port, and may be the address that a server listens on.
        parts = urlsplit(set_to if "//" in set_to else f"http://{set_to}")
        host = parts.hostname if parts.hostname not in {None, "0.0.0.0"} else "127.0.0.1"  # noqa: S104 never bound
        return f"{parts.scheme}://{host}:{parts.port or 11434}/v1"


@cache
def providers() -> Mapping[str, Provider]:
    """The providers by the word in front of a model's name."""
    text = resources.files("ipython_assistant").joinpath("providers.toml").read_text(encoding="utf-8")
    return {word: Provider(**row) for word, row in tomllib.loads(text).items()}


def provider_of(model: str) -> Provider | None:
    """The provider that a model's name has in front; None for an address, a file or a plain name."""
    word, slash, _ = model.partition("/")
    return providers().get(word) if slash else None


def endpoint_of(model: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """The base URL at which a model is asked, and its name there; both empty for a file, `basic` or a plain name."""
    provider = provider_of(model)
    if provider is not None:
        return provider.address_in(environment), model.partition("/")[2]
    if not model.startswith(_SCHEMES):
        return "", ""
    parts = urlsplit(model)
    before, v1, name = parts.path.partition("/v1/")
    if not v1:
        before, name = "", parts.path.strip("/").removesuffix("v1")
    return f"{parts.scheme}://{parts.netloc}{before}/v1", name.strip("/")


def is_gguf(model: str) -> bool:
    """Whether a model's name means a file on this machine."""
    return model.startswith(GGUF) or (model.endswith(".gguf") and not model.startswith(_SCHEMES))


def runs_code_here(model: str) -> bool:
    """Whether code for this model runs on this machine: it has a provider, an address or a file in front."""
    return model == BASIC or is_gguf(model) or model.startswith(_SCHEMES) or bool(provider_of(model))


def is_on_this_machine(model: str, environment: Mapping[str, str]) -> bool:
    """Whether a model that code runs here for is on this machine too; Ollama's cloud models are not."""
    if model.startswith("ollama/") and model.endswith(("-cloud", ":cloud")):
        return False
    address, _ = endpoint_of(model, environment)
    return not address or urlsplit(address).hostname in LOOPBACK


def model_in_words(model: str, environment: Mapping[str, str]) -> str:
    """A model that code runs here for, as a reader is told: `qwen3.5:4b in Ollama on this machine`."""
    if model == BASIC:
        return "the basic sentence forms, which use no model"
    provider, here = provider_of(model), is_on_this_machine(model, environment)
    address, name = endpoint_of(model, environment)
    if provider is not None:
        where = f" {'in' if here else 'at'} {provider.title}"
    else:
        where = f" at {urlsplit(address).netloc}" if address else ""
    return f"{name or Path(model).name}{where}{' on this machine' if here else ''}"


def variables_of(model: str) -> tuple[str, ...]:
    """The environment variables that the engine needs to ask a model: its key's and its address's, no other's."""
    if (provider := provider_of(model)) is not None:
        return tuple(filter(None, (provider.key, provider.address_from)))
    return (MODEL_KEY,) if model.startswith(_SCHEMES) else ()


def models_folder(environment: Mapping[str, str]) -> Path:
    """The directory of the fetched models; it may not exist yet."""
    named = environment.get(MODELS_FOLDER, "").strip()
    caches = environment.get("XDG_CACHE_HOME") or environment.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(named).expanduser() if named else Path(caches) / "ipython_assistant" / "models"
