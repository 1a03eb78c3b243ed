"""doctor: what it finds, over HTTP at a scripted service, and of a real engine."""

import os

import pytest
from tests_support.cases import cases
from tests_support.chat_servers import ScriptedServer
from tests_support.scripted import Answer, listing, refusal

from ipython_assistant import doctor
from ipython_assistant.config import AssistantMagics
from ipython_assistant.core.usage import default_model
from ipython_assistant.doctor import FINE, UNSURE, WRONG, Check, examine, run_doctor
from ipython_assistant.lab import ANNOUNCEMENT, PROMISE
from ipython_assistant.service import model_servers
from ipython_assistant.session import Session
from ipython_assistant.who_answers import A_REAL_MODEL

KEY = "sk-planted-key-0123456789"


def patient(notebook_dir, service, **traits):
    return Session(None, AssistantMagics(service=service, **traits), notebook_dir)


@pytest.fixture
def hosted_one(hosted, notebook_dir, monkeypatch):
    """A session at a service that is well."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    hosted.on("^GET /v1/models/", lambda _: Answer(b'{"id": "gpt-6.1-terra", "object": "model"}'))
    hosted.on(r"^GET /v1/containers\?", lambda _: listing())
    return patient(notebook_dir, "openai")


@pytest.fixture
def local_one(notebook_dir):
    """A session that the embedded engine answers."""
    session = patient(notebook_dir, "local", model="basic")
    yield session
    session.close()


def looked_at(session, *environment):
    """What was found, by name."""
    return {check.name: check for check in examine(session, *environment)}


@pytest.fixture
def no_engine(monkeypatch):
    monkeypatch.setattr(doctor, "_engine", lambda *_, **__: [Check("engine", UNSURE, "not looked at in this test")])


def test_where_all_is_well_every_line_says_so(hosted_one):
    checks = looked_at(hosted_one, {**os.environ, ANNOUNCEMENT: PROMISE})
    well = ("versions", "service", "key", "reachable", "model", "code interpreter", "folder", "server extension")
    assert {name: checks[name].ok for name in well} == dict.fromkeys(well, FINE)
    assert f"{default_model()} is there" in checks["model"].says
    assert "openai 3." in checks["versions"].says
    assert not hosted_one.settings.save_dir.exists()


ENDS = Answer(b'{"id": "gpt-6.1-terra", "shutdown_date": "2027-03-01"}')
ZDR = refusal("Containers are not available under Zero Data Retention.", 403)


@cases("fault", {
    "a key": ("^GET", refusal("Bad key.", 401, "invalid_api_key"), "reachable", WRONG, "key was not", "OPENAI_API_KEY"),
    "a model": ("models", refusal("Not here.", 404, "model_not_found"), "model", WRONG, "Not here", "-m"),
    "models untold": ("models", refusal("Invalid URL.", 404, "unknown_url"), "model", UNSURE, "does not say", ""),
    "a model that ends": ("^GET /v1/models/", ENDS, "model", UNSURE, "until 2027-03-01", "-m"),
    "a server": ("containers", refusal("Nothing.", 404), "code interpreter", WRONG, "no containers", "-m http://"),
    "a policy": ("containers", ZDR, "code interpreter", WRONG, "Zero Data Retention", "--no-code"),
    "a fault": ("containers", refusal("Broken.", 500), "code interpreter", WRONG, "Broken", "in a while"),
})  # fmt: skip
def test_what_is_wrong_is_said_with_its_cure(hosted_one, hosted, fault):
    where, answer, name, ok, says, cure = fault
    hosted.on(where, lambda _: answer)
    check = looked_at(hosted_one)[name]
    assert (check.ok, says in check.says, cure in check.cure) == (ok, True, True), check


def test_a_service_is_asked_twice_and_no_more(hosted_one, hosted):
    hosted.on("^GET", lambda _: refusal("Busy.", 503))
    examine(hosted_one)
    paths = sorted(request.path.partition("?")[0] for request in hosted.requests)
    assert paths == ["/v1/containers", f"/v1/models/{default_model()}"]


def test_a_service_that_cannot_be_reached_is_one_line_not_three(hosted_one, monkeypatch, nowhere):
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://{nowhere}/v1")
    checks = looked_at(hosted_one)
    assert checks["reachable"].ok == WRONG
    assert "OPENAI_BASE_URL" in checks["reachable"].cure
    assert {"model", "code interpreter"}.isdisjoint(checks)


@pytest.mark.parametrize("token", [KEY, ""])
def test_azure_is_looked_at_to_the_end_without_a_model(hosted_one, hosted, azure_identity, monkeypatch, token):
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", token)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", hosted.url.removesuffix("/v1"))
    azure_identity(lambda: "from-identity")
    hosted.on("^GET /openai/v1/", lambda _: listing())
    checks = looked_at(patient(hosted_one.notebook_dir, "azure"))
    found = [checks[name].ok for name in ("key", "reachable", "code interpreter", "model")]
    assert found == [FINE, FINE, FINE, UNSURE]
    assert ("by Entra ID" in checks["key"].says) is not bool(token)


def test_a_missing_key_extension_or_folder_is_said_with_its_cure(hosted_one, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    hosted_one.traits.save_dir = "taken/files"
    (hosted_one.notebook_dir / "taken").touch()
    checks = looked_at(hosted_one, {**os.environ, "JPY_SESSION_NAME": "a.ipynb"})
    for name, says, cure in (
        ("reachable", "there is no OPENAI_API_KEY", "Set it where Jupyter is started"),
        ("folder", "cannot be written: a file is where a folder should be", "--dir"),
        ("server extension", "", "JupyterLab"),
    ):
        assert (checks[name].ok, says in checks[name].says, cure in checks[name].cure) == (WRONG, True, True), name


def test_the_embedded_engine_is_started_asked_and_ended(local_one):
    checks = looked_at(local_one)
    assert [checks[name].ok for name in ("service", "engine", "folder")] == [FINE] * 3
    assert "sandbox: " in checks["engine"].says
    assert "key" not in checks
    assert (checks["model"].ok, checks["model"].cure) == (UNSURE, A_REAL_MODEL)


def test_a_model_whose_server_does_not_answer_is_said_with_its_address(notebook_dir, no_engine, nowhere, monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", nowhere)
    check = looked_at(patient(notebook_dir, "local", model="ollama/qwen3.5:4b"))["model"]
    assert (check.ok, nowhere in check.says, "ollama serve" in check.cure) == (WRONG, True, True)


def test_the_models_of_servers_on_this_machine_are_listed(notebook_dir, no_engine, monkeypatch):
    monkeypatch.setenv("IPYTHON_ASSISTANT_FIND_MODELS", "1")
    monkeypatch.setattr(model_servers, "SERVERS", ("ollama",))
    with ScriptedServer("ollama", ["qwen3.5:4b", "gemma4:e4b"]) as server:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.port}")
        checks = looked_at(patient(notebook_dir, "local"))
    assert "ollama/qwen3.5:4b, ollama/gemma4:e4b" in checks["Ollama"].says
    assert checks["model"].ok == FINE
    assert "in Ollama on this machine" in checks["model"].says


def test_what_is_printed_counts_the_key_and_repeats_no_secret(hosted_one, hosted, capsys, monkeypatch):
    run_doctor(hosted_one)
    monkeypatch.setenv("ALL_PROXY_OF_OURS", "http://ada:planted-pass@proxy.example.net:3128")
    said = "The proxy http://ada:planted-pass@proxy.example.net:3128 of org-planted-0123 is tired."
    monkeypatch.setenv("OPENAI_ORG_ID", "org-planted-0123")
    hosted.on("^GET", lambda _: refusal(said, 403))
    run_doctor(hosted_one)
    printed = capsys.readouterr().out
    assert f"{len(KEY)} characters" in printed
    assert "is tired" in printed
    assert [secret for secret in ("planted", KEY[-4:]) if secret in printed] == []
