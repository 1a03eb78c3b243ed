"""Finding chat servers on this machine: each believed only in its own shape, and the model that suits best."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from tests_support.chat_servers import KINDS, ScriptedServer

from ipython_assistant.core import providers
from ipython_assistant.service import model_servers
from ipython_assistant.service.model_servers import LocalModel, LocalServer, best_model, find_servers

WORDS = {"ollama": "ollama", "lmstudio": "lmstudio", "llama.cpp": "llamacpp", "vllm": "vllm"}


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Scripted servers where the providers usually listen; nothing listens where the others do."""
    with ExitStack() as stack:

        def listen(**servers: ScriptedServer) -> None:
            table = dict(providers.providers())
            for word in WORDS.values():
                server = servers.get(word)
                address = stack.enter_context(server).url if server else "http://127.0.0.1:9/v1"
                table[word] = replace(table[word], address=address)
            monkeypatch.setattr(model_servers, "providers", lambda: table)

        yield listen


def named(*servers: LocalServer) -> list[str]:
    return [model.name for server in servers for model in server.models]


def test_all_four_are_found_side_by_side_in_their_own_shape(listening) -> None:
    listening(**{WORDS[kind]: ScriptedServer(kind, ["qwen3.5:4b"], loaded=["qwen3.5:4b"]) for kind in KINDS})

    found = find_servers({}, within_s=5)

    assert [server.title for server in found] == ["Ollama", "LM Studio", "llama-server", "vLLM"]
    assert named(*found) == [f"{WORDS[kind]}/qwen3.5:4b" for kind in KINDS]
    assert {(model.billions, model.loaded) for server in found for model in server.models} == {(4.0, True)}


def test_nothing_is_found_where_nothing_listens(listening) -> None:
    listening()

    assert find_servers({}) == ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_a_server_in_the_place_of_another_is_not_believed(listening, kind: str, other: str) -> None:
    listening(**{WORDS[kind]: ScriptedServer(other)})

    assert bool(find_servers({}, within_s=5)) is (kind == other)


def test_a_slow_server_is_not_waited_for_longer_than_the_limit(listening) -> None:
    listening(ollama=ScriptedServer("ollama", slow_s=3), lmstudio=ScriptedServer("lmstudio", slow_s=3))

    began = time.monotonic()
    found = find_servers({}, within_s=0.2)

    assert found == ()
    assert time.monotonic() - began < 2


def test_a_fast_server_is_found_beside_a_slow_one(listening) -> None:
    listening(ollama=ScriptedServer("ollama", slow_s=3), vllm=ScriptedServer("vllm"))

    assert [server.title for server in find_servers({}, within_s=1)] == ["vLLM"]


def test_ollama_is_looked_for_where_its_own_variable_says(listening) -> None:
    listening()
    with ScriptedServer("ollama") as server:
        assert [one.title for one in find_servers({"OLLAMA_HOST": f"0.0.0.0:{server.port}"}, within_s=5)] == ["Ollama"]


def test_another_machine_is_never_asked(listening) -> None:
    listening()

    # A test that reached another machine would fail; see `loopback_only`.
    assert find_servers({"OLLAMA_HOST": "192.0.2.7:11434"}, within_s=5) == ()


def test_a_cloud_model_of_ollama_is_not_on_this_machine() -> None:
    assert providers.is_on_this_machine("ollama/qwen3.5:4b", {})
    assert not providers.is_on_this_machine("ollama/gpt-oss:120b-cloud", {})
    assert not providers.is_on_this_machine("ollama/qwen3.5:4b", {"OLLAMA_HOST": "https://gpu.example.org"})


def test_llama_server_is_asked_by_its_files_name_without_the_folder(listening) -> None:
    listening(llamacpp=ScriptedServer("llama.cpp", ["/home/somebody/models/qwen2.5-coder-3b.gguf"]))

    assert named(*find_servers({}, within_s=5)) == ["llamacpp/qwen2.5-coder-3b.gguf"]


@pytest.mark.parametrize(
    ("models", "best"),
    [
        ([LocalModel("nomic-embed-text", 0.1, loaded=True), LocalModel("qwen3.5:4b", 4)], "qwen3.5:4b"),
        ([LocalModel("gpt-oss:120b-cloud", 120, loaded=True), LocalModel("qwen3.5:4b", 4)], "qwen3.5:4b"),
        ([LocalModel("qwen3.5:4b", 4), LocalModel("qwen3.5:9b", 9)], "qwen3.5:9b"),
        ([LocalModel("qwen3.5:4b", 4, loaded=True), LocalModel("qwen3.5:9b", 9)], "qwen3.5:4b"),
        ([LocalModel("qwen2.5:0.5b", 0.5, loaded=True), LocalModel("qwen3.5:4b", 4)], "qwen3.5:4b"),
        ([LocalModel("llama3.1:405b", 405), LocalModel("qwen3.5:4b", 4)], "qwen3.5:4b"),
        ([LocalModel("tinystories:8b", 8), LocalModel("qwen2.5-coder:7b", 7)], "qwen2.5-coder:7b"),
        ([LocalModel("qwen2.5:0.5b", 0.5)], "qwen2.5:0.5b"),
        ([LocalModel("something")], "something"),
        ([LocalModel("bge-m3", 0.6)], None),
        ([], None),
    ],
)
def test_the_best_suited_model(models: list[LocalModel], best: str | None) -> None:
    found = best_model([LocalServer("Ollama", "", tuple(models))])

    assert (found.name if found else None) == best


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("ollama/qwen3.5:4b", "qwen3.5:4b in Ollama on this machine"),
        ("anthropic/claude-sonnet-5", "claude-sonnet-5 at Anthropic"),
        ("http://localhost:8080/v1/qwen", "qwen at localhost:8080 on this machine"),
        ("https://models.example.org/v1/a/b", "a/b at models.example.org"),
        ("gguf/qwen2.5-coder-3b", "qwen2.5-coder-3b on this machine"),
        ("/models/mine.gguf", "mine.gguf on this machine"),
        ("basic", "the basic sentence forms, which use no model"),
    ],
)
def test_who_answers_in_words(model: str, words: str) -> None:
    assert providers.runs_code_here(model)
    assert providers.in_words(model, {}) == words


@pytest.mark.parametrize("model", ["gpt-6.1-terra", "ft:gpt-5:acme::1", "my/deployment", ""])
def test_a_plain_name_is_a_hosted_model(model: str) -> None:
    assert not providers.runs_code_here(model)


def test_only_the_variables_of_the_provider_that_is_asked_are_passed_on() -> None:
    assert providers.variables_of("anthropic/claude-sonnet-5") == ("ANTHROPIC_API_KEY",)
    assert providers.variables_of("ollama/qwen3.5:4b") == ("OLLAMA_HOST",)
    assert providers.variables_of("http://localhost:8080/v1/x") == ("IPYTHON_ASSISTANT_MODEL_KEY",)
    assert providers.variables_of("basic") == ()


def test_the_client_and_the_engine_read_the_same_names() -> None:
    from ipython_assistant.engine.models.chat_models import endpoint, stays_here

    for model in ("ollama/a:b", "groq/openai/gpt-oss-20b", "http://localhost:8080/v1/a/b", "https://x.example/y"):
        row, address, name = endpoint(model, {})
        assert stays_here(row, address, name) == providers.is_on_this_machine(model, {})
        assert name in {"a:b", "openai/gpt-oss-20b", "a/b", "y"}
    assert endpoint("gpt-6.1-terra", {})[1] == ""
