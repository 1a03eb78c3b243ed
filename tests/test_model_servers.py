"""Finding chat servers on this machine: each believed only in its own shape, and the model that suits best."""

import time
from contextlib import ExitStack
from dataclasses import replace

import pytest
from tests_support.chat_servers import KINDS, ScriptedServer

from ipython_assistant.core import providers
from ipython_assistant.service import model_servers
from ipython_assistant.service.model_servers import LocalModel, LocalServer, best_model, find_servers

WORDS = {"ollama": "ollama", "lmstudio": "lmstudio", "llama.cpp": "llamacpp", "vllm": "vllm"}


@pytest.fixture
def listening(monkeypatch):
    """Scripted servers where the providers usually listen; nothing listens where the others do."""
    with ExitStack() as stack:

        def listen(**servers):
            table = dict(providers.providers())
            for word in WORDS.values():
                server = servers.get(word)
                address = stack.enter_context(server).url if server else "http://127.0.0.1:9/v1"
                table[word] = replace(table[word], address=address)
            monkeypatch.setattr(model_servers, "providers", lambda: table)

        yield listen


def titles(environment=None, within_s=5):
    return [server.title for server in find_servers(environment or {}, within_s)]


def test_all_four_are_found_side_by_side_in_their_own_shape(listening):
    listening(**{WORDS[kind]: ScriptedServer(kind, ["qwen3.5:4b"], loaded=["qwen3.5:4b"]) for kind in KINDS})
    found = find_servers({}, within_s=5)
    assert [server.title for server in found] == ["Ollama", "LM Studio", "llama-server", "vLLM"]
    expected = [LocalModel(f"{WORDS[kind]}/qwen3.5:4b", 4.0, loaded=True) for kind in KINDS]
    assert [model for server in found for model in server.models] == expected


def test_nothing_is_found_where_nothing_listens_and_another_machine_is_never_asked(listening):
    listening()
    assert titles() == []
    # A test that reached another machine would fail; see `loopback_only`.
    assert titles({"OLLAMA_HOST": "192.0.2.7:11434"}) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_in_the_place_of_another_is_not_believed(listening, kind):
    listening(**{WORDS[other]: ScriptedServer(kind) for other in KINDS})
    assert [server.models[0].name.partition("/")[0] for server in find_servers({}, within_s=5)] == [WORDS[kind]]


def test_slow_servers_are_not_waited_for_and_hide_no_fast_one(listening):
    slow = {word: ScriptedServer(kind, slow_s=3) for kind, word in WORDS.items() if kind != "vllm"}
    listening(**slow, vllm=ScriptedServer("vllm"))
    began = time.monotonic()
    assert titles(within_s=0.5) == ["vLLM"]
    assert time.monotonic() - began < 2


def test_ollama_is_looked_for_where_its_variable_says_and_llama_server_asked_by_its_files_name(listening):
    listening(llamacpp=ScriptedServer("llama.cpp", ["/home/somebody/models/mine.gguf"]))
    assert find_servers({}, within_s=5)[0].models == (LocalModel("llamacpp/mine.gguf", 4.0, loaded=True),)
    with ScriptedServer("ollama") as server:
        assert titles({"OLLAMA_HOST": f"0.0.0.0:{server.port}"}) == ["Ollama", "llama-server"]


@pytest.mark.parametrize(("models", "best"), [
    ([LocalModel("nomic-embed-text", 0.1, loaded=True), LocalModel("qwen3.5:4b", 4)], "qwen3.5:4b"),
    ([LocalModel("gpt-oss:120b-cloud", 120, loaded=True), LocalModel("qwen3.5:4b", 4)], "qwen3.5:4b"),
    ([LocalModel("qwen3.5:4b", 4), LocalModel("qwen3.5:9b", 9)], "qwen3.5:9b"),
    ([LocalModel("qwen3.5:4b", 4, loaded=True), LocalModel("qwen3.5:9b", 9)], "qwen3.5:4b"),
    ([LocalModel("qwen2.5:0.5b", 0.5, loaded=True), LocalModel("qwen3.5:4b", 4)], "qwen3.5:4b"),
    ([LocalModel("tinystories:8b", 8), LocalModel("qwen2.5-coder:7b", 7)], "qwen2.5-coder:7b"),
    ([LocalModel("llama3.1:405b", 405), LocalModel("qwen3.5:4b", 4)], "qwen3.5:4b"),
    ([LocalModel("qwen2.5:0.5b", 0.5)], "qwen2.5:0.5b"), ([LocalModel("something")], "something"),
    ([LocalModel("bge-m3", 0.6)], None), ([], None),
])  # fmt: skip
def test_the_best_suited_model(models, best):
    found = best_model([LocalServer("Ollama", "", tuple(models))])
    assert (found.name if found else None) == best


@pytest.mark.parametrize(("model", "words", "variables"), [
    ("ollama/qwen3.5:4b", "qwen3.5:4b in Ollama on this machine", ("OLLAMA_HOST",)),
    ("ollama/gpt-oss:120b-cloud", "gpt-oss:120b-cloud at Ollama", ("OLLAMA_HOST",)),
    ("anthropic/claude-sonnet-5", "claude-sonnet-5 at Anthropic", ("ANTHROPIC_API_KEY",)),
    ("http://localhost:8080/v1/a/b", "a/b at localhost:8080 on this machine", ("IPYTHON_ASSISTANT_MODEL_KEY",)),
    ("https://models.example.org/v1/a", "a at models.example.org", ("IPYTHON_ASSISTANT_MODEL_KEY",)),
    ("gguf/qwen2.5-coder-3b", "qwen2.5-coder-3b on this machine", ()),
    ("/models/mine.gguf", "mine.gguf on this machine", ()),
    ("basic", "the basic sentence forms, which use no model", ()),
])  # fmt: skip
def test_who_answers_in_words_and_which_variables_the_engine_is_given(model, words, variables):
    assert providers.runs_code_here(model)
    assert providers.model_in_words(model, {}) == words
    assert providers.variables_of(model) == variables
    address, name = providers.endpoint_of(model, {})
    assert bool(address) == (name != "")
    assert words.startswith(name)


@pytest.mark.parametrize("model", ["gpt-6.1-terra", "ft:gpt-5:acme::1", "my/deployment", ""])
def test_a_plain_name_is_a_hosted_model(model):
    assert not providers.runs_code_here(model)
    assert providers.endpoint_of(model, {}) == ("", "")
