"""Asking one model of a chat server: the doors of the four that people run, and every way a server can fail."""

import asyncio
import json
import threading

import pytest
from tests_support.chat_servers import KINDS, Reply, ScriptedServer, page, refusal

from ipython_assistant.engine.models import ModelFailed, TokensUsed
from ipython_assistant.engine.models.chat_server import ChatServer, Completion

QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many?"}]
SCHEMA = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}
KEY = "sk-for-this-server"


@pytest.fixture(autouse=True)
def empty_scripts(servers):
    for server in servers.values():
        server.forget()


@pytest.fixture
def server(servers):
    return servers["llama.cpp"]


def complete(server, *replies, model="qwen3.5:4b", **arguments):
    """One completion, in an event loop of its own."""
    server.script = list(replies)
    made = {name: arguments.pop(name) for name in ("key", "kind", "schemas", "silence_s") if name in arguments}

    async def ask():
        chat = ChatServer(server.url, model, **{"silence_s": 5, **made})
        try:
            return await chat.complete(QUESTION, **arguments)
        finally:
            await chat._client.close()

    return asyncio.run(ask())


def failure(server, *replies, **arguments):
    """The two lines of the error that asking ends in."""
    with pytest.raises(ModelFailed) as caught:
        complete(server, *replies, **arguments)
    happened, cure = str(caught.value).split("\n")
    return happened, cure


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_server_gives_the_text_and_the_tokens(servers, kind):
    completion = complete(servers[kind], Reply("There are 12.", thinking="Let me see."))
    assert completion == Completion("There are 12.", TokensUsed(input=100, output=20))


def test_ollama_is_known_by_its_version_and_asked_by_its_own_door(servers):
    complete(servers["ollama"], Reply("{}"), schema=SCHEMA, max_tokens=300, options={"temperature": 0})
    assert servers["ollama"].paths == ["/api/version", "/api/chat"]
    body = servers["ollama"].asked[0]
    assert (body["format"], body["think"], body["messages"]) == (SCHEMA, False, QUESTION)
    assert body["options"] == {"num_ctx": 8_192, "num_predict": 300, "temperature": 0}


def test_ollama_is_given_a_context_that_holds_the_question_and_keeps_it(servers):
    server = servers["ollama"]
    server.script = [Reply("x"), Reply("x")]

    async def ask():
        chat = ChatServer(server.url, "qwen3.5:4b")
        await chat.complete([{"role": "user", "content": "word " * 9_000}])
        await chat.complete(QUESTION)
        await chat._client.close()

    asyncio.run(ask())
    # Another size would make Ollama load the model again.
    assert [body["options"]["num_ctx"] for body in server.asked] == [32_768, 32_768]


@pytest.mark.parametrize("kind", ["llama.cpp", "vllm"])
def test_chat_completions_are_asked_with_schema_and_key_and_not_to_think(servers, kind):
    complete(servers[kind], Reply("{}"), kind=kind, key=KEY, schema=SCHEMA)
    (body,) = servers[kind].asked
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert servers[kind].headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(("written", "kept"), [
    ("<think>Twelve, or 13?</think>\n\nTwelve.", "Twelve."), ("<think>never closed", ""), ("\n  \n", "\n  \n"),
    ("<b>bold</b> and <think>", "<b>bold</b> and <think>"),
])  # fmt: skip
def test_what_a_model_thinks_aloud_is_left_out(server, written, kept):
    assert complete(server, Reply(written)).text == kept


def test_an_answer_that_reached_its_limit_is_cut(server):
    assert complete(server, Reply("There are", cut=True, tokens=(100, 300)), max_tokens=300).cut


def test_an_endless_answer_is_stopped_and_cut(server, monkeypatch):
    monkeypatch.setattr("ipython_assistant.engine.models.chat_server.MAX_CHARACTERS", 3_000)
    completion = complete(server, Reply("and so on and so on and so on ", endless=True))
    assert (completion.cut, 3_000 <= len(completion.text) <= 3_010) == (True, True)
    assert server.gone.wait(5)


