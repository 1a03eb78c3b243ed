"""Finds the chat servers that run on this machine, and the model that suits best.

Ollama, LM Studio, llama-server and vLLM are asked side by side where they usually listen, on loopback only. A port
proves nothing: a server counts only if it answers in its own shape. The shapes are described at
https://docs.ollama.com/api, https://lmstudio.ai/docs/developer/rest, https://docs.vllm.ai and, for llama-server,
https://github.com/ggml-org/llama.cpp (tools/server).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ipython_assistant.core.providers import LOOPBACK, providers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

WITHIN_S = 0.2
"""How long the servers have to answer, all together."""
MAX_ANSWER_BYTES = 4_000_000

_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*[bB]\b|[-:_](\d+(?:\.\d+)?)b\b")
_NO_CHAT = re.compile(r"embed|rerank|whisper|tts|guard|moderation|clip|ocr|bge-|nomic|-cloud$|:cloud$", re.IGNORECASE)
_FAMILIES = re.compile(
    r"coder|codestral|devstral|qwen-?[3-9]|qwen2\.5|gemma-?[3-9]|llama-?[3-9]|mistral|ministral|gpt-oss|phi-?[4-9]|granite"
    r"|deepseek|quelmap|glm|instruct",
    re.IGNORECASE,
)
SMALLEST, LARGEST = 1.4, 40.0
"""In billions of parameters: smaller models rarely write code that is right; larger ones may not fit this machine."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that a server on this machine offers.

    Attributes:
        name: As it stands after `-m`, such as `ollama/qwen3.5:4b`.
        billions: Its size in billions of parameters; None where neither the server nor the name tells.
        loaded: Whether it is in memory now, as far as the server says.
    """

    name: str
    billions: float | None = None
    loaded: bool = False


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A chat server on this machine: what it is called, where it is, and its models."""

    title: str
    address: str
    models: tuple[LocalModel, ...]


def find_servers(environment: Mapping[str, str], within_s: float = WITHIN_S) -> tuple[LocalServer, ...]:
    """The chat servers that run on this machine, in the order of the table of providers.

    Args:
        environment: Where a provider's address may be set.
        within_s: Seconds that all of them together have to answer.
    """
    found: dict[str, LocalServer] = {}
    deadline = time.monotonic() + within_s

    def look(word: str, address: str) -> None:
        parts = urlsplit(address)
        ask = _Questions(parts.hostname or "", parts.port or 80, deadline)
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
            models = _SHAPES[word](ask)
            named = tuple(LocalModel(f"{word}/{model.name}", model.billions, model.loaded) for model in models)
            if named:
                found[word] = LocalServer(providers()[word].title, address, named)

    addresses = {word: providers()[word].address_in(environment) for word in _SHAPES}
    threads = [
        threading.Thread(target=look, args=(word, address), daemon=True, name=f"ipython_assistant looks for {word}")
        for word, address in addresses.items()
        if urlsplit(address).hostname in LOOPBACK
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return tuple(found[word] for word in _SHAPES if word in found)


def best_model(servers: Iterable[LocalServer]) -> LocalModel | None:
    """The model that suits best; None where no server has one that can chat.

    The rule, in this order: it is not for embeddings, speech or the like, and does not run in a cloud; it has between
    1.4 and 40 billion parameters, or does not tell; it is in memory already; it is of a family that is known for code
    or instructions; it is the largest; it comes first.
    """
    models = [model for server in servers for model in server.models if not _NO_CHAT.search(model.name)]
    return max(models, key=_suits, default=None)


def _suits(model: LocalModel) -> tuple[bool, bool, bool, float]:
    size = model.billions
    fits = size is None or SMALLEST <= size <= LARGEST
    return fits, model.loaded, bool(_FAMILIES.search(model.name)), (size or 0.0) * (1 if fits else -1)


class _Questions:
    """Asks one server, until a deadline."""

    def __init__(self, host: str, port: int, deadline: float) -> None:
        self._host, self._port, self._deadline = host, port, deadline

    def get(self, path: str) -> Any:
        """The JSON at a path. Raises `OSError`, `HTTPException`, or `ValueError` where it is something else."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection = http.client.HTTPConnection(self._host, self._port, timeout=left)
        try:
            connection.request("GET", path, headers={"Accept": "application/json"})
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise ValueError(answer.status)
            return json.loads(answer.read(MAX_ANSWER_BYTES))
        finally:
            connection.close()


def _ollama(ask: _Questions) -> list[LocalModel]:
    if list(ask.get("/api/version")) != ["version"]:
        return []
    rows = ask.get("/api/tags")["models"]
    loaded: set[str] = set()
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
        loaded = {row["name"] for row in ask.get("/api/ps")["models"]}
    return [
        LocalModel(row["name"], _billions(row["details"].get("parameter_size") or row["name"]), row["name"] in loaded)
        for row in rows
        if not row.get("remote_host")
    ]


def _lm_studio(ask: _Questions) -> list[LocalModel]:
    try:
        rows = ask.get("/api/v1/models")["models"]
        states = [(row["key"], row["type"], bool(row["loaded_instances"])) for row in rows]
    except (ValueError, KeyError, TypeError):  # before 0.4
        rows = ask.get("/api/v0/models")["data"]
        states = [(row["id"], row["type"], row["state"] == "loaded") for row in rows]
    return [LocalModel(name, _billions(name), loaded) for name, kind, loaded in states if kind in {"llm", "vlm"}]


def _openai_like(owner: str) -> Callable[[_Questions], list[LocalModel]]:
    """The shape of a server that lists its one model as OpenAI does, under its own name as the owner."""

    def read(ask: _Questions) -> list[LocalModel]:
        rows = [row for row in ask.get("/v1/models")["data"] if row["owned_by"] == owner]
        return [LocalModel(_without_folder(row["id"], owner), _size_of(row), loaded=True) for row in rows]

    return read


def _without_folder(name: str, owner: str) -> str:
    """A model's name; llama-server calls it by the path of its file, and answers to any name."""
    return re.split(r"[/\\]", name)[-1] if owner == "llamacpp" else name


def _size_of(row: dict[str, Any]) -> float | None:
    counted = (row.get("meta") or {}).get("n_params")
    return counted / 1e9 if isinstance(counted, int) else _billions(row["id"])


def _billions(text: str) -> float | None:
    found = _SIZE.search(str(text))
    return float(found[1] or found[2]) if found else None


_SHAPES: Mapping[str, Callable[[_Questions], list[LocalModel]]] = {
    "ollama": _ollama,
    "lmstudio": _lm_studio,
    "llamacpp": _openai_like("llamacpp"),
    "vllm": _openai_like("vllm"),
}
