"""Finds the models on this machine: those of chat servers that run, and files that were fetched; and the best suited.

A port proves nothing: a server counts only if it answers in its own shape, as https://docs.ollama.com/api,
https://lmstudio.ai/docs/developer/rest, https://docs.vllm.ai and https://github.com/ggml-org/llama.cpp describe it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ipython_assistant.core.providers import GGUF, LOOPBACK, models_folder, providers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    Ask = Callable[[str], Any]

WITHIN_S = 0.2  # how long the servers have to answer, all together
MAX_ANSWER_BYTES = 4_000_000
SMALLEST, LARGEST = 1.4, 40.0
"""In billions of parameters: smaller models rarely write code that is right; larger ones may not fit this machine."""
SERVERS = ("ollama", "lmstudio", "llamacpp", "vllm")

_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)\s*[bB]\b")
_NO_CHAT = re.compile(r"embed|rerank|whisper|tts|guard|moderation|clip|ocr|bge-|nomic|-cloud$|:cloud$", re.IGNORECASE)
_FAMILIES = re.compile(
    r"coder|instruct|stral|qwen-?(2\.5|[3-9])|gemma-?[3-9]|llama-?[3-9]|gpt-oss|phi-?[4-9]|granite|deepseek|glm",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model of a server on this machine, named as after `-m`; its size is in billions of parameters."""

    name: str
    billions: float | None = None
    loaded: bool = False


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A chat server on this machine: what it is called, where it is, and its models."""

    title: str
    address: str
    models: tuple[LocalModel, ...]


@dataclass(frozen=True, slots=True)
class ModelsHere:
    """The models on this machine: those of servers that run, and `files` that were fetched, the newest first."""

    servers: tuple[LocalServer, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every model, as it stands after `-m`."""
        return *(it.name for server in self.servers for it in server.models), *(f"{GGUF}{name}" for name in self.files)


def find_servers(environment: Mapping[str, str], within_s: float = WITHIN_S) -> tuple[LocalServer, ...]:
    """The chat servers that run on this machine; all of them together have `within_s` seconds to answer."""
    found: dict[str, LocalServer] = {}
    deadline = time.monotonic() + within_s

    def look(word: str, address: str) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
            models = []
            for name, text, loaded in _offered(word, partial(_ask, address, deadline)):
                size = _SIZE.search(text)
                models.append(LocalModel(f"{word}/{name}", float(size[1]) if size else None, loaded))
            if models:
                found[word] = LocalServer(providers()[word].title, address, tuple(models))

    addresses = {word: providers()[word].address_in(environment) for word in SERVERS}
    threads = [
        threading.Thread(target=look, args=(word, address), daemon=True, name=f"ipython_assistant looks for {word}")
        for word, address in addresses.items()
        if urlsplit(address).hostname in LOOPBACK
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return tuple(found[word] for word in SERVERS if word in found)


def best_model(servers: Iterable[LocalServer]) -> LocalModel | None:
    """The model that suits best; None where no server has one that can chat.

    It is not for embeddings, speech or the like, and runs in no cloud; then, in this order: it has 1.4 to 40 billion
    parameters, or does not tell; it is in memory; its family is known for code or instructions; it is largest; first.
    """

    def suits(model: LocalModel) -> tuple[bool, bool, bool, float]:
        size = model.billions
        fits = size is None or SMALLEST <= size <= LARGEST
        return fits, model.loaded, bool(_FAMILIES.search(model.name)), (size or 0.0) * (1 if fits else -1)

    models = [model for server in servers for model in server.models if not _NO_CHAT.search(model.name)]
    return max(models, key=suits, default=None)


def fetched_models(environment: Mapping[str, str]) -> dict[str, Path]:
    """The files that `ipython-assistant model get` has fetched, by the name after `gguf/`; the newest first."""
    with contextlib.suppress(OSError):
        newest = sorted(models_folder(environment).glob("*.gguf"), key=lambda path: -path.stat().st_mtime)
        return {path.stem: path for path in newest}
    return {}


def models_here(environment: Mapping[str, str]) -> ModelsHere:
    """Look once for every model on this machine."""
    return ModelsHere(find_servers(environment), tuple(fetched_models(environment)))


def _ask(address: str, deadline: float, path: str) -> Any:
    """The JSON at a path. Raises `OSError`, `HTTPException`, or `ValueError` where it is something else."""
    left, parts = deadline - time.monotonic(), urlsplit(address)
    if left <= 0:
        raise TimeoutError
    with contextlib.closing(http.client.HTTPConnection(parts.netloc, timeout=left)) as connection:
        connection.request("GET", path, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise ValueError(answer.status)
        return json.loads(answer.read(MAX_ANSWER_BYTES))


def _offered(word: str, ask: Ask) -> list[tuple[str, str, bool]]:
    """The models of a server that answers in this one's shape: name, text with the size, whether it is in memory."""
    if word == "ollama":
        if list(ask("/api/version")) != ["version"]:
            return []
        rows, loaded = ask("/api/tags")["models"], set()
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):  # a busy one may be too slow for it
            loaded = {row["name"] for row in ask("/api/ps")["models"]}
        here = [(row["name"], row["details"].get("parameter_size")) for row in rows if not row.get("remote_host")]
        return [(name, str(size or name), name in loaded) for name, size in here]
    if word == "lmstudio":
        rows = [row for row in ask("/api/v1/models")["models"] if row["type"] == "llm"]
        return [(row["key"], row.get("params_string") or row["key"], bool(row["loaded_instances"])) for row in rows]
    # The others list their one model as OpenAI does, with themselves as its owner; llama-server by its file's path.
    rows = [row for row in ask("/v1/models")["data"] if row["owned_by"] == word]
    names = [re.split(r"[/\\]", row["id"])[-1] if word == "llamacpp" else row["id"] for row in rows]
    counts = [(row.get("meta") or {}).get("n_params") for row in rows]
    return [(name, f"{n / 1e9:.3f}b" if n else name, True) for name, n in zip(names, counts, strict=True)]
