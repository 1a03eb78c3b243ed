"""What goes along with a question and what comes back from it, through cells in a real shell."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from tests_support import events as wire
from tests_support.cases import told
from tests_support.notebook import Notebook
from tests_support.scripted import refusal, streamed

from ipython_assistant import errors
from ipython_assistant.core.usage import default_model
from ipython_assistant.workspace.assistants import assistant_folders

COVERAGE = "district,coverage\nA,0.5\nB,0.75\n"


def uploads(hosted):
    """What was uploaded: name → bytes."""
    found = {}
    for request in hosted.asked("^POST /v1/containers/.*/files$"):
        boundary = request.body[: request.body.index(b"\r\n")]
        head, _, content = request.body.partition(b"\r\n\r\n")
        name = re.search(rb'filename="([^"]*)"', head)
        found[name[1].decode()] = content[: content.rindex(b"\r\n" + boundary)]
    return found


def ask(notebook, hosted, line, question="Look."):
    hosted.will_say([wire.Code("1", container_id="cntr_test_1"), wire.Message("Looked.")])
    notebook.ask("A", question, line)
    return uploads(hosted)


def rows(count):
    n = np.arange(count)
    return pd.DataFrame({
        "code": [f"{k % 997:05d}" for k in n],
        "country": pd.Categorical(np.array(["NA", "ZA"])[n % 2], ["ZA", "NA", "BW"]),
        "day": pd.Timestamp("2000-01-01") + pd.to_timedelta(n % 9000, unit="D"), "share": n / 7,
        "treated": pd.Series(n * 3, dtype="Int64").mask(pd.Series(n % 5 == 0)),
    })  # fmt: skip


# --- in ---------------------------------------------------------------------------------------------------------------
def test_tables_figures_text_paths_and_globs_go_along_as_files(notebook, hosted, notebook_dir):
    figures = pytest.importorskip("matplotlib.figure")
    (notebook_dir / "data").mkdir()
    for name in ("data/one.csv", "data/two.csv", "notes.txt"):
        (notebook_dir / name).write_text(COVERAGE)
    notebook.names.update(
        drawing=figures.Figure(), remark="Plain words.", where=Path("notes.txt"),
        cases=pd.DataFrame({"IU code": ["001", "002"], "n": [1, 2]}), rates=pd.Series([0.5, 0.75], name="rate"),
        columns={"a": [1, 2], "b": ["x", "y"]}, records=[{"a": 1}, {"a": 2}], nested={"a": {"b": [1, None]}},
    )  # fmt: skip
    names = "-i cases -i rates -i columns -i records -i nested -i drawing -i remark -i where"
    sent = ask(notebook, hosted, f"{names} -i 'data/*.csv'")
    picture, nested = sent.pop("drawing.png"), sent.pop("nested.json")
    assert (picture[:4], b'"b"' in nested) == (b"\x89PNG", True)
    assert sent == {
        "cases.csv": b"IU code,n\n001,1\n002,2\n", "rates.csv": b"rate\n0.5\n0.75\n", "remark.txt": b"Plain words.",
        "columns.csv": b"a,b\n1,x\n2,y\n", "records.csv": b"a\n1\n2\n",
        **dict.fromkeys(("notes.txt", "one.csv", "two.csv"), COVERAGE.encode()),
    }  # fmt: skip
    (question,) = hosted.questions()
    assert "2 rows" in question["instructions"]
    assert "001" not in str(question)


def test_names_in_braces_are_filled_in_outside_of_fenced_blocks(notebook, hosted):
    notebook.names.update(district="B", years=[2020, 2021])
    hosted.will_say([wire.Message("Ok.")])
    block = "```python\nprint({district})\n```"
    ran = notebook.ask("A", f"Plot {{district}} in {{years[0]}}. $x^{{2}}$ {{distrct}}\n{block}")
    (message,) = hosted.questions()[0]["input"]
    assert message["content"] == f"Plot B in 2020. $x^{{2}}$ {{distrct}}\n{block}"
    assert "there is no variable distrct. Did you mean {district}?" in ran.printed


def test_more_than_the_limit_is_sent_only_with_yes(notebook, hosted):
    notebook.names["cases"] = pd.DataFrame({"n": range(1000)})
    notebook.cell("S", "%config AssistantMagics.ask_above = 1000")
    with told(errors.InputError, "would be sent to openai", "cases.csv", lines=3):
        notebook.ask("A", "Look.", "-i cases")
    assert hosted.requests == []
    assert list(ask(notebook, hosted, "-i cases --yes")) == ["cases.csv"]


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(notebook, hosted):
    notebook.names["cases"] = pd.DataFrame({"n": range(1000)})
    ran = notebook.ask("A", "Plot {cases.shape[0]}.", "-i cases --dry-run --effort low --instructions 'Be brief.'")
    shown = ("openai", default_model(), "code_interpreter", "low", "cases.csv", "1,000 rows", "Be brief.", "Plot 1000.")
    assert [words for words in shown if words not in ran.printed] == []
    assert (hosted.requests, list(notebook.session.connections)) == ([], [])


def test_a_dry_run_names_what_of_the_conversation_is_sent_again_where_it_is_lost(notebook, hosted):
    hosted.put("mean.csv", b"a\n1\n", "cfile_1", "cntr_1")
    hosted.will_say([wire.Code("save()", container_id="cntr_1"), wire.Message("Saved.")])
    notebook.names["cases"] = pd.DataFrame({"n": range(1000)})
    notebook.ask("A", "Save the mean.", "-i cases")
    before = len(hosted.requests)
    ran = notebook.ask("B", "Plot it.", "--dry-run")
    assert "only if the service no longer has them: 2 messages, cases.csv, mean.csv" in ran.printed
    assert "/mnt/data/cases.csv" in ran.printed  # in the instructions, which are sent with every question
    assert len(hosted.requests) == before


def test_a_dry_run_without_a_key_starts_no_engine(notebook_dir):
    with Notebook() as notebook:
        ran = notebook.ask("A", "Plot.", "--dry-run")
        assert "local" in ran.printed
        assert list(notebook.session.connections) == []


# --- how it is asked --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("in_stream", [False, True])
def test_a_tools_token_that_the_service_repeats_is_in_no_error(notebook, hosted, in_stream):
    token = "tok-0123456789abcdef"
    said = f"The server crm did not accept {token}."
    if in_stream:
        failed = wire.stream([wire.Message("Begun.")], ending="failed")
        failed[-1]["response"]["error"] = {"code": "server_error", "message": said}
        hosted.will_answer(streamed(failed))
    else:
        hosted.will_answer(refusal(said))
    tool = json.dumps({"type": "mcp", "server_label": "crm", "authorization": token})
    with pytest.raises(errors.AssistantError) as caught:
        notebook.ask("A", "Ask.", f"--tool '{tool}'")
    assert "The server crm did not accept <secret>." in str(caught.value)
    chain, error = "", caught.value
    while error is not None:
        chain, error = f"{chain}{error!r}{error}", error.__cause__
    assert token not in chain
    assert token not in str(caught.value.ran.outputs)


@pytest.fixture
def assistant(notebook_dir, tmp_path, monkeypatch):
    """Write an assistant; beside the notebook, unless it is the user's own."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))

    def write(text, *, own=False):
        folder = assistant_folders(notebook_dir)[own]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "coverage.toml").write_text(text)

    return write


