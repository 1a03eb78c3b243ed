"""Cells that were recorded run again: in a real shell, without a key, without a connection."""

import base64
import json
import os
import socket
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support import events as wire
from tests_support.cases import cases, told
from tests_support.files import PNG
from tests_support.scripted import Answer

from ipython_assistant import config, errors
from ipython_assistant.core import request
from ipython_assistant.core.recording_text import integrity
from ipython_assistant.magics import hooks_of

pytestmark = pytest.mark.usefixtures("recording")
CSV = b"district,coverage\nA,0.5\nB,0.75\n"
TEXT = "The mean: [by_district.csv](sandbox:/mnt/data/by_district.csv). The chart: [c.png](sandbox:/mnt/data/c.png)"


@pytest.fixture
def alone(monkeypatch):
    """From now on there is no key, and a connection to anybody, this machine included, is an error."""

    def leave():
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
            monkeypatch.delenv(name, raising=False)

        def refuse(_self, address):
            raise AssertionError(f"a replay tried to reach {address}")

        monkeypatch.setattr(socket.socket, "connect", refuse)

    return leave


def say_both(hosted, response_id="resp_1"):
    """A turn with code, a table, a picture and a figure that was only shown."""
    hosted.put("by_district.csv", CSV, "cfile_csv")
    hosted.put("c.png", PNG, "cfile_png")
    shown = wire.image("data:image/png;base64," + base64.b64encode(PNG + b"shown").decode())
    cited = (wire.cite(TEXT, "by_district.csv", "cfile_csv"), wire.cite(TEXT, "c.png", "cfile_png"))
    code = wire.Code("frame.to_csv('by_district.csv')", (wire.logs("ok\n"), shown))
    said = [wire.Reasoning(), code, wire.Message(TEXT, cited)]
    hosted.will_say(said, response_id=response_id)
    return said


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def records_in(directory):
    return {path: json.loads(path.read_text()) for path in (directory / "assistant_files" / ".turns").glob("*.json")}


def write_as_format_2(directory, said):
    """Write the one recording as versions before did: with its response as events, under a name without its key."""
    ((path, body),) = records_in(directory).items()
    logical = [{"name": it["name"], "logical": it.pop("logical")} for it in body["inputs"]]
    asked, response = {**body.pop("asked"), "inputs": logical}, body.pop("response")
    exchange = {"status": 200, "events": wire.stream(said, response_id=response["id"])}
    body |= {"format": 2, "prompt": [asked["prompt"]], "written": asked, "exchange": exchange}
    body["integrity"] = integrity(body)
    path.with_name("plot-0123456789ab.json").write_text(json.dumps(body))
    path.unlink()


# --- the same again ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("in_format_2", [False, True])
def test_a_recorded_notebook_runs_again_without_a_key_and_a_connection_and_all_is_equal(
    notebook, hosted, alone, in_format_2
):
    folder = notebook.session.notebook_dir / "assistant_files"
    asked = ("A", "Plot the mean of {kind}.", "-i cases -o by_district")
    notebook.names["cases"] = pd.DataFrame({"n": [1, 2]})
    said = say_both(hosted)
    live = notebook.ask(*asked)
    frame, files = notebook.names["by_district"], files_in(folder)
    assert sorted(files) == ["by_district.csv", "c.png", "figure-1.png"]
    if in_format_2:
        write_as_format_2(notebook.session.notebook_dir, said)
    notebook.restart()
    for name in files:
        (folder / name).unlink()
    alone()
    notebook.names["cases"] = pd.DataFrame({"n": [1, 2]})
    again = notebook.ask(*asked)
    assert (again.outputs, again.printed, again.value) == (live.outputs, live.printed, live.value)
    assert files_in(folder) == files
    pd.testing.assert_frame_equal(notebook.names["by_district"], frame)


