"""One model of a chat server: messages in, text out, whole or while it comes.

Most servers are asked by chat completions (https://platform.openai.com/docs/api-reference/chat) through the `openai`
package. Ollama is asked by its own door, `POST /api/chat` (https://docs.ollama.com/api/chat): the compatible one
ignores `num_ctx` and cuts a long prompt to 4,096 tokens without a word.

Every way a server can fail is a `ModelFailed` of two lines: what happened, and what to do.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import re
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ipython_assistant.engine.models import ModelFailed, TokensUsed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    import httpx2
    from openai import AsyncOpenAI

Json = dict[str, Any]

SILENCE_S: Final = 300.0
"""Seconds without a byte from the server before it is given up, where the request sets no limit."""
CONNECT_S: Final = 5.0
LOADING_POLL_S: Final = 0.5
MAX_TOKENS: Final = 4_096
"""The longest completion that is asked for, where the caller sets no limit: an endless answer has an end."""
MAX_CHARACTERS: Final = 60_000
"""The longest text that is read, for servers that ignore `max_tokens`."""
CONTEXTS: Final = (8_192, 16_384, 32_768, 65_536, 131_072)
"""The sizes of context, in tokens, that Ollama is asked for: few, since each change loads the model anew."""
CHARACTERS_PER_TOKEN: Final = 3
"""On the safe side for English, code and JSON."""

_THOUGHT: Final = re.compile(r"\s*<think>.*?(?:</think>\s*|\Z)", re.DOTALL)
_TOO_LONG: Final = re.compile(
    r"context (length|window|size)|n_ctx|maximum context|too many tokens|prompt is too long|exceed_context|"
    r"keep from the initial prompt",
    re.IGNORECASE,
)
_NO_MODEL: Final = re.compile(r"model.{0,80}(not found|not exist|unknown|not loaded|no such)|no such model", re.I)


class SchemaRefused(ModelFailed):
    """The server does not take a JSON schema; asking for plain JSON may still work."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote.

    Attributes:
        text: All of it, without what the model thought aloud.
        usage: The tokens, as the server counted them; zero where it does not count.
        cut: Whether the text ends because a limit was reached, not because the model had finished.
    """

    text: str
    usage: TokensUsed = field(default_factory=TokensUsed)
    cut: bool = False


class ChatServer:
    """One model of a chat server.

    Args:
        address: Base URL of its chat completions, such as `http://localhost:8080/v1`.
        model: The model as the server calls it.
        key: Sent as a bearer token to this address alone; empty where the server wants none.
        kind: What it is, where that is known: `ollama`, `llama.cpp`, `vllm`, or any other word for a server of chat
            completions. Empty: it is asked once whether it is Ollama.
        key_name: The setting that holds the key, for the error when it is refused.
        schemas: Whether it can hold a model to a JSON schema; if not, `SchemaRefused` comes without asking.

    Attributes:
        silence_s: Seconds without a byte from the server before it is given up.
    """

    def __init__(
        self, address: str, model: str, *, key: str = "", kind: str = "", key_name: str = "", schemas: bool = True
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{address!r} is not the address of a chat server.\nWrite it as http://localhost:8080/v1.")
        self.model = model
        self.silence_s = SILENCE_S
        self._address = address.rstrip("/")
        self._root = f"{parts.scheme}://{parts.netloc}"
        self._on_this_machine = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        self._key = key
        self._key_name = key_name
        self._kind = kind
        self._schemas = schemas
        self._context = 0

    async def complete(
        self,
        messages: Sequence[Json],
        *,
        schema: Json | None = None,
        max_tokens: int | None = None,
        options: Json | None = None,
    ) -> Completion:
        """The whole answer to these messages.

        Args:
            messages: `{"role": ..., "content": ...}`, as chat completions have them.
            schema: The JSON schema that the text has to fit, where the server can hold a model to one.
            max_tokens: The longest answer, in tokens; what is longer comes back `cut`.
            options: As chat completions name them: `temperature`, `top_p`, `seed`, `reasoning_effort`.

        Raises:
            SchemaRefused: The server does not take the schema.
            ModelFailed: The server cannot be reached, refuses, falls silent, or answers something else.
        """
        asked = self.stream(messages, schema=schema, max_tokens=max_tokens, options=options)
        async with aclosing(asked) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    return piece
        raise ModelFailed(f"{self._name} ended its answer without a word.\nRun the cell again.")

    async def stream(
        self,
        messages: Sequence[Json],
        *,
        schema: Json | None = None,
        max_tokens: int | None = None,
        options: Json | None = None,
    ) -> AsyncGenerator[str | Completion, None]:
        """The answer while it comes: pieces of its text, and last the `Completion`.

        Closing the generator closes the connection, at which these servers stop. Arguments and errors are those of
        `complete`.
        """
        if schema is not None and not self._schemas:
            raise SchemaRefused(f"{self._name} does not take a JSON schema.\nChoose another model with -m.")
        limit = max_tokens or MAX_TOKENS
        async with self._faults(with_schema=schema is not None):
            self._kind = self._kind or ("ollama" if await self._is_ollama() else "unknown")
            talk = self._ollama if self._kind == "ollama" else self._chat_completions
            text, length, spent, cut = _Text(), 0, TokensUsed(), False
            async with aclosing(talk(messages, schema, limit, options or {})) as chunks:
                while (chunk := await self._next(chunks)) is not None:
                    spent, cut = chunk.usage or spent, cut or chunk.cut
                    if fresh := text.add(chunk.text):
                        yield fresh
                    length += len(chunk.text)
                    if length > MAX_CHARACTERS:
                        cut = True
                        break
            if fresh := text.end():
                yield fresh
            self._check_context(spent, limit, cut=cut)
            yield Completion(text.whole, spent, cut)

    async def models(self) -> tuple[str, ...]:
        """The models it lists; none where it does not list any."""
        try:
            answer = await self._http.get(f"{self._address}/models", headers=self._headers(), timeout=CONNECT_S)
            rows = answer.json()["data"]
            return tuple(str(row["id"]) for row in rows)
        except Exception:  # noqa: BLE001 - this only helps an error that is being told
            return ()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    # --- the two doors ------------------------------------------------------------------------------------------------

    async def _chat_completions(
        self, messages: Sequence[Json], schema: Json | None, limit: int, options: Json
    ) -> AsyncGenerator[_Chunk, None]:
        body: Json = {"max_tokens": limit, **options}
        if self._kind == "openai":  # whose newer models refuse both
            body["max_completion_tokens"] = body.pop("max_tokens")
            body.pop("temperature", None)
        if self._kind in {"llama.cpp", "vllm"}:
            body["extra_body"] = {"chat_template_kwargs": {"enable_thinking": False}}
        if schema is not None:
            form = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        answer = await self._once_loaded(
            model=self.model, messages=list(messages), stream=True, stream_options={"include_usage": True}, **body
        )
        kind = answer.headers.get("content-type", "")
        if "text/html" in kind:
            raise ModelFailed(_web_page(self._name, self._address))
        if "application/json" in kind:
            yield _read(json.loads(await answer.http_response.aread()))
            return
        async with answer.parse() as events:
            async for event in events:
                yield _read(event.model_dump())

    async def _once_loaded(self, **body: Any) -> Any:
        """The raw answer to chat completions; llama-server answers 503 as long as it loads its model."""
        import openai

        create: Any = self._client.chat.completions.with_raw_response.create
        while True:
            try:
                return await create(**body)
            except openai.InternalServerError as error:
                if error.status_code != 503 or "loading" not in _words(error.response).lower():  # noqa: PLR2004 HTTP's
                    raise
            await asyncio.sleep(LOADING_POLL_S)

    async def _ollama(
        self, messages: Sequence[Json], schema: Json | None, limit: int, options: Json
    ) -> AsyncGenerator[_Chunk, None]:
        told = [_for_ollama(message) for message in messages]
        needed = sum(len(message["content"]) for message in told) // CHARACTERS_PER_TOKEN + limit
        self._context = max(self._context, next((size for size in CONTEXTS if size >= needed), CONTEXTS[-1]))
        sampling = {name: options[name] for name in ("temperature", "top_p", "seed") if name in options}
        body: Json = {
            "model": self.model,
            "messages": told,
            "stream": True,
            "think": False,
            "options": {"num_ctx": self._context, "num_predict": limit, **sampling},
        }
        if schema is not None:
            body["format"] = schema
        async with self._http.stream("POST", f"{self._root}/api/chat", json=body, headers=self._headers()) as answer:
            if answer.is_error:
                await answer.aread()
                answer.raise_for_status()
            async for line in answer.aiter_lines():
                if line.strip():
                    yield _read_ollama(json.loads(line))

    # --- around them --------------------------------------------------------------------------------------------------

    async def _next(self, chunks: AsyncGenerator[_Chunk, None]) -> _Chunk | None:
        """The next chunk; comments that only keep a connection open are not one. Raises `TimeoutError`."""
        async with asyncio.timeout(self.silence_s):
            return await anext(chunks, None)

    @cached_property
    def _http(self) -> httpx2.AsyncClient:
        import httpx2

        # A proxy is for the way out: what runs on this machine is asked directly.
        return httpx2.AsyncClient(trust_env=not self._on_this_machine, timeout=httpx2.Timeout(None, connect=CONNECT_S))

    @cached_property
    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        key = self._key or "none"
        return AsyncOpenAI(base_url=self._address, api_key=key, max_retries=0, timeout=None, http_client=self._http)

    async def _is_ollama(self) -> bool:
        """Whether it answers as Ollama does: `GET /api/version` and a version, and nothing else."""
        try:
            answer = await self._http.get(f"{self._root}/api/version", timeout=CONNECT_S)
            return answer.is_success and list(answer.json()) == ["version"]
        except Exception:  # noqa: BLE001 - the question itself will tell what is wrong
            return False

    @property
    def _name(self) -> str:
        return f"The chat server at {self._address}"

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def _check_context(self, spent: TokensUsed, limit: int, *, cut: bool) -> None:
        """Raise if the server has read only the end of what it was sent: its context was full.

        Servers that cut say nothing; but then all tokens together are just as many as their context holds, a round
        number, although fewer were written than it was allowed to.
        """
        total = spent.input + spent.output
        if cut and spent.output < limit and total and total % 1_024 == 0:
            raise ModelFailed(
                f"{self._name} reads no more than {total:,} tokens, and cut the question or its answer.\n"
                "Give the model a larger context (Ollama: OLLAMA_CONTEXT_LENGTH=16384; llama-server: -c 16384; "
                "LM Studio: Context Length), then run the cell again."
            )

    @asynccontextmanager
    async def _faults(self, *, with_schema: bool) -> AsyncIterator[None]:
        """Turn what the two libraries raise into `ModelFailed`."""
        import httpx2
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            raise await self._refusal(error.status_code, _words(error.response), with_schema=with_schema) from None
        except httpx2.HTTPStatusError as error:
            status = error.response.status_code
            raise await self._refusal(status, _words(error.response), with_schema=with_schema) from None
        except (openai.APITimeoutError, httpx2.ConnectTimeout):
            raise ModelFailed(self._nobody()) from None
        except TimeoutError:
            raise ModelFailed(
                f"{self._name} sent nothing for {self.silence_s:g} s.\n"
                "A large model on a small machine needs longer: raise --timeout, or choose a smaller model with -m."
            ) from None
        except (openai.APIConnectionError, httpx2.TransportError) as error:
            if isinstance(error, httpx2.ConnectError) or isinstance(error.__cause__, httpx2.ConnectError):
                raise ModelFailed(self._nobody()) from None
            raise ModelFailed(
                f"{self._name} closed the connection before its answer was complete.\n"
                "Look at its log (it may be short of memory), then run the cell again."
            ) from None
        except openai.APIError as error:  # an error that was told inside the stream
            raise await self._refusal(None, error.message, with_schema=with_schema) from None
        except ValueError as error:
            raise ModelFailed(
                f"{self._name} answered something that is not JSON ({error}).\n{_CHECK_ADDRESS}"
            ) from None

    def _nobody(self) -> str:
        cure = "Start it" if self._on_this_machine else "Check the address and the network"
        return f"No chat server answers at {self._address}.\n{cure}, or choose another model with -m."

    async def _refusal(self, status: int | None, words: str, *, with_schema: bool) -> ModelFailed:
        """The error for what the server refused."""
        said = " ".join(words.split())[:300]
        if said.startswith("<"):
            return ModelFailed(_web_page(self._name, self._address))
        if status in {401, 403}:
            name = self._key_name or "its key"
            return ModelFailed(f"{self._name} did not accept the key.\nCheck {name} where Jupyter is started.")
        if _TOO_LONG.search(said):
            return ModelFailed(
                f"The question is too long for the context of {self.model}: {said}.\n"
                "Load the model with a larger context, name fewer inputs, or start anew with --new."
            )
        if (status == 404 and "model" in said.lower()) or _NO_MODEL.search(said):  # noqa: PLR2004 HTTP's own number
            return await self._no_model()
        if with_schema and status in {400, 404, 415, 422, 500, 501}:
            return SchemaRefused(f"{self._name} does not take a JSON schema: {said}.\nChoose another model with -m.")
        if status == 404:  # noqa: PLR2004 as above
            return ModelFailed(f"{self._name} has no chat completions.\n{_CHECK_ADDRESS}")
        if status == 429:  # noqa: PLR2004 as above
            return ModelFailed(f"{self._name} has had too many questions: {said}.\nWait a little, then run it again.")
        code = f"answered {status}" if status is not None else "gave up"
        return ModelFailed(f"{self._name} {code}: {said or 'no reason given'}.\nLook at its log, or choose another -m.")

    async def _no_model(self) -> ModelFailed:
        offered = await self.models()
        near = difflib.get_close_matches(self.model, offered, n=1, cutoff=0.4)
        meant = f"Did you mean {near[0]}? " if near else ""
        listed = f"It has: {', '.join(offered[:10])}." if offered else "Load it there, or choose another with -m."
        return ModelFailed(f"{self._name} has no model {self.model}.\n{meant}{listed}")


_CHECK_ADDRESS: Final = "Check the address: most end in /v1, as in http://localhost:8080/v1."


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A piece of a completion, whichever door it came by."""

    text: str = ""
    usage: TokensUsed | None = None
    cut: bool = False


