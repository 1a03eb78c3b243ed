"""One model of a chat server: messages in, text out, whole or while it comes.

Most servers are asked by chat completions (https://platform.openai.com/docs/api-reference/chat). Ollama is asked by its
own door, `POST /api/chat` (https://docs.ollama.com/api/chat): the compatible one ignores `num_ctx` and cuts a long
prompt to 4,096 tokens without a word. Every way a server can fail is a `ModelFailed` of two lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import json
import re
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ipython_assistant.core.providers import LOOPBACK
from ipython_assistant.engine.models import SILENCE_S, ModelFailed, TokensUsed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from openai import AsyncOpenAI

Json = dict[str, Any]

CONNECT_S: Final = 5.0
MAX_TOKENS: Final = 4_096
"""The longest completion that is asked for, where the caller sets no limit: an endless answer has an end."""
MAX_CHARACTERS: Final = 60_000  # the longest text that is read, for servers that ignore `max_tokens`
CONTEXTS: Final = (8_192, 16_384, 32_768, 65_536, 131_072)
"""The sizes of context, in tokens, that Ollama is asked for: few, since each change loads the model anew."""
CHARACTERS_PER_TOKEN, PICTURE_TOKENS = 3, 1_500
"""On the safe side for English, code and JSON, and for most models."""

_TOO_LONG: Final = re.compile(r"context (length|window|size)|n_ctx|too many tokens|too long|the initial prompt", re.I)
_NO_MODEL: Final = re.compile(r"model.{0,80}(not found|not exist|unknown|not loaded)|no such model", re.IGNORECASE)
_CHECK_ADDRESS: Final = "Check the address: most end in /v1, as in http://localhost:8080/v1."
_CURES: Final = {404: _CHECK_ADDRESS, 429: "Wait a little, then run it again."}
_UNABLE: Final = frozenset({400, 404, 413, 415, 422, 500, 501})
"""The statuses with which servers refuse a schema or a picture."""


class _Unable(ModelFailed):
    """The server refused something; asking without pictures or a JSON schema may still work."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote, without what it thought aloud; the tokens that the server counted; whether a limit cut it."""

    text: str
    usage: TokensUsed = field(default_factory=TokensUsed)
    cut: bool = False