@pytest.mark.parametrize("kind", ["failed", "incomplete", "cut", "missing"])
def test_a_turn_that_did_not_come_well_to_its_end_is_asked_again(notebook, hosted, kind):
    if kind == "cut":
        hosted.will_answer(Answer(wire.sse(wire.stream([wire.Message("Half.")])[:-2])))
    elif kind == "missing":
        hosted.will_say([wire.Code("x"), wire.cited(("a.csv", "cfile_gone"))])
    else:
        hosted.will_say([wire.Message("Half.")], ending=kind)
    with pytest.raises(errors.AssistantError):
        notebook.ask("A", "Ask.")
    hosted.will_say([wire.Message("Whole.")], response_id="resp_2")
    assert [notebook.ask("A", "Ask.").value.text for _ in range(2)] == ["Whole.", "Whole."]


@cases("said", {
    "an answer of words": [wire.Message("Only words, and a $x^2$ formula.")],
    "a refusal": [wire.Message("I would rather not.", refusal=True)],
    "code that failed": [wire.Code("1/0", (wire.logs("Traceback\nZeroDivisionError: no\n"),), status="failed")],
    "code without outputs": [wire.Code("pass", None), wire.Message("Done.")],
    "several calls": [wire.Code("1"), wire.Message("First."), wire.Code("2", (wire.logs("2\n"),)), wire.Message("2.")],
    "nothing at all": [],
    "an item of a kind nobody knows": [wire.Message("See."), wire.Other({"type": "hologram_call", "depth": {"x": 3}})],
})  # fmt: skip
def test_each_kind_of_turn_replays_equal(notebook, hosted, alone, said):
    hosted.will_say(said)
    live = outcome(notebook)
    notebook.restart()
    alone()
    assert outcome(notebook) == live
    assert len(hosted.questions()) == 1
    assert ("hologram_call" in str(live)) is any(isinstance(item, wire.Other) for item in said)


def outcome(notebook):
    try:
        ran = notebook.ask("A", "Ask.")
    except errors.AssistantError as error:
        return type(error), str(error), error.answer, error.ran.outputs, error.ran.printed
    return ran.value, ran.outputs, ran.printed


names = st.sampled_from(["a.csv", "b.txt", "ü.json", "plot.png", "same.bin"])
bodies = st.one_of(st.binary(max_size=300), st.just(PNG), st.just(CSV))
words = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)
items = st.one_of(
    st.builds(wire.Message, words),
    st.builds(lambda code, logs: wire.Code(code, (wire.logs(logs),)), words, words),
    st.just(wire.Reasoning()),
)


@given(said=st.lists(items, max_size=4), made=st.dictionaries(names, bodies, max_size=3))
@settings(max_examples=12, derandomize=True)
def test_whatever_a_turn_holds_its_replay_shows_saves_and_gives_the_same(notebook, hosted, *, said, made):
    number = len(hosted.questions()) + 1
    container, question = f"cntr_{number}", f"Question {number}."
    hosted._turns.clear()
    for place, (name, content) in enumerate(made.items()):
        hosted.put(name, content, f"cfile_{number}_{place}", container)
    said = [replace(item, container_id=container) if isinstance(item, wire.Code) else item for item in said]
    hosted.will_say([*said, wire.Code("made()", container_id=container)], response_id=f"resp_{number}")
    live = notebook.ask("A", question, "--fresh --new")
    files = {name: file.read_bytes() for name, file in live.value.files.items()}
    for file in live.value.files.values():
        file.path.unlink()
    again = notebook.ask("A", question, "--new")
    assert len(hosted.questions()) == number
    assert (again.outputs, again.printed, again.value) == (live.outputs, live.printed, live.value)
    assert {name: file.read_bytes() for name, file in again.value.files.items()} == files


