"""workspace.assistants: saved assistants."""

import hashlib
import os
from dataclasses import replace

import pytest
from tests_support.cases import told

from ipython_assistant.errors import ConfigError
from ipython_assistant.workspace import assistants
from ipython_assistant.workspace.assistants import SavedAssistant, list_assistants, load_assistant, summary_of

WHOLE = '''
instructions = """
Coverage is given in per cent.
Name districts as the table does.
"""
model = "gpt-5-mini"
inputs = ["data/coverage.csv", "cases"]
tools = ["web_search"]
effort = "low"
'''


@pytest.fixture
def beside(notebook_dir):
    folder = notebook_dir / "assistants"
    folder.mkdir()
    return folder


@pytest.fixture
def folders(beside, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    return assistants.assistant_folders(beside.parent)


def test_every_key_is_read_or_left_out_and_a_windows_editor_may_have_saved_it(beside, folders):
    (beside / "coverage.toml").write_text(WHOLE)
    assert load_assistant("coverage", folders) == SavedAssistant(
        name="coverage", path=beside / "coverage.toml",
        instructions="Coverage is given in per cent.\nName districts as the table does.\n", model="gpt-5-mini",
        inputs=("data/coverage.csv", "cases"), tools=("web_search",), effort="low",
        sha256=hashlib.sha256(WHOLE.encode()).hexdigest(),
    )  # fmt: skip
    (beside / "plain.toml").write_bytes(b"\xef\xbb\xbf# nothing yet\r\n")
    assert replace(load_assistant("plain", folders), sha256="") == SavedAssistant("plain", beside / "plain.toml", "")


def test_one_beside_the_notebook_comes_before_one_of_the_users_configuration(beside, folders, tmp_path):
    own = tmp_path / "jupyter" / "ipython_assistant" / "assistants"
    own.mkdir(parents=True)
    (own / "both.toml").write_text('instructions = "The user\'s."')
    (own / "mine.toml").write_text('instructions = "Only here."')
    (beside / "both.toml").write_text('instructions = "The project\'s."')
    assert load_assistant("both", folders).instructions == "The project's."
    assert load_assistant("mine", folders).path == own / "mine.toml"
    assert [assistants.is_confirmed(load_assistant(name, folders)) for name in ("both", "mine")] == [False, True]
    assert list_assistants(folders) == {"both": beside / "both.toml", "mine": own / "mine.toml"}
    assert [summary_of(name, folders) for name in ("both", "mine")] == ["The project's.", "Only here."]


def test_one_that_is_not_there_names_the_nearest_and_the_folders(beside, folders):
    (beside / "coverage.toml").touch()
    with told(ConfigError, "There is no assistant 'covrage'", "Did you mean coverage?") as caught:
        load_assistant("covrage", folders)
    assert "Looked in: assistants, " in caught.value.hint


@pytest.mark.parametrize(("written", "said", "cure"), [
    ('instruction = "x"', "has an unknown key 'instruction'", "Keys: instructions, "),
    ('temperature = 1', "has an unknown key 'temperature'", "instructions, model, inputs, tools, effort"),
    ("model = 5", "has a wrong model", "model is text"),
    ('inputs = "a.csv"', "has a wrong inputs", "inputs is a list of texts"),
    ('inputs = ["a.csv", 1]', "has a wrong inputs", "inputs is a list of texts"),
    ('effort = "much"', "has a wrong effort", "effort is one of none, minimal, low"),
    ("effort = [1]", "has a wrong effort", "effort is one of"),
    ('tools = ["web_serch"]', "has a wrong tool: There is no tool web_serch", "Write web_search"),
    ("model = ", "cannot be read as TOML: Invalid value (at end of document)", "a line is:"),
    ("x = " + "[" * 50_000, "cannot be read as TOML: it is nested too deeply.", "a line is:"),
    ('model = "\ud800"', "cannot be read as TOML", "Save it as UTF-8"),
])  # fmt: skip
def test_a_damaged_one_is_an_error_that_names_file_key_and_what_is_allowed(beside, folders, written, said, cure):
    (beside / "damaged.toml").write_bytes(written.encode(errors="surrogatepass"))
    with told(ConfigError, f"assistants/damaged.toml {said}", cure) as caught:
        load_assistant("damaged", folders)
    assert summary_of("damaged", folders) == caught.value.message


@pytest.mark.parametrize("name", ["../secret", "a/b", "a\\b", "/etc/passwd", "C:x", "..", ".hidden", "", " ", "a\0b"])
def test_a_name_is_never_a_way_to_another_folder(beside, folders, name):
    (beside.parent / "secret.toml").write_text('instructions = "x"')
    with pytest.raises(ConfigError, match="There is no assistant"):
        load_assistant(name, folders)


@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes")
def test_what_is_no_ordinary_file_is_not_opened_and_nothing_in_a_file_is_a_command_of_the_terminal(beside, folders):
    os.mkfifo(beside / "pipe.toml")
    (beside / "folder.toml").mkdir()
    assert list_assistants(folders) == {}
    with pytest.raises(ConfigError, match="There is no assistant"):
        load_assistant("pipe", folders)
    (beside / "loud.toml").write_text(r'instructions = "\u001b]0;owned\u0007Hello"')
    assert summary_of("loud", folders) == "]0;owned Hello"