class _Text:
    """The text of a completion, from which what the model thinks aloud (`<think>`, at the beginning) is left out."""

    def __init__(self) -> None:
        self.whole = ""
        self._waiting: str | None = ""

    def add(self, piece: str) -> str:
        """Take in a piece; return what there is to show."""
        if self._waiting is None:
            self.whole += piece
            return piece
        self._waiting += piece
        begun = self._waiting.lstrip()
        thinks = begun.startswith("<think>") and not begun.partition("</think>")[2].strip()
        return "" if thinks or "<think>".startswith(begun) else self.end()

    def end(self) -> str:
        """Nothing more is held back: return what there is to show."""
        held, self._waiting = self._waiting or "", None
        shown = _THOUGHT.sub("", held, count=1) if held.lstrip().startswith("<think>") else held
        self.whole += shown
        return shown


def _read(chunk: Json) -> _Chunk:
    """A chunk of chat completions, or a whole one."""
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("delta") or choice.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    usage = chunk.get("usage")
    spent = None
    if isinstance(usage, dict):
        spent = TokensUsed(
            input=_number(usage, "prompt_tokens"),
            cached=_number(usage.get("prompt_tokens_details"), "cached_tokens"),
            output=_number(usage, "completion_tokens"),
            thought=_number(usage.get("completion_tokens_details"), "reasoning_tokens"),
        )
    return _Chunk(text if isinstance(text, str) else "", spent, choice.get("finish_reason") == "length")