# --- what asks again --------------------------------------------------------------------------------------------------
def test_each_thing_the_user_wrote_in_the_cell_asks_again_when_it_changes(notebook, hosted, notebook_dir):
    for name in ("t.csv", "u.csv"):
        (notebook_dir / name).write_text("a\n1\n")
    hosted.will_say([wire.Message("Recorded.")])
    notebook.ask("A", "Ask.", "-i t.csv")
    otherwise = [
        ("Ask otherwise.", "-i t.csv"), ("Ask.", "-i t.csv -m other"), ("Ask.", "-i t.csv --instructions 'Be brief.'"),
        ("Ask.", "-i t.csv --tool web_search"), ("Ask.", "-i t.csv --effort low"), ("Ask.", "-i t.csv -i u.csv"),
        ("Ask.", "-i u.csv"), ("Ask.", ""), ("Ask.", "--no-code"),
    ]  # fmt: skip
    for number, (question, line) in enumerate(otherwise, start=2):
        hosted.will_say([wire.Message(f"Anew: {line}")], response_id=f"resp_{number}")
        assert notebook.ask("A", question, line).value.text == f"Anew: {line}"
        assert notebook.ask("A", "Ask.", "-i t.csv").value.text == "Recorded."
    assert len(hosted.questions()) == 1 + len(otherwise)


@pytest.mark.parametrize(
    "before", ["open('t.csv', 'w').write('2')", "%config AssistantMagics.model = 'other'", "%%assistant\nBefore it."]
)
def test_what_is_set_or_holds_or_comes_before_otherwise_asks_again(notebook, hosted, notebook_dir, before):
    (notebook_dir / "t.csv").write_text("a\n1\n")
    hosted.will_say([wire.Message("Recorded.")])
    notebook.ask("A", "Ask.", "-i t.csv")
    notebook.restart()
    for number in (2, 3):
        hosted.will_say([wire.Message("Anew.")], response_id=f"resp_{number}")
    notebook.cell("before", before)
    assert notebook.ask("A", "Ask.", "-i t.csv").value.text == "Anew."


def test_what_does_not_change_the_question_replays(notebook, hosted, notebook_dir, monkeypatch):
    (notebook_dir / "t.csv").write_text("a\n1\n")
    hosted.will_say([wire.Message("Recorded.")])
    notebook.ask("A", "Ask.", "-i t.csv")
    (notebook_dir / "t.csv").write_bytes(b"a\r\n1\r\n")
    for line in ("-i t.csv --timeout 9", "-i t.csv --memory 4g", "-i t.csv --yes", "-i t.csv -i t.csv"):
        assert notebook.ask("A", "  Ask.  \n", line).value.text == "Recorded."
    monkeypatch.setattr(request, "INSTRUCTIONS", "Another text of ours.")
    monkeypatch.setattr(config, "default_model", lambda: "gpt-99")
    notebook.restart()
    assert notebook.ask("A", "Ask.", "-i t.csv").value.text == "Recorded."
    assert len(hosted.questions()) == 1


def test_a_name_that_is_no_variable_is_told_though_the_question_is_not_recorded(notebook, monkeypatch):
    monkeypatch.setenv("IPYTHON_ASSISTANT_MODE", "replay")
    with pytest.raises(errors.NotRecorded) as caught:
        notebook.ask("A", "Plot {yaer}.")
    assert "no variable yaer" in caught.value.ran.printed


# --- modes and services -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("line", ["", "--fresh"])
@pytest.mark.parametrize("mode", ["auto", "live"])
def test_a_hosted_notebook_without_a_key_is_never_answered_without_a_model(notebook, hosted, monkeypatch, mode, line):
    hosted.will_say([wire.Message("Hosted.")])
    notebook.ask("A", "Ask.")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("IPYTHON_ASSISTANT_MODE", mode)
    with told((errors.NotRecorded, errors.NoKey), "openai", "OPENAI_API_KEY", 2 if mode == "live" or line else 4):
        notebook.ask("B", "Another question.", line)
    hooks_of(notebook.shell).prepare()
    assert all(connection.engine_pid is None for connection in notebook.session.connections)
    if mode == "auto":
        assert "replay  (there is no key" in notebook.cell("S", "%assistant status").printed
        assert notebook.ask("A", "Ask.").value.text == "Hosted."


