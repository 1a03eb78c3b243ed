"""Asking one model of a chat server: the doors of the four that people run, and every way a server can fail."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests_support.chat_servers import KINDS, Reply, ScriptedServer, page, refusal

from ipython_assistant.engine.models import ModelFailed, TokensUsed
from ipython_assistant.engine.models.chat_server import MAX_CHARACTERS, ChatServer, Completion, SchemaRefused

QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many?"}]
SCHEMA = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def complete(server: ScriptedServer, *, silence_s: float = 5, **arguments: Any) -> Completion:
    """One completion, in an event loop of its own."""
    made = {name: arguments.pop(name) for name in ("key", "kind", "schemas", "model") if name in arguments}

    async def ask() -> Completion:
        chat = ChatServer(server.url, made.pop("model", "qwen3.5:4b"), silence_s=silence_s, **made)
        try:
            return await chat.complete(QUESTION, **arguments)
        finally:
            await chat.close()

    return asyncio.run(ask())


def failure(ask: Callable[[], Any]) -> tuple[str, str]:
    """The two lines of the error that asking ends in."""
    with pytest.raises(ModelFailed) as caught:
        ask()
    happened, _, cure = str(caught.value).partition("\n")
    assert happened
    assert cure
    assert "\n" not in cure
    return happened, cure


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_server_gives_the_text_and_the_tokens(kind: str) -> None:
    with ScriptedServer(kind, script=[Reply("There are 12.", thinking="Let me see.")]) as server:
        completion = complete(server)

    assert completion == Completion("There are 12.", TokensUsed(input=100, output=20))


def test_ollama_is_known_by_its_version_and_asked_by_its_own_door() -> None:
    with ScriptedServer("ollama", script=[Reply("{}")]) as server:
        complete(server, schema=SCHEMA, max_tokens=300, options={"temperature": 0})

    assert server.paths == ["/api/version", "/api/chat"]
    body = server.asked[0]
    assert (body["format"], body["think"], body["messages"]) == (SCHEMA, False, QUESTION)
    assert body["options"] == {"num_ctx": 8_192, "num_predict": 300, "temperature": 0}


def test_ollama_is_given_a_context_that_holds_the_question() -> None:
    with ScriptedServer("ollama", script=[Reply("x"), Reply("x")]) as server:
        chat = ChatServer(server.url, "qwen3.5:4b")

        async def ask() -> None:
            await chat.complete([{"role": "user", "content": "word " * 9_000}])
            await chat.complete(QUESTION)
            await chat.close()

        asyncio.run(ask())

    # The second question keeps the size: another one would make Ollama load the model again.
    assert [body["options"]["num_ctx"] for body in server.asked] == [32_768, 32_768]


def test_chat_completions_are_asked_with_the_schema_and_the_key(server: ScriptedServer) -> None:
    server.script = [Reply("{}")]

    complete(server, key="sk-for-this-server", schema=SCHEMA)

    form = server.asked[0]["response_format"]
    assert (form["type"], form["json_schema"]["schema"]) == ("json_schema", SCHEMA)
    assert server.headers[0]["authorization"] == "Bearer sk-for-this-server"


@pytest.mark.parametrize("kind", ["llama.cpp", "vllm"])
def test_servers_with_templates_are_asked_not_to_think(kind: str) -> None:
    with ScriptedServer(kind, script=[Reply("x")]) as server:
        complete(server, kind=kind)

    assert server.asked[0]["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("<think>Twelve, or 13?</think>\n\nTwelve.", "Twelve."),
        ("<think>never closed", ""),
        ("<b>bold</b> and <think>", "<b>bold</b> and <think>"),
        ("\n  \n", "\n  \n"),
    ],
)
def test_what_a_model_thinks_aloud_is_left_out(server: ScriptedServer, written: str, kept: str) -> None:
    server.script = [Reply(written)]

    assert complete(server).text == kept


def test_an_answer_that_reached_its_limit_is_cut(server: ScriptedServer) -> None:
    server.script = [Reply("There are", cut=True, tokens=(100, 300))]

    assert complete(server, max_tokens=300).cut


def test_an_endless_answer_is_stopped_and_cut(server: ScriptedServer) -> None:
    server.script = [Reply("and so on and so on and so on ", endless=True)]

    completion = complete(server)

    assert completion.cut
    assert MAX_CHARACTERS <= len(completion.text) <= MAX_CHARACTERS + 10
    assert server.gone.wait(5)


def test_a_stream_that_is_closed_early_ends_the_request(server: ScriptedServer) -> None:
    server.script = [Reply("one two three", endless=True)]

    async def ask() -> str | Completion:
        chat = ChatServer(server.url, "m")
        pieces = chat.stream(QUESTION)
        first = await anext(pieces)
        await pieces.aclose()
        await chat.close()
        return first

    assert asyncio.run(ask()) == "one t"
    assert server.gone.wait(5)


def test_a_server_that_answers_whole_although_asked_to_stream(server: ScriptedServer) -> None:
    answer = {"choices": [{"message": {"content": "12."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9}}
    server.script = [Reply(body=json.dumps(answer).encode())]

    assert complete(server) == Completion("12.", TokensUsed(input=9))


# Faults. --------------------------------------------------------------------------------------------------------------


def test_no_server_at_the_address() -> None:
    with ScriptedServer() as server:
        port = server.port

    chat = ChatServer(f"http://127.0.0.1:{port}/v1", "m")
    happened, cure = failure(lambda: asyncio.run(chat.complete(QUESTION)))

    assert f"127.0.0.1:{port}" in happened
    assert "Start it" in cure


@pytest.mark.parametrize("kind", ["ollama", "llama.cpp"])
def test_a_server_that_dies_in_its_answer(kind: str) -> None:
    with ScriptedServer(kind, script=[Reply("There are 12 of them.", dies_after=2)]) as server:
        happened, _ = failure(lambda: complete(server))

    assert "closed the connection" in happened


@pytest.mark.parametrize("kind", ["ollama", "llama.cpp"])
def test_a_web_page_in_place_of_an_answer(kind: str) -> None:
    with ScriptedServer(kind, script=[page()]) as server:
        _, cure = failure(lambda: complete(server))

    assert "address" in cure


def test_a_body_that_is_not_json(server: ScriptedServer) -> None:
    server.script = [Reply(body=b'{"choices": [')]

    assert "not JSON" in failure(lambda: complete(server))[0]


@pytest.mark.parametrize("kind", ["ollama", "llama.cpp"])
def test_a_server_that_falls_silent_is_given_up(kind: str) -> None:
    never = threading.Event()
    with ScriptedServer(kind, script=[Reply("late", hold=never)]) as server:
        happened, cure = failure(lambda: complete(server, silence_s=0.3))
        never.set()

    assert "0.3 s" in happened
    assert "--timeout" in cure


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("ollama", 'model "qwen3.5:9b" not found, try pulling it first'),
        ("vllm", "The model `qwen3.5:9b` does not exist."),
        ("lmstudio", "Invalid model identifier: no such model qwen3.5:9b"),
    ],
)
def test_a_model_that_is_not_there_names_the_nearest(kind: str, words: str) -> None:
    with ScriptedServer(kind, ["llama4:8b", "qwen3.5:4b"], script=[refusal(404, words)]) as server:
        happened, cure = failure(lambda: complete(server, model="qwen3.5:9b"))

    assert "qwen3.5:9b" in happened
    assert cure.startswith("Did you mean qwen3.5:4b?")


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_schema_that_is_refused_can_be_told_from_other_errors(server: ScriptedServer, status: int) -> None:
    server.script = [refusal(status, "response_format: unsupported"), refusal(status, "something else")]

    with pytest.raises(SchemaRefused):
        complete(server, schema=SCHEMA)
    with pytest.raises(ModelFailed) as caught:
        complete(server)
    assert not isinstance(caught.value, SchemaRefused)


def test_a_server_without_schemas_is_not_asked_with_one(server: ScriptedServer) -> None:
    with pytest.raises(SchemaRefused):
        complete(server, schema=SCHEMA, schemas=False)

    assert server.asked == []


@pytest.mark.parametrize(
    "words",
    [
        "request (5210 tokens) exceeds the available context size (4096 tokens), try increasing it",
        "This model's maximum context length is 4096 tokens. However, you requested 5210 tokens",
        "The number of tokens to keep from the initial prompt is greater than the context length",
    ],
)
def test_a_context_that_is_too_small(server: ScriptedServer, words: str) -> None:
    server.script = [refusal(400, words)]

    assert "larger context" in failure(lambda: complete(server, schema=SCHEMA))[1]


def test_a_prompt_that_was_cut_without_a_word_is_noticed(server: ScriptedServer) -> None:
    server.script = [Reply("There", cut=True, tokens=(4_000, 96))]

    happened, cure = failure(lambda: complete(server))

    assert "4,096" in happened
    assert "OLLAMA_CONTEXT_LENGTH" in cure


def test_an_error_told_inside_the_stream(server: ScriptedServer) -> None:
    server.script = [Reply("There", error="CUDA out of memory")]

    assert "CUDA out of memory" in failure(lambda: complete(server))[0]


def test_an_error_told_inside_ollamas_stream() -> None:
    with ScriptedServer("ollama", script=[Reply("There", error="llama runner has ended")]) as server:
        assert "llama runner has ended" in failure(lambda: complete(server))[0]


def test_a_key_that_is_refused_is_not_repeated(server: ScriptedServer) -> None:
    server.script = [refusal(401, "Incorrect API key provided: sk-for-this-server")]

    happened, cure = failure(lambda: complete(server, key="sk-for-this-server"))

    assert "sk-for-this-server" not in happened + cure


def test_no_redirect_is_followed(server: ScriptedServer) -> None:
    with ScriptedServer(script=[Reply("stolen")]) as other:
        server.script = [Reply(status=307, body=b"{}", location=other.url)]
        failure(lambda: complete(server, key="sk-for-this-server"))

        assert other.asked == []


@pytest.mark.parametrize("address", ["localhost:8080/v1", "ftp://localhost/v1", "http://"])
def test_an_address_that_is_not_one(address: str) -> None:
    with pytest.raises(ModelFailed, match="not the address of a chat server"):
        ChatServer(address, "m")
