"""Who answers without a key, and what a model may see: cells through a real engine, and a scripted Ollama."""

import json
import os
import threading
import time

import pandas as pd
import psutil
import pytest
from IPython.utils.capture import capture_output
from tests_support import events as wire
from tests_support.cases import told
from tests_support.chat_servers import Reply, ScriptedServer
from tests_support.scripted import Answer, refusal

from ipython_assistant import errors, turn_run
from ipython_assistant.config import AssistantMagics, freeze
from ipython_assistant.core.providers import variables_of
from ipython_assistant.core.usage import default_model
from ipython_assistant.options import Options
from ipython_assistant.service import model_servers
from ipython_assistant.service.engine_process import Engine
from ipython_assistant.session import Session
from ipython_assistant.who_answers import A_REAL_MODEL, with_answerer

CODE = "```python\nprint(cases['n'].sum())\ncases.to_csv('out.csv', index=False)\n```\n"
HERE = "qwen3.5:27b in Ollama on this machine"


@pytest.fixture(scope="module")
def server():
    """A scripted Ollama, one for all tests: so they share an engine, too."""
    with ScriptedServer("ollama", ["nomic-embed-text", "qwen3.5:27b", "gemma4:31b"]) as server:
        yield server


@pytest.fixture
def ollama(server, monkeypatch):
    """The scripted Ollama where Ollama is looked for; nothing else is looked for."""
    server.forget()
    server.plan = '{"cannot": "needs statistics, forecasting or several steps"}'
    server.loaded = ["qwen3.5:27b"]
    monkeypatch.setattr(model_servers, "SERVERS", ("ollama",))
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.port}")
    monkeypatch.setenv("IPYTHON_ASSISTANT_FIND_MODELS", "1")
    return server


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    session = Session(None, AssistantMagics(), tmp_path_factory.mktemp("notebook"))
    yield session
    session.close()


@pytest.fixture
def ask(session):
    """Asks outside the notebook's conversation or, with `goes_on`, inside it; the settings are those of the start."""
    session.traits = AssistantMagics()
    session._found_model = ""
    session.begin_anew()
    names = {"cases": pd.DataFrame({"district": ["A", "B"], "n": [3, 5]}), "secrets": SECRETS}

    def ask(words, inputs=("cases",), *, goes_on=False, **options):
        made = Options(inputs=inputs, **options)
        question = turn_run.read(session, made, words, session.next_run(), names, from_code=not goes_on)
        return turn_run.answer_question(session, question)

    return ask


def test_without_a_key_a_model_that_runs_here_answers_says_so_and_goes_on_answering(ask, ollama):
    ollama.script = [Reply(CODE), Reply("There are 8 cases."), Reply("Yes."), Reply("Yes.")]
    answer = ask("Sum the cases and save them as out.csv")
    ollama.loaded = ["gemma4:31b"]
    ask("Are there any others?")
    assert (answer.text, answer.logs.strip()) == ("There are 8 cases.", "8")
    assert "out.csv" in answer.files
    assert f"Answered by {HERE}." in answer.notes
    assert {body["model"] for body in ollama.asked} == {"qwen3.5:27b"}