def test_in_ci_everything_is_replayed_and_nothing_asked(notebook, hosted, monkeypatch):
    hosted.will_say([wire.Message("Recorded.")])
    notebook.ask("A", "Ask.")
    monkeypatch.setenv("CI", "1")
    assert notebook.ask("A", "Ask.").value.text == "Recorded."
    with pytest.raises(errors.NotRecorded):
        notebook.ask("B", "Not recorded.")
    assert len(hosted.questions()) == 1
    assert "mode         replay" in notebook.cell("S", "%assistant status").printed


def test_a_missing_recording_shows_the_nearest_what_differs_the_folder_and_how_to_record(notebook, hosted):
    hosted.will_say([wire.Message("Recorded.")])
    notebook.ask("A", "Plot the coverage by year.")
    notebook.cell("S", "%config AssistantMagics.mode = 'replay'")
    with pytest.raises(errors.NotRecorded) as caught:
        notebook.ask("A", "Plot the coverage by month.", "--effort low")
    folder = str(notebook.session.notebook_dir / "assistant_files" / ".turns")
    near = "“Plot the coverage by year.”", "It differs in: prompt, effort."
    assert [said for said in (*near, folder, "ipython-assistant record") if said not in str(caught.value)] == []
    with told(errors.OptionError, "--fresh", "mode"):
        notebook.ask("A", "Ask.", "--fresh")


def test_from_another_directory_the_folder_looked_in_is_named(notebook, hosted, tmp_path, monkeypatch):
    hosted.will_say([wire.Message("Recorded.")])
    notebook.ask("A", "Ask.")
    monkeypatch.chdir(tmp_path)
    notebook.restart()
    notebook.cell("S", "%config AssistantMagics.mode = 'replay'")
    with pytest.raises(errors.NotRecorded, match="IPYTHON_ASSISTANT_DIR") as caught:
        notebook.ask("A", "Ask.")
    assert f"Nothing is recorded in {tmp_path / 'assistant_files' / '.turns'}" in str(caught.value)
    with pytest.raises(errors.InputError, match=f"looked in {tmp_path}"):
        notebook.ask("A", "Ask.", "-i data/t.csv")


def test_a_notebook_runs_from_its_own_and_the_parent_directory(notebook, hosted, notebook_dir, tmp_path, monkeypatch):
    say_both(hosted)
    live = notebook.ask("A", "Both.", "-o by_district")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHON_ASSISTANT_DIR", str(notebook_dir))
    notebook.restart()
    again = notebook.ask("A", "Both.", "-o by_district")
    assert (again.outputs, again.value) == (live.outputs, live.value)
    assert not (tmp_path / "assistant_files").exists()


# --- what the user did since ------------------------------------------------------------------------------------------
def test_a_file_the_user_changed_is_not_overwritten_and_the_table_is_the_recorded_one(notebook, hosted, notebook_dir):
    say_both(hosted)
    notebook.ask("A", "Both.", "-o by_district")
    mine = notebook_dir / "assistant_files" / "by_district.csv"
    mine.write_text("my own work\n")
    notebook.restart()
    for _ in range(2):  # the second time it is found where the first one put it
        again = notebook.ask("A", "Both.", "-o by_district")
        assert mine.read_text() == "my own work\n"
        assert again.value.files["by_district-2.csv"].read_bytes() == CSV
        assert "by_district.csv is another file by now" in again.html
    assert sorted(path.name for path in mine.parent.glob("by*")) == ["by_district-2.csv", "by_district.csv"]
    assert notebook.names["by_district"]["coverage"].tolist() == [0.5, 0.75]