class ChatServer:
    """One model of a chat server, as the server calls it; `address` is the base URL of its chat completions.

    The `key` is sent as a bearer token to this address alone; `key_name` is the setting that holds it. `kind` is
    `ollama`, `openai`, `llama.cpp`, `vllm` or another word; empty: it is asked once whether it is Ollama. Without
    `schemas` it is not asked to hold the model to one. It is given up after `silence_s` seconds without a byte.
    """

    def __init__(
        self, address: str, model: str, *, key: str = "", kind: str = "", key_name: str = "", schemas: bool = True,
        silence_s: float = SILENCE_S,
    ) -> None:  # fmt: skip
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            cure = "Write it as http://localhost:8080/v1."
            raise ModelFailed(f"{address!r} is not the address of a chat server.", cure)
        self.model = model
        self._address, self._root = address.rstrip("/"), f"{parts.scheme}://{parts.netloc}"
        self._on_this_machine, self._said_by = parts.hostname in LOOPBACK, f"The chat server at {address.rstrip('/')}"
        self._key, self._key_name, self._silence_s = key, key_name, silence_s
        self._kind, self._schemas, self._context = kind, schemas, 0
        self.sees_pictures = True  # whether the model sees pictures, as far as is known

    async def complete(self, messages: Sequence[Json], **asked: Any) -> Completion:
        """The whole answer to these messages. Arguments and errors are those of `stream`."""
        (whole,) = [piece async for piece in self.stream(messages, **asked) if isinstance(piece, Completion)]
        return whole

    async def stream(
        self, messages: Sequence[Json], *, schema: Json | None = None, max_tokens: int = MAX_TOKENS,
        options: Json | None = None,
    ) -> AsyncGenerator[str | Completion, None]:  # fmt: skip
        """The answer while it comes: pieces of its text, and last the `Completion`; closing it stops the server.

        Messages and options are those of chat completions; a message's `pictures` are data URLs by name. A model that
        turns out to see no pictures, or to take no JSON schema, is asked without, and told the schema in words. An
        answer of more than `max_tokens` comes back `cut`. Raises `ModelFailed`.
        """
        if not self._kind:  # Ollama's `GET /api/version` gives a version, and nothing else
            about = await self._get(f"{self._root}/api/version")
            self._kind = "ollama" if list(about) == ["version"] else "unknown"
        pictured = any("pictures" in message for message in messages)
        if pictured and self._kind == "ollama" and self.sees_pictures:  # it says so, and gives them to no other model
            about = await self._get(f"{self._root}/api/show", {"model": self.model})
            self.sees_pictures = "vision" in about.get("capabilities", ["vision"])
        pictured = pictured and self.sees_pictures
        words = [{name: message[name] for name in message if name != "pictures"} for message in messages]
        attempts = [(messages if pictured else words, schema)] if pictured or (schema and self._schemas) else []
        if schema is not None:
            told = f"Answer with one JSON object that fits this JSON schema:\n{json.dumps(schema)}"
            words = [*words[:-1], {**words[-1], "content": f"{words[-1]['content']}\n{told}"}]
        attempts.append((words, None))
        request = self._for_ollama if self._kind == "ollama" else self._for_others
        for number, (said, form) in enumerate(attempts, 1):
            url, body = request(said, form, max_tokens, options or {})
            try:
                async with aclosing(self._answer(url, body, max_tokens)) as pieces:
                    async for piece in pieces:
                        self.sees_pictures = self.sees_pictures and not (pictured and said is words)
                        yield piece
                break
            except _Unable:
                if number == len(attempts):
                    raise

    async def _answer(self, url: str, body: Json, limit: int) -> AsyncGenerator[str | Completion, None]:
        import httpx2
        import openai

        written, shown, usage, cut = "", 0, TokensUsed(), False
        try:
            async with aclosing(self._objects(url, body)) as objects:
                while len(written) <= MAX_CHARACTERS:
                    async with asyncio.timeout(self._silence_s):
                        found = await anext(objects, None)
                    if found is None:
                        break
                    if said := found.get("error"):
                        raise await self._refusal(None, _reason(said))
                    text, tokens, at_limit = _read(found)
                    written, usage, cut = written + text, tokens or usage, cut or at_limit
                    if fresh := text if shown else _said(written):
                        yield fresh
                        shown += len(fresh)
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, TimeoutError) as error:
            raise await self._failure(error) from None
        whole = _said(written, ended=True)
        if fresh := whole[shown:]:
            yield fresh
        total = usage.input + usage.output
        if cut and usage.output < limit and total and total % 1_024 == 0:
            # Servers that read only the end of a long question say nothing; but all tokens together then are just as
            # many as their context holds, a round number, although fewer were written than allowed.
            sizes = "Ollama: OLLAMA_CONTEXT_LENGTH=16384; llama-server: -c 16384; LM Studio: Context Length"
            cure = f"Give the model a larger context ({sizes}), then run the cell again."
            raise self._error(f"reads no more than {total:,} tokens, and cut the question or its answer", cure)
        yield Completion(whole, usage, cut or len(written) > MAX_CHARACTERS)

    @cached_property
    def _client(self) -> AsyncOpenAI:
        import httpx2
        from openai import AsyncOpenAI

        # A proxy is for the way out, not for what runs on this machine. No redirect takes the key elsewhere.
        http = httpx2.AsyncClient(trust_env=not self._on_this_machine, timeout=httpx2.Timeout(None, connect=CONNECT_S))
        return AsyncOpenAI(base_url=self._address, api_key=self._key or "none", max_retries=0, http_client=http)

    def _for_others(self, messages: Sequence[Json], schema: Json | None, limit: int, options: Json) -> tuple[str, Json]:
        said = []
        for message in messages:  # one with pictures is a list of parts
            parts: list[Json] = [{"type": "text", "text": message["content"]}]
            for name, url in message.get("pictures", {}).items():
                parts += [{"type": "text", "text": f"{name}:"}, {"type": "image_url", "image_url": {"url": url}}]
            said.append({"role": message["role"], "content": parts} if len(parts) > 1 else message)
        body = {"model": self.model, "messages": said, "stream": True, "max_tokens": limit, **options}
        body["stream_options"] = {"include_usage": True}
        if self._kind == "openai":  # whose newer models refuse both
            body["max_completion_tokens"] = body.pop("max_tokens")
            body.pop("temperature", None)
        if self._kind in {"llama.cpp", "vllm"}:
            body["chat_template_kwargs"] = {"enable_thinking": False}
        if schema is not None:
            form = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        return f"{self._address}/chat/completions", body

    def _for_ollama(self, messages: Sequence[Json], schema: Json | None, limit: int, options: Json) -> tuple[str, Json]:
        needed = sum(len(message["content"]) for message in messages) // CHARACTERS_PER_TOKEN + limit
        said = []
        for message in messages:
            shown = [url.partition(",")[2] for url in message.get("pictures", {}).values()]
            needed += len(shown) * PICTURE_TOKENS
            images = {"images": shown} if shown else {}
            said.append({"role": message["role"], "content": message["content"], **images})
        self._context = max(self._context, next((size for size in CONTEXTS if size >= needed), CONTEXTS[-1]))
        sampling = {name: options[name] for name in ("temperature", "top_p", "seed") if name in options}
        body: Json = {"model": self.model, "messages": said, "stream": True, "think": False}
        body["options"] = {"num_ctx": self._context, "num_predict": limit, **sampling}
        return f"{self._root}/api/chat", body if schema is None else {**body, "format": schema}

    async def _objects(self, url: str, body: Json) -> AsyncGenerator[Json, None]:
        """The JSON objects of a streamed answer, be they lines or server-sent events; a whole answer is one of them."""
        import httpx2

        raw: Any = {"headers": {"X-Stainless-Raw-Response": "stream"}}
        answer = await self._client.post(url, body=body, cast_to=httpx2.Response, options=raw)
        try:
            kind = answer.headers.get("content-type", "")
            if "text/html" in kind:
                raise await self._refusal(None, "<html>")
            if "application/json" in kind:
                whole = json.loads(await answer.aread())
                yield whole if isinstance(whole, dict) else {"error": whole}
                return
            async for line in answer.aiter_lines():
                data = line.removeprefix("data:").strip()
                if data.startswith("{"):  # not a comment that only keeps the connection open, and not [DONE]
                    yield json.loads(data)
        finally:
            await answer.aclose()

    async def _get(self, url: str, body: Json | None = None) -> Json:
        """The JSON that the server answers there; empty on any error, which the question itself will tell."""
        client, kind = self._client.with_options(timeout=CONNECT_S), object
        with contextlib.suppress(Exception):
            found = await (client.post(url, cast_to=kind, body=body) if body else client.get(url, cast_to=kind))
            return found if isinstance(found, dict) else {}
        return {}

    async def _failure(self, error: Exception) -> Exception:
        """What the libraries raised, as a `ModelFailed`."""
        import httpx2
        import openai

        match error.__cause__ if isinstance(error, openai.APIConnectionError) else error:
            case openai.APIStatusError(status_code=status, body=said, response=response):
                return await self._refusal(status, _reason(response.text if said is None else said))
            case httpx2.ConnectError() | httpx2.ConnectTimeout():
                cure = "Start it" if self._on_this_machine else "Check the address and the network"
                cure += ", or choose another model with -m."
                return ModelFailed(f"No chat server answers at {self._address}.", cure)
            case TimeoutError():
                cure = "A large model needs longer: raise --timeout, or choose a smaller model with -m."
                return self._error(f"sent nothing for {self._silence_s:g} s", cure)
            case ValueError():
                return self._error(f"answered something that is not JSON ({error})", _CHECK_ADDRESS)
        cure = "Look at its log (it may be short of memory), then run the cell again."
        return self._error("closed the connection before its answer was complete", cure)

    async def _refusal(self, status: int | None, said: str) -> ModelFailed:
        """The error for what the server refused."""
        if said.startswith("<"):
            cure = f"{_CHECK_ADDRESS} Something else may be listening there."
            return self._error("answered with a web page", cure)
        if status in {401, 403}:
            cure = f"Check {self._key_name or 'its key'} where Jupyter is started."
            return self._error("did not accept the key", cure)
        if _TOO_LONG.search(said):
            cure = "Load the model with a larger context, name fewer inputs, or start anew with --new."
            return self._error(f"finds the question too long for the context of {self.model}: {said}", cure)
        if _NO_MODEL.search(said):
            rows = (await self._get(f"{self._address}/models")).get("data") or []
            offered = [str(row.get("id")) for row in rows if isinstance(row, dict)]
            near = difflib.get_close_matches(self.model, offered, n=1, cutoff=0.4)
            meant = f"Did you mean {near[0]}? " if near else ""
            listed = f"It has: {', '.join(offered[:10])}." if offered else "Load it there, or choose another with -m."
            return self._error(f"has no model {self.model}", f"{meant}{listed}")
        happened = f"{f'answered {status}' if status else 'gave up'}: {said or 'no reason given'}"
        cure = _CURES.get(status or 0, "Look at its log, or choose another model with -m.")
        return (_Unable if status in _UNABLE else ModelFailed)(f"{self._said_by} {happened}.", cure)

    def _error(self, happened: str, cure: str) -> ModelFailed:
        return ModelFailed(f"{self._said_by} {happened}.", cure)