def confirm(notebook, monkeypatch, answer="y"):
    monkeypatch.setattr("builtins.input", lambda _prompt: answer)
    return notebook.cell("C", "%assistant assistants --confirm coverage").printed


def test_a_saved_assistant_is_asked_as_saved_and_the_cell_adds_to_it(notebook, hosted, assistant, monkeypatch):
    (notebook.session.notebook_dir / "coverage.csv").write_text(COVERAGE)
    assistant(
        'instructions = "Coverage is in per cent."\nmodel = "saved-model"\n'
        'inputs = ["coverage.csv"]\ntools = ["web_search"]\neffort = "low"\n'
    )
    confirm(notebook, monkeypatch)
    sent = ask(notebook, hosted, "--assistant coverage --effort high --instructions 'Be brief.'")
    (question,) = hosted.questions()
    assert list(sent) == ["coverage.csv"]
    assert question["model"] == "saved-model"
    assert question["instructions"].endswith("Coverage is in per cent.\n\nBe brief.")
    assert question["reasoning"] == {"effort": "high"}
    assert {"type": "web_search"} in question["tools"]
    assert "coverage" in notebook.cell("L", "%assistant assistants").plain


def test_an_assistant_that_came_with_the_notebook_is_confirmed_by_its_content(notebook, hosted, assistant, monkeypatch):
    tool = {"type": "mcp", "server_label": "crm", "server_url": "https://crm.example.org", "require_approval": "never"}
    saved = f"tools = ['{json.dumps({**tool, 'authorization': 'tok-0123456789'})}']\n"
    assistant(saved)
    with pytest.raises(errors.ConfigError, match="not confirmed") as caught:
        notebook.ask("A", "Ask.", "--assistant coverage")
    assert hosted.requests == []
    for shown in ("https://crm.example.org", "require_approval", "assistants --confirm coverage", "Nothing was sent"):
        assert shown in caught.value.hint
    assert "tok-0123456789" not in caught.value.hint
    confirm(notebook, monkeypatch, answer="")
    monkeypatch.setattr("builtins.input", lambda _prompt: (_ for _ in ()).throw(EOFError))  # nobody watches
    with pytest.raises(errors.OptionError, match="Only a person"):
        notebook.cell("C", "%assistant assistants --confirm coverage")
    with pytest.raises(errors.ConfigError, match="not confirmed"):
        notebook.ask("A", "Ask.", "--assistant coverage")
    assert "crm.example.org" in confirm(notebook, monkeypatch)
    ask(notebook, hosted, "--assistant coverage")
    assistant(saved + 'effort = "low"\n')
    with pytest.raises(errors.ConfigError, match="not confirmed"):
        notebook.ask("A", "Ask.", "--assistant coverage --fresh")