@cases("damage", {"edited": lambda text: text.replace("mean", "meen", 1), "it lost its key": lambda text: text[:40]})
def test_a_damaged_recording_is_named_and_neither_served_nor_replaced_and_nobody_asked(
    notebook, hosted, notebook_dir, monkeypatch, damage
):
    say_both(hosted)
    notebook.ask("A", "Both.")
    (path,) = records_in(notebook_dir)
    path.write_text(damaged := damage(path.read_text()))
    for key in ("test-key", ""):
        with monkeypatch.context() as patched, told(errors.RecordingDamaged, path.name, "--fresh") as caught:
            patched.setenv("OPENAI_API_KEY", key)
            notebook.restart()
            notebook.ask("A", "Both.")
        assert caught.value.ran.outputs == []
    assert (path.read_text(), len(hosted.questions())) == (damaged, 1)
    say_both(hosted, "resp_2")
    assert notebook.ask("A", "Both.", "--fresh").value.response_id == "resp_2"
    assert notebook.ask("A", "Both.").value.response_id == "resp_2"


# --- how often is looked --------------------------------------------------------------------------------------------
def test_a_cell_that_is_asked_opens_no_recording_that_is_known(notebook, hosted, monkeypatch):
    hosted.put("by_district.csv", CSV, "cfile_csv")
    for number in range(4):
        said = [wire.Message(f"Number {number}."), wire.Code("x"), wire.cited(("by_district.csv", "cfile_csv"))]
        hosted.will_say(said, response_id=f"resp_{number}")
    for number in range(3):
        notebook.ask(f"cell-{number}", f"Question {number}.")
    opened, open_ = [], os.open
    monkeypatch.setattr(os, "open", lambda path, *how, **more: [opened.append(str(path)), open_(path, *how, **more)][1])
    notebook.ask("cell-3", "Question 3.")
    assert [path for path in opened if path.endswith(".json")] == []
    notebook.ask("cell-0", "Question 0.")
    assert len([path for path in opened if path.endswith(".json")]) == 1  # what is answered from is read whole
    assert len(hosted.questions()) == 4


# --- what is recorded -------------------------------------------------------------------------------------------------
def test_no_recording_holds_a_key_a_home_a_host_or_what_an_input_holds(notebook, hosted, notebook_dir, monkeypatch):
    key, home, host, marker = "sk-planted-0123456789abcdef", "/home/planted-user", socket.gethostname(), "markedvalue"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-planted")
    monkeypatch.setenv("HOME", home)
    notebook.restart()
    notebook.names["cases"] = pd.DataFrame({"district": [marker], "n": [1]})
    (notebook_dir / "notes.txt").write_text(f"{marker}\n")
    hosted.put("made.csv", b"a\n1\n", "cfile_1")
    said = f"Look in {home}/data on {host}: {key}."
    hosted.will_say([wire.Code(f"open('{home}/x')", (wire.logs(f"{host} {home}\n"),)), wire.Message(said)])
    notebook.ask("A", f"What is in {home}/data of {{cases}}?", f"-i cases -i notes.txt --instructions '{home}'")
    recorded = everything_in(notebook_dir)
    assert b"What is in" in recorded
    for planted in (key, "org-planted", home, marker, str(notebook_dir), *([host] if len(host) > 3 else [])):
        assert planted.encode() not in recorded, planted
    assert notebook.ask("A", f"What is in {home}/data of {{cases}}?", f"-i cases -i notes.txt --instructions '{home}'")
    assert len(hosted.questions()) == 1


def everything_in(folder):
    """The names and the bytes of all files in the folder of recordings."""
    paths = [path for path in (folder / "assistant_files" / ".turns").rglob("*") if path.is_file()]
    return b"".join(path.name.encode() + b"\n" + path.read_bytes() for path in paths)