def _read_ollama(line: Json) -> _Chunk:
    """A line of Ollama's own door."""
    if line.get("error"):
        raise ModelFailed(f"Ollama gave up: {line['error']}.\nLook at its log, or choose another model with -m.")
    message = line.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    spent = TokensUsed(input=_number(line, "prompt_eval_count"), output=_number(line, "eval_count"))
    done = bool(line.get("done"))
    return _Chunk(text if isinstance(text, str) else "", spent if done else None, line.get("done_reason") == "length")


def _for_ollama(message: Json) -> Json:
    """A message as Ollama has it: pictures beside the text, in base64 without an address."""
    content = message["content"]
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    text = "\n".join(part["text"] for part in content if part["type"] == "text")
    pictures = [part["image_url"]["url"].partition(",")[2] for part in content if part["type"] == "image_url"]
    return {"role": message["role"], "content": text, "images": pictures}


def _web_page(name: str, address: str) -> str:
    return f"{name} answered with a web page.\nCheck the address ({address}): something else may be listening there."


def _words(answer: httpx2.Response) -> str:
    """What an error answer says, out of the shapes there are."""
    try:
        said = answer.json()
    except (ValueError, RuntimeError):
        return answer.text if answer.is_stream_consumed or answer.is_closed else ""
    error = said.get("error", said) if isinstance(said, dict) else said
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return str(error)


def _number(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value > 0 else 0