def test_a_stream_that_is_closed_early_ends_the_request(server):
    server.script = [Reply("one two three", endless=True)]

    async def first():
        pieces = ChatServer(server.url, "m").stream(QUESTION)
        piece = await anext(pieces)
        await pieces.aclose()
        return piece

    assert asyncio.run(first()) == "one t"
    assert server.gone.wait(5)


def test_a_server_that_answers_whole_although_asked_to_stream(server):
    answer = {"choices": [{"message": {"content": "12."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9}}
    assert complete(server, Reply(body=json.dumps(answer, indent=1).encode())) == Completion("12.", TokensUsed(input=9))


@pytest.mark.parametrize("schemas", [True, False], ids=["refused with 400", "known to take none"])
def test_a_schema_that_a_server_does_not_take_is_asked_for_as_plain_json(server, schemas):
    replies = [refusal(400, "response_format: unsupported")] if schemas else []
    completion = complete(server, *replies, Reply('{"count": 1}'), schema=SCHEMA, schemas=schemas)
    assert completion.text == '{"count": 1}'
    assert "response_format" not in server.asked[-1]
    assert json.dumps(SCHEMA) in server.asked[-1]["messages"][-1]["content"]


# Faults. --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["ollama", "llama.cpp"])
@pytest.mark.parametrize(("reply", "happened", "cure"), [
    (Reply("There are 12 of them.", dies_after=2), "closed the connection", "log"), (page(), "web page", "address"),
    (Reply(body=b'{"choices": ['), "not JSON", "address"),
    (Reply(body=b'["not today"]'), "gave up: ['not today']", "another model"),
    (Reply("There", error="CUDA out of memory"), "CUDA out of memory", "another model"),
    (refusal(401, f"Incorrect API key provided: {KEY}"), "did not accept the key", "Check"),
    (refusal(500, "something else"), "answered 500: something else", "another model"),
    (refusal(429, "slow down"), "slow down", "Wait"),
    (refusal(400, "request (5210 tokens) exceeds the available context size (4096)"), "5210", "larger context"),
    (refusal(400, "This model's maximum context length is 4096 tokens."), "too long", "larger context"),
    (refusal(400, "The number of tokens to keep from the initial prompt is greater"), "too long", "larger context"),
    (Reply("There", cut=True, tokens=(4_000, 96)), "no more than 4,096 tokens", "OLLAMA_CONTEXT_LENGTH"),
    (refusal(404, 'model "qwen3.5:9b" not found, try pulling it'), "qwen3.5:9b", "Did you mean qwen3.5:4b?"),
    (refusal(404, "The model `qwen3.5:9b` does not exist."), "qwen3.5:9b", "Did you mean qwen3.5:4b?"),
    (refusal(400, "Invalid model identifier: no such model"), "qwen3.5:9b", "Did you mean qwen3.5:4b?"),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_each_fault_of_a_server_is_two_lines(servers, kind, reply, happened, cure):
    told = failure(servers[kind], reply, key=KEY, model="qwen3.5:9b")
    assert happened in told[0]
    assert cure in told[1]
    assert KEY not in "".join(told)


@pytest.mark.parametrize("kind", ["ollama", "llama.cpp"])
def test_a_server_that_falls_silent_is_given_up(servers, kind):
    never = threading.Event()
    happened, cure = failure(servers[kind], Reply("late", hold=never), silence_s=0.2)
    never.set()
    assert ("0.2 s" in happened, "--timeout" in cure) == (True, True)


def test_no_server_at_the_address():
    with ScriptedServer() as server:
        pass
    happened, cure = failure(server)
    assert (f"127.0.0.1:{server.port}" in happened, "Start it" in cure) == (True, True)


def test_no_redirect_is_followed(servers, server):
    failure(server, Reply(status=307, body=b"{}", location=servers["vllm"].url), key=KEY)
    assert servers["vllm"].paths == []


@pytest.mark.parametrize("address", ["localhost:8080/v1", "ftp://localhost/v1", "http://"])
def test_an_address_that_is_not_one(address):
    with pytest.raises(ModelFailed, match="not the address of a chat server"):
        ChatServer(address, "m")