def test_a_key_that_was_set_after_the_first_cell_is_in_no_recording(notebook, hosted, notebook_dir, monkeypatch):
    key = "sk-planted-0123456789"
    for _ in range(2):
        hosted.will_say([wire.Code(f"# {key}", (wire.logs(key),)), wire.Message(f"It is {key}.")])
    notebook.ask("A", "First.")
    monkeypatch.setenv("HUB_TOKEN", key)
    hosted.put("made.csv", b"a\n1\n", "cfile_1")
    asked = len(hosted.questions())
    notebook.ask("B", f"{key} is what?")
    assert b'"It is <secret>."' in everything_in(notebook_dir)
    # What was recorded before the key was one.
    (first,) = [path for path, record in records_in(notebook_dir).items() if record["asked"]["prompt"] == "First."]
    first.unlink()
    assert b"planted" not in everything_in(notebook_dir)
    assert notebook.ask("B", f"{key} is what?").value.text == "It is <secret>."
    assert len(hosted.questions()) == asked + 1


def test_a_tools_secrets_go_to_the_service_and_into_no_recording_nor_the_key(notebook, hosted, notebook_dir):
    def tool(secret):
        headers = {"Authorization": f"Bearer {secret}", "X-Team": secret}
        body = {"type": "mcp", "server_label": "crm", "server_url": "https://crm.example.org", "headers": headers}
        return "--tool '" + json.dumps({**body, "authorization": secret, "require_approval": "never"}) + "'"

    hosted.will_say([wire.Message("It failed: planted-secret-1 was refused.")])
    first = notebook.ask("A", "Who bought?", tool("planted-secret-1"))
    assert hosted.questions()[0]["tools"][-1]["authorization"] == "planted-secret-1"
    assert b"planted" not in everything_in(notebook_dir)
    (record,) = records_in(notebook_dir).values()
    (tool_kept,) = record["asked"]["tools"]
    assert (tool_kept["server_label"], tool_kept["authorization"]) == ("crm", "<secret>")
    again = notebook.ask("A", "Who bought?", tool("planted-secret-2"))
    assert again.value.response_id == first.value.response_id
    assert len(hosted.questions()) == 1


# --- the notebook's directory -----------------------------------------------------------------------------------------
@pytest.mark.skipif(os.name != "posix", reason="another system lets no working directory be renamed")
def test_files_go_to_the_new_place_when_the_directory_is_renamed_and_that_is_said(notebook, hosted, notebook_dir):
    say_both(hosted)
    notebook.ask("A", "Both.")
    renamed = notebook_dir.rename(notebook_dir.with_name("renamed"))
    hosted.put("new.csv", CSV, "cfile_new")
    hosted.will_say([wire.Code("x"), wire.Message("Done.")], response_id="resp_2")
    ran = notebook.ask("B", "More.")
    assert str(renamed) in ran.printed
    assert (renamed / "assistant_files" / "new.csv").read_bytes() == CSV
    assert [artifact.href for artifact in ran.value.artifacts] == ["assistant_files/new.csv"]
    assert not notebook_dir.exists()
    assert notebook.ask("A", "Both.").printed == ""  # said once, and its recording is found in the new place


# --- processes --------------------------------------------------------------------------------------------------------
SCRIPT = """
import socket, sys
from IPython.core.interactiveshell import InteractiveShell
def refuse(*_args):
    raise AssertionError("a replay connects to nobody")
socket.socket.connect = refuse
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "ipython_assistant")
outcome = shell.run_cell("%%assistant\\nBoth.")
outcome.raise_error()
print(outcome.result.text, 'openai' in sys.modules, sep="\\n")
"""


def test_a_replay_imports_neither_the_sdk_nor_opens_a_socket(notebook, hosted, run_python, monkeypatch):
    say_both(hosted)
    notebook.ask("A", "Both.")
    with pytest.raises(errors.OptionError, match="could be fetched again"):
        notebook.cell("B", "%assistant retry")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    out = run_python(SCRIPT)
    assert out.splitlines()[-1] == "False"
    assert "assistant_files/by_district.csv" in out