def _read(found: Json) -> tuple[str, TokensUsed | None, bool]:
    """The text of an object of an answer, its tokens if it counts them, and whether the text was cut at a limit."""
    choices = found.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else found
    message = choice.get("delta") or choice.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    usage, tokens = found.get("usage"), None
    if isinstance(usage, dict):
        cached = _number(usage.get("prompt_tokens_details"), "cached_tokens")
        thought = _number(usage.get("completion_tokens_details"), "reasoning_tokens")
        tokens = TokensUsed(_number(usage, "prompt_tokens"), cached, _number(usage, "completion_tokens"), thought)
    elif found.get("done"):
        tokens = TokensUsed(input=_number(found, "prompt_eval_count"), output=_number(found, "eval_count"))
    cut = "length" in {choice.get("finish_reason"), found.get("done_reason")}
    return text if isinstance(text, str) else "", tokens, cut


def _said(written: str, *, ended: bool = False) -> str:
    """A text without what the model thought aloud at its beginning (`<think>`); nothing as long as that is open."""
    begun = written.lstrip()
    if begun.startswith("<think>"):
        return begun.partition("</think>")[2].lstrip()
    return "" if not ended and "<think>".startswith(begun) else written


def _reason(said: object) -> str:
    """What an error says, in one line, out of the shapes there are."""
    while isinstance(said, dict):
        said = said.get("error") or said.get("message") or said.get("detail") or str(said)
    return " ".join(str(said).split())[:300]


def _number(counts: object, name: str) -> int:
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if isinstance(value, int) else 0