@pytest.mark.parametrize("named", ["~/secret.csv", "../secret.csv", "{}/secret.csv", "../*.csv", "link.csv", "*.csv"])
def test_an_assistant_that_came_along_sends_no_file_from_outside(notebook, hosted, assistant, monkeypatch, named):
    notebook_dir = notebook.session.notebook_dir
    monkeypatch.setenv("HOME", str(notebook_dir.parent))
    secret = notebook_dir.parent / "secret.csv"
    secret.write_text(COVERAGE)
    (notebook_dir / "link.csv").symlink_to(secret)
    named = named.format(secret.parent)
    assistant(f'inputs = ["{named}"]')
    with pytest.raises(errors.ConfigError, match="outside the notebook's directory"):
        notebook.ask("A", "Ask.", "--assistant coverage")
    assert hosted.requests == []
    (notebook_dir / "assistants" / "coverage.toml").unlink()
    assistant(f'inputs = ["{named}"]', own=True)
    assert len(ask(notebook, hosted, "--assistant coverage")) == 1


def test_azure_needs_a_deployment_before_anything_is_sent_and_a_replay_needs_none(notebook, hosted, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", hosted.url.removesuffix("/v1"))
    with told(errors.ConfigError, "deployment", "-m NAME"):
        notebook.ask("A", "Ask.")
    assert hosted.requests == []
    for command in ("status", "files", "history", "cost"):
        notebook.cell("S", f"%assistant {command}")
    monkeypatch.delenv("IPYTHON_ASSISTANT_MODE")
    monkeypatch.setenv("IPYTHON_ASSISTANT_MODEL", "our-deployment")
    hosted.on("/openai/v1/responses", lambda _: hosted._turns.pop(0))
    hosted.will_say([wire.Message("From Azure.")])
    notebook.ask("A", "Ask.")
    for name in ("IPYTHON_ASSISTANT_MODEL", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name)
        assert notebook.ask("A", "Ask.").value.text == "From Azure."


def test_an_env_file_in_the_folder_names_no_address_for_the_key_of_the_environment(notebook, hosted, notebook_dir):
    (notebook_dir / ".env").write_text("OPENAI_BASE_URL=http://127.0.0.1:9/v1\nOPENAI_API_KEY=from-the-file\n")
    hosted.will_say([wire.Message("Ok.")])
    notebook.ask("A", "Ask.")
    assert hosted.requests[0].headers["authorization"] == "Bearer test-key"


# --- out --------------------------------------------------------------------------------------------------------------
def test_a_table_that_did_not_come_ends_the_cell_in_an_error_that_says_what_came(notebook, hosted):
    hosted.put("other.csv", b"a\n1\n", "cfile_1")
    hosted.will_say([wire.Code("x"), wire.cited(("other.csv", "cfile_1"))])
    hosted.will_say([wire.Message("No.", refusal=True)])
    with pytest.raises(errors.TableMissing, match="brought no table by_district") as caught:
        notebook.ask("A", "Ask.", "-o by_district")
    assert "other.csv" in caught.value.message
    assert list(caught.value.answer.files) == ["other.csv"]
    assert "by_district" not in notebook.names
    with pytest.raises(errors.TableMissing, match="refused"):
        notebook.ask("A", "Ask.", "-o by_district")


def test_rows_go_in_and_come_out_with_equal_dtypes(shell):
    shell.user_ns["cases"] = frame = rows(20_000)
    code = "import shutil\nshutil.copy('cases.csv', 'back.csv')"
    shell.run_cell(f"%%assistant -i cases -o back\n```python\n{code}\n```").raise_error()
    assert_frame_equal(shell.user_ns["back"], frame)


def test_a_second_cell_with_the_same_table_uploads_nothing(shell, hosted):
    sent, table = [], rows(3_000)
    for shell.user_ns["cases"] in (table, table.copy(), table.iloc[:-1]):
        hosted.will_say([wire.Code("pass", container_id="cntr_test_1"), wire.Message("Done.")])
        shell.run_cell(f"%%assistant -i cases\nCount the rows, {len(sent)}.").raise_error()
        sent.append(len(hosted.asked("^POST /v1/containers/.*/files$")))
    assert sent == [1, 1, 2]