def test_a_model_whose_server_is_gone_has_answered_nothing_and_the_error_says_so_in_whole_sentences(ask, monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    with told(errors.TurnFailed, "No chat server answers at http://127.0.0.1:9/v1.", "model with -m.") as caught:
        ask("Are there cases?", model="ollama/qwen3.5:27b")
    assert not [note for note in caught.value.answer.notes if "Answered" in note]


def test_where_looking_is_turned_off_no_server_is_asked_and_the_basic_forms_answer(notebook_dir, ollama):
    settings = freeze(AssistantMagics(), Options(), notebook_dir, {"IPYTHON_ASSISTANT_FIND_MODELS": "0"})
    answers = with_answerer(settings, {})
    assert ollama.paths == []
    assert answers.answerer.startswith("the basic sentence forms")


def test_a_plain_name_is_found_among_the_models_here_and_a_wrong_one_names_the_nearest(ask, ollama):
    ollama.script = [Reply("Yes."), Reply("Yes.")]
    assert "Answered by gemma4:31b in Ollama on this machine." in ask("Are there cases?", model="gemma4:31b").notes
    with told(errors.ModelUnknown, cure="Did you mean qwen3.5:27b?"):
        ask("Are there cases?", model="qwen3.5:29b")


@pytest.mark.slow
def test_a_model_with_a_provider_runs_code_here_though_a_key_of_a_hosted_service_is_set(ask, ollama, hosted):
    ollama.script = [Reply(CODE), Reply("There are 8 cases.")]
    assert ask("Sum the cases and save them as out.csv", model="ollama/qwen3.5:27b").logs.strip() == "8"
    assert hosted.requests == []


@pytest.mark.parametrize(("model", "happened", "cure"), [
    ("anthropic/claude-sonnet-5", "ANTHROPIC_API_KEY is not set", A_REAL_MODEL),
    pytest.param("ollama/qwen3.5:27b", "127.0.0.1:9", "Start it", marks=pytest.mark.slow),  # an engine of its own
    ("http://127.0.0.1:9/v1", "names a server and no model", "/NAME"),
    ("gguf/missing", "no model file", "ipython-assistant model get"),
])  # fmt: skip
def test_a_model_that_cannot_be_asked_is_told_in_two_lines(ask, monkeypatch, model, happened, cure):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    with told(errors.NoKey if "KEY" in happened else errors.AssistantError, happened, cure):
        ask("Are there cases?", model=model)


def test_a_silent_model_is_given_up_within_the_time_limit(ask, ollama):
    never = threading.Event()
    ollama.script = [Reply("late", hold=never)]
    began = time.monotonic()
    with told(errors.AssistantError, cure="timeout"):
        ask("Are there cases?", timeout_s=2.0)
    never.set()
    assert time.monotonic() - began < 60


def test_a_hosted_recording_is_not_answered_by_a_model_that_was_found(shell, hosted, monkeypatch, ollama):
    monkeypatch.setenv("IPYTHON_ASSISTANT_MODE", "auto")
    hosted.will_say([wire.Message("Recorded.")])
    shell.run_cell_magic("assistant", "", "What was asked?")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(errors.AssistantError):
        shell.run_cell_magic("assistant", "", "Something else?")
    assert ollama.paths == []


def test_status_says_who_answers_where_and_what_else_is_here_or_how_to_get_it(shell, ollama, capsys, monkeypatch):
    shell.run_line_magic("assistant", "status")
    printed = capsys.readouterr().out
    for said in (f"ollama/qwen3.5:27b  ({HERE})", f"http://127.0.0.1:{ollama.port}/v1", "ollama/gemma4:31b"):
        assert said in printed
    monkeypatch.setenv("IPYTHON_ASSISTANT_FIND_MODELS", "0")
    shell.run_line_magic("reload_ext", "ipython_assistant")
    shell.run_line_magic("assistant", "status")
    assert A_REAL_MODEL in capsys.readouterr().out


@pytest.mark.parametrize(("model", "said"), [
    ("", f"{default_model()}, which is the default here"), ("gpt-5-mini", "Its last day is 2026-12-11"),
])  # fmt: skip
def test_a_hosted_model_that_is_gone_names_the_nearest_and_why(ask, hosted, model, said):
    hosted.on("^GET /v1/models", lambda _: Answer(b'{"object": "list", "data": [{"id": "gpt-6.1-sol"}, {"id": "x"}]}'))
    hosted.will_answer(refusal("The model does not exist.", 404, "model_not_found"))
    with pytest.raises(errors.ModelUnknown) as caught:
        ask("Are there cases?", **({"model": model} if model else {}))
    assert said in caught.value.message
    assert caught.value.hint.startswith("Did you mean gpt-6.1-sol?") or (model and "gpt-6.1-sol" in caught.value.hint)


# What a model may see. ------------------------------------------------------------------------------------------------
SECRETS = pd.DataFrame({
    "village": ["Kanariat", "Kanariat", "Zwergdorf"], "code": ["00712", "00713", "00714"],
    "seen": pd.to_datetime(["1987-06-05", "1987-06-06", "1987-06-07"]), "rate": [0.135_79, 0.246_81, 0.975_31],
    "cases": [987_654_321, 987_654_322, 987_654_323], "sure": [True, False, True],
})  # fmt: skip
CANARIES = ("Kanariat", "Zwergdorf", "0071", "1987", "987654", "987_654", "13579", "24681", "97531")
SPILLS = """```python
print(secrets)
wide = secrets.pivot_table(index="code", columns="village", values="cases")
wide.reset_index().to_csv("wide.csv", index=False)
secrets[:0].to_csv("Kanariat-none.csv")
for name, part in secrets.groupby("village"):
    part.to_csv(f"{name}.csv", index=False)
    part.plot(x="seen", y="cases").figure.savefig(f"{name}.png")
```"""
FAILS = "```python\nraise ValueError(secrets.iloc[0].to_dict())\n```"


@pytest.mark.parametrize("share", ["names", pytest.param("shapes", marks=pytest.mark.slow)])
def test_no_value_of_any_cell_reaches_a_model_that_may_not_see_them(ask, session, ollama, share):
    session.traits.share = share
    once, again = SPILLS.replace('secrets[:0].to_csv("Kanariat-none.csv")\n', ""), SPILLS.replace("(secrets)", "(1)")
    ollama.script = [Reply(FAILS), Reply(once), *[Reply(again + "\n" * count) for count in range(3)]]
    ask("Save the cases by village as wide.csv", ("secrets",), goes_on=True)
    # The files of the first answer, one of them with values as its columns, are in the container now.
    ask("And once more", (), goes_on=True)
    left = json.dumps([ollama.planned, ollama.asked, ollama.paths, ollama.headers])
    own = left.replace("Kanariat-none.csv", "").lower()  # a name that the model wrote itself
    assert [canary for canary in CANARIES if canary.lower() in own] == []
    assert "village" in left
    assert ("the table secrets.csv, 3 rows" in left) is (share == "shapes")


def test_what_a_model_has_seen_as_results_is_not_told_to_one_that_may_not_see_them(ask, session, ollama):
    ollama.script = [Reply("```python\nprint(secrets)\n```"), Reply("It is Kanariat.")]
    ask("Which village comes first?", ("secrets",), goes_on=True)
    left = json.dumps([ollama.planned, ollama.asked])
    assert all(canary in left for canary in ("Kanariat", "00712", "987654321"))
    session.traits.share = "names"
    ollama.forget()
    ollama.script = [Reply("```python\nprint(secrets['village'][1])\n```")]
    ask("And the second?", (), goes_on=True)
    left = json.dumps([ollama.planned, ollama.asked])
    assert "Which village comes first?" in left
    assert "Kanariat" not in left


@pytest.mark.slow
def test_what_is_shared_with_whom_is_in_the_metadata_and_in_a_dry_run(shell, ollama, capsys):
    shell.run_line_magic("config", "AssistantMagics.share = 'names'")
    shell.user_ns["secrets"] = SECRETS
    shell.run_cell("%%assistant -i secrets --dry-run\nWhich village comes first?").raise_error()
    printed = capsys.readouterr().out
    ollama.script = [Reply("```python\nprint(secrets['village'][0])\n```")]
    with capture_output() as captured:
        shell.run_cell("%%assistant -i secrets\nWhich village comes first?").raise_error()
    assert f"names, with {HERE}" in printed
    shared = [output.metadata.get("ipython_assistant", {}).get("shared") for output in captured.outputs]
    assert f"names, with {HERE}" in shared


@pytest.mark.parametrize(("model", "share"), [
    ("ollama/qwen3.5:27b", "results"), ("ollama/gpt-oss:120b-cloud", "shapes"), ("openai/gpt-6.1-terra", "shapes"),
])  # fmt: skip
def test_what_a_model_may_see_depends_on_where_it_is(notebook_dir, model, share):
    settings = freeze(AssistantMagics(model=model), Options(), notebook_dir, {"OPENAI_API_KEY": "k"})
    assert with_answerer(settings, {"OPENAI_API_KEY": "k"}).share == share


def test_the_engine_is_given_the_key_of_the_model_it_asks_and_no_other(monkeypatch):
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY"):
        monkeypatch.setenv(name, f"planted-{name}")
    engine = Engine(os.environ, variables_of("groq/openai/gpt-oss-20b"))
    try:
        engine.ready()
        environment = psutil.Process(engine.pid).environ()
    finally:
        engine.stop()
    assert environment["GROQ_API_KEY"] == "planted-GROQ_API_KEY"
    assert {"OPENAI_API_KEY", "ANTHROPIC_API_KEY"}.isdisjoint(environment)
